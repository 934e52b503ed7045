"""What a run leaves behind: the signals that were asked for, and how often each cast overflowed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Signal:
    """A named integer inside a layer: how many units, their format, and a scale for each unit where they differ."""

    name: str
    units: int
    format: Format
    scale: NDArray[np.float64] | None = None

    def real(self, raws: NDArray[Any]) -> NDArray[np.float64]:
        """The reals of raws ``(..., units)``."""
        centred = raws.astype(np.float64) - self.format.zero_point
        return np.asarray(centred * (float(self.format.scale) if self.scale is None else self.scale))


@dataclass
class OverflowCount:
    """How many values a cast took in, and how many overflowed low and high."""

    values: int = 0
    low: int = 0
    high: int = 0


@dataclass
class Recorder:
    """Collects traces of the signals in ``wanted`` and the overflow counts of every cast.

    A trace is ``(steps, batch, units)`` of raws; steps past a sequence's end hold 0.
    """

    wanted: frozenset[str] = frozenset()
    traces: dict[str, Integers] = field(default_factory=dict)
    counts: dict[str, OverflowCount] = field(default_factory=dict)

    def wants(self, name: str) -> bool:
        """Whether the signal is traced."""
        return name in self.wanted

    def record(self, name: str, raws: NDArray[np.integer[Any]]) -> None:
        """Keep a whole signal ``(steps, batch, units)`` if it is traced."""
        if name in self.wanted:
            self.traces[name] = raws.astype(np.int64, copy=False)

    def count(self, name: str, values: int, overflows: Sequence[int] | Integers) -> None:
        """Add ``(low, high)`` overflows among ``values`` values of a cast."""
        total = self.counts.setdefault(name, OverflowCount())
        total.values += values
        total.low += int(overflows[0])
        total.high += int(overflows[1])

    def merge(self, other: "Recorder") -> None:
        """Take over the traces and counts of another recorder."""
        self.traces.update(other.traces)
        for name, count in other.counts.items():
            self.count(name, count.values, (count.low, count.high))
