"""Wider layers that compute the same function: units are copied, and what reads them is shared among the copies.

The scheme is Net2WiderNet's (Chen, Goodfellow and Shlens 2016), carried to LSTMs: the recurrent weights of a unit are
copied with its rows and shared along its columns, so that copies keep equal states.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.errors import InputError
from fixedsim.layers.real import Real
from fixedsim.network import Description, EmbeddingLayer, Layer, LstmLayer, Network
from fixedsim.stimuli import words
from fixedsim.widening.factors import widened_description

Places = NDArray[np.int64]
_FRACTION_BITS = 53  # of a number drawn


@dataclass(frozen=True)
class Widened:
    """A wider network, and where its units come from.

    ``places`` maps each layer to the old unit ``(width,)`` that each of its units copies: the old units stand first,
    the copies after them, spread evenly over the old.
    """

    network: Network
    places: Mapping[str, Places]

    def state(self, state: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
        """The state ``(h, c)``, ``(N, units)`` each, by direction, of the narrow network as the wide one has it.

        Raises:
            InputError: a name that is no direction of an LSTM, or a width that is not the narrow network's.
        """
        known = {direction: layer for layer in self.network.description.lstm_layers for direction in layer.directions}
        wide: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
        for name, (hidden, cell) in state.items():
            if name not in known:
                raise InputError(f"state {name!r} must be of one of {', '.join(known)}, not of another layer")
            own = self.places[known[name].name]
            wide[name] = _copied(name, hidden, _hidden(own, known[name])), _copied(name, cell, own)
        return wide


def _copied(name: str, values: ArrayLike, places: Places) -> NDArray[Any]:
    given, width = np.asarray(values), int(places.max()) + 1
    if given.ndim != 2 or given.shape[1] != width:
        raise InputError(f"state {name!r} must have shape (N, {width}), not {given.shape}")
    return given[:, places]


def widen(network: Network, factors: Mapping[str, float], *, noise: float = 0.0, seed: int = 0) -> Widened:
    """A network with wider layers that computes the same function.

    Each added unit copies an old one: its rows, its bias, in an LSTM all gates, peepholes and its initial state; a
    projection keeps its width. The weights that read a unit
    are divided by its count of copies, in float64, and rounded to their dtype; so the function is the same up to
    rounding, the initial and every later state included.

    Args:
        network: float weights and description.
        factors: factor by pattern over layers, as :func:`widened_description` takes them.
        noise: if not 0, each weight of an added unit's rows gets a number drawn evenly from ``+-noise`` times the root
            mean square of its tensor, so that training can tell copies apart; the function then changes a little.
        seed: of the noise, which is the same on every machine.

    Raises:
        InputError: a factor or a pattern that is not possible, noise that is negative or not finite, a seed outside
            0..2**64 - 1, or a Bit-RNN network: its weights are quantized by a scale that depends on them all, so no
            wider one computes the same function.
        NetworkError: a layer that would be too large.
    """
    description = network.description
    if description.bit_rnn is not None:
        raise InputError(
            f"network must be in floating point to be widened, not {description.name!r} with its Bit-RNN rule: "
            f"the quantized weights would not stay the same; widen its description and train it"
        )
    if not 0 <= noise < float("inf"):
        raise InputError(f"noise must be at least 0 and finite, not {noise}")
    if not 0 <= seed < 1 << 64:
        raise InputError(f"seed must be in 0..2**64 - 1, not {seed}")
    wide = widened_description(description, factors)
    places = _places(description, wide)
    weights = _weights(network, places)
    if noise:
        _add_noise(weights, description, places, noise, seed)
    return Widened(Network(wide, weights), places)


def _places(narrow: Description, wide: Description) -> dict[str, Places]:
    """For each layer the old unit that each unit copies."""
    pairs = zip(narrow.layers, wide.layers, strict=True)
    return {before.name: _spread(_width(before), _width(after)) for before, after in pairs}


def _width(layer: Layer) -> int:
    """How many units a layer has: of both directions of an LSTM, those of one."""
    return layer.units if isinstance(layer, LstmLayer) else layer.output_width


def _spread(old: int, new: int) -> Places:
    added = new - old
    copies = np.arange(added, dtype=np.int64) * old // max(added, 1)
    return np.concatenate([np.arange(old, dtype=np.int64), copies])


def _weights(network: Network, places: Mapping[str, Places]) -> dict[str, Real]:
    weights: dict[str, Real] = {}
    incoming: Places | None = None
    for layer in network.description.layers:
        own = places[layer.name]
        for name in layer.tensors():
            tensor = network.weights[name]
            if isinstance(layer, EmbeddingLayer):
                weights[name] = tensor[:, own]
                continue
            rows, read = _lstm_places(name, layer, own, incoming) if isinstance(layer, LstmLayer) else (own, incoming)
            copied = tensor[rows]
            weights[name] = copied if copied.ndim == 1 or read is None else _shared(copied, read)
        incoming = own
        if isinstance(layer, LstmLayer):
            hidden = _hidden(own, layer)
            incoming = np.concatenate([hidden, layer.hidden_width + hidden]) if layer.bidirectional else hidden
    return weights


def _hidden(places: Places, layer: LstmLayer) -> Places:
    """Where the hidden state comes from: the units copied, or a projection's rows, which stay."""
    return places if layer.projection is None else np.arange(layer.projection, dtype=np.int64)


def _lstm_places(name: str, layer: LstmLayer, own: Places, incoming: Places | None) -> tuple[Places, Places | None]:
    """The rows of a tensor of an LSTM, and what its columns read."""
    match name.rpartition(".")[0].rpartition(".")[2], name.rpartition(".")[2]:
        case "input", "weight":
            return _by_gate(own, layer), incoming
        case "recurrent", "weight":
            return _by_gate(own, layer), _hidden(own, layer)
        case "projection", "weight":
            return _hidden(own, layer), own
        case "initial", "hidden":
            return _hidden(own, layer), None
        case ("peephole", _) | ("initial", _):
            return own, None
        case _:  # the bias
            return _by_gate(own, layer), None


def _by_gate(places: Places, layer: LstmLayer) -> Places:
    """The rows of the copied units in each gate that has rows."""
    return (np.arange(len(layer.gates))[:, None] * layer.units + places).reshape(-1)


def _is_projection(name: str, layer: Layer) -> bool:
    return isinstance(layer, LstmLayer) and name.endswith(".projection.weight")


def _shared(tensor: Real, read: Places) -> Real:
    """Columns copied and divided by how many copies there are, in float64."""
    counts = np.bincount(read)[read]
    shared: Real = (tensor[:, read].astype(np.float64) / counts).astype(tensor.dtype)
    return shared


def _add_noise(
    weights: dict[str, Real], description: Description, places: Mapping[str, Places], noise: float, seed: int
) -> None:
    """Add the noise to the matrices' rows of added units (an embedding's columns), one stream over all tensors."""
    ends = np.cumsum([weights[name].size for name in description.tensors()])
    drawn = words(seed, int(ends[-1])) >> np.uint64(64 - _FRACTION_BITS)
    numbers = np.split(drawn.astype(np.float64) * 2.0 ** (1 - _FRACTION_BITS) - 1, ends[:-1])
    shares = dict(zip(description.tensors(), numbers, strict=True))
    for layer in description.layers:
        added = np.arange(len(places[layer.name])) >= _width(layer)
        for name in layer.tensors():
            tensor = weights[name]
            if tensor.ndim == 1 or _is_projection(name, layer):  # which has no rows of added units
                continue
            moved = added if isinstance(layer, EmbeddingLayer) else np.tile(added, len(tensor) // len(added))[:, None]
            size = noise * float(np.sqrt(np.mean(np.square(tensor, dtype=np.float64))))
            changed = tensor + moved * size * shares[name].reshape(tensor.shape)
            weights[name] = changed.astype(tensor.dtype)
