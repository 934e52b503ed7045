"""Activations on Python integers."""

from fixedsim.profiles.datapath import Activation, Interpolation, LookupTable, PiecewiseLinear
from fixedsim.spec.casts import round_shift


def activate(raw: int, activation: Activation) -> int:
    """Return the activation of a raw of its input format."""
    if isinstance(activation, LookupTable):
        return look_up(raw, activation)
    return piecewise_linear(raw, activation)


def look_up(raw: int, table: LookupTable) -> int:
    """Return the table's value at ``raw / 2**index_shift + offset``; see :class:`LookupTable`."""
    values, last = table.values, len(table.values) - 1
    if table.interpolation is Interpolation.NEAREST:
        index = round_shift(raw, table.index_shift, table.index_rounding) + table.offset
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
    """Return ``min(max(slope * raw / 2**shift + offset, lower), upper)``, the quotient rounded."""
    line = round_shift(function.slope * raw, function.shift, function.rounding) + function.offset
    return min(max(line, function.low), function.high)
