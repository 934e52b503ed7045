"""Compare what a device gave with a golden set, and name the first cause of what differs."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from fixedsim_golden.comparing.decoding import TEXTS, Fault, Raws
from fixedsim_golden.comparing.describing import Describer
from fixedsim_golden.comparing.dumps import Dumped, dump_files, read_dumped
from fixedsim_golden.comparing.frames import Place
from fixedsim_golden.comparing.known import Known
from fixedsim_golden.comparing.likeness import likeness
from fixedsim_golden.comparing.program import Program
from fixedsim_golden.comparing.replaying import Replay, own_of, replayed
from fixedsim_golden.comparing.results import Compared, Comparison, Flags, Mismatch
from fixedsim_golden.sets import GoldenSet

Progress = Callable[[int, int], None]
Key = tuple[int, ...]  # when a value is made


def compare(
    folder: Path | str,
    dump: Path | str,
    *,
    encoding: str | None = None,
    resync: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Compare every value of a dump with a golden set; the first mismatch is the first in the order of causes.

    That order is case by case. In a case layers run together, step by step and each step in the order of execution;
    a direction of a bidirectional layer runs by itself, in its own order of steps, before what reads it.

    Args:
        folder: the set.
        dump: a folder of files named as the set's entries, or in subfolders named as encodings; or one such file.
        encoding: read files of this encoding only; None: each by its suffix.
        resync: also play every step from the device's own values, so that faults stand apart from what they cause.
        progress: called with the count of entries read and the count of all.

    Raises:
        FileError: a set that is damaged; a dump without a file that the set knows, with one of another name, or with
            one that is no file of its encoding.
        InputError: no such encoding.
    """
    golden = GoldenSet.open(folder)
    files = dump_files(golden, dump, encoding)
    dumped: dict[str, Dumped] = {}
    for place, file in enumerate(files):
        dumped[file.entry.name] = read_dumped(file)
        if progress is not None:
            progress(place + 1, len(files))
    return _Judge(Known(golden, dumped), str(dump)).judged(resync)


class _Judge:
    """Compares the entries of one dump."""

    def __init__(self, known: Known, dump: str) -> None:
        self.known, self.dump = known, dump
        self.wrong = {name: each.faulty | (each.raws != known.golden(name)) for name, each in known.dumped.items()}

    def judged(self, resync: bool) -> Comparison:
        """The comparison."""
        replay = Replay()
        own: Mapping[str, Flags] = {}
        if resync:
            replay = replayed(self.known.program, self.known)
            own = own_of(replay, self.known.dumped, self.wrong)
        first = first_cause(self.wrong, self.known.program)
        manifest = self.known.set.manifest
        return Comparison(
            folder=str(self.known.set.folder),
            dump=self.dump,
            digest=manifest.digest,
            cases=tuple(case.id for case in manifest.cases),
            entries=tuple(self._compared(name, own.get(name), replay) for name in self.known.dumped),
            first=None if first is None else self._cause(*first),
            resync=resync,
        )

    def _cause(self, name: str, index: tuple[int, ...]) -> Mismatch:
        """The first mismatch of all, and what its entry is like."""
        found = self._describer.mismatch(self.known.dumped[name], index)
        return replace(found, likeness=likeness(self.known, name))

    @cached_property
    def _describer(self) -> Describer:
        return Describer(self.known)

    def _compared(self, name: str, own: Flags | None, replay: Replay) -> Compared:
        dumped, place = self.known.dumped[name], self.known.program.places.get(name)
        first = None if own is None else first_cause({name: own}, self.known.program)
        return Compared(
            name=name,
            role=dumped.entry.role,
            axis=dumped.entry.axes[0],
            path=str(dumped.path),
            encoding=dumped.encoding,
            words=dumped.words,
            surplus=dumped.surplus,
            expected=self.known.golden(name),
            got=dumped.raws,
            wrong=self.wrong[name],
            faulty=dumped.faulty,
            faults=_faults(dumped.kinds),
            rows=() if place is None else tuple(place.frame.steps.tolist()),
            own=own,
            first_own=None
            if first is None
            else self._describer.mismatch(dumped, first[1], replay.recomputed.get(name)),
        )


def _faults(kinds: Raws) -> dict[str, int]:
    counts = np.bincount(kinds.reshape(-1), minlength=len(Fault))
    return {text: int(counts[kind]) for kind, text in TEXTS.items() if counts[kind]}


def first_cause(wrong: Mapping[str, Flags], program: Program) -> tuple[str, tuple[int, ...]] | None:
    """The entry and the index of the value that is made first of all those that are wrong."""
    found = [(*_first(flags, program.places.get(name)), name) for name, flags in wrong.items() if flags.any()]
    if not found:
        return None
    _, index, name = min(found, key=lambda each: each[0])
    return name, index


def _first(wrong: Flags, place: Place | None) -> tuple[Key, tuple[int, ...]]:
    """The first value of an entry, and when it is made; stored tensors stand there before the first case."""
    if place is None:
        index = tuple(int(each) for each in np.unravel_index(int(wrong.argmax()), wrong.shape))
        return (-1,), index
    rows = np.flatnonzero(wrong if wrong.ndim == 1 else wrong.any(axis=1))
    frame = place.frame
    case = frame.case_of(int(rows[0]))
    own = rows[(rows >= frame.first[case]) & (rows <= frame.ends[case])]
    row = int(own[-1] if place.backward else own[0])
    step = int(frame.ends[case] - row if place.backward else row - frame.first[case])
    unit = () if wrong.ndim == 1 else (int(wrong[row].argmax()),)
    return (case, place.phase, step, place.rank, *unit), (row, *unit)
