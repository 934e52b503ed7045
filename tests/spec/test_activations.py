"""Tables and piecewise linear functions against the oracle."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Activation, Interpolation, LookupTable, PiecewiseLinear
from fixedsim.spec.activations import activate, look_up, piecewise_linear
from tests.spec import oracle
from tests.spec.strategies import activations

FORM = Format.integer(8)
VALUES = (-100, -7, 0, 3, 4, 90, 127, -128)
RAMP = (0, 10, 20)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("index_shift", [-2, 0, 1, 3])
@pytest.mark.parametrize("offset", [-9, 0, 4])
def test_nearest_at_every_small_raw(offset: int, index_shift: int, rounding: Rounding) -> None:
    table = LookupTable(VALUES, FORM, index_shift, offset, index_rounding=rounding)
    for raw in range(-100, 100):
        assert look_up(raw, table) == oracle.look_up(raw, table), raw


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("index_shift", [0, 1, 3])
@pytest.mark.parametrize("offset", [-9, 0, 4])
def test_linear_at_every_small_raw(offset: int, index_shift: int, rounding: Rounding) -> None:
    table = LookupTable(VALUES, FORM, index_shift, offset, Interpolation.LINEAR, rounding=rounding)
    for raw in range(-100, 100):
        assert look_up(raw, table) == oracle.look_up(raw, table), raw


@given(activations(), st.integers(-(1 << 40), 1 << 40) | st.integers(-3000, 3000))
def test_any_activation(activation: Activation, raw: int) -> None:
    value = activate(raw, activation)
    assert value == oracle.activate(raw, activation)
    assert activation.format.contains(value)


def test_a_table_is_clamped_to_its_ends() -> None:
    for interpolation in Interpolation:
        table = LookupTable(RAMP, FORM, 2, 0, interpolation)
        assert [look_up(raw, table) for raw in (-400, -1, 8, 9, 400)] == [0, 0, 20, 20, 20]


def test_a_line_runs_through_the_entries() -> None:
    table = LookupTable(RAMP, FORM, 2, 0, Interpolation.LINEAR)
    assert [look_up(raw, table) for raw in range(9)] == [0, 3, 5, 8, 10, 13, 15, 18, 20]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("slope", [-3, 0, 1, 5])
@pytest.mark.parametrize("ends", [(None, None), (0, None), (None, 9), (-4, 4)])
def test_piecewise_linear_at_every_small_raw(
    ends: tuple[int | None, int | None], slope: int, rounding: Rounding
) -> None:
    function = PiecewiseLinear(FORM, slope, 2, 6, *ends, rounding=rounding)
    for raw in range(-300, 300):
        assert piecewise_linear(raw, function) == oracle.straight(raw, function), raw


def test_rectifier_and_identity() -> None:
    assert [piecewise_linear(raw, PiecewiseLinear(FORM, lower=0, upper=20)) for raw in (-9, 0, 7, 20, 21)] == [
        *(0, 0, 7, 20, 20),
    ]
    assert [piecewise_linear(raw, PiecewiseLinear(FORM)) for raw in (-128, 0, 127)] == [-128, 0, 127]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("multiplier", [1, 3, 5, 96])
@pytest.mark.parametrize("index_shift", [-1, 0, 4, 9])
def test_an_index_is_multiplied_before_it_is_rounded(index_shift: int, multiplier: int, rounding: Rounding) -> None:
    table = LookupTable(VALUES, FORM, index_shift, 4, index_rounding=rounding, index_multiplier=multiplier)
    for raw in range(-70, 70):
        index = oracle.rounded(Fraction(raw * multiplier) / Fraction(2) ** index_shift, rounding) + 4
        assert look_up(raw, table) == VALUES[sorted((0, index, len(VALUES) - 1))[1]], raw


def test_a_table_of_six_entries_over_sixteen() -> None:
    """The index of x at 3 fraction bits is trunc(x * 6 / 16) + 3, so that 16 raws are 3/4 of an entry."""
    table = LookupTable((1, 2, 3, 4, 5, 6), FORM, 7, 3, index_rounding=Rounding.TOWARD_ZERO, index_multiplier=6)
    reads = [look_up(raw, table) for raw in (-64, -43, -42, -22, -21, 0, 21, 22, 42, 43, 64)]
    assert reads == [1, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6]


@pytest.mark.parametrize(
    ("low_input", "high_input", "values"),
    [
        (None, None, [-9, -3, -2, -1, 0, 1, 2, 3, 9]),
        (-2, None, [-20, -20, -20, -1, 0, 1, 2, 3, 9]),
        (None, 2, [-9, -3, -2, -1, 0, 1, 20, 20, 20]),
        (-3, 3, [-20, -20, -2, -1, 0, 1, 2, 20, 20]),
        (1, 0, [-20, -20, -20, -20, -20, -20, 20, 20, 20]),  # the low one wins where both are met
    ],
)
def test_thresholds_of_the_input(low_input: int | None, high_input: int | None, values: list[int]) -> None:
    line = PiecewiseLinear(FORM, lower=-20, upper=20, low_input=low_input, high_input=high_input)
    assert [piecewise_linear(raw, line) for raw in (-9, -3, -2, -1, 0, 1, 2, 3, 9)] == values


def test_a_hard_sigmoid_with_thresholds() -> None:
    """4 fraction bits, slope int(16 / 6) = 2: 0 up to -48, 16 from 48 on, else trunc(2 * v / 16) + 8."""
    line = PiecewiseLinear(FORM, 2, 4, 8, 0, 16, Rounding.TOWARD_ZERO, low_input=-48, high_input=48)
    raws = (-49, -48, -47, -9, -8, -7, 0, 7, 8, 47, 48, 49)
    assert [piecewise_linear(raw, line) for raw in raws] == [0, 0, 3, 7, 7, 8, 8, 8, 9, 13, 16, 16]
