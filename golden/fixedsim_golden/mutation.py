"""Altered copies of a golden set, each of which a test bench must reject."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from fixedsim.errors import FileError, FormatError, InputError
from fixedsim.patterns import matching
from fixedsim_golden.drawing import Draw
from fixedsim_golden.encodings import ENCODINGS, Layout, to_words, write_npy
from fixedsim_golden.manifest import EntryRecord
from fixedsim_golden.sets import GoldenSet, Raws

INDEX = "mutations.json"
EXPECTATIONS = ("output", "signal", "final_state")  # roles
_TEXTS = ("hex", "bin", "mem")  # encodings of one word a line
_TRIES = 64


class Kind(StrEnum):
    """What is altered."""

    BIT = "bit"  # one bit of one value
    WORD = "word"  # one value
    LATE = "late"  # every step has the values of the one before
    UNITS = "units"  # two units of one step are swapped
    STEPS = "steps"  # two steps are swapped
    FINAL = "final"  # one value of a final state
    SHORT = "short"  # the last word is left out
    LONG = "long"  # one word more
    WIDE = "wide"  # one digit more in one word
    UNKNOWN = "unknown"  # one digit is x
    MISSING = "missing"  # no file


@dataclass(frozen=True)
class Mutation:
    """One altered copy: its folder, what was altered in which entry, and where (a step and a unit, or a word)."""

    folder: str
    kind: Kind
    entry: str
    place: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class _Altered:
    """New contents of an entry's files by their paths, None for one that is taken away, and what was done."""

    files: Mapping[str, bytes | None]
    place: tuple[int, ...]
    text: str


def mutate(
    folder: Path | str, output: Path | str, *, seed: int = 0, count: int = 22, entries: Sequence[str] = ("*",)
) -> list[Mutation]:
    """Write altered copies of a set into folders of ``output``, and list them there in ``mutations.json``.

    Each differs from the set in one entry of its outputs, signals or final states. Files that are not altered are hard
    links where the file system allows it. Manifests stay as they are, so that :func:`fixedsim_golden.verify.verify`
    refuses every copy. Texts are altered in the encodings hex, bin and mem, values in all of them.

    Args:
        folder: the set.
        output: a folder that does not exist, or an empty one.
        seed: of what is altered; the kinds come in turn.
        count: how many copies.
        entries: patterns of the entries to alter.

    Raises:
        InputError: fewer than one copy, a pattern that matches no expectation, or expectations that no kind can alter.
        FileError: a set that is damaged, or a folder that is not empty or cannot be written.
    """
    if count < 1:
        raise InputError(f"count must be at least 1, not {count}")
    golden, target = GoldenSet.open(folder), Path(output)
    known = {entry.name: entry for entry in golden.manifest.entries if entry.role in EXPECTATIONS}
    chosen = matching(entries, list(known), "pattern of expectations")
    _require_empty(target)
    altering = _Altering(golden, [entry for name, entry in known.items() if name in chosen], Draw(seed))
    found = []
    try:
        for number, (kind, entry, altered) in zip(range(count), altering.forever(), strict=False):
            name = f"{number:03}-{kind}-{entry.name}"
            _copy(golden, target / name, altered.files)
            found.append(Mutation(name, kind, entry.name, altered.place, altered.text))
        index = json.dumps([asdict(mutation) for mutation in found], indent=1) + "\n"
        (target / INDEX).write_text(index, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or "unwritable").lower()
        raise FileError(f"{target} must be a folder that can be written, not {reason!r}") from None
    return found


def _require_empty(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileError(f"{target} must be a folder that is new or empty, not one with something in it")


def _copy(golden: GoldenSet, target: Path, files: Mapping[str, bytes | None]) -> None:
    """The set in another folder, but for some files."""
    for path in sorted(golden.folder.rglob("*")):
        name = path.relative_to(golden.folder).as_posix()
        if path.is_dir() or (name in files and files[name] is None):
            continue
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = files.get(name)
        if content is None:
            _link(path, copy)
        else:
            copy.write_bytes(content)


def _link(path: Path, copy: Path) -> None:
    """A hard link, or a copy where there can be none."""
    try:
        os.link(path, copy)
    except OSError:
        shutil.copyfile(path, copy)


class _Altering:
    """Alterations of the expectations of a set, one after the other."""

    def __init__(self, golden: GoldenSet, entries: Sequence[EntryRecord], draw: Draw) -> None:
        self.golden, self.entries, self.draw = golden, entries, draw

    def forever(self) -> Iterator[tuple[Kind, EntryRecord, _Altered]]:
        """Alterations of all kinds in turn, without end.

        Raises:
            InputError: no kind can alter any entry.
        """
        while True:
            count = 0
            for kind in Kind:
                found = self._some(kind)
                if found is not None:
                    count += 1
                    yield (kind, *found)
            if not count:
                raise InputError("expectations must hold something that can be altered, not constants of one raw")

    def _some(self, kind: Kind) -> tuple[EntryRecord, _Altered] | None:
        """An alteration of this kind in some entry, if any can be had."""
        allowed = [entry for entry in self.entries if kind is not Kind.FINAL or entry.role == "final_state"]
        for _ in range(_TRIES if allowed else 0):
            entry = allowed[self.draw.below(len(allowed))]
            altered = self._text(kind, entry) if kind in _OF_TEXTS else self._values(kind, entry)
            if altered is not None:
                return entry, altered
        return None

    def _values(self, kind: Kind, entry: EntryRecord) -> _Altered | None:
        """Other raws in all files of the entry, or None where these would be the same."""
        raws = self.golden.raws(entry.name)
        found = _OF_VALUES[kind](raws, entry, self.draw)
        if found is None or np.array_equal(found[0], raws):
            return None
        changed, place, text = found
        form = entry.format.format
        words = to_words(changed, form, Layout.from_dict(entry.layout))
        files: dict[str, bytes | None] = {
            file.path: write_npy(changed, form)
            if file.encoding == "npy"
            else ENCODINGS[file.encoding].write(words, entry.name)
            for file in entry.files
        }
        return _Altered(files, place, text)

    def _text(self, kind: Kind, entry: EntryRecord) -> _Altered | None:
        """Other text in the files of the entry that hold one word a line."""
        texts = {file.path: self.golden.content(file) for file in entry.files if file.encoding in _TEXTS}
        if not texts or not entry.words:
            return None
        if kind is Kind.MISSING:
            return _Altered(dict.fromkeys((file.path for file in entry.files), None), (), "no file")
        place = entry.words - 1 if kind in (Kind.SHORT, Kind.LONG) else self.draw.below(entry.words)
        files = {path: _edited(kind, text, place, entry.words) for path, text in texts.items()}
        return _Altered(files, (place,), _OF_TEXTS[kind])


_OF_TEXTS: Mapping[Kind, str] = {
    Kind.SHORT: "the last word is left out",
    Kind.LONG: "the last word stands twice",
    Kind.WIDE: "a word has one digit more, a 1 in front",
    Kind.UNKNOWN: "the first digit of a word is x",
    Kind.MISSING: "no file",
}


def _edited(kind: Kind, text: bytes, place: int, words: int) -> bytes:
    """The text with one word edited; lines before the words stay."""
    lines = text.splitlines(keepends=True)
    at = len(lines) - words + place
    word = lines[at]
    edited = {Kind.SHORT: [], Kind.LONG: [word, word], Kind.WIDE: [b"1" + word], Kind.UNKNOWN: [b"x" + word[1:]]}
    return b"".join([*lines[:at], *edited[kind], *lines[at + 1 :]])


Changed = tuple[Raws, tuple[int, ...], str] | None


def _index(raws: Raws, draw: Draw) -> tuple[int, ...]:
    flat = draw.below(raws.size)
    return tuple(int(axis) for axis in np.unravel_index(flat, raws.shape))


def _replaced(raws: Raws, place: tuple[int, ...], raw: int) -> Changed:
    changed = raws.copy()
    changed[place] = raw
    return changed, place, f"{raw} in place of {int(raws[place])}"


def _bit(raws: Raws, entry: EntryRecord, draw: Draw) -> Changed:
    """One bit of one code turned, if that is the code of a raw."""
    form, place = entry.format.format, _index(raws, draw)
    try:
        return _replaced(raws, place, form.raw(form.code(int(raws[place])) ^ 1 << draw.below(form.bits)))
    except FormatError:
        return None


def _word(raws: Raws, entry: EntryRecord, draw: Draw) -> Changed:
    return _replaced(raws, _index(raws, draw), int(draw.raws(entry.format.format, (1,))[0]))


def _late(raws: Raws, entry: EntryRecord, draw: Draw) -> Changed:
    return np.concatenate([raws[:1], raws[:-1]]), (1,), "each step has the values of the one before"


def _units(raws: Raws, entry: EntryRecord, draw: Draw) -> Changed:
    if raws.ndim < 2:
        return None
    step, (first, second) = draw.below(len(raws)), (draw.below(raws.shape[1]) for _ in range(2))
    changed = raws.copy()
    changed[step, [first, second]] = raws[step, [second, first]]
    return changed, (step, first), f"swapped with unit {second}"


def _steps(raws: Raws, entry: EntryRecord, draw: Draw) -> Changed:
    first, second = (draw.below(len(raws)) for _ in range(2))
    changed = raws.copy()
    changed[[first, second]] = raws[[second, first]]
    return changed, (first,), f"swapped with step {second}"


_OF_VALUES: Mapping[Kind, Callable[[Raws, EntryRecord, Draw], Changed]] = {
    Kind.BIT: _bit,
    Kind.WORD: _word,
    Kind.LATE: _late,
    Kind.UNITS: _units,
    Kind.STEPS: _steps,
    Kind.FINAL: _word,
}
