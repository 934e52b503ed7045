"""Datapaths that the kernels can carry out, drawn field by field."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from fixedsim.casts import Overflow
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    STEP_BITS,
    Accumulator,
    Activation,
    BiasStage,
    Check,
    GateDatapath,
    Grouping,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
    Order,
    PartialSums,
)
from fixedsim.testing.cast import STAGE_BITS, narrowings, requantizations
from fixedsim.testing.format import formats
from fixedsim.testing.function import activations, reaching

GUARD_BITS = (40, 62)  # of products that keep every bit


@dataclass(frozen=True)
class Scope:
    """What is asked of drawn layers; widths are (least, most) bits."""

    operand_bits: tuple[int, int] = (1, 8)  # of weights and inputs
    accumulator_bits: tuple[int, int] = (2, 24)
    narrowed_products: bool = True  # some products are cast before they are added
    partial_sums: bool = True  # some are added up in lanes or tiles first, if accumulators have up to 62 bits
    ends: bool = False  # every weight and input is an end of its format


ANY = Scope()


def activation_formats() -> st.SearchStrategy[Format]:
    """Formats of what travels between layers: any zero point."""
    return formats(widest=STAGE_BITS, zero_points=True)


def outputs() -> st.SearchStrategy[Narrowing]:
    """Narrowings to what travels between layers."""
    return activation_formats().flatmap(narrowings)


@st.composite
def accumulators(draw: st.DrawFn, scope: Scope = ANY) -> Accumulator:
    """An accumulator with exact products, with lossless ones at a finer scale, or with lossy ones.

    Half of them have one or two levels of partial sums, where the scope has them.
    """
    kind = draw(st.sampled_from(("exact", "guard", "lossy"))) if scope.narrowed_products else "exact"
    product = None
    if kind == "guard":
        product = Narrowing(Format.integer(draw(st.sampled_from(GUARD_BITS))), shift=draw(st.integers(-8, 0)))
    elif kind == "lossy":
        product = draw(narrowings(shifts=(-2, 8), odd=True))
    bits = draw(st.integers(*scope.accumulator_bits))
    levels = (0, 0, 0, 1, 1, 2) if scope.partial_sums and scope.accumulator_bits[1] <= STEP_BITS else (0,)
    return Accumulator(
        bits,
        draw(st.sampled_from(Overflow)),
        draw(st.sampled_from(Check)),
        product,
        tuple(draw(partial_sums(bits)) for _ in range(draw(st.sampled_from(levels)))),
    )


@st.composite
def partial_sums(draw: st.DrawFn, bits: int) -> PartialSums:
    """A level of up to 4 lanes or of tiles of up to 4 addends, of about as many bits as the accumulator's ``bits``."""
    grouping = draw(st.sampled_from(Grouping))
    return PartialSums(
        grouping,
        draw(st.integers(1 if grouping is Grouping.LANES else 0, 4)),
        draw(st.integers(max(bits - 4, 1), min(bits + 2, STEP_BITS))),
        draw(st.sampled_from(Order)),
        draw(st.sampled_from(Overflow)),
    )


def keeps_products(accumulator: Accumulator) -> bool:
    """Whether the products enter exactly, so that no row may shift them right."""
    return accumulator.product is None or accumulator.product.format.bits >= min(GUARD_BITS)


@st.composite
def operands(draw: st.DrawFn, scope: Scope, *, odd: bool = False) -> Format:
    """The format of inputs, with any zero point, or of weights, where ``odd``, at a width of the scope."""
    bits = draw(st.integers(*scope.operand_bits))
    kind = draw(st.sampled_from(("signed", "unsigned", "narrow", "odd") if odd else ("signed", "unsigned", "narrow")))
    if kind == "odd":
        return Format.odd(bits)
    form = Format.integer(bits, signed=kind != "unsigned", narrow=kind == "narrow" and bits > 1)
    if odd:
        return form
    zero_points = (0, 0, form.raw_min, form.raw_max, form.raw_min - 3, form.raw_max + 3)
    return replace(form, zero_point=draw(st.sampled_from(zero_points)))


@st.composite
def linear_datapaths(draw: st.DrawFn, scope: Scope = ANY) -> LinearDatapath:
    """A fully connected layer's datapath; half of them have casts that fit what they read (:class:`Stages`)."""
    stages = Stages(draw, fitting=not draw(st.booleans()))
    incoming, weight, added = draw(operands(scope)), draw(operands(scope, odd=True)), draw(accumulators(scope))
    total = stages.sum(added, incoming, weight)
    preactivation = stages.cast(total.format.bits + 1)
    function = stages.function(preactivation)
    return LinearDatapath(
        input=incoming,
        weight=weight,
        bias=Format.integer(STAGE_BITS),
        accumulator=added,
        bias_stage=draw(st.sampled_from(BiasStage)),
        sum=total,
        preactivation=preactivation,
        activation=function,
        output=stages.cast(function.format.bits, draw(activation_formats())),
    )


@st.composite
def lstm_datapaths(draw: st.DrawFn, scope: Scope = ANY, *, hidden: Format | None = None) -> LstmDatapath:
    """An LSTM's datapath, every narrowing of its own; ``hidden`` fixes the format of its hidden state.

    Half of them have casts that fit what they read (:class:`Stages`).
    """
    stages = Stages(draw, fitting=not draw(st.booleans()))
    incoming, weights = draw(operands(scope)), (draw(operands(scope, odd=True)), draw(operands(scope, odd=True)))
    state = draw(activation_formats()) if hidden is None else hidden
    added = draw(accumulators(scope))
    first, second, third, last = (stages.gate(added, (incoming, state), weights) for _ in range(4))
    cell_format = draw(formats(widest=STAGE_BITS))
    forget_product = stages.cast(second.output.format.bits + cell_format.bits - 1)
    input_product = stages.cast(first.output.format.bits + third.output.format.bits - 1)
    cell = stages.cast(max(forget_product.format.bits, input_product.format.bits) + 1, cell_format)
    cell_input = stages.cast(cell_format.bits)
    function = stages.function(cell_input)
    cell_output = stages.cast(function.format.bits)
    return LstmDatapath(
        input=incoming,
        weight=weights[0],
        recurrent_weight=weights[1],
        bias=Format.integer(STAGE_BITS),
        accumulator=added,
        joint=draw(st.booleans()),
        bias_stage=draw(st.sampled_from(BiasStage)),
        gates=(first, second, third, last),
        forget_product=forget_product,
        input_product=input_product,
        cell=cell,
        cell_input=cell_input,
        cell_activation=function,
        cell_output=cell_output,
        hidden=stages.cast(last.output.format.bits + cell_output.format.bits - 1, state),
        initial_hidden=draw(st.sampled_from((state.raw_min, state.raw_max))),
        initial_cell=draw(st.sampled_from((cell_format.raw_min, cell_format.raw_max))),
    )


@dataclass(frozen=True)
class Stages:
    """Draws the stages of a datapath: any of them, or with ``fitting`` those that keep what they read.

    A chain of any casts soon gives one value whatever it reads, and hides every fault before it. Those that fit shift
    by about as many bits as the target is narrower than its source, and their functions reach over their whole input.
    """

    draw: st.DrawFn
    fitting: bool

    def cast(self, bits: int, form: Format | None = None) -> Narrowing:
        """A narrowing of integers of that many bits."""
        if not self.fitting:
            return self.draw(narrowings(form))
        form = self.draw(st.integers(4, STAGE_BITS).map(Format.integer)) if form is None else form
        return self.draw(narrowings(form, shifts=_around(bits - form.bits)))

    def sum(self, added: Accumulator, incoming: Format, weight: Format) -> Narrowing:
        """The requantization of an accumulator."""
        if not self.fitting:
            return self.draw(requantizations())
        product, bits = added.product, incoming.bits + weight.bits
        if product is not None:
            bits = min(bits - product.shift, product.format.bits)
        form = self.draw(st.integers(4, STAGE_BITS).map(Format.integer))
        return self.draw(requantizations(form, shifts=_around(min(bits, added.bits) - form.bits)))

    def gate(self, added: Accumulator, incoming: tuple[Format, Format], weights: tuple[Format, Format]) -> GateDatapath:
        """One gate's datapath."""
        sums = self.sum(added, incoming[0], weights[0]), self.sum(added, incoming[1], weights[1])
        preactivation = self.cast(max(each.format.bits for each in sums) + 1)
        function = self.function(preactivation)
        return GateDatapath(*sums, preactivation, function, self.cast(function.format.bits))

    def function(self, read: Narrowing) -> Activation:
        """The function of what a cast gives."""
        return self.draw(reaching(read.format) if self.fitting else activations())


def _around(shift: int) -> tuple[int, int]:
    return shift - 2, shift + 1
