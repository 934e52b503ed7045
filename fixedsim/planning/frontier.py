"""Bits against width: how wide layers can be at each weight width within one size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fixedsim.accounting import Memory
from fixedsim.errors import InputError, NetworkError
from fixedsim.network import Description, Layer, LstmLayer
from fixedsim.planning.size import Costs
from fixedsim.widening import widened_description


@dataclass(frozen=True)
class Point:
    """A network with weights of ``bits``, one width for all or one for each layer, and some layers ``factor`` wider."""

    bits: int | Mapping[str, int]
    factor: float
    widths: Mapping[str, int]  # outputs of each layer that was chosen to be wider
    size: int  # in bytes or blocks
    memory: Memory


def point(
    description: Description, layers: Sequence[str], bits: int | Mapping[str, int], factor: float, costs: Costs
) -> Point:
    """The network with the named ``layers`` ``factor`` times as wide.

    Raises:
        InputError, NetworkError: as :func:`fixedsim.memory` and :func:`fixedsim.widened_description`.
    """
    wide = widened_description(description, dict.fromkeys(layers, factor)) if layers else description
    account = costs.account(wide, bits)
    widths = {layer.name: _units(layer) for layer in wide.layers if layer.name in layers}
    return Point(bits, factor, widths, costs.size(account), account)


def widest(
    description: Description, layers: Sequence[str], bits: int | Mapping[str, int], limit: int, costs: Costs
) -> Point | None:
    """The widest network within ``limit`` bytes or blocks, None if even the given one is larger.

    All layers get one factor: a whole number of units of the widest over what it has.

    Raises:
        InputError: nothing that counts grows with the layers.
    """
    narrow = found = point(description, layers, bits, 1.0, costs)
    if narrow.size > limit:
        return None
    if not layers:
        return narrow
    base = max(narrow.widths.values())
    low, high = base, base + 1
    while (tried := _fitting(description, layers, bits, high / base, limit, costs)) is not None:
        found, low, high = tried, high, 2 * high
        if costs.values(tried.memory) == costs.values(narrow.memory):
            raise InputError(f"tensors that count must grow with {', '.join(layers)}, not stay as they are")
    while high - low > 1:
        middle = (low + high) // 2
        tried = _fitting(description, layers, bits, middle / base, limit, costs)
        if tried is None:
            high = middle
        else:
            found, low = tried, middle
    return found


def frontier(
    description: Description, layers: Sequence[str], weight_bits: Sequence[int], limit: int, costs: Costs
) -> tuple[Point, ...]:
    """For each width of the weights that fits into ``limit`` at all the widest network, fewest bits last.

    Raises:
        InputError: as :func:`widest`.
    """
    points = (widest(description, layers, bits, limit, costs) for bits in sorted(weight_bits, reverse=True))
    return tuple(found for found in points if found is not None)


def _units(layer: Layer) -> int:
    return layer.units if isinstance(layer, LstmLayer) else layer.output_width


def _fitting(
    description: Description,
    layers: Sequence[str],
    bits: int | Mapping[str, int],
    factor: float,
    limit: int,
    costs: Costs,
) -> Point | None:
    try:
        found = point(description, layers, bits, factor, costs)
    except NetworkError:  # a layer beyond what a network can have
        return None
    return found if found.size <= limit else None
