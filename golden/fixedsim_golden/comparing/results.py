"""What a comparison found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format

Flags = NDArray[np.bool_]
Raws = NDArray[Any]


@dataclass(frozen=True)
class Value:
    """A raw, its code as hexadecimal digits of its width, and the real that it means."""

    raw: int
    code: str
    real: float

    @classmethod
    def of(cls, raw: int, form: Format, scale: float | None = None) -> "Value":
        """The value of a raw; ``scale`` stands in for the format's."""
        code = form.code(raw) if form.contains(raw) else raw % (1 << form.bits)
        real = float(form.real(raw)) if scale is None else scale * (raw - form.zero_point)
        return cls(raw, f"{code:0{-(-form.bits // 4)}x}", real)

    def __str__(self) -> str:
        return f"{self.raw} (0x{self.code}, {self.real:g})"

    def to_dict(self) -> dict[str, Any]:
        """The value for JSON."""
        return {"raw": self.raw, "code": self.code, "real": self.real}


@dataclass(frozen=True)
class Seen:
    """An operand: raws of a signal, as the device or else the set has them, or constants that it stores."""

    name: str
    origin: str  # "device", "golden" or "constant"
    raws: tuple[int, ...]
    reals: tuple[float, ...] = ()  # of signals

    def to_dict(self) -> dict[str, Any]:
        """The operand for JSON."""
        return {"name": self.name, "origin": self.origin, "raws": list(self.raws), "reals": list(self.reals)}


@dataclass(frozen=True)
class Mismatch:
    """One value that is not what it must be, where it stands, and what it is made of."""

    entry: str
    role: str
    layer: str
    direction: str  # "forward", "backward", or none
    gate: str
    case: str
    flags: Mapping[str, str]  # of the case, with what each is about
    step: int | None  # of the set
    case_step: int | None  # of the case
    index: tuple[int, ...]
    unit: int | None
    format: str
    expected: Value
    got: Value | None
    fault: str  # why nothing was got, or why that is no raw
    recomputed: Value | None  # from the device's own operands, where they were played
    operands: tuple[Seen, ...]
    narrowing: str  # in words
    likeness: str = ""  # what all values of the entry would be right as: "one step late throughout"

    @property
    def where(self) -> str:
        """``case reset-0 step 3, low.gate.input.preactivation unit 2``."""
        place = f"{self.entry}" + (f" unit {self.unit}" if self.unit is not None else "")
        if self.case and self.case_step is not None:
            return f"case {self.case} step {self.case_step}, {place}"
        if self.case:
            return f"case {self.case}, {place}"
        return f"{self.entry}{list(self.index)}"

    @property
    def summary(self) -> str:
        """The mismatch in one line."""
        got = self.fault if self.got is None else f"{self.got}{f', which {self.fault}' if self.fault else ''}"
        wanted = self.expected if self.recomputed is None else f"{self.recomputed} from the device's own operands"
        return f"{self.where}: must be {wanted}, not {got}"

    def to_dict(self) -> dict[str, Any]:
        """The mismatch for JSON."""
        return {
            "entry": self.entry,
            "role": self.role,
            "layer": self.layer,
            "direction": self.direction or None,
            "gate": self.gate or None,
            "case": self.case or None,
            "flags": dict(self.flags),
            "step": self.step,
            "case_step": self.case_step,
            "index": list(self.index),
            "unit": self.unit,
            "format": self.format,
            "expected": self.expected.to_dict(),
            "got": None if self.got is None else self.got.to_dict(),
            "fault": self.fault or None,
            "recomputed": None if self.recomputed is None else self.recomputed.to_dict(),
            "operands": [operand.to_dict() for operand in self.operands],
            "narrowing": self.narrowing or None,
            "likeness": self.likeness or None,
        }


@dataclass(frozen=True, eq=False)
class Compared:
    """One entry of the dump: what the set has, what the device gave, and where that is wrong.

    ``own`` is where it is wrong given the device's own operands, None where nothing was played.
    """

    name: str
    role: str
    axis: str  # the first: "step", "sequence" or one of a stored tensor
    path: str
    encoding: str
    words: int
    surplus: int  # words beyond those of the set
    expected: Raws
    got: Raws
    wrong: Flags
    faulty: Flags  # where what was got is no raw
    faults: Mapping[str, int]  # counts of values that are no raws, by why
    rows: tuple[int, ...]  # of each case; none where they are no steps and no sequences
    own: Flags | None = None
    first_own: Mismatch | None = None

    @property
    def values(self) -> int:
        """The values compared."""
        return int(self.wrong.size)

    @property
    def mismatches(self) -> int:
        """Values that differ, or that are no raws."""
        return int(np.count_nonzero(self.wrong))

    @property
    def own_faults(self) -> int | None:
        """Values that are wrong given the device's own operands; None where nothing was played."""
        return None if self.own is None else int(np.count_nonzero(self.own))

    @property
    def passed(self) -> bool:
        """Whether all of it is as it must be."""
        return not self.mismatches and not self.surplus

    def to_dict(self) -> dict[str, Any]:
        """The counts for JSON."""
        return {
            "entry": self.name,
            "role": self.role,
            "file": self.path,
            "encoding": self.encoding,
            "words": self.words,
            "values": self.values,
            "mismatches": self.mismatches,
            "surplus_words": self.surplus,
            "faults": dict(self.faults),
            "own_faults": self.own_faults,
            "first_own_fault": None if self.first_own is None else self.first_own.to_dict(),
        }


@dataclass(frozen=True)
class Comparison:
    """A dump against a set."""

    folder: str
    dump: str
    digest: str  # of the set
    cases: tuple[str, ...]
    entries: tuple[Compared, ...]
    first: Mismatch | None  # in the order of causes
    resync: bool

    @property
    def passed(self) -> bool:
        """Whether everything in the dump is as it must be."""
        return all(entry.passed for entry in self.entries)

    @property
    def words(self) -> int:
        """The words compared."""
        return sum(entry.words for entry in self.entries)

    @property
    def mismatches(self) -> int:
        """The values that differ, of all entries."""
        return sum(entry.mismatches for entry in self.entries)

    @property
    def summary(self) -> str:
        """The outcome in one line."""
        if self.passed:
            return f"PASS: {self.words} words of {len(self.entries)} entries compared"
        if self.first is not None:
            return f"FAIL: {self.first.summary}"
        long = next(entry for entry in self.entries if entry.surplus)
        return f"FAIL: {long.path} must hold {long.words} words, not {long.words + long.surplus}"

    def to_dict(self) -> dict[str, Any]:
        """The comparison for JSON."""
        return {
            "set": self.folder,
            "digest": self.digest,
            "dump": self.dump,
            "passed": self.passed,
            "words": self.words,
            "mismatches": self.mismatches,
            "resync": self.resync,
            "first": None if self.first is None else self.first.to_dict(),
            "entries": [entry.to_dict() for entry in self.entries],
        }
