"""The datapath of one layer as frozen data: every narrowing by name, in the order of execution.

A profile says what a hardware target does; quantization turns it into the datapath of each layer, where
every format, shift and table is a number. :mod:`fixedsim.spec` and the kernels read nothing else.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError, ModelError
from fixedsim.formats import MAX_BITS, Format

MAX_MULTIPLIER = (1 << 32) - 1
MAX_SHIFT = 62
STEP_BITS = 62  # widest accumulator and product that kernels add step by step

GATES = ("input", "forget", "candidate", "output")


class Form(StrEnum):
    """How a requantization multiplies and shifts."""

    SINGLE = "single"  # exact product, one rounding
    DOUBLING = "doubling"  # doubling high multiply (half up), then a rounding shift: two roundings


class Check(StrEnum):
    """When an accumulator's overflow acts."""

    STEP = "step"  # after every addition
    END = "end"  # once, on the exact sum


class BiasStage(StrEnum):
    """Where a bias enters."""

    FIRST = "first"  # the accumulator starts with it
    LAST = "last"  # the accumulator adds it after all products
    PREACTIVATION = "preactivation"  # it is added to the requantized sums


class Interpolation(StrEnum):
    """How a table is read between its entries."""

    NEAREST = "nearest"  # one entry, by the rounded index
    LINEAR = "linear"  # on the line between two neighbouring entries


@dataclass(frozen=True, slots=True)
class Narrowing:
    """``format <- value * multiplier / 2**shift`` with its rounding and overflow: a named cast of the datapath.

    Raises:
        FormatError: a multiplier outside 1 .. 2**32 - 1, a shift outside -62 .. 62, wrapping into a narrow range, or
            saturating to a zero that the format does not have.
    """

    format: Format
    rounding: Rounding = Rounding.FLOOR
    overflow: Overflow = Overflow.SATURATE
    shift: int = 0
    multiplier: int = 1
    form: Form = Form.SINGLE

    def __post_init__(self) -> None:
        if not 1 <= self.multiplier <= MAX_MULTIPLIER:
            raise FormatError(f"multiplier must be in 1..{MAX_MULTIPLIER}, not {self.multiplier}")
        if not -MAX_SHIFT <= self.shift <= MAX_SHIFT:
            raise FormatError(f"shift must be in {-MAX_SHIFT}..{MAX_SHIFT}, not {self.shift}")
        if self.overflow is Overflow.WRAP and not self.format.full_range:
            raise FormatError(
                f"overflow must be one of the saturating ones, not wrap, for the narrow range "
                f"{self.format.raw_min}..{self.format.raw_max}"
            )
        odd = self.format.raw_step == 2
        if self.overflow is Overflow.SATURATE_ZERO and (odd or not self.format.contains(self.format.zero_point)):
            raise FormatError(f"overflow must not be saturate_zero: {self.format.name} has no raw that means zero")


@dataclass(frozen=True, slots=True)
class Accumulator:
    """``sum <- sum + product`` in two's complement of ``bits`` bits, products in ascending order of the input.

    ``product`` narrows each product first (None: exact). Where its format keeps every bit, it moves the products to
    a finer scale, which gives the bias more fraction bits.
    """

    bits: int = 32
    overflow: Overflow = Overflow.SATURATE
    check: Check = Check.STEP
    product: Narrowing | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise ModelError(f"accumulator bits must be in 1..{MAX_BITS}, not {self.bits}")

    @property
    def format(self) -> Format:
        """The accumulator's raws, of scale 1: each row of weights gives it a scale of its own."""
        return Format.integer(self.bits)


def _require_no_zero_point(**formats: Format) -> None:
    """Refuse zero points where the datapath does not subtract them."""
    for what, form in formats.items():
        if form.zero_point:
            raise ModelError(f"zero_point of {what.replace('_', ' ')} must be 0, not {form.zero_point}")


def _require_values(form: Format) -> None:
    """Refuse formats that the values of a function can't have."""
    if form.raw_step != 1:
        raise ModelError(f"format of a function's values must have step 1, not {form.name}")


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A function by ``values``, read at ``raw / 2**index_shift + offset`` and clamped to the first and last entry.

    ``nearest`` rounds the index by ``index_rounding``. ``linear`` takes ``i = floor(raw / 2**index_shift) + offset``
    and ``r = raw mod 2**index_shift``, and gives ``values[i] + (values[i + 1] - values[i]) * r / 2**index_shift``, the
    second term rounded by ``rounding``.
    """

    values: tuple[int, ...]
    format: Format  # of the values
    index_shift: int
    offset: int
    interpolation: Interpolation = Interpolation.NEAREST
    index_rounding: Rounding = Rounding.FLOOR
    rounding: Rounding = Rounding.HALF_UP
    function: str = ""  # what the values were made from, for people
    kind: Literal["table"] = "table"

    def __post_init__(self) -> None:
        _require_values(self.format)
        least = 2 if self.interpolation is Interpolation.LINEAR else 1
        if len(self.values) < least:
            raise ModelError(f"a {self.interpolation} table must have at least {least} values, not {len(self.values)}")
        lowest = 0 if self.interpolation is Interpolation.LINEAR else -MAX_SHIFT
        if not lowest <= self.index_shift <= MAX_SHIFT:
            raise ModelError(f"index_shift must be in {lowest}..{MAX_SHIFT}, not {self.index_shift}")
        for position, value in enumerate(self.values):
            if not self.format.contains(value):
                raise ModelError(f"table value {position} must be a raw of {self.format.name}, not {value}")


@dataclass(frozen=True, slots=True)
class PiecewiseLinear:
    """``min(max(slope * raw / 2**shift + offset, lower), upper)``: hard sigmoid and tanh, ReLU, identity.

    The quotient is rounded by ``rounding``; ``lower`` and ``upper`` are raws of ``format``, the whole range if None.
    """

    format: Format
    slope: int = 1
    shift: int = 0
    offset: int = 0
    lower: int | None = None
    upper: int | None = None
    rounding: Rounding = Rounding.FLOOR
    function: str = ""
    kind: Literal["piecewise_linear"] = "piecewise_linear"

    def __post_init__(self) -> None:
        _require_values(self.format)
        if not 0 <= self.shift <= MAX_SHIFT:
            raise ModelError(f"shift of a piecewise linear function must be in 0..{MAX_SHIFT}, not {self.shift}")
        if not self.format.raw_min <= self.low <= self.high <= self.format.raw_max:
            raise ModelError(
                f"lower and upper must be ascending raws of {self.format.name}, not {self.low} and {self.high}"
            )

    @property
    def low(self) -> int:
        """The lowest raw that it gives."""
        return self.format.raw_min if self.lower is None else self.lower

    @property
    def high(self) -> int:
        """The highest raw that it gives."""
        return self.format.raw_max if self.upper is None else self.upper


Activation = LookupTable | PiecewiseLinear


@dataclass(frozen=True, slots=True)
class EmbeddingDatapath:
    """An entry of the table, narrowed to the output (row constants in the layer)."""

    table: Format
    output: Narrowing

    def __post_init__(self) -> None:
        _require_no_zero_point(table=self.table)


@dataclass(frozen=True, slots=True)
class LinearDatapath:
    """``output(activation(preactivation(sum(accumulator))))``."""

    input: Format
    weight: Format
    bias: Format
    accumulator: Accumulator
    bias_stage: BiasStage
    sum: Narrowing  # of the accumulator; multiplier and shift of each row stand in the layer
    preactivation: Narrowing  # of the sum (and of the bias, at that stage)
    activation: Activation
    output: Narrowing  # of the activation

    def __post_init__(self) -> None:
        _require_no_zero_point(
            weight=self.weight,
            bias=self.bias,
            sum=self.sum.format,
            preactivation=self.preactivation.format,
            activation=self.activation.format,
        )


@dataclass(frozen=True, slots=True)
class GateDatapath:
    """One gate: two sums brought to one scale, their sum narrowed, activated and narrowed."""

    input_sum: Narrowing  # of the input accumulator (of the only one, where it is joint)
    recurrent_sum: Narrowing  # of the recurrent accumulator
    preactivation: Narrowing  # of the sum of both (and of the bias, at that stage)
    activation: Activation
    output: Narrowing  # of the activation: the gate

    def __post_init__(self) -> None:
        _require_no_zero_point(
            input_sum=self.input_sum.format,
            recurrent_sum=self.recurrent_sum.format,
            preactivation=self.preactivation.format,
            activation=self.activation.format,
            gate=self.output.format,
        )


@dataclass(frozen=True, slots=True)
class LstmDatapath:
    """The general LSTM step; gates in the order input, forget, candidate, output.

    ::

        pre_g  = preactivation(input_sum(acc(W_g x)) + recurrent_sum(acc(R_g h)))
        gate_g = output(activation(pre_g))
        cell   = cell(forget_product(forget * cell) + input_product(input * candidate))
        hidden = hidden(output * cell_output(cell_activation(cell_input(cell))))
    """

    input: Format
    weight: Format
    recurrent_weight: Format
    bias: Format
    accumulator: Accumulator
    joint: bool  # one accumulator, over the inputs first and then the hidden state
    bias_stage: BiasStage
    gates: tuple[GateDatapath, GateDatapath, GateDatapath, GateDatapath]
    forget_product: Narrowing
    input_product: Narrowing
    cell: Narrowing
    cell_input: Narrowing
    cell_activation: Activation
    cell_output: Narrowing
    hidden: Narrowing
    initial_hidden: int = 0  # raws after a reset
    initial_cell: int = 0

    def __post_init__(self) -> None:
        _require_no_zero_point(
            weight=self.weight,
            recurrent_weight=self.recurrent_weight,
            bias=self.bias,
            forget_product=self.forget_product.format,
            input_product=self.input_product.format,
            cell=self.cell.format,
            cell_input=self.cell_input.format,
            cell_activation=self.cell_activation.format,
            cell_output=self.cell_output.format,
        )
