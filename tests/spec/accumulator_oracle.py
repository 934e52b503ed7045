"""Partial sums a second time, from the text alone: groups by the index of each addend, sums by recursion."""

from collections.abc import Callable, Sequence

from fixedsim.formats import Format
from fixedsim.profiles.datapath import Accumulator, PartialSums
from tests.spec.oracle import contained


def held(level: PartialSums | Accumulator) -> Callable[[int], int]:
    """The overflow of a register: what becomes of a sum."""
    half = 2 ** (level.bits - 1)
    form = Format(level.bits, -half, half - 1)
    return lambda total: contained(total, form, level.overflow)


def partial_sums(addends: Sequence[int], level: PartialSums, keep: Callable[[int], int] | None = None) -> list[int]:
    """Return the partial sums of a level; the last sum of a tree has the largest power of two of leaves on its left.

    ``keep`` stands in for the level's overflow.
    """
    members: dict[int, list[int]] = {}
    for position, addend in enumerate(addends):
        tile = position // level.count if level.count else 0
        members.setdefault(position % level.count if level.grouping == "lanes" else tile, []).append(addend)
    groups = [members[group] for group in sorted(members)]
    keep = keep or held(level)
    if level.order == "sequence":
        return [in_turn(group, keep) for group in groups]
    return [keep(group[0]) if len(group) == 1 else tree(group, keep) for group in groups]


def in_turn(group: Sequence[int], keep: Callable[[int], int]) -> int:
    return keep(group[-1] + in_turn(group[:-1], keep)) if len(group) > 1 else keep(group[0])


def tree(group: Sequence[int], keep: Callable[[int], int]) -> int:
    if len(group) == 1:
        return group[0]
    left = max(2**power for power in range(len(group)) if 2**power < len(group))
    return keep(tree(group[:left], keep) + tree(group[left:], keep))


def leave_levels(addends: Sequence[int], accumulator: Accumulator) -> list[int]:
    """Return what the last level of partial sums leaves."""
    for level in accumulator.partial:
        addends = partial_sums(addends, level)
    return list(addends)


def accumulate(addends: Sequence[int], accumulator: Accumulator, start: int = 0, last: Sequence[int] = ()) -> int:
    """Return the sum of ``start``, the partial sums and what comes last as the accumulator holds it."""
    keep, rest = held(accumulator), [*leave_levels(addends, accumulator), *last]
    if accumulator.check == "end":
        return keep(start + sum(rest))
    return in_turn([start, *rest], keep)
