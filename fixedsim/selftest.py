"""Compare every kernel with the scalar specification on the machine at hand.

The operands come from an integer generator of our own, so that a seed means the same cases everywhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fixedsim import arrays
from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.kernels import lstm as lstm_kernels
from fixedsim.layers.lstm_stages import kernel_signals, packed_stages
from fixedsim.profiles.datapath import (
    ARGUMENTS,
    GATES,
    MAX_MULTIPLIER,
    Accumulator,
    Activation,
    BiasStage,
    Check,
    FixedFunction,
    Form,
    Function,
    GateDatapath,
    Hazard,
    Interpolation,
    LayerNorm,
    LookupTable,
    LstmDatapath,
    Narrowing,
    Peephole,
    PiecewiseLinear,
    Primitive,
)
from fixedsim.spec import accumulators, activations, casts
from fixedsim.spec.layers import BiasRows, LstmRows, MatrixRows, Signals, lstm_step

Item = TypeVar("Item")
Integers = npt.NDArray[np.int64]
Comparison = tuple[str, Sequence[int], Sequence[int]]  # what was compared, the specification's integers, the kernels'

_WORD = (1 << 64) - 1
_IDENTITY = PiecewiseLinear(Format.integer(16))
_ROUNDINGS, _OVERFLOWS = tuple(Rounding), tuple(Overflow)


@dataclass(frozen=True, slots=True)
class FamilyReport:
    """What the comparison of one family of kernels gave."""

    name: str
    comparisons: int  # integers compared
    differences: int
    first_difference: str  # what, index, both integers; empty where there is none


@dataclass(frozen=True, slots=True)
class SelfTestReport:
    """The families in the order in which they ran."""

    families: tuple[FamilyReport, ...]

    @property
    def comparisons(self) -> int:
        """Integers compared in all families."""
        return sum(family.comparisons for family in self.families)

    @property
    def differences(self) -> int:
        """Integers that differ in all families."""
        return sum(family.differences for family in self.families)


class Draws:
    """Integers from splitmix64 (Steele, Lea and Flood 2014, the mix of its reference code), by a seed."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _WORD

    def word(self) -> int:
        """The next of the 64-bit words."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _WORD
        mixed = ((self._state ^ (self._state >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _WORD
        return mixed ^ (mixed >> 31)

    def between(self, low: int, high: int) -> int:
        """An integer of ``low .. high``, a range of at most 2**64."""
        return low + self.word() % (high - low + 1)

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.between(0, len(items) - 1)]

    def signed(self, bits: int) -> int:
        """An integer of ``bits`` bits in two's complement, often within 3 of a power of two."""
        power = self.between(0, bits - 1)
        magnitude = (1 << power) + self.between(-3, 3) if self.between(0, 1) else self.between(0, 1 << power)
        bound = 1 << (bits - 1)
        return min(max(self.choice((magnitude, -magnitude)), -bound), bound - 1)

    def format(self, widest: int, zero_point_bits: int) -> Format:
        """A format of 1 .. ``widest`` bits: signed, unsigned, narrow, or of odd raws; often with a zero point."""
        bits = self.between(1, widest)
        form = self.choice((Format.integer(bits), Format.integer(bits, signed=False)))
        if bits > 1:
            form = self.choice((form, form, Format.integer(bits, narrow=True), Format.odd(bits - 1)))
        if zero_point_bits and form.raw_step == 1 and self.between(0, 1):
            return replace(form, zero_point=self.signed(zero_point_bits))
        return form

    def narrowing(self, form: Format, shifts: tuple[int, int]) -> Narrowing:
        """A narrowing to ``form`` with any rounding, form, overflow that the format can have, and multiplier."""
        overflow = self.choice([mode for mode in _OVERFLOWS if _possible(form, mode)])
        multiplier = self.choice((1, 1 << 30, MAX_MULTIPLIER, self.between(1, 1 << 31)))
        shift = self.between(*shifts) + (0 if multiplier == 1 else 30)
        plain = Narrowing(
            form, self.choice(_ROUNDINGS), overflow, min(shift, 62), multiplier, self.choice((*Form, Form.SINGLE))
        )
        return self._special(plain) if form.raw_step == 1 and self.between(0, 3) == 0 else plain

    def _special(self, plain: Narrowing) -> Narrowing:
        """The narrowing with some of its highest bits saturated where it wraps, else a primitive in its place."""
        form = plain.format
        if plain.overflow in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE):
            return replace(plain, saturated_bits=self.between(0, min(form.bits, 3)))
        full = form.signed and form.full_range and 2 <= form.bits <= 32
        primitive = self.choice([each for each in Primitive if full or each.is_float])
        return replace(plain, primitive=primitive, guard_bits=self.between(0, 2))

    def activation(self, form: Format, read: Format | None = None) -> Activation:
        """A table, read at the nearest entry or on its lines, or a piecewise linear function; values in ``form``.

        Where raws of ``read`` fit 16 bits, also a registered function.
        """
        sixteen = Format.integer(16)
        fits = read is not None and sixteen.contains(read.raw_min) and sixteen.contains(read.raw_max)
        if fits and self.between(0, 3) == 0:
            function = self.choice(tuple(Function))
            return FixedFunction(sixteen, function, self.between(*ARGUMENTS[function]))
        form = Format.integer(form.bits) if form.raw_step == 2 else form
        if self.between(0, 2) == 0:
            ends = sorted(self.between(form.raw_min, form.raw_max) for _ in range(2))
            slope, offset = self.signed(16), self.signed(12)
            return PiecewiseLinear(
                form, slope, self.between(0, 16), offset, ends[0], ends[1], rounding=self.choice(_ROUNDINGS)
            )
        step, levels = form.raw_step, form.levels
        values = tuple(form.raw_min + step * self.between(0, levels - 1) for _ in range(self.between(2, 20)))
        kind = self.choice(tuple(Interpolation))
        shift, offset = self.between(0 if kind is Interpolation.LINEAR else -3, 12), self.between(-3, 12)
        return LookupTable(values, form, shift, offset, kind, self.choice(_ROUNDINGS), self.choice(_ROUNDINGS))


def _possible(form: Format, mode: Overflow) -> bool:
    if mode is Overflow.WRAP:
        return form.full_range
    if mode is Overflow.WRAP_SIGN_MAGNITUDE:
        return form.full_range and form.raw_step == 1 and form.signed
    return mode is not Overflow.SATURATE_ZERO or (form.raw_step == 1 and form.contains(form.zero_point))


def selftest(seed: int = 0, effort: int = 1) -> SelfTestReport:
    """Return how many integers of each family of kernels equal the specification's, on this machine.

    ``effort`` multiplies the number of drawn cases; 1 takes seconds. The same seed draws the same cases everywhere.
    """
    draws = Draws(seed)
    families: dict[str, Iterable[Comparison]] = {
        "casts": cast_comparisons(),
        "requantizations": requantization_comparisons(draws, 300 * effort),
        "activations": activation_comparisons(draws, 150 * effort),
        "accumulators": accumulator_comparisons(draws, 150 * effort),
        "lstm": lstm_comparisons(draws, 60 * effort),
    }
    return SelfTestReport(tuple(_report(name, comparisons) for name, comparisons in families.items()))


def _report(name: str, comparisons: Iterable[Comparison]) -> FamilyReport:
    total, differences, first = 0, 0, ""
    for what, expected, actual in comparisons:
        wrong = [index for index, pair in enumerate(zip(expected, actual, strict=True)) if pair[0] != pair[1]]
        total, differences = total + len(expected), differences + len(wrong)
        if wrong and not first:
            first = f"{what} [{wrong[0]}]: expected {expected[wrong[0]]}, not {actual[wrong[0]]}"
    return FamilyReport(name, total, differences, first)


def cast_comparisons() -> Iterator[Comparison]:
    """Every rounding and overflow from 6-bit integers to every format of 1 .. 4 bits, with shifts of -1 .. 6."""
    values = list(range(-32, 64))
    for form in small_formats(4):
        for mode in (mode for mode in _OVERFLOWS if _possible(form, mode)):
            for rounding in Rounding:
                for shift in range(-1, 7):
                    expected = [casts.cast(value, shift, form, rounding, mode) for value in values]
                    actual = arrays.cast(values, shift, form, rounding, mode).tolist()
                    yield f"{rounding} {mode} to {form.name}, shift {shift}", expected, actual


def small_formats(widest: int) -> list[Format]:
    """Every signed, unsigned, narrow and odd format of 1 .. ``widest`` bits."""
    forms = []
    for bits in range(1, widest + 1):
        forms += [Format.integer(bits), Format.integer(bits, signed=False), Format.odd(bits)]
        if bits > 1:
            forms.append(Format.integer(bits, narrow=True))
    return forms


def requantization_comparisons(draws: Draws, cases: int) -> Iterator[Comparison]:
    """Values of up to 64 bits near powers of two, to formats of up to 63 bits, with row constants."""
    for _ in range(cases):
        narrowing = draws.narrowing(draws.format(63, 64), (-31, 32))
        width = draws.choice((16, 32, 54, 64))
        values = [draws.signed(width) for _ in range(16)]
        multipliers = [draws.choice((1, draws.between(1, MAX_MULTIPLIER))) for _ in values]
        shifts = [draws.between(-62, 62) for _ in values]
        rows = zip(values, multipliers, shifts, strict=True)
        expected = [casts.narrow(value, narrowing, multiplier, shift) for value, multiplier, shift in rows]
        yield f"rows of {narrowing}", expected, arrays.narrow(values, narrowing, multipliers, shifts).tolist()
        expected = [casts.narrow(value, narrowing) for value in values]
        yield f"{narrowing}", expected, arrays.narrow(values, narrowing).tolist()


def activation_comparisons(draws: Draws, cases: int) -> Iterator[Comparison]:
    """Tables and piecewise linear functions of raws of up to 64 bits."""
    for _ in range(cases):
        activation = draws.activation(draws.format(20, 8))
        values = [draws.signed(draws.choice((8, 16, 24, 64))) for _ in range(32)]
        expected = [activations.activate(value, activation) for value in values]
        yield f"{activation}", expected, arrays.activate(values, activation).tolist()


def accumulator_comparisons(draws: Draws, cases: int) -> Iterator[Comparison]:
    """Dot products of 3 rows with 2 vectors in accumulators of every width, with and without narrowed products."""
    for _ in range(cases):
        product = draws.narrowing(draws.format(24, 8), (-4, 12)) if draws.between(0, 1) else None
        bits = draws.choice((draws.between(1, 24), draws.between(1, 64)))
        accumulator = Accumulator(bits, draws.choice(_OVERFLOWS), draws.choice(tuple(Check)), product)
        width, length = draws.choice((2, 8, 16, 31)), draws.between(0, 12)
        weight = [[draws.signed(width) for _ in range(length)] for _ in range(3)]
        inputs = [[draws.signed(width) for _ in range(length)] for _ in range(2)]
        start, shifts = [draws.signed(30) for _ in range(3)], [draws.between(-4, 62) for _ in range(3)]
        expected = [
            accumulators.accumulate(accumulators.products(row, vector, accumulator, shift), accumulator, first)
            for vector in inputs
            for row, shift, first in zip(weight, shifts, start, strict=True)
        ]
        rows, vectors = np.array(weight, np.int64).reshape(3, length), np.array(inputs, np.int64).reshape(2, length)
        actual = arrays.dot(rows, vectors, accumulator, start, shifts)
        yield f"{accumulator}", expected, actual.ravel().tolist()


@dataclass(frozen=True, slots=True)
class LstmCase:
    """An LSTM step on given accumulators: those of the inputs and of the hidden state, and the biases, by row."""

    datapath: LstmDatapath
    from_inputs: list[int]
    from_hidden: list[int]
    bias: list[int]
    constants: list[list[int]]  # input multiplier, input shift, recurrent multiplier, recurrent shift
    cell: list[int]
    peephole: dict[str, list[int]]
    norm: dict[str, list[int]]
    register: int  # a stale sigmoid register


def lstm_comparisons(draws: Draws, cases: int) -> Iterator[Comparison]:
    """Every signal of LSTM steps with drawn datapaths, on drawn accumulators."""
    for position in range(cases):
        case = lstm_case(draws)
        expected, (actual, _) = scalar_lstm(case), kernel_lstm(case)
        for name, raws in expected.items():
            yield f"case {position}: {name}", raws, actual[name]


def lstm_case(draws: Draws, units: int = 5) -> LstmCase:
    """Return a drawn datapath of narrow formats with operands for ``units`` units."""
    datapath = lstm_datapath(draws)
    gates = list(zip(datapath.gate_names, datapath.present, strict=True))
    rows = range(len(gates) * units)
    width = draws.choice((12, 24, 40))
    constants = [
        [draws.between(1, MAX_MULTIPLIER) if kind % 2 == 0 else draws.between(20, 50) for _ in rows]
        for kind in range(4)
    ]
    return LstmCase(
        datapath,
        [draws.signed(width) for _ in rows],
        [draws.signed(width) for _ in rows],
        [draws.signed(12) for _ in rows],
        constants,
        [draws.signed(16) for _ in range(units)],
        {name: [draws.signed(8) for _ in range(units)] for name, gate in gates if gate.peephole},
        {name: [draws.signed(12) for _ in range(units)] for name, gate in gates if gate.norm},
        draws.signed(16),
    )


def lstm_datapath(draws: Draws) -> LstmDatapath:
    """Return a datapath of narrow formats; of the stages that it may lack it has one in three."""

    def narrowing() -> Narrowing:
        return draws.narrowing(draws.format(16, 8), (-4, 8))

    def optional() -> Narrowing | None:
        return narrowing() if draws.between(0, 2) == 0 else None

    normalized, coupled = draws.between(0, 3) == 0, draws.between(0, 2) == 0
    gates = [gate_datapath(draws, normalized) for _ in GATES]
    stale = not coupled and gates[3].peephole is None and draws.between(0, 2) == 0
    word, cell_input = Format.integer(32), narrowing()
    return LstmDatapath(
        input=word,
        weight=word,
        recurrent_weight=word,
        bias=word,
        accumulator=Accumulator(62, check=Check.END),
        joint=draws.between(0, 2) == 0,
        bias_stage=BiasStage.NORMALIZATION if normalized else BiasStage.PREACTIVATION,
        gates=(None if coupled else gates[0], gates[1], gates[2], gates[3]),
        forget_product=narrowing(),
        input_product=narrowing(),
        cell=narrowing(),
        cell_input=cell_input,
        cell_activation=draws.activation(draws.format(16, 8), cell_input.format),
        cell_output=narrowing(),
        hidden=narrowing(),
        forget_addend=optional(),
        input_addend=optional(),
        coupled=draws.signed(16) if coupled else None,
        hazard=Hazard.STALE_SIGMOID if stale else Hazard.NONE,
    )


def gate_datapath(draws: Draws, normalized: bool) -> GateDatapath:
    """Return a gate, one in three with a peephole; what a layer normalization reads has at most 14 bits."""

    def narrowing(widest: int = 16) -> Narrowing:
        return draws.narrowing(draws.format(widest, 8), (-4, 8))

    before, peephole = narrowing(13), None
    if draws.between(0, 2) == 0:
        peephole = Peephole(replace(Format.integer(8), zero_point=draws.signed(4)), narrowing(), narrowing(13))
    norm = LayerNorm(Format.integer(12), narrowing(), draws.between(1, 99)) if normalized else None
    gate = GateDatapath(narrowing(), narrowing(), before, _IDENTITY, narrowing(), peephole, norm)
    return replace(gate, activation=draws.activation(draws.format(16, 8), gate.read))


def scalar_lstm(case: LstmCase) -> Signals:
    """Return the signals by the specification: the accumulators come from weights of one column and inputs of 1."""
    units, zeros = len(case.cell), [0] * len(case.bias)
    zero = case.datapath.hidden.format.zero_point
    from_inputs, from_hidden = case.constants[:2], case.constants[2:]
    wide_rows = [[raw] + [0] * (units - 1) for raw in case.from_hidden]
    rows = LstmRows(
        MatrixRows([[raw] for raw in case.from_inputs], zeros, from_inputs[0], from_inputs[1], zeros),
        MatrixRows(wide_rows, zeros, from_hidden[0], from_hidden[1], zeros),
        BiasRows(case.bias, zeros),
        case.peephole,
        case.norm,
    )
    hidden = [zero + 1] + [zero] * (units - 1)
    return lstm_step([1], hidden, case.cell, rows, case.datapath, case.register)


def kernel_lstm(case: LstmCase) -> tuple[Signals, Integers]:
    """Return the signals by the kernel, under the specification's names, and its counts of overflows (36, 2)."""
    units, stages = len(case.cell), packed_stages(case.datapath)
    from_inputs, from_hidden = np.array([case.from_inputs]), np.array([case.from_hidden])
    signals = np.zeros((len(lstm_kernels.SIGNALS), 1, units), np.int64)
    counts = np.zeros((len(lstm_kernels.NARROWINGS), 2), np.int64)
    lstm_kernels.lstm_elementwise(
        from_inputs + from_hidden if case.datapath.joint else from_inputs,
        from_hidden,
        kernel_rows(case),
        stages.choices,
        stages.narrowings,
        stages.centres,
        stages.activations,
        stages.values,
        np.array([case.cell]),
        np.zeros((1, units), np.int64),
        np.array([[case.register]]),
        signals,
        counts,
    )
    return {name: signals[place, 0].tolist() for name, place in kernel_signals(case.datapath).items()}, counts


def kernel_rows(case: LstmCase) -> tuple[Integers, Integers, Integers, Integers]:
    """Return the row constants as the kernel takes them; see :func:`fixedsim.kernels.lstm.lstm_elementwise`."""
    units, normalized = len(case.cell), case.datapath.bias_stage is BiasStage.NORMALIZATION
    bias, nothing = np.array(case.bias), [0] * units
    weights = [given.get(gate, nothing) for given in (case.peephole, case.norm) for gate in GATES]
    first = [GATES.index(gate) for gate in case.datapath.gate_names]
    norm_bias = np.zeros((len(GATES), units), np.int64)
    norm_bias[first] = bias.reshape(len(first), units)
    late = np.zeros_like(bias) if normalized else bias
    return late, np.array(case.constants), np.array(weights, np.int64), norm_bias
