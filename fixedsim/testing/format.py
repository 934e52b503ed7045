"""Formats, and what they allow."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from fixedsim.casts import Overflow
from fixedsim.formats import Format

_MAX_ODD_BITS = 62


@st.composite
def formats(
    draw: st.DrawFn, *, widest: int = 64, odd: bool = False, zero_points: bool = False, scales: bool = False
) -> Format:
    """A :class:`~fixedsim.formats.Format` of up to ``widest`` bits: full, narrow, unsigned, or any range with zero.

    Args:
        widest: most bits, at most 64.
        odd: Bit-RNN's odd raws too.
        zero_points: zero points too: inside the range, at its ends and outside it.
        scales: scales other than 1: powers of two, those of codes over [0, 1], and others.

    Shrinks to one signed bit of scale 1 without a zero point.
    """
    bits = draw(st.integers(1, widest))
    kinds = ("signed", "unsigned", "narrow", "any", *(("odd",) if odd and bits <= _MAX_ODD_BITS else ()))
    form = _ranged(draw, bits, draw(st.sampled_from(kinds)))
    if zero_points and form.raw_step == 1 and bits < 64:
        form = replace(form, zero_point=draw(st.sampled_from((0, form.raw_min, form.raw_max, form.raw_min - 3, 1))))
    return form.with_scale(draw(_scales(bits))) if scales else form


def _ranged(draw: st.DrawFn, bits: int, kind: str) -> Format:
    if kind == "odd":
        return Format.odd(bits)
    form = Format.integer(bits, signed=kind != "unsigned", narrow=kind == "narrow" and bits > 1)
    if kind == "any" and bits > 1:
        return Format(bits, draw(st.integers(form.raw_min, 0)), draw(st.integers(1, form.raw_max)))
    return form


def _scales(bits: int) -> st.SearchStrategy[Fraction]:
    powers = st.integers(-20, 4).map(lambda power: Fraction(2) ** power)
    codes = st.just(Fraction(1, (1 << bits) - 1))
    return powers | codes | st.builds(Fraction, st.integers(1, 99), st.integers(1, 9999))


def overflows(form: Format) -> list[Overflow]:
    """The overflows that a format allows."""
    allowed = [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC]
    if form.full_range:
        allowed.append(Overflow.WRAP)
    if form.raw_step == 1 and form.contains(form.zero_point):
        allowed.append(Overflow.SATURATE_ZERO)
    if form.full_range and form.raw_step == 1 and form.signed:
        allowed.append(Overflow.WRAP_SIGN_MAGNITUDE)
    return allowed
