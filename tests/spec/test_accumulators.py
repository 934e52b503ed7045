"""Accumulators against the oracle: each check, each overflow, the order of additions, narrowed products."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Accumulator, Check, Narrowing
from fixedsim.spec.accumulators import accumulate, limit, products
from tests.spec import oracle
from tests.spec.strategies import accumulators


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


@given(
    st.lists(st.integers(-(1 << 66), 1 << 66) | st.integers(-200, 200), max_size=12),
    st.integers(-(1 << 66), 1 << 66) | st.integers(-200, 200),
    accumulators(),
)
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
