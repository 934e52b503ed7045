"""What Hypothesis draws: formats, narrowings, accumulators, activations and whole datapaths, all of them valid."""

from dataclasses import replace

from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    MAX_MULTIPLIER,
    Accumulator,
    BiasStage,
    Check,
    Form,
    GateDatapath,
    Hazard,
    Interpolation,
    LayerNorm,
    LinearDatapath,
    LookupTable,
    LstmDatapath,
    Narrowing,
    Peephole,
    PiecewiseLinear,
)
from fixedsim.testing.format import overflows
from tests.spec.partial_strategies import partial

ROUNDINGS = list(Rounding)
OVERFLOWS = list(Overflow)
STAGES = [stage for stage in BiasStage if stage is not BiasStage.NORMALIZATION]


def corners(highest: int) -> list[int]:
    """Return ``2**i - 2 .. 2**i + 2`` and their negatives for i up to ``highest``, and what lies around zero."""
    powers = [2**exponent + distance for exponent in range(highest + 1) for distance in range(-2, 3)]
    return sorted({*powers, *(-value for value in powers), 0})


@st.composite
def formats(draw: st.DrawFn, *, widest: int = 64, odd: bool = False, zero_points: bool = True) -> Format:
    """A format: full or narrow, signed or not, of step 2 where ``odd`` allows it, often with a zero point if it may."""
    bits = draw(st.integers(1, widest))
    if odd and bits < 63 and draw(st.booleans()):
        return Format.odd(bits)
    full = Format.integer(bits, signed=draw(st.booleans()))
    if bits > 1 and draw(st.booleans()):
        low = draw(st.integers(full.raw_min, full.raw_max - 1))
        high = draw(st.integers(max(low + 1, 0), full.raw_max))  # what is signed reaches zero
        full = Format(bits, low, high)
    if not zero_points:
        return full
    outside = [full.raw_min - 3, full.raw_max + 3] if bits < 63 else []
    zero_point = draw(st.sampled_from([0, 0, *outside]) | st.integers(full.raw_min, min(full.raw_max, (1 << 63) - 1)))
    return replace(full, zero_point=zero_point)


@st.composite
def narrowings(draw: st.DrawFn, form: Format | None = None, *, shifts: tuple[int, int] = (-62, 62)) -> Narrowing:
    """A narrowing of either form to ``form``, or to any format."""
    form = draw(formats(odd=True)) if form is None else form
    return Narrowing(
        form,
        draw(st.sampled_from(ROUNDINGS)),
        draw(st.sampled_from(overflows(form))),
        shift=draw(st.integers(*shifts)),
        multiplier=draw(multipliers()),
        form=draw(st.sampled_from(list(Form))),
    )


def multipliers() -> st.SearchStrategy[int]:
    """Multipliers with those that matter most in front: 1, powers of two and the ends."""
    return st.sampled_from([1, 1, 2, 1 << 30, (1 << 31) - 1, 1 << 31, MAX_MULTIPLIER]) | st.integers(1, MAX_MULTIPLIER)


@st.composite
def accumulators(draw: st.DrawFn, *, widest: int = 64) -> Accumulator:
    """An accumulator, with narrowed products or exact ones."""
    product = draw(st.none() | narrowings(shifts=(-8, 16)))
    return Accumulator(
        draw(st.integers(1, widest)),
        draw(st.sampled_from(OVERFLOWS)),
        draw(st.sampled_from(list(Check))),
        product,
    )


def layer_accumulators() -> st.SearchStrategy[Accumulator]:
    """An accumulator as it stands inside a layer: of few bits, one half with partial sums."""
    plain = accumulators(widest=24)
    return plain | partial(plain, widest=24)


@st.composite
def tables(draw: st.DrawFn, *, zero_points: bool = True) -> LookupTable:
    """A table of either interpolation with values of any format of step 1."""
    form = draw(formats(widest=20, zero_points=zero_points))
    interpolation = draw(st.sampled_from(list(Interpolation)))
    linear = interpolation is Interpolation.LINEAR
    values = draw(st.lists(st.integers(form.raw_min, form.raw_max), min_size=2 if linear else 1, max_size=9))
    return LookupTable(
        tuple(values),
        form,
        draw(st.integers(0 if linear else -3, 12)),
        draw(st.integers(-12, 12)),
        interpolation,
        draw(st.sampled_from(ROUNDINGS)),
        draw(st.sampled_from(ROUNDINGS)),
    )


@st.composite
def lines(draw: st.DrawFn, *, zero_points: bool = True) -> PiecewiseLinear:
    """A piecewise linear function, with and without its own ends."""
    form = draw(formats(widest=20, zero_points=zero_points))
    ends = sorted(draw(st.tuples(*[st.integers(form.raw_min, form.raw_max)] * 2)))
    lower, upper = draw(st.sampled_from([(None, None), (ends[0], None), (None, ends[1]), (ends[0], ends[1])]))
    return PiecewiseLinear(
        form,
        slope=draw(st.integers(-300, 300)),
        shift=draw(st.integers(0, 12)),
        offset=draw(st.integers(-300, 300)),
        lower=lower,
        upper=upper,
        rounding=draw(st.sampled_from(ROUNDINGS)),
    )


def activations(*, zero_points: bool = True) -> st.SearchStrategy[LookupTable | PiecewiseLinear]:
    """A table or a piecewise linear function."""
    return tables(zero_points=zero_points) | lines(zero_points=zero_points)


def small(*, zero_points: bool = True) -> st.SearchStrategy[Narrowing]:
    """A narrowing as it stands inside a layer: few bits, so that roundings and overflows all happen."""
    return formats(widest=12, zero_points=zero_points).flatmap(
        lambda target: st.builds(
            Narrowing,
            st.just(target),
            st.sampled_from(ROUNDINGS),
            st.sampled_from(overflows(target)),
            shift=st.integers(-2, 6),
        )
    )


@st.composite
def linear_datapaths(draw: st.DrawFn, *, incoming: Format | None = None) -> LinearDatapath:
    """A fully connected layer's datapath; ``incoming`` fixes the format of its inputs."""
    return LinearDatapath(
        input=draw(formats(widest=8)) if incoming is None else incoming,
        weight=draw(formats(widest=8, odd=True)),
        bias=Format.integer(12),
        accumulator=draw(layer_accumulators()),
        bias_stage=draw(st.sampled_from(STAGES)),
        sum=draw(small()),
        preactivation=draw(small()),
        activation=draw(activations()),
        output=draw(small()),
        bias_cast=draw(st.none() | small(zero_points=False)),
        folded_zero_point=draw(st.booleans()),
    )


@st.composite
def gate_datapaths(draw: st.DrawFn, *, peephole: bool, norm: bool) -> GateDatapath:
    """One gate's datapath, with a peephole or without, and a layer normalization where ``norm``."""
    return GateDatapath(
        input_sum=draw(small()),
        recurrent_sum=draw(small()),
        preactivation=draw(small()),
        activation=draw(activations()),
        output=draw(small()),
        peephole=Peephole(draw(formats(widest=8)), draw(small()), draw(small())) if peephole else None,
        norm=LayerNorm(Format.integer(8), draw(small())) if norm else None,
    )


@st.composite
def lstm_datapaths(draw: st.DrawFn) -> LstmDatapath:
    """An LSTM's datapath, every narrowing of its own; each stage that it may lack is there half of the time."""
    hazard = draw(st.sampled_from((Hazard.NONE, Hazard.NONE, Hazard.STALE_SIGMOID)))
    coupled = hazard is Hazard.NONE and draw(st.booleans())
    norms = draw(st.sampled_from(((False,) * 4, (False,) * 4, (True,) * 4, (False, True, False, True))))
    peepholes = draw(st.tuples(*[st.booleans()] * 4)) if hazard is Hazard.NONE else (True, False, True, False)
    gates = [
        draw(gate_datapaths(peephole=peephole, norm=norm)) for peephole, norm in zip(peepholes, norms, strict=True)
    ]
    hidden, cell = draw(small()), draw(small())
    return LstmDatapath(
        input=draw(formats(widest=8)),
        weight=draw(formats(widest=8, odd=True)),
        recurrent_weight=draw(formats(widest=8, odd=True)),
        bias=Format.integer(12),
        accumulator=draw(layer_accumulators()),
        joint=draw(st.booleans()),
        bias_stage=BiasStage.NORMALIZATION if any(norms) else draw(st.sampled_from(STAGES)),
        gates=(None if coupled else gates[0], gates[1], gates[2], gates[3]),
        forget_product=draw(small()),
        input_product=draw(small()),
        cell=cell,
        cell_input=draw(small()),
        cell_activation=draw(activations()),
        cell_output=draw(small()),
        hidden=hidden,
        bias_cast=draw(st.none() | small(zero_points=False)),
        folded_zero_point=draw(st.booleans()),
        input_rescale=draw(st.none() | small()),
        hidden_rescale=draw(st.none() | small()),
        forget_addend=draw(st.none() | small()),
        input_addend=draw(st.none() | small()),
        coupled=draw(st.integers(-300, 300)) if coupled else None,
        hidden_state=draw(st.none() | reread(hidden.format)),
        cell_state=draw(st.none() | reread(cell.format)),
        hazard=hazard,
    )


def reread(form: Format) -> st.SearchStrategy[Format]:
    """The same raws, read with another zero point."""
    return st.integers(-40, 40).map(lambda zero_point: replace(form, zero_point=zero_point))


def raws(form: Format) -> st.SearchStrategy[int]:
    """A raw of a format, its ends often."""
    last = (form.raw_max - form.raw_min) // form.raw_step
    places = st.sampled_from([0, last]) | st.integers(0, last)
    return places.map(lambda place: form.raw_min + form.raw_step * place)
