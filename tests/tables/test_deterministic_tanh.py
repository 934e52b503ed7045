"""The tanh with the same bits everywhere: accuracy, oddness, and the bits that IEEE 754 demands."""

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.spec.transcendental import tanh_bounds
from fixedsim.tables import deterministic_tanh

Reals = NDArray[np.float64]

# x and the double next to tanh(x), from 80 decimal digits.
RECORDED = [
    ("0x1p-1074", "0x0.0000000000001p-1022"),
    ("0x1p-1022", "0x1.0000000000000p-1022"),
    ("0x1.8p-40", "0x1.8000000000000p-40"),
    ("0x1p-10", "0x1.fffff5555599ap-11"),
    ("0x1.999999999999ap-4", "0x1.983d7795f413ap-4"),
    ("0x1.62e42fefa39efp-3", "0x1.5f619980c4337p-3"),
    ("0x1p-2", "0x1.f597ea69a1c86p-3"),
    ("0x1.62e42fefa39efp-2", "0x1.5555555555555p-2"),
    ("0x1p-1", "0x1.d9353d7568af3p-2"),
    ("0x1.921fb54442d18p-1", "0x1.4fc441fa6d6d6p-1"),
    ("0x1p+0", "0x1.85efab514f394p-1"),
    ("0x1.8p+0", "0x1.cf6f9786df577p-1"),
    ("0x1p+1", "0x1.ed9505e1bc3d4p-1"),
    ("0x1.5bf0a8b145769p+1", "0x1.fb8f76b1e2ab6p-1"),
    ("0x1p+2", "0x1.ffa81708a0b42p-1"),
    ("0x1.cp+2", "0x1.ffffc832750f2p-1"),
    ("0x1.4p+3", "0x1.ffffffdc96f35p-1"),
    ("0x1p+4", "0x1.fffffffffff1cp-1"),
    ("0x1.3p+4", "0x1.fffffffffffffp-1"),
    ("0x1.31p+4", "0x1.0000000000000p+0"),
    ("0x1.4p+4", "0x1.0000000000000p+0"),
]


def bits(x: Reals) -> NDArray[np.int64]:
    """Return the bit patterns, of which neighbours differ by 1."""
    return np.ascontiguousarray(x).view(np.int64)


@pytest.fixture(scope="module")
def arguments() -> Reals:
    """Return a grid over [-20, 20], finer near zero, and the neighbourhoods of the range reduction's seams."""
    grid = np.arange(-2000, 2001) / 100.0
    small = np.concatenate([np.ldexp(1.0 + np.arange(8) / 8.0, exponent) for exponent in range(-60, 1)])
    seams = (np.arange(60) + 0.5) * 0.34657359027997264  # where k changes: odd multiples of ln(2) / 4
    near = np.concatenate([seams + step * 1e-9 for step in (-1, 0, 1)])
    return np.concatenate([grid, small, -small, near])


def test_recorded_values_are_met_within_4_units_in_the_last_place() -> None:
    x = np.array([float.fromhex(pair[0]) for pair in RECORDED])
    wanted = np.array([float.fromhex(pair[1]) for pair in RECORDED])
    assert np.abs(bits(deterministic_tanh(x)) - bits(wanted)).max() <= 4


def test_the_error_is_at_most_4_units_in_the_last_place(arguments: Reals) -> None:
    arguments = arguments[arguments != 0]
    for x, y in zip(arguments.tolist(), deterministic_tanh(arguments).tolist(), strict=True):
        lower, upper = tanh_bounds(Fraction(x), 180)
        unit = Fraction(math.ulp(y)) * 2**180
        assert upper - 4 * unit <= Fraction(y) * 2**180 <= lower + 4 * unit, x


def test_it_is_odd_to_the_bit_and_lies_in_the_unit_interval(arguments: Reals) -> None:
    values = deterministic_tanh(arguments)
    np.testing.assert_array_equal(bits(deterministic_tanh(-arguments)), bits(-values))
    assert np.abs(values).max() == 1.0


@pytest.mark.filterwarnings("error")
def test_zeros_infinities_and_nan() -> None:
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300])
    np.testing.assert_array_equal(bits(deterministic_tanh(x))[:2], bits(x)[:2])
    np.testing.assert_array_equal(deterministic_tanh(x)[2:], [1.0, -1.0, np.nan, 1.0, -1.0])


def test_the_bits_do_not_depend_on_shape_or_stride(arguments: Reals) -> None:
    values = deterministic_tanh(arguments)
    alone = [float(deterministic_tanh(arguments[i : i + 1])[0]) for i in range(0, len(arguments), 37)]
    np.testing.assert_array_equal(bits(np.array(alone)), bits(values[::37]))
    np.testing.assert_array_equal(bits(deterministic_tanh(arguments[::-3])), bits(values[::-3]))
    square = arguments[:4096].reshape(64, 64)
    np.testing.assert_array_equal(deterministic_tanh(square.T), values[:4096].reshape(64, 64).T)


def nearest_double(value: Fraction) -> Fraction:
    """Return the double next to ``value``, ties to even: what every IEEE 754 operation gives (never subnormal here)."""
    return Fraction(float(value))


def demanded(x: Fraction) -> Fraction:
    """Return the documented operations on ``x > 0`` in their order, each on exact fractions and rounded once."""
    ln2_high, ln2_low = Fraction(0x162E42FEE, 1 << 33), Fraction(0x1A39EF35793C76, 1 << 85)
    double = nearest_double
    y = -2 * min(x, Fraction(22))
    k = round(double(y * Fraction(float.fromhex("0x1.71547652b82fep+0"))))
    r = double(double(y - double(k * ln2_high)) - double(k * ln2_low))
    series = double(Fraction(1, math.factorial(14)))
    for n in range(13, 1, -1):
        series = double(double(series * r) + double(Fraction(1, math.factorial(n))))
    exp_minus_one = double(r + double(double(r * r) * series))
    power = Fraction(2) ** k
    e = double(double(power * exp_minus_one) + double(power - 1))
    return double(-e / double(e + 2))


def test_the_bits_are_those_that_ieee_754_demands(arguments: Reals) -> None:
    x = np.concatenate([arguments[arguments > 0], np.array([21.99, 22.0, 30.0])])
    wanted = [float(demanded(Fraction(value))) for value in x.tolist()]
    np.testing.assert_array_equal(bits(deterministic_tanh(x)), bits(np.array(wanted)))
