"""Bit-RNN weights (He et al. 2016): latent float weights, and the rule in the file's metadata.

Gates stand in the order input, candidate ("j"), forget, output along the rows, with one bias; the forget bias is
added when the network runs. Candidate and cell activation are sigmoids, and the state starts at one half, rounded.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.files.tensors import Metadata, TensorFile, Tensors
from fixedsim.importers import pytorch
from fixedsim.importers.imported import Imported, matched_weights
from fixedsim.network import BitRnnRule, Description, Layer, LstmLayer

_ARCHITECTURE = "Bit-RNN"
_GATE_ORDER = "i,j,f,o"
_TO_CANONICAL = (0, 2, 1, 3)  # i j f o -> i f j o


def recognises(file: TensorFile) -> bool:
    """Whether the metadata's ``arch`` begins with ``Bit-RNN``."""
    return file.metadata.get("arch", "").startswith(_ARCHITECTURE)


def import_network(file: TensorFile) -> Imported:
    """The network with its latent weights, gates in canonical order, and the rule in its description.

    Raises:
        NetworkError: metadata that are missing or say something else, or tensors that are not understood.
    """
    rule = BitRnnRule(_whole(file.metadata, "w_bit"), _whole(file.metadata, "a_bit"))
    _check_conventions(file.metadata, rule)
    tensors = _canonical_rows(pytorch.with_levels(file.tensors))
    plain = pytorch.inferred_description(tensors, "bit-rnn")
    forget_bias = float(_number(file.metadata, "forget_bias"))
    layers = tuple(_bit_layer(layer, forget_bias) for layer in plain.layers)
    description = Description(plain.name, layers, rule, "half")
    return Imported(description, matched_weights(description, tensors))


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
    gates = tensor.reshape(4, tensor.shape[0] // 4, *tensor.shape[1:])
    return np.ascontiguousarray(gates[list(_TO_CANONICAL)].reshape(tensor.shape))


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
