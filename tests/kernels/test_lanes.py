"""Narrowings of sixteen lanes equal the scalar specification, in 32 and in 64 bits, raws and counts alike."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim.bounds import Range
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format
from fixedsim.kernels import lanes as layout
from fixedsim.kernels.compilation import compiled
from fixedsim.kernels.lanes import Constants, narrow_lanes
from fixedsim.kernels.vector import LANES, lanes, store
from fixedsim.lanes import LaneStage, UnfitError, lane_stage
from fixedsim.profiles.datapath import Form, Narrowing, Primitive
from fixedsim.spec.casts import narrow
from tests.strategies import Words

pytestmark = pytest.mark.kernels
OVERFLOWS = (Overflow.WRAP, Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.SATURATE_ZERO)
REPAIRS = (Primitive.REPAIR_SIGN, Primitive.REPAIR_SIGN_FIRST)
RESIZES = (Primitive.VHDL_RESIZE, Primitive.VHDL_RESIZE_MAGNITUDE)
BLOCKS = 4


@compiled
def narrow_all(
    values: Constants, flags: int, constants: Constants, counts: Constants, used: Constants, out: Constants
) -> None:
    """Write to ``out`` (N,) the narrowed ``values``, N a multiple of 16."""
    for place in range(0, values.shape[0], LANES):
        value = lanes(values, place)
        store(out, place, narrow_lanes(value, flags, constants, 0, LANES, counts, 0, lanes(used, place)))


def lowest(narrowing: Narrowing) -> int:
    """The lowest raw that the overflow leaves as it is."""
    form = narrowing.format
    saturates = narrowing.primitive is None
    symmetric = saturates and narrowing.overflow is Overflow.SATURATE_SYMMETRIC and form.signed and form.bits > 1
    return -form.raw_max if symmetric else form.raw_min


def rounded(value: int, narrowing: Narrowing) -> int:
    """What is narrowed before its overflow: in a format that holds everything."""
    wide = replace(Format.integer(63), zero_point=narrowing.format.zero_point)
    away = narrowing.primitive is Primitive.VHDL_RESIZE_MAGNITUDE
    rounding = Rounding.HALF_AWAY if away else narrowing.rounding
    return narrow(
        value, Narrowing(wide, rounding, Overflow.SATURATE, narrowing.shift, narrowing.multiplier, narrowing.form)
    )


def check(narrowing: Narrowing, values: list[int], bits: int, stage: LaneStage) -> None:
    """Every raw, less the zero point, and how many were below and above."""
    given_values = np.array(values + [0] * (-len(values) % LANES), dtype=np.int64)
    used = np.where(np.arange(len(given_values)) < len(values), -1, 0).astype(np.int32)
    kind = np.int32 if bits == 32 else np.int64
    counts, out = np.zeros(2 * LANES, dtype=np.int32), np.zeros(len(given_values), dtype=kind)
    narrow_all(given_values.astype(kind), stage.flags, stage.packed(bits, LANES).reshape(-1), counts, used, out)
    expected = [narrow(value, narrowing) - narrowing.format.zero_point for value in values]
    assert out[: len(values)].tolist() == expected
    if narrowing.primitive not in REPAIRS:
        before = [rounded(value, narrowing) for value in values]
        low = sum(raw < lowest(narrowing) for raw in before)
        high = sum(raw > narrowing.format.raw_max for raw in before)
        assert counts.reshape(2, LANES).sum(axis=1).tolist() == [low, high]


def check_drawn(narrowing: Narrowing, largest: int, seed: int, stage: LaneStage) -> None:
    """Random values up to ``largest`` and both ends, in the bits that the stage needs and in 64."""
    values = Words(seed).integers(-largest, largest, (LANES * BLOCKS - 5,)).tolist()
    for bits in {stage.bits, 64}:
        check(narrowing, [*values, -largest, largest, 0, -1, 1], bits, stage)


@st.composite
def narrowings(draw: st.DrawFn) -> Narrowing:
    """A narrowing that the lanes may know."""
    mode = draw(st.sampled_from(OVERFLOWS))
    form = Format.integer(draw(st.integers(2, 20)), signed=draw(st.booleans()))
    if mode is not Overflow.WRAP and draw(st.booleans()):
        form = replace(form, zero_point=draw(st.integers(0, min(3, form.raw_max))))
    return Narrowing(
        form,
        draw(st.sampled_from(Rounding)),
        mode,
        draw(st.integers(-3, 40)),
        draw(st.sampled_from([1, 1, 3, 12345, (1 << 31) - 1])),
        draw(st.sampled_from(Form)),
    )


def test_drawn_narrowings() -> None:
    reached: Counter[int] = Counter()

    @settings(max_examples=200)
    @given(narrowings(), st.integers(1, 30), st.integers(0, 2**32))
    def each(narrowing: Narrowing, width: int, seed: int) -> None:
        largest = (1 << width) - 1
        try:
            stage = lane_stage(narrowing, Range(-largest, largest))
        except UnfitError:
            reached[0] += 1
            return
        reached[stage.bits] += 1
        check_drawn(narrowing, largest, seed, stage)

    each()
    assert reached[32] >= 20, reached
    assert reached[64] >= 20, reached


@st.composite
def resizing(draw: st.DrawFn) -> Narrowing:
    """A narrowing that ends with VHDL's resize."""
    form = Format.integer(draw(st.integers(2, 12) | st.integers(29, 32)))
    ends = st.sampled_from([form.raw_min, form.raw_max])  # where a zero point asks for a bit more
    return Narrowing(
        replace(form, zero_point=draw(st.integers(form.raw_min, form.raw_max) | ends)),
        draw(st.sampled_from(Rounding)),
        draw(st.sampled_from([Overflow.WRAP, Overflow.SATURATE])),
        draw(st.integers(-3, 20)),
        draw(st.sampled_from([1, 3, 12345, (1 << 16) - 1])),
        primitive=draw(st.sampled_from(RESIZES)),
        guard_bits=draw(st.integers(0, 3)),
    )


def test_drawn_resizes() -> None:
    reached: Counter[str] = Counter()

    @settings(max_examples=200)
    @given(resizing(), st.integers(1, 33), st.integers(0, 2**32))
    def each(narrowing: Narrowing, width: int, seed: int) -> None:
        largest = (1 << width) - 1
        stage = lane_stage(narrowing, Range(-largest, largest))
        reached["acts" if stage.flags & (layout.RESIZES | layout.RESIZES_MAGNITUDE) else "changes nothing"] += 1
        check_drawn(narrowing, largest, seed, stage)

    each()
    assert min(reached[case] for case in ("acts", "changes nothing")) >= 20, reached


@pytest.mark.parametrize("primitive", RESIZES)
@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SATURATE])
def test_every_resize_of_few_bits(primitive: Primitive, overflow: Overflow) -> None:
    """All values of ten bits, to four bits of several zero points, with guard bits and without."""
    for zero_point, guard_bits, shift in product((-8, -3, 0, 7), (0, 1, 2), (0, 2)):
        form = replace(Format.integer(4), zero_point=zero_point)
        narrowing = Narrowing(form, Rounding.HALF_UP, overflow, shift, primitive=primitive, guard_bits=guard_bits)
        stage = lane_stage(narrowing, Range(-512, 511))
        for bits in (32, 64):
            check(narrowing, list(range(-512, 512)), bits, stage)


@pytest.mark.parametrize("primitive", REPAIRS)
def test_repaired_signs(primitive: Primitive) -> None:
    for bits, shift in product((2, 5, 8), range(4)):
        narrowing = Narrowing(Format.integer(bits), overflow=Overflow.WRAP, shift=shift, primitive=primitive)
        stage = lane_stage(narrowing, Range(-2048, 2047))
        for width in (32, 64):
            check(narrowing, list(range(-2048, 2048)), width, stage)


@pytest.mark.parametrize(("rounding", "overflow"), list(product(Rounding, OVERFLOWS)))
def test_every_value_of_few_bits(rounding: Rounding, overflow: Overflow) -> None:
    """All values of nine bits, with ties and every overflow, signed and unsigned."""
    for signed, shift in product((True, False), range(4)):
        narrowing = Narrowing(Format.integer(5, signed=signed), rounding, overflow, shift)
        stage = lane_stage(narrowing, Range(-256, 255))
        for bits in (32, 64):
            check(narrowing, list(range(-256, 256)), bits, stage)


def test_what_lanes_do_not_know() -> None:
    for primitive in (Primitive.FLOAT32, Primitive.FLOAT64):
        with pytest.raises(UnfitError, match=str(primitive)):
            lane_stage(Narrowing(Format.integer(8), primitive=primitive, overflow=Overflow.WRAP), Range(-9, 9))
    with pytest.raises(UnfitError, match="beyond 64 bits"):
        lane_stage(Narrowing(Format.integer(8), multiplier=(1 << 32) - 1), Range(-(1 << 40), 1 << 40))
    with pytest.raises(FormatError):
        Narrowing(Format.integer(8), shift=63)
