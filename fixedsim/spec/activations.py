"""Activations on Python integers."""

from fixedsim.profiles.datapath import Activation, FixedFunction, Interpolation, LookupTable, PiecewiseLinear
from fixedsim.spec.casts import round_shift
from fixedsim.spec.functions import FUNCTIONS


def activate(raw: int, activation: Activation) -> int:
    """Return the activation of a raw of its input format; of a :class:`FixedFunction`, for ``-2**15 <= raw < 2**15``.

    Checked layers refuse other raws before a :class:`FixedFunction`; here their results mean nothing.
    """
    if isinstance(activation, LookupTable):
        return look_up(raw, activation)
    if isinstance(activation, FixedFunction):
        return FUNCTIONS[activation.primitive](raw, activation.argument)
    return piecewise_linear(raw, activation)


def look_up(raw: int, table: LookupTable) -> int:
    """Return the table's value at ``raw * index_multiplier / 2**index_shift + offset``; see :class:`LookupTable`."""
    values, last = table.values, len(table.values) - 1
    if table.interpolation is Interpolation.NEAREST:
        product = raw * table.index_multiplier
        index = round_shift(product, table.index_shift, table.index_rounding) + table.offset
        return values[min(max(index, 0), last)]
    index = (raw >> table.index_shift) + table.offset
    if index < 0:
        return values[0]
    if index >= last:
        return values[last]
    rest = raw & ((1 << table.index_shift) - 1)
    rise = (values[index + 1] - values[index]) * rest
    return values[index] + round_shift(rise, table.index_shift, table.rounding)


def piecewise_linear(raw: int, function: PiecewiseLinear) -> int:
    """Return ``min(max(slope * raw / 2**shift + offset, lower), upper)``, the quotient rounded.

    ``lower`` where ``raw <= low_input``, else ``upper`` where ``raw >= high_input``; a threshold of None is never met.
    """
    if function.low_input is not None and raw <= function.low_input:
        return function.low
    if function.high_input is not None and raw >= function.high_input:
        return function.high
    line = round_shift(function.slope * raw, function.shift, function.rounding) + function.offset
    return min(max(line, function.low), function.high)
