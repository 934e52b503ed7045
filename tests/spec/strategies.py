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
    Interpolation,
    LinearDatapath,
    LookupTable,
    LstmDatapath,
    Narrowing,
    PiecewiseLinear,
)
from fixedsim.testing.format import overflows

ROUNDINGS = list(Rounding)
OVERFLOWS = list(Overflow)


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


def small(*, zero_points: bool = False) -> st.SearchStrategy[Narrowing]:
    """A narrowing as it stands inside a layer: few bits, so that roundings and overflows all happen.

    What leaves a layer may have a zero point; inside none is allowed.
    """
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
def linear_datapaths(draw: st.DrawFn) -> LinearDatapath:
    """A fully connected layer's datapath."""
    return LinearDatapath(
        input=draw(formats(widest=8)),
        weight=draw(formats(widest=8, odd=True, zero_points=False)),
        bias=Format.integer(12),
        accumulator=draw(accumulators(widest=24)),
        bias_stage=draw(st.sampled_from(list(BiasStage))),
        sum=draw(small()),
        preactivation=draw(small()),
        activation=draw(activations(zero_points=False)),
        output=draw(small(zero_points=True)),
    )


@st.composite
def gate_datapaths(draw: st.DrawFn) -> GateDatapath:
    """One gate's datapath."""
    sums = draw(small()), draw(small())
    return GateDatapath(*sums, draw(small()), draw(activations(zero_points=False)), draw(small()))


@st.composite
def lstm_datapaths(draw: st.DrawFn) -> LstmDatapath:
    """An LSTM's datapath, every narrowing of its own."""
    return LstmDatapath(
        input=draw(formats(widest=8)),
        weight=draw(formats(widest=8, odd=True, zero_points=False)),
        recurrent_weight=draw(formats(widest=8, odd=True, zero_points=False)),
        bias=Format.integer(12),
        accumulator=draw(accumulators(widest=24)),
        joint=draw(st.booleans()),
        bias_stage=draw(st.sampled_from(list(BiasStage))),
        gates=draw(st.tuples(gate_datapaths(), gate_datapaths(), gate_datapaths(), gate_datapaths())),
        forget_product=draw(small()),
        input_product=draw(small()),
        cell=draw(small()),
        cell_input=draw(small()),
        cell_activation=draw(activations(zero_points=False)),
        cell_output=draw(small()),
        hidden=draw(small(zero_points=True)),
    )


def raws(form: Format) -> st.SearchStrategy[int]:
    """A raw of a format, its ends often."""
    last = (form.raw_max - form.raw_min) // form.raw_step
    places = st.sampled_from([0, last]) | st.integers(0, last)
    return places.map(lambda place: form.raw_min + form.raw_step * place)
