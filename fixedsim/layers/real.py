"""Functions and products in real numbers: the float reference that the integer layers are measured against.

Everything runs in the dtype of its operands, float64 or float32. Arrays are time first: ``(T, N, features)``.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fixedsim.tables import deterministic_tanh

Real: TypeAlias = NDArray[np.floating[Any]]
Mask: TypeAlias = NDArray[np.bool_]
Activation: TypeAlias = Callable[[Real], Real]
Product: TypeAlias = Callable[[Real, Real], Real]


def identity(x: Real) -> Real:
    """``x``."""
    return x


def relu(x: Real) -> Real:
    """``max(x, 0)``."""
    return np.maximum(x, 0)


def sigmoid(x: Real) -> Real:
    """``1 / (1 + exp(-x))``, without overflow for any finite ``x``."""
    from scipy.special import expit  # takes 0.1 s to import

    return np.asarray(expit(x), dtype=x.dtype)


def tanh(x: Real) -> Real:
    """``tanh(x)``."""
    return np.tanh(x)


def hard_sigmoid(x: Real) -> Real:
    """``min(max(x / 6 + 1/2, 0), 1)``, the form with slope one sixth (PyTorch, Keras 3)."""
    return np.clip(x / 6 + 0.5, 0, 1)


def hard_sigmoid_fifth(x: Real) -> Real:
    """``min(max(x / 5 + 1/2, 0), 1)``, the form with slope one fifth (Keras 2, ONNX)."""
    return np.clip(x / 5 + 0.5, 0, 1)


def hard_tanh(x: Real) -> Real:
    """``min(max(x, -1), 1)``."""
    return np.clip(x, -1, 1)


ACTIVATIONS: Mapping[str, Activation] = {
    "identity": identity,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_fifth": hard_sigmoid_fifth,
    "hard_tanh": hard_tanh,
}


def deterministic_sigmoid(x: Real) -> Real:
    """``1 / (1 + exp(-x))`` with the same bits on every machine: ``1/2 + tanh(x / 2) / 2``, exact to 1e-15."""
    return np.asarray(0.5 + 0.5 * deterministic_tanh(0.5 * x.astype(np.float64)), dtype=x.dtype)


DETERMINISTIC: Mapping[str, Activation] = {
    **ACTIVATIONS,
    "sigmoid": deterministic_sigmoid,
    "tanh": lambda x: np.asarray(deterministic_tanh(x.astype(np.float64)), dtype=x.dtype),
}


def activation(name: str, clip: float | None = None, *, deterministic: bool = False) -> Activation:
    """The element-wise function called ``name``; ``clipped_relu`` is ``min(max(x, 0), clip)``.

    With ``deterministic`` it gives the same bits on every machine, and takes longer.

    Raises:
        KeyError: no activation has that name.
    """
    if name == "clipped_relu":
        return lambda x: np.clip(x, 0, clip)
    return DETERMINISTIC[name] if deterministic else ACTIVATIONS[name]


def matrix_product(inputs: Real, weight: Real) -> Real:
    """``inputs @ weight.T`` for inputs ``(M, K)`` and weight ``(R, K)``, in whatever order is quickest here."""
    product: Real = inputs @ weight.T
    return product


def ordered_product(inputs: Real, weight: Real) -> Real:
    """The same, added in ascending order of ``K`` by element-wise IEEE operations: the same bits on every machine."""
    total = np.zeros((len(inputs), len(weight)), inputs.dtype)
    columns = np.ascontiguousarray(weight.T)
    for position, column in enumerate(columns):
        total += inputs[:, position, None] * column
    return total


def linear_forward(inputs: Real, weight: Real, bias: Real | None, product: Product = matrix_product) -> Real:
    """``inputs @ weight.T + bias``, before any activation.

    Shapes: inputs ``(T, N, inputs)``, weight ``(outputs, inputs)``, bias ``(outputs,)``; result ``(T, N, outputs)``.
    """
    steps, streams, width = inputs.shape
    flat = product(inputs.reshape(steps * streams, width), weight)
    if bias is not None:
        flat += bias
    return flat.reshape(steps, streams, weight.shape[0])
