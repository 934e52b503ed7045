"""Multipliers, shifts and ratios of scales, with numbers worked out by hand or by the definition of IEEE operations."""

from fractions import Fraction

import numpy as np
import pytest

from fixedsim.assembly.requantization import requantize, scale_ratio
from fixedsim.errors import ModelError
from fixedsim.profiles.choices import Requantization, RequantizeChoices, ScaleArithmetic


def constants(ratio: Fraction, form: Requantization, bits: int = 16) -> tuple[int, int]:
    return requantize(ratio, RequantizeChoices(form=form, multiplier_bits=bits), "sum")


@pytest.mark.parametrize(
    ("ratio", "form", "wanted"),
    [
        (Fraction(1, 8), Requantization.SHIFT, (1, 3)),
        (Fraction(4), Requantization.SHIFT, (1, -2)),
        (Fraction(1), Requantization.DOUBLING, (1 << 30, 30)),
        (Fraction(1, 1 << 15), Requantization.DOUBLING, (1 << 30, 45)),
        (Fraction(3, 4), Requantization.DOUBLING, (3 << 29, 31)),  # 3/4 is 0.75 * 2**0: 0.75 * 2**31, shift 31 - 0
        (Fraction(6), Requantization.DOUBLING, (3 << 29, 28)),
        (Fraction(3, 4), Requantization.MULTIPLIER_16, (3 << 13, 15)),
        (1 - Fraction(1, 1 << 20), Requantization.MULTIPLIER_16, (32767, 15)),  # 2**15 would not fit
        (Fraction(5, 8), Requantization.FLOAT32, (5 << 21, 24)),  # significands have their highest bit set
        (Fraction(5, 8), Requantization.FLOAT64, (5 << 50, 53)),
        (Fraction(1, 3), Requantization.MULTIPLIER, (43691, 17)),  # 2**17 / 3 = 43690.67
    ],
)
def test_constants(ratio: Fraction, form: Requantization, wanted: tuple[int, int]) -> None:
    assert constants(ratio, form) == wanted


def test_ties_of_the_doubling_form_go_away_from_zero() -> None:
    ratio = Fraction((1 << 31) + 1, 1 << 32)  # half of 2**30 * 2 + 1/2 ... a tie of 31 bits
    assert constants(ratio, Requantization.DOUBLING) == ((1 << 30) + 1, 31)


def test_what_is_no_power_of_two_needs_a_multiplier() -> None:
    with pytest.raises(ModelError, match=r"sum must be a power of two to be a shift, not 3; use requantize"):
        constants(Fraction(1, 3), Requantization.SHIFT)


def test_arithmetic_of_scales() -> None:
    a, b, target = (Fraction(float(np.float32(value))) for value in (0.0267, 0.0075, 0.0123))
    product = np.float32(float(a)) * np.float32(float(b))
    assert scale_ratio((a, b), target, ScaleArithmetic.EXACT) == a * b / target
    single = np.float32(product / np.float32(float(target)))
    assert scale_ratio((a, b), target, ScaleArithmetic.FLOAT32) == Fraction(float(single))
    double = float(a) * float(b) / float(target)
    assert scale_ratio((a, b), target, ScaleArithmetic.FLOAT64) == Fraction(double)
    mixed = float(product) / float(target)
    assert scale_ratio((a, b), target, ScaleArithmetic.MIXED) == Fraction(mixed)
    assert scale_ratio((a, b), target, ScaleArithmetic.MIXED, by_row=True) == Fraction(double)
    assert len({Fraction(float(single)), Fraction(double), Fraction(mixed), a * b / target}) == 4


def test_ratios_beyond_the_arithmetic_are_refused() -> None:
    huge, tiny = Fraction(10) ** 38, Fraction(1, 10**38)
    with pytest.raises(ModelError, match="ratio of scales must be positive and finite in float32, not inf"):
        scale_ratio((huge, huge), tiny, ScaleArithmetic.FLOAT32)
    with pytest.raises(ModelError, match=r"ratio of scales must be positive and finite in mixed, not 0\.0"):
        scale_ratio((tiny, tiny), huge, ScaleArithmetic.MIXED)
