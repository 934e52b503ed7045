"""Random layers: the kernels equal the scalar specification, signal by signal."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings

from fixedsim import execution
from fixedsim.execution import ProductKernel, Products
from fixedsim.layers.recorder import Recorder, Signal
from fixedsim.panels import VARIABLE
from tests.layers.comparison import require_equal, require_equal_traces
from tests.strategies import (
    BidirectionalCase,
    EmbeddingCase,
    LinearCase,
    LstmCase,
    Scope,
    bidirectional_cases,
    embedding_cases,
    linear_cases,
    lstm_cases,
)

pytestmark = pytest.mark.kernels
GROUP = "layers"

# Widths at which each kernel is what the bounds allow; every scope runs on its own and must reach its kernel.
REACHED_BY = {
    ProductKernel.PACKED: Scope((1, 4), (30, 40)),
    ProductKernel.DOT8: Scope((1, 8), (30, 40)),
    ProductKernel.DOT16: Scope((1, 16), (48, 62), narrowed_products=False),
    ProductKernel.FLOAT64: Scope((14, 16), (48, 62), narrowed_products=False),
    ProductKernel.INT64: Scope((27, 28), (61, 64), narrowed_products=False),
    ProductKernel.STEPS: Scope((1, 8), (2, 16)),
}
ENDS = Scope((3, 8), (4, 14), ends=True)


def recorder(signals: list[Signal]) -> Recorder:
    return Recorder(frozenset(signal.name for signal in signals))


def both(layer: Any, *inputs: Any, **course: Any) -> tuple[Any, Any]:
    """What each engine gives, their traces already compared, and those of BLAS however few the vectors."""

    def run(engine: str) -> tuple[Any, dict[str, Any]]:
        kept = recorder(layer.signals())
        return layer.run(*inputs, kept, **course, engine=engine), kept.traces

    (result, traces), (expected, expected_traces) = run("kernels"), run("spec")
    assert sorted(traces) == sorted(signal.name for signal in layer.signals())
    require_equal_traces(traces, expected_traces, GROUP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "_FEW", -1)
        require_equal_traces(run("kernels")[1], expected_traces, GROUP)
    return result, expected


def check_linear(case: LinearCase) -> Products:
    output, expected = both(case.layer, case.inputs)
    require_equal(output, expected, "output", GROUP)
    return case.layer.products


def check_lstm(case: LstmCase) -> tuple[Products, Products]:
    course = {"state": case.state, "lengths": case.lengths, "reset": case.reset}
    (output, state), (expected, expected_state) = both(case.layer, case.inputs, **course)
    require_equal(output, expected, "output", GROUP)
    for part, raws, wanted in zip(("hidden", "cell"), state, expected_state, strict=True):
        require_equal(raws, wanted, part, GROUP)
    return case.layer.input_products, case.layer.recurrent_products


@pytest.fixture(params=ProductKernel)
def wanted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ProductKernel:
    """Each kernel, asked for wherever it serves; but int64 is what the bound leaves to it."""
    kernel: ProductKernel = request.param
    if kernel is not ProductKernel.INT64:
        monkeypatch.setenv(VARIABLE, kernel)
    return kernel


def test_linear(wanted: ProductKernel) -> None:
    reached: Counter[ProductKernel] = Counter()

    @settings(max_examples=130)
    @given(linear_cases(REACHED_BY[wanted]))
    def check(case: LinearCase) -> None:
        reached[check_linear(case).kernel] += 1

    check()
    assert reached[wanted] >= 10, reached


def test_lstm(wanted: ProductKernel) -> None:
    reached: Counter[ProductKernel] = Counter()

    @settings(max_examples=70)
    @given(lstm_cases(REACHED_BY[wanted]))
    def check(case: LstmCase) -> None:
        reached.update(products.kernel for products in check_lstm(case))

    check()
    assert reached[wanted] >= 10, reached


@settings(max_examples=30)
@given(linear_cases(ENDS))
def test_linear_with_everything_at_its_ends(case: LinearCase) -> None:
    check_linear(case)


@settings(max_examples=30)
@given(lstm_cases(ENDS))
def test_lstm_with_everything_at_its_ends(case: LstmCase) -> None:
    check_lstm(case)


@settings(max_examples=30)
@given(bidirectional_cases())
def test_bidirectional(case: BidirectionalCase) -> None:
    course = {"state": case.state, "lengths": case.lengths, "reset": case.reset}
    (output, states), (expected, expected_states) = both(case.layer, case.inputs, **course)
    require_equal(output, expected, "output", GROUP)
    for state, wanted in zip(states, expected_states, strict=True):
        require_equal(state.hidden, wanted.hidden, "hidden", GROUP)
        require_equal(state.cell, wanted.cell, "cell", GROUP)


@settings(max_examples=30)
@given(embedding_cases())
def test_embedding(case: EmbeddingCase) -> None:
    output, expected = both(case.layer, case.tokens)
    require_equal(output, expected, "output", GROUP)
