"""Times of the main kernels, for comparing one version with the next: ``pytest -m benchmarks -n 0``.

Nothing is asserted about a time; ``--benchmark-save`` and ``--benchmark-compare`` set runs side by side.
"""

from typing import Any

import pytest

from tests.benchmarks import networks, ours
from tests.benchmarks.measure import Call
from tests.benchmarks.workloads.matrices import SATURATING, operands

pytest.importorskip("pytest_benchmark", reason="needs pytest-benchmark; install the extra 'test'")
pytestmark = pytest.mark.benchmarks

SIZE = 1024
STEPS = 32


def timed(benchmark: Any, call: Call) -> None:
    """Time a call that has run once before."""
    call()
    benchmark(call)


@pytest.mark.parametrize("batch", [1, 16, 100])
@pytest.mark.parametrize("weight_bits", [1, 2, 4, 8])
def test_products_of_few_weight_bits(benchmark: Any, weight_bits: int, batch: int) -> None:
    timed(benchmark, ours.matrix(*operands(SIZE, SIZE, weight_bits, 8, batch), bits=8))


@pytest.mark.parametrize("activation_bits", [4, 9, 12, 16])
def test_products_of_wide_and_narrow_activations(benchmark: Any, activation_bits: int) -> None:
    timed(benchmark, ours.matrix(*operands(SIZE, SIZE, 8, activation_bits, 16), bits=activation_bits))


def test_accumulator_step_by_step(benchmark: Any) -> None:
    timed(benchmark, ours.stepped(*operands(SIZE, SIZE, 8, 8, 4), bits=8, accumulator=SATURATING))


@pytest.mark.parametrize("profile", ["fixed-point", "litert", "cmsis-nn", "hls4ml", "bit-rnn", "elastic-ai-fixed"])
def test_lstm(benchmark: Any, profile: str) -> None:
    model = networks.lstm_model(64, 64, profile)
    timed(benchmark, ours.whole(model, networks.raws(model, STEPS, 1)))


@pytest.mark.parametrize("batch", [1, 20])
def test_language_model(benchmark: Any, batch: int) -> None:
    timed(benchmark, ours.whole(networks.language_model(300), networks.tokens(STEPS, batch)))


def test_language_model_streamed(benchmark: Any) -> None:
    timed(benchmark, ours.streamed(networks.language_model(300), networks.tokens(STEPS)[:, 0]))


def test_perplexity(benchmark: Any) -> None:
    timed(benchmark, ours.scored(networks.language_model(300), networks.tokens(8 * STEPS)[:, 0]))
