"""Narrowings that are algorithms of their own, and wraps that look at single bits, against the specification."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Narrowing, Primitive
from fixedsim.spec import casts
from tests.kernels.engines import Engine, acted, unlimited
from tests.kernels.strategies import FULL_RANGE, WORDS, near_powers, primitives

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]

Record = Callable[[str, object], None]


def check(engine: Engine, narrowing: Narrowing, values: list[int]) -> int:
    """Compare raws and counts over ``values``; return how many raws were compared."""
    expected = [casts.narrow(value, narrowing) for value in values]
    constants = narrowing.multiplier, narrowing.shift
    overs = [acted(unlimited(value, narrowing, *constants), narrowing) for value in values]
    multipliers, shifts = (np.full(len(values), constant) for constant in constants)
    out, counts = np.empty((1, len(values)), np.int64), np.zeros(2, np.int64)
    packed = arrays.pack_narrowing(narrowing)
    engine.elementwise.narrow_rows(np.array([values]), multipliers, shifts, packed, out, counts)
    assert out[0].tolist() == expected, narrowing
    assert counts.tolist() == [overs.count(-1), overs.count(1)], narrowing
    return len(values)


def values_of(engine: Engine, reach: int) -> list[int]:
    """Every integer up to ``reach`` in magnitude, or some of them where the engine is slow."""
    return list(range(-reach, reach + 1, 1 if engine.name == "compiled" else 37))


@pytest.mark.parametrize("primitive", FULL_RANGE)
def test_every_small_value(engine: Engine, primitive: Primitive, record_property: Record) -> None:
    compared = 0
    for bits in range(2, 7):
        for zero_point in (0, 1, -(1 << (bits - 1)), (1 << (bits - 1)) - 1):
            form = Format(bits, -(1 << (bits - 1)), (1 << (bits - 1)) - 1, zero_point=zero_point)
            for multiplier, shift, guard_bits in ((1, 0, 0), (1, 3, 1), (5, 4, 2), (3, -1, 1)):
                rounding = (Rounding.HALF_UP, Rounding.FLOOR, Rounding.HALF_EVEN)[bits % 3]
                narrowing = Narrowing(
                    form,
                    rounding,
                    Overflow.WRAP if bits % 2 else Overflow.SATURATE,
                    shift,
                    multiplier=multiplier,
                    primitive=primitive,
                    guard_bits=guard_bits,
                )
                compared += check(engine, narrowing, values_of(engine, 520))
    record_property("comparisons", compared)
    assert compared > 2000


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("mode", [Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE])
def test_every_small_wrap(engine: Engine, mode: Overflow, rounding: Rounding, record_property: Record) -> None:
    compared = 0
    for bits in range(1, 6):
        for signed in (True, False)[: 1 if mode is Overflow.WRAP_SIGN_MAGNITUDE else 2]:
            form = Format.integer(bits, signed=signed)
            for count in range(bits + 1):
                for shift in (-1, 0, 3):
                    narrowing = Narrowing(form, rounding, mode, shift, saturated_bits=count)
                    compared += check(engine, narrowing, values_of(engine, 260))
    record_property("comparisons", compared)
    assert compared > 800


@settings(max_examples=200)
@given(value=WORDS | st.integers(-5000, 5000), data=st.data())
@pytest.mark.parametrize("primitive", Primitive)
def test_one_integer(engine: Engine, primitive: Primitive, value: int, data: st.DataObject) -> None:
    narrowing = data.draw(primitives(primitive))
    packed = engine.narrowing.unpack(arrays.pack_narrowing(narrowing))
    raw, over = engine.narrowing.narrow(np.int64(value), packed[0], packed[1], packed)
    assert raw == casts.narrow(value, narrowing)
    assert over == acted(unlimited(value, narrowing, narrowing.multiplier, narrowing.shift), narrowing)


@settings(max_examples=200)
@given(
    value=WORDS,
    bits=st.sampled_from((1, 2, 8, 33, 62, 63, 64)),
    zero_point=st.just(0) | near_powers(-(1 << 63), (1 << 63) - 1),
    shift=st.integers(-62, 62),
    multiplier=near_powers(1, (1 << 32) - 1),
    data=st.data(),
)
def test_wraps_of_wide_integers(
    engine: Engine, value: int, bits: int, zero_point: int, shift: int, multiplier: int, data: st.DataObject
) -> None:
    form = Format(bits, -(1 << (bits - 1)), (1 << (bits - 1)) - 1, zero_point=zero_point)
    mode = data.draw(st.sampled_from((Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE)))
    count, rounding = data.draw(st.integers(0, min(bits, 63))), data.draw(st.sampled_from(Rounding))
    narrowing = Narrowing(form, rounding, mode, shift, multiplier, saturated_bits=count)
    packed = engine.narrowing.unpack(arrays.pack_narrowing(narrowing))
    raw, _ = engine.narrowing.narrow(np.int64(value), np.int64(multiplier), np.int64(shift), packed)
    assert raw == casts.narrow(value, narrowing)


@settings(max_examples=100)
@given(bits=st.integers(1, 62), raw=WORDS)
def test_an_accumulator_reads_the_first_dropped_bit_of_its_sum(engine: Engine, bits: int, raw: int) -> None:
    form = Format.integer(bits)
    packed = engine.narrowing.unpack(arrays.pack_narrowing(Narrowing(form, overflow=Overflow.WRAP_SIGN_MAGNITUDE)))
    assert engine.narrowing.limit(np.int64(raw), packed)[0] == casts.overflow(raw, form, Overflow.WRAP_SIGN_MAGNITUDE)


@pytest.mark.parametrize(("primitive", "precision"), [(Primitive.FLOAT32, 24), (Primitive.FLOAT64, 53)])
def test_ties_of_integers_beyond_a_significand(engine: Engine, primitive: Primitive, precision: int) -> None:
    """The kernel brings wide integers to binary32 by way of binary64, and must round them once."""
    narrowing = Narrowing(Format.integer(64), primitive=primitive)
    values = [
        sign * ((1 << power) + (odd << (power - precision + 1)) + (1 << (power - precision)) + beside)
        for power in range(precision, 63)
        for sign in (1, -1)
        for odd in (0, 1)
        for beside in (-1, 0, 1)
    ]
    assert check(engine, narrowing, values) == 12 * (63 - precision)


@pytest.mark.parametrize("primitive", [Primitive.FLOAT32, Primitive.FLOAT64])
def test_arrays_take_the_scale_of_each_row(primitive: Primitive) -> None:
    stage = Narrowing(Format.integer(8), Rounding.HALF_EVEN, primitive=primitive)
    multipliers, shifts = [(1 << 53) - 1, 3602879701896397], [53, 55]
    values = [[7, 5], [-100, 123456], [1000, -5]]
    expected = [
        [casts.narrow(value, stage, *constants) for value, *constants in zip(row, multipliers, shifts, strict=True)]
        for row in values
    ]
    assert arrays.narrow(values, stage, multipliers, shifts).tolist() == expected
    with pytest.raises(FormatError, match=r"shifts must be in -900\.\.900, not 901"):
        arrays.narrow(values, stage, multipliers, [901, 0])


def test_the_order_of_the_names_is_the_kernels() -> None:
    assert arrays.pack_narrowing(Narrowing(Format.integer(8), primitive=Primitive.FLOAT64)).tolist()[10:] == [6, 0, 0]
    guarded = Narrowing(Format.integer(8), primitive=Primitive.VHDL_RESIZE, guard_bits=2)
    assert arrays.pack_narrowing(guarded).tolist()[10:] == [3, 0, 2]
    wrapping = Narrowing(Format.integer(8), overflow=Overflow.WRAP, saturated_bits=5)
    assert arrays.pack_narrowing(wrapping).tolist()[10:] == [0, 5, 0]
