"""Interleaved rounds: one sample of every side, then the next round, so that a slow moment of the machine hits all."""

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Call = Callable[[], object]
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
SAMPLE_SECONDS = 0.01  # a sample holds as many calls as fit, at least one
MOST_CALLS = 2000
LEAST_ROUNDS = 3
_LONG = 5.0  # seconds that compiling does not take


class MissingError(Exception):
    """A side that can't run here; the message says why."""


@dataclass(frozen=True)
class Spread:
    """The quartiles of samples."""

    low: float
    median: float
    high: float

    @staticmethod
    def of(samples: ArrayLike) -> "Spread":
        """The quartiles, interpolated between samples."""
        low, median, high = np.quantile(np.asarray(samples, dtype=np.float64), [0.25, 0.5, 0.75])
        return Spread(float(low), float(median), float(high))

    def scaled(self, factor: float) -> "Spread":
        """Every quartile times a positive factor."""
        return Spread(self.low * factor, self.median * factor, self.high * factor)


def interleave(
    calls: Mapping[str, Call], *, rounds: int, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of one call of each side, a sample for each round, sides in their order.

    Each side has an even share of ``seconds``. One that has used it up leaves out the rounds that remain; rounds end
    where it is the first side, but not before the third, unless three take it far longer. Samples are taken by
    ``clock``.
    """
    lengths = {name: _length(call, longest=max(_LONG, seconds / 2)) for name, call in calls.items()}
    counts = {name: _calls_of_a_sample(length) for name, length in lengths.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    spent = dict.fromkeys(calls, 0.0)
    first, share = next(iter(calls)), seconds / len(calls)
    least = LEAST_ROUNDS if LEAST_ROUNDS * lengths[first] < 2 * seconds else 1
    for done in range(rounds):
        if done >= least and spent[first] > share:
            break
        for name, call in calls.items():
            if done and name != first and spent[name] > share:
                continue
            started = time.perf_counter()
            samples[name].append(_sample(call, counts[name], clock))
            spent[name] += time.perf_counter() - started
    return samples


def ratios(samples: Mapping[str, list[float]], ours: str, peer: str) -> list[float]:
    """How many times as long as ours the peer took, in each round that both ran."""
    return [theirs / own for own, theirs in zip(samples[ours], samples[peer], strict=False)]


def _length(call: Call, *, longest: float) -> float:
    """Seconds of a call that follows one that compiles and fills caches; of the first, if it took ``longest``."""
    took = 0.0
    for _ in range(2):
        started = time.perf_counter()
        call()
        took = time.perf_counter() - started
        if took >= longest:
            break
    return took


def _calls_of_a_sample(length: float) -> int:
    """As many calls of so many seconds as fit into a sample."""
    return max(1, min(MOST_CALLS, math.ceil(SAMPLE_SECONDS / max(length, 1e-9))))


def _sample(call: Call, count: int, clock: Callable[[], float]) -> float:
    """Seconds of one call, the mean of ``count``; short ones after a call that brings the operands into the caches."""
    if count > 1:
        call()
    gc.disable()
    try:
        started = clock()
        for _ in range(count):
            call()
        return (clock() - started) / count
    finally:
        gc.enable()
