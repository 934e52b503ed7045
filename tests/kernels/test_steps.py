"""Accumulators that step 32 rows at a time, against the scalar specification and the scalar kernel."""

import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim.bounds import Range
from fixedsim.casts import Overflow, Rounding
from fixedsim.execution import ProductKernel, Products
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Accumulator, Check, Form, Narrowing, Primitive
from fixedsim.spec.accumulators import accumulate, products
from fixedsim.stepping import StepLanes, Stepping
from tests.kernels.engines import Engine, acted, possible, unlimited

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]
Matrix = npt.NDArray[np.int64]
Counts = list[int]
PLAIN = [mode for mode in Overflow if mode is not Overflow.WRAP_SIGN_MAGNITUDE]
RAWS = [*(Format.integer(bits) for bits in (1, 2, 3, 8, 16, 20, 33)), Format.integer(9, narrow=True), Format(6, -7, 20)]
UNSIGNED = [Format.integer(5, signed=False), Format(8, 0, 99)]


def by_kernel(
    engine: Engine, lanes: StepLanes, vectors: Matrix, start: Matrix, last: Matrix, *, counted: bool = True
) -> tuple[Matrix, Counts]:
    """The sums (N, R) and the counts of the accumulator and of the products (0 where they aren't counted)."""
    first = np.zeros((len(start), lanes.padded), np.int64)
    first[:, : lanes.rows] = start
    added = np.zeros(lanes.padded, lanes.word)
    added[: lanes.rows] = last
    out, counts = np.empty((len(vectors), lanes.padded), np.int64), np.zeros(2, np.int64)
    product_counts = np.zeros(2 if counted else 0, np.int64)
    stages = lanes.narrowed, lanes.product, lanes.shifts, lanes.register
    operands = lanes.panels, np.ascontiguousarray(vectors, lanes.operands), first, added
    engine.steps.accumulate_lanes(*operands, *stages, out, counts, product_counts)
    return out[:, : lanes.rows], [*counts.tolist(), *product_counts.tolist()]


def by_specification(stepping: Stepping, vectors: Matrix, start: Matrix) -> tuple[Matrix, Counts]:
    """The same from the scalar specification."""
    register, narrowed = stepping.register, stepping.product
    accumulator = Accumulator(register.format.bits, register.overflow, Check.STEP, narrowed)
    sums, overs, product_overs = np.empty((len(vectors), len(stepping.weight)), np.int64), list[int](), list[int]()
    for (position, vector), (row, weights) in product(enumerate(vectors.tolist()), enumerate(stepping.weight.tolist())):
        shift = int(stepping.shifts[row])
        addends = [*products(weights, vector, accumulator, shift), int(stepping.last[row])]
        held = accumulate([], accumulator, int(start[position % len(start), row]))
        overs.append(acted(int(start[position % len(start), row]), register))
        for addend in addends:
            overs.append(acted(held + addend, register))
            held = accumulate([addend], accumulator, held)
        sums[position, row] = held
        if narrowed is not None:
            exact = [weight * value for weight, value in zip(weights, vector, strict=True)]
            product_overs += [acted(unlimited(value, narrowed, 1, shift), narrowed) for value in exact]
    return sums, [overs.count(-1), overs.count(1), product_overs.count(-1), product_overs.count(1)]


def corners(random: np.random.Generator, bits: int, shape: tuple[int, ...]) -> Matrix:
    """Integers of a width, half of them at its ends or near zero."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    ends = np.array([low, min(low + 1, high), -1, 0, high])
    some = random.integers(low, high, shape, np.int64, endpoint=True)
    return np.asarray(np.where(random.random(shape) < 0.5, random.choice(ends, shape), some))


def ranged(values: Matrix) -> Range:
    return Range(int(np.min(values, initial=0)), int(np.max(values, initial=0)))


@st.composite
def product_narrowings(draw: st.DrawFn) -> Narrowing:
    """Narrowings of products that lanes can carry out."""
    form = draw(st.sampled_from([*RAWS, *UNSIGNED]))
    modes = [mode for mode in PLAIN if possible(form, mode) and (form.signed or mode is not Overflow.WRAP)]
    return Narrowing(form, draw(st.sampled_from(Rounding)), draw(st.sampled_from(modes)))


@settings(max_examples=150)
@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(0, 12), st.integers(1, 3)),
    widths=st.tuples(*[st.sampled_from((2, 8, 16, 17, 24, 31))] * 2),
    narrowed=st.none() | product_narrowings(),
    shifts=st.tuples(st.integers(-4, 16), st.integers(0, 9)),
    bits=st.integers(1, 34) | st.integers(1, 62),
    overflow=st.sampled_from(PLAIN),
    own_starts=st.booleans(),
    seed=st.integers(0, 1 << 32),
)
def test_lanes_equal_the_specification(
    engine: Engine,
    sizes: tuple[int, int, int],
    widths: tuple[int, int],
    narrowed: Narrowing | None,
    shifts: tuple[int, int],
    bits: int,
    overflow: Overflow,
    own_starts: bool,
    seed: int,
) -> None:
    rows, columns, vectors = sizes
    random = np.random.default_rng(seed)
    weight, inputs = corners(random, widths[0], (rows, columns)), corners(random, widths[1], (vectors, columns))
    start = corners(random, min(bits + 1, 62), (vectors if own_starts else 1, rows))
    stepping = Stepping(
        weight,
        narrowed,
        random.integers(shifts[0], shifts[0] + shifts[1], rows, endpoint=True),
        Narrowing(Format.integer(bits), overflow=overflow),
        ranged(inputs),
        ranged(start),
        corners(random, min(bits, 61), (rows,)),
    )
    lanes = stepping.lanes()
    assume(lanes is not None)
    assert lanes is not None
    expected, counts = by_specification(stepping, inputs, start)
    for counted in (True, False):
        sums, found = by_kernel(engine, lanes, inputs, start, stepping.last, counted=counted)
        assert sums.tolist() == expected.tolist()
        assert found == counts[: 4 if counted else 2]


@pytest.mark.parametrize("overflow", PLAIN)
def test_every_short_sum(engine: Engine, overflow: Overflow) -> None:
    """Every order of three weights of 2 bits, in accumulators of 1 .. 5 bits, from starts of 4 bits."""
    weight = np.array(list(product((-2, -1, 0, 1), repeat=3)))
    inputs = np.array([[3, -2, 1], [-1, -3, -3]])
    widths = range(1, 6) if engine.name == "compiled" else (1, 4)
    for bits, start in product(widths, (-8, -1, 0, 7)):
        ones = np.ones(len(weight), np.int64)
        register = Narrowing(Format.integer(bits), overflow=overflow)
        begin = np.full((1, len(weight)), start)
        stepping = Stepping(weight, None, 0 * ones, register, ranged(inputs), ranged(begin), ones)
        check(engine, stepping, inputs, begin)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", PLAIN)
def test_every_short_product(engine: Engine, overflow: Overflow, rounding: Rounding) -> None:
    """Every product of weights of 6 bits and inputs around 0, in products of 1 .. 4 bits at every small shift."""
    weight, inputs = np.arange(-32, 32)[:, None], np.array([[1], [-1], [3]])
    zeros = np.zeros(len(weight), np.int64)
    every = product((1, 2, 4), range(-1, 4)) if engine.name == "compiled" else ((3, 2), (2, -1))
    for bits, shift in every:
        narrowed = Narrowing(Format.integer(bits), rounding, overflow)
        register = Narrowing(Format.integer(4), overflow=Overflow.WRAP)
        stepping = Stepping(weight, narrowed, zeros + shift, register, ranged(inputs), Range(0, 0), zeros)
        check(engine, stepping, inputs, np.zeros((1, len(weight)), np.int64))


def check(engine: Engine, stepping: Stepping, inputs: Matrix, start: Matrix) -> None:
    """Compare sums and all counts with the scalar kernel's."""
    lanes = stepping.lanes()
    assert lanes is not None
    rows, vectors = len(stepping.weight), len(inputs)
    out, counts, product_counts = np.empty((vectors, rows), np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64)
    stage = arrays.pack_narrowing(stepping.product or stepping.register)
    engine.products.accumulate_steps(
        stepping.weight.astype(np.int64),
        inputs,
        np.ascontiguousarray(np.broadcast_to(start, out.shape)),
        stepping.last,
        stepping.product is not None,
        stage,
        stepping.shifts,
        arrays.pack_narrowing(stepping.register),
        out,
        counts,
        product_counts,
    )
    for counted in (True, False):
        sums, found = by_kernel(engine, lanes, inputs, start, stepping.last, counted=counted)
        assert sums.tolist() == out.tolist()
        assert found == [*counts, *product_counts][: 4 if counted else 2]


def extremes(weight_bits: int, bits: int, columns: int, last: int = 0) -> Stepping:
    """Rows of the lowest and the highest weights, whose inputs are of 16 bits."""
    ends = -(1 << (weight_bits - 1)), (1 << (weight_bits - 1)) - 1
    weight = np.repeat(np.array(ends), columns).reshape(2, columns)
    register = Narrowing(Format.integer(bits), overflow=Overflow.SATURATE)
    added = np.array([-last, last])
    return Stepping(weight, None, 0 * added, register, Range(-(1 << 15), (1 << 15) - 1), Range(0, 0), added)


@pytest.mark.parametrize(
    ("stepping", "word", "operands"),
    [
        (extremes(16, 30, 3), np.int32, np.int32),
        (extremes(16, 31, 3), np.int64, np.int32),  # the lowest sum of 31 bits and the product of two lowest raws
        (extremes(15, 31, 9, last=(1 << 30) - 1), np.int32, np.int32),
        (extremes(15, 31, 9, last=1 << 30), np.int64, np.int32),
        (extremes(17, 8, 3), np.int64, np.int32),
        (extremes(33, 40, 3), np.int64, np.int64),
        (extremes(47, 61, 3), np.int64, np.int64),
    ],
)
def test_ends_of_lanes(engine: Engine, stepping: Stepping, word: type, operands: type) -> None:
    """The narrowest lanes that hold the extremes are taken, and hold them."""
    lanes = stepping.lanes()
    assert lanes is not None
    assert (lanes.word, lanes.operands) == (word, operands)
    columns = stepping.weight.shape[1]
    inputs = np.repeat([[stepping.inputs.low], [stepping.inputs.high]], columns, axis=1)
    inputs[:, columns // 2] = stepping.inputs.low
    check(engine, stepping, inputs, np.zeros((1, 2), np.int64))


def test_wider_than_lanes() -> None:
    assert extremes(49, 62, 1).lanes() is None  # products of 64 bits
    shifted = replace(extremes(8, 8, 1), product=Narrowing(Format.integer(62)), shifts=np.array([0, -62]))
    assert shifted.lanes() is None


INT8 = Format.integer(8)


@pytest.mark.parametrize(
    "narrowed",
    [
        Narrowing(INT8, multiplier=3),
        Narrowing(INT8, form=Form.DOUBLING),
        Narrowing(replace(INT8, zero_point=1)),
        Narrowing(Format.odd(4)),
        Narrowing(INT8, overflow=Overflow.WRAP_SIGN_MAGNITUDE),
        Narrowing(INT8, overflow=Overflow.WRAP, saturated_bits=1),
        Narrowing(INT8, primitive=Primitive.REPAIR_SIGN),
        Narrowing(Format.integer(8, signed=False), overflow=Overflow.WRAP),
        Narrowing(Format(8, 1, 9)),
    ],
)
def test_scalar_kernel_takes_the_rest(narrowed: Narrowing) -> None:
    stepping = extremes(8, 16, 3)
    assert replace(stepping, product=Narrowing(INT8)).lanes() is not None
    assert replace(stepping, product=narrowed).lanes() is None


def test_sign_magnitude_accumulator_is_scalar() -> None:
    register = Narrowing(INT8, overflow=Overflow.WRAP_SIGN_MAGNITUDE)
    assert replace(extremes(8, 8, 3), register=register).lanes() is None


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize(
    "narrowed",
    [
        None,
        Narrowing(Format.integer(7), Rounding.HALF_EVEN, Overflow.WRAP),
        Narrowing(Format.integer(9), Rounding.HALF_UP, Overflow.WRAP),
    ],
)
def test_products_of_a_layer(narrowed: Narrowing | None, finish: bool) -> None:
    """Strided inputs and starts of any shape, through the kernel that the bounds choose."""
    random = np.random.default_rng(8)
    weight, last = corners(random, 8, (2 * 21, 13))[::2, ::-1], corners(random, 9, (21,))
    shifts = random.integers(-1, 4, 21)
    accumulator = Accumulator(12, Overflow.SATURATE, product=narrowed)
    whole = Range(-128, 127)
    made = Products(weight, shifts, accumulator, inputs=whole, start=Range(-9999, 9999), last=last)
    assert made.kernel is ProductKernel.STEPS
    inputs = corners(random, 8, (13, 6)).T[::2]
    register = Narrowing(accumulator.format, overflow=accumulator.overflow)
    for start in (np.array(77), corners(random, 14, (21,)), corners(random, 14, (3, 42))[:, ::2]):
        begin, counts = np.broadcast_to(start, (3, 21)), np.zeros(2, np.int64)
        added = last if finish else 0 * last
        expected = Stepping(weight, narrowed, shifts, register, whole, ranged(begin), added)
        sums, overs = by_specification(expected, inputs, begin)
        assert made.run(inputs, start, counts, finish=finish).tolist() == sums.tolist()
        assert counts.tolist() == overs[:2]


@pytest.mark.slow
@pytest.mark.parametrize("features", ["+avx2,+fma,+sse4.2,+popcnt", "+sse4.2"])
def test_without_avx512(features: str, tmp_path: Any) -> None:
    """The compiled kernels of this file, as an older CPU runs them."""
    cpu = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-m", "kernels and not slow", "-k", "compiled", __file__]
    finished = subprocess.run(command, env=os.environ | cpu, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " passed" in finished.stdout
