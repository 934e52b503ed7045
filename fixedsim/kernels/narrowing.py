"""The narrowing of one integer: ``format <- value * multiplier / 2**shift``, rounded, with its overflow.

A narrowing stands in a vector of :data:`NARROWING_FIELDS` 64-bit integers, at the positions named here. Inner loops
take its fields as a tuple: an array handed to a function in a loop costs more than the arithmetic.
"""

import numpy as np
import numpy.typing as npt

from fixedsim.kernels import wide
from fixedsim.kernels.compilation import compiled, inlined

Vector = npt.NDArray[np.int64]
Fields = Vector | tuple[int, ...]

MULTIPLIER, SHIFT, FORM, ROUNDING, OVERFLOW, BITS, RAW_MIN, RAW_MAX, RAW_STEP, ZERO_POINT = range(10)
NARROWING_FIELDS = 10

SINGLE, DOUBLING = 0, 1  # forms
ALWAYS_WIDE = 2  # added to a form whose format has steps of 2 or a zero point beyond NEAR_ZERO_POINT
NEAR_ZERO_POINT = 1 << 61

FLOOR, TOWARD_ZERO, HALF_UP, HALF_DOWN, HALF_AWAY, HALF_TOWARD_ZERO, HALF_EVEN, HALF_ODD = range(8)
WRAP, SATURATE, SATURATE_SYMMETRIC, SATURATE_ZERO = range(4)

HIGHEST = (1 << 63) - 1
ROOM = 1 << 62  # magnitudes up to here can be rounded in one word


@compiled
def unpack(packed: Vector) -> tuple[int, ...]:
    """Return the fields of a narrowing as a tuple."""
    return (
        packed[MULTIPLIER],
        packed[SHIFT],
        packed[FORM],
        packed[ROUNDING],
        packed[OVERFLOW],
        packed[BITS],
        packed[RAW_MIN],
        packed[RAW_MAX],
        packed[RAW_STEP],
        packed[ZERO_POINT],
    )


@inlined
def round_shift(value: int, shift: int, rounding: int) -> int:
    """Return ``value / 2**shift`` rounded, for ``abs(value) <= 2**62`` and ``0 <= shift <= 62``."""
    if shift == 0:
        return value
    if rounding == FLOOR:
        return value >> shift
    half = 1 << (shift - 1)
    if rounding == HALF_UP:
        return (value + half) >> shift
    sign = value >> 63  # -1 below zero, else 0
    if rounding == TOWARD_ZERO:
        return (value + (sign & (half + (half - 1)))) >> shift
    if rounding == HALF_DOWN:
        return (value + half - 1) >> shift
    if rounding == HALF_AWAY:
        return (value + half + sign) >> shift
    if rounding == HALF_TOWARD_ZERO:
        return (value + half - 1 - sign) >> shift
    odd = (value >> shift) & 1
    if rounding == HALF_EVEN:
        return (value + half - 1 + odd) >> shift
    return (value + half - odd) >> shift


@compiled
def rounds_up(rounding: int, half: int, rest: int, negative: bool, odd: int) -> bool:
    """Return whether the floor is rounded up, from the highest dropped bit and whether a lower one is set."""
    if rounding == FLOOR:
        return False
    if rounding == TOWARD_ZERO:
        return negative and (half | rest) != 0
    if half == 0:
        return False
    if rounding == HALF_UP or rest != 0:
        return True
    if rounding == HALF_AWAY:
        return not negative
    if rounding == HALF_TOWARD_ZERO:
        return negative
    if rounding == HALF_EVEN:
        return odd == 1
    return rounding == HALF_ODD and odd == 0


@compiled
def wrap(raw: int, bits: int, lowest: int, highest: int) -> int:
    """Return the integer of the full range ``lowest .. highest`` that has the low ``bits`` bits of ``raw``."""
    if bits == 64:
        return raw
    mask = HIGHEST >> (63 - bits)
    raw &= mask
    return raw - mask - 1 if raw > highest else raw


@compiled
def overflowed(raw: int, over: int, lowest: int, highest: int, packed: Fields) -> int:
    """Return what becomes of ``raw``, which is below (``over`` -1) or above (1) the range: ``spec.casts.overflow``."""
    if packed[OVERFLOW] == WRAP:
        return wrap(raw, packed[BITS], lowest, highest)
    if packed[OVERFLOW] == SATURATE_ZERO:
        return packed[ZERO_POINT]
    return highest if over > 0 else lowest


@inlined
def limit(raw: int, packed: Fields) -> tuple[int, int]:
    """Return ``raw`` after the overflow of a format of step 1, and -1, 0 or 1 where it acted low, not, or high."""
    lowest, highest = packed[RAW_MIN], packed[RAW_MAX]
    if raw > highest:
        return overflowed(raw, 1, lowest, highest, packed), 1
    if raw < lowest:
        return overflowed(raw, -1, lowest, highest, packed), -1
    return raw, 0


@compiled
def limit_wide(high: int, low: int, lowest: int, highest: int, packed: Fields) -> tuple[int, int]:
    """Return what :func:`limit` returns, of an integer in two limbs and the range ``lowest .. highest``."""
    raw = wide.low_word(high, low)
    if high >= 1 << 31 or (high >= -(1 << 31) and raw > highest):
        return overflowed(raw, 1, lowest, highest, packed), 1
    if high < -(1 << 31) or raw < lowest:
        return overflowed(raw, -1, lowest, highest, packed), -1
    return raw, 0


@compiled
def narrow_wide(value: int, multiplier: int, shift: int, packed: Fields) -> tuple[int, int]:
    """Return what :func:`narrow` returns, for every 64-bit value."""
    high, low = wide.product(value, multiplier)
    if packed[FORM] & DOUBLING and shift > 0:
        first = min(shift, 31)
        high, low, half, rest = wide.shift_right(high, low, first)
        high, low = wide.add(high, low, half)
        shift -= first
    high, low = wide.shift_left(high, low, -shift)
    high, low, half, rest = wide.shift_right(high, low, shift)
    if packed[RAW_STEP] == 2:
        return narrow_odd(high, low, half | rest, packed)
    if rounds_up(packed[ROUNDING], half, rest, high < 0, low & 1):
        high, low = wide.add(high, low, 1)
    high, low = wide.add(high, low, packed[ZERO_POINT])
    return limit_wide(high, low, packed[RAW_MIN], packed[RAW_MAX], packed)


@compiled
def narrow_odd(high: int, low: int, rest: int, packed: Fields) -> tuple[int, int]:
    """Return the raw of step 2 for an integer and whether bits below it were dropped; decided on the code."""
    high, low = wide.add(high, low, packed[ZERO_POINT])
    high, low = wide.subtract(high, low, packed[RAW_MIN])
    high, low, half, _ = wide.shift_right(high, low, 1)
    if rounds_up(packed[ROUNDING], half, rest, high < 0, low & 1):
        high, low = wide.add(high, low, 1)
    code, over = limit_wide(high, low, 0, HIGHEST >> (63 - packed[BITS]), packed)
    return packed[RAW_MIN] + code + code, over


@inlined
def fits(value: int, multiplier: int, shift: int) -> bool:
    """Return whether ``value * multiplier * 2**max(-shift, 0)`` leaves room to be rounded in one word."""
    room = ROOM if multiplier == 1 else 1 << 31
    inside = -room <= value <= room
    scaled = value * multiplier if inside else 0
    bound = ROOM >> max(-shift, 0)
    return inside & (-bound <= scaled) & (scaled <= bound)


@compiled
def narrow(value: int, multiplier: int, shift: int, packed: Fields) -> tuple[int, int]:
    """Return ``value * multiplier / 2**shift`` narrowed, and -1, 0 or 1 where the overflow acted low, not, or high.

    For every 64-bit value, ``abs(multiplier) < 2**32``, ``abs(shift) <= 62``. A lowest raw that ``saturate_symmetric``
    changes counts as low. See ``spec.casts.narrow``.
    """
    if packed[FORM] >= ALWAYS_WIDE or not fits(value, multiplier, shift):
        return narrow_wide(value, multiplier, shift, packed)
    scaled = (value * multiplier) << max(-shift, 0)
    shift = max(shift, 0)
    if packed[FORM] == DOUBLING:
        first = min(shift, 31)
        scaled = round_shift(scaled, first, HALF_UP)
        shift -= first
    return limit(round_shift(scaled, shift, packed[ROUNDING]) + packed[ZERO_POINT], packed)
