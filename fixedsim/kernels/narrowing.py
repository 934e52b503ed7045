"""The narrowing of one integer: ``format <- value * multiplier / 2**shift``, rounded, with its overflow.

A narrowing stands in a vector of :data:`NARROWING_FIELDS` 64-bit integers, at the positions named here. Inner loops
take its fields as a tuple: an array handed to a function in a loop costs more than the arithmetic.
"""

import numpy as np
import numpy.typing as npt

from fixedsim.kernels import primitives, wide
from fixedsim.kernels.compilation import compiled, inlined

Vector = npt.NDArray[np.int64]
Fields = Vector | tuple[int, ...]

MULTIPLIER, SHIFT, FORM, ROUNDING, OVERFLOW, BITS, RAW_MIN, RAW_MAX, RAW_STEP, ZERO_POINT = range(10)
PRIMITIVE, SATURATED_BITS, GUARD_BITS = range(10, 13)
NARROWING_FIELDS = 13

SINGLE, DOUBLING = 0, 1  # forms
ALWAYS_WIDE = 2  # added to a form that only narrow_wide carries out, such as every primitive and raws of step 2
NEAR_ZERO_POINT = 1 << 61

FLOOR, TOWARD_ZERO, HALF_UP, HALF_DOWN, HALF_AWAY, HALF_TOWARD_ZERO, HALF_EVEN, HALF_ODD = range(8)
WRAP, SATURATE, SATURATE_SYMMETRIC, SATURATE_ZERO, WRAP_SIGN_MAGNITUDE = range(5)
NO_PRIMITIVE, REPAIR_SIGN, REPAIR_SIGN_FIRST, VHDL_RESIZE, VHDL_RESIZE_MAGNITUDE, FLOAT32, FLOAT64 = range(7)

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
        packed[PRIMITIVE],
        packed[SATURATED_BITS],
        packed[GUARD_BITS],
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
def saturate_high_bits(raw: int, end: int, kept: int) -> int:
    """Return the bits of ``end`` with its low ``kept`` bits (0 .. 63) replaced by those of ``raw``."""
    mask = HIGHEST >> (63 - kept)
    return end - (end & mask) + (raw & mask)


@compiled
def wrap_sign_magnitude(
    raw: int, over: int, dropped: int, saturated_bits: int, bits: int, lowest: int, highest: int
) -> int:
    """Return ``spec.elementary.wrap_sign_magnitude`` of ``raw``, which overflows, from its first dropped bit."""
    negative = over < 0
    if saturated_bits < 2:
        wrapped = wrap(raw, bits, lowest, highest)
        wanted = negative if saturated_bits != 0 else dropped == 1
        return wrapped if (wrapped < 0) == wanted else ~wrapped
    kept = bits - saturated_bits
    inverted = ((raw >> kept) & 1 == 1) == negative
    return saturate_high_bits(~raw if inverted else raw, lowest if negative else highest, kept)


@compiled
def overflowed(raw: int, over: int, dropped: int, lowest: int, highest: int, packed: Fields) -> int:
    """Return what becomes of ``raw``, which is below (``over`` -1) or above (1) the range: ``spec.casts.overflow``.

    ``dropped`` is bit ``bits`` of what was rounded.
    """
    mode, bits, count = packed[OVERFLOW], packed[BITS], packed[SATURATED_BITS]
    if mode == WRAP:
        if count == 0:
            return wrap(raw, bits, lowest, highest)
        return saturate_high_bits(raw, lowest if over < 0 and lowest < 0 else highest, bits - count)
    if mode == WRAP_SIGN_MAGNITUDE:
        return wrap_sign_magnitude(raw, over, dropped, count, bits, lowest, highest)
    if mode == SATURATE_ZERO:
        return packed[ZERO_POINT]
    return highest if over > 0 else lowest


@inlined
def limit(raw: int, packed: Fields) -> tuple[int, int]:
    """Return ``raw`` after the overflow of a format of step 1, and -1, 0 or 1 where it acted low, not, or high."""
    lowest, highest = packed[RAW_MIN], packed[RAW_MAX]
    if raw > highest:
        return overflowed(raw, 1, (raw >> min(packed[BITS], 63)) & 1, lowest, highest, packed), 1
    if raw < lowest:
        return overflowed(raw, -1, (raw >> min(packed[BITS], 63)) & 1, lowest, highest, packed), -1
    return raw, 0


@compiled
def limit_wide(high: int, low: int, dropped: int, lowest: int, highest: int, packed: Fields) -> tuple[int, int]:
    """Return what :func:`limit` returns, of an integer in two limbs and the range ``lowest .. highest``."""
    raw = wide.low_word(high, low)
    if high >= 1 << 31 or (high >= -(1 << 31) and raw > highest):
        return overflowed(raw, 1, dropped, lowest, highest, packed), 1
    if high < -(1 << 31) or raw < lowest:
        return overflowed(raw, -1, dropped, lowest, highest, packed), -1
    return raw, 0


@compiled
def narrow_wide(value: int, multiplier: int, shift: int, packed: Fields) -> tuple[int, int]:
    """Return what :func:`narrow` returns, for every 64-bit value."""
    primitive = packed[PRIMITIVE]
    if primitive >= FLOAT32:
        significand, shift = primitives.float_product(value, multiplier, shift, primitive == FLOAT32)
        high, low = significand >> 32, significand & wide.LIMB
    else:
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
    if primitive != NO_PRIMITIVE and primitive < FLOAT32:
        return narrow_primitive(high, low, half, rest, value < 0, packed)
    up = 1 if rounds_up(packed[ROUNDING], half, rest, high < 0, low & 1) else 0
    high, low = wide.add(high, low, packed[ZERO_POINT])
    dropped = wide.bit(high, low, packed[BITS])
    high, low = wide.add(high, low, up)
    return limit_wide(high, low, dropped, packed[RAW_MIN], packed[RAW_MAX], packed)


@compiled
def narrow_primitive(high: int, low: int, half: int, rest: int, negative: bool, packed: Fields) -> tuple[int, int]:
    """Return the raw of a primitive on integers for a floor and what was dropped below it: ``spec.primitives``.

    The overflow counts where the rounded value, plus the zero point that the primitive adds, is no raw.
    """
    primitive, bits = packed[PRIMITIVE], packed[BITS]
    if primitive in (REPAIR_SIGN, REPAIR_SIGN_FIRST):
        drops, first = 1 if half | rest != 0 else 0, primitive == REPAIR_SIGN_FIRST
        raw = primitives.repaired_sign(wide.low_word(high, low), drops, negative, bits, first)
        high, low = wide.add(high, low, drops if negative else 0)
    else:
        rounding = packed[ROUNDING] if primitive == VHDL_RESIZE else HALF_AWAY
        high, low = wide.add(high, low, 1 if rounds_up(rounding, half, rest, high < 0, low & 1) else 0)
        if primitive == VHDL_RESIZE:
            raw = primitives.guarded(high, low, packed[ZERO_POINT], bits, packed[GUARD_BITS], packed[OVERFLOW] != WRAP)
        else:
            raw = primitives.wrapped_magnitude(wide.low_word(high, low), negative, packed[ZERO_POINT], bits)
        high, low = wide.add(high, low, packed[ZERO_POINT])
    _, over = limit_wide(high, low, 0, packed[RAW_MIN], packed[RAW_MAX], packed)
    return raw, over


@compiled
def narrow_odd(high: int, low: int, rest: int, packed: Fields) -> tuple[int, int]:
    """Return the raw of step 2 for an integer and whether bits below it were dropped; decided on the code."""
    high, low = wide.add(high, low, packed[ZERO_POINT])
    high, low = wide.subtract(high, low, packed[RAW_MIN])
    high, low, half, _ = wide.shift_right(high, low, 1)
    if rounds_up(packed[ROUNDING], half, rest, high < 0, low & 1):
        high, low = wide.add(high, low, 1)
    code, over = limit_wide(high, low, 0, 0, HIGHEST >> (63 - packed[BITS]), packed)
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

    For every 64-bit value, ``abs(multiplier) < 2**32``, ``abs(shift) <= 62`` (of the primitives in floating point
    ``0 < multiplier < 2**53`` and ``abs(shift) <= 900``). A lowest raw that ``saturate_symmetric`` changes counts as
    low. See ``spec.casts.narrow``.
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
