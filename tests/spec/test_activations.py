"""Tables and piecewise linear functions against the oracle."""

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
