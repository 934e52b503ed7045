"""The self-test compares every family, finds a broken kernel, and draws the same cases everywhere."""

from typing import Any

import pytest

from fixedsim import arrays
from fixedsim.selftest import Draws, selftest

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]


def test_nothing_differs() -> None:
    report = selftest()
    assert {family.name: family.differences for family in report.families} == {
        "casts": 0,
        "requantizations": 0,
        "activations": 0,
        "accumulators": 0,
        "lstm": 0,
    }
    assert all(family.comparisons > 500 for family in report.families)
    assert report.comparisons == sum(family.comparisons for family in report.families) > 300_000


@pytest.mark.parametrize(("function", "family"), [("cast", 0), ("narrow", 1), ("activate", 2), ("dot", 3)])
def test_a_difference_is_found(monkeypatch: pytest.MonkeyPatch, function: str, family: int) -> None:
    original = getattr(arrays, function)

    def broken(*operands: Any) -> Any:
        result = original(*operands)
        if result.size:
            result.flat[0] ^= 1
        return result

    monkeypatch.setattr(arrays, function, broken)
    report = selftest(seed=3)
    assert report.families[family].differences > 100
    assert "[0]: expected " in report.families[family].first_difference
    assert report.differences >= report.families[family].differences


def test_generator_is_splitmix64() -> None:
    """The first outputs for seed 1234567, which other implementations publish."""
    draws = Draws(1234567)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [draws.word() for _ in range(3)] == expected
