"""What an importer gives, and how tensors of a file are matched with a description."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import NetworkError, nearest
from fixedsim.importers.conventions import CANONICAL
from fixedsim.network import Description
from fixedsim.network.tensor_names import file_names

DType = Literal["float64", "float32"]
WeightsFound = dict[str, NDArray[np.float64]]


class Stated(NamedTuple):
    """What the user says beside the file; None for what the file, or the kind's convention, is to say."""

    description: Description | None = None
    gate_order: str | None = None  # as fixedsim.importers.conventions writes it
    forget_bias: float | None = None  # added to the forget gate when the network runs


class Imported(NamedTuple):
    """A network as an importer found it: its description, and canonical tensor name to float64 array.

    ``notes`` are the conventions as they were understood, one sentence each. ``gate_order`` is the one that the file
    was read in. ``bias_pairs`` has both parts of each bias that a file holds in two, by the canonical name of the sum.
    """

    description: Description
    weights: WeightsFound
    notes: tuple[str, ...] = ()
    gate_order: str = CANONICAL
    bias_pairs: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = MappingProxyType({})


def agreeing(imported: Imported, description: Description) -> Imported:
    """``imported`` under ``description``, whose rule and initial state hold; the layers must be the same.

    Raises:
        NetworkError: a layer that the file describes otherwise.
    """
    for own_layer, layer in zip(imported.description.layers, description.layers, strict=False):
        if own_layer != layer:
            raise NetworkError(f"layer {own_layer.name!r} must be as the file describes it, {own_layer}, not {layer}")
    own_count, count = len(imported.description.layers), len(description.layers)
    if own_count != count:
        raise NetworkError(f"layers must be {own_count} as the file describes them, not {count}")
    return imported._replace(description=description)


def matched_weights(description: Description, tensors: Mapping[str, NDArray[Any]]) -> WeightsFound:
    """The description's tensors among ``tensors``, under canonical names or PyTorch's, in float64.

    Where PyTorch has two biases they are summed in float64; one alone is taken as it is.

    Raises:
        NetworkError: a tensor is missing, left over, of another shape, or not floating point.
    """
    weights: WeightsFound = {}
    used: set[str] = set()
    shapes = description.tensors()
    for layer in description.layers:
        for name, in_file in file_names(layer).items():
            found = [name] if name in tensors else [other for other in in_file if other in tensors]
            if not found:
                raise NetworkError(f"tensor {in_file[0]!r} must be given, not missing{nearest(in_file[0], tensors)}")
            weights[name] = np.sum([_real(other, tensors[other], shapes[name]) for other in found], axis=0)
            used.update(found)
    _refuse_left_over(description, [name for name in tensors if name not in used])
    return weights


def _real(name: str, tensor: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    if tensor.dtype.kind != "f":
        raise NetworkError(f"tensor {name!r} must be floating point, not {tensor.dtype}")
    if tensor.shape != shape:
        raise NetworkError(f"tensor {name!r} must be of shape {shape}, not {tensor.shape}")
    return tensor.astype(np.float64)


def _refuse_left_over(description: Description, names: list[str]) -> None:
    known = [name for layer in description.layers for in_file in file_names(layer).values() for name in in_file]
    for name in names:
        raise NetworkError(f"tensor {name!r} must be one of the network's, not unknown{nearest(name, known)}")
