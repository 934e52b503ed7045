"""The Bit-RNN rule in real numbers (He et al. 2016, "Effective Quantization Methods for Recurrent Neural Networks").

The same bits on every machine: element-wise IEEE operations, a tanh of our own, and exactly rounded sums.
``round_k(x) = round(x * (2**k - 1)) / (2**k - 1)`` on [0, 1], ties to even.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from fixedsim.layers.real import Real
from fixedsim.network.description import BitRnnRule, Description, EmbeddingLayer, Layer, LstmLayer
from fixedsim.tables import deterministic_tanh

SPREAD = 2.5  # scale of the weights over the mean of |tanh(weight)|


def round_unit(x: Real, bits: int) -> Real:
    """``round_k(min(max(x, 0), 1))`` with ``k = bits``: round half to even, saturating at both ends."""
    top = float((1 << bits) - 1)
    rounded: Real = np.rint(np.clip(x, 0, 1) * top) / top
    return rounded


def weight_scale(tensors: Sequence[Real]) -> float:
    """``2.5 * mean(|tanh(w)|)`` over all elements of all tensors together, in float64, the sum exactly rounded."""
    magnitudes = (np.abs(deterministic_tanh(tensor.astype(np.float64))).reshape(-1).tolist() for tensor in tensors)
    return SPREAD * math.fsum(chain.from_iterable(magnitudes)) / sum(tensor.size for tensor in tensors)


def quantize_weight(tensor: Real, scale: float, bits: int) -> Real:
    """``scale * (round_k(clip(tanh(w) / scale, -1/2, 1/2) + 1/2) - 1/2)`` in float64: ``2**bits`` levels, none zero.

    A scale of zero, of weights that are all zero, gives zeros.
    """
    if scale == 0:
        return np.zeros(tensor.shape)
    ratio = deterministic_tanh(tensor.astype(np.float64)) / scale
    return scale * (round_unit(np.clip(ratio, -0.5, 0.5) + 0.5, bits) - 0.5)


def weight_groups(layer: Layer) -> tuple[tuple[str, ...], ...]:
    """The names of the tensors that share a scale: each direction's input and recurrent weight, a linear's own.

    An embedding has none: its output is rounded to activation bits. Biases stay real.
    """
    if isinstance(layer, EmbeddingLayer):
        return ()
    if isinstance(layer, LstmLayer):
        return tuple((f"{way}.input.weight", f"{way}.recurrent.weight") for way in layer.directions)
    return ((f"{layer.name}.weight",),)


def quantized_weights(description: Description, weights: Mapping[str, Real], rule: BitRnnRule) -> dict[str, Real]:
    """Every weight that the rule quantizes, by canonical name, and the rounded rows of an embedding, in float64.

    In float64 whatever the run's dtype, so that no code depends on it.
    """
    quantized: dict[str, Real] = {}
    for layer in description.layers:
        if isinstance(layer, EmbeddingLayer):
            name = f"{layer.name}.weight"
            quantized[name] = round_unit(weights[name].astype(np.float64), rule.activation_bits)
    for group in (names for layer in description.layers for names in weight_groups(layer)):
        scale = weight_scale([weights[name] for name in group])
        quantized |= {name: quantize_weight(weights[name], scale, rule.weight_bits) for name in group}
    return quantized
