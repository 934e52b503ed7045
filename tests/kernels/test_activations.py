"""Tables and piecewise linear functions, against the scalar specification."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim.casts import Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import MAX_MULTIPLIER, Activation, Interpolation, LookupTable, PiecewiseLinear
from fixedsim.spec.activations import activate
from tests.kernels.engines import Engine
from tests.kernels.strategies import WORDS, near_powers, tables

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]
RAWS = st.lists(st.integers(-5000, 5000) | WORDS, max_size=8)


def run(engine: Engine, activation: Activation, raws: list[int]) -> list[int]:
    """The activations of the raws; a second activation before this one moves its values in the shared array."""
    fields, values = arrays.pack_activations([LookupTable((7, 8), Format.integer(8), 0, 0), activation])
    out = np.empty(len(raws), np.int64)
    engine.elementwise.activate_all(np.array(raws, np.int64), fields[1], values, out)
    return [int(raw) for raw in out]


@settings(max_examples=400)
@given(table=tables(), raws=RAWS)
def test_tables(engine: Engine, table: LookupTable, raws: list[int]) -> None:
    assert run(engine, table, raws) == [activate(raw, table) for raw in raws]


@pytest.mark.parametrize("kind", Interpolation)
@pytest.mark.parametrize("rounding", Rounding)
def test_every_raw_of_small_tables(engine: Engine, kind: Interpolation, rounding: Rounding) -> None:
    raws = list(range(-64, 64))
    for shift in range(5):
        for offset in (-1, 0, 3):
            table = LookupTable((-8, 7, 2, 3, -5), Format.integer(4), shift, offset, kind, rounding, rounding)
            assert run(engine, table, raws) == [activate(raw, table) for raw in raws]


@settings(max_examples=400)
@given(
    slope=near_powers(-MAX_MULTIPLIER, MAX_MULTIPLIER),
    shift=st.integers(0, 62),
    offset=st.integers(-1000, 1000) | WORDS,
    ends=st.lists(near_powers(-(1 << 31), (1 << 31) - 1), min_size=2, max_size=2).map(sorted),
    rounding=st.sampled_from(Rounding),
    raws=RAWS,
)
def test_lines(
    engine: Engine, slope: int, shift: int, offset: int, ends: list[int], rounding: Rounding, raws: list[int]
) -> None:
    line = PiecewiseLinear(Format.integer(32), slope, shift, offset, ends[0], ends[1], rounding)
    assert run(engine, line, raws) == [activate(raw, line) for raw in raws]


TABLE = LookupTable((-5, 9), Format.integer(8), 3, 1, Interpolation.LINEAR)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (replace(TABLE, values=(-(1 << 32), 1), format=Format.integer(64)), "must be at most 4294967295 apart"),
        (replace(TABLE, offset=1 << 63), "offset of a table must fit 64 bits"),
        (PiecewiseLinear(Format.integer(8), slope=1 << 32), "slope must be in -4294967295..4294967295, not 4294967296"),
        (PiecewiseLinear(Format.integer(8), offset=1 << 63), "offset of a piecewise linear function must fit 64 bits"),
    ],
)
def test_what_kernels_cannot_activate_the_specification_does(activation: Activation, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        arrays.pack_activations([activation])
    raws = [-100, -3, 0, 5, 90]
    assert arrays.activate(raws, activation).tolist() == [activate(raw, activation) for raw in raws]
