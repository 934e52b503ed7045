"""What the wrong values of an entry are like: right ones, of another step, in another order or of another signal."""

from collections.abc import Iterator

import numpy as np

from fixedsim_golden.comparing.decoding import Raws
from fixedsim_golden.comparing.dumps import Dumped
from fixedsim_golden.comparing.known import Known


def likeness(known: Known, name: str) -> str:
    """What all values of an entry of the dump would be right as, or nothing."""
    dumped, expected = known.dumped[name], known.golden(name)
    if dumped.faulty.any() or dumped.entry.axes[0] not in ("step", "sequence"):
        return ""
    same = (text for text, got, wanted in _readings(dumped, expected, known) if _alike(got, wanted))
    return next(same, "")


def _alike(got: Raws, wanted: Raws) -> bool:
    """Whether both are equal, and not so for being all one value."""
    return got.size > 1 and np.array_equal(got, wanted) and bool(np.any(got != got.flat[0]))


def _readings(dumped: Dumped, expected: Raws, known: Known) -> Iterator[tuple[str, Raws, Raws]]:
    """Ways to read the values, each with what they would have to be."""
    got, rows = dumped.raws, dumped.entry.axes[0]
    yield f"one {rows} late throughout", got[1:], expected[:-1]
    yield f"one {rows} early throughout", got[:-1], expected[1:]
    if got.ndim > 1:
        yield "its units in reverse order", got, expected[:, ::-1]
        yield "its units one place up", got[:, 1:], expected[:, :-1]
        yield "its units one place down", got[:, :-1], expected[:, 1:]
    for entry in known.set.manifest.entries:
        if entry.shape == dumped.entry.shape and entry.name != dumped.entry.name:
            yield f"the values of {entry.name}", got, known.golden(entry.name)
