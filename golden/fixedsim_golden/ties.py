"""Ties of products, found exactly: only factors with many zeros at their low ends make a product that lies half-way."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import activate, narrow
from fixedsim.model import Model
from fixedsim.profiles.datapath import Form
from fixedsim_golden.exhaustion import tried
from fixedsim_golden.stages import Applied, Product, Stage, stages

Integers = NDArray[np.int64]
_MOST_RAWS = 1 << 20  # that a function is evaluated at
_MOST_PAIRS = 1 << 22


class Factors:
    """The values that the operands of a model's products can have, at most, where they are few enough to list."""

    def __init__(self, model: Model) -> None:
        self._groups, self._stages = tried(model), stages(model)

    def ties(self, stage: Stage, unit: int) -> Integers | None:
        """Every pair of factors of one unit whose product is a tie ``(pairs, 2)``; None where that is not known."""
        if not isinstance(stage.source, Product) or not has_ties(stage):
            return None
        found = [self._values(operand.signal, unit) for operand in stage.source.operands]
        if found[0] is None or found[1] is None:
            return None
        zeros = [operand.zero_point for operand in stage.source.operands]
        return tie_pairs(found[0] - zeros[0], found[1] - zeros[1], int(stage.multiplier[unit]), int(stage.shift[unit]))

    def _values(self, signal: str, unit: int) -> Integers | None:
        """The raws of a signal: those that were tried, or all that its function has."""
        for group in self._groups:
            if signal in group:
                return np.unique(group[signal][:, unit])
        read = self._evaluated(signal, unit)
        return None if read is None else np.unique(read[1])

    def sources(self, signal: str, unit: int, raw: int) -> tuple[str, Integers]:
        """The signal that a function reads, and its raws at which the function gives a raw."""
        found = self._evaluated(signal, unit)
        if found is None:
            return signal, np.empty(0, np.int64)
        raws, values = found
        return self._stages[signal].reads[0], raws[values == raw]

    def _evaluated(self, signal: str, unit: int) -> tuple[Integers, Integers] | None:
        """All raws that a function may read, and what it gives there."""
        stage = self._stages.get(signal)
        if stage is None or not isinstance(stage.source, Applied):
            return None
        operand = stage.source.operand
        before = self._stages.get(operand.signal)
        if before is None or before.narrowing.format.levels > _MOST_RAWS:
            return None
        form = before.narrowing.format
        raws = np.arange(form.raw_min, form.raw_max + 1, form.raw_step, dtype=np.int64)
        values = (
            np.asarray(activate(raws, stage.source.activation), np.int64) - stage.source.activation.format.zero_point
        )
        constants = stage.multiplier[[unit]], stage.shift[[unit]]
        given = narrow(values[:, None], stage.narrowing, *constants)
        return raws, np.asarray(given, dtype=np.int64)[:, 0]


def has_ties(stage: Stage) -> bool:
    """Whether a tie is something that the narrowing has: one rounding by a shift."""
    return stage.narrowing.primitive is None and stage.narrowing.form is Form.SINGLE


def tie_pairs(first: Integers, second: Integers, multiplier: int, shift: int) -> Integers | None:
    """The pairs whose product times the multiplier is an odd multiple of half of ``2**shift``."""
    left = shift - 1 - int(_zeros(np.array([multiplier]))[0])
    by_zeros = [_by_zeros(each) for each in (first, second)]
    found = []
    for zeros, some in by_zeros[0].items():
        others = by_zeros[1].get(left - zeros, np.empty(0, np.int64))
        if len(some) * len(others) > _MOST_PAIRS:
            return None
        found.append(np.stack(np.meshgrid(some, others, indexing="ij"), axis=-1).reshape(-1, 2))
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


def _by_zeros(values: Integers) -> Mapping[int, Integers]:
    values = values[values != 0]
    zeros = _zeros(values)
    return {int(count): values[zeros == count] for count in np.unique(zeros)}


def _zeros(values: Integers) -> Integers:
    """How many zeros stand at the low end of each value that is not 0."""
    return np.asarray(np.bitwise_count((values & -values) - 1), dtype=np.int64)
