"""The files that a mapping names: found inside its folder alone, and read with their sizes checked."""

import math
import re
from array import array
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, NetworkError, nearest
from fixedsim.files import read_tensors
from fixedsim.files.npz import array_header

MAX_CSV_BYTES = 1 << 28
SUFFIXES = (".npy", ".csv", ".npz", ".safetensors")
_ARCHIVES = (".npz", ".safetensors")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\Z", re.ASCII)
_LONGEST = 400  # letters of one number
Array = NDArray[Any]


class Folder:
    """The folder of a mapping file; each file in it is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._arrays: dict[str, Array] = {}
        self._archives: dict[str, dict[str, Array]] = {}
        self.bytes = 0

    def array(self, name: str, tensor: str | None) -> Array:
        """The array of a file, or the tensor of that name of an archive.

        Raises:
            FileError: a path that leaves the folder, or a file that is missing, damaged or of another kind.
            NetworkError: an archive without a tensor's name, or one that lacks it.
        """
        path = self._inside(name)
        if path.suffix in _ARCHIVES:
            return self._member(name, path, tensor)
        if tensor is not None:
            raise NetworkError(f"{name}: tensor must be left out for a {path.suffix} file, not {tensor!r}")
        if name not in self._arrays:
            self._arrays[name] = _read(path)
            self.bytes += path.stat().st_size
        return self._arrays[name]

    def _inside(self, name: str) -> Path:
        parts = PurePosixPath(name)
        if not name or parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name or ":" in name:
            raise FileError(
                f"file must be a path below the mapping file's folder, with / and without .., not {name[:200]!r}"
            )
        if parts.suffix not in SUFFIXES:
            raise FileError(f"file must end in {', '.join(SUFFIXES)}, not {name[:200]!r}")
        try:
            path = (self._folder / parts).resolve()
        except (OSError, RuntimeError):
            raise FileError(f"file {name[:200]!r} must be a path that can be followed, not a loop of links") from None
        if not path.is_relative_to(self._folder):
            raise FileError(f"file {name[:200]!r} must stay in the mapping file's folder, not lead out of it by a link")
        if not path.is_file():
            raise FileError(f"file {name[:200]!r} must be a file, not missing or a folder")
        return path

    def _member(self, name: str, path: Path, tensor: str | None) -> Array:
        if name not in self._archives:
            self._archives[name] = _archive(path)
            self.bytes += path.stat().st_size
        members = self._archives[name]
        if tensor is None and len(members) == 1:
            return next(iter(members.values()))
        if tensor is None:
            raise NetworkError(f"{name}: tensor must be given, not missing; known: {', '.join(list(members)[:8])}")
        if tensor not in members:
            raise NetworkError(f"{name}: tensor must be one of the file's, not {tensor!r}{nearest(tensor, members)}")
        return members[tensor]


def _archive(path: Path) -> dict[str, Array]:
    return read_tensors(path).tensors


def _read(path: Path) -> Array:
    try:
        return _csv(path) if path.suffix == ".csv" else _npy(path)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise FileError(f"{path.name} must be a readable file, not {reason!r}") from None


def _npy(path: Path) -> Array:
    """A ``.npy`` file of numbers, never of objects; what its header says must be what it holds."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        try:
            shape, fortran, dtype = array_header(stream)
        except ValueError as error:
            raise FileError(f"{path.name} must be a .npy file, not {str(error)[:200]!r}") from None
        if dtype.kind not in "fiu" or dtype.itemsize > 8:
            raise FileError(f"{path.name} must hold numbers of at most 8 bytes, not {dtype}")
        wanted, given = math.prod(shape) * dtype.itemsize, size - stream.tell()
        if wanted != given:
            raise FileError(f"{path.name} must hold {wanted} bytes for {shape}, not {given}")
        values = np.frombuffer(stream.read(given), dtype)
    return values.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


def _csv(path: Path) -> NDArray[np.float64]:
    """Rows of numbers with commas between them; ``#`` begins a comment, lines without numbers are passed over.

    One row, or one number to a row, is a vector.
    """
    if path.stat().st_size > MAX_CSV_BYTES:
        raise FileError(f"{path.name} must have at most {MAX_CSV_BYTES} bytes, not {path.stat().st_size}")
    values, rows, width = array("d"), 0, 0
    try:
        with path.open(encoding="ascii") as lines:
            for number, line in enumerate(lines, 1):
                before = len(values)
                values.extend(_numbers(line.partition("#")[0].strip(), f"{path.name}: line {number}"))
                count = len(values) - before
                width, rows = width or count, rows + bool(count)
                if count not in (0, width):
                    raise FileError(f"{path.name}: line {number} must have {width} numbers, not {count}")
    except UnicodeDecodeError:
        raise FileError(f"{path.name} must be ASCII text, not other bytes") from None
    if not values:
        raise FileError(f"{path.name} must hold numbers, not none")
    table = np.array(values).reshape(rows, width)
    return table.reshape(-1) if 1 in table.shape else table


def _numbers(content: str, source: str) -> Iterator[float]:
    place = 0 if content else 1
    while place <= len(content):
        comma = content.find(",", place)
        end = len(content) if comma < 0 else comma
        cell = content[place:end].strip() if end - place <= _LONGEST else ""
        if not _NUMBER.match(cell) or not math.isfinite(value := float(cell)):
            raise FileError(
                f"{source} must be finite numbers with commas between them, not {content[place:end][:40]!r}"
            )
        yield value
        place = end + 1
