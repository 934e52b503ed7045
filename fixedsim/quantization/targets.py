"""Names that overrides by pattern can reach, and the widths that they set."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from fixedsim.errors import InputError
from fixedsim.formats import MAX_BITS, Format
from fixedsim.layers.real_lstm import PROJECTED
from fixedsim.network.description import Description, EmbeddingLayer, Layer, LstmLayer
from fixedsim.patterns import matching

MAX_WIDTH = 16  # of weights and activations
INPUT = "input"  # the network's own input, where it is not tokens
_GATE_CASTS = ("sum", "preactivation", "")
_PEEPHOLE_CASTS = ("peephole_product", "peephole_sum")
_STATES = (".initial.hidden", ".initial.cell")
_CELL_CASTS = ("forget_product", "input_product", "cell", "cell_input", "cell_activation")


def edge_name(layer: Layer) -> str:
    """The name of a layer's output as an activation: ``<lstm>.hidden``, with a projection its, ``<layer>.output``."""
    if not isinstance(layer, LstmLayer):
        return f"{layer.name}.output"
    return f"{layer.name}.hidden" if layer.projection is None else f"{layer.name}.{PROJECTED}"


def activation_names(layer: Layer) -> list[str]:
    """The activations of a layer, its output last: a projection reads one of its own, ``<lstm>.hidden``."""
    inner = [f"{layer.name}.hidden"] if isinstance(layer, LstmLayer) and layer.projection is not None else []
    return [*inner, edge_name(layer)]


def is_weight(name: str) -> bool:
    """Whether a tensor has a width of weights: biases and initial states do not."""
    return not name.endswith(".bias") and not is_state(name)


def is_state(name: str) -> bool:
    """Whether a tensor is an initial state of an LSTM."""
    return name.endswith(_STATES)


def cast_names(layer: LstmLayer) -> list[str]:
    """The casts inside an LSTM whose width can be overridden, of every direction."""
    gates = [f"gate.{gate}.{cast}".rstrip(".") for gate in layer.gates for cast in _GATE_CASTS]
    seen = [f"gate.{gate}.{cast}" for gate in layer.peephole_gates for cast in _PEEPHOLE_CASTS]
    return [f"{direction}.{cast}" for direction in layer.directions for cast in (*gates, *seen, *_CELL_CASTS)]


class Widths:
    """The width of everything: defaults, and overrides by pattern, of which the last that matches counts.

    Raises:
        InputError: a pattern that matches nothing, or bits out of range (1..16 for weights and activations, 1..64 for
            biases and casts inside a layer).
    """

    def __init__(
        self, description: Description, weight_bits: int, activation_bits: int, overrides: Mapping[str, int]
    ) -> None:
        _require("weight_bits", weight_bits, MAX_WIDTH)
        _require("activation_bits", activation_bits, MAX_WIDTH)
        biases = [name for name in description.tensors() if name.endswith(".bias")]
        weights = [name for name in description.tensors() if is_weight(name)]
        self._activations = [INPUT, *(name for layer in description.layers for name in activation_names(layer))]
        inner = [name for layer in description.lstm_layers for name in cast_names(layer)]
        self._limits = dict.fromkeys([*weights, *self._activations], MAX_WIDTH) | dict.fromkeys(
            [*biases, *inner], MAX_BITS
        )
        if not isinstance(description.layers[0], EmbeddingLayer):
            self._limits.setdefault(INPUT, MAX_WIDTH)
        else:
            del self._limits[INPUT]
        self._defaults = dict.fromkeys(weights, weight_bits) | dict.fromkeys(self._activations, activation_bits)
        self.overridden = self._expand(overrides)

    def _expand(self, overrides: Mapping[str, int]) -> dict[str, int]:
        found: dict[str, int] = {}
        for pattern, bits in overrides.items():
            for name in sorted(matching(pattern, list(self._limits), "bits pattern")):
                _require(f"bits of {name}", bits, self._limits[name])
                found[name] = bits
        return found

    def __getitem__(self, name: str) -> int:
        return self.overridden.get(name, self._defaults[name])

    def override(self, name: str) -> int | None:
        """The width that a pattern set, or None."""
        return self.overridden.get(name)

    def resized(self, name: str, form: Format) -> Format:
        """``form``, or the format over the same range with the width that a pattern set."""
        bits = self.override(name)
        return form if bits is None else resize(form, bits)


def resize(form: Format, bits: int) -> Format:
    """The format of ``bits`` bits over the same real range: fraction bits come or go."""
    scale = form.scale * Fraction(2) ** (form.bits - bits)
    return replace(Format.integer(bits, signed=form.signed), scale=scale, zero_point=form.zero_point)


def _require(what: str, bits: int, limit: int) -> None:
    if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits <= limit:
        raise InputError(f"{what} must be in 1..{limit}, not {bits}")
