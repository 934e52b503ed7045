"""Ranges of integers, from which the width of every intermediate value in C is proven."""

from typing import NamedTuple

from fixedsim.casts import Overflow
from fixedsim.errors import ModelError
from fixedsim.formats import Format

INT64_MAX = (1 << 63) - 1
ROOM = 1 << 62  # magnitudes up to here can be rounded in one word


class Span(NamedTuple):
    """The integers ``low .. high``."""

    low: int
    high: int

    @property
    def magnitude(self) -> int:
        """The largest magnitude in it."""
        return max(-self.low, self.high, 0)

    def plus(self, other: "Span") -> "Span":
        """The range of sums."""
        return Span(self.low + other.low, self.high + other.high)

    def less(self, zero_point: int) -> "Span":
        """The range less a zero point."""
        return Span(self.low - zero_point, self.high - zero_point)

    def times(self, other: "Span") -> "Span":
        """The range of products."""
        ends = [left * right for left in self for right in other]
        return Span(min(ends), max(ends))

    def word(self, subject: str) -> "Span":
        """The same range.

        Raises:
            ModelError: 64 bits do not hold it.
        """
        return self.fit(64, subject)

    def fit(self, bits: int, subject: str) -> "Span":
        """The same range.

        Raises:
            ModelError: so many bits of two's complement do not hold it.
        """
        half = 1 << (bits - 1)
        if not -half <= self.low <= self.high < half:
            raise ModelError(f"{subject} must fit {bits} bits, not {self.low}..{self.high}")
        return self


def around(magnitude: int) -> Span:
    """The integers of up to that magnitude."""
    return Span(-magnitude, magnitude)


def of(values: list[int]) -> Span:
    """The range of some integers; that of zero where there are none."""
    return Span(min(values), max(values)) if values else Span(0, 0)


def raws(form: Format) -> Span:
    """The range of the raws of a format."""
    return Span(form.raw_min, form.raw_max)


def centred(form: Format) -> Span:
    """The range of the raws of a format less its zero point."""
    return raws(form).less(form.zero_point)


def kept(form: Format, overflow: Overflow) -> Span:
    """The raws that an overflow leaves as they are."""
    low = form.raw_min
    if overflow is Overflow.SATURATE_SYMMETRIC and form.signed and form.bits > 1 and form.raw_max >= 0:
        low = max(low, -form.raw_max)
    return Span(low, form.raw_max)
