"""Accumulators against the oracle: each check, overflow and order of additions, partial sums, narrowed products."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Accumulator, Check, Grouping, Narrowing, Order, PartialSums
from fixedsim.spec.accumulators import accumulate, limit, partial_sums, products
from tests.spec import accumulator_oracle, oracle
from tests.spec.partial_strategies import levels, partial
from tests.spec.strategies import accumulators

LARGE = st.integers(-(1 << 66), 1 << 66) | st.integers(-200, 200)
TILES, LANES = Grouping.TILES, Grouping.LANES


@pytest.mark.parametrize("check", Check)
@pytest.mark.parametrize("mode", Overflow)
@pytest.mark.parametrize("bits", [1, 2, 3])
def test_every_short_sum_of_small_addends(bits: int, mode: Overflow, check: Check) -> None:
    accumulator = Accumulator(bits, mode, check)
    for start, *addends in itertools.product(range(-4, 5), repeat=4):
        assert accumulate(addends, accumulator, start) == oracle.accumulate(addends, accumulator, start), (
            start,
            addends,
        )


@given(st.lists(LARGE, max_size=12), LARGE, accumulators())
def test_any_sum(addends: list[int], start: int, accumulator: Accumulator) -> None:
    assert accumulate(addends, accumulator, start) == oracle.accumulate(addends, accumulator, start)


def test_an_overflow_at_each_step_depends_on_the_order() -> None:
    each = Accumulator(8, Overflow.SATURATE, Check.STEP)
    assert accumulate([100, 100, -100], each) == 27
    assert accumulate([100, -100, 100], each) == 100
    assert accumulate([100, 100, -100], Accumulator(8, Overflow.SATURATE, Check.END)) == 100


def test_the_start_is_cut_off_before_the_first_addition() -> None:
    assert accumulate([-1], Accumulator(8, Overflow.SATURATE, Check.STEP), 1000) == 126
    assert accumulate([-900], Accumulator(8, Overflow.SATURATE, Check.END), 1000) == 100


def test_a_saturation_to_zero_starts_the_sum_anew() -> None:
    assert accumulate([100, 100, 5], Accumulator(8, Overflow.SATURATE_ZERO, Check.STEP)) == 5


@given(st.lists(st.integers(-1000, 1000), max_size=8), st.integers(2, 64))
def test_wrapping_is_the_same_at_each_step_and_at_the_end(addends: list[int], bits: int) -> None:
    each, last = (Accumulator(bits, Overflow.WRAP, check) for check in (Check.STEP, Check.END))
    assert accumulate(addends, each) == accumulate(addends, last)


@pytest.mark.parametrize("mode", Overflow)
def test_the_limit_of_an_accumulator(mode: Overflow) -> None:
    for total in range(-40, 40):
        assert limit(total, Accumulator(4, mode)) == oracle.contained(total, Format(4, -8, 7), mode)


@given(
    st.lists(st.tuples(st.integers(-300, 300), st.integers(-300, 300)), max_size=8),
    accumulators(),
    st.none() | st.integers(-8, 20),
)
def test_products(pairs: list[tuple[int, int]], accumulator: Accumulator, shift: int | None) -> None:
    weights, inputs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    stage = accumulator.product
    exact = [weight * value for weight, value in pairs]
    wanted = exact if stage is None else [oracle.narrow(each, stage, shift=shift) for each in exact]
    assert products(weights, inputs, accumulator, shift) == wanted


def test_each_product_is_rounded_and_not_their_sum() -> None:
    stage = Narrowing(Format.integer(8), Rounding.FLOOR, shift=1)
    assert products([1, 1], [3, 3], Accumulator(16, product=stage)) == [1, 1]


def test_a_shift_to_the_left_keeps_products_exact() -> None:
    stage = Narrowing(Format.integer(24), shift=-4)
    assert products([-3, 7], [5, 11], Accumulator(32, product=stage)) == [-240, 1232]


def test_operands_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        products([1, 2], [3], Accumulator())


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("mode", Overflow)
@pytest.mark.parametrize(
    "bits", [pytest.param(1, marks=pytest.mark.slow), 2, 3, pytest.param(4, marks=pytest.mark.slow)]
)
def test_every_short_partial_sum(bits: int, mode: Overflow, order: Order) -> None:
    """Up to four addends of -2 .. 2, and five of its ends and 1, in lanes and in tiles of every count."""
    groupings = [*((LANES, count) for count in range(1, 7)), *((TILES, count) for count in range(6))]
    registers = [PartialSums(grouping, count, bits, order, mode) for grouping, count in groupings]
    for length in range(6):
        for addends in itertools.product(range(-2, 3) if length < 5 else (-2, 1, 2), repeat=length):
            for level in registers:
                assert partial_sums(addends, level) == accumulator_oracle.partial_sums(addends, level), (addends, level)


@given(st.lists(LARGE, max_size=40), levels())
def test_any_partial_sums(addends: list[int], level: PartialSums) -> None:
    assert partial_sums(addends, level) == accumulator_oracle.partial_sums(addends, level)


@given(st.lists(LARGE, max_size=20), LARGE, st.lists(LARGE, max_size=1), partial(accumulators()))
def test_any_sum_of_partial_sums(addends: list[int], start: int, last: list[int], accumulator: Accumulator) -> None:
    wanted = accumulator_oracle.accumulate(addends, accumulator, start, last)
    assert accumulate(addends, accumulator, start, last) == wanted


@pytest.mark.parametrize(
    ("level", "sums"),
    [
        (PartialSums(LANES, 2, 16), [1 + 3 + 5 + 7, 2 + 4 + 6]),
        (PartialSums(LANES, 9, 16), [1, 2, 3, 4, 5, 6, 7]),  # two lanes without addends give nothing
        (PartialSums(TILES, 3, 16), [1 + 2 + 3, 4 + 5 + 6, 7]),
        (PartialSums(TILES, 0, 16), [28]),
        (PartialSums(TILES, 3, 4), [6, 15 - 16, 7]),
        (PartialSums(TILES, 3, 4, overflow=Overflow.SATURATE), [6, 7, 7]),
        (PartialSums(TILES, 3, 4, overflow=Overflow.SATURATE_ZERO), [6, 6, 7]),  # 4, 9 -> 0, 6
        (PartialSums(TILES, 3, 4, Order.TREE, Overflow.SATURATE_ZERO), [6, 6, 7]),  # 4 + 5 -> 0, and 6
        (PartialSums(TILES, 3, 3, Order.TREE, Overflow.SATURATE), [3, 3, 3]),  # what is alone overflows too
        (PartialSums(TILES, 5, 4, Order.TREE, Overflow.SATURATE), [7, 7]),  # 3 and 7, 7 (of 10), and 5; 6 + 7
        # 3, 7 and 5; 0 1010 -> 0101 and 5; 0 1010 -> 0101; beside it 0 1101 -> 0010
        (PartialSums(TILES, 5, 4, Order.TREE, Overflow.WRAP_SIGN_MAGNITUDE), [5, 2]),
    ],
)
def test_groups_by_hand(level: PartialSums, sums: list[int]) -> None:
    assert partial_sums([1, 2, 3, 4, 5, 6, 7], level) == sums


def test_a_level_without_addends_leaves_nothing() -> None:
    accumulator = Accumulator(8, partial=(PartialSums(LANES, 4, 8), PartialSums(TILES, 0, 8, Order.TREE)))
    assert accumulate([], accumulator, 5, [-7]) == -2


def test_the_order_decides_where_a_register_saturates() -> None:
    """100 + 100 - 100 - 100: in turn 127, 27, -73; in pairs 127 and -128."""
    for order, total in ((Order.SEQUENCE, -73), (Order.TREE, -1)):
        level = PartialSums(TILES, 4, 8, order, Overflow.SATURATE)
        assert partial_sums([100, 100, -100, -100], level) == [total]


def test_an_addend_that_moves_up_a_tree_meets_no_overflow() -> None:
    """14 is added to -8 as it is, though 4 bits do not hold it."""
    level = PartialSums(TILES, 3, 4, Order.TREE, Overflow.SATURATE)
    assert partial_sums([-40, -60, 14], level) == [6]  # -8 + 14
    assert partial_sums([14, -40, -60], level) == [-8]  # 14 - 40 is -8, and then -68


def test_levels_follow_each_other() -> None:
    """Lanes of a narrow width that wraps, a tree over them, and the start and the last addend beside both."""
    accumulator = Accumulator(
        6,
        Overflow.SATURATE,
        partial=(PartialSums(LANES, 2, 4), PartialSums(TILES, 0, 5, Order.TREE, Overflow.SATURATE)),
    )
    # lanes 5 + 6 = 11 -> -5 and 7 + 1 = 8 -> -8; together -13; 20 - 13 + 30 = 37 -> 31
    assert accumulate([5, 7, 6, 1], accumulator, 20, [30]) == 31


@given(st.lists(LARGE, max_size=20), partial(accumulators()), st.integers(1, 64))
def test_wide_registers_change_nothing_of_a_wrapping_accumulator(
    addends: list[int], accumulator: Accumulator, bits: int
) -> None:
    """Where every register wraps and none is narrower than the accumulator."""
    wide = tuple(
        PartialSums(level.grouping, level.count, max(level.bits, bits), level.order) for level in accumulator.partial
    )
    wrapping = Accumulator(bits, Overflow.WRAP, accumulator.check, partial=wide)
    assert accumulate(addends, wrapping) == limit(sum(addends), wrapping)
