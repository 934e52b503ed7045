"""Narrowings of one row of integers.

Where every element of a row fits one word, as nearly always, one loop without branches narrows it, which the compiler
turns into vector instructions; else each element goes through :func:`fixedsim.kernels.narrowing.narrow`.
"""

from fixedsim.kernels.compilation import compiled, inlined
from fixedsim.kernels.narrowing import (
    ALWAYS_WIDE,
    BITS,
    DOUBLING,
    FLOOR,
    FORM,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_ODD,
    HALF_TOWARD_ZERO,
    HALF_UP,
    HIGHEST,
    MULTIPLIER,
    OVERFLOW,
    RAW_MAX,
    RAW_MIN,
    ROUNDING,
    SATURATE_ZERO,
    SHIFT,
    TOWARD_ZERO,
    WRAP,
    ZERO_POINT,
    Vector,
    fits,
    narrow,
    unpack,
)

Masks = tuple[int, int, int, int, int, int]


@compiled
def rounding_masks(rounding: int) -> Masks:
    """Return which terms a rounding adds before the shift, each as 0 or -1 (all bits); see :func:`round_masked`."""
    return (
        -1 if rounding not in (FLOOR, TOWARD_ZERO) else 0,  # half
        -1 if rounding in (HALF_DOWN, HALF_TOWARD_ZERO, HALF_EVEN) else 0,  # less one
        -1 if rounding == TOWARD_ZERO else 0,  # below zero: nearly one unit
        -1 if rounding == HALF_AWAY else 0,  # below zero: less one
        -1 if rounding == HALF_TOWARD_ZERO else 0,  # below zero: one
        -1 if rounding == HALF_EVEN else (1 if rounding == HALF_ODD else 0),  # times the floor's last bit
    )


@inlined
def round_masked(value: int, shift: int, masks: Masks) -> int:
    """Return what ``round_shift`` returns, without a branch: ``(value + a + b * (value < 0) + c * odd) >> shift``."""
    half, one = (1 << shift) >> 1, min(shift, 1)
    by_half = (half & masks[0]) - (one & masks[1])
    by_sign = ((half + half - one) & masks[2]) - (one & masks[3]) + (one & masks[4])
    odd = (value >> shift) & one
    return (value + by_half + ((value >> 63) & by_sign) - masks[5] * odd) >> shift


@compiled
def row_fits(values: Vector, multipliers: Vector, shifts: Vector) -> bool:
    """Return whether every element times its multiplier and negative shift leaves room to be rounded in one word."""
    outside = 0
    for position in range(values.shape[0]):
        outside |= 0 if fits(values[position], multipliers[position], shifts[position]) else 1
    return outside == 0


@compiled
def narrow_row(
    values: Vector, multipliers: Vector, shifts: Vector, packed: Vector, out: Vector, counts: Vector
) -> None:
    """Write to ``out`` the narrowed ``values``, each with its own multiplier and shift; all are (R,).

    Adds to ``counts`` (2,) how often the overflow acted low and high. ``out`` may be ``values``.
    """
    fields = unpack(packed)
    if fields[FORM] < ALWAYS_WIDE and row_fits(values, multipliers, shifts):
        narrow_near(values, multipliers, shifts, fields, out, counts)
        return
    for position in range(values.shape[0]):
        raw, over = narrow(values[position], multipliers[position], shifts[position], fields)
        out[position] = raw
        if over != 0:
            counts[(over + 1) >> 1] += 1


@compiled
def narrow_near(
    values: Vector, multipliers: Vector, shifts: Vector, fields: tuple[int, ...], out: Vector, counts: Vector
) -> None:
    """Do the work of :func:`narrow_row` where every element fits."""
    masks, first_masks = rounding_masks(fields[ROUNDING]), rounding_masks(HALF_UP)
    lowest, highest, mode = fields[RAW_MIN], fields[RAW_MAX], fields[OVERFLOW]
    mask = HIGHEST >> max(63 - fields[BITS], 0)
    low, high = 0, 0
    for position in range(values.shape[0]):
        shift = shifts[position]
        scaled = (values[position] * multipliers[position]) << max(-shift, 0)
        shift = max(shift, 0)
        if fields[FORM] == DOUBLING:
            first = min(shift, 31)
            scaled = round_masked(scaled, first, first_masks)
            shift -= first
        raw = round_masked(scaled, shift, masks) + fields[ZERO_POINT]
        kept = min(max(raw, lowest), highest)
        low += raw < lowest
        high += raw > highest
        if mode == WRAP:
            wrapped = raw & mask
            wrapped = wrapped - mask - 1 if wrapped > highest else wrapped
            kept = raw if kept == raw else wrapped
        elif mode == SATURATE_ZERO:
            kept = raw if kept == raw else fields[ZERO_POINT]
        out[position] = kept
    counts[0] += low
    counts[1] += high


@compiled
def narrow_own(values: Vector, packed: Vector, constants: Vector, out: Vector, counts: Vector) -> None:
    """Write to ``out`` the ``values`` (R,) narrowed with its own constants; two rows of ``constants`` are scratch."""
    constants[0, :] = packed[MULTIPLIER]
    constants[1, :] = packed[SHIFT]
    narrow_row(values, constants[0], constants[1], packed, out, counts)
