"""A layer's description and its canonical weights, in float64, from what the graph has."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.importers.conventions import CANONICAL
from fixedsim.importers.onnx.found import Embedding, Linear, Lstm, LstmDirection
from fixedsim.importers.onnx.limits import Budget
from fixedsim.importers.onnx.values import Array
from fixedsim.network import EmbeddingLayer, Layer, LinearLayer, LstmLayer

Real = NDArray[np.float64]
PEEPHOLE_ORDER = "iof"
_GATES = {"i": "input", "f": "forget", "o": "output"}


class LayerWeights(NamedTuple):
    """A layer, its tensors by canonical name, and both halves of each bias."""

    layer: Layer
    tensors: dict[str, Real]
    bias_pairs: dict[str, tuple[Real, Real]]


def _real(array: Array, budget: Budget) -> Real:
    budget.take(8 * array.size)
    return np.ascontiguousarray(array, np.float64)


def embedding_weights(name: str, node: Embedding, budget: Budget) -> LayerWeights:
    """The layer of an embedding."""
    weight = _real(node.weight, budget)
    return LayerWeights(EmbeddingLayer(name, *weight.shape), {f"{name}.weight": weight}, {})


def linear_weights(name: str, node: Linear, budget: Budget) -> LayerWeights:
    """The layer of a matrix product with its bias and function."""
    outputs, inputs = node.weight.shape
    layer = LinearLayer(name, inputs, outputs, node.activation, node.clip, node.bias is not None)
    tensors = {f"{name}.weight": node.scale * _real(node.weight, budget)}
    if node.bias is not None:
        tensors[f"{name}.bias"] = node.bias_scale * _real(node.bias, budget)
    return LayerWeights(layer, tensors, {})


def lstm_weights(
    name: str, parts: Sequence[tuple[Lstm, LstmDirection]], order: str, steps: str, budget: Budget, forget_bias: float
) -> LayerWeights:
    """The layer of one direction, or of a forward and a backward one; gates stand in the file in ``order``.

    Raises:
        NetworkError: directions that can't be one layer.
    """
    node, direction = parts[0]
    forms = {(part.bias is None, part.peephole is None, part.input.shape) for _, part in parts}
    if len(forms) > 1 or len({each.choices for each, _ in parts}) > 1:
        raise NetworkError(f"layer {name!r}: both directions must have the same choices and sizes, not other ones")
    both = len(parts) == 2
    choices = node.choices
    layer = LstmLayer(
        name,
        inputs=direction.input.shape[1],
        units=choices.units,
        bidirectional=both,
        gate=choices.gate,
        candidate=choices.candidate,
        cell_activation=choices.cell_activation,
        forget_bias=forget_bias,
        bias=direction.bias is not None,
        steps=steps,
        peephole=direction.peephole is not None,
        coupled=choices.coupled,
        clip=choices.clip,
        reverse=not both and direction.backward,
        initial=any(state is not None for _, part in parts for state in part.initial),
    )
    tensors: dict[str, Real] = {}
    pairs: dict[str, tuple[Real, Real]] = {}
    for way, (_, part) in zip(layer.directions, parts, strict=True):
        _add_direction(way, part, layer, order, tensors, pairs, budget)
    return LayerWeights(layer, tensors, pairs)


def _add_direction(
    way: str,
    part: LstmDirection,
    layer: LstmLayer,
    order: str,
    tensors: dict[str, Real],
    pairs: dict[str, tuple[Real, Real]],
    budget: Budget,
) -> None:
    def rows(array: Array) -> Real:
        return _gate_rows(_real(array, budget), order, layer.coupled)

    tensors[f"{way}.input.weight"], tensors[f"{way}.recurrent.weight"] = rows(part.input), rows(part.recurrent)
    if part.bias is not None:
        first, second = rows(part.bias[0]), rows(part.bias[1])
        pairs[f"{way}.bias"] = (first, second)
        tensors[f"{way}.bias"] = first + second
    if part.peephole is not None:
        tensors |= _peepholes(way, _real(part.peephole, budget), layer.coupled)
    if layer.initial:
        for what, state in zip(("hidden", "cell"), part.initial, strict=True):
            tensors[f"{way}.initial.{what}"] = np.zeros(layer.units) if state is None else _real(state, budget)


def _gate_rows(stacked: Real, order: str, coupled: bool) -> Real:
    """Rows by gate in canonical order; coupled, forget is one minus the file's input gate, so its rows are negated."""
    blocks = dict(zip(order, np.split(stacked, len(order)), strict=True))
    if coupled:
        return np.concatenate([-blocks["i"], blocks["g"], blocks["o"]])
    return np.concatenate([blocks[gate] for gate in CANONICAL])


def _peepholes(way: str, stacked: Real, coupled: bool) -> dict[str, Real]:
    blocks: dict[str, Any] = dict(zip(PEEPHOLE_ORDER, np.split(stacked, 3), strict=True))
    if coupled:
        return {f"{way}.peephole.forget": -blocks["i"], f"{way}.peephole.output": blocks["o"]}
    return {f"{way}.peephole.{_GATES[gate]}": blocks[gate] for gate in "ifo"}
