"""Which layers become wider, and the description of the network that they make."""

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from fixedsim.errors import InputError, NetworkError
from fixedsim.network import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer
from fixedsim.patterns import matching


def widened_description(description: Description, factors: Mapping[str, float]) -> Description:
    """The network with ``round(factor * width)`` outputs, units or features in the layers that the patterns name.

    Widths are rounded to the nearest integer, a half up. The next layer's inputs follow. The last layer keeps its
    width, for its outputs are the network's; a pattern passes it by.

    Args:
        description: the network.
        factors: factor by pattern over layers, at least 1.

    Raises:
        InputError: a factor below 1 or not finite, a pattern that names no layer or only the last one, or two
            patterns that give one layer two factors.
        NetworkError: a layer that would be too large.
    """
    by_layer = layer_factors(description, factors)
    layers: list[Layer] = []
    for layer in description.layers:
        inputs = layers[-1].output_width if layers else None
        layers.append(_widened(layer, by_layer.get(layer.name, 1.0), inputs))
    return replace(description, layers=tuple(layers))


def layer_factors(description: Description, factors: Mapping[str, float]) -> dict[str, float]:
    """The factor of each layer that a pattern names.

    Raises:
        InputError: as :func:`widened_description`.
    """
    names = [layer.name for layer in description.layers]
    found: dict[str, float] = {}
    for pattern, factor in factors.items():
        if not (math.isfinite(factor) and factor >= 1):
            raise InputError(f"factor of {pattern!r} must be at least 1 and finite, not {factor}")
        hits = matching(pattern, names, "widen pattern") - {names[-1]}
        if not hits:
            raise InputError(
                f"widen pattern must name a layer before the last, not {pattern!r}; "
                f"the outputs of {names[-1]!r} are the network's"
            )
        for name in sorted(hits):
            if found.setdefault(name, factor) != factor:
                raise InputError(f"factor of layer {name!r} must be one, not both {found[name]} and {factor}")
    return found


def wider(width: int, factor: float) -> int:
    """``factor * width`` to the nearest integer, a half up; exact for the double that ``factor`` is."""
    return math.floor(Fraction(factor) * width + Fraction(1, 2))


def _widened(layer: Layer, factor: float, inputs: int | None) -> Layer:
    try:
        match layer:
            case EmbeddingLayer():
                return replace(layer, features=wider(layer.features, factor))
            case LinearLayer():
                return replace(layer, inputs=inputs or layer.inputs, outputs=wider(layer.outputs, factor))
            case LstmLayer():
                return replace(layer, inputs=inputs or layer.inputs, units=wider(layer.units, factor))
    except NetworkError as error:
        raise NetworkError(f"widened by {factor}: {error}") from None
