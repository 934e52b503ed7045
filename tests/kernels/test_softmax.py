"""Log-softmax against decimal arithmetic of 50 digits, and bit for bit among types, rows and engines."""

import math
from decimal import Decimal, localcontext
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.kernels.engines import Engine, interpreted_engine
from tests.strategies import Words

pytestmark = pytest.mark.kernels
TYPES = (np.int8, np.int16, np.int32, np.int64, np.float64)
WIDTHS = (1, 2, 7, 255, 256, 257, 511, 513, 1000)


@pytest.fixture(scope="session")
def softmax(engine: Engine) -> ModuleType:
    """The kernels of the log-softmax, as the lane has them."""
    return engine.softmax


@pytest.fixture(scope="session")
def interpreted() -> ModuleType:
    """The same, interpreted in every lane."""
    return interpreted_engine().softmax


def log_probabilities(softmax: ModuleType, logits: NDArray[Any], targets: Any, scale: float = 1.0) -> Any:
    found = np.full(len(logits), 99.0)
    softmax.target_log_probabilities(logits, np.array(targets, np.int64), scale, found)
    return found


def wanted(row: list[Any], target: int, scale: float) -> float:
    with localcontext() as context:
        context.prec = 50
        context.Emin, context.Emax = -999999, 999999
        logits = [Decimal(scale) * Decimal(value) for value in row]
        top = max(logits)
        total = sum(((each - top).exp() for each in logits), Decimal(0))
        return float(logits[target] - top - total.ln())


def check(softmax: ModuleType, logits: NDArray[Any], targets: list[int], scale: float, rel: float = 1e-12) -> None:
    found = log_probabilities(softmax, logits, targets, scale)
    expected = [wanted(row, target, scale) for row, target in zip(logits.tolist(), targets, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=rel, atol=0)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", TYPES)
def test_against_decimal_arithmetic(softmax: ModuleType, dtype: type, width: int) -> None:
    words = Words(width)
    logits: NDArray[Any] = words.integers(-100, 100, (4, width)).astype(dtype)
    check(softmax, logits, words.integers(0, width - 1, (4,)).tolist(), 0.0625)


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**-15, 0.1, 1.0, 3.7])
def test_scales_and_wide_raws(softmax: ModuleType, scale: float) -> None:
    words = Words(7)
    span = min(int(600 / scale), 1 << 47)
    logits: NDArray[np.int64] = words.integers(-span, span, (6, 300))
    logits[3:] //= 64  # rows of near logits
    check(softmax, logits, [0, 299, 17, 18, 19, 20], scale)


def test_every_place_of_the_exponential(softmax: ModuleType) -> None:
    raws = np.zeros((4000, 2), np.int64)
    raws[:, 1] = -np.arange(4000)
    check(softmax, raws, [1] * 4000, 2.0**-9)  # 0 .. 8: exponents whose fractions fill -1/2 .. 1/2
    check(softmax, raws[:400], [0] * 400, 0.09)  # log(1 + exp(-x)) for x up to 36, where 1 + exp(-x) is 1


@pytest.mark.parametrize("place", [0, 1, 255, 256, 300, 511, 512, 599])
def test_the_largest_counts_exactly_once_wherever_it_stands(softmax: ModuleType, place: int) -> None:
    logits = np.full((1, 600), -30.0)
    logits[0, place] = 0.0
    check(softmax, logits, [place], 1.0)  # -log(1 + 599 exp(-30)) is -5.6e-11
    logits[0, (place + 256) % 600] = 0.0
    check(softmax, logits, [place], 1.0)


def test_equal_logits_share_alike(softmax: ModuleType) -> None:
    for width in (1, 2, 3, 256, 1000):
        found = log_probabilities(softmax, np.full((1, width), 77, np.int32), [width - 1], 0.3)
        assert found[0] == pytest.approx(-math.log(width), rel=1e-12, abs=0)


def test_one_token_is_certain(softmax: ModuleType) -> None:
    assert log_probabilities(softmax, np.array([[-5], [1 << 40]]), [0, 0], 0.1).tolist() == [0, 0]


def test_far_logits_neither_underflow_nor_overflow(softmax: ModuleType) -> None:
    logits = np.array([[0, -1_000_000, -745, -2000], [1 << 50, -(1 << 50), 0, 0]])
    assert log_probabilities(softmax, logits, [1, 1]).tolist() == [-1_000_000, -(1 << 51)]
    assert log_probabilities(softmax, logits, [0, 0]).tolist() == [-math.exp(-745) * 0, 0]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_what_is_not_finite(softmax: ModuleType) -> None:
    inf, nan = math.inf, math.nan
    logits = np.array([[0, -inf], [0, -inf], [inf, 0], [inf, 0], [-inf, -inf], [nan, 0], [0, nan], [inf, inf]])
    found = log_probabilities(softmax, logits, [0, 1, 0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(found, [0, -inf, nan, nan, nan, nan, nan, nan])


def test_unsigned_raws_of_64_bits(softmax: ModuleType) -> None:
    logits = np.array([[1 << 63, (1 << 63) + 4096]], np.uint64)
    check(softmax, logits, [0], 2.0**-12)


@pytest.mark.parametrize("width", [1, 66, 256, 300])
def test_types_rows_and_engines_give_the_same_bits(softmax: ModuleType, interpreted: ModuleType, width: int) -> None:
    words = Words(width + 1)
    raws = words.integers(-128, 127, (9, width))
    targets = words.integers(0, width - 1, (9,))
    whole = log_probabilities(softmax, raws, targets, 0.07)
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.float64):
        for module in (softmax, interpreted):
            assert log_probabilities(module, raws.astype(dtype), targets, 0.07).tobytes() == whole.tobytes()
    single = [log_probabilities(softmax, raws[step : step + 1], targets[step : step + 1], 0.07)[0] for step in range(9)]
    assert single == whole.tolist()
