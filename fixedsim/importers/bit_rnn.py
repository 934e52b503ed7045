"""Bit-RNN weights (He et al. 2016): latent float weights, and the rule in the file's metadata or a description.

The tensors have PyTorch's names, or are the variables of the original's TensorFlow cells, one kernel ``(I + H, 4H)``
and one bias. Gates stand in the order input, candidate ("j"), forget, output along the rows (of the original, columns),
with one bias; the forget bias is added when the network runs. Candidate and cell activation are sigmoids, and the state
starts at one half, rounded.
"""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fixedsim.errors import FileError, NetworkError
from fixedsim.files import read_metadata, read_tensors
from fixedsim.files.tensors import Metadata, TensorFile, Tensors
from fixedsim.importers import pytorch
from fixedsim.importers.conventions import canonical_rows, gate_order
from fixedsim.importers.imported import Imported, Stated, agreeing, matched_weights
from fixedsim.importers.tensorflow.names import modules_by_name
from fixedsim.importers.tensorflow.network import network_of_modules
from fixedsim.importers.tensorflow.variables import Variables, stored_variables
from fixedsim.network import BitRnnRule, Description, Layer, LstmLayer

_ARCHITECTURE = "Bit-RNN"
_GATE_ORDER = "i,j,f,o"
_ORDER = gate_order(_GATE_ORDER.replace(",", ""))
_LATENT = "weights are latent: the rule quantizes their tanh when the network runs"
_NOTES = ("gates stacked i, g, f, o; one bias; the forget bias of the metadata is added at run time", _LATENT)
_PYTORCH = re.compile(r"(weight|bias)_(ih|hh)|(^|\.)(weight|bias)(_l\d+)?\Z")
_BIT_CELL = re.compile(r"((?:^|/))bit_?(?=\w*lstm)", re.IGNORECASE)


def recognises(path: Path) -> bool:
    """Whether the metadata's ``arch`` begins with ``Bit-RNN``."""
    try:
        return str(read_metadata(path).get("arch", "")).startswith(_ARCHITECTURE)
    except FileError:
        return False


def read(path: Path, stated: Stated) -> Imported:
    """The network with its latent weights, gates in canonical order, and the rule in its description.

    Raises:
        FileError: the file is damaged.
        NetworkError: metadata that are missing or say something else, tensors that are not understood, or conventions
            that are stated, which are the file's own.
    """
    file = read_tensors(path)
    if not any(map(_PYTORCH.search, file.tensors)):
        return _read_original(file, stored_variables(path), stated)
    for key in ("gate_order", "forget_bias"):
        if getattr(stated, key) is not None:
            raise NetworkError(f"{key} must be left out for Bit-RNN weights, not {getattr(stated, key)!r}")
    rule = BitRnnRule(_whole(file.metadata, "w_bit"), _whole(file.metadata, "a_bit"))
    _check_conventions(file.metadata, rule)
    tensors = _canonical_rows(pytorch.with_levels(file.tensors))
    plain = pytorch.inferred_description(tensors, "bit-rnn")
    forget_bias = float(_number(file.metadata, "forget_bias"))
    layers = tuple(_bit_layer(layer, forget_bias) for layer in plain.layers)
    description = Description(plain.name, layers, rule, "half")
    imported = Imported(description, matched_weights(description, tensors), _NOTES, _ORDER)
    return imported if stated.description is None else agreeing(imported, stated.description)


def _read_original(file: TensorFile, variables: Variables, stated: Stated) -> Imported:
    """The network of TensorFlow's variables, under the rule of the description that is stated or of the metadata.

    Raises:
        NetworkError: no rule, or variables that are not understood.
    """
    if stated.description is not None and stated.description.bit_rnn is None:
        raise NetworkError("bit_rnn must be given in the description of Bit-RNN weights, not missing")
    if stated.description is None and "w_bit" not in file.metadata:
        raise NetworkError(
            "bit_rnn must be given for Bit-RNN's TensorFlow variables, not missing; describe the network in a TOML file"
        )
    if stated.forget_bias is None and "forget_bias" in file.metadata:
        stated = stated._replace(forget_bias=float(_number(file.metadata, "forget_bias")))
    arrays = {_BIT_CELL.sub(r"\1", name): array for name, array in variables.arrays.items()}
    imported = network_of_modules(modules_by_name(arrays), stated)
    notes = (*imported.notes, _LATENT, *variables.notes())
    if stated.description is not None:
        return imported._replace(notes=notes)
    rule = BitRnnRule(_whole(file.metadata, "w_bit"), _whole(file.metadata, "a_bit"))
    _check_conventions(file.metadata, rule)
    layers = tuple(
        _bit_layer(layer, layer.forget_bias) if isinstance(layer, LstmLayer) else layer
        for layer in imported.description.layers
    )
    return imported._replace(description=Description("bit-rnn", layers, rule, "half"), notes=notes)


def _bit_layer(layer: Layer, forget_bias: float) -> Layer:
    if not isinstance(layer, LstmLayer):
        return layer
    return replace(layer, candidate="sigmoid", cell_activation="sigmoid", forget_bias=forget_bias)


def _canonical_rows(tensors: Tensors) -> Tensors:
    """LSTM tensors with their gates in canonical order; the one bias under the name of PyTorch's first."""
    ordered: Tensors = {}
    for name, tensor in tensors.items():
        prefix, _, last = name.rpartition(".")
        if last.startswith("bias_l"):
            last = f"bias_ih_{last.removeprefix('bias_')}"
        lstm = last.startswith(("weight_ih_", "weight_hh_", "bias_ih_"))
        ordered[f"{prefix}.{last}"] = _reordered(name, tensor) if lstm else tensor
    return ordered


def _reordered(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.ndim == 0 or tensor.shape[0] % 4:
        raise NetworkError(f"tensor {name!r} must have 4 rows to a unit, not shape {tensor.shape}")
    return canonical_rows(tensor, _ORDER)


def _number(metadata: Metadata, key: str) -> Fraction:
    text = metadata.get(key)
    if text is None:
        raise NetworkError(f"metadata {key!r} must be given, not missing")
    return _fraction(key, text)


def _whole(metadata: Metadata, key: str) -> int:
    number = _number(metadata, key)
    if number.denominator != 1:
        raise NetworkError(f"metadata {key!r} must be a whole number, not {metadata[key]!r}")
    return int(number)


def _fraction(key: str, text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise NetworkError(f"metadata {key!r} must be a number, not {text[:40]!r}") from None


def _check_conventions(metadata: Metadata, rule: BitRnnRule) -> None:
    """Refuse another gate order or another initial state than ``round_k(1/2)``."""
    order = metadata.get("gate_order", _GATE_ORDER)
    if order != _GATE_ORDER:
        raise NetworkError(f"metadata 'gate_order' must be {_GATE_ORDER!r}, not {order!r}")
    top = (1 << rule.activation_bits) - 1
    start = Fraction(round(Fraction(top, 2)), top)  # Python rounds half to even, as the rule does
    stated = metadata.get("initial_state")
    if stated is not None and _fraction("initial_state", stated.rpartition("=")[2]) != start:
        raise NetworkError(f"metadata 'initial_state' must be 'c=h={start}', not {stated!r}")
