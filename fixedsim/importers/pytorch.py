"""PyTorch's state dictionaries: ``nn.Embedding``, ``nn.LSTM``, ``nn.LSTMCell`` and ``nn.Linear``.

LSTM rows are in the order input, forget, candidate ("g"), output; two biases are summed. Where a file has no
description, the layers are inferred from names and shapes, and only where one reading alone is possible.
"""

import re
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.files.tensors import TensorFile, Tensors
from fixedsim.importers.imported import Imported, matched_weights
from fixedsim.importers.ordering import only_order
from fixedsim.network import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer

_LSTM_TENSOR = re.compile(r"(?:(.+)\.)?((?:weight|bias)_(?:ih|hh|hr))(?:_l(\d+))?(_reverse)?\Z")
_PLAIN_TENSOR = re.compile(r"(?:(.+)\.)?(weight|bias)\Z")
_LEVEL_ENDING = re.compile(r"\.l\d+\Z")
_Module = dict[str, NDArray[Any]]


def recognises(file: TensorFile) -> bool:
    """True: the layout that is tried last."""
    return True


def import_network(file: TensorFile) -> Imported:
    """The network that names and shapes tell.

    Raises:
        NetworkError: a tensor that is not understood, or layers that can be read in no way or in several.
    """
    tensors = with_levels(file.tensors)
    description = inferred_description(tensors, "pytorch")
    return Imported(description, matched_weights(description, tensors))


def import_described(file: TensorFile, description: Description) -> Imported:
    """The network of ``description`` with its tensors from the file.

    Raises:
        NetworkError: the tensors are not those of the description.
    """
    return Imported(description, matched_weights(description, with_levels(file.tensors)))


def with_levels(tensors: Tensors) -> Tensors:
    """The tensors with a layer name and a level throughout: ``weight_ih`` of a cell is ``lstm.weight_ih_l0``."""
    return {_with_level(name): tensor for name, tensor in tensors.items()}


def _with_level(name: str) -> str:
    if match := _LSTM_TENSOR.match(name):
        return f"{match[1] or 'lstm'}.{match[2]}_l{match[3] or 0}{match[4] or ''}"
    if match := _PLAIN_TENSOR.match(name):
        return f"{match[1] or 'linear'}.{match[2]}"
    return name


def inferred_description(tensors: Tensors, name: str) -> Description:
    """The one description that names and shapes allow.

    Raises:
        NetworkError: see :func:`import_network`.
    """
    forms = [_forms(prefix, module) for prefix, module in _modules(tensors).items()]
    layers = only_order(forms)
    for layer in layers[:-1]:
        if isinstance(layer, LinearLayer):
            raise NetworkError(
                f"layer {layer.name!r} must be the last layer, not followed by another, because the file does not "
                "tell its activation; describe the network in a TOML file"
            )
    return Description(name, layers)


def _modules(tensors: Tensors) -> dict[str, _Module]:
    """Tensors by module, in the order of the file; each under its name without the module's."""
    modules: dict[str, _Module] = {}
    for name, tensor in tensors.items():
        prefix, _, part = name.rpartition(".")
        if part.startswith("weight_hr_"):
            raise NetworkError(f"tensor {name!r} must be absent, not an LSTM's projection, which networks lack")
        if not _LSTM_TENSOR.match(part) and not _PLAIN_TENSOR.match(part):
            raise NetworkError(f"tensor {name!r} must be a weight or bias of a known layer, not of another kind")
        modules.setdefault(prefix, {})[part] = tensor
    return modules


def _forms(prefix: str, module: _Module) -> list[tuple[Layer, ...]]:
    """The layers that a module can be: one reading, or two for a matrix without bias."""
    if any(_LSTM_TENSOR.match(part) for part in module):
        return [_lstm_stack(prefix, module)]
    weight = _part(module, prefix, "weight")
    embedding, linear = EmbeddingLayer(prefix, *weight), LinearLayer(prefix, weight[1], weight[0], bias=False)
    if "bias" in module:
        return [(LinearLayer(prefix, weight[1], weight[0]),)]
    return [(embedding,)] if "emb" in prefix.lower() else [(embedding,), (linear,)]


def _lstm_stack(prefix: str, module: _Module) -> tuple[Layer, ...]:
    levels = sorted({int(match[3]) for part in module if (match := _LSTM_TENSOR.match(part)) and match[3]})
    if levels != list(range(len(levels))):
        raise NetworkError(f"levels of {prefix!r} must be 0 and on, not {levels}")
    single = len(levels) == 1 and not _LEVEL_ENDING.search(prefix)
    names = [prefix] if single else [f"{prefix}.l{level}" for level in levels]
    return tuple(_lstm_layer(name, level, prefix, module) for level, name in enumerate(names))


def _lstm_layer(name: str, level: int, prefix: str, module: _Module) -> LstmLayer:
    rows, inputs = _part(module, prefix, f"weight_ih_l{level}")
    _, units = _part(module, prefix, f"weight_hh_l{level}")
    if rows != 4 * units:
        raise NetworkError(f"tensor '{prefix}.weight_ih_l{level}' must have {4 * units} rows as an LSTM's, not {rows}")
    biased = any(f"bias_{side}_l{level}" in module for side in ("ih", "hh"))
    return LstmLayer(name, inputs, units, bidirectional=f"weight_ih_l{level}_reverse" in module, bias=biased)


def _part(module: Mapping[str, NDArray[Any]], prefix: str, part: str) -> tuple[int, int]:
    if part not in module:
        raise NetworkError(f"tensor '{prefix}.{part}' must be given, not missing")
    return _matrix(f"{prefix}.{part}", module[part])


def _matrix(name: str, tensor: NDArray[Any]) -> tuple[int, int]:
    if tensor.ndim != 2:
        raise NetworkError(f"tensor {name!r} must be a matrix, not of shape {tensor.shape}")
    return tensor.shape[0], tensor.shape[1]
