"""Rules: how each signal of a model comes from those before it, for all steps at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import narrow
from fixedsim_golden.stages import Stage, Sum, Weighted

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Values = Mapping[str, Integers]  # raws (rows, units) by signal; tokens (rows,)
Unknown = Mapping[str, Flags]  # where they are not known
Constants = dict[str, list[int]]
Seen = tuple[str, int, int | None]  # a signal, its row, and its unit or all of them


class Rule(Protocol):
    """What gives one signal, or the accumulators of a layer together."""

    @property
    def gives(self) -> tuple[str, ...]:
        """The signals, in the order of execution."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The signals that it reads, each at the same row."""

    def of(self, values: Values) -> dict[str, Integers]:
        """The signals that it gives."""

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """Where what it gives is not known, from where what it reads is not."""

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """What one unit of a row of a signal is made of."""

    def constants(self, signal: str, unit: int) -> Constants:
        """What the device stores for one unit of a signal."""


@dataclass(frozen=True, eq=False)
class Staged:
    """A narrowing of what it reads at its own unit."""

    stage: Stage

    @property
    def gives(self) -> tuple[str, ...]:
        """The signal of the stage."""
        return (self.stage.signal,)

    @property
    def reads(self) -> tuple[str, ...]:
        """What the source reads."""
        return self.stage.reads

    def of(self, values: Values) -> dict[str, Integers]:
        """``narrow(source * multiplier / 2**shift)``."""
        assert self.stage.source is not None
        return {self.stage.signal: self.narrowed(self.stage.source.of(values))}

    def narrowed(self, source: Any) -> Integers:
        """The raws of values of the source."""
        return np.asarray(narrow(source, self.stage.narrowing, self.stage.multiplier, self.stage.shift), dtype=np.int64)

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """Where one of the operands is not known."""
        return {self.stage.signal: any_of([flags[name] for name in self.reads])}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """The same unit of what it reads."""
        return [(name, row, unit) for name in self.reads]

    def constants(self, signal: str, unit: int) -> Constants:
        """Multiplier and shift, the bias where it enters late, and the weight of a peephole."""
        source = self.stage.source
        found = {"multiplier": [int(self.stage.multiplier[unit])], "shift": [int(self.stage.shift[unit])]}
        if isinstance(source, Weighted):
            found["weight"] = [int(source.weight[unit])]
        if isinstance(source, Sum) and source.constant[unit]:
            found["bias"] = [int(source.constant[unit])]
        return found


def any_of(flags: Sequence[Flags]) -> Flags:
    """Where one of them is set."""
    found = flags[0]
    for each in flags[1:]:
        found = found | each
    return found


def row_flags(flags: Flags, units: int) -> Flags:
    """Whether anything of a row is set, for so many units."""
    row = flags if flags.ndim == 1 else np.any(flags, axis=1)
    return np.broadcast_to(row[:, None], (len(row), units))


@dataclass(frozen=True, eq=False)
class Copied:
    """Rows of other signals: row ``r`` is row ``rows[r]`` of ``blocks`` one under the other.

    After the blocks stands a row of ``resting``, where that is given.
    """

    signal: str
    blocks: tuple[str, ...]
    rows: Integers
    resting: int | Integers | None = None

    @property
    def gives(self) -> tuple[str, ...]:
        """The copy."""
        return (self.signal,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The blocks."""
        return self.blocks

    def of(self, values: Values) -> dict[str, Integers]:
        """The rows."""
        resting = 0 if self.resting is None else self.resting
        return {self.signal: self._stacked([values[name] for name in self.blocks], resting)[self.rows]}

    def _stacked(self, blocks: list[NDArray[Any]], resting: int | Integers) -> NDArray[Any]:
        if self.resting is not None:
            blocks = [*blocks, np.full((1, *blocks[0].shape[1:]), resting, dtype=blocks[0].dtype)]
        return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """The flags of the rows."""
        return {self.signal: self._stacked([flags[name] for name in self.blocks], 0)[self.rows]}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """The unit in the row that is copied."""
        return [(self.blocks[0], int(self.rows[row]), unit)]

    def constants(self, signal: str, unit: int) -> Constants:
        """None."""
        return {}


@dataclass(frozen=True, eq=False)
class Joined:
    """Signals side by side."""

    signal: str
    reads: tuple[str, ...]
    units: tuple[int, ...]

    @property
    def gives(self) -> tuple[str, ...]:
        """The joined signal."""
        return (self.signal,)

    def of(self, values: Values) -> dict[str, Integers]:
        """The units of all."""
        return {self.signal: np.concatenate([values[name] for name in self.reads], axis=1)}

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """The flags of all."""
        return {self.signal: np.concatenate([flags[name] for name in self.reads], axis=1)}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """The unit of the signal that it comes from."""
        place = 0
        while unit >= self.units[place]:
            unit -= self.units[place]
            place += 1
        return [(self.reads[place], row, unit)]

    def constants(self, signal: str, unit: int) -> Constants:
        """None."""
        return {}


@dataclass(frozen=True, eq=False)
class Subtracted:
    """``minuend - signal``: an input gate that is coupled to the forget gate."""

    signal: str
    subtrahend: str
    minuend: int

    @property
    def gives(self) -> tuple[str, ...]:
        """The difference."""
        return (self.signal,)

    @property
    def reads(self) -> tuple[str, ...]:
        """The subtrahend."""
        return (self.subtrahend,)

    def of(self, values: Values) -> dict[str, Integers]:
        """The difference."""
        return {self.signal: self.minuend - values[self.subtrahend]}

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """Where the subtrahend is not known."""
        return {self.signal: flags[self.subtrahend]}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """The same unit of what it reads."""
        return [(name, row, unit) for name in self.reads]

    def constants(self, signal: str, unit: int) -> Constants:
        """The minuend."""
        return {"minuend": [self.minuend]}


@dataclass(frozen=True, eq=False)
class UnitBefore:
    """The unit before of a signal, and of the first unit the last one of the step before: a stale register."""

    signal: str
    now: str
    before: str  # the same signal, at the step before

    @property
    def gives(self) -> tuple[str, ...]:
        """What the register holds."""
        return (self.signal,)

    @property
    def reads(self) -> tuple[str, ...]:
        """Both steps of the signal."""
        return self.now, self.before

    def of(self, values: Values) -> dict[str, Integers]:
        """The register at each unit."""
        return {self.signal: np.concatenate([values[self.before][:, -1:], values[self.now][:, :-1]], axis=1)}

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """The same of the flags."""
        return {self.signal: np.concatenate([flags[self.before][:, -1:], flags[self.now][:, :-1]], axis=1)}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """All units of what it reads."""
        return [(name, row, None) for name in self.reads]

    def constants(self, signal: str, unit: int) -> Constants:
        """None."""
        return {}
