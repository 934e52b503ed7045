"""From an hls4ml project to an integer model: its layers with the types that the project names."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, FixedsimError
from fixedsim.hls_arithmetic import from_double
from fixedsim.hls_types import HlsType
from fixedsim.importers.hls4ml.layers import Activation, Tables, dense, layer_profile, lstm
from fixedsim.importers.hls4ml.project import HlsLayer, Project, read_project
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model

_ACTIVATIONS = ("linear", "relu", "sigmoid", "tanh")


def read_model(folder: Path | str) -> Model:
    """The integer model of the hls4ml project in a folder.

    Raises:
        FileError: the project is damaged, or holds a layer or a type that is not known, by name.
    """
    project = read_project(Path(folder))
    try:
        return project_model(project)
    except FixedsimError as error:
        raise FileError(f"{folder}: {error}") from None


def project_model(project: Project) -> Model:
    """The model of a project's layers in their order.

    Raises:
        FileError: a layer that is not known, or an activation that does not follow a dense layer.
    """
    layers = list(_layers(project))
    if not layers:
        raise FileError("project must have a layer, not none")
    last = frozenset(layer.name for layer in project.layers if layer.kind == "lstm" and not layer.return_sequences)
    return Model(project.name, tuple(layers), last, profile=layer_profile({}).to_dict())


def _layers(project: Project) -> Iterator[Linear | Lstm]:
    waiting = list(project.layers)
    while waiting:
        layer = waiting.pop(0)
        if layer.kind == "lstm":
            yield _lstm(layer)
        elif layer.kind == "dense":
            after = waiting.pop(0) if waiting and waiting[0].kind in _ACTIVATIONS else None
            yield _dense(layer, after)
        elif layer.kind in _ACTIVATIONS:
            raise FileError(f"{layer.kind} layer {layer.name!r} must follow a dense layer, not another")
        else:
            raise FileError(f"layer {layer.name!r} must be dense, lstm or an activation, not {layer.kind}")


def _raws(layer: HlsLayer, weight: str, kind: str) -> NDArray[np.int64]:
    """Weights as raws of their type, by its own quantization and overflow."""
    return np.asarray(from_double(layer.weights[weight], HlsType.parse(layer.types[kind])), dtype=np.int64)


def _types(layer: HlsLayer, names: tuple[str, ...]) -> dict[str, HlsType]:
    types = {name: HlsType.parse(layer.types[name]) for name in names}
    return types | {"input": HlsType.parse(layer.input_type), "result": HlsType.parse(layer.output_type)}


def _dense(layer: HlsLayer, after: HlsLayer | None) -> Linear:
    types = _types(layer, ("accum", "weight", "bias"))
    return dense(layer.name, _raws(layer, "weight", "weight"), _raws(layer, "bias", "bias"), types, _activation(after))


def _activation(layer: HlsLayer | None) -> Activation | None:
    if layer is None:
        return None
    output = HlsType.parse(layer.output_type)
    if "table" not in layer.types:
        return Activation(layer.kind, output)
    return Activation(layer.kind, output, layer.types["table"], layer.sizes.get("table_size", 1024))


def _lstm(layer: HlsLayer) -> Lstm:
    types = _types(layer, ("accum", "weight", "recurrent_weight", "bias"))
    if np.any(layer.weights["recurrent_bias"]):
        raise FileError(
            f"recurrent bias of {layer.name} must be zero, not {float(np.max(layer.weights['recurrent_bias']))}"
        )
    functions = layer.recurrent_activation, layer.activation
    if functions != ("sigmoid", "tanh"):
        raise FileError(f"activations of {layer.name} must be sigmoid and tanh, not {functions[0]} and {functions[1]}")
    tables = Tables(layer.types["table"], layer.sizes.get("table_size", 1024))
    weight, recurrent, bias = (_raws(layer, name, name) for name in ("weight", "recurrent_weight", "bias"))
    return lstm(layer.name, weight, recurrent, bias, types, tables)
