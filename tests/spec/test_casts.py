"""Rounding, overflow, casts and requantization against the oracle: every case of few bits, corners, then properties."""

from collections.abc import Iterable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Form, Narrowing
from fixedsim.spec.casts import cast, doubling_high_multiply, narrow, overflow, round_divide, round_shift, wrap
from fixedsim.testing.format import overflows
from tests.spec import oracle
from tests.spec.strategies import corners, formats, multipliers, narrowings

SOURCES = range(-512, 512)
SHIFTS = range(-2, 7)
HIGHEST_CORNER = 70


def targets(widths: Iterable[int]) -> list[Format]:
    """Return the signed, unsigned, narrow and odd formats of some widths."""
    found = []
    for bits in widths:
        found += [Format.integer(bits), Format.integer(bits, signed=False), Format.odd(bits)]
        if bits > 1:
            found.append(Format.integer(bits, narrow=True))
    return found


def named(form: Format) -> str:
    return f"{form.bits}bits[{form.raw_min},{form.raw_max}]step{form.raw_step}"


def check_casts(form: Format, rounding: Rounding, sources: Iterable[int]) -> None:
    """Compare every source, shift and overflow; an assertion for a whole grid costs less than one for each case."""
    different = [
        (value, shift, mode, got, wanted)
        for shift in SHIFTS
        for value in sources
        for exact in [oracle.scaled(value, shift)]
        for mode in overflows(form)
        if (got := cast(value, shift, form, rounding, mode)) != (wanted := oracle.cast(exact, form, rounding, mode))
    ]
    assert different[:5] == []  # a few are enough to read


@pytest.mark.parametrize("rounding", Rounding)
def test_round_shift_of_every_small_value(rounding: Rounding) -> None:
    for shift in SHIFTS:
        for value in SOURCES:
            assert round_shift(value, shift, rounding) == oracle.rounded_quotient(value, shift, rounding), (
                value,
                shift,
            )


@pytest.mark.parametrize("rounding", Rounding)
def test_round_divide_of_every_small_quotient(rounding: Rounding) -> None:
    for denominator in range(1, 33):
        for numerator in range(-100, 101):
            wanted = oracle.rounded(Fraction(numerator, denominator), rounding)
            assert round_divide(numerator, denominator, rounding) == wanted, (numerator, denominator)


@pytest.mark.parametrize("rounding", Rounding)
def test_round_shift_at_the_corners(rounding: Rounding) -> None:
    for shift in (-62, -1, 0, 1, 2, 7, 8, 30, 31, 32, 62, 63, 64, 70):
        for value in corners(HIGHEST_CORNER):
            assert round_shift(value, shift, rounding) == oracle.rounded_quotient(value, shift, rounding), (
                value,
                shift,
            )


@pytest.mark.parametrize("form", [form for form in targets(range(1, 9)) if form.raw_step == 1], ids=named)
def test_overflow_of_every_small_value(form: Format) -> None:
    for mode in overflows(form):
        for raw in range(-1024, 1024):
            assert overflow(raw, form, mode) == oracle.contained(raw, form, mode), (mode, raw)


@pytest.mark.parametrize("bits", [1, 2, 8, 16, 31, 32, 33, 48, 62, 63, 64])
def test_overflow_at_the_corners(bits: int) -> None:
    narrow_one = [Format.integer(bits, narrow=True)] if bits > 1 else []
    for form in [Format.integer(bits), Format.integer(bits, signed=False), *narrow_one]:
        for mode in overflows(form):
            for raw in corners(HIGHEST_CORNER):
                assert overflow(raw, form, mode) == oracle.contained(raw, form, mode), (form, mode, raw)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("form", targets([1, 2, 3, 8]), ids=named)
def test_cast_of_a_share_of_the_small_values(form: Format, rounding: Rounding) -> None:
    check_casts(form, rounding, range(-512, 512, 19))


@pytest.mark.slow
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("form", targets(range(1, 9)), ids=named)
def test_cast_of_every_small_value(form: Format, rounding: Rounding) -> None:
    check_casts(form, rounding, SOURCES)


@given(
    st.integers(-(1 << 90), 1 << 90) | st.sampled_from(corners(HIGHEST_CORNER)),
    st.integers(-62, 70),
    formats(odd=True),
    st.sampled_from(list(Rounding)),
    st.data(),
)
def test_cast_to_any_format(value: int, shift: int, form: Format, rounding: Rounding, data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(overflows(form)))
    raw = cast(value, shift, form, rounding, mode)
    assert raw == oracle.cast(oracle.scaled(value, shift), form, rounding, mode)
    assert form.contains(raw)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("zero_point", [-8, -3, 0, 1, 7, -20, 20])
def test_cast_to_a_format_with_a_zero_point(zero_point: int, rounding: Rounding) -> None:
    form = Format.affine(4, Fraction(1), zero_point)
    check_casts(form, rounding, range(-64, 64, 3))


def test_a_tie_is_resolved_before_the_zero_point_is_added() -> None:
    form = Format.affine(8, Fraction(1), 1)
    assert [cast(half, 1, form, Rounding.HALF_EVEN, Overflow.SATURATE) for half in (1, 3, 5)] == [1, 3, 3]


def test_zero_becomes_the_zero_point_also_where_it_overflows_to_zero() -> None:
    form = Format.affine(8, Fraction(1), -5)
    assert cast(0, 3, form, Rounding.FLOOR, Overflow.SATURATE_ZERO) == -5
    assert cast(8000, 3, form, Rounding.FLOOR, Overflow.SATURATE_ZERO) == -5
    assert cast(132, 0, form, Rounding.FLOOR, Overflow.SATURATE_ZERO) == 127
    assert cast(133, 0, form, Rounding.FLOOR, Overflow.SATURATE_ZERO) == -5


def test_odd_raws_of_real_values() -> None:
    """Halves of an odd target's unit: 2 is as far from 1 as from 3, which have the codes 2 and 3 of odd2."""
    form = Format.odd(2)
    nearest = {Rounding.HALF_UP: 3, Rounding.HALF_DOWN: 1, Rounding.HALF_EVEN: 1, Rounding.HALF_ODD: 3}
    for rounding, raw in nearest.items():
        assert cast(2, 0, form, rounding, Overflow.SATURATE) == raw
    assert [cast(value, 0, form, Rounding.FLOOR, Overflow.SATURATE) for value in range(-5, 6)] == [
        *(-3, -3, -3, -3, -1, -1, 1, 1, 3, 3, 3),
    ]
    assert [cast(value, 0, form, Rounding.FLOOR, Overflow.WRAP) for value in (-5, 5, 7)] == [3, -3, -1]


def test_one_odd_bit_is_the_sign() -> None:
    form = Format.odd(1)
    for value in range(-9, 10):
        assert cast(value, 2, form, Rounding.HALF_UP, Overflow.SATURATE) == (1 if value >= 0 else -1)


STEP_2 = [Format.odd(3), Format(3, 4, 18, raw_step=2), Format(3, -6, 8, raw_step=2, zero_point=1)]


@pytest.mark.parametrize("mode", [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.WRAP])
@pytest.mark.parametrize("form", STEP_2, ids=named)
def test_a_cast_to_step_2_stays_in_range(form: Format, mode: Overflow) -> None:
    for value in range(-40, 41):
        for rounding in Rounding:
            raw = cast(value, 1, form, rounding, mode)
            assert raw == oracle.cast(Fraction(value, 2), form, rounding, mode)
            assert form.contains(raw)


@pytest.mark.parametrize("form", STEP_2, ids=named)
def test_every_raw_of_step_2_stays_what_it_is(form: Format) -> None:
    for raw in range(form.raw_min, form.raw_max + 1, 2):
        for rounding in Rounding:
            assert cast(raw - form.zero_point, 0, form, rounding, Overflow.SATURATE) == raw


@pytest.mark.parametrize("bits", range(2, 9))
def test_saturate_symmetric_moves_the_lowest_raw_that_was_in_range(bits: int) -> None:
    form = Format.integer(bits)
    assert overflow(form.raw_min, form, Overflow.SATURATE_SYMMETRIC) == -form.raw_max
    assert overflow(form.raw_min + 1, form, Overflow.SATURATE_SYMMETRIC) == form.raw_min + 1


def test_saturate_symmetric_leaves_one_signed_bit_and_what_is_unsigned() -> None:
    assert [overflow(raw, Format.integer(1), Overflow.SATURATE_SYMMETRIC) for raw in (-2, -1, 0, 1)] == [-1, -1, 0, 0]
    unsigned = Format.integer(2, signed=False)
    assert [overflow(raw, unsigned, Overflow.SATURATE_SYMMETRIC) for raw in (-1, 0, 3, 4)] == [0, 0, 3, 3]


@pytest.mark.parametrize("bits", range(1, 7))
def test_wraps_that_look_at_single_bits(bits: int) -> None:
    for form in (Format.integer(bits), Format.integer(bits, signed=False)):
        for mode in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE)[: 2 if form.signed else 1]:
            for count in range(bits + 1):
                for raw in range(-300, 300):
                    for floor in (raw, raw - 1):
                        got = overflow(raw, form, mode, unrounded=floor, saturated_bits=count)
                        assert got == oracle.contained(raw, form, mode, count, floor), (form, mode, count, raw, floor)


def test_a_wrap_below_saturated_bits() -> None:
    """20 is 10100: below its sign the bits 100; below the sign and one more saturated bit the bits 00."""

    def wrapped(values: list[int], count: int, *, signed: bool = True) -> list[int]:
        form = Format.integer(4, signed=signed)
        return [overflow(value, form, Overflow.WRAP, saturated_bits=count) for value in values]

    assert wrapped([-20, -9, -8, 7, 8, 9, 20], 1) == [-4, -1, -8, 7, 0, 1, 4]
    assert wrapped([-20, -9, -8, 7, 8, 9, 20], 2) == [-8, -5, -8, 7, 4, 5, 4]
    assert wrapped([-20, -9, -8, 7, 8, 9, 20], 4) == [-8, -8, -8, 7, 7, 7, 7]
    assert wrapped([-1, 15, 16, 33], 1, signed=False) == [15, 15, 8, 9]  # the highest bit is set on either side


def test_a_wrap_of_sign_and_magnitude_turns_back_at_the_ends() -> None:
    nibble = Format.integer(4)
    turned = [overflow(value, nibble, Overflow.WRAP_SIGN_MAGNITUDE) for value in (6, 7, 8, 9, 15, 16, 17, -8, -9, -10)]
    assert turned == [6, 7, 7, 6, 0, -1, -2, -8, -8, -7]


def test_the_first_dropped_bit_is_read_before_the_rounding() -> None:
    """15.5 rounds to 16 = 10000; the bit is that of 15 = 01111, and so 0 stays, where 16 itself gives -1."""
    nibble = Format.integer(4)
    assert cast(31, 1, nibble, Rounding.HALF_UP, Overflow.WRAP_SIGN_MAGNITUDE) == 0
    assert cast(32, 1, nibble, Rounding.HALF_UP, Overflow.WRAP_SIGN_MAGNITUDE) == -1


def test_wrapping_by_sign_and_magnitude_needs_a_sign() -> None:
    message = "overflow of the unsigned uint4 must not be wrap_sign_magnitude"
    with pytest.raises(FormatError, match=message):
        overflow(3, Format.integer(4, signed=False), Overflow.WRAP_SIGN_MAGNITUDE)


def test_wrapping_into_a_narrow_range_is_refused() -> None:
    form = Format.integer(8, narrow=True)
    message = r"overflow of the narrow range -127\.\.127 must not be wrap"
    with pytest.raises(FormatError, match=message):
        wrap(3, form)
    with pytest.raises(FormatError, match=message):
        overflow(3, form, Overflow.WRAP)
    with pytest.raises(FormatError, match=message):
        cast(3, 0, form, Rounding.FLOOR, Overflow.WRAP)
    wanted = "overflow must be one of the saturating ones, not wrap, for the narrow range -127..127"
    with pytest.raises(FormatError) as failure:
        Narrowing(form, overflow=Overflow.WRAP)
    assert str(failure.value) == wanted


def test_saturating_to_a_zero_that_is_not_there_is_refused() -> None:
    with pytest.raises(FormatError, match="it has no zero"):
        cast(3, 0, Format.odd(2), Rounding.FLOOR, Overflow.SATURATE_ZERO)
    with pytest.raises(FormatError) as failure:
        Narrowing(Format.odd(2), overflow=Overflow.SATURATE_ZERO)
    assert str(failure.value) == "overflow must not be saturate_zero: odd2 has no raw that means zero"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"multiplier": 0}, "multiplier must be in 1..4294967295, not 0"),
        ({"multiplier": 1 << 32}, "multiplier must be in 1..4294967295, not 4294967296"),
        ({"shift": 63}, "shift must be in -62..62, not 63"),
        ({"shift": -63}, "shift must be in -62..62, not -63"),
    ],
)
def test_a_narrowing_refuses_constants_out_of_range(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(FormatError) as failure:
        Narrowing(Format.integer(8), **arguments)  # type: ignore[arg-type]
    assert str(failure.value) == message


@pytest.mark.parametrize("bits", [1, 8, 33, 64])
def test_wrap_keeps_the_low_bits(bits: int) -> None:
    mask = (1 << bits) - 1
    for raw in corners(HIGHEST_CORNER):
        for form in (Format.integer(bits), Format.integer(bits, signed=False)):
            wrapped = wrap(raw, form)
            assert wrapped & mask == raw & mask
            assert form.contains(wrapped)


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("rounding", Rounding)
def test_narrow_of_every_small_value(form: Form, rounding: Rounding) -> None:
    """Multipliers that make ties in the first and in the second rounding, shifts on both sides of 31."""
    for multiplier, shift in [(1, -1), (3, 2), (5, 3), (3 << 28, 30), (1 << 30, 31), (5 << 28, 31), (3 << 29, 33)]:
        stage = Narrowing(Format.integer(8), rounding, shift=shift, multiplier=multiplier, form=form)
        for value in range(-300, 300):
            assert narrow(value, stage) == oracle.narrow(value, stage), (value, multiplier, shift)


@given(st.integers(-(1 << 66), 1 << 66) | st.sampled_from(corners(64)), narrowings())
def test_narrow_by_any_narrowing(value: int, stage: Narrowing) -> None:
    assert narrow(value, stage) == oracle.narrow(value, stage)


@given(st.integers(-(1 << 40), 1 << 40), narrowings(), multipliers(), st.integers(-62, 62))
def test_a_rows_constants_stand_in_for_those_of_the_narrowing(
    value: int, stage: Narrowing, multiplier: int, shift: int
) -> None:
    assert narrow(value, stage, multiplier, shift) == oracle.narrow(value, stage, multiplier, shift)


@given(st.integers(-(1 << 64), 1 << 64) | st.sampled_from(corners(64)), multipliers())
def test_doubling_high_multiply(value: int, multiplier: int) -> None:
    assert doubling_high_multiply(value, multiplier) == oracle.rounded(Fraction(value * multiplier, 1 << 31), "half_up")


def test_the_two_forms_differ_where_the_first_rounding_makes_a_tie() -> None:
    """23/16 = 1.4375 is 1; rounded to halves first it is 1.5, and then 2."""
    single = Narrowing(Format.integer(8), Rounding.HALF_AWAY, shift=32, multiplier=1 << 28)
    doubling = Narrowing(Format.integer(8), Rounding.HALF_AWAY, shift=32, multiplier=1 << 28, form=Form.DOUBLING)
    assert (narrow(23, single), narrow(23, doubling)) == (1, 2)
