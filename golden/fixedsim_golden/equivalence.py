"""Why a neighbouring model cannot be told apart: its narrowings and tables give the same for every value there is."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import narrow
from fixedsim.casts import Rounding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.profiles.datapath import Form, LookupTable, Narrowing
from fixedsim.spec.casts import round_shift
from fixedsim_golden.corners import TIES, Site, decides
from fixedsim_golden.exhaustion import Group, tried
from fixedsim_golden.stages import Applied, Stage, stages

Integers = NDArray[np.int64]
Layer = Linear | Lstm


_TWICE = dict(zip(TIES, (5, 3, -3, -5), strict=True))  # twice 2.5, 1.5, -1.5 and -2.5, which lie over 2, 1, -2 and -3


class Values:
    """Every value that the stages of a model narrow, where all of them are known."""

    def __init__(self, model: Model) -> None:
        self._groups, self._stages = tried(model), stages(model)

    def same_narrowing(self, signal: str, other: Narrowing) -> str:
        """Why a signal is the same by another narrowing; empty where it is not, or not known."""
        stage = self._stages.get(signal)
        group = None if stage is None else self._group(stage)
        if stage is None or stage.source is None or group is None:
            return ""
        source = stage.source.of(group)
        same = np.array_equal(_narrowed(stage, source), _narrowed(replace(stage, narrowing=other), source))
        return "every value was tried: it narrows none otherwise" if same else ""

    def same_table(self, old: LookupTable, new: LookupTable) -> str:
        """Why nothing that reads a table sees the difference; empty where something does, or that is not known."""
        for stage in self._stages.values():
            if not isinstance(stage.source, Applied) or stage.source.activation != old:
                continue
            group = self._group(stage)
            if group is None:
                return ""
            other = replace(stage.source, activation=new)
            if not np.array_equal(_narrowed(stage, stage.source.of(group)), _narrowed(stage, other.of(group))):
                return ""
        return "every raw that is read was tried: it gives none otherwise"

    def _group(self, stage: Stage) -> Group | None:
        for group in self._groups:
            if stage.reads and all(name in group for name in stage.reads) and decides(group, stage.signal):
                return group
        return None


def _narrowed(stage: Stage, source: Integers) -> Integers:
    return np.asarray(narrow(source, stage.narrowing, stage.multiplier, stage.shift), dtype=np.int64)


def _possible(site: Site, *names: str) -> bool:
    return any(
        name in names and bool(possible) for name, possible in zip(site.corners, site.possible.tolist(), strict=True)
    )


def same_overflow(site: Site) -> str:
    ways = [f"{word} {end}" for word in ("wraps", "saturates") for end in ("low", "high")]
    return "" if _possible(site, *ways) or not any(way in site.corners for way in ways) else "it never overflows"


_HALVES = {
    rounding for rounding in Rounding if str(rounding).startswith("half_")
}  # those that differ from each other at ties alone


def same_rounding(site: Site, narrowing: Narrowing, other: Rounding, part: Layer) -> str:
    if TIES[0] not in site.corners:
        return ""
    if _never_right(site.name, narrowing, part):
        return "it never shifts to the right"
    both = {narrowing.rounding, other} <= _HALVES and narrowing.form is Form.SINGLE and narrowing.format.raw_step == 1
    if both and not _possible(site, *(tie for tie in TIES if _parts_at(tie, narrowing.rounding, other))):
        return "it never meets a tie at which they differ" if _possible(site, *TIES) else "it never meets a tie"
    return ""


def _parts_at(tie: str, first: Rounding, second: Rounding) -> bool:
    """Whether two roundings differ at a tie of this sign over a raw of this parity."""
    twice = _TWICE[tie]
    return round_shift(twice, 1, first) != round_shift(twice, 1, second)


def _never_right(signal: str, narrowing: Narrowing, part: Layer) -> bool:
    """Whether no value is shifted to the right, so that nothing is rounded; the doubling form's own half up aside."""
    if narrowing.format.raw_step != 1:
        return False
    if isinstance(part, Linear):
        shifts = part.matrix.shift if signal.endswith(".sum") else narrowing.shift
    elif signal.endswith("recurrent_sum"):
        shifts = part.recurrent_matrix.shift
    elif signal.endswith("sum"):
        shifts = part.input_matrix.shift
    else:
        shifts = narrowing.shift
    return bool(np.all(np.asarray(shifts) <= (31 if narrowing.form is Form.DOUBLING else 0)))
