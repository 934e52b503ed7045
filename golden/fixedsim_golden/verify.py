"""Verify a golden set: every digest, every encoding, and all results computed again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fixedsim.errors import FileError
from fixedsim.model.model import ARITHMETIC
from fixedsim_golden.manifest import EntryRecord
from fixedsim_golden.playing import Entry, play
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.tensors import stored, with_bias
from fixedsim_golden.writing import described_narrowings

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Verified:
    """What was verified: files, and words compared with what the model gives now."""

    files: int
    words: int
    cases: int
    digest: str


def verify(folder: Path | str, *, engine: str = "kernels", progress: Progress | None = None) -> Verified:
    """Check every file of a set, decode every encoding, and replay all cases on the set's own model.

    Args:
        folder: the set.
        engine: ``kernels``, or ``spec``: the scalar specification, very slowly.
        progress: called with the count of entries done and the count of all.

    Raises:
        FileError: a file that is missing, changed or not of the set; an encoding that holds other integers; an entry
            that the model does not give, by its first difference.
    """
    found = GoldenSet.open(folder)
    if found.manifest.arithmetic != ARITHMETIC:
        raise FileError(f"{folder}: arithmetic must be of version {ARITHMETIC}, not {found.manifest.arithmetic}")
    for path in found.unlisted():
        raise FileError(f"{path} must be named in the manifest; it is no file of the set")
    names = [entry.name for entry in found.manifest.entries]
    signals = [entry.name for entry in found.manifest.entries if entry.role == "signal"]
    tensors = stored(found.model)
    bias = any(name.endswith("_and_bias") for name in names)
    played = play(found.model, found.cases, signals, engine)
    wanted = {entry.name: entry for entry in (*played, *tensors, *(with_bias(tensors) if bias else ()))}
    if sorted(wanted) != sorted(names):
        missing = sorted(set(wanted) ^ set(names))
        raise FileError(f"{folder}: entries must be those that the model has, but {missing[0]} is in one of them only")
    narrowings = described_narrowings(found.model)
    words = 0
    for place, entry in enumerate(found.manifest.entries):
        given = wanted[entry.name]
        _require_as_described(f"{folder}: ", entry, given, narrowings.get(entry.name))
        for record in entry.files:
            _compare(found, entry, record.encoding, given.raws)
        words += entry.words
        if progress is not None:
            progress(place + 1, len(names))
    return Verified(len(found.manifest.files) + 1, words, len(found.manifest.cases), found.manifest.digest)


def _require_as_described(subject: str, entry: EntryRecord, given: Entry, narrowing: dict[str, Any] | None) -> None:
    """What the manifest says of an entry is what the model says of it."""
    if entry.format.format != given.format:
        raise FileError(f"{subject}format of {entry.name} must be {given.format.name}, not {entry.format.name}")
    said: dict[str, Any] = {"role": entry.role, "layer": entry.layer, "axes": entry.axes}
    true: dict[str, Any] = {"role": given.role, "layer": given.layer, "axes": list(given.axes)}
    said["narrowing"] = None if entry.narrowing is None else entry.narrowing.model_dump(mode="json")
    true["narrowing"] = narrowing
    for key, value in true.items():
        if said[key] != value:
            raise FileError(f"{subject}{key} of {entry.name} must be {value}, not {said[key]}")


def _compare(found: GoldenSet, entry: EntryRecord, encoding: str, wanted: np.ndarray) -> None:
    raws = found.decoded(entry, encoding)
    if raws.shape != wanted.shape:
        raise FileError(f"{found.folder}: {entry.name} must have the shape {wanted.shape}, not {raws.shape}")
    wrong = np.argwhere(raws != wanted)
    if len(wrong):
        place = tuple(int(index) for index in wrong[0])
        raise FileError(
            f"{found.folder}: {entry.name}{list(place)} in {encoding} must be {int(wanted[place])}, "
            f"what the model gives, not {int(raws[place])}"
        )
