"""Dot products: exact ones against Python integers, accumulators and partial sums against the scalar specification."""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim.casts import Overflow
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Accumulator, Check, Grouping, Narrowing, Order, PartialSums
from fixedsim.spec.accumulators import accumulate, partial_sums, products
from tests.kernels.engines import Engine, acted
from tests.kernels.strategies import narrowings, near_powers
from tests.spec.partial_strategies import levels

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]
Matrix = list[list[int]]


def run_steps(
    engine: Engine, weight: Matrix, inputs: Matrix, accumulator: Accumulator, start: int, last: int
) -> tuple[npt.NDArray[Any], list[int]]:
    """The sums (N, R) and the counts of the accumulator and of the products."""
    rows, vectors = np.array(weight, np.int64), np.array(inputs, np.int64)
    shape = (len(inputs), len(weight))
    out, counts, product_counts = np.empty(shape, np.int64), np.zeros(2, np.int64), np.zeros(2, np.int64)
    narrowed = accumulator.product
    stage = arrays.pack_narrowing(Narrowing(Format.integer(32)) if narrowed is None else narrowed)
    shifts = np.full(len(weight), 0 if narrowed is None else narrowed.shift)
    operands = (
        rows.reshape(len(weight), -1),
        vectors.reshape(len(inputs), -1),
        np.full(shape, start),
        np.full(len(weight), last),
    )
    limiter = arrays.pack_narrowing(Narrowing(accumulator.format, overflow=accumulator.overflow))
    written = limiter, out, counts, product_counts
    if accumulator.partial:
        packed = arrays.pack_levels(accumulator.partial)
        engine.products.accumulate_partial(*operands, (narrowed is not None, stage, shifts), packed, *written)
    else:
        engine.products.accumulate_steps(*operands, narrowed is not None, stage, shifts, *written)
    return out, [*counts.tolist(), *product_counts.tolist()]


def counted(addends: list[int], accumulator: Accumulator, start: int) -> list[int]:
    """How often the overflow acts low and high, from the specification's prefixes."""
    loaded = Narrowing(accumulator.format, overflow=accumulator.overflow)
    exact = [start, *(accumulate(addends[:n], accumulator, start) + addends[n] for n in range(len(addends)))]
    overs = [acted(total, loaded) for total in exact]
    return [overs.count(-1), overs.count(1)]


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_every_short_sum(engine: Engine, overflow: Overflow, length: int) -> None:
    """Every order of every weight of 2 bits, in accumulators of 1 .. 5 bits, from every start of 4 bits."""
    weight = [list(row) for row in product((-2, -1, 0, 1), repeat=length)]
    inputs = [[3, -2, 1][:length], [-1, -3, -3][:length]]
    starts = range(-8, 8) if engine.name == "compiled" else (-8, -1, 0, 7)
    for bits in range(1, 6):
        accumulator = Accumulator(bits, overflow)
        for start in starts:
            out, counts = run_steps(engine, weight, inputs, accumulator, start, 1)
            expected_counts = np.zeros(2, np.int64)
            for (position, vector), (row, weights) in product(enumerate(inputs), enumerate(weight)):
                addends = [*products(weights, vector, accumulator), 1]
                assert out[position, row] == accumulate(addends, accumulator, start)
                expected_counts += counted(addends, accumulator, start)
            assert counts[:2] == expected_counts.tolist()


@settings(max_examples=200)
@given(
    data=st.data(),
    bits=st.integers(1, 62),
    overflow=st.sampled_from(Overflow),
    narrowed=st.none() | narrowings(st.just(Format.integer(16)) | st.just(Format(20, -99, 500, zero_point=4))),
    start=near_powers(-(1 << 60), 1 << 60),
)
def test_accumulators(
    engine: Engine, data: st.DataObject, bits: int, overflow: Overflow, narrowed: Narrowing | None, start: int
) -> None:
    operand = near_powers(-(1 << 30), 1 << 30) | st.integers(-9, 9)
    weights, vector = data.draw(
        st.lists(st.tuples(operand, operand), max_size=8).map(lambda pairs: list(zip(*pairs, strict=True)) or [(), ()])
    )
    accumulator = Accumulator(bits, overflow, Check.STEP, narrowed)
    out, counts = run_steps(engine, [list(weights)], [list(vector)], accumulator, start, -7)
    addends = [*products(weights, vector, accumulator), -7]
    assert out.tolist() == [[accumulate(addends, accumulator, start)]]
    assert counts[:2] == counted(addends, accumulator, start)


def test_product_counts(engine: Engine) -> None:
    accumulator = Accumulator(32, product=Narrowing(Format.integer(4), shift=1))
    _, counts = run_steps(engine, [[1, 1, 1, 1]], [[-17, -16, 15, 16]], accumulator, 0, 0)
    assert counts == [0, 0, 1, 1]  # -17 / 2 rounds to -9, below -8; 16 / 2 is 8, above 7


@pytest.mark.parametrize("shape", [(1, 1, 0), (3, 2, 1), (5, 3, 67)])
def test_exact_products(engine: Engine, shape: tuple[int, int, int]) -> None:
    rows, vectors, length = shape
    top = 0x7FFF
    weight = [[(7919 * (row + 3) * (column + 1)) % (2 * top) - top for column in range(length)] for row in range(rows)]
    inputs = [
        [(104729 * (row + 5) * (column + 2)) % (2 * top) - top for column in range(length)] for row in range(vectors)
    ]
    out = np.empty((vectors, rows), np.int64)
    operands = (
        np.array(given, np.int16).reshape(-1, length) if length else np.zeros((n, 0), np.int16)
        for given, n in ((weight, rows), (inputs, vectors))
    )
    engine.products.matmul_wide(*operands, out)
    assert out.tolist() == [
        [sum(w * x for w, x in zip(row, vector, strict=True)) for row in weight] for vector in inputs
    ]


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("overflow", Overflow)
def test_every_short_partial_sum(engine: Engine, overflow: Overflow, order: Order) -> None:
    """Every row of up to five weights in lanes and tiles of every count, in registers of 1 .. 4 bits."""
    groupings = [*((Grouping.LANES, count) for count in (1, 2, 3, 6)), *((Grouping.TILES, count) for count in range(5))]
    widths = (1, 2, 3, 4) if engine.name == "compiled" else (2, 3)
    for length in range(6):
        weight = [list(row) for row in product((-2, 1, 2), repeat=length)]
        vector = [1, -1, 2, 1, 1][:length]
        for (grouping, count), bits in product(groupings, widths):
            accumulator = Accumulator(8, partial=(PartialSums(grouping, count, bits, order, overflow),))
            out, _ = run_steps(engine, weight, [vector], accumulator, 1, -2)
            expected = [accumulate(products(row, vector, accumulator), accumulator, 1, [-2]) for row in weight]
            assert out.tolist() == [expected], (grouping, count, bits)


@settings(max_examples=150)
@given(
    data=st.data(),
    bits=st.integers(1, 62),
    overflow=st.sampled_from(Overflow),
    partial=st.lists(levels(widest=62), min_size=1, max_size=3),
    narrowed=st.none() | narrowings(st.just(Format.integer(16))),
)
def test_partial_sums(
    engine: Engine,
    data: st.DataObject,
    bits: int,
    overflow: Overflow,
    partial: list[PartialSums],
    narrowed: Narrowing | None,
) -> None:
    operand = near_powers(-(1 << 30), 1 << 30) | st.integers(-9, 9)
    weights, vector = data.draw(
        st.lists(st.tuples(operand, operand), max_size=20).map(lambda pairs: list(zip(*pairs, strict=True)) or [(), ()])
    )
    accumulator = Accumulator(bits, overflow, Check.STEP, narrowed, tuple(partial))
    out, counts = run_steps(engine, [list(weights)], [list(vector)], accumulator, 3, -7)
    addends = products(weights, vector, accumulator)
    assert out.tolist() == [[accumulate(addends, accumulator, 3, [-7])]]
    if all(level.order is Order.SEQUENCE for level in partial):
        assert counts[:2] == counted_in_turn(addends, accumulator, 3, -7)


def counted_in_turn(addends: list[int], accumulator: Accumulator, start: int, last: int) -> list[int]:
    """How often the overflow of any register acts low and high, each register adding in turn from 0."""
    overs = np.zeros(2, np.int64)
    for level in accumulator.partial:
        whole = range(len(addends))
        for group in range(len(partial_sums(addends, level))):
            lanes = level.grouping is Grouping.LANES
            inside = [n for n in whole if (n % level.count if lanes else n // (level.count or len(addends))) == group]
            register = Accumulator(level.bits, level.overflow)
            overs += counted([addends[n] for n in inside], register, 0)
        addends = partial_sums(addends, level)
    overs += counted([*addends, last], Accumulator(accumulator.bits, accumulator.overflow), start)
    return [int(over) for over in overs]


def test_sums_of_a_tree_are_counted_once(engine: Engine) -> None:
    level = PartialSums(Grouping.TILES, 5, 4, Order.TREE, Overflow.SATURATE)
    accumulator = Accumulator(8, partial=(level,))
    out, counts = run_steps(engine, [[1] * 6], [[5, 5, -9, -9, 9, 9]], accumulator, 0, 0)
    # 10 and -18 overflow, 9 moves up; 7 - 8 = -1; 8 overflows; 9 alone overflows
    assert out.tolist() == [[14]]
    assert counts == [1, 3, 0, 0]
