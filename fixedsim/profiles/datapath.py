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
MAX_FLOAT_MULTIPLIER = (1 << 53) - 1  # of the primitives in IEEE arithmetic: the significand of a binary64 number
MAX_FLOAT_SHIFT = 900
MAX_SATURATED_BITS = 63
MAX_GUARD_BITS = 8
MAX_GROUP = 1 << 20
STEP_BITS = 62  # widest accumulator and product that kernels add step by step

GATES = ("input", "forget", "candidate", "output")


class Form(StrEnum):
    """How a requantization multiplies and shifts."""

    SINGLE = "single"  # exact product, one rounding
    DOUBLING = "doubling"  # doubling high multiply (half up), then a rounding shift: two roundings


class Primitive(StrEnum):
    """A narrowing that is an algorithm of its own; :mod:`fixedsim.spec.primitives` specifies each."""

    REPAIR_SIGN = "repair_sign"  # wrap, truncate toward zero, then saturate only where the sign came out wrong
    REPAIR_SIGN_FIRST = "repair_sign_first"  # wrap, saturate where the sign came out wrong, else truncate toward zero
    VHDL_RESIZE = "vhdl_resize"  # saturate to guard bits, add the zero point, wrap to them, keep sign and low bits
    VHDL_RESIZE_MAGNITUDE = "vhdl_resize_magnitude"  # wrap the magnitude, restore the sign, add, keep sign and low bits
    FLOAT32 = "float32"  # the product in IEEE binary32, then rounded
    FLOAT64 = "float64"  # the product in IEEE binary64, then rounded

    @property
    def is_float(self) -> bool:
        """Whether the scale is a floating-point number: ``multiplier / 2**shift``, exactly."""
        return self in (Primitive.FLOAT32, Primitive.FLOAT64)


class Function(StrEnum):
    """An activation that is an algorithm of its own; :mod:`fixedsim.spec.functions` specifies each."""

    GEMMLOWP_SIGMOID = "gemmlowp_sigmoid"  # fixed-point logistic function of LiteRT, 16 bits
    GEMMLOWP_TANH = "gemmlowp_tanh"  # its tanh; the argument is the count of integer bits, 0..6
    CMSIS_SIGMOID = "cmsis_sigmoid"  # CMSIS-NN's table of 256 entries with interpolation; the argument is a left shift
    CMSIS_TANH = "cmsis_tanh"  # the same table


class Grouping(StrEnum):
    """Which addends make one partial sum."""

    LANES = "lanes"  # addend k goes to partial sum k mod count
    TILES = "tiles"  # count addends in a row make one partial sum


class Order(StrEnum):
    """In which order a partial sum is added up."""

    SEQUENCE = "sequence"  # one after the other, ascending
    TREE = "tree"  # neighbours in pairs, the sums again in pairs; an odd one out moves up as it is


class Hazard(StrEnum):
    """A fault of published hardware that a datapath reproduces."""

    NONE = "none"
    STALE_SIGMOID = "stale_sigmoid"  # a shared sigmoid register is read one evaluation too early


class Check(StrEnum):
    """When an accumulator's overflow acts."""

    STEP = "step"  # after every addition
    END = "end"  # once, on the exact sum


class BiasStage(StrEnum):
    """Where a bias enters."""

    FIRST = "first"  # the accumulator starts with it
    LAST = "last"  # the accumulator adds it after all products
    PREACTIVATION = "preactivation"  # it is added to the requantized sums
    NORMALIZATION = "normalization"  # layer normalization adds it after its weight


class Interpolation(StrEnum):
    """How a table is read between its entries."""

    NEAREST = "nearest"  # one entry, by the rounded index
    LINEAR = "linear"  # on the line between two neighbouring entries


@dataclass(frozen=True, slots=True)
class Narrowing:
    """``format <- value * multiplier / 2**shift`` with its rounding and overflow: a named cast of the datapath.

    ``value`` is what is narrowed less the zero point of the format that it comes in. A ``primitive`` is an algorithm in
    place of this cast; it says which of the other fields it reads.

    Raises:
        FormatError: a multiplier outside 1 .. 2**32 - 1 or a shift outside -62 .. 62 (of a primitive in IEEE arithmetic
            1 .. 2**53 - 1 and -900 .. 900), wrapping into a narrow range, or saturating to a zero that the format does
            not have.
    """

    format: Format
    rounding: Rounding = Rounding.FLOOR
    overflow: Overflow = Overflow.SATURATE
    shift: int = 0
    multiplier: int = 1
    form: Form = Form.SINGLE
    primitive: Primitive | None = None
    saturated_bits: int = 0  # wraps: how many of the highest bits saturate on overflow (AP_WRAP's third parameter)
    guard_bits: int = 0  # vhdl_resize: bits beyond the format's that the intermediate value has

    def __post_init__(self) -> None:
        if not 1 <= self.multiplier <= self.max_multiplier:
            raise FormatError(f"multiplier must be in 1..{self.max_multiplier}, not {self.multiplier}")
        if not -self.max_shift <= self.shift <= self.max_shift:
            raise FormatError(f"shift must be in {-self.max_shift}..{self.max_shift}, not {self.shift}")
        if (self.overflow in _WRAPS or self.primitive in _FULL_RANGE) and not self.format.full_range:
            raise FormatError(
                f"overflow must be one of the saturating ones, not wrap, for the narrow range "
                f"{self.format.raw_min}..{self.format.raw_max}"
            )
        odd = self.format.raw_step == 2
        if self.overflow is Overflow.SATURATE_ZERO and (odd or not self.format.contains(self.format.zero_point)):
            raise FormatError(f"overflow must not be saturate_zero: {self.format.name} has no raw that means zero")
        self._check_primitive()

    def _check_primitive(self) -> None:
        highest = min(self.format.bits, MAX_SATURATED_BITS)
        if not 0 <= self.saturated_bits <= highest:
            raise FormatError(f"saturated_bits must be in 0..{highest}, not {self.saturated_bits}")
        if self.saturated_bits and self.overflow not in _WRAPS:
            raise FormatError(f"saturated_bits must be 0 for overflow {self.overflow}, not {self.saturated_bits}")
        if not 0 <= self.guard_bits <= MAX_GUARD_BITS:
            raise FormatError(f"guard_bits must be in 0..{MAX_GUARD_BITS}, not {self.guard_bits}")
        if self.primitive in _FULL_RANGE and not (self.format.signed and 2 <= self.format.bits <= _MAX_PRIMITIVE_BITS):
            raise FormatError(
                f"format of {self.primitive} must be signed with 2..{_MAX_PRIMITIVE_BITS} bits, not {self.format.name}"
            )
        sign_magnitude = self.overflow is Overflow.WRAP_SIGN_MAGNITUDE
        if self.format.raw_step == 2 and (self.primitive or sign_magnitude or self.saturated_bits):
            raise FormatError(f"format of {self.primitive or self.overflow} must have step 1, not {self.format.name}")
        if sign_magnitude and not self.format.signed:
            raise FormatError(f"format of {self.overflow} must be signed, not {self.format.name}")

    @property
    def reads_overflow(self) -> bool:
        """Whether its overflow acts, rather than the end of a primitive's own algorithm."""
        return self.primitive not in _FULL_RANGE

    @property
    def max_multiplier(self) -> int:
        """The largest multiplier that it can have."""
        return MAX_FLOAT_MULTIPLIER if self.primitive and self.primitive.is_float else MAX_MULTIPLIER

    @property
    def max_shift(self) -> int:
        """The largest shift, in either direction, that it can have."""
        return MAX_FLOAT_SHIFT if self.primitive and self.primitive.is_float else MAX_SHIFT


_WRAPS = (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE)
_FULL_RANGE = (
    Primitive.REPAIR_SIGN,
    Primitive.REPAIR_SIGN_FIRST,
    Primitive.VHDL_RESIZE,
    Primitive.VHDL_RESIZE_MAGNITUDE,
)
_MAX_PRIMITIVE_BITS = 32


@dataclass(frozen=True, slots=True)
class PartialSums:
    """One level of partial sums: addends in groups, each added up in a register of its own.

    ``lanes`` makes ``count`` groups, addend k in group k mod ``count``; ``tiles`` makes groups of ``count`` addends in
    a row, the last one shorter (count 0: one group of all). A group without addends gives no partial sum. The overflow
    acts on every sum; in a sequence on the first addend too, in a tree on an addend that is alone in its group. The
    partial sums, in the order of their groups, are the addends of the next level.

    Raises:
        ModelError: a count or a width out of range.
    """

    grouping: Grouping
    count: int
    bits: int
    order: Order = Order.SEQUENCE
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        least = 0 if self.grouping is Grouping.TILES else 1
        if not least <= self.count <= MAX_GROUP:
            raise ModelError(f"count of {self.grouping} must be in {least}..{MAX_GROUP}, not {self.count}")
        if not 1 <= self.bits <= MAX_BITS:
            raise ModelError(f"bits of partial sums must be in 1..{MAX_BITS}, not {self.bits}")

    @property
    def format(self) -> Format:
        """The raws of a partial sum."""
        return Format.integer(self.bits)


@dataclass(frozen=True, slots=True)
class Accumulator:
    """``sum <- sum + product`` in two's complement of ``bits`` bits, products in ascending order of the input.

    ``product`` narrows each product first (None: exact). Where its format keeps every bit, it moves the products to
    a finer scale, which gives the bias more fraction bits. ``partial`` lists levels of partial sums, the first of the
    products themselves; what the last level leaves is added in order.
    """

    bits: int = 32
    overflow: Overflow = Overflow.SATURATE
    check: Check = Check.STEP
    product: Narrowing | None = None
    partial: tuple[PartialSums, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MAX_BITS:
            raise ModelError(f"accumulator bits must be in 1..{MAX_BITS}, not {self.bits}")

    @property
    def format(self) -> Format:
        """The accumulator's raws, of scale 1: each row of weights gives it a scale of its own."""
        return Format.integer(self.bits)


def _require_values(form: Format) -> None:
    """Refuse formats that the values of a function can't have."""
    if form.raw_step != 1:
        raise ModelError(f"format of a function's values must have step 1, not {form.name}")


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A function by ``values``, read at ``raw / 2**index_shift + offset`` and clamped to the first and last entry.

    ``nearest`` rounds the index ``raw * index_multiplier / 2**index_shift`` by ``index_rounding``.
    ``linear`` takes ``i = floor(raw / 2**index_shift) + offset``
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
    index_multiplier: int = 1  # nearest only
    kind: Literal["table"] = "table"

    def __post_init__(self) -> None:
        _require_values(self.format)
        least = 2 if self.interpolation is Interpolation.LINEAR else 1
        if len(self.values) < least:
            raise ModelError(f"a {self.interpolation} table must have at least {least} values, not {len(self.values)}")
        lowest = 0 if self.interpolation is Interpolation.LINEAR else -MAX_SHIFT
        if not lowest <= self.index_shift <= MAX_SHIFT:
            raise ModelError(f"index_shift must be in {lowest}..{MAX_SHIFT}, not {self.index_shift}")
        highest = MAX_MULTIPLIER if self.interpolation is Interpolation.NEAREST else 1
        if not 1 <= self.index_multiplier <= highest:
            raise ModelError(f"index_multiplier must be in 1..{highest}, not {self.index_multiplier}")
        for position, value in enumerate(self.values):
            if not self.format.contains(value):
                raise ModelError(f"table value {position} must be a raw of {self.format.name}, not {value}")


@dataclass(frozen=True, slots=True)
class PiecewiseLinear:
    """``min(max(slope * raw / 2**shift + offset, lower), upper)``: hard sigmoid and tanh, ReLU, identity.

    The quotient is rounded by ``rounding``; ``lower`` and ``upper`` are raws of ``format``, the whole range if None.
    Raws up to ``low_input`` give ``lower``, raws from ``high_input`` on give ``upper``, whatever the line says there.
    """

    format: Format
    slope: int = 1
    shift: int = 0
    offset: int = 0
    lower: int | None = None
    upper: int | None = None
    rounding: Rounding = Rounding.FLOOR
    function: str = ""
    low_input: int | None = None
    high_input: int | None = None
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


@dataclass(frozen=True, slots=True)
class FixedFunction:
    """A registered algorithm on 16-bit raws, ``primitive(raw, argument)``, with 16-bit values of scale ``2**-15``."""

    format: Format
    primitive: Function
    argument: int = 0
    function: str = ""
    kind: Literal["primitive"] = "primitive"

    def __post_init__(self) -> None:
        if (self.format.bits, self.format.full_range, self.format.raw_step, self.format.signed) != (16, True, 1, True):
            raise ModelError(f"format of {self.primitive} must be 16 bits, signed, not {self.format.name}")
        low, high = ARGUMENTS[self.primitive]
        if not low <= self.argument <= high:
            raise ModelError(f"argument of {self.primitive} must be in {low}..{high}, not {self.argument}")


ARGUMENTS = {
    Function.GEMMLOWP_SIGMOID: (3, 3),
    Function.GEMMLOWP_TANH: (0, 6),
    Function.CMSIS_SIGMOID: (-15, 15),
    Function.CMSIS_TANH: (-15, 15),
}

Activation = LookupTable | PiecewiseLinear | FixedFunction


@dataclass(frozen=True, slots=True)
class EmbeddingDatapath:
    """An entry of the table, narrowed to the output (row constants in the layer)."""

    table: Format
    output: Narrowing

    def __post_init__(self) -> None:
        if self.table.zero_point:
            raise ModelError(f"zero_point of table must be 0, not {self.table.zero_point}")


@dataclass(frozen=True, slots=True)
class LinearDatapath:
    """``output(activation(preactivation(sum(accumulator))))``.

    Every stage reads raws less the zero point of the format that they come in; an activation reads raws as they are.
    """

    input: Format
    weight: Format
    bias: Format
    accumulator: Accumulator
    bias_stage: BiasStage
    sum: Narrowing  # of the accumulator; multiplier and shift of each row stand in the layer
    preactivation: Narrowing  # of the sum (and of the bias, at that stage)
    activation: Activation
    output: Narrowing  # of the activation
    bias_cast: Narrowing | None = None  # of the stored bias, where it enters; its shift is the layer's, negated
    folded_zero_point: bool = False  # the accumulator starts with -zero_point * sum of the weights, and inputs stay raw

    def __post_init__(self) -> None:
        _require_bias_stage(self.bias_stage, normalized=False)


@dataclass(frozen=True, slots=True)
class Peephole:
    """``sum(preactivation + product(weight * cell))``: the previous cell, or for the output gate the new one."""

    weight: Format
    product: Narrowing
    sum: Narrowing


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """LiteRT's integer layer normalization of one gate's pre-activations over the units, a registered primitive.

    ``output(2**-10 * (weight * normalized) + bias)``; see :func:`fixedsim.spec.functions.layer_norm`.
    """

    weight: Format
    output: Narrowing
    least_variance: int = 1  # what a variance below 1 becomes

    def __post_init__(self) -> None:
        if self.weight.bits > 16 or self.weight.zero_point:
            raise ModelError(
                f"weight of a normalization must have at most 16 bits and zero point 0, not {self.weight.name}"
            )
        if not 1 <= self.least_variance < 1 << 31:
            raise ModelError(f"least_variance must be in 1..{(1 << 31) - 1}, not {self.least_variance}")


@dataclass(frozen=True, slots=True)
class GateDatapath:
    """One gate: two sums brought to one scale, their sum narrowed, activated and narrowed."""

    input_sum: Narrowing  # of the input accumulator (of the only one, where it is joint)
    recurrent_sum: Narrowing  # of the recurrent accumulator
    preactivation: Narrowing  # of the sum of both (and of the bias, at that stage)
    activation: Activation
    output: Narrowing  # of the activation: the gate
    peephole: Peephole | None = None
    norm: LayerNorm | None = None

    @property
    def read(self) -> Format:
        """The format that the activation reads."""
        if self.norm is not None:
            return self.norm.output.format
        return self.preactivation.format if self.peephole is None else self.peephole.sum.format


@dataclass(frozen=True, slots=True)
class LstmDatapath:
    """The general LSTM step; gates in the order input, forget, candidate, output.

    ::

        x', h' = input_rescale(x), hidden_rescale(h)
        pre_g  = preactivation(input_sum(acc(W_g x')) + recurrent_sum(acc(R_g h')))
        pre_g  = norm(peephole.sum(pre_g + peephole.product(P_g * cell)))
        gate_g = output(activation(pre_g))                  input gate: coupled - forget gate, where that is given
        cell   = cell(forget_addend(forget_product(forget * cell)) + input_addend(input_product(input * candidate)))
        hidden = hidden(output * cell_output(cell_activation(cell_input(cell))))
        hidden = projection(hidden)                         a linear layer, where there is one

    Every stage reads raws less the zero point of the format that they come in; activations read raws as they are.
    """

    input: Format
    weight: Format
    recurrent_weight: Format
    bias: Format
    accumulator: Accumulator
    joint: bool  # one accumulator, over the inputs first and then the hidden state
    bias_stage: BiasStage
    gates: tuple[GateDatapath | None, GateDatapath, GateDatapath, GateDatapath]  # None: the input gate, coupled
    forget_product: Narrowing
    input_product: Narrowing
    cell: Narrowing
    cell_input: Narrowing
    cell_activation: Activation
    cell_output: Narrowing
    hidden: Narrowing
    initial_hidden: int = 0  # raws after a reset
    initial_cell: int = 0
    bias_cast: Narrowing | None = None  # of the stored bias, where it enters; its shift is the layer's, negated
    folded_zero_point: bool = False  # accumulators start with -zero_point * sum of the weights, and inputs stay raw
    input_rescale: Narrowing | None = None  # of the inputs, before the products
    hidden_rescale: Narrowing | None = None  # of the hidden state, before the products
    forget_addend: Narrowing | None = None  # of the forget product, before the sum of the cell
    input_addend: Narrowing | None = None  # of the input product, likewise
    coupled: int | None = None  # the raw from which the forget gate is subtracted to give the input gate
    hidden_state: Format | None = None  # the hidden state as the recurrence reads it; as it was written if None
    cell_state: Format | None = None  # the cell as the next step reads it; as it was written if None
    output: Format | None = None  # the hidden state as the next layer reads it; as it was written if None
    hazard: Hazard = Hazard.NONE

    def __post_init__(self) -> None:
        _require_bias_stage(self.bias_stage, normalized=any(gate.norm for gate in self.present))
        if (self.gates[0] is None) != (self.coupled is not None):
            raise ModelError("coupled must be given exactly where the input gate has no datapath of its own")
        if self.hazard is Hazard.STALE_SIGMOID and (self.coupled is not None or self.gates[3].peephole):
            raise ModelError("hazard must be none where gates are coupled or the output gate has a peephole")

    @property
    def present(self) -> tuple[GateDatapath, ...]:
        """The gates that have rows in the matrices, in their order."""
        return tuple(gate for gate in self.gates if gate is not None)

    @property
    def gate_names(self) -> tuple[str, ...]:
        """The names of the gates that have rows in the matrices, in their order."""
        return tuple(name for name, gate in zip(GATES, self.gates, strict=True) if gate is not None)

    @property
    def read_input(self) -> Format:
        """The format of the inputs as the products read them."""
        return self.input if self.input_rescale is None else self.input_rescale.format

    @property
    def read_cell(self) -> Format:
        """The format of the cell as the next step reads it."""
        return self.cell_state or self.cell.format


def _require_bias_stage(stage: BiasStage, *, normalized: bool) -> None:
    if (stage is BiasStage.NORMALIZATION) != normalized:
        allowed = "normalization" if normalized else "first, last or preactivation"
        raise ModelError(f"bias stage must be {allowed}, not {stage}")
