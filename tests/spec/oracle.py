"""The arithmetic a second time, from the mathematical definitions and on exact fractions.

Nothing here calls the specification. Roundings compare distances to the neighbouring integers, overflows look for
the allowed number, and a layer is its equation. Formats, narrowings and datapaths are read as data only.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache

from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    Activation,
    GateDatapath,
    LinearDatapath,
    LookupTable,
    LstmDatapath,
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


def contained(raw: int, form: Format, overflow: str) -> int:
    """Return ``raw`` after the overflow of a format of step 1."""
    if overflow == "wrap":
        return congruent(raw, form.raw_min, 1 << form.bits)
    low, high = form.raw_min, form.raw_max
    if overflow == "saturate_symmetric" and low < 0 <= high and form.bits > 1:
        low = max(low, -high)
    if overflow == "saturate_zero" and not low <= raw <= high:
        return form.zero_point
    return sorted((low, raw, high))[1]


def congruent(raw: int, low: int, modulus: int) -> int:
    """Return the one integer of ``low .. low + modulus - 1`` that differs from ``raw`` by a multiple of ``modulus``."""
    return raw - modulus * math.floor(Fraction(raw - low, modulus))


def cast(value: Fraction, form: Format, rounding: str, overflow: str) -> int:
    """Return the raw of ``form`` for a value counted in ``form.scale`` from real zero."""
    if form.raw_step == 1:
        return contained(rounded(value, rounding) + form.zero_point, form, overflow)
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
    return cast(exact, narrowing.format, narrowing.rounding, narrowing.overflow)


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
    return look_up(raw, activation) if isinstance(activation, LookupTable) else straight(raw, activation)


def look_up(raw: int, table: LookupTable) -> int:
    """Return the table's value at the position ``raw / 2**index_shift + offset``."""
    position = scaled(raw, table.index_shift) + table.offset
    last = len(table.values) - 1
    if table.interpolation == "nearest":
        index = rounded(scaled(raw, table.index_shift), table.index_rounding) + table.offset
        return table.values[sorted((0, index, last))[1]]
    if position < 0 or position >= last:
        return table.values[0 if position < 0 else last]
    left = math.floor(position)
    rise = (table.values[left + 1] - table.values[left]) * (position - left)
    return table.values[left] + rounded(rise, table.rounding)


def straight(raw: int, function: PiecewiseLinear) -> int:
    """Return the value of the line at ``raw``, clipped."""
    lower = function.format.raw_min if function.lower is None else function.lower
    upper = function.format.raw_max if function.upper is None else function.upper
    line = rounded(scaled(function.slope * raw, function.shift), function.rounding) + function.offset
    return lower if line < lower else min(line, upper)


class Rows:
    """A matrix and its row constants, as the oracle's layers take them."""

    def __init__(
        self, weight: list[list[int]], product_shift: list[int], multiplier: list[int], shift: list[int]
    ) -> None:
        self.weight, self.product_shift, self.multiplier, self.shift = weight, product_shift, multiplier, shift

    def products(self, row: int, values: Sequence[int], accumulator: Accumulator, zero_point: int) -> list[int]:
        """The products of one row."""
        return dot(self.weight[row], values, accumulator, self.product_shift[row], zero_point)

    def requantize(self, row: int, total: int, narrowing: Narrowing) -> int:
        """The sum of one row, requantized by the row's own constants."""
        return narrow(total, narrowing, self.multiplier[row], self.shift[row])


def with_bias(products: list[int], bias: int, datapath: LinearDatapath | LstmDatapath) -> int:
    """Return the accumulator of products whose bias enters first, last or not at all."""
    if datapath.bias_stage == "first":
        return accumulate(products, datapath.accumulator, bias)
    tail = [bias] if datapath.bias_stage == "last" else []
    return accumulate(products + tail, datapath.accumulator)


def linear(inputs: Sequence[int], rows: Rows, bias: Sequence[int], datapath: LinearDatapath) -> dict[str, list[int]]:
    """Return the signals of a fully connected layer; ``bias`` is at the scale of the stage that it enters."""
    signals: dict[str, list[int]] = {"accumulator": [], "sum": [], "preactivation": [], "output": []}
    for row, value in enumerate(bias):
        products = rows.products(row, inputs, datapath.accumulator, datapath.input.zero_point)
        total = with_bias(products, value, datapath)
        scaled_sum = rows.requantize(row, total, datapath.sum)
        late = value if datapath.bias_stage == "preactivation" else 0
        preactivation = narrow(scaled_sum + late, datapath.preactivation)
        signals["accumulator"].append(total)
        signals["sum"].append(scaled_sum)
        signals["preactivation"].append(preactivation)
        signals["output"].append(narrow(activate(preactivation, datapath.activation), datapath.output))
    return signals


class LstmOracle:
    """``pre = W x + R h + b``; ``c' = f c + i g``; ``h' = o tanh(c')``, every result narrowed where it is named."""

    def __init__(self, from_inputs: Rows, from_hidden: Rows, bias: Sequence[int], datapath: LstmDatapath) -> None:
        self.from_inputs, self.from_hidden, self.bias, self.datapath = from_inputs, from_hidden, bias, datapath

    def step(self, inputs: Sequence[int], hidden: Sequence[int], cell: Sequence[int]) -> dict[str, list[int]]:
        """Return the signals of one step."""
        signals: dict[str, list[int]] = {}
        for position, gate in enumerate(("input", "forget", "candidate", "output")):
            for unit in range(len(cell)):
                row = position * len(cell) + unit
                for name, raw in self._gate(row, inputs, hidden, self.datapath.gates[position]).items():
                    signals.setdefault(f"gate.{gate}.{name}".removesuffix("."), []).append(raw)
        for unit, previous in enumerate(cell):
            gates = [signals[f"gate.{gate}"][unit] for gate in ("input", "forget", "candidate", "output")]
            for name, raw in self._unit(gates, previous).items():
                signals.setdefault(name, []).append(raw)
        return signals

    def _gate(self, row: int, inputs: Sequence[int], hidden: Sequence[int], choices: GateDatapath) -> dict[str, int]:
        path = self.datapath
        first = self.from_inputs.products(row, inputs, path.accumulator, path.input.zero_point)
        second = self.from_hidden.products(row, hidden, path.accumulator, path.hidden.format.zero_point)
        if path.joint:
            total = with_bias(first + second, self.bias[row], path)
            result = {"accumulator": total, "sum": self.from_inputs.requantize(row, total, choices.input_sum)}
            together = result["sum"]
        else:
            left = with_bias(first, self.bias[row], path)
            right = accumulate(second, path.accumulator)
            result = {
                "input_accumulator": left,
                "recurrent_accumulator": right,
                "input_sum": self.from_inputs.requantize(row, left, choices.input_sum),
                "recurrent_sum": self.from_hidden.requantize(row, right, choices.recurrent_sum),
            }
            together = result["input_sum"] + result["recurrent_sum"]
        late = self.bias[row] if path.bias_stage == "preactivation" else 0
        result["preactivation"] = narrow(together + late, choices.preactivation)
        result[""] = narrow(activate(result["preactivation"], choices.activation), choices.output)
        return result

    def _unit(self, gates: list[int], previous: int) -> dict[str, int]:
        path = self.datapath
        entering, keeping, candidate, leaving = gates
        kept = narrow(keeping * previous, path.forget_product)
        added = narrow(entering * candidate, path.input_product)
        cell = narrow(kept + added, path.cell)
        rescaled = narrow(cell, path.cell_input)
        activated = narrow(activate(rescaled, path.cell_activation), path.cell_output)
        hidden = narrow(leaving * activated, path.hidden)
        return {
            "forget_product": kept,
            "input_product": added,
            "cell": cell,
            "cell_input": rescaled,
            "cell_activation": activated,
            "hidden": hidden,
        }
