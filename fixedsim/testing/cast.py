"""Narrowings, and the integers at which they round and overflow."""

from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from hypothesis import strategies as st

from fixedsim.casts import Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import MAX_MULTIPLIER, MAX_SHIFT, Form, Narrowing
from fixedsim.spec.casts import narrow
from fixedsim.testing.format import formats, overflows
from fixedsim.testing.value import any_raw, corners

STAGE_BITS = 12  # of the casts inside a layer, where nothing else is asked for
WORD_MAX = (1 << 63) - 1


class Cast(NamedTuple):
    """An integer and the narrowing that it goes through."""

    value: int
    narrowing: Narrowing

    @property
    def expected(self) -> int:
        """The raw that comes out, by the scalar specification."""
        return narrow(self.value, self.narrowing)


@st.composite
def narrowings(
    draw: st.DrawFn, form: Format | None = None, *, shifts: tuple[int, int] = (-2, 6), odd: bool = False
) -> Narrowing:
    """A cast of a datapath to ``form`` (None: any format of up to 12 bits, with ``odd`` also of odd raws).

    Every rounding, every overflow that the format allows, any shift of ``shifts`` (first, last). Shrinks to a
    saturating floor without a shift.
    """
    form = draw(formats(widest=STAGE_BITS, odd=odd)) if form is None else form
    shift = draw(st.integers(*shifts))
    return Narrowing(form, draw(st.sampled_from(Rounding)), draw(st.sampled_from(overflows(form))), shift)


@st.composite
def requantizations(draw: st.DrawFn, form: Format | None = None, *, shifts: tuple[int, int] = (-2, 6)) -> Narrowing:
    """A cast of sums to ``form``: by a shift alone, or by a multiplier of up to 32 bits, with one or two roundings."""
    plain = draw(narrowings(form, shifts=shifts))
    if not draw(st.booleans()):
        return plain
    multiplier = draw(st.sampled_from([1 << 30, (1 << 31) - 1, MAX_MULTIPLIER]) | st.integers(1, MAX_MULTIPLIER))
    shift = min(plain.shift + multiplier.bit_length(), MAX_SHIFT)
    return replace(plain, multiplier=multiplier, shift=shift, form=draw(st.sampled_from(Form)))


@st.composite
def values(draw: st.DrawFn, narrowing: Narrowing) -> int:
    """A 64-bit integer that the narrowing brings near one of its format's corners, or just past either end.

    Where the shift allows it, on a tie between two raws, and one unit beside it. Shrinks toward 0.
    """
    form = narrowing.format
    past = (form.raw_max + form.raw_step, form.raw_min - form.raw_step)
    raw = draw(st.sampled_from((*corners(form), *past)) | any_raw(form))
    half, beside = draw(st.sampled_from((0, 1))), draw(st.sampled_from((0, 0, 1, -1)))
    target = raw - form.zero_point + Fraction(half * form.raw_step, 2)
    value = target * Fraction(2) ** narrowing.shift / narrowing.multiplier
    return min(max(value.numerator // value.denominator + beside, -WORD_MAX - 1), WORD_MAX)


@st.composite
def casts(draw: st.DrawFn, given: st.SearchStrategy[Narrowing] | None = None) -> Cast:
    """A narrowing (of ``given``; None: any of :func:`narrowings`) with an integer at one of its corners.

    ``cast.expected`` is what comes out.
    """
    narrowing = draw(narrowings(odd=True) if given is None else given)
    return Cast(draw(values(narrowing)), narrowing)
