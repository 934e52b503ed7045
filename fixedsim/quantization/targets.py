"""Names that overrides by pattern can reach, and the widths that they set."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from fixedsim.errors import InputError
from fixedsim.formats import MAX_BITS, Format
from fixedsim.network.description import Description, EmbeddingLayer, LstmLayer
from fixedsim.patterns import matching
from fixedsim.profiles.datapath import GATES

MAX_WIDTH = 16  # of weights and activations
INPUT = "input"  # the network's own input, where it is not tokens
_GATE_CASTS = ("sum", "preactivation", "")
_CELL_CASTS = ("forget_product", "input_product", "cell", "cell_input", "cell_activation")


def edge_name(layer: object) -> str:
    """The name of a layer's output as an activation: ``<lstm>.hidden``, ``<layer>.output``."""
    name = getattr(layer, "name", "")
    return f"{name}.hidden" if isinstance(layer, LstmLayer) else f"{name}.output"


def cast_names(direction: str) -> list[str]:
    """The casts inside one direction of an LSTM whose width can be overridden."""
    gates = [f"{direction}.gate.{gate}.{cast}".rstrip(".") for gate in GATES for cast in _GATE_CASTS]
    return [*gates, *(f"{direction}.{cast}" for cast in _CELL_CASTS)]


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
        weights = [name for name in description.tensors() if not name.endswith(".bias")]
        self._activations = [INPUT, *(edge_name(layer) for layer in description.layers)]
        inner = [
            name
            for layer in description.lstm_layers
            for direction in layer.directions
            for name in cast_names(direction)
        ]
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
