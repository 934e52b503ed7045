"""The proven bounds of partial sums against brute force over every input of tiny matrices."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixedsim.casts import Overflow
from fixedsim.errors import ModelError
from fixedsim.execution import ProductKernel, Products, Range, safe_bits
from fixedsim.formats import Format
from fixedsim.panels import VARIABLE
from fixedsim.profiles.datapath import Accumulator, Check, Grouping, Narrowing, Order, PartialSums
from fixedsim.spec.accumulators import accumulate, products
from tests.layers.comparison import COMPARED
from tests.spec import accumulator_oracle
from tests.spec.partial_strategies import levels

pytestmark = pytest.mark.kernels
GROUP = "layers"
EXACT = ProductKernel.DOT8  # whatever the processor
INPUTS = [(-2, 1), (1, 3), (-3, -1)]  # (lowest, highest); sums of such without 0 turn back on their way
WIDE = [
    PartialSums(grouping, count, 32, order)
    for grouping, counts in ((Grouping.LANES, (1, 2, 3, 5)), (Grouping.TILES, (0, 1, 2, 3)))
    for count, order in product(counts, Order)
]
Ends = tuple[int, int]
WEIGHTS = st.lists(st.integers(-8, 7), max_size=4)


def tiny(
    weights: list[list[int]], accumulator: Accumulator, inputs: Ends, start: int = 0, last: int | None = None
) -> Products:
    """The products of one tiny matrix, every row with the same start and last addend."""
    rows = len(weights)
    beginning = np.full(rows, start, dtype=object)
    return Products(
        np.array(weights, dtype=np.int64).reshape(rows, -1),
        np.full(rows, 0 if accumulator.product is None else accumulator.product.shift),
        accumulator,
        inputs=Range(*inputs),
        start=Range(beginning, beginning),
        last=None if last is None else np.full(rows, last),
    )


def every_vector(inputs: Ends, width: int) -> list[tuple[int, ...]]:
    return list(product(range(inputs[0], inputs[1] + 1), repeat=width))


def seen(weights: list[int], accumulator: Accumulator, inputs: Ends, start: int = 0) -> list[set[int]]:
    """Every integer that meets the overflow of each level, and last of the accumulator, over every input; and 0."""
    found: list[set[int]] = [{0} for _ in accumulator.partial] + [{start}]
    for vector in every_vector(inputs, len(weights)):
        addends = products(weights, vector, accumulator)
        for place, level in enumerate(accumulator.partial):
            addends = accumulator_oracle.partial_sums(addends, level, Recording(found[place], level))
        keep = Recording(found[-1], accumulator)
        accumulator_oracle.in_turn([start, *addends], keep)
    COMPARED[GROUP] += sum(len(each) for each in found)
    return found


class Recording:
    """The overflow of a register, which keeps what it meets in ``met``."""

    def __init__(self, met: set[int], register: PartialSums | Accumulator) -> None:
        self.met, self.keep = met, accumulator_oracle.held(register)

    def __call__(self, total: int) -> int:
        self.met.add(total)
        return self.keep(total)


def acts(met: set[int], register: PartialSums | Accumulator) -> bool:
    """Whether the overflow changes any of the integers."""
    keep = accumulator_oracle.held(register)
    return any(keep(total) != total for total in met)


@pytest.mark.parametrize("level", WIDE, ids=lambda level: f"{level.grouping} {level.count} {level.order}")
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("length", [0, 1, 3, 4])
def test_bounds_of_partial_sums_are_attained(level: PartialSums, length: int, inputs: Ends) -> None:
    """Every row of up to four weights; what no input reaches would make registers too wide."""
    weights = [list(row) for row in product((-2, 3) if length > 3 else (-2, 0, 1, 3), repeat=length)]
    accumulator = Accumulator(32, partial=(level,))
    bounds = tiny(weights, accumulator, inputs, 5).bounds
    for row, each in enumerate(weights):
        partial, held = seen(each, accumulator, inputs, 5)
        assert (bounds.levels[0].low[row], bounds.levels[0].high[row]) == (min(partial), max(partial)), each
        assert (bounds.prefixes.low[row], bounds.prefixes.high[row]) == (min(held), max(held)), each


@settings(max_examples=60)
@given(WEIGHTS, st.sampled_from(INPUTS), st.lists(levels(widest=32), min_size=2, max_size=3), st.integers(-9, 9))
def test_bounds_of_levels_upon_levels_are_attained(
    weights: list[int], inputs: Ends, some: list[PartialSums], start: int
) -> None:
    accumulator = Accumulator(32, partial=tuple(replace(level, bits=32) for level in some))
    bounds = tiny([weights], accumulator, inputs, start).bounds
    *partial, held = seen(weights, accumulator, inputs, start)
    for found, met in zip(bounds.levels, partial, strict=True):
        assert (found.low[0], found.high[0]) == (min(met), max(met))
    assert (bounds.prefixes.low[0], bounds.prefixes.high[0]) == (min(held), max(held))


@settings(max_examples=80)
@given(
    WEIGHTS,
    st.sampled_from(INPUTS),
    st.lists(levels(widest=6), max_size=3),
    st.integers(2, 7),
    st.sampled_from(Overflow),
    st.integers(-9, 9),
)
def test_what_is_proven_never_overflows(
    weights: list[int], inputs: Ends, some: list[PartialSums], bits: int, overflow: Overflow, start: int
) -> None:
    accumulator = Accumulator(bits, overflow, partial=tuple(some))
    found = tiny([weights], accumulator, inputs, start)
    *partial, held = seen(weights, accumulator, inputs, start)
    for proven, met, level in zip(found.proven_levels, partial, some, strict=True):
        assert not (proven and acts(met, level))
    if all(found.proven_levels):  # then ranges are exact: what is not proven happens
        assert found.proven is not acts(held, accumulator)
    else:
        assert not found.proven
    if found.prefixes.within(accumulator.format, overflow):  # whatever comes out of registers that overflow
        assert not acts(held, accumulator)


def test_every_sum_of_a_tree_is_bounded() -> None:
    """Seven products: -18, 0, 10 and 5, which moves up; -18 and 15; -3."""
    level = PartialSums(Grouping.TILES, 0, 8, Order.TREE)
    found = tiny([[-9, -9, 0, 0, 5, 5, 5]], Accumulator(8, partial=(level,)), (1, 1)).bounds.levels[0]
    assert (found.low[0], found.high[0]) == (-18, 15)


@pytest.mark.parametrize(
    ("overflow", "lowest"), [(Overflow.WRAP, -8), (Overflow.SATURATE, -8), (Overflow.SATURATE_SYMMETRIC, -7)]
)
@pytest.mark.parametrize("weight", [-9, 9])
def test_a_register_that_may_overflow_leaves_whatever_it_can_hold(overflow: Overflow, lowest: int, weight: int) -> None:
    found = tiny([[weight]], Accumulator(8, partial=(PartialSums(Grouping.LANES, 1, 4, overflow=overflow),)), (1, 1))
    assert (found.total.low[0], found.total.high[0]) == (lowest, 7)


@settings(max_examples=60)
@given(WEIGHTS, st.sampled_from(INPUTS), levels(), st.sampled_from(Overflow))
def test_the_widths_of_partial_sums_are_the_least(
    weights: list[int], inputs: Ends, level: PartialSums, overflow: Overflow
) -> None:
    """At the width no sum overflows for any input, one bit below one does; and so with the accumulator behind it."""
    wide = Accumulator(32, overflow, partial=(replace(level, bits=32),))
    found = tiny([weights], wide, inputs)
    (bits,), total = found.partial_bits, int(safe_bits(found)[0])
    assume(bits > 1 and total > 1)
    for width, safe in ((bits, True), (bits - 1, False)):
        narrow = replace(level, bits=width)
        accumulator = replace(wide, partial=(narrow,))
        assert tiny([weights], accumulator, inputs).proven_levels == (safe,)
        assert acts(seen(weights, accumulator, inputs)[0], narrow) is not safe
    for width, safe in ((total, True), (total - 1, False)):
        accumulator = replace(wide, bits=width)
        assert tiny([weights], accumulator, inputs).proven is safe
        assert acts(seen(weights, accumulator, inputs)[-1], accumulator) is not safe


@settings(max_examples=80)
@given(
    st.lists(st.lists(st.integers(-8, 7), min_size=3, max_size=3), min_size=1, max_size=3),
    st.sampled_from(INPUTS),
    st.lists(levels(widest=8), min_size=1, max_size=3),
    st.sampled_from((3, 5, 8, 32)),
    st.sampled_from(Overflow),
    st.sampled_from(Check),
    st.sampled_from((None, Narrowing(Format.integer(4), shift=1), Narrowing(Format.integer(40), shift=-2))),
    st.none() | st.integers(-9, 9),
)
def test_every_kernel_gives_what_is_specified(
    weights: list[list[int]],
    inputs: Ends,
    some: list[PartialSums],
    bits: int,
    overflow: Overflow,
    check: Check,
    narrowed: Narrowing | None,
    last: int | None,
) -> None:
    accumulator = Accumulator(bits, overflow, check, narrowed, tuple(some))
    found, vectors = tiny(weights, accumulator, inputs, 4, last), every_vector(inputs, 3)
    sums = found.run(np.array(vectors), np.full(len(weights), 4), np.zeros(2, dtype=np.int64))
    late = [] if last is None else [last]
    assert sums.tolist() == [
        [accumulate(products(row, vector, accumulator), accumulator, 4, late) for row in weights] for vector in vectors
    ]
    COMPARED[GROUP] += sums.size


def wrapping(bits: int, overflow: Overflow = Overflow.WRAP) -> PartialSums:
    return PartialSums(Grouping.LANES, 2, bits, overflow=overflow)


@pytest.mark.parametrize(
    ("accumulator", "kernel"),
    [
        (Accumulator(16, partial=(wrapping(8),)), EXACT),  # 2 * 3 * 7 fits 8 bits
        (Accumulator(16, partial=(wrapping(5),)), ProductKernel.STEPS),
        (Accumulator(5, Overflow.WRAP, partial=(wrapping(5),)), EXACT),
        (Accumulator(6, Overflow.WRAP, partial=(wrapping(5),)), ProductKernel.STEPS),
        (Accumulator(5, Overflow.WRAP, partial=(wrapping(5, Overflow.SATURATE),)), ProductKernel.STEPS),
        (Accumulator(5, Overflow.SATURATE, partial=(wrapping(5),)), ProductKernel.STEPS),
        (Accumulator(5, check=Check.END, partial=(wrapping(5),)), ProductKernel.STEPS),
        (Accumulator(4, Overflow.WRAP, partial=(wrapping(5), wrapping(4))), EXACT),
        (Accumulator(5, Overflow.WRAP_SIGN_MAGNITUDE, partial=(wrapping(8),)), ProductKernel.STEPS),
        (Accumulator(5, check=Check.END, partial=(wrapping(8),)), EXACT),
        (Accumulator(5, partial=(wrapping(64),)), ProductKernel.STEPS),  # proven, so that no bit beyond 62 is needed
    ],
)
def test_the_kernel_that_partial_sums_allow(
    accumulator: Accumulator, kernel: ProductKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, EXACT)
    assert tiny([[7, -7, 7, 7, -7, 7]], accumulator, (-2, 1)).kernel is kernel


def test_a_wide_register_that_may_overflow_is_refused() -> None:
    accumulator = Accumulator(62, partial=(wrapping(63, Overflow.SATURATE),))
    start = Range(*(np.zeros(1, dtype=object) for _ in range(2)))
    found = Products(
        np.full((1, 9), 1 << 40),
        np.zeros(1, dtype=np.int64),
        accumulator,
        inputs=Range(0, 1 << 21),
        start=start,
    )
    with pytest.raises(ModelError, match=r"^partial sums must be at most 62 bits wide, .*, not 63 bits .* 65 bits$"):
        found.kernel  # noqa: B018 - a property


def test_partial_sums_over_two_matrices_are_refused() -> None:
    first = tiny([[1]], Accumulator(), (-2, 1))
    with pytest.raises(ModelError, match="accumulator over two matrices must have no partial sums"):
        Products(
            first.weight,
            first.product_shift,
            Accumulator(partial=(wrapping(8),)),
            inputs=first.inputs,
            start=first.start,
            continues=first,
        )
