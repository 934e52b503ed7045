"""When values are made: the rows of signals by case, and the order of execution inside a case."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fixedsim_golden.comparing.rules import Integers


@dataclass(frozen=True, eq=False)
class Frame:
    """Rows of a signal: where each case begins and how many rows it has."""

    first: Integers  # (cases,)
    steps: Integers  # (cases,)

    @staticmethod
    def of(steps: Sequence[int]) -> "Frame":
        """Cases of so many rows, one after the other."""
        counts = np.asarray(steps, dtype=np.int64)
        return Frame(np.cumsum(counts) - counts, counts)

    @property
    def rows(self) -> int:
        """All rows."""
        return int(self.steps.sum())

    @property
    def ends(self) -> Integers:
        """The last row of each case."""
        return self.first + self.steps - 1

    def last_made(self, backward: bool) -> Integers:
        """The row of each case that is made last."""
        return self.first if backward else self.ends

    def case_of(self, row: int) -> int:
        """The case of a row."""
        return int(np.searchsorted(self.first, row, side="right")) - 1

    def reversed(self) -> Integers:
        """The row that stands at each row's place when every case runs from its last row to its first."""
        return np.repeat(self.first + self.ends, self.steps) - np.arange(self.rows)


@dataclass(frozen=True)
class Place:
    """When the values of a signal are made, within a case: phase by phase, step by step, rank by rank."""

    phase: int
    rank: int
    frame: Frame
    backward: bool = False
