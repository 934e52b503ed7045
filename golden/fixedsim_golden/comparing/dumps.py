"""The dump of a device: files named as in the set, in any encoding, of some of its entries or of all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, InputError, nearest
from fixedsim_golden.comparing.decoding import TEXTS, Arrangement, Decoded, Fault, Kinds, Raws, decoded, not_raws
from fixedsim_golden.encodings import ENCODINGS, Layout, read_npy
from fixedsim_golden.manifest import EntryRecord
from fixedsim_golden.sets import GoldenSet

NPY = "npy"
SUFFIXES: Mapping[str, str] = {NPY: ".npy"} | {name: encoding.suffix for name, encoding in ENCODINGS.items()}


@dataclass(frozen=True, eq=False)
class Dumped:
    """One entry of a dump."""

    entry: EntryRecord
    path: Path
    encoding: str
    raws: Raws  # in the shape of the entry
    kinds: Kinds  # where the raws are not to be used, a Fault
    surplus: int  # words beyond those of the entry
    reasons: Mapping[int, str] = field(default_factory=dict)  # of words, from the reader

    @property
    def words(self) -> int:
        """The words of the entry, in an array one for each value."""
        return int(self.raws.size) if self.encoding == NPY else self.entry.words

    @property
    def faulty(self) -> NDArray[np.bool_]:
        """Where the raws are not to be used."""
        return np.asarray(self.kinds != Fault.NONE)

    def reason(self, index: tuple[int, ...]) -> str:
        """Why the value at an index is a fault, or nothing."""
        kind = Fault(int(self.kinds[index]))
        if kind in (Fault.UNKNOWN, Fault.UNREADABLE):
            return self.reasons[arrangement(self.entry).word_of(index)]
        return "" if kind is Fault.NONE else TEXTS[kind]


def arrangement(entry: EntryRecord) -> Arrangement:
    """Where the values of an entry stand in its words."""
    return Arrangement(tuple(entry.shape), entry.format.format, Layout.from_dict(entry.layout))


@dataclass(frozen=True)
class DumpFile:
    """A file of a dump: of which entry, and how it is encoded."""

    entry: EntryRecord
    path: Path
    encoding: str


def dump_files(golden: GoldenSet, dump: Path | str, encoding: str | None = None) -> list[DumpFile]:
    """The files of a dump, in the order of the set's entries.

    Args:
        golden: the set.
        dump: a folder, with the files in it or in subfolders named as encodings, or one file.
        encoding: read files with this encoding's suffix only, and let others be; None: each by its suffix.

    Raises:
        FileError: nothing that can be read, a file of no entry, two files of one entry, or a suffix of no encoding.
        InputError: no such encoding.
    """
    if encoding is not None and encoding not in SUFFIXES:
        raise InputError(
            f"encoding must be one of {', '.join(SUFFIXES)}, not {encoding!r}{nearest(encoding, SUFFIXES)}"
        )
    path = Path(dump)
    if path.is_file():
        return [_file(golden, path, encoding)]
    if not path.is_dir():
        raise FileError(f"{path} must be a folder or a file of a dump, not something that is not there")
    found = [_file(golden, each, encoding) for each in _candidates(path, encoding)]
    if not found:
        wanted = "" if encoding is None else f" in the encoding {encoding!r}"
        raise FileError(f"{path} must hold files named as the set's entries{wanted}, not none")
    return _in_order(golden, found)


def _candidates(folder: Path, encoding: str | None) -> Iterator[Path]:
    """Visible files of a folder and of its subfolders for encodings."""
    folders = [folder, *(folder / name for name in SUFFIXES if (folder / name).is_dir())]
    for each in folders:
        for path in sorted(each.iterdir()):
            seen = path.is_file() and not path.name.startswith(".")
            if seen and (encoding is None or path.name.endswith(SUFFIXES[encoding])):
                yield path


def _file(golden: GoldenSet, path: Path, encoding: str | None) -> DumpFile:
    if encoding is None:
        fitting = [name for name, suffix in SUFFIXES.items() if path.name.endswith(suffix)]
        if not fitting:
            known = ", ".join(SUFFIXES.values())
            raise FileError(f"{path} must end in one of {known}, not {path.suffix!r}; or name the encoding")
        encoding = path.parent.name if path.parent.name in fitting else fitting[0]
    name = path.name.removesuffix(SUFFIXES[encoding])
    names = [entry.name for entry in golden.manifest.entries]
    if name not in names:
        raise FileError(f"{path} must be named as an entry of the set, not {name!r}{_hint(name, names)}")
    return DumpFile(golden.manifest.entry(name), path, encoding)


def _hint(name: str, names: Sequence[str]) -> str:
    """The name that is nearest; of a long list of others nothing."""
    hint = nearest(name, names)
    return hint if "did you mean" in hint or len(names) <= 20 else f"; the set has {len(names)} entries"


def _in_order(golden: GoldenSet, found: Sequence[DumpFile]) -> list[DumpFile]:
    by_name: dict[str, DumpFile] = {}
    for file in found:
        other = by_name.setdefault(file.entry.name, file)
        if other is not file:
            raise FileError(
                f"{file.entry.name} must be in one file of the dump, not in {other.path} and {file.path}; "
                f"name the encoding"
            )
    return [by_name[entry.name] for entry in golden.manifest.entries if entry.name in by_name]


def read_dumped(file: DumpFile) -> Dumped:
    """The values of a file; words that are missing, too many or unusable are faults of it.

    Raises:
        FileError: a file that cannot be read, or that is none of its encoding.
    """
    try:
        content = file.path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise FileError(f"{file.path} must be a readable file, not {reason!r}") from None
    source = str(file.path)
    if file.encoding == NPY:
        found = _of_array(read_npy(content, source), file.entry, source)
        return Dumped(file.entry, file.path, file.encoding, found.raws, found.kinds, found.surplus)
    read = ENCODINGS[file.encoding].read(content, file.entry.word_bits, source)
    found = decoded(read, arrangement(file.entry))
    return Dumped(file.entry, file.path, file.encoding, found.raws, found.kinds, found.surplus, read.faults)


def _of_array(given: Raws, entry: EntryRecord, source: str) -> Decoded:
    """An array of the entry's shape, with more or fewer of its first axis, or flat."""
    shape, form = tuple(entry.shape), entry.format.format
    if given.ndim != 1 and given.shape[1:] != shape[1:]:
        wanted = ", ".join(["n", *map(str, shape[1:])])
        raise FileError(f"{source} must have the shape ({wanted}), not {given.shape}")
    flat, size = given.reshape(-1), int(np.prod(shape, dtype=np.int64))
    raws = np.zeros(size, np.uint64 if form.raw_max >= 1 << 63 else np.int64)
    kinds = np.full(size, Fault.MISSING, np.uint8)
    count = min(size, len(flat))
    wrong = not_raws(flat[:count], form)
    raws[:count] = flat[:count].astype(raws.dtype)
    kinds[:count] = np.where(wrong, Fault.NO_RAW, Fault.NONE)
    return Decoded(raws.reshape(shape), kinds.reshape(shape), max(0, len(flat) - size))
