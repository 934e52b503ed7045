"""What a comparison with recorded integers gives: one row for each signal of a case."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class Result(NamedTuple):
    """How many integers of a signal were compared, and how many differ; ``error`` where it could not be replayed."""

    family: str
    case: str
    signal: str
    compared: int
    differing: int
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether something was compared and nothing differs."""
        return self.compared > 0 and self.differing == 0 and not self.error


@dataclass
class Comparison:
    """Collects the rows of one case."""

    family: str
    case: str
    rows: list[Result] = field(default_factory=list)

    def compare(self, signal: str, found: Any, recorded: Any) -> None:
        """Add a row for a signal; another shape differs in every integer."""
        ours, theirs = np.asarray(found), np.asarray(recorded)
        if ours.shape != theirs.shape:
            error = f"shape {ours.shape}, recorded {theirs.shape}"
            self.rows.append(Result(self.family, self.case, signal, theirs.size, theirs.size, error))
            return
        differing = int(np.count_nonzero(ours.astype(np.int64) != theirs.astype(np.int64)))
        self.rows.append(Result(self.family, self.case, signal, theirs.size, differing))

    def compare_all(self, found: Mapping[str, Any], recorded: Mapping[str, Any]) -> None:
        """Add a row for each signal in ``found``."""
        for name, values in found.items():
            self.compare(name, values, recorded[name])
