"""The arithmetic a second time, from the mathematical definitions and on exact fractions.

Nothing here calls the specification. Roundings compare distances to the neighbouring integers, overflows look for
the allowed number. Formats, narrowings and datapaths are read as data only. Layers: :mod:`tests.spec.layer_oracle`.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    Activation,
    LookupTable,
    Narrowing,
    PiecewiseLinear,
)

TIES: dict[str, Callable[[int], int]] = {  # which of two equally near integers: the one with the greatest key
    "half_up": lambda integer: integer,
    "half_down": lambda integer: -integer,
    "half_away": abs,
    "half_toward_zero": lambda integer: -abs(integer),
    "half_even": lambda integer: integer % 2 == 0,
    "half_odd": lambda integer: integer % 2 == 1,
}


def rounded(value: Fraction, rounding: str) -> int:
    """Return the integer that ``rounding`` chooses for an exact value."""
    if rounding == "floor":
        return math.floor(value)
    if rounding == "toward_zero":
        return math.trunc(value)
    neighbours = (math.floor(value), math.ceil(value))
    least = min(abs(value - integer) for integer in neighbours)
    nearest = [integer for integer in neighbours if abs(value - integer) == least]
    return max(nearest, key=TIES[rounding])


@lru_cache(maxsize=1 << 18)
def rounded_quotient(value: int, shift: int, rounding: str) -> int:
    """Return ``value / 2**shift`` rounded."""
    return rounded(scaled(value, shift), rounding)


def scaled(value: int, shift: int) -> Fraction:
    """Return ``value / 2**shift`` exactly."""
    return Fraction(value, 2**shift) if shift >= 0 else Fraction(value * 2**-shift)


def contained(raw: int, form: Format, overflow: str, count: int = 0, unrounded: int | None = None) -> int:
    """Return ``raw`` after the overflow of a format of step 1, ``count`` of its highest bits saturated by a wrap."""
    if overflow == "wrap_sign_magnitude" or count:
        return by_bits(raw, raw if unrounded is None else unrounded, form, overflow, count)
    if overflow == "wrap":
        return congruent(raw, form.raw_min, 1 << form.bits)
    low, high = form.raw_min, form.raw_max
    if overflow == "saturate_symmetric" and low < 0 <= high and form.bits > 1:
        low = max(low, -high)
    if overflow == "saturate_zero" and not low <= raw <= high:
        return form.zero_point
    return sorted((low, raw, high))[1]


def by_bits(raw: int, unrounded: int, form: Format, overflow: str, count: int) -> int:
    """Return ``raw`` after a wrap that looks at single bits, written as text with the sign first."""
    if form.raw_min <= raw <= form.raw_max:
        return raw
    bits, sign = f"{raw % 2**form.bits:0{form.bits}b}", "1" if raw < 0 else "0"
    other = "0" if sign == "1" else "1"
    if overflow == "wrap_sign_magnitude":
        wanted = sign if count else str(unrounded // 2**form.bits % 2)
        if bits[0] != wanted if count < 2 else bits[count - 1] == sign:
            bits = bits.translate({ord("0"): "1", ord("1"): "0"})
    if form.raw_min == 0:
        bits = "1" * count + bits[count:]
    elif count > 1 or (count and overflow == "wrap"):
        bits = sign + other * (count - 1) + bits[count:]
    return int(bits, 2) - (2**form.bits if form.raw_min < 0 and bits[0] == "1" else 0)


def congruent(raw: int, low: int, modulus: int) -> int:
    """Return the one integer of ``low .. low + modulus - 1`` that differs from ``raw`` by a multiple of ``modulus``."""
    return raw - modulus * math.floor(Fraction(raw - low, modulus))


def cast(value: Fraction, form: Format, rounding: str, overflow: str, count: int = 0) -> int:
    """Return the raw of ``form`` for a value counted in ``form.scale`` from real zero."""
    if form.raw_step == 1:
        floor = math.floor(value) + form.zero_point
        return contained(rounded(value, rounding) + form.zero_point, form, overflow, count, floor)
    code = rounded((value + form.zero_point - form.raw_min) / 2, rounding)
    levels = (form.raw_max - form.raw_min) // 2 + 1
    code = congruent(code, 0, levels) if overflow == "wrap" else sorted((0, code, levels - 1))[1]
    return form.raw_min + 2 * code


def narrow(value: int, narrowing: Narrowing, multiplier: int | None = None, shift: int | None = None) -> int:
    """Return ``value * multiplier / 2**shift`` narrowed once, or twice in the doubling form."""
    multiplier = narrowing.multiplier if multiplier is None else multiplier
    shift = narrowing.shift if shift is None else shift
    exact = scaled(value * multiplier, shift)
    if narrowing.form == "doubling":
        right = max(shift - 31, 0)  # what is left for the second rounding; the first sees the rest of the shift
        exact = scaled(rounded(exact * 2**right, "half_up"), right)
    return cast(exact, narrowing.format, narrowing.rounding, narrowing.overflow, narrowing.saturated_bits)


def accumulate(addends: Sequence[int], accumulator: Accumulator, start: int = 0) -> int:
    """Return the sum of ``start`` and the addends as an accumulator of the given width holds it."""
    form = Format(accumulator.bits, -(2 ** (accumulator.bits - 1)), 2 ** (accumulator.bits - 1) - 1)
    if accumulator.check == "end":
        return contained(sum(addends, start), form, accumulator.overflow)
    held = contained(start, form, accumulator.overflow)
    for addend in addends:
        held = contained(held + addend, form, accumulator.overflow)
    return held


def dot(
    weights: Sequence[int], values: Sequence[int], accumulator: Accumulator, shift: int, zero_point: int
) -> list[int]:
    """Return the products of a row with the values less their zero point, narrowed where the accumulator says so."""
    exact = [weight * (value - zero_point) for weight, value in zip(weights, values, strict=True)]
    product = accumulator.product
    return exact if product is None else [narrow(each, product, shift=shift) for each in exact]


def activate(raw: int, activation: Activation) -> int:
    """Return the activation of ``raw``."""
    if isinstance(activation, LookupTable):
        return look_up(raw, activation)
    assert isinstance(activation, PiecewiseLinear)
    return straight(raw, activation)


def look_up(raw: int, table: LookupTable) -> int:
    """Return the table's value at the position ``raw * index_multiplier / 2**index_shift + offset``."""
    position = scaled(raw, table.index_shift) + table.offset
    last = len(table.values) - 1
    if table.interpolation == "nearest":
        entry = scaled(raw * table.index_multiplier, table.index_shift)
        index = rounded(entry, table.index_rounding) + table.offset
        return table.values[sorted((0, index, last))[1]]
    if position < 0 or position >= last:
        return table.values[0 if position < 0 else last]
    left = math.floor(position)
    rise = (table.values[left + 1] - table.values[left]) * (position - left)
    return table.values[left] + rounded(rise, table.rounding)


def straight(raw: int, function: PiecewiseLinear) -> int:
    """Return the value of the line at ``raw``, clipped; an end of the values from the thresholds on."""
    lower = function.format.raw_min if function.lower is None else function.lower
    upper = function.format.raw_max if function.upper is None else function.upper
    if raw <= (-math.inf if function.low_input is None else function.low_input):
        return lower
    if raw >= (math.inf if function.high_input is None else function.high_input):
        return upper
    line = rounded(scaled(function.slope * raw, function.shift), function.rounding) + function.offset
    return lower if line < lower else min(line, upper)
