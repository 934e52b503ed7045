"""The steps of narrowings that are algorithms of their own; :mod:`fixedsim.spec.primitives` specifies each.

Formats are two's complement of ``bits`` bits, at most 40.
"""

import math

import numpy as np

from fixedsim.kernels import wide
from fixedsim.kernels.compilation import compiled

INFINITE32 = math.ldexp(1.0, 128) - math.ldexp(1.0, 103)  # what binary32 rounds to infinity from here on
LIMIT32 = math.ldexp(1.0, 128)  # stands for that infinity
EXACT_BITS = 53  # of binary64
EXACT = 1 << EXACT_BITS
STICKY = (1 << 11) - 1
FARTHEST_SHIFT = 64  # what is left of a significand after more is the same


@compiled
def signed_low_bits(word: int, bits: int) -> int:
    """Return the low ``bits`` bits of ``word`` in two's complement."""
    half = 1 << (bits - 1)
    return ((word & (half + half - 1)) ^ half) - half


@compiled
def resize(word: int, bits: int) -> int:
    """Return the sign bit of ``word`` and its low ``bits - 1`` bits: numeric_std's ``resize``."""
    half = 1 << (bits - 1)
    low = word & (half - 1)
    return low - half if word < 0 else low


@compiled
def repaired_sign(floor: int, drops: int, negative: bool, bits: int, first: bool) -> int:
    """Return the wrapped floor, ``drops`` (0 or 1) added below zero, and saturated where its sign came out wrong.

    ``first``: the repair of the sign comes before the addition, and acts on 0 too.
    """
    half = 1 << (bits - 1)
    raw = signed_low_bits(floor, bits)
    if first:
        if negative and raw >= 0:
            return -half
        if raw < 0 and not negative:
            return half - 1
        return raw + drops if raw < 0 else raw
    raw += drops if raw < 0 else 0
    if raw < 0 and not negative:
        return half - 1
    return -half if negative and raw > 0 else raw


@compiled
def guarded(high: int, low: int, zero_point: int, bits: int, guard_bits: int, saturates: bool) -> int:
    """Return an integer brought to the guarded width, plus the zero point wrapped to it, resized to ``bits``."""
    half = 1 << (bits + guard_bits - 1)
    near = wide.low_word(high, low)
    if not saturates:
        near &= half + half - 1
    elif high >= 1 << 31 or (high >= -(1 << 31) and near >= half):
        near = half - 1
    elif high < -(1 << 31) or near < -half:
        near = -half
    mask = half + half - 1
    return resize(signed_low_bits((near & mask) + (zero_point & mask), bits + guard_bits), bits)


@compiled
def wrapped_magnitude(rounded: int, negative: bool, zero_point: int, bits: int) -> int:
    """Return the magnitude modulo ``2**bits`` with its sign, plus the zero point wrapped to one bit more, resized."""
    mask = (1 << bits) - 1
    magnitude = rounded & mask
    signed = -(-magnitude & mask) if negative else magnitude
    return resize(signed_low_bits(signed + (zero_point & (mask + mask + 1)), bits + 1), bits)


@compiled
def to_binary32(real: float) -> float:
    """Return a binary64 number rounded to binary32, as a binary64 number; ``2**128`` stands for infinity."""
    if real >= INFINITE32:
        return LIMIT32
    if real <= -INFINITE32:
        return -LIMIT32
    return float(np.float32(real))


@compiled
def integer_to_binary32(value: int) -> float:
    """Return a 64-bit integer rounded once to binary32, as a binary64 number."""
    if -EXACT < value < EXACT:
        return to_binary32(float(value))
    sticky = 1 if value & STICKY != 0 else 0  # rounded to odd first, so that the second rounding decides alone
    return to_binary32(float((value >> 11) | sticky) * (STICKY + 1))


@compiled
def float_product(value: int, multiplier: int, shift: int, single: bool) -> tuple[int, int]:
    """Return ``value * (multiplier / 2**shift)`` in binary32 or binary64 as ``significand / 2**shift``.

    A product of two binary32 numbers is exact in binary64, so that one rounding of it is binary32's own.
    """
    scale = math.ldexp(float(multiplier), int(-shift))
    product = to_binary32(integer_to_binary32(value) * to_binary32(scale)) if single else float(value) * scale
    fraction, exponent = math.frexp(product)
    return int(math.ldexp(fraction, EXACT_BITS)), min(EXACT_BITS - exponent, FARTHEST_SHIFT)
