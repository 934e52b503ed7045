"""Check float weights against a description, and make ready what a run multiplies with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from fixedsim.errors import NetworkError, nearest
from fixedsim.layers.real import Real
from fixedsim.network.bit_rnn import quantized_weights
from fixedsim.network.description import Description, LstmLayer

Weights: TypeAlias = Mapping[str, Real]


def checked_weights(description: Description, weights: Weights) -> Weights:
    """The tensors of ``description`` in its order, as read-only views.

    Raises:
        NetworkError: a tensor is missing, unknown, of another shape or dtype, or not finite.
    """
    shapes = description.tensors()
    for name in weights:
        if name not in shapes:
            raise NetworkError(f"tensor {name!r} must be one of the network's, not unknown{nearest(name, shapes)}")
    return MappingProxyType({name: _checked(name, weights.get(name), shape) for name, shape in shapes.items()})


def _checked(name: str, tensor: Real | None, shape: tuple[int, ...]) -> Real:
    if tensor is None:
        raise NetworkError(f"tensor {name!r} must be given, not missing")
    if tensor.dtype not in (np.float64, np.float32):
        raise NetworkError(f"tensor {name!r} must be float64 or float32, not {tensor.dtype}")
    if tensor.shape != shape:
        raise NetworkError(f"tensor {name!r} must be of shape {shape}, not {tensor.shape}")
    wrong = ~np.isfinite(tensor)
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise NetworkError(
            f"tensor {name!r} must be finite, not {tensor[first]} at {list(first)}; "
            f"{np.count_nonzero(wrong)} of {tensor.size} elements are NaN or infinite"
        )
    view = tensor.view()
    view.flags.writeable = False
    return view


def run_weights(description: Description, weights: Weights, dtype: np.dtype[np.floating]) -> dict[str, Real]:
    """The tensors that a run in ``dtype`` uses: quantized where a Bit-RNN rule says so, forget biases added.

    Both are done in float64 and rounded to ``dtype`` once.
    """
    ready = dict(weights)
    if description.bit_rnn is not None:
        ready |= quantized_weights(description, weights, description.bit_rnn)
    for layer in description.lstm_layers:
        if layer.forget_bias:
            ready |= _forget_biases(layer, weights)
    return {name: tensor.astype(dtype, copy=False) for name, tensor in ready.items()}


def _forget_biases(layer: LstmLayer, weights: Weights) -> dict[str, Real]:
    """Each direction's bias with ``forget_bias`` on the rows of the forget gate."""
    biases: dict[str, Real] = {}
    for direction in layer.directions:
        name = f"{direction}.bias"
        bias = weights[name].astype(np.float64) if layer.bias else np.zeros(len(layer.gates) * layer.units)
        bias[forget_rows(layer)] += layer.forget_bias
        biases[name] = bias
    return biases


def forget_rows(layer: LstmLayer) -> slice:
    """The rows of the forget gate in a bias or a weight matrix."""
    first = layer.gates.index("forget") * layer.units
    return slice(first, first + layer.units)
