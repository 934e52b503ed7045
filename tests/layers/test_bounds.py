"""The proven bounds against brute force over every input of tiny layers."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixedsim.casts import Overflow
from fixedsim.execution import Products, Range, format_range, safe_bits
from fixedsim.formats import Format
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.recorder import Recorder
from fixedsim.profiles.datapath import Accumulator, BiasStage, Check, LstmDatapath, Narrowing
from fixedsim.spec.accumulators import accumulate, products
from tests.layers.comparison import COMPARED
from tests.strategies import Scope, Words, accumulators, formats, lstm_datapaths, narrowings

GROUP = "layers"
INPUTS = Format(2, -2, 1)


def tiny(accumulator: Accumulator, weight: list[list[int]], start: int, last: int | None, form: Format) -> Products:
    """The products of one tiny matrix, every row with the same start and last addend."""
    rows = len(weight)
    beginning = np.full(rows, start, dtype=object)
    return Products(
        np.array(weight, dtype=np.int64).reshape(rows, -1),
        np.full(rows, 0 if accumulator.product is None else accumulator.product.shift),
        accumulator,
        inputs=format_range(form, centred=True),
        start=Range(beginning, beginning),
        last=None if last is None else np.full(rows, last),
    )


def every_vector(form: Format, width: int) -> list[tuple[int, ...]]:
    """Every vector of centred inputs."""
    raws = range(form.raw_min - form.zero_point, form.raw_max - form.zero_point + 1, form.raw_step)
    return list(product(raws, repeat=width))


def reached(
    weights: list[int], form: Format, accumulator: Accumulator, start: int, last: int | None
) -> tuple[int, int]:
    """The least and the largest prefix of exact sums over every input, start value and last addend included."""
    prefixes = {start}
    for vector in every_vector(form, len(weights)):
        total = start
        for addend in [*products(weights, vector, accumulator), *([] if last is None else [last])]:
            total += addend
            prefixes.add(total)
    COMPARED[GROUP] += 2
    return min(prefixes), max(prefixes)


@pytest.mark.parametrize("zero_point", [0, 1, -2, 5])
@pytest.mark.parametrize(("start", "last"), [(0, None), (3, None), (-7, 4), (0, -5)])
def test_bounds_of_exact_products_are_attained(zero_point: int, start: int, last: int | None) -> None:
    """Every row of three weights of 2 bits."""
    form = Format(2, -2, 1, zero_point=zero_point)
    weight = [list(row) for row in product((-2, -1, 0, 1), repeat=3)]
    bound = tiny(Accumulator(32), weight, start, last, form).prefixes
    for row, weights in enumerate(weight):
        assert (bound.low[row], bound.high[row]) == reached(weights, form, Accumulator(32), start, last), weights


@settings(max_examples=80)
@given(
    accumulators(Scope(partial_sums=False)),
    formats(widest=2),
    st.integers(-9, 9),
    st.none() | st.integers(-9, 9),
    st.integers(0, 3),
    st.data(),
)
def test_no_prefix_leaves_its_bound(
    accumulator: Accumulator, form: Format, start: int, last: int | None, width: int, data: st.DataObject
) -> None:
    weights = data.draw(st.lists(st.integers(-8, 7), min_size=width, max_size=width))
    bound = tiny(accumulator, [weights], start, last, form).prefixes
    low, high = reached(weights, form, accumulator, start, last)
    assert bound.low[0] <= low
    assert high <= bound.high[0]
    if accumulator.product is None or accumulator.product.overflow is Overflow.SATURATE:  # monotone: no slack
        assert (bound.low[0], bound.high[0]) == (low, high)


@settings(max_examples=60)
@given(st.sampled_from(Overflow), st.sampled_from(Check), st.integers(-9, 9), st.lists(st.integers(-8, 7), max_size=3))
def test_safe_bits_are_the_least(overflow: Overflow, check: Check, start: int, weights: list[int]) -> None:
    """At the width nothing overflows for any input, one bit below something does."""
    bits = int(safe_bits(tiny(Accumulator(32, overflow, check), [weights], start, None, INPUTS))[0])
    assume(bits > 2)
    for width, safe in ((bits, True), (bits - 1, False)):
        accumulator = Accumulator(width, overflow, check)
        found = tiny(accumulator, [weights], start, None, INPUTS)
        assert found.proven is safe
        step_by_step = Accumulator(width, overflow, Check.STEP)  # prefixes are bounded, whenever the overflow acts
        same = all(
            prefixes_are_exact(weights, vector, step_by_step, start) for vector in every_vector(INPUTS, len(weights))
        )
        assert same is safe


def prefixes_are_exact(weights: list[int], vector: tuple[int, ...], accumulator: Accumulator, start: int) -> bool:
    """Whether the accumulator holds every prefix as it is."""
    addends = products(weights, vector, accumulator)
    COMPARED[GROUP] += len(addends) + 1
    return all(
        accumulate(addends[:count], accumulator, start) == start + sum(addends[:count])
        for count in range(len(addends) + 1)
    )


def test_a_joint_accumulator_is_proven_only_with_its_first_part() -> None:
    """The inputs' part saturates on the way, though its exact total and every later prefix fit."""
    accumulator = Accumulator(8)
    beginning = np.zeros(1, dtype=object)
    first = Products(
        np.array([[100, 100, -100]]),
        np.zeros(1, dtype=np.int64),
        accumulator,
        inputs=Range(1, 1),
        start=Range(beginning, beginning),
    )
    weight, shift = np.array([[-100]]), np.zeros(1, dtype=np.int64)
    assert not first.proven
    assert not Products(weight, shift, accumulator, inputs=Range(0, 0), start=first.total, continues=first).proven
    assert Products(weight, shift, accumulator, inputs=Range(0, 0), start=first.total).proven


@settings(max_examples=60)
@given(lstm_datapaths(), st.integers(0, 1 << 62))
def test_joint_accumulators_of_positive_inputs(datapath: LstmDatapath, seed: int) -> None:
    """Inputs that are never zero keep every prefix away from zero, where saturation moves the later ones."""
    gates: Any = tuple(gate and replace(gate, peephole=None, norm=None) for gate in datapath.gates)
    path = replace(
        datapath,
        input=Format(3, 0, 7, zero_point=-3),
        weight=Format.integer(5),
        accumulator=Accumulator(8),
        joint=True,
        bias_stage=BiasStage.PREACTIVATION,
        gates=gates,
        input_rescale=None,
        folded_zero_point=False,
    )
    words, rows = Words(seed), len(path.present)
    layer = Lstm.from_raws(
        "lstm",
        np.sort(words.raws(path.weight, (rows, 6), ends=True), axis=1)[:, ::-1],
        words.raws(path.recurrent_weight, (rows, 1)),
        None,
        path,
    )
    inputs = words.raws(path.input, (3, 2, 6))
    outputs = [layer.run(inputs, Recorder(), engine=engine)[0] for engine in ("kernels", "spec")]
    np.testing.assert_array_equal(outputs[0], outputs[1])


@given(narrowings(shifts=(-2, 4)), st.lists(st.integers(-8, 7), min_size=1, max_size=3))
def test_a_lossy_product_is_never_taken_for_a_guard(product_cast: Narrowing, weights: list[int]) -> None:
    accumulator = Accumulator(20, product=product_cast)
    guard = tiny(accumulator, [weights], 0, None, INPUTS).guard
    if guard is None:
        return
    for vector in every_vector(INPUTS, len(weights)):
        exact = [weight * value << int(guard[0]) for weight, value in zip(weights, vector, strict=True)]
        assert products(weights, vector, accumulator) == exact
        COMPARED[GROUP] += len(exact)
