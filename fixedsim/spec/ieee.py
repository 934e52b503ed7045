"""Floating-point numbers of IEEE 754 on Python integers: ``significand * 2**exponent``, ties to even.

An infinity stands as the power of two at which the numbers end, ``2**128`` or ``2**1024``: beyond every format, and a
multiple of every ``2**bits``. Numbers below the normal range are subnormal, as the standard has them.
"""

from typing import NamedTuple

from fixedsim.casts import Rounding
from fixedsim.spec.elementary import round_shift


class FloatFormat(NamedTuple):
    """A binary interchange format."""

    precision: int  # bits of the significand, the leading one among them
    least_exponent: int  # of the last place of the least subnormal number
    limit: int  # 2**limit is the first power of two that is infinite


class Float(NamedTuple):
    """``significand * 2**exponent``."""

    significand: int
    exponent: int


BINARY32 = FloatFormat(24, -149, 128)
BINARY64 = FloatFormat(53, -1074, 1024)


def nearest_float(significand: int, exponent: int, form: FloatFormat) -> Float:
    """Return ``significand * 2**exponent`` rounded to a number of ``form``, ties to even (IEEE 754, 4.3.1)."""
    excess = max(abs(significand).bit_length() - form.precision, form.least_exponent - exponent, 0)
    rounded = Float(round_shift(significand, excess, Rounding.HALF_EVEN), exponent + excess)
    if rounded.significand and abs(rounded.significand).bit_length() + rounded.exponent > form.limit:
        return Float(1 if significand > 0 else -1, form.limit)
    return rounded


def multiply(left: Float, right: Float, form: FloatFormat) -> Float:
    """Return ``left * right`` rounded to a number of ``form``; an infinity times zero is zero."""
    return nearest_float(left.significand * right.significand, left.exponent + right.exponent, form)
