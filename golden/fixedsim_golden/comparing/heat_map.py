"""A heat map of mismatches: signals or units against steps."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.accounting.plots import draw
from fixedsim.errors import InputError, nearest
from fixedsim_golden.comparing.results import Compared, Comparison

MAX_COLUMNS, MAX_LINES = 240, 80
Counts = NDArray[np.int64]


def plot(comparison: Comparison, path: Path | str, entry: str | None = None) -> None:
    """Draw how many values differ at each step: of each entry with steps, or of each unit of one ``entry``.

    Where there are more steps or lines than can be seen, neighbours are counted together.

    Raises:
        FileError: an ending other than .png and .svg, or a file that cannot be written.
        InputError: no such entry with steps in the dump.
        DependencyError: matplotlib is not installed.
    """
    lines, counts = of_entries(comparison) if entry is None else of_units(comparison, entry)
    draw(path, lambda figure: _paint(figure, comparison, entry, lines, counts))


def _steps(comparison: Comparison) -> list[Compared]:
    """The entries whose rows are steps."""
    return [entry for entry in comparison.entries if entry.rows and entry.axis == "step"]


def of_entries(comparison: Comparison) -> tuple[list[str], Counts]:
    """The entries that differ, all where none does, and their mismatches by step ``(entries, steps)``.

    Raises:
        InputError: no entry with steps in the dump.
    """
    found = _steps(comparison)
    if not found:
        raise InputError("entries of a heat map must have steps, but none of the dump has")
    shown = [entry for entry in found if entry.mismatches] or found
    counts = [np.count_nonzero(entry.wrong.reshape(len(entry.wrong), -1), axis=1) for entry in shown]
    return [entry.name for entry in shown], np.stack(counts)


def of_units(comparison: Comparison, entry: str) -> tuple[list[str], Counts]:
    """The units of an entry and their mismatches by step ``(units, steps)``.

    Raises:
        InputError: no such entry with steps in the dump.
    """
    found = {each.name: each for each in _steps(comparison)}
    if entry not in found:
        raise InputError(f"entry must be one of the dump with steps, not {entry!r}{nearest(entry, found)}")
    wrong = found[entry].wrong
    counts = wrong.reshape(len(wrong), -1).T.astype(np.int64)
    return [f"unit {unit}" for unit in range(len(counts))], counts


def gathered(counts: Counts, axis: int, most: int) -> tuple[Counts, int]:
    """Counts with neighbours added together, so that at most ``most`` remain along an axis; and how many at a time."""
    size = counts.shape[axis]
    together = -(-size // most)
    return np.add.reduceat(counts, np.arange(0, size, together), axis=axis), together


def _paint(figure: Any, comparison: Comparison, entry: str | None, lines: list[str], counts: Counts) -> None:
    total = counts.shape[1]
    counts, steps = gathered(counts, 1, MAX_COLUMNS)
    counts, together = gathered(counts, 0, MAX_LINES)
    names = lines[::together]
    figure.set_size_inches(8, max(2.0, 1.5 + 0.16 * len(names)))
    axes = figure.add_subplot()
    shown = np.ma.masked_equal(counts, 0)
    extent = (0, counts.shape[1] * steps, len(names), 0)
    image = axes.imshow(shown, aspect="auto", cmap="OrRd", vmin=0, interpolation="nearest", extent=extent)
    axes.set_xlim(0, total)
    axes.set_yticks([place + 0.5 for place in range(len(names))], names, fontsize=6)
    axes.set_xlabel("step of the set" if steps == 1 else f"step of the set, {steps} together")
    axes.set_title(f"{entry or 'all entries'}: {int(counts.sum()):,} mismatches", loc="left")
    figure.colorbar(image, ax=axes, label="values that differ")
