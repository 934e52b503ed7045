"""Non-linear functions of a datapath: tables, piecewise linear and registered ones."""

from hypothesis import strategies as st

from fixedsim.casts import Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    ARGUMENTS,
    Activation,
    FixedFunction,
    Function,
    Interpolation,
    LookupTable,
    PiecewiseLinear,
)
from fixedsim.testing.format import formats
from fixedsim.testing.value import any_raw

VALUE_BITS = 20


@st.composite
def tables(draw: st.DrawFn) -> LookupTable:
    """A table of up to nine entries, read at the nearest one or on the line between two."""
    form, interpolation = draw(formats(widest=VALUE_BITS)), draw(st.sampled_from(Interpolation))
    linear = interpolation is Interpolation.LINEAR
    return LookupTable(
        tuple(draw(st.lists(any_raw(form), min_size=2 if linear else 1, max_size=9))),
        form,
        draw(st.integers(0 if linear else -3, 10)),
        draw(st.integers(-6, 6)),
        interpolation,
        draw(st.sampled_from(Rounding)),
        draw(st.sampled_from(Rounding)),
        index_multiplier=1 if linear else draw(st.sampled_from((1, 1, 3, 96))),
    )


@st.composite
def lines(draw: st.DrawFn) -> PiecewiseLinear:
    """A piecewise linear function, with and without ends and thresholds of its own; shrinks to the identity."""
    form = draw(formats(widest=VALUE_BITS))
    low, high = sorted(draw(st.tuples(any_raw(form), any_raw(form))))
    lower, upper = draw(st.sampled_from([(None, None), (low, None), (None, high), (low, high)]))
    slope, offset = 1 + draw(st.integers(-301, 299)), draw(st.integers(-300, 300))
    threshold = st.none() | st.integers(-300, 300)
    return PiecewiseLinear(
        form,
        slope,
        draw(st.integers(0, 12)),
        offset,
        lower,
        upper,
        draw(st.sampled_from(Rounding)),
        low_input=draw(threshold),
        high_input=draw(threshold),
    )


@st.composite
def fixed_functions(draw: st.DrawFn) -> FixedFunction:
    """A registered function with any argument; it reads raws of 16 bits."""
    primitive = draw(st.sampled_from(Function))
    return FixedFunction(Format.integer(16), primitive, draw(st.integers(*ARGUMENTS[primitive])))


def activations() -> st.SearchStrategy[Activation]:
    """A :class:`PiecewiseLinear` or a :class:`LookupTable` with values of up to 20 bits; shrinks to the identity."""
    return lines() | tables()


def reaching(read: Format, *, registered: bool = True) -> st.SearchStrategy[Activation]:
    """A function whose values change over the whole of the format that it reads.

    The identity, a table of 8, or, where ``registered`` and for a format of at most 16 bits, LiteRT's sigmoid.
    """
    form = Format.integer(min(read.bits + 1, VALUE_BITS))
    identity = st.just(PiecewiseLinear(form))
    tables = st.builds(
        LookupTable,
        st.tuples(*[any_raw(form)] * 8),
        st.just(form),
        st.just(max(read.bits - 3, 0)),
        st.sampled_from((4, 3)),
        st.sampled_from(Interpolation),
        st.sampled_from(Rounding),
        st.sampled_from(Rounding),
    )
    sixteen = Format.integer(16)
    if not (registered and sixteen.contains(read.raw_min) and sixteen.contains(read.raw_max)):
        return identity | tables
    return identity | tables | st.just(FixedFunction(sixteen, Function.GEMMLOWP_SIGMOID, 3))
