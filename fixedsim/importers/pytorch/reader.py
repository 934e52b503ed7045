"""Read a state dictionary into a network: gates, biases and projections, and a note for each convention."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim.files import read_metadata, read_tensors
from fixedsim.files.tensors import Tensors
from fixedsim.importers.conventions import CANONICAL, canonical_rows, gate_order
from fixedsim.importers.imported import Imported, Stated, matched_weights
from fixedsim.importers.pytorch import archive
from fixedsim.importers.pytorch.checkpoint import read_state
from fixedsim.importers.pytorch.names import refuse_unusual, with_allowed_names, without_wrappers
from fixedsim.importers.pytorch.state_dict import inferred_description, with_levels
from fixedsim.network import Description, LstmLayer
from fixedsim.network.tensor_names import file_names
from fixedsim.network.weights import checked_weights

PLAIN_SUFFIXES = (".safetensors", ".npz")
_CHECKPOINT_SUFFIXES = (".pt", ".pth")
_MEMBER = re.compile(r"(?:.+\.)?(?:weight|bias)(?:_[A-Za-z0-9_]+)?(?:\.npy)?\Z")
_GATED = (".input.weight", ".recurrent.weight", ".bias")
_BIASES = {None: "no bias", 0: "one bias", 1: "one bias", 2: "two biases, summed"}  # by how many PyTorch's names find
BiasPairs = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def recognises(path: Path) -> bool:
    """Whether the file is what ``torch.save`` wrote, a ``.safetensors``, or an ``.npz`` with names as PyTorch's.

    Any file that ends in ``.pt`` or ``.pth`` is one, so that what is wrong with it can be said.
    """
    if path.suffix == ".npz":
        return any(_MEMBER.match(name) and "/" not in name for name in archive.member_names(path))
    if path.suffix == ".safetensors":
        return _is_readable(path)
    return path.suffix.lower() in _CHECKPOINT_SUFFIXES or archive.recognises(path)


def _is_readable(path: Path) -> bool:
    try:
        read_metadata(path)
    except FileError:
        return False
    return True


def read(path: Path, stated: Stated) -> Imported:
    """The network in a state dictionary: of ``torch.save``, of safetensors, or in an ``.npz``.

    Raises:
        FileError: the file is damaged, or has in its pickle what a state dictionary has not.
        NetworkError: a tensor that is not understood, or layers that can be read in no way or in several.
    """
    notes: tuple[str, ...] = ()
    if path.suffix in PLAIN_SUFFIXES:
        tensors = read_tensors(path).tensors
    else:
        tensors, notes = read_state(path)
    refuse_unusual(tensors)
    given = stated.description
    tensors, stripped = without_wrappers(tensors, frozenset() if given is None else _known_names(given))
    tensors, renamed = with_allowed_names(tensors)
    return network_of(tensors, stated, (*notes, *stripped, *renamed))


def network_of(tensors: Tensors, stated: Stated, notes: tuple[str, ...] = ()) -> Imported:
    """The network of a state dictionary's tensors.

    Raises:
        NetworkError: see :func:`read`.
    """
    order = CANONICAL if stated.gate_order is None else gate_order(stated.gate_order)
    tensors = with_levels(tensors)
    description = stated.description or inferred_description(tensors, "pytorch")
    if order != CANONICAL:
        tensors = _canonical(description, tensors, order)
    with np.errstate(all="ignore"):  # of a NaN that signals, or of infinite biases; both are refused below
        weights = matched_weights(description, tensors)
    if stated.forget_bias is not None:
        description = _with_forget_bias(description, stated.forget_bias)
    checked_weights(description, weights)
    conventions = [_convention(layer, tensors, order) for layer in description.lstm_layers]
    if stated.description is None and len(description.layers) > 1:
        names = ", ".join(layer.name for layer in description.layers)
        conventions.append(f"layers in the one order that their names and widths allow: {names}")
    return Imported(description, weights, (*notes, *conventions), order, _bias_pairs(description, tensors))


def _known_names(description: Description) -> frozenset[str]:
    """Every name under which a file can hold a tensor of the description, ``lstm.weight_ih`` of a cell too."""
    names = {name for layer in description.layers for pair in file_names(layer).items() for name in (pair[0], *pair[1])}
    return frozenset(names | {name.removesuffix("_l0") for name in names})


def _canonical(description: Description, tensors: Tensors, order: str) -> Tensors:
    """``tensors`` with the rows of gates, stacked in ``order``, in canonical order."""
    gated: set[str] = set()
    for layer in description.lstm_layers:
        for name, in_file in file_names(layer).items():
            if name.endswith(_GATED):
                gated |= {name, *in_file}
    return {name: canonical_rows(tensor, order) if name in gated else tensor for name, tensor in tensors.items()}


def _with_forget_bias(description: Description, forget_bias: float) -> Description:
    layers = tuple(
        replace(layer, forget_bias=forget_bias) if isinstance(layer, LstmLayer) else layer
        for layer in description.layers
    )
    return replace(description, layers=layers)


def _bias_pairs(description: Description, tensors: Tensors) -> BiasPairs:
    pairs: BiasPairs = {}
    for layer in description.lstm_layers:
        for name, in_file in file_names(layer).items():
            if len(in_file) == 2 and name not in tensors and all(other in tensors for other in in_file):
                first, second = (tensors[other].astype(np.float64) for other in in_file)
                pairs[name] = (first, second)
    return pairs


def _convention(layer: LstmLayer, tensors: Tensors, order: str) -> str:
    """One sentence: how the tensors of an LSTM were understood."""
    parts = [f"gates stacked {', '.join(order)}"]
    names = file_names(layer)
    biases = names.get(f"{layer.directions[0]}.bias", ())
    parts.append(_BIASES[sum(name in tensors for name in biases) if biases else None])
    if layer.projection is not None:
        parts.append(f"projected to {layer.projection}")
    if layer.bidirectional:
        parts.append("forward before backward, outputs in the order of the input")
    if layer.forget_bias:
        parts.append(f"{layer.forget_bias:g} added to the forget gate at run time")
    return f"{layer.name}: {'; '.join(parts)}"
