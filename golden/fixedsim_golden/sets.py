"""A golden set that is there: its manifest, its model, its cases, and its entries as raws, every file checked."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, FixedsimError
from fixedsim.formats import Format
from fixedsim.model import Model, load_model
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.encodings import ENCODINGS, Layout, from_words, read_npy
from fixedsim_golden.manifest import NAME, EntryRecord, FileRecord, Manifest, read_manifest
from fixedsim_golden.playing import lstms

Raws = NDArray[Any]


@dataclass(frozen=True)
class GoldenSet:
    """A set in a folder; the manifest is checked when it is opened, each file when it is read."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path | str) -> "GoldenSet":
        """The set of a folder.

        Raises:
            FileError: no manifest, a damaged one, or one of a schema that this version does not know.
        """
        return cls(Path(folder), read_manifest(Path(folder)))

    def content(self, record: FileRecord) -> bytes:
        """The bytes of a file.

        Raises:
            FileError: missing, or of another size or digest than the manifest says.
        """
        path = self.folder / record.path
        try:
            if path.stat().st_size != record.bytes:
                raise FileError(f"{path} must be of {record.bytes} bytes, not {path.stat().st_size}")
            content = path.read_bytes()
        except OSError as error:
            raise FileError(
                f"{path} must be a file of the set, not {(error.strerror or 'unreadable').lower()!r}"
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != record.sha256:
            raise FileError(f"{path} must have the SHA-256 {record.sha256}, not {found}: it has changed")
        return content

    def raws(self, name: str) -> Raws:
        """The raws of an entry, in its shape.

        Raises:
            FileError: a file that is missing or damaged.
            KeyError: no such entry.
        """
        return self.decoded(self.manifest.entry(name), "npy")

    def decoded(self, entry: EntryRecord, encoding: str) -> Raws:
        """The raws that a file of an entry holds.

        Raises:
            FileError: a file that is missing, damaged or holds something else than the manifest says.
        """
        record = entry.file(encoding)
        if record is None:
            raise FileError(f"{self.folder}: {entry.name} must have a file in the encoding {encoding!r}, not none")
        content, source = self.content(record), str(self.folder / record.path)
        shape = tuple(entry.shape)
        if encoding == "npy":
            raws = read_npy(content, source)
            if raws.shape != shape:
                raise FileError(f"{source} must have the shape {shape}, not {raws.shape}")
            return raws
        if encoding not in ENCODINGS:
            raise FileError(f"{source}: encoding must be one of {', '.join(ENCODINGS)}, not {encoding!r}")
        read = ENCODINGS[encoding].read(content, entry.word_bits, source, limit=entry.words)
        if read.faults:
            place, reason = next(iter(read.faults.items()))
            raise FileError(f"{source}: word {place} must be readable, but {reason}")
        if len(read.words) != entry.words:
            raise FileError(f"{source} must have {entry.words} words, not {len(read.words)}")
        try:
            return from_words(read.words, shape, entry.format.format, Layout.from_dict(entry.layout))
        except FixedsimError as error:
            raise FileError(f"{source}: {error}") from None

    @cached_property
    def model(self) -> Model:
        """The model of the set.

        Raises:
            FileError: a file that is missing or damaged.
        """
        record = self.manifest.model.file
        self.content(record)
        return load_model(self.folder / record.path)

    @cached_property
    def cases(self) -> list[Case]:
        """The cases, with their inputs and the states that they bring.

        Raises:
            FileError: a file that is missing or damaged.
        """
        names = list(lstms(self.model))
        known = {entry.name for entry in self.manifest.entries}
        needed = ["input", *(f"{name}.initial_state.{what}" for name in names for what in ("hidden", "cell"))]
        missing = [name for name in needed if name not in known]
        if missing:
            raise FileError(f"{self.folder}: entries must be those that the model has, but {missing[0]} is missing")
        inputs = self.raws("input")
        states = {
            name: tuple(self.raws(f"{name}.initial_state.{what}") for what in ("hidden", "cell")) for name in names
        }
        self._check_lengths(inputs, states)
        found = []
        for place, record in enumerate(self.manifest.cases):
            start = Start(record.start)
            brought = {name: (h[place], c[place]) for name, (h, c) in states.items()} if start is Start.INJECTED else {}
            own = np.asarray(inputs[record.first : record.first + record.steps], dtype=np.int64)
            found.append(Case(record.id, tuple(record.flags), own, start, brought, tuple(record.resets)))
        return found

    def _check_lengths(self, inputs: Raws, states: Mapping[str, tuple[Raws, ...]]) -> None:
        """Refuse inputs and states that are not those of the cases.

        Raises:
            FileError: too few or too many.
        """
        cases = self.manifest.cases
        steps = sum(case.steps for case in cases)
        if len(inputs) != steps:
            raise FileError(f"{self.folder}: input must have the {steps} steps of the cases, not {len(inputs)}")
        for name, parts in states.items():
            if any(len(part) != len(cases) for part in parts):
                raise FileError(f"{self.folder}: states of {name} must be those of {len(cases)} cases")

    def unlisted(self) -> Iterator[Path]:
        """Files in the folder that the manifest does not name."""
        listed = {NAME, *(record.path for record in self.manifest.files)}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.relative_to(self.folder).as_posix() not in listed:
                yield path

    def form(self, name: str) -> Format:
        """The format of an entry."""
        return self.manifest.entry(name).format.format
