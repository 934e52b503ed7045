"""Datapaths that the kernels can carry out, drawn field by field."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from fixedsim.casts import Overflow
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    GATES,
    STEP_BITS,
    Accumulator,
    BiasStage,
    Check,
    Grouping,
    Hazard,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
    Order,
    PartialSums,
)
from fixedsim.testing.cast import STAGE_BITS, narrowings
from fixedsim.testing.format import formats
from fixedsim.testing.stages import Stages

STAGES = st.sampled_from((BiasStage.FIRST, BiasStage.LAST, BiasStage.PREACTIVATION))
GUARD_BITS = (40, 62)  # of products that keep every bit


@dataclass(frozen=True)
class Scope:
    """What is asked of drawn layers; widths are (least, most) bits."""

    operand_bits: tuple[int, int] = (1, 8)  # of weights and inputs
    accumulator_bits: tuple[int, int] = (2, 24)
    narrowed_products: bool = True  # some products are cast before they are added
    partial_sums: bool = True  # some are added up in lanes or tiles first, if accumulators have up to 62 bits
    algorithms: bool = True  # primitives, registered functions and layer normalizations are among the stages
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
def linear_datapaths(draw: st.DrawFn, scope: Scope = ANY, *, incoming: Format | None = None) -> LinearDatapath:
    """A fully connected layer's datapath; ``incoming`` fixes the format of its inputs.

    Half of them have casts that fit what they read, and half stages that a datapath may lack (:class:`Stages`).
    """
    stages = _stages(draw, scope)
    read = draw(operands(scope)) if incoming is None else incoming
    weight, added = draw(operands(scope, odd=True)), draw(accumulators(scope))
    total = stages.sum(added, read, weight)
    preactivation = stages.cast(total.format.bits + 1)
    function = stages.function(preactivation.format)
    return LinearDatapath(
        input=read,
        weight=weight,
        bias=Format.integer(STAGE_BITS),
        accumulator=added,
        bias_stage=draw(STAGES),
        sum=total,
        preactivation=preactivation,
        activation=function,
        output=stages.cast(function.format.bits, draw(activation_formats())),
        bias_cast=stages.bias_cast(),
        folded_zero_point=stages.some(),
    )


@st.composite
def lstm_datapaths(
    draw: st.DrawFn, scope: Scope = ANY, *, hidden: Format | None = None, incoming: Format | None = None
) -> LstmDatapath:
    """An LSTM's datapath; ``hidden`` fixes the format of its hidden state, ``incoming`` that of its inputs.

    Half of them have casts that fit what they read, and half stages that a datapath may lack (:class:`Stages`):
    zero points inside, peepholes, coupled gates, layer normalization and so on.
    """
    stages = _stages(draw, scope)
    incoming = draw(operands(scope)) if incoming is None else incoming
    state, cell = draw(activation_formats()) if hidden is None else hidden, stages.format()
    weights, added = (draw(operands(scope, odd=True)), draw(operands(scope, odd=True))), draw(accumulators(scope))
    rescales = stages.optional(incoming.bits), stages.optional(state.bits)
    read = tuple(
        each if stage is None else stage.format for each, stage in zip((incoming, state), rescales, strict=True)
    )
    first, second, third, last = (stages.gate(added, (read[0], read[1]), weights, cell) for _ in GATES)
    coupled = stages.some()
    if coupled:
        first = second
    hazard = stages.some() and not coupled and last.peephole is None
    products = [
        stages.cast(second.output.format.bits + cell.bits - 1),
        stages.cast(first.output.format.bits + third.output.format.bits - 1),
    ]
    addends = [stages.optional(each.format.bits) for each in products]
    widest = max((addend or product).format.bits for addend, product in zip(addends, products, strict=True))
    cell_input = stages.cast(cell.bits)
    function = stages.function(cell_input.format)
    cell_output = stages.cast(function.format.bits)
    gates = None if coupled else first, second, third, last
    return LstmDatapath(
        input=incoming,
        weight=weights[0],
        recurrent_weight=weights[1],
        bias=Format.integer(STAGE_BITS),
        accumulator=added,
        joint=draw(st.booleans()),
        bias_stage=BiasStage.NORMALIZATION if any(gate and gate.norm for gate in gates) else draw(STAGES),
        gates=gates,
        forget_product=products[0],
        input_product=products[1],
        cell=stages.cast(widest + 1, cell),
        cell_input=cell_input,
        cell_activation=function,
        cell_output=cell_output,
        hidden=stages.cast(last.output.format.bits + cell_output.format.bits - 1, state),
        initial_hidden=draw(st.sampled_from((state.raw_min, state.raw_max))),
        initial_cell=draw(st.sampled_from((cell.raw_min, cell.raw_max))),
        bias_cast=stages.bias_cast(),
        folded_zero_point=stages.some(),
        input_rescale=rescales[0],
        hidden_rescale=rescales[1],
        forget_addend=addends[0],
        input_addend=addends[1],
        coupled=draw(st.sampled_from((0, second.output.format.raw_max, 1 << STAGE_BITS))) if coupled else None,
        hidden_state=stages.reread(state),
        cell_state=stages.reread(cell),
        output=stages.reread(state) if hidden is None else None,
        hazard=Hazard.STALE_SIGMOID if hazard else Hazard.NONE,
    )


def _stages(draw: st.DrawFn, scope: Scope) -> Stages:
    return Stages(draw, fitting=not draw(st.booleans()), more=draw(st.booleans()), algorithms=scope.algorithms)
