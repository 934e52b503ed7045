"""Hard sigmoid, hard tanh, ReLU and identity against exact fractions."""

from fractions import Fraction

import pytest

from fixedsim.casts import Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import PiecewiseLinear
from fixedsim.spec.activations import piecewise_linear
from fixedsim.tables import clipped_relu, hard_sigmoid, hard_tanh, identity, relu
from tests.tables.decimal_oracle import rounded

S3_4, S0_7 = Format.parse("s3.4"), Format.parse("s0.7")
HALF = Fraction(1, 2)


def clamp(value: Fraction, low: Fraction, high: Fraction) -> Fraction:
    """Return ``value`` moved into ``low .. high``."""
    return min(max(value, low), high)


@pytest.mark.parametrize("rounding", Rounding)
def test_hard_sigmoid_with_an_exact_slope_is_the_rounded_function(rounding: Rounding) -> None:
    output = Format.parse("s2.5")
    function = hard_sigmoid(S3_4, output, Fraction(3, 16), HALF, rounding=rounding)
    assert (function.slope, function.shift, function.offset) == (3, 3, 16)
    for raw in range(-128, 128):
        # The quotient is rounded before the offset, a whole number of raws, is added: ties see its own sign.
        line = rounded(Fraction(3, 16) * S3_4.real(raw) / output.scale, rounding) + 16
        assert piecewise_linear(raw, function) == min(max(line, 0), 32), raw


@pytest.mark.parametrize("slope", [Fraction(1, 5), Fraction(1, 6), Fraction(1, 4)])
@pytest.mark.parametrize("output", ["s0.7", "u0.8", "s1.14", "u0.16", "s3.2"])
@pytest.mark.parametrize("slope_bits", [8, 16])
def test_hard_sigmoid_is_within_one_raw_and_the_slope_error(slope: Fraction, output: str, slope_bits: int) -> None:
    input_format, form = Format.parse("s3.8"), Format.parse(output)
    function = hard_sigmoid(input_format, form, slope, HALF, slope_bits=slope_bits)
    assert 0 < function.slope < 1 << slope_bits
    slope_error = slope * 8 / form.scale / 2**slope_bits  # half a unit of at least 2**(slope_bits - 1), at |x| <= 8
    for raw in range(-2048, 2048):
        real = clamp(slope * input_format.real(raw) + HALF, Fraction(0), form.real(form.raw_max))
        error = piecewise_linear(raw, function) - clamp(real, Fraction(0), Fraction(1)) / form.scale
        assert abs(error) < 1 + slope_error, raw


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("output", ["s0.7", "s2.5", "u0.8", "s4.1", "s3.4"])
def test_hard_tanh_is_the_rounded_and_saturated_function(output: str, rounding: Rounding) -> None:
    form = Format.parse(output)
    function = hard_tanh(S3_4, form, rounding=rounding)
    for raw in range(-128, 128):
        value = clamp(S3_4.real(raw), Fraction(-1), Fraction(1)) / form.scale
        expected = min(max(rounded(value, rounding), form.raw_min), form.raw_max)
        assert piecewise_linear(raw, function) == expected, raw


def test_the_ends_of_hard_functions_are_the_last_raws_inside_the_unit() -> None:
    whole = hard_tanh(S3_4, Format.parse("s6.-1"))  # one raw is 2: only zero lies in [-1, 1]
    assert (whole.lower, whole.upper) == (0, 0)
    assert (hard_tanh(S3_4, S0_7).lower, hard_tanh(S3_4, S0_7).upper) == (-128, 127)
    assert (hard_tanh(S3_4, Format.parse("u1.7")).lower, hard_tanh(S3_4, Format.parse("u1.7")).upper) == (0, 128)


def test_the_raw_slope_is_rounded_half_to_even_and_its_factors_of_two_cancel() -> None:
    function = hard_sigmoid(S3_4, S3_4, Fraction(1, 5), HALF)
    assert (function.slope, function.shift) == (52429, 18)  # 2**18 / 5 = 52428.8
    assert hard_sigmoid(S3_4, S3_4, Fraction(5, 16), HALF, slope_bits=2).slope == 1  # 2.5: to 2 of 8, cancelled
    assert hard_sigmoid(S3_4, S3_4, Fraction(7, 16), HALF, slope_bits=2) == hard_sigmoid(S3_4, S3_4, HALF, HALF)
    assert hard_sigmoid(S3_4, Format.parse("s0.7"), Fraction(1), HALF).slope == 8


@pytest.mark.parametrize(("zero_in", "zero_out"), [(0, 0), (-128, -128), (5, -7)])
def test_relu_clipped_relu_and_identity_of_any_zero_points(zero_in: int, zero_out: int) -> None:
    scale = Fraction(3, 40)
    source, target = Format.affine(8, scale, zero_in), Format.affine(8, scale, zero_out)
    clip = Fraction(6)
    for raw in range(-128, 128):
        real = source.real(raw)
        cases: list[tuple[PiecewiseLinear, Fraction]] = [
            (relu(source, target), max(real, Fraction(0))),
            (clipped_relu(source, target, clip), clamp(real, Fraction(0), clip)),
            (identity(source, target), real),
        ]
        for function, value in cases:
            expected = min(max(int(value / scale) + zero_out, -128), 127)
            assert piecewise_linear(raw, function) == expected, (function.function, raw)


def test_clip_is_rounded_half_to_even_and_saturates() -> None:
    assert clipped_relu(S3_4, S3_4, Fraction(5, 32)).upper == 2
    assert clipped_relu(S3_4, S3_4, Fraction(7, 32)).upper == 4
    assert clipped_relu(S3_4, S3_4, Fraction(20)).upper == 127


def test_a_narrower_output_of_the_same_scale_saturates() -> None:
    wide, narrow = Format.parse("s11.4"), Format.parse("s3.4")
    assert [piecewise_linear(raw, identity(wide, narrow)) for raw in (-3000, -128, 127, 3000)] == [-128, -128, 127, 127]
    assert [piecewise_linear(raw, relu(wide, narrow)) for raw in (-3000, 5, 3000)] == [0, 5, 127]


def test_what_cannot_be_a_hard_function_is_named() -> None:
    sixth = Fraction(1, 6)
    with pytest.raises(
        ModelError, match=r"output must have a power of two as its scale, not 1/255; use one like s4\.11"
    ):
        hard_sigmoid(S3_4, Format.parse("uunit8"), sixth, HALF)
    with pytest.raises(ModelError, match=r"input_format must have zero point 0, not 1; use one like s4\.11"):
        hard_tanh(Format.affine(8, Fraction(1, 16), 1), S0_7)
    with pytest.raises(ModelError, match="slope must be positive, not 0"):
        hard_sigmoid(S3_4, S0_7, Fraction(0), HALF)
    with pytest.raises(ModelError, match=r"slope_bits must be in 1..32, not 33"):
        hard_sigmoid(S3_4, S0_7, sixth, HALF, slope_bits=33)
    with pytest.raises(ModelError, match=r"slope must be at least 2\*\*-62 and below 2\*\*4 raws .* not 16;"):
        hard_tanh(S3_4, S0_7, Fraction(2), slope_bits=4)
    with pytest.raises(ModelError, match="output must be a format of raw_step 1, not odd4"):
        hard_sigmoid(S3_4, Format.odd(4), sixth, HALF)


def test_what_cannot_be_a_relu_is_named() -> None:
    with pytest.raises(ModelError, match="output must have the scale of its input, 1/16, not 1/128; change"):
        relu(S3_4, S0_7)
    with pytest.raises(ModelError, match="output must have the scale of its input, 1/16, not 1/128"):
        identity(S3_4, S0_7)
    with pytest.raises(ModelError, match="clip must be positive, not 0"):
        clipped_relu(S3_4, S3_4, Fraction(0))
    with pytest.raises(ModelError, match="output must be a format of raw_step 1, not odd4"):
        relu(S3_4, Format.odd(4))
