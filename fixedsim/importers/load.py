"""Load a network from a preset, a TOML description or a file of weights.

A new exporter is one module with ``recognises`` and ``import_network``, and one entry in :data:`IMPORTERS`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fixedsim.errors import FileError, NetworkError, nearest
from fixedsim.files import TensorFile, read_tensors
from fixedsim.importers import bit_rnn, own, pytorch
from fixedsim.importers.imported import DType, Imported
from fixedsim.importers.shipped import SHIPPED
from fixedsim.network import Description, Network, preset, preset_names, read_description

WEIGHT_SUFFIXES = (".safetensors", ".npz")
DESCRIPTION_SUFFIX = ".toml"


class Importer(NamedTuple):
    """Files that carry a description of their own: whether a file is one, and the network in it."""

    recognises: Callable[[TensorFile], bool]
    import_network: Callable[[TensorFile], Imported]


DESCRIBED = (Importer(own.recognises, own.import_network), Importer(bit_rnn.recognises, bit_rnn.import_network))
IMPORTERS = (*DESCRIBED, Importer(pytorch.recognises, pytorch.import_network))


def load_network(source: str | Path, weights: str | Path | None = None, dtype: DType = "float64") -> Network:
    """The network that ``source`` says, its weights in ``dtype``.

    Args:
        source: the name of a network that ships (``char-lm``, ``char-lm-w4a4``, ``char-lm-w2a2``), the name of a
            preset (``weights`` is needed), a ``.toml`` description (``weights`` is needed unless
            its key ``weights`` names the file), or a ``.safetensors`` or ``.npz`` file of weights, with a description
            in its metadata or tensors from whose names and shapes the layers follow.
        weights: the file of weights.
        dtype: float64 or float32, to which the weights are rounded (half to even) after biases are summed in float64.

    Raises:
        FileError: a file is missing, damaged or of another kind.
        NetworkError: a description or a tensor is not usable.
    """
    if dtype not in ("float64", "float32"):
        raise NetworkError(f"dtype must be float64 or float32, not {dtype!r}")
    description, path = _described(source, weights)
    file = read_tensors(path)
    try:
        imported = _imported(file, description)
        return Network(
            imported.description, {name: w.astype(dtype, copy=False) for name, w in imported.weights.items()}
        )
    except (NetworkError, FileError) as error:
        raise type(error)(f"{path}: {error}") from None


def _described(source: str | Path, weights: str | Path | None) -> tuple[Description | None, Path]:
    """The description that stands outside the weights, if one does, and the file of weights."""
    given = None if weights is None else Path(weights)
    if isinstance(source, str) and source in SHIPPED:
        source = SHIPPED[source]
    suffix = Path(source).suffix
    if suffix in WEIGHT_SUFFIXES:
        if given is not None:
            raise NetworkError(f"weights must be absent where the network is the file {source}, not {given}")
        return None, Path(source)
    if suffix == DESCRIPTION_SUFFIX:
        description, named = read_description(Path(source))
        return description, _needed(given or named, str(source))
    known = (*SHIPPED, *preset_names())
    if str(source) not in known:
        raise NetworkError(
            f"network must be a {', '.join(WEIGHT_SUFFIXES)} or {DESCRIPTION_SUFFIX} file or a known name, "
            f"not {str(source)!r}{nearest(str(source), known)}"
        )
    return preset(str(source)), _needed(given, str(source))


def _needed(weights: Path | None, source: str) -> Path:
    if weights is None:
        raise NetworkError(f"weights must be given for the description {source}, not missing; name a file of weights")
    return weights


def _imported(file: TensorFile, description: Description | None) -> Imported:
    if description is None:
        return next(importer for importer in IMPORTERS if importer.recognises(file)).import_network(file)
    for importer in DESCRIBED:
        if importer.recognises(file):
            return _agreeing(importer.import_network(file), description)
    return pytorch.import_described(file, description)


def _agreeing(imported: Imported, description: Description) -> Imported:
    """``imported`` under ``description``, whose rule and initial state hold; the layers must be the same."""
    for own_layer, layer in zip(imported.description.layers, description.layers, strict=False):
        if own_layer != layer:
            raise NetworkError(f"layer {own_layer.name!r} must be as the file describes it, {own_layer}, not {layer}")
    own_count, count = len(imported.description.layers), len(description.layers)
    if own_count != count:
        raise NetworkError(f"layers must be {own_count} as the file describes them, not {count}")
    return Imported(description, imported.weights)
