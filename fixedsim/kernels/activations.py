"""Activations of a row of integers: a look-up table, a piecewise linear function, or an algorithm of its own.

An activation stands in a vector of :data:`ACTIVATION_FIELDS` 64-bit integers: first the narrowing, packed as in
:mod:`fixedsim.kernels.narrowing`, that gives the index into the table (clamped to it) or the value on the line (clamped
to lower and upper, with the slope as multiplier and the offset as zero point), then the fields named here. An algorithm
of its own has no narrowing; see :mod:`fixedsim.kernels.functions`.
"""

from fixedsim.kernels import functions, wide
from fixedsim.kernels.compilation import compiled, inlined
from fixedsim.kernels.narrowing import (
    NARROWING_FIELDS,
    RAW_MAX,
    RAW_MIN,
    SHIFT,
    ZERO_POINT,
    Vector,
    round_shift,
    rounds_up,
)
from fixedsim.kernels.rows import narrow_own

KIND, START, COUNT, INTERPOLATION_ROUNDING, THRESHOLDS, LOW_INPUT, HIGH_INPUT, ARGUMENT = range(
    NARROWING_FIELDS, NARROWING_FIELDS + 8
)
ACTIVATION_FIELDS = NARROWING_FIELDS + 8

LINE, NEAREST, LINEAR, GEMMLOWP_SIGMOID, GEMMLOWP_TANH, CMSIS_SIGMOID, CMSIS_TANH = range(7)  # kinds
HAS_LOW_INPUT, HAS_HIGH_INPUT = 1, 2  # thresholds, added up


@inlined
def interpolate(rise: int, rest: int, shift: int, rounding: int) -> int:
    """Return ``rise * rest / 2**shift`` rounded, for ``abs(rise) < 2**32`` and ``0 <= rest < 2**shift``."""
    if rest < 1 << 30:  # the product is below ROOM
        return round_shift(rise * rest, shift, rounding)
    high, low = wide.product(rest, rise)
    high, low, half, dropped = wide.shift_right(high, low, shift)
    quotient = wide.low_word(high, low)
    return quotient + 1 if rounds_up(rounding, half, dropped, high < 0, low & 1) else quotient


@compiled
def activate_row(values: Vector, packed: Vector, table: Vector, scratch: Vector, out: Vector) -> None:
    """Write to ``out`` the activation of each of ``values`` (R,); ``table`` holds the values of every table.

    ``scratch`` is (3, max(R, 2)) at least; ``out`` may not be ``values``. See ``spec.activations``.
    """
    if packed[KIND] > LINEAR:
        function_row(values, packed, table, out)
        return
    narrow_own(values, packed[:NARROWING_FIELDS], scratch, out, scratch[2, :2])
    if packed[KIND] == NEAREST:
        start = packed[START]
        for position in range(values.shape[0]):
            out[position] = table[start + out[position]]
    elif packed[KIND] == LINEAR:
        interpolate_row(values, packed, table, out)
    elif packed[THRESHOLDS] != 0:
        threshold_row(values, packed, out)


@compiled
def threshold_row(values: Vector, packed: Vector, out: Vector) -> None:
    """Replace in ``out`` what the line gives at and beyond the thresholds of its input by its ends."""
    low = (packed[THRESHOLDS] & HAS_LOW_INPUT) != 0
    high = (packed[THRESHOLDS] & HAS_HIGH_INPUT) != 0
    low_input, high_input, lower, upper = packed[LOW_INPUT], packed[HIGH_INPUT], packed[RAW_MIN], packed[RAW_MAX]
    for position in range(values.shape[0]):
        raw = values[position]
        if low and raw <= low_input:
            out[position] = lower
        elif high and raw >= high_input:
            out[position] = upper


@compiled
def function_row(values: Vector, packed: Vector, table: Vector, out: Vector) -> None:
    """Write to ``out`` the registered function of each of ``values`` of 16 bits; see ``spec.functions``."""
    kind, argument, start = packed[KIND], packed[ARGUMENT], packed[START]
    if kind == GEMMLOWP_SIGMOID:
        for position in range(values.shape[0]):
            out[position] = functions.gemmlowp_sigmoid(values[position], argument)
    elif kind == GEMMLOWP_TANH:
        for position in range(values.shape[0]):
            out[position] = functions.gemmlowp_tanh(values[position], argument)
    elif kind == CMSIS_SIGMOID:
        for position in range(values.shape[0]):
            out[position] = functions.cmsis_sigmoid(values[position], argument, table, start)
    else:
        for position in range(values.shape[0]):
            out[position] = functions.cmsis_tanh(values[position], argument, table, start)


@compiled
def interpolate_row(values: Vector, packed: Vector, table: Vector, out: Vector) -> None:
    """Replace the indices in ``out`` by the table's values there, on the line to the next one."""
    start, last, shift, offset = packed[START], packed[COUNT] - 1, packed[SHIFT], packed[ZERO_POINT]
    rounding = packed[INTERPOLATION_ROUNDING]
    for position in range(values.shape[0]):
        raw, index = values[position], out[position]
        value = table[start + index]
        if index < last and (raw >> shift) > ~offset:  # else beyond an end of the table: its entry
            rest = raw & ((1 << shift) - 1)
            value += interpolate(table[start + index + 1] - value, rest, shift, rounding)
        out[position] = value
