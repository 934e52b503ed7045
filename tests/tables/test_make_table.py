"""Tables: every entry against the decimal module, reads within a stated bound of the real function."""

from fractions import Fraction
from typing import TypedDict, Unpack

import pytest

from fixedsim.casts import Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Interpolation, LookupTable
from fixedsim.spec.activations import look_up
from fixedsim.tables import make_table
from tests.tables.decimal_oracle import real, rounded

LINEAR = Interpolation.LINEAR
S3_4, S0_7 = Format.parse("s3.4"), Format.parse("s0.7")
FUNCTIONS = ["sigmoid", "tanh"]
STEEPEST = {"sigmoid": 0.25, "tanh": 1.0}  # largest slope
BENDING = {"sigmoid": 0.0963, "tanh": 0.7699}  # largest second derivative: 1 / (6 sqrt 3) and 4 / (3 sqrt 3)


class Choices(TypedDict, total=False):
    """What a test may change of :func:`build`."""

    input_format: Format
    output: Format
    low: int | Fraction
    high: int | Fraction
    segments: int
    interpolation: Interpolation
    index_rounding: Rounding
    rounding: Rounding
    interpolation_rounding: Rounding


def build(function: str, **changes: Unpack[Choices]) -> LookupTable:
    """Return a table over [-8, 8) of 8-bit inputs and outputs, with 256 segments unless changed."""
    standard: Choices = {"input_format": S3_4, "output": S0_7, "low": -8, "high": 8, "segments": 256}
    choices: Choices = {**standard, **changes}
    return make_table(function, **choices)


def expected(function: str, x: Fraction, output: Format, rounding: Rounding) -> int:
    """Return the entry by the oracle: rounded, moved by the zero point, saturated."""
    raw = rounded(real(function, x) / output.scale, rounding) + output.zero_point
    return min(max(raw, output.raw_min), output.raw_max)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize(
    "output",
    [
        Format.parse("s0.7"),
        Format.parse("u0.8"),
        Format.parse("uunit8"),
        Format.parse("int8"),
        Format.affine(8, Fraction(1, 256), -128),
    ],
    ids=["s0.7", "u0.8", "uunit8", "int8", "affine"],
)
def test_8_bit_tables_are_exact_for_every_raw(
    function: str, rounding: Rounding, interpolation: Interpolation, output: Format
) -> None:
    table = build(function, output=output, rounding=rounding, interpolation=interpolation)
    for raw in range(-128, 128):
        assert look_up(raw, table) == expected(function, Fraction(raw, 16), output, rounding), raw


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("rounding", [Rounding.HALF_EVEN, Rounding.FLOOR])
def test_16_bit_tables_are_exact_at_samples(function: str, rounding: Rounding) -> None:
    form, output = Format.parse("s3.12"), Format.parse("s0.15")
    table = build(function, input_format=form, output=output, segments=1 << 16, rounding=rounding)
    assert (len(table.values), table.index_shift, table.offset) == (1 << 16, 0, 1 << 15)
    for raw in {*range(-32768, 32768, 173), *range(-8, 9), 32767}:
        assert look_up(raw, table) == expected(function, form.real(raw), output, rounding), raw


def test_parameters_of_coarse_tables() -> None:
    form = Format.parse("s3.12")
    nearest = build("tanh", input_format=form, low=-4, high=4, segments=64)
    assert (len(nearest.values), nearest.index_shift, nearest.offset) == (64, 9, 32)
    assert (nearest.index_rounding, nearest.function) == (Rounding.HALF_UP, "tanh")
    linear = build(
        "tanh", input_format=form, low=Fraction(-1, 2), high=Fraction(3, 2), segments=4, interpolation=LINEAR
    )
    assert (len(linear.values), linear.index_shift, linear.offset) == (5, 11, 1)
    entries = [expected("tanh", Fraction(i, 2), linear.format, Rounding.HALF_EVEN) for i in range(-1, 4)]
    assert list(linear.values) == entries


def test_a_width_finer_than_one_raw_is_thinned_to_one_entry_a_raw() -> None:
    assert build("tanh", segments=4096) == build("tanh", segments=256)
    linear = build("sigmoid", segments=1024, interpolation=LINEAR)
    assert (len(linear.values), linear.index_shift) == (257, 0)


def test_an_input_scale_above_one_is_possible() -> None:
    table = build("sigmoid", input_format=Format.qmn(10, -2), low=-16, high=16, segments=4)
    assert (table.index_shift, table.offset) == (1, 2)
    assert [look_up(raw, table) for raw in (-4, 0, 2)] == [0, 64, 127]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("segments", [64, 256, 1024])
def test_nearest_reads_are_within_half_a_step_of_the_function(function: str, segments: int) -> None:
    form, output = Format.parse("s3.8"), Format.parse("s1.14")
    table = build(function, input_format=form, output=output, segments=segments)
    bound = 0.5 + STEEPEST[function] * (16 / segments / 2) * 2**14
    for raw in range(-2048, 2048):
        error = look_up(raw, table) - real(function, form.real(raw), 20) / output.scale
        assert abs(error) <= bound, raw


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("segments", [64, 256])
def test_linear_reads_are_within_one_unit_and_the_bend_of_the_function(function: str, segments: int) -> None:
    form, output = Format.parse("s3.8"), Format.parse("s1.14")
    table = build(function, input_format=form, output=output, segments=segments, interpolation=LINEAR)
    bound = 1 + BENDING[function] * (16 / segments) ** 2 / 8 * 2**14
    for raw in range(-2048, 2048):
        error = look_up(raw, table) - real(function, form.real(raw), 20) / output.scale
        assert abs(error) <= bound, raw


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("rounding", Rounding)
def test_reads_never_fall_and_stay_at_the_ends_outside_the_range(
    function: str, interpolation: Interpolation, rounding: Rounding
) -> None:
    form = Format.parse("s4.7")
    table = build(function, input_format=form, segments=64, interpolation=interpolation, rounding=rounding)
    reads = [look_up(raw, table) for raw in range(-2048, 2048)]
    assert reads == sorted(reads)
    assert set(reads[:1024]) == {table.values[0]}
    assert set(reads[3072:]) == {table.values[-1]}


@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize(("function", "total"), [("sigmoid", 1 << 12), ("tanh", 0)])
def test_reads_are_symmetric_where_the_roundings_are(function: str, total: int, interpolation: Interpolation) -> None:
    table = build(
        function,
        input_format=Format.parse("s3.8"),
        output=Format.parse("s1.12"),
        segments=64,
        interpolation=interpolation,
        index_rounding=Rounding.HALF_AWAY,
        interpolation_rounding=Rounding.HALF_EVEN,
    )
    for raw in range(1984 - 32):  # the last half segment of nearest reads the entry below
        difference = look_up(raw, table) + look_up(-raw, table) - total
        # A rise and its rest are rounded apart: half to even may then leave one unit on a tie.
        assert abs(difference) <= (interpolation is LINEAR), raw


BAD: list[tuple[Choices, str]] = [
    ({"segments": 0}, "segments must be at least 1, not 0"),
    ({"segments": 100}, r"\(high - low\) / segments must be a power of two, not 4/25; choose low and high"),
    ({"high": 4}, "must be a power of two, not 3/64"),
    ({"low": 8}, "low must be below high, not 8 and 8"),
    ({"low": Fraction(-17, 2), "high": Fraction(15, 2), "segments": 16}, "must be multiples of the segment width 1,"),
    ({"low": Fraction(-1, 64), "high": Fraction(1, 64), "segments": 1}, "must be multiples of the segment width 1/16,"),
    ({"low": 0, "high": Fraction(1, 32), "segments": 1}, "must be multiples of the segment width 1/16, not 0 and 1/32"),
    ({"input_format": Format.parse("s3.28"), "segments": 1 << 21}, "segments must be in 1..1048576, not 2097152"),
    ({"input_format": Format.parse("sunit8")}, "input_format must have a power of two as its scale, not 1/127;"),
    ({"input_format": Format.affine(8, Fraction(1, 16), 3)}, "input_format must have zero point 0, not 3; use one"),
    ({"output": Format.odd(4)}, "output must be a format of raw_step 1, not odd4"),
    ({"input_format": Format.qmn(-60, 67), "segments": 2}, "index_shift must be in"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_what_cannot_be_a_table_is_named(changes: Choices, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build("tanh", **changes)


def test_an_unknown_function_is_named() -> None:
    with pytest.raises(ModelError, match="function must be one of sigmoid, tanh, not 'gelu'"):
        build("gelu")
