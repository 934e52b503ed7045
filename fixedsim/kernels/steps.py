"""Sums of products in accumulators whose overflow acts at each addition, 32 rows at a time.

The weights ``(R, K)`` are packed as panels ``(P, K, 32)``: panel p holds rows 32 p .. 32 p + 31, each column's weights
beside each other, with rows of zeros after the last. The columns are added in ascending order, as
:func:`fixedsim.kernels.products.accumulate_steps` does, and the overflows are counted as it counts them. Two vectors of
sixteen rows go side by side, since each addition waits for the one before it.
"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fixedsim.kernels.compilation import compiled, inlined
from fixedsim.kernels.narrowing import (
    BITS,
    FLOOR,
    HALF_AWAY,
    HALF_DOWN,
    HALF_EVEN,
    HALF_ODD,
    HALF_TOWARD_ZERO,
    HALF_UP,
    OVERFLOW,
    RAW_MAX,
    RAW_MIN,
    RAW_STEP,
    ROUNDING,
    SATURATE_ZERO,
    TOWARD_ZERO,
    WRAP,
    Vector,
    unpack,
)
from fixedsim.kernels.vector import LANES, Lanes, cast_like, lanes, less, maximum, minimum, splat64, store, total, where

Operands = npt.NDArray[np.signedinteger[Any]]
Arrays = tuple[Operands, Operands, Vector, Operands, Vector]  # panels, inputs, starts, last and sums, each flat
Place = tuple[int, int, int, int, int]  # where a panel, a vector, its start, its last and its sums begin
Limits = tuple[Lanes, Lanes, Lanes, Lanes]
Shifts = tuple[Lanes, Lanes, Lanes]
Terms = tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes]
Register = tuple[Lanes, Lanes, Lanes]  # what it holds, and how often its overflow acted low and high

PANEL = 2 * LANES  # rows of a panel
# What the overflow of a register amounts to in lanes, and what a product goes through. They are no literals of Python,
# for each of which Numba would compile what they are handed to once more.
UNLIMITED, CLAMPED, WRAPPED, ZEROED = (cast(int, np.int64(code)) for code in range(4))
EXACT, SHIFTED = (cast(int, np.int64(code)) for code in range(2))


def pack_panels(weight: npt.NDArray[np.integer[Any]], dtype: npt.DTypeLike) -> Operands:
    """Return the panels ``(P, K, 32)`` of a weight matrix ``(R, K)``."""
    rows, columns = weight.shape
    count = -(-rows // PANEL)
    panels = np.zeros((count * PANEL, columns), dtype)
    panels[:rows] = weight
    return np.ascontiguousarray(panels.reshape(count, PANEL, columns).swapaxes(1, 2))


@inlined
def kind_of(fields: tuple[int, ...], width: int) -> int:
    """Return what the overflow of a format of step 1 amounts to in lanes of ``width`` bits."""
    if fields[BITS] >= width:
        return UNLIMITED
    if fields[OVERFLOW] == WRAP:
        return WRAPPED
    return ZEROED if fields[OVERFLOW] == SATURATE_ZERO else CLAMPED


@inlined
def everywhere(value: int, like: Operands) -> Lanes:
    """Return ``value`` in every lane, of as many bits as ``like`` has."""
    filled: Lanes = cast_like(splat64(np.int64(value)), like)
    return filled


@inlined
def limits_of(fields: tuple[int, ...], width: int, like: Operands) -> Limits:
    """Return the lowest and the highest raw, how many bits of a lane a raw leaves free, and 1, which is the step.

    The compiler does not know that it is 1: it would make more of a count of comparisons than a masked addition.
    """
    end = 1 << (width - 2)
    end += end - 1
    lowest, highest = max(fields[RAW_MIN], -end - 1), min(fields[RAW_MAX], end)
    free = max(width - fields[BITS], 0)
    return (
        everywhere(lowest, like),
        everywhere(highest, like),
        everywhere(free, like),
        everywhere(fields[RAW_STEP], like),
    )


@inlined
def limited(value: Lanes, kind: int, limits: Limits) -> Lanes:
    """Return ``value`` after the overflow of a register."""
    lowest, highest, free, _ = limits
    kept = value
    if kind == CLAMPED:
        kept = maximum(minimum(value, highest), lowest)
    elif kind == WRAPPED:
        kept = (value << free) >> free
    elif kind == ZEROED:
        kept = where(less(value, lowest) | less(highest, value), value ^ value, value)
    return kept


@inlined
def count(value: Lanes, limits: Limits, below: Lanes, above: Lanes) -> tuple[Lanes, Lanes]:
    """Return the counts of values below and above the raws of a register, with ``value`` among them."""
    lowest, highest, _, one = limits
    return below + (less(value, lowest) & one), above + (less(highest, value) & one)


@inlined
def shifts_of(shift: Lanes, free: Lanes, rounding: int, like: Operands) -> Shifts:
    """Return what is added to a product, and by how much it goes left and then right again, to be shifted and wrapped.

    Right of a non-negative ``shift`` stay ``free`` bits fewer than a lane has, which is how a wrapping format cuts it.
    """
    zero = everywhere(0, like)
    left = maximum(free - shift, zero)
    return halves(maximum(shift, zero), rounding, like), left, left + shift


@inlined
def halves(shift: Lanes, rounding: int, like: Operands) -> Lanes:
    """Return what a rounding adds before the shift, whatever the value: half a unit, one less, or nothing."""
    zero, one = everywhere(0, like), everywhere(1, like)
    if rounding in (FLOOR, TOWARD_ZERO):
        return zero
    some: Lanes = minimum(shift, one)
    half: Lanes = some << maximum(shift - one, zero)
    return half if rounding in (HALF_UP, HALF_AWAY) else half - some


@inlined
def terms_of(shift: Lanes, rounding: int, like: Operands) -> Terms:
    """Return the left and right shift of a product and the terms of :func:`rounded`, for any rounding."""
    zero, one = everywhere(0, like), everywhere(1, like)
    left, right = maximum(zero - shift, zero), maximum(shift, zero)
    some = minimum(right, one)
    signed = zero
    if rounding == TOWARD_ZERO:
        signed = (one << right) - one
    if rounding == HALF_AWAY:
        signed = zero - some
    if rounding == HALF_TOWARD_ZERO:
        signed = some
    odd = some if rounding in (HALF_EVEN, HALF_ODD) else zero
    flip = zero - one if rounding == HALF_ODD else zero
    return left, right, halves(right, rounding, like), signed, flip, odd


@inlined
def rounded(value: Lanes, terms: Terms) -> Lanes:
    """Return ``value / 2**shift`` rounded.

    It is ``(value + half + signed * (value < 0) + odd * (floor is odd)) >> shift``, of the floor or of its complement.
    """
    left, right, half, signed, flip, odd = terms
    value = value << left
    negative: Lanes = less(value, value ^ value)
    last = (value >> right) ^ flip
    whole: Lanes = (value + half + (negative & signed) + (last & odd)) >> right
    return whole


@inlined
def add(register: Register, addend: Lanes, kind: int, limits: Limits) -> Register:
    """Return a register after an addend and its overflow."""
    held, below, above = register
    value = held + addend
    if kind != UNLIMITED:
        below, above = count(value, limits, below, above)
    return limited(value, kind, limits), below, above


@inlined
def loaded(arrays: Arrays, start: int, kind: int, limits: Limits) -> Register:
    """Return a register after its start value, which goes through its overflow."""
    zero = everywhere(0, arrays[3])
    return add((zero, zero, zero), cast_like(lanes(arrays[2], start), arrays[3]), kind, limits)


@inlined
def finished(arrays: Arrays, last: int, sums: int, register: Register, kind: int, limits: Limits) -> Register:
    """Return a register after what is added last, which gives the sums that are written."""
    register = add(register, lanes(arrays[3], last), kind, limits)
    store(arrays[4], sums, register[0])
    return register


@inlined
def shifted(value: Lanes, shifts: Shifts) -> Lanes:
    """Return a product shifted and wrapped; see :func:`shifts_of`."""
    half, left, right = shifts
    return ((value + half) << left) >> right


@inlined
def walk_panel(
    arrays: Arrays,
    place: Place,
    columns: int,
    kind: int,
    limits: Limits,
    shifts: tuple[Shifts, Shifts],
    narrowing: int,
) -> tuple[Lanes, Lanes]:
    """Write the sums of a panel and a vector, its products exact or shifted; return how often overflow acted."""
    weights, like = arrays[0], arrays[3]
    weight, first, start, last, sums = place
    left = loaded(arrays, start, kind, limits)
    right = loaded(arrays, start + LANES, kind, limits)
    for column in range(columns):
        value = everywhere(arrays[1][first + column], like)
        left_addend = cast_like(lanes(weights, weight + column * PANEL), like) * value
        right_addend = cast_like(lanes(weights, weight + column * PANEL + LANES), like) * value
        if narrowing == SHIFTED:
            left_addend = shifted(left_addend, shifts[0])
            right_addend = shifted(right_addend, shifts[1])
        left = add(left, left_addend, kind, limits)
        right = add(right, right_addend, kind, limits)
    left = finished(arrays, last, sums, left, kind, limits)
    right = finished(arrays, last + LANES, sums + LANES, right, kind, limits)
    return left[1] + right[1], left[2] + right[2]


@compiled
def walk_rounded(
    arrays: Arrays,
    place: Place,
    columns: int,
    kinds: tuple[int, int],
    limits: tuple[Limits, Limits],
    terms: Terms,
    product_counts: Vector,
) -> tuple[Lanes, Lanes]:
    """Do the work of :func:`walk_panel` for sixteen rows of it, with any narrowing of products.

    ``kinds`` and ``limits`` are those of the accumulator and of the products; ``product_counts`` counts overflows of
    products.
    """
    weight, first, start, last, sums = place
    held = loaded(arrays, start, kinds[0], limits[0])
    low = high = everywhere(0, arrays[3])
    for column in range(columns):
        value = cast_like(lanes(arrays[0], weight + column * PANEL), arrays[3])
        value = rounded(value * everywhere(arrays[1][first + column], arrays[3]), terms)
        low, high = count(value, limits[1], low, high)
        held = add(held, limited(value, kinds[1], limits[1]), kinds[0], limits[0])
    held = finished(arrays, last, sums, held, kinds[0], limits[0])
    if product_counts.shape[0] != 0:
        product_counts[0] += total(low)
        product_counts[1] += total(high)
    return held[1], held[2]


@compiled
def accumulate_lanes(
    panels: Operands,
    inputs: Operands,
    start: Vector,
    last: Operands,
    narrow_products: bool,
    product: Vector,
    product_shifts: Vector,
    accumulator: Vector,
    out: Vector,
    counts: Vector,
    product_counts: Vector,
) -> None:
    """Write to ``out`` (N, 32 P) what ``accumulate_steps`` writes, from panels (P, K, 32) and inputs (N, K).

    Every array is contiguous. ``start`` is (N, 32 P), or (1, 32 P) for every vector; ``last`` and ``product_shifts``
    are (32 P,), with zeros in the rows beyond R. Arithmetic is done in 32 bits where ``last`` is int32, in 64 where it
    is int64: the caller proves that the starts, the products shifted left and rounded, and every sum of the accumulator
    and an addend fit, and that shifts are smaller than that. A product's narrowing has a multiplier of 1, the zero
    point 0, which is a raw, and is no primitive; ranges that wrap are signed. Adds to ``counts`` (2,) how often the
    accumulator's overflow acted low and high, and to ``product_counts`` that of the products, unless it is (0,).
    """
    held, narrowed = unpack(accumulator), unpack(product)
    width = last.itemsize * 8
    limits, product_limits = limits_of(held, width, last), limits_of(narrowed, width, last)
    kind, product_kind = kind_of(held, width), kind_of(narrowed, width)
    rounding, free = narrowed[ROUNDING], product_limits[2]
    if not narrow_products:  # shifted by nothing
        product_kind, rounding, free = UNLIMITED, FLOOR, free ^ free
        product_counts = product_counts[:0]
    simple = product_kind == UNLIMITED or (product_kind == WRAPPED and product_counts.shape[0] == 0)
    simple = simple and kind != ZEROED and rounding in (FLOOR, HALF_UP, HALF_DOWN)
    arrays = (
        panels.reshape(panels.size),
        inputs.reshape(inputs.size),
        start.reshape(start.size),
        last,
        out.reshape(out.size),
    )
    rows, columns = out.shape[1], inputs.shape[1]
    widest = everywhere(width - 1, last)
    below_all, above_all = splat64(0), splat64(0)
    for row in range(0, rows, PANEL):
        shift = cast_like(lanes(product_shifts, row), last), cast_like(lanes(product_shifts, row + LANES), last)
        if not narrow_products:
            shift = free, free
        shifts = shifts_of(shift[0], free, rounding, last), shifts_of(shift[1], free, rounding, last)
        near = simple and total(less(widest, shifts[0][1]) | less(widest, shifts[1][1])) == 0
        for position in range(inputs.shape[0]):
            begin = (position * rows if start.shape[0] > 1 else 0) + row
            place = row * columns, position * columns, begin, row, position * rows + row
            if near and not narrow_products and kind == CLAMPED:
                below, above = walk_panel(arrays, place, columns, CLAMPED, limits, shifts, EXACT)
            elif near and kind == CLAMPED:
                below, above = walk_panel(arrays, place, columns, CLAMPED, limits, shifts, SHIFTED)
            elif near and kind == WRAPPED:
                below, above = walk_panel(arrays, place, columns, WRAPPED, limits, shifts, SHIFTED)
            elif near:
                below, above = walk_panel(arrays, place, columns, UNLIMITED, limits, shifts, SHIFTED)
            else:
                kinds, both = (kind, product_kind), (limits, product_limits)
                terms = terms_of(shift[0], rounding, last)
                below, above = walk_rounded(arrays, place, columns, kinds, both, terms, product_counts)
                place = place[0] + LANES, place[1], place[2] + LANES, place[3] + LANES, place[4] + LANES
                terms = terms_of(shift[1], rounding, last)
                more = walk_rounded(arrays, place, columns, kinds, both, terms, product_counts)
                below, above = below + more[0], above + more[1]
            below_all, above_all = below_all + cast_like(below, counts), above_all + cast_like(above, counts)
    counts[0] += total(below_all)
    counts[1] += total(above_all)
