"""Ranges of integers, and the bounds of partial sums: proven for every input of the inputs' formats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import INT64
from fixedsim.casts import Overflow
from fixedsim.errors import ModelError
from fixedsim.formats import Format, bits_for
from fixedsim.profiles.datapath import Grouping, Order, PartialSums


@dataclass(frozen=True)
class Range:
    """The lowest and highest integer that each row can reach (Python integers or arrays of them)."""

    low: Any
    high: Any

    @staticmethod
    def joined(parts: "Sequence[Range]") -> "Range":
        """The ranges of the rows of every part, one after the other."""
        return Range(np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]))

    def union(self, other: "Range") -> "Range":
        """The range that holds both."""
        return Range(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def plus(self, other: "Range") -> "Range":
        """The range of sums."""
        return Range(self.low + other.low, self.high + other.high)

    def within(self, form: Format, overflow: Overflow = Overflow.SATURATE) -> bool:
        """Whether every row stays within the raws of ``form`` that the overflow leaves as they are."""
        kept = unchanged(form, overflow)
        return bool(np.all(self.low >= kept.low) and np.all(self.high <= kept.high))

    def bits(self, overflow: Overflow = Overflow.SATURATE) -> NDArray[np.int64]:
        """The least two's complement width at which the overflow leaves each row as it is."""
        held = self
        if overflow is Overflow.SATURATE_SYMMETRIC:  # which changes the lowest raw of each width
            held = Range(np.minimum(self.low, -self.high), np.maximum(self.high, -self.low))
        pairs = zip(np.atleast_1d(held.low).tolist(), np.atleast_1d(held.high).tolist(), strict=True)
        return np.array([bits_for(low, high) for low, high in pairs], dtype=np.int64)

    @property
    def magnitude(self) -> int:
        """The largest magnitude over all rows."""
        return max(abs(int(np.min(self.low))), abs(int(np.max(self.high))))


def format_range(form: Format, *, centred: bool = False) -> Range:
    """The raws of a format, less its zero point if ``centred``."""
    shift = form.zero_point if centred else 0
    return Range(form.raw_min - shift, form.raw_max - shift)


def unchanged(form: Format, overflow: Overflow) -> Range:
    """The raws that an overflow leaves as they are: all of the format, but for the lowest of a symmetric one."""
    symmetric = overflow is Overflow.SATURATE_SYMMETRIC and form.signed and form.bits > 1 and form.raw_max >= 0
    return Range(max(form.raw_min, -form.raw_max) if symmetric else form.raw_min, form.raw_max)


def require_int64(values: Range, subject: str) -> None:
    """Refuse what 64-bit words could not hold exactly.

    Raises:
        ModelError: the range goes past a signed 64-bit integer.
    """
    if not values.within(INT64):
        widest = int(np.max(values.bits()))
        raise ModelError(f"{subject} must fit 64 bits, not {widest}; choose narrower formats for what enters it")


def product_range(first: Range, second: Range) -> Range:
    """The range of products of two scalars' ranges."""
    corners = [a * b for a in (int(first.low), int(first.high)) for b in (int(second.low), int(second.high))]
    return Range(min(corners), max(corners))


def running(terms: Range) -> tuple[Range, Range]:
    """The range of the whole sum of terms ``(rows, terms)``, and the one that holds 0 and every sum on the way.

    Terms vary independently of each other.
    """
    total = Range(*(np.sum(end, axis=1).astype(object) for end in (terms.low, terms.high)))
    if np.all(terms.low <= 0) and np.all(terms.high >= 0):  # then no prefix goes further than the whole
        return total, total
    low, high = (np.cumsum(end, axis=1) for end in (terms.low, terms.high))
    return total, Range(np.min(low, axis=1, initial=0).astype(object), np.max(high, axis=1, initial=0).astype(object))


def partial_ranges(addends: Range, level: PartialSums) -> tuple[Range, Range]:
    """The ranges of the partial sums ``(rows, groups)`` of addends ``(rows, addends)``, and of what the registers see.

    The latter ``(rows,)`` holds 0 and every sum of every group, as if the overflow never acted. A partial sum of a
    group in which it may act is any integer that can come out of it. The magnitudes of a row's partial sums together
    never exceed those of its addends.
    """
    sizes = _group_sizes(np.shape(addends.low)[1], level)
    grouped = Range(_grouped(addends.low, sizes, level), _grouped(addends.high, sizes, level))
    total, entering = (_tree if level.order is Order.TREE else _sequence)(grouped, sizes)
    kept = unchanged(level.format, level.overflow)
    exact = (entering.low >= kept.low) & (entering.high <= kept.high)
    sums = Range(np.where(exact, total.low, kept.low), np.where(exact, total.high, kept.high))
    return sums, Range(np.min(entering.low, axis=1, initial=0), np.max(entering.high, axis=1, initial=0))


def _group_sizes(addends: int, level: PartialSums) -> NDArray[np.int64]:
    """How many addends each group has that has any."""
    if level.grouping is Grouping.LANES:
        return np.array([len(range(lane, addends, level.count)) for lane in range(min(level.count, addends))], np.int64)
    size = level.count or max(addends, 1)
    return np.array([min(size, addends - first) for first in range(0, addends, size)], np.int64)


def _grouped(terms: Any, sizes: NDArray[np.int64], level: PartialSums) -> Any:
    """Terms ``(rows, terms)`` as ``(rows, groups, largest group)``, with zeros after those of a smaller group."""
    groups, largest = len(sizes), int(np.max(sizes, initial=1))
    padded = np.zeros((len(terms), groups * largest), dtype=terms.dtype)
    padded[:, : terms.shape[1]] = terms
    if level.grouping is Grouping.LANES:
        return padded.reshape(len(terms), largest, groups).swapaxes(1, 2)
    return padded.reshape(len(terms), groups, largest)


def _sequence(grouped: Range, sizes: NDArray[np.int64]) -> tuple[Range, Range]:
    """The range of each group's sum, and of every sum on the way to it; zeros after a group add nothing."""
    low, high = (np.cumsum(end, axis=2) for end in (grouped.low, grouped.high))
    return Range(low[:, :, -1], high[:, :, -1]), Range(np.min(low, axis=2), np.max(high, axis=2))


def _tree(grouped: Range, sizes: NDArray[np.int64]) -> tuple[Range, Range]:
    """The range of each group's sum, and of every sum of neighbours; an addend that moves up is no sum."""
    total = Range(np.sum(grouped.low, axis=2), np.sum(grouped.high, axis=2))
    entering = total
    low, high, left = grouped.low, grouped.high, sizes
    while low.shape[2] > 1:
        low, high = _pairs(low), _pairs(high)
        added = 2 * np.arange(low.shape[2]) + 1 < left[:, None]
        lowest = np.min(np.where(added, low, total.low[:, :, None]), axis=2)
        highest = np.max(np.where(added, high, total.high[:, :, None]), axis=2)
        entering = entering.union(Range(lowest, highest))
        left = (left + 1) // 2
    return total, entering


def _pairs(terms: Any) -> Any:
    """The sums of neighbours along the last axis; an odd one out stays as it is."""
    even = terms[:, :, 0::2].copy()
    odd = terms[:, :, 1::2]
    even[:, :, : odd.shape[2]] += odd
    return even
