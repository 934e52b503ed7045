"""Requantizations of 64-bit integers at their corners, against the scalar specification."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Form, Narrowing
from fixedsim.spec import casts
from tests.kernels.engines import Engine, acted, unlimited
from tests.kernels.strategies import MULTIPLIERS, SHIFTS, WORDS, narrowings

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]


@settings(max_examples=250)
@given(value=WORDS, narrowing=narrowings())
def test_one_integer(engine: Engine, value: int, narrowing: Narrowing) -> None:
    packed = engine.narrowing.unpack(arrays.pack_narrowing(narrowing))
    raw, over = engine.narrowing.narrow(np.int64(value), packed[0], packed[1], packed)
    assert raw == casts.narrow(value, narrowing)
    assert over == acted(unlimited(value, narrowing, narrowing.multiplier, narrowing.shift), narrowing)


@settings(max_examples=200)
@given(
    rows=st.lists(st.tuples(st.integers(-(1 << 33), 1 << 33) | WORDS, MULTIPLIERS, SHIFTS), max_size=6),
    narrowing=narrowings(),
)
def test_rows_with_their_constants(engine: Engine, rows: list[tuple[int, int, int]], narrowing: Narrowing) -> None:
    values, multipliers, shifts = (np.array([row[field] for row in rows], np.int64) for field in range(3))
    out, counts = np.empty((1, len(rows)), np.int64), np.zeros(2, np.int64)
    engine.elementwise.narrow_rows(values[None], multipliers, shifts, arrays.pack_narrowing(narrowing), out, counts)
    assert out[0].tolist() == [casts.narrow(row[0], narrowing, row[1], row[2]) for row in rows]
    overs = [acted(unlimited(value, narrowing, multiplier, shift), narrowing) for value, multiplier, shift in rows]
    assert counts.tolist() == [overs.count(-1), overs.count(1)]


@settings(max_examples=150)
@given(values=st.lists(st.integers(-(1 << 31), 1 << 31), min_size=1, max_size=9), data=st.data())
def test_rows_without_branches(engine: Engine, values: list[int], data: st.DataObject) -> None:
    narrowing = data.draw(narrowings(st.just(Format.integer(16)) | st.just(Format.integer(8, signed=False))))
    multiplier, shift = data.draw(st.integers(1, 1 << 31)), data.draw(st.integers(0, 62))
    constants = np.full(len(values), multiplier), np.full(len(values), shift)
    assert engine.rows.row_fits(np.array(values), *constants)
    out = np.empty(len(values), np.int64)
    engine.rows.narrow_row(np.array(values), *constants, arrays.pack_narrowing(narrowing), out, np.zeros(2, np.int64))
    assert out.tolist() == [casts.narrow(value, narrowing, multiplier, shift) for value in values]


@settings(max_examples=150)
@given(
    value=WORDS,
    multiplier=MULTIPLIERS | MULTIPLIERS.map(lambda positive: -positive),
    count=st.integers(0, 62),
    addend=WORDS,
)
def test_wide_integers(engine: Engine, value: int, multiplier: int, count: int, addend: int) -> None:
    wide, exact = engine.wide, value * multiplier
    high, low = (int(limb) for limb in wide.product(np.int64(value), np.int64(multiplier)))
    assert 0 <= low < 1 << 32
    assert (high << 32) + low == exact
    high, low, half, rest = wide.shift_right(np.int64(high), np.int64(low), np.int64(count))
    assert (int(high) << 32) + int(low) == exact >> count
    assert (half, rest != 0) == ((2 * exact >> count) & 1 if count else 0, exact % (1 << max(count - 1, 0)) != 0)
    if abs(exact >> count) < 1 << 64:
        high, low = wide.add(high, low, np.int64(addend))
        assert (int(high) << 32) + int(low) == (exact >> count) + addend
        high, low = wide.subtract(high, low, np.int64(addend))
        assert (int(high) << 32) + int(low) == exact >> count


@given(value=WORDS, count=st.integers(0, 93))
def test_wide_shift_left_keeps_low_bits_and_side(engine: Engine, value: int, count: int) -> None:
    high, low = engine.wide.shift_left(np.int64(value >> 32), np.int64(value & 0xFFFFFFFF), np.int64(count))
    got, exact = (int(high) << 32) + int(low), value << count
    assert (got - exact) % (1 << 64) == 0
    assert got == exact or (abs(got) >= 1 << 65 and (got < 0) == (exact < 0))


def test_what_kernels_cannot_narrow_to() -> None:
    with pytest.raises(FormatError, match="format must have raws of 64-bit integers"):
        arrays.pack_narrowing(Narrowing(Format.integer(64, signed=False)))


def test_saturating_to_a_zero_that_is_no_raw_is_refused() -> None:
    with pytest.raises(FormatError, match="has no raw that means zero"):
        Narrowing(Format(4, -15, 15, 2, zero_point=1), overflow=Overflow.SATURATE_ZERO)


def test_packed_fields() -> None:
    form = Format(8, -128, 127, zero_point=3)
    narrowing = Narrowing(form, Rounding.HALF_EVEN, Overflow.SATURATE_SYMMETRIC, 5, 9, Form.DOUBLING)
    assert arrays.pack_narrowing(narrowing).tolist() == [9, 5, 1, 6, 2, 8, -127, 127, 1, 3, 0, 0, 0]
