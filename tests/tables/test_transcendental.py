"""Enclosures and correctly rounded values of sigmoid and tanh, against the decimal module."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fixedsim.casts import Rounding
from fixedsim.errors import FormatError, ModelError
from fixedsim.spec.transcendental import correctly_rounded, sigmoid_bounds, tanh_bounds
from tests.tables.decimal_oracle import real, rounded

Bounds = Callable[[Fraction, int], tuple[int, int]]
BOUNDS: list[tuple[str, Bounds]] = [("sigmoid", sigmoid_bounds), ("tanh", tanh_bounds)]
ARGUMENTS = [Fraction(text) for text in ("1e-30", "1/4096", "1/3", "1/2", "1", "7/5", "3", "8", "40", "150", "1e9")]


@pytest.mark.parametrize(("function", "bounds"), BOUNDS)
@pytest.mark.parametrize("precision", [1, 2, 3, 8, 24, 53, 64, 96, 200, 1000])
def test_bounds_enclose_the_function_within_two_units(function: str, bounds: Bounds, precision: int) -> None:
    for size in ARGUMENTS:
        for x in (size, -size):
            lower, upper = bounds(x, precision)
            value = real(function, x, digits=precision // 3 + 40) * 2**precision
            assert lower <= value <= upper, f"{function}({x}) at {precision} bits"
            assert upper - lower <= 2


@pytest.mark.parametrize(("function", "bounds"), BOUNDS)
@given(x=st.fractions(-60, 60, max_denominator=10**9), precision=st.integers(1, 160))
def test_bounds_enclose_the_function_at_any_point(function: str, bounds: Bounds, x: Fraction, precision: int) -> None:
    lower, upper = bounds(x, precision)
    assert lower <= real(function, x, digits=100) * 2**precision <= upper
    assert upper - lower <= 2


@pytest.mark.parametrize(("function", "bounds"), BOUNDS)
@pytest.mark.parametrize("precision", [8, 64])
def test_bounds_stay_in_the_range_of_the_function(function: str, bounds: Bounds, precision: int) -> None:
    one = 1 << precision
    for x in ARGUMENTS:
        lower, upper = bounds(x, precision)
        assert (one // 2 if function == "sigmoid" else 0) <= lower <= upper <= one, x


@pytest.mark.parametrize(("function", "bounds"), BOUNDS)
def test_bounds_hold_where_the_value_is_rational(function: str, bounds: Bounds) -> None:
    for precision in (1, 10, 64):
        lower, upper = bounds(Fraction(0), precision)
        assert lower <= (2 ** (precision - 1) if function == "sigmoid" else 0) <= upper


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("rounding", Rounding)
@given(
    x=st.fractions(-30, 30, max_denominator=10**6),
    scale=st.fractions(Fraction(1, 10**9), 3, max_denominator=10**9).filter(lambda scale: scale > 0),
)
@example(x=Fraction(0), scale=Fraction(1))
@example(x=Fraction(0), scale=Fraction(1, 3))
@example(x=Fraction(0), scale=Fraction(1, 5))
@example(x=Fraction(-1), scale=Fraction(1, 1 << 62))
def test_correctly_rounded_is_the_rounded_decimal(
    function: str, rounding: Rounding, x: Fraction, scale: Fraction
) -> None:
    expected = rounded(real(function, x, digits=80) / scale, rounding)
    assert correctly_rounded(function, x, scale, rounding) == expected


# Values just beside a multiple of 1/2, where roundings jump; many nearer than any practical count of digits shows.
# Columns: function, x, scale, the multiple of 1/2 that f(x) / scale lies beside, and on which side of it.
BESIDE = [
    ("sigmoid", Fraction(40), Fraction(1, 255), Fraction(255), -1),
    ("sigmoid", Fraction(32767), Fraction(1, 32768), Fraction(32768), -1),
    ("sigmoid", Fraction(-(10**6)), Fraction(1, 15), Fraction(0), 1),
    ("tanh", Fraction(-32768), Fraction(1, 128), Fraction(-128), 1),
    ("tanh", Fraction(1, 10**40), Fraction(1, 128), Fraction(0), 1),
    ("tanh", Fraction(-1, 10**40), Fraction(1, 128), Fraction(0), -1),
    ("sigmoid", Fraction(1, 10**40), Fraction(1), Fraction(1, 2), 1),
    ("sigmoid", Fraction(-1, 10**40), Fraction(1), Fraction(1, 2), -1),
    ("sigmoid", Fraction(1, 10**40), Fraction(1, 3), Fraction(3, 2), 1),
    ("tanh", Fraction(50), Fraction(2), Fraction(1, 2), -1),
    ("tanh", Fraction(-50), Fraction(2), Fraction(-1, 2), 1),
]


@pytest.mark.parametrize(("function", "x", "scale", "jump", "side"), BESIDE)
@pytest.mark.parametrize("rounding", Rounding)
def test_correctly_rounded_beside_a_jump(
    function: str, x: Fraction, scale: Fraction, jump: Fraction, side: int, rounding: Rounding
) -> None:
    beside = jump + Fraction(side, 100)
    assert correctly_rounded(function, x, scale, rounding) == rounded(beside, rounding)


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("jump", [Fraction(100), Fraction(201, 2)])
@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("rounding", Rounding)
def test_correctly_rounded_with_a_scale_that_puts_the_value_beside_a_jump(
    function: str, jump: Fraction, side: int, rounding: Rounding
) -> None:
    scale = real(function, Fraction(3, 2), digits=80) / jump * (1 - side * Fraction(1, 10**50))
    assert correctly_rounded(function, Fraction(3, 2), scale, rounding) == rounded(jump + Fraction(side, 100), rounding)


def test_correctly_rounded_raises_the_precision_as_far_as_it_must() -> None:
    # tanh(x) = x - x**3 / 3 + ..: 10**40 * tanh(10**-20) lies a third of a unit of 10**-20 below 10**20.
    assert correctly_rounded("tanh", Fraction(1, 10**20), Fraction(1, 10**40), Rounding.FLOOR) == 10**20 - 1
    assert correctly_rounded("tanh", Fraction(1, 10**20), Fraction(1, 10**40), Rounding.HALF_EVEN) == 10**20


def test_correctly_rounded_names_an_unknown_function_and_a_scale_that_is_not_positive() -> None:
    with pytest.raises(ModelError, match="function must be one of sigmoid, tanh, not 'relu'"):
        correctly_rounded("relu", Fraction(1), Fraction(1), Rounding.FLOOR)
    with pytest.raises(FormatError, match="scale must be positive, not 0"):
        correctly_rounded("tanh", Fraction(1), Fraction(0), Rounding.FLOOR)
