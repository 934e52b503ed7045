"""Operands for kernels: corner values first."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    MAX_FLOAT_MULTIPLIER,
    MAX_FLOAT_SHIFT,
    MAX_MULTIPLIER,
    MAX_SHIFT,
    Form,
    Interpolation,
    LookupTable,
    Narrowing,
    Primitive,
)
from tests.kernels.engines import possible


def near_powers(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers of ``low .. high``, half of them within 2 of plus or minus a power of two, or at an end."""
    corners = {sign * (1 << power) + rest for sign in (-1, 1) for power in range(65) for rest in range(-2, 3)}
    inside = sorted({value for value in corners if low <= value <= high} | {low, high}, key=abs)
    return st.sampled_from(inside) | st.integers(low, high)


WORDS = near_powers(-(1 << 63), (1 << 63) - 1)
MULTIPLIERS = near_powers(1, MAX_MULTIPLIER)
SHIFTS = st.integers(-MAX_SHIFT, MAX_SHIFT)


@st.composite
def formats(draw: Any, widest: int = 64, zero_points: st.SearchStrategy[int] = WORDS) -> Format:
    """Formats whose raws are 64-bit integers: full, narrow, of any range, or of odd raws, with any zero point."""
    bits = draw(st.integers(1, widest))
    kind = draw(st.sampled_from(("signed", "unsigned", "narrow", "odd", "any")))
    if kind == "unsigned":
        form = Format.integer(min(bits, 63), signed=False)
    elif kind == "odd":
        form = Format.odd(min(bits, 62))
    elif kind == "any":
        half = 1 << (bits - 1)
        ends = sorted(draw(st.lists(near_powers(-half, half - 1), min_size=2, max_size=2, unique=True)))
        form = Format(bits, *ends) if ends[0] < 0 else Format(bits, -half, half - 1)
    else:
        form = Format.integer(bits, narrow=kind == "narrow" and bits > 1)
    return replace(form, zero_point=draw(st.just(0) | zero_points))


@st.composite
def narrowings(draw: Any, given: st.SearchStrategy[Format] | None = None) -> Narrowing:
    """Narrowings with every field drawn, none of them a primitive."""
    form = draw(given if given is not None else formats())
    mode = draw(st.sampled_from([mode for mode in Overflow if possible(form, mode)]))
    wraps = mode in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE) and form.raw_step == 1
    return Narrowing(
        form,
        draw(st.sampled_from(Rounding)),
        mode,
        draw(SHIFTS),
        draw(MULTIPLIERS),
        draw(st.sampled_from(Form)),
        saturated_bits=draw(st.integers(0, min(form.bits, 63))) if wraps else 0,
    )


FULL_RANGE = (
    Primitive.REPAIR_SIGN,
    Primitive.REPAIR_SIGN_FIRST,
    Primitive.VHDL_RESIZE,
    Primitive.VHDL_RESIZE_MAGNITUDE,
)


@st.composite
def primitives(draw: Any, primitive: Primitive) -> Narrowing:
    """Narrowings by a primitive, with every field that it reads drawn."""
    if primitive in FULL_RANGE:
        form = replace(
            Format.integer(draw(st.integers(2, 32))), zero_point=draw(st.just(0) | st.integers(-9, 9) | WORDS)
        )
        return Narrowing(
            form,
            draw(st.sampled_from(Rounding)),
            draw(st.sampled_from((Overflow.SATURATE, Overflow.WRAP, Overflow.SATURATE_SYMMETRIC))),
            draw(SHIFTS),
            multiplier=draw(MULTIPLIERS),
            primitive=primitive,
            guard_bits=draw(st.integers(0, 8)),
        )
    plain: Narrowing = draw(narrowings(formats().filter(lambda form: form.raw_step == 1)))
    multiplier = draw(st.integers(1, MAX_FLOAT_MULTIPLIER) | near_powers(1, MAX_FLOAT_MULTIPLIER))
    shift = draw(st.integers(-40, 80) | st.integers(-MAX_FLOAT_SHIFT, MAX_FLOAT_SHIFT))
    return replace(plain, multiplier=multiplier, shift=shift, primitive=primitive)


@st.composite
def tables(draw: Any) -> LookupTable:
    """Look-up tables of up to 9 values of up to 32 bits, with any shift and roundings."""
    form = Format.integer(draw(st.sampled_from((4, 16, 32))))
    values = tuple(draw(st.lists(near_powers(form.raw_min, form.raw_max), min_size=2, max_size=9)))
    kind = draw(st.sampled_from(Interpolation))
    shift = draw(st.integers(0 if kind is Interpolation.LINEAR else -MAX_SHIFT, MAX_SHIFT))
    offset = draw(st.integers(-4, 12) | WORDS)
    roundings = st.sampled_from(Rounding)
    return LookupTable(values, form, shift, offset, kind, draw(roundings), draw(roundings))
