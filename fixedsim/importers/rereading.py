"""Weights that were read under one convention, as they are under another.

Everything here acts on canonical weights: gates stacked in the order input, forget, candidate, output along the rows,
forward before backward. ``order`` is the gate order under which the file was read to get there.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixedsim.importers.conventions import CANONICAL
from fixedsim.network import Description, Layer, LinearLayer, LstmLayer

Array = NDArray[np.floating[Any]]
BiasPairs = Mapping[str, tuple[Array, Array]]
_GATED = ("input.weight", "recurrent.weight", "bias")


class Reread(NamedTuple):
    """A network as it may have been meant: its description, weights, and both parts of each bias that has two.

    ``processing_order``: backward directions hand on their outputs in the order in which they ran. ``swapped_output``:
    the backward half of the last layer's output comes first.
    """

    description: Description
    weights: dict[str, Array]
    bias_pairs: BiasPairs
    processing_order: bool = False
    swapped_output: bool = False


def with_bias(given: Reread, part: int | None) -> Reread:
    """Only the first (0) or second (1) part of biases that have two; no bias at all for None."""
    if part is None:
        biases = {name: np.zeros_like(given.weights[name]) for name, _ in _gated(given.description, ("bias",))}
    else:
        biases = {name: pair[part].astype(given.weights[name].dtype) for name, pair in given.bias_pairs.items()}
    return given._replace(weights=given.weights | biases, bias_pairs={})


def with_order(given: Reread, order: str, other: str) -> Reread:
    """Rows that were read as stacked in ``order``, read as stacked in ``other``."""

    def rows(layer: LstmLayer) -> NDArray[np.intp]:
        gates, before, after = (_without_coupled(text, layer) for text in (CANONICAL, order, other))
        blocks = [gates.index(before[after.index(gate)]) for gate in gates]
        return np.concatenate([np.arange(layer.units) + block * layer.units for block in blocks])

    return _reordered(given, rows)


def interleaved(given: Reread, order: str) -> Reread:
    """Rows that were read as stacked by gate, read as standing unit by unit, the gates of each in ``order``."""

    def rows(layer: LstmLayer) -> NDArray[np.intp]:
        in_file = _rows_in_file(layer, order)
        gates, before = _without_coupled(CANONICAL, layer), _without_coupled(order, layer)
        units = np.arange(layer.units) * len(gates)
        return np.concatenate([in_file[units + before.index(gate)] for gate in gates])

    return _reordered(given, rows)


def transposed_blocks(given: Reread, part: str) -> Reread:
    """Each gate's square block of ``input.weight`` or ``recurrent.weight`` transposed, where blocks are square."""
    changed = {}
    for name, layer in _gated(given.description, (part,)):
        weight = given.weights[name]
        if weight.shape[1] == layer.units:
            blocks = weight.reshape(-1, layer.units, layer.units)
            changed[name] = np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(weight.shape)
    return given._replace(weights=given.weights | changed)


def transposed_kernels(given: Reread, order: str) -> Reread:
    """Input weights that are square over all gates, transposed as they stand in the file."""
    changed = {}
    for name, layer in _gated(given.description, ("input.weight",)):
        weight = given.weights[name]
        if weight.shape[0] == weight.shape[1]:
            in_file = _rows_in_file(layer, order)
            transposed = np.empty_like(weight)
            transposed[in_file] = weight[in_file].T
            changed[name] = transposed
    return given._replace(weights=given.weights | changed)


def transposed_matrices(given: Reread) -> Reread:
    """Square matrices of fully connected layers and projections, transposed."""
    names = [f"{layer.name}.weight" for layer in given.description.layers if isinstance(layer, LinearLayer)]
    names += [name for name in given.weights if name.endswith(".projection.weight")]
    square = [name for name in names if len(set(given.weights[name].shape)) == 1]
    return given._replace(
        weights=given.weights | {name: np.ascontiguousarray(given.weights[name].T) for name in square}
    )


def exchanged_directions(given: Reread) -> Reread:
    """The tensors of forward and backward exchanged in every bidirectional layer."""
    partner = {}
    for layer in given.description.lstm_layers:
        if layer.bidirectional:
            forward, backward = layer.directions
            for name in layer.tensors():
                way, other = (forward, backward) if name.startswith(f"{forward}.") else (backward, forward)
                partner[name] = other + name.removeprefix(way)
    weights = {name: given.weights[partner.get(name, name)] for name in given.weights}
    return given._replace(
        weights=weights,
        bias_pairs={partner.get(name, name): pair for name, pair in given.bias_pairs.items()},
    )


def exchanged_halves(given: Reread) -> Reread:
    """The backward half of each bidirectional layer's output first, for the layer that reads it."""
    layers = given.description.layers
    changed: dict[str, Array] = {}
    for before, layer in pairwise(layers):
        if isinstance(before, LstmLayer) and before.bidirectional:
            for name in _reading(layer):
                first, second = np.split(given.weights[name], 2, axis=1)
                changed[name] = np.concatenate((second, first), axis=1)
    last = isinstance(layers[-1], LstmLayer) and layers[-1].bidirectional
    return given._replace(weights=given.weights | changed, swapped_output=given.swapped_output ^ last)


def with_lstm_layers(given: Reread, change: Callable[[LstmLayer], LstmLayer]) -> Reread:
    """Every LSTM described as ``change`` gives it."""
    layers = tuple(change(layer) if isinstance(layer, LstmLayer) else layer for layer in given.description.layers)
    return given._replace(description=replace(given.description, layers=layers))


def in_processing_order(given: Reread) -> Reread:
    """Backward directions hand on their outputs in the order in which they ran."""
    return given._replace(processing_order=True)


def _gated(description: Description, parts: tuple[str, ...] = _GATED) -> Iterator[tuple[str, LstmLayer]]:
    """The tensors of LSTMs whose rows belong to gates, among ``parts``."""
    for layer in description.lstm_layers:
        tensors = layer.tensors()
        names = (f"{way}.{part}" for way in layer.directions for part in parts)
        yield from ((name, layer) for name in names if name in tensors)


def _reordered(given: Reread, rows: Callable[[LstmLayer], NDArray[np.intp]]) -> Reread:
    """Each tensor with gate rows by the rows that its layer takes."""
    layers = {layer.name: rows(layer) for layer in given.description.lstm_layers}
    changed = {name: given.weights[name][layers[layer.name]] for name, layer in _gated(given.description)}
    owners = dict(_gated(given.description, ("bias",)))
    pairs = {
        name: (first[layers[owners[name].name]], second[layers[owners[name].name]])
        for name, (first, second) in given.bias_pairs.items()
    }
    return given._replace(weights=given.weights | changed, bias_pairs=pairs)


def _rows_in_file(layer: LstmLayer, order: str) -> NDArray[np.intp]:
    """Which canonical row stands at each row of the file."""
    gates = _without_coupled(CANONICAL, layer)
    starts = [gates.index(gate) * layer.units for gate in _without_coupled(order, layer)]
    return np.concatenate([start + np.arange(layer.units) for start in starts])


def _without_coupled(order: str, layer: LstmLayer) -> str:
    return order.replace("i", "") if layer.coupled else order


def _reading(layer: Layer) -> Iterator[str]:
    """The matrices of ``layer`` that multiply its inputs."""
    if isinstance(layer, LstmLayer):
        yield from (f"{way}.input.weight" for way in layer.directions)
    elif isinstance(layer, LinearLayer):
        yield f"{layer.name}.weight"
