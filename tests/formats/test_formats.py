"""Formats: names round-trip, codes and raws are inverse, reals are exact, and what cannot be is refused by message."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.errors import FixedsimError, FormatError
from fixedsim.formats import Format, bits_for

SMALL = [
    *(Format.integer(bits, signed=signed) for bits in range(1, 9) for signed in (False, True)),
    *(Format.integer(bits, narrow=True) for bits in range(2, 9)),
    *(Format.odd(bits) for bits in range(1, 9)),
    *(Format.unit(bits) for bits in range(1, 9)),
    Format(4, -3, 5),
    Format(4, 2, 9),
    Format(3, 4, 18, raw_step=2),
]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("s4.11", Format(16, -32768, 32767, scale=Fraction(1, 2048))),
        ("s0.7", Format(8, -128, 127, scale=Fraction(1, 128))),
        ("s-2.9", Format(8, -128, 127, scale=Fraction(1, 512))),
        ("s10.-3", Format(8, -128, 127, scale=Fraction(8))),
        ("s0.0", Format(1, -1, 0)),
        ("u0.8", Format(8, 0, 255, scale=Fraction(1, 256))),
        ("u3.5", Format(8, 0, 255, scale=Fraction(1, 32))),
        ("u64.0", Format(64, 0, 2**64 - 1)),
        ("int8", Format(8, -128, 127)),
        ("int1", Format(1, -1, 0)),
        ("int64", Format(64, -(2**63), 2**63 - 1)),
        ("uint16", Format(16, 0, 65535)),
        ("odd1", Format(1, -1, 1, raw_step=2)),
        ("odd4", Format(4, -15, 15, raw_step=2)),
        ("uunit1", Format(1, 0, 1)),
        ("uunit4", Format(4, 0, 15, scale=Fraction(1, 15))),
        ("sunit8", Format(8, -127, 127, scale=Fraction(1, 127))),
    ],
)
def test_what_a_name_means(name: str, form: Format) -> None:
    assert Format.parse(name) == form
    assert Format.parse(form.name) == form


@pytest.mark.parametrize("bits", range(1, 65))
def test_every_name_of_a_width_comes_back(bits: int) -> None:
    names = [f"int{bits}", f"uint{bits}", f"uunit{bits}", f"u{bits - 7}.7", f"s{bits - 8}.7", f"s{bits + 3}.-4"]
    names += [f"odd{bits}"] if bits <= 62 else []
    names += [f"sunit{bits}"] if bits > 1 else []
    for name in names:
        form = Format.parse(name)
        assert form.bits == bits
        assert Format.parse(form.name) == form


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (Format.qmn(4, 11), "s4.11"),
        (Format.qmn(3, 5, signed=False), "u3.5"),
        (Format.odd(4), "odd4"),
        (Format.unit(4), "uunit4"),
        (Format.unit(8, signed=True), "sunit8"),
        (Format.affine(8, Fraction(1, 3), 0), "8 bits [-128, 127] scale 0.333333"),
        (Format.affine(8, Fraction(1, 4), -5), "8 bits [-128, 127] scale 0.25 zero -5"),
        (Format.integer(8, narrow=True), "8 bits [-127, 127] scale 1"),
        (replace(Format.odd(2), scale=Fraction(5, 2)), "2 bits [-3, 3] step 2 scale 2.5"),
    ],
)
def test_the_name_of_a_format(form: Format, name: str) -> None:
    assert form.name == name


def test_an_ambiguous_name_is_settled() -> None:
    """The raws and the scale decide, so one format has one name."""
    assert Format.parse("uunit1").name == Format.parse("uint1").name
    assert Format.parse("int8").name == Format.parse("s7.0").name


@pytest.mark.parametrize("form", SMALL, ids=lambda form: form.name)
def test_codes_and_raws_are_inverse(form: Format) -> None:
    raws = list(range(form.raw_min, form.raw_max + 1, form.raw_step))
    codes = [form.code(raw) for raw in raws]
    assert len(set(codes)) == len(raws) == form.levels
    assert all(0 <= code < 2**form.bits for code in codes)
    assert [form.raw(code) for code in codes] == raws
    for code in set(range(2**form.bits)) - set(codes):
        with pytest.raises(FormatError):
            form.raw(code)


@pytest.mark.parametrize("form", SMALL, ids=lambda form: form.name)
def test_only_the_raws_are_contained(form: Format) -> None:
    raws = set(range(form.raw_min, form.raw_max + 1, form.raw_step))
    assert {raw for raw in range(-600, 600) if form.contains(raw)} == raws
    for raw in set(range(-600, 600)) - raws:
        with pytest.raises(FormatError):
            form.code(raw)


def test_codes_of_step_1_are_two_complement() -> None:
    assert [Format.integer(4).code(raw) for raw in (-8, -1, 0, 7)] == [0b1000, 0b1111, 0, 0b0111]
    assert [Format.integer(4, signed=False).code(raw) for raw in (0, 8, 15)] == [0, 8, 15]
    assert Format.integer(64).code(-1) == 2**64 - 1
    assert Format(4, 2, 9).code(9) == 9


def test_codes_of_step_2_count_from_the_lowest_raw() -> None:
    assert [Format.odd(2).code(raw) for raw in (-3, -1, 1, 3)] == [0, 1, 2, 3]
    assert [Format.odd(1).raw(code) for code in (0, 1)] == [-1, 1]


@pytest.mark.parametrize(
    ("form", "raw", "real"),
    [
        (Format.qmn(4, 11), -32768, Fraction(-16)),
        (Format.qmn(4, 11), 1, Fraction(1, 2048)),
        (Format.qmn(10, -3), 5, Fraction(40)),
        (Format.unit(4), 15, Fraction(1)),
        (Format.unit(4), 5, Fraction(1, 3)),
        (Format.unit(8, signed=True), -127, Fraction(-1)),
        (Format.affine(8, Fraction(1, 10), -128), 127, Fraction(51, 2)),
        (Format.affine(8, Fraction(1, 10), -128), -128, Fraction(0)),
        (replace(Format.odd(4), scale=Fraction(2, 15)), -15, Fraction(-2)),
    ],
)
def test_the_real_of_a_raw_is_exact(form: Format, raw: int, real: Fraction) -> None:
    assert form.real(raw) == real


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Format.integer(8), (True, True, 256, 0)),
        (Format.integer(8, narrow=True), (True, False, 255, 0)),
        (Format.integer(8, signed=False), (False, True, 256, 0)),
        (Format.odd(4), (True, True, 16, 0)),
        (Format(3, 4, 18, raw_step=2), (False, True, 8, 0)),
        (Format.qmn(-2, 9), (True, True, 256, 9)),
        (Format.qmn(10, -3), (True, True, 256, -3)),
        (Format.unit(4), (False, True, 16, None)),
        (Format.integer(8).with_scale(Fraction(3, 4)), (True, True, 256, None)),
    ],
)
def test_derived_properties(form: Format, expected: tuple[bool, bool, int, int | None]) -> None:
    assert (form.signed, form.full_range, form.levels, form.fraction_bits) == expected


def test_with_scale_keeps_the_raws() -> None:
    form = Format.affine(8, Fraction(1, 3), 4).with_scale(Fraction(1, 7))
    assert form == Format(8, -128, 127, scale=Fraction(1, 7), zero_point=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 65}, "bits must be in 1..64, not 65"),
        ({"bits": 0}, "bits must be in 1..64, not 0"),
        ({"raw_step": 3}, "raw_step must be 1 or 2, not 3"),
        ({"raw_min": 5, "raw_max": 5}, "raw range must be ascending in steps of 1, not 5..5"),
        ({"raw_min": 5, "raw_max": 4}, "raw range must be ascending in steps of 1, not 5..4"),
        (
            {"raw_min": -3, "raw_max": 4, "raw_step": 2},
            "raw range must be ascending in steps of 2, not -3..4",
        ),
        (
            {"raw_min": -5, "raw_max": 5, "raw_step": 2, "bits": 3},
            "raw range of step 2 must hold 2**bits raws, not 6 with 3 bits",
        ),
        ({"raw_min": -200, "raw_max": 100}, "raw range must fit 8 bits, not -200..100"),
        ({"raw_min": -17, "raw_max": 17, "raw_step": 2, "bits": 4}, "raw range must fit 4 bits, not -17..17"),
        ({"raw_min": -100, "raw_max": 150}, "raw range must fit 8-bit codes, not -100..150"),
        ({"raw_min": 100, "raw_max": 256}, "raw range must fit 8-bit codes, not 100..256"),
        ({"scale": Fraction(0)}, "scale must be positive, not 0"),
        ({"scale": Fraction(-1, 3)}, "scale must be positive, not -1/3"),
        ({"zero_point": 1 << 63}, f"zero_point must fit 64 bits, not {1 << 63}"),
        ({"zero_point": -(1 << 63) - 1}, f"zero_point must fit 64 bits, not {-(1 << 63) - 1}"),
    ],
)
def test_a_format_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError) as failure:
        Format(**{"bits": 8, "raw_min": -128, "raw_max": 127, **arguments})
    assert str(failure.value) == message
    assert isinstance(failure.value, FixedsimError)


PARSED = "format must be a name like s4.11, u0.8, int8, uint16, odd4, uunit4 or sunit8, not "


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("int65", "bits must be in 1..64, not 65"),
        ("uint0", "bits must be in 1..64, not 0"),
        ("s60.4", "bits must be in 1..64, not 65"),
        ("s-8.3", "bits must be in 1..64, not -4"),
        ("odd63", "bits of an odd format must be in 1..62, not 63"),
        ("sunit1", "bits of a narrow signed format must be in 2..64, not 1; use odd1 for {-1, +1}"),
        ("float32", f"{PARSED}'float32'"),
        ("int8 ", f"{PARSED}'int8 '"),
        ("int8\n", f"{PARSED}'int8\\n'"),
        ("S4.11", f"{PARSED}'S4.11'"),
        ("s4", f"{PARSED}'s4'"),
        ("", f"{PARSED}''"),
    ],
)
def test_a_name_that_means_nothing_is_refused(name: str, message: str) -> None:
    with pytest.raises(FormatError) as failure:
        Format.parse(name)
    assert str(failure.value) == message


@pytest.mark.parametrize(
    ("form", "raw", "message"),
    [
        (Format.integer(8, narrow=True), -128, "raw must be in -127..127 step 1, not -128"),
        (Format.odd(4), 2, "raw must be in -15..15 step 2, not 2"),
        (Format.odd(4), 17, "raw must be in -15..15 step 2, not 17"),
    ],
)
def test_a_raw_outside_has_no_code(form: Format, raw: int, message: str) -> None:
    with pytest.raises(FormatError) as failure:
        form.code(raw)
    assert str(failure.value) == message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (256, "code must be in 0..255, not 256"),
        (-1, "code must be in 0..255, not -1"),
        (128, "code must stand for a raw in -127..127, not 128"),
    ],
)
def test_a_code_outside_has_no_raw(code: int, message: str) -> None:
    with pytest.raises(FormatError) as failure:
        Format.integer(8, narrow=True).raw(code)
    assert str(failure.value) == message


def test_bits_for_every_small_range() -> None:
    for low in range(-40, 41):
        for high in range(low, 41):
            widths = [bits for bits in range(1, 9) if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1)]
            assert bits_for(low, high) == widths[0], (low, high)


@given(st.integers(-(1 << 80), 1 << 80), st.integers(-(1 << 80), 1 << 80))
def test_bits_for_any_range(first: int, second: int) -> None:
    low, high = sorted((first, second))
    bits = bits_for(low, high)
    assert -(2 ** (bits - 1)) <= low <= high < 2 ** (bits - 1)
    assert bits == 1 or not -(2 ** (bits - 2)) <= low <= high < 2 ** (bits - 2)
