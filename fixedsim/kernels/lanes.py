"""Narrowings of sixteen integers at once, and the products and sums between them.

The constants of a narrowing stand in an array of :data:`LANE_FIELDS` fields, each of them sixteen equal integers, or
one for each row where rows differ: ``stride`` is what lies between two fields. Whether they are of 32 or of 64 bits
says in how many bits the arithmetic is carried out; the caller proves that nothing leaves them. Values are raws less
the zero point of their format. What a narrowing needs at all stands in its flags, so that the rest is skipped.
"""

from typing import Any

import numpy.typing as npt

from fixedsim.kernels.compilation import inlined
from fixedsim.kernels.vector import (
    LANES,
    Lanes,
    anywhere,
    cast_like,
    equal,
    lanes,
    less,
    maximum,
    minimum,
    store,
    where,
)

Constants = npt.NDArray[Any]  # int32 or int64

MULTIPLIER, LEFT, FIRST_HALF, FIRST, REST, HALF, SIGNED, FLIP, ODD, SHIFT, LOW, HIGH, TOP = range(13)
ZERO_POINT, GUARD_LOW, GUARD_HIGH = range(13, 16)
LANE_FIELDS = 16

# Flags: what there is to do.
MULTIPLIES, SHIFTS_LEFT, DOUBLES, ROUNDS, BY_SIGN, BY_ODD = (1 << bit for bit in range(6))
LIMITS, WRAPS, WRAPS_UNSIGNED, ZEROES, REPAIRS, REPAIRS_FIRST = (1 << bit for bit in range(6, 12))
RESIZES, RESIZES_MAGNITUDE = (1 << bit for bit in range(12, 14))
# Groups of them, so that what is rare costs one test.
SCALES = MULTIPLIES | SHIFTS_LEFT | DOUBLES
ROUNDS_BY_VALUE = BY_SIGN | BY_ODD
ENDS_OTHERWISE = WRAPS | WRAPS_UNSIGNED | ZEROES
PRIMITIVES = REPAIRS | REPAIRS_FIRST | RESIZES | RESIZES_MAGNITUDE


@inlined
def round_lanes(value: Lanes, flags: int, constants: Constants, offset: int, stride: int) -> Lanes:
    """Return ``value / 2**shift`` rounded: the floor, and one more where the rest asks for it.

    ``(rest + half + signed * (value < 0) + odd * (floor is odd)) >> shift`` is 0 or 1, and leaves no word.
    """
    shift = lanes(constants, offset + SHIFT * stride)
    floor = value >> shift
    rest = (value & lanes(constants, offset + REST * stride)) + lanes(constants, offset + HALF * stride)
    if flags & ROUNDS_BY_VALUE:
        if flags & BY_SIGN:
            rest = rest + (less(value, value ^ value) & lanes(constants, offset + SIGNED * stride))
        if flags & BY_ODD:
            rest = rest + ((floor ^ lanes(constants, offset + FLIP * stride)) & lanes(constants, offset + ODD * stride))
    return floor + (rest >> shift)


@inlined
def limit_lanes(
    value: Lanes, flags: int, constants: Constants, offset: int, stride: int, counts: Constants, place: int, used: Lanes
) -> Lanes:
    """Return ``value`` after its overflow, which is counted in the lanes ``used``."""
    low, high = lanes(constants, offset + LOW * stride), lanes(constants, offset + HIGH * stride)
    below, above = less(value, low), less(high, value)
    if anywhere(below | above):
        first = place * 2 * LANES
        store(counts, first, lanes(counts, first) - (cast_like(below, counts) & used))
        store(counts, first + LANES, lanes(counts, first + LANES) - (cast_like(above, counts) & used))
    if flags & ENDS_OTHERWISE:
        if flags & WRAPS:
            top = lanes(constants, offset + TOP * stride)
            return (value << top) >> top
        return value & high if flags & WRAPS_UNSIGNED else where(below | above, value ^ value, value)
    return maximum(minimum(value, high), low)


@inlined
def repair_lanes(
    value: Lanes, flags: int, constants: Constants, offset: int, stride: int, counts: Constants, place: int, used: Lanes
) -> Lanes:
    """Return ``value / 2**shift`` wrapped and truncated, with its sign repaired; see ``primitives.repaired_sign``.

    The overflow counts where the truncated value is no raw.
    """
    low, high = lanes(constants, offset + LOW * stride), lanes(constants, offset + HIGH * stride)
    shift, top = lanes(constants, offset + SHIFT * stride), lanes(constants, offset + TOP * stride)
    zero = value ^ value
    floor, negative = value >> shift, less(value, zero)
    one = lanes(constants, offset + ODD * stride)
    drops = where(equal(value & lanes(constants, offset + REST * stride), zero), zero, one)
    limit_lanes(floor + (drops & negative), 0, constants, offset, stride, counts, place, used)
    raw = (floor << top) >> top
    minus = less(raw, zero)
    if flags & REPAIRS_FIRST:
        repaired = where(minus, raw + drops, raw)
        wrong = negative & (minus ^ less(zero, one))
        return where(wrong, low, where(minus & (negative ^ less(zero, one)), high, repaired))
    raw = raw + (drops & minus)
    minus = less(raw, zero)
    return where(minus & (negative ^ less(zero, one)), high, where(negative & less(zero, raw), low, raw))


@inlined
def resize_lanes(
    value: Lanes, flags: int, constants: Constants, offset: int, stride: int, counts: Constants, place: int, used: Lanes
) -> Lanes:
    """Return a rounded value after VHDL's resize; see ``spec.primitives.vhdl_resize`` and ``vhdl_resize_magnitude``.

    ``GUARD_LOW`` and ``GUARD_HIGH`` are what the value saturates to first, or the latter a mask of its magnitude. The
    overflow counts where the value is no raw.
    """
    zero, zero_point = value ^ value, lanes(constants, offset + ZERO_POINT * stride)
    guard, top = lanes(constants, offset + GUARD_HIGH * stride), lanes(constants, offset + TOP * stride)
    limit_lanes(value, 0, constants, offset, stride, counts, place, used)
    if flags & RESIZES_MAGNITUDE:
        sign = less(value, zero)
        held = ((((value ^ sign) - sign) & guard) ^ sign) - sign
    else:
        held = maximum(minimum(value, guard), lanes(constants, offset + GUARD_LOW * stride))
    held = ((held + zero_point) << top) >> top
    raw = held & (lanes(constants, offset + HIGH * stride) + zero_point)
    return raw + (less(held, zero) & (lanes(constants, offset + LOW * stride) + zero_point)) - zero_point


@inlined
def primitive_lanes(
    value: Lanes, flags: int, constants: Constants, offset: int, stride: int, counts: Constants, place: int, used: Lanes
) -> Lanes:
    """Return a scaled value after the rest of a primitive."""
    if flags & (REPAIRS | REPAIRS_FIRST):
        return repair_lanes(value, flags, constants, offset, stride, counts, place, used)
    if flags & ROUNDS:
        value = round_lanes(value, flags, constants, offset, stride)
    return resize_lanes(value, flags, constants, offset, stride, counts, place, used)


@inlined
def narrow_lanes(
    value: Lanes, flags: int, constants: Constants, offset: int, stride: int, counts: Constants, place: int, used: Lanes
) -> Lanes:
    """Return ``value * multiplier / 2**shift`` narrowed; see :func:`fixedsim.kernels.narrowing.narrow`.

    Adds to ``counts``, sixteen lanes below and sixteen above for each ``place``, how often the overflow acted.
    """
    if flags == 0:
        return value
    if flags & SCALES:
        if flags & MULTIPLIES:
            value = value * lanes(constants, offset + MULTIPLIER * stride)
        if flags & SHIFTS_LEFT:
            value = value << lanes(constants, offset + LEFT * stride)
        if flags & DOUBLES:
            half = lanes(constants, offset + FIRST_HALF * stride)
            value = (value + half) >> lanes(constants, offset + FIRST * stride)
    if flags & PRIMITIVES:
        return primitive_lanes(value, flags, constants, offset, stride, counts, place, used)
    if flags & ROUNDS:
        value = round_lanes(value, flags, constants, offset, stride)
    if flags & LIMITS:
        value = limit_lanes(value, flags, constants, offset, stride, counts, place, used)
    return value
