"""Profiles: every choice of a hardware target, drawn such that a small network can have it."""

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.choices import (
    AccumulatorChoices,
    ActivationChoices,
    BiasChoices,
    CastChoices,
    FunctionChoices,
    FunctionKind,
    Granularity,
    LinearChoices,
    LstmChoices,
    OneBit,
    Requantization,
    RequantizeChoices,
    ScaleSearch,
    Scheme,
    WeightChoices,
)
from fixedsim.profiles.datapath import BiasStage, Check, Interpolation
from fixedsim.profiles.profile import SCHEMA, Profile

ROUNDINGS = st.sampled_from(Rounding)
OVERFLOWS = st.sampled_from(
    (
        Overflow.SATURATE,
        Overflow.SATURATE_SYMMETRIC,
        Overflow.WRAP,
        Overflow.SATURATE_ZERO,
        Overflow.WRAP_SIGN_MAGNITUDE,
    )
)
LIMITED = st.sampled_from((Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.SATURATE_ZERO))
STAGES = st.sampled_from((BiasStage.FIRST, BiasStage.LAST, BiasStage.PREACTIVATION))
_SHIFTS = (Scheme.POWER_OF_TWO, Scheme.POWER_OF_TWO)
_SCALED = ((Scheme.SYMMETRIC, Scheme.SYMMETRIC), (Scheme.ODD, Scheme.UNIT), (Scheme.SYMMETRIC, Scheme.POWER_OF_TWO))


@st.composite
def profiles(draw: st.DrawFn, *, name: str = "drawn") -> Profile:
    """A valid :class:`~fixedsim.profiles.Profile`, its tables short, its accumulators of 24 bits and more.

    Every rounding and overflow at every cast, each scheme of weights and activations with each requantization that it
    allows. A network can still refuse one, such as an accumulator too narrow for its bias: :func:`models` draws those
    that fit. Shrinks to shifts, floors, saturation and few bits.
    """
    schemes, form = draw(_requantizations())
    shifts = schemes == _SHIFTS
    return Profile(
        schema=SCHEMA,
        name=name,
        summary="",
        weight=draw(_weights(schemes[0])),
        activation=draw(_activations(schemes[1])),
        bias=BiasChoices(stage=draw(STAGES), bits=draw(st.sampled_from((None, 16, 32)))),
        accumulator=draw(_accumulators(shifts)),
        requantize=RequantizeChoices(form=form, multiplier_bits=draw(st.integers(8, 32))),
        lstm=draw(_lstms()),
        linear=LinearChoices(preactivation=draw(_casts(4)), rounding=draw(ROUNDINGS), overflow=draw(OVERFLOWS)),
        sigmoid=draw(_functions(signed=False)),
        tanh=draw(_functions(signed=True)),
    )


@st.composite
def _requantizations(draw: st.DrawFn) -> tuple[tuple[Scheme, Scheme], Requantization]:
    schemes = draw(st.sampled_from((_SHIFTS, _SHIFTS, *_SCALED)))
    multiplying = (Requantization.MULTIPLIER, Requantization.DOUBLING)
    forms = (Requantization.SHIFT, *multiplying) if schemes == _SHIFTS else multiplying
    return schemes, draw(st.sampled_from(forms))


def _weights(scheme: Scheme) -> st.SearchStrategy[WeightChoices]:
    return st.builds(
        WeightChoices,
        scheme=st.just(scheme),
        granularity=st.sampled_from(Granularity),
        scale=st.sampled_from(ScaleSearch),
        one_bit=st.sampled_from(OneBit),
    )


def _activations(scheme: Scheme) -> st.SearchStrategy[ActivationChoices]:
    overflows = OVERFLOWS if scheme is Scheme.POWER_OF_TWO else LIMITED
    return st.builds(ActivationChoices, scheme=st.just(scheme), rounding=ROUNDINGS, overflow=overflows)


@st.composite
def _accumulators(draw: st.DrawFn, shifts: bool) -> AccumulatorChoices:
    product = draw(st.none() | _casts(5)) if shifts else None
    return AccumulatorChoices(
        bits=draw(st.integers(24, 48)),
        overflow=draw(OVERFLOWS),
        check=draw(st.sampled_from(Check)),
        joint=shifts and draw(st.booleans()),
        fraction_bits=draw(st.sampled_from((0, 4, 12))),
        product=product,
    )


@st.composite
def _casts(draw: st.DrawFn, widest_integer: int, fraction_bits: int | None = None) -> CastChoices:
    """A cast to ``s0.n`` and up, of every rounding and overflow."""
    fraction = draw(st.integers(1, 15)) if fraction_bits is None else fraction_bits
    form = Format.qmn(draw(st.integers(0, widest_integer)), fraction)
    return CastChoices(format=form, rounding=draw(ROUNDINGS), overflow=draw(OVERFLOWS))


@st.composite
def _lstms(draw: st.DrawFn) -> LstmChoices:
    product = draw(st.none() | st.integers(1, 15))  # fraction bits, which both products share
    products: Any = [None if product is None else draw(_casts(4, product)) for _ in range(2)]
    return LstmChoices(
        sum=draw(_casts(8)),
        preactivation=draw(_casts(4)),
        forget_product=products[0],
        input_product=products[1],
        cell=draw(_casts(4)),
        cell_input=draw(st.none() | _casts(4)),
    )


@st.composite
def _functions(draw: st.DrawFn, *, signed: bool) -> FunctionChoices:
    reach = draw(st.sampled_from((4, 8, 16)))
    return FunctionChoices(
        kind=draw(st.sampled_from(FunctionKind)),
        format=Format.qmn(0, draw(st.integers(1, 15 if signed else 16)), signed=signed),
        low=-reach,
        high=reach,
        segments=draw(st.sampled_from((8, 16, 32))),
        interpolation=draw(st.sampled_from(Interpolation)),
        index_rounding=draw(ROUNDINGS),
        entry_rounding=draw(ROUNDINGS),
        rounding=draw(ROUNDINGS),
        slope=draw(st.sampled_from((Fraction(1, 4), Fraction(1, 5), Fraction(1, 8)))),
        offset=Fraction(1, 2),
        values=None,
    )
