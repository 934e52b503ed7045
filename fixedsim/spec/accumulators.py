"""Dot products on Python integers, with the accumulator's width, overflow and order."""

from collections.abc import Iterable, Sequence

from fixedsim.casts import Overflow
from fixedsim.profiles.datapath import Accumulator, Check, Grouping, Order, PartialSums
from fixedsim.spec.casts import narrow, overflow


def products(
    weights: Sequence[int], inputs: Sequence[int], accumulator: Accumulator, shift: int | None = None
) -> list[int]:
    """Return ``weight * input`` in order, each narrowed where the accumulator narrows products.

    ``shift`` stands in for the narrowing's own. Inputs are centred: their zero point is already subtracted.
    """
    exact = [weight * value for weight, value in zip(weights, inputs, strict=True)]
    if accumulator.product is None:
        return exact
    return [narrow(product, accumulator.product, None, shift) for product in exact]


def accumulate(addends: Iterable[int], accumulator: Accumulator, start: int = 0, last: Iterable[int] = ()) -> int:
    """Return ``start``, plus the partial sums of the addends, plus what comes last, in order, as it is held.

    Without levels of partial sums the addends themselves are added. ``start`` is loaded through the accumulator's
    overflow. With ``check`` at each step the overflow acts after every addition, with ``check`` at the end once on the
    exact sum of what the last level leaves; the overflow of a level acts in either case.
    """
    for level in accumulator.partial:
        addends = partial_sums(list(addends), level)
    addends = [*addends, *last]
    if accumulator.check is Check.END:
        return limit(start + sum(addends), accumulator)
    total = limit(start, accumulator)
    for addend in addends:
        total = limit(total + addend, accumulator)
    return total


def partial_sums(addends: Sequence[int], level: PartialSums) -> list[int]:
    """Return the sum of each group of addends in a register of the level's width, in the order of the groups.

    A group without addends, where there are fewer addends than lanes, gives no partial sum.
    """
    add_up = _add_up_tree if level.order is Order.TREE else _add_up_sequence
    return [add_up(group, level) for group in _groups(addends, level)]


def _groups(addends: Sequence[int], level: PartialSums) -> list[Sequence[int]]:
    if level.grouping is Grouping.LANES:
        return [addends[lane :: level.count] for lane in range(min(level.count, len(addends)))]
    size = level.count or max(len(addends), 1)
    return [addends[first : first + size] for first in range(0, len(addends), size)]


def _add_up_sequence(group: Sequence[int], level: PartialSums) -> int:
    """Add one after the other; the first is loaded through the overflow."""
    total = 0
    for addend in group:
        total = overflow(total + addend, level.format, level.overflow)
    return total


def _add_up_tree(group: Sequence[int], level: PartialSums) -> int:
    """Add neighbours in pairs until one is left; the overflow acts on every sum, and on an addend that is alone."""
    if len(group) == 1:
        return overflow(group[0], level.format, level.overflow)
    held = list(group)
    while len(held) > 1:
        sums = [overflow(held[i] + held[i + 1], level.format, level.overflow) for i in range(0, len(held) - 1, 2)]
        held = sums + held[2 * len(sums) :]
    return held[0]


def limit(total: int, accumulator: Accumulator) -> int:
    """Return ``total`` after the accumulator's overflow."""
    return overflow(total, accumulator.format, Overflow(accumulator.overflow))
