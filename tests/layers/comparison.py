"""Exact comparison of what two engines give, and a count of how many integers were compared."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

COMPARED: Counter[str] = Counter()


def require_equal(left: NDArray[Any], right: NDArray[Any], what: str, group: str) -> None:
    """Fail with the first index where two arrays differ, in shape or in any element."""
    assert left.shape == right.shape, f"{what}: shapes {left.shape} and {right.shape}"
    wrong = np.argwhere(left != right)
    if len(wrong):
        first = tuple(int(place) for place in wrong[0])
        pytest.fail(f"{what}: {len(wrong)} of {left.size} differ, first at {list(first)}: {left[first]} {right[first]}")
    COMPARED[group] += left.size


def require_equal_traces(left: Mapping[str, NDArray[Any]], right: Mapping[str, NDArray[Any]], group: str) -> None:
    """Fail where two runs did not leave the same signals."""
    assert sorted(left) == sorted(right)
    for name, raws in left.items():
        require_equal(raws, right[name], name, group)


def report(terminal: pytest.TerminalReporter) -> None:
    """Write how many integers of each group were compared."""
    for group, count in sorted(COMPARED.items()):
        terminal.write_line(f"{group}: {count:,} integers compared and found equal")
