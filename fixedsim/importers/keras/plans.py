"""A layer of a Keras file as it is understood, before and after its tensors are found.

Keras keeps matrices with one column to an output; a layer here has one row. Gates stand in the order input, forget,
candidate, output. A CuDNNLSTM has the matrices of cuDNN, one gate after the other, and two biases.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.importers.conventions import canonical_rows
from fixedsim.importers.keras.functions import IDENTITY, UNDECIDED, Function
from fixedsim.network import EmbeddingLayer, Layer, LinearLayer, LstmLayer

Array = NDArray[np.float64]
EMBEDDINGS, KERNEL, RECURRENT, BIAS = "embeddings", "kernel", "recurrent_kernel", "bias"
HARD = ("hard_sigmoid", "hard_sigmoid_fifth")


@dataclass(frozen=True)
class Leaf:
    """What owns tensors: an embedding, a Dense layer or one direction of an LSTM.

    ``roles`` are its tensors in Keras' order; ``top``, ``path`` and ``frozen`` are a node's.
    """

    top: str
    path: str
    roles: tuple[str, ...]
    frozen: bool = False


class Found(NamedTuple):
    """A layer with its canonical tensors, and both parts of biases that stand in two."""

    layer: Layer
    weights: dict[str, Array]
    pairs: dict[str, tuple[Array, Array]]


Tensors = Sequence[Sequence[NDArray[Any]]]  # for each leaf, in the order of its roles


@dataclass(frozen=True)
class EmbeddingPlan:
    """An embedding."""

    name: str
    leaves: tuple[Leaf]
    sizes: tuple[int, int] | None = None  # vocabulary and features, where the file says them beside the tensor

    def found(self, tensors: Tensors, order: str) -> Found:
        """The layer with its tensor ``(vocabulary, features)``."""
        table = _matrix(self.name, EMBEDDINGS, tensors[0][0])
        if self.sizes not in (None, table.shape):
            raise NetworkError(f"layer {self.name!r}: embeddings must be of shape {self.sizes}, not {table.shape}")
        return Found(EmbeddingLayer(self.name, *table.shape), {f"{self.name}.weight": table}, {})

    def adopted(self, layer: Layer) -> "EmbeddingPlan":
        """The plan with the name of a described layer."""
        return replace(self, name=layer.name)


@dataclass(frozen=True)
class LinearPlan:
    """A Dense layer."""

    name: str
    leaves: tuple[Leaf]
    function: Function = IDENTITY
    units: int | None = None

    def found(self, tensors: Tensors, order: str) -> Found:
        """The layer with its tensors; the kernel is ``(inputs, outputs)`` in the file."""
        kernel = _matrix(self.name, KERNEL, tensors[0][0])
        inputs, outputs = kernel.shape
        if self.units not in (None, outputs):
            raise NetworkError(f"layer {self.name!r}: kernel must have {self.units} columns, not {outputs}")
        biased = BIAS in self.leaves[0].roles
        weights = {f"{self.name}.weight": np.ascontiguousarray(kernel.T)}
        if biased:
            weights[f"{self.name}.bias"] = _real(self.name, BIAS, tensors[0][1], (outputs,))
        return Found(LinearLayer(self.name, inputs, outputs, *self.function, bias=biased), weights, {})

    def adopted(self, layer: Layer) -> "LinearPlan":
        """The plan with the name of a described layer, and its hard sigmoid where the file leaves it open."""
        if not isinstance(layer, LinearLayer):
            return replace(self, name=layer.name)
        open_ = self.function.name == UNDECIDED and layer.activation in HARD
        return replace(self, name=layer.name, function=Function(layer.activation) if open_ else self.function)


@dataclass(frozen=True)
class LstmPlan:
    """An LSTM: one leaf, or two for both directions, forward first."""

    name: str
    leaves: tuple[Leaf, ...]
    gate: str = "sigmoid"
    activation: str = "tanh"
    steps: str = "all"
    reverse: bool = False
    units: int | None = None
    options: dict[str, Any] = field(default_factory=dict)  # more of the layer's own

    def found(self, tensors: Tensors, order: str) -> Found:
        """The layer with its tensors; ``order`` is that of the gates along the columns in the file."""
        kernel, recurrent = (
            _matrix(self.name, role, t) for role, t in zip((KERNEL, RECURRENT), tensors[0], strict=False)
        )
        units = recurrent.shape[0]
        if self.units not in (None, units):
            raise NetworkError(f"layer {self.name!r}: recurrent_kernel must have {self.units} rows, not {units}")
        layer = LstmLayer(
            self.name,
            kernel.shape[0],
            units,
            bidirectional=len(self.leaves) == 2,
            gate=self.gate,
            candidate=self.activation,
            cell_activation=self.activation,
            bias=BIAS in self.leaves[0].roles,
            steps=self.steps,
            reverse=self.reverse,
            **self.options,
        )
        found = Found(layer, {}, {})
        for direction, parts in zip(layer.directions, tensors, strict=True):
            _take_direction(found, direction, parts, order)
        return found

    def adopted(self, layer: Layer) -> "LstmPlan":
        """The plan with the name of a described layer, and its hard sigmoid where the file leaves it open."""
        if not isinstance(layer, LstmLayer):
            return replace(self, name=layer.name)
        gate = layer.gate if self.gate == UNDECIDED and layer.gate in HARD else self.gate
        inner = layer.candidate if self.activation == UNDECIDED and layer.candidate in HARD else self.activation
        return replace(self, name=layer.name, gate=gate, activation=inner, options={"forget_bias": layer.forget_bias})


Plan = EmbeddingPlan | LinearPlan | LstmPlan


def _take_direction(found: Found, name: str, parts: Sequence[NDArray[Any]], order: str) -> None:
    layer = found.layer
    assert isinstance(layer, LstmLayer)
    columns = 4 * layer.units
    kernel = _real(name, KERNEL, parts[0], (layer.inputs, columns))
    recurrent = _real(name, RECURRENT, parts[1], (layer.units, columns))
    cudnn = layer.bias and parts[2].shape == (2 * columns,)
    rows = _cudnn_rows if cudnn else np.transpose
    found.weights[f"{name}.input.weight"] = canonical_rows(rows(kernel), order)
    found.weights[f"{name}.recurrent.weight"] = canonical_rows(
        _cudnn_recurrent(recurrent) if cudnn else recurrent.T, order
    )
    if cudnn:
        first, second = _real(name, BIAS, parts[2], (2 * columns,)).reshape(2, columns)
        pair = canonical_rows(first, order), canonical_rows(second, order)
        found.pairs[f"{name}.bias"] = pair
        found.weights[f"{name}.bias"] = pair[0] + pair[1]
    elif layer.bias:
        found.weights[f"{name}.bias"] = canonical_rows(_real(name, BIAS, parts[2], (columns,)), order)


def _cudnn_rows(kernel: Array) -> Array:
    """Rows by output of an input kernel, each gate of which is ``(units, inputs)`` in the shape ``(inputs, units)``."""
    inputs, columns = kernel.shape
    return np.concatenate([gate.reshape(columns // 4, inputs) for gate in np.split(kernel, 4, axis=1)])


def _cudnn_recurrent(kernel: Array) -> Array:
    """Rows by output of a recurrent kernel, each of whose gates is transposed already."""
    return np.concatenate(np.split(kernel, 4, axis=1))


def _matrix(name: str, role: str, tensor: NDArray[Any]) -> Array:
    if tensor.ndim != 2:
        raise NetworkError(f"layer {name!r}: {role} must be a matrix, not of shape {tensor.shape}")
    return _real(name, role, tensor, tensor.shape)


def _real(name: str, role: str, tensor: NDArray[Any], shape: tuple[int, ...]) -> Array:
    if tensor.dtype.kind != "f":
        raise NetworkError(f"layer {name!r}: {role} must be floating point, not {tensor.dtype}; it may be quantized")
    if tensor.shape != shape:
        raise NetworkError(f"layer {name!r}: {role} must be of shape {shape}, not {tensor.shape}")
    with np.errstate(invalid="ignore"):  # a signalling NaN, which is refused with the others
        return tensor.astype(np.float64)
