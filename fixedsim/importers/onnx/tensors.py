"""Tensors of an ONNX file as arrays: types, counts and files beside it checked before anything is read."""

import math
import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import numpy as np

from fixedsim.errors import FileError
from fixedsim.importers.onnx.limits import Budget
from fixedsim.importers.onnx.values import MAX_AXES, Array

MAX_ELEMENTS: Final = 1 << 31
_EXTERNAL, _BFLOAT16 = 1, 16
# Type number in a file -> NumPy's, and the field that holds values which are not given as bytes.
_TYPES: Final = {
    1: ("f4", "float_data"), 2: ("u1", "int32_data"), 3: ("i1", "int32_data"), 4: ("u2", "int32_data"),
    5: ("i2", "int32_data"), 6: ("i4", "int32_data"), 7: ("i8", "int64_data"), 9: ("?", "int32_data"),
    10: ("f2", "int32_data"), 11: ("f8", "double_data"), 12: ("u4", "uint64_data"), 13: ("u8", "uint64_data"),
    _BFLOAT16: ("u2", "int32_data"),
}  # fmt: skip
_HALVES = (10, _BFLOAT16)


class TensorReader:
    """Makes arrays of a file's tensors, those in files beside it included."""

    def __init__(self, folder: Path, budget: Budget) -> None:
        self._folder = folder
        self.budget = budget
        self._counted: set[Path] = set()

    def array(self, subject: str, tensor: Any) -> Array:
        """The tensor as a read-only array; bfloat16 as float32.

        Raises:
            FileError: a type that is not known, a shape and a content that don't fit, or a file that must not be read.
        """
        if tensor.data_type not in _TYPES:
            raise FileError(f"{subject}: type must be one of {sorted(_TYPES)}, not {tensor.data_type}")
        shape = tuple(tensor.dims)
        if len(shape) > MAX_AXES or any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
            raise FileError(f"{subject}: shape must have at most {MAX_ELEMENTS} elements, not be {shape[:MAX_AXES]}")
        if tensor.HasField("segment"):
            raise FileError(f"{subject} must stand in one piece, not in segments")
        values = self._values(subject, tensor, math.prod(shape))
        if tensor.data_type == _BFLOAT16:
            self.budget.take(4 * values.size)
            values = (values.astype(np.uint32) << 16).view(np.float32)
        array = values.reshape(shape)
        array.setflags(write=False)
        return array

    def _values(self, subject: str, tensor: Any, count: int) -> Array:
        name, field = _TYPES[tensor.data_type]
        dtype = np.dtype(name).newbyteorder("<")
        if tensor.data_location == _EXTERNAL:
            data = self._external(subject, tensor.external_data, count * dtype.itemsize)
        elif tensor.HasField("raw_data"):
            data = tensor.raw_data
            self._check_count(subject, len(data), count * dtype.itemsize, "bytes")
            self.budget.take(len(data))
        else:
            return self._listed(subject, tensor, field, count)
        return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False)

    def _listed(self, subject: str, tensor: Any, field: str, count: int) -> Array:
        """Values that stand one by one; those of 16-bit numbers are their bits."""
        values = getattr(tensor, field)
        name = _TYPES[tensor.data_type][0]
        self._check_count(subject, len(values), count, f"values in {field}")
        self.budget.take(8 * count)
        if tensor.data_type in _HALVES:
            return np.fromiter((value & 0xFFFF for value in values), np.uint16, count).view(name)
        wide = np.float64 if field == "double_data" else np.float32 if field == "float_data" else object
        return np.fromiter(values, wide, count).astype(name)

    def _check_count(self, subject: str, given: int, wanted: int, what: str) -> None:
        if given != wanted:
            raise FileError(f"{subject} must hold {wanted} {what}, not {given}")

    def _external(self, subject: str, entries: Any, wanted: int) -> bytes:
        """``wanted`` bytes of a file in the model's folder."""
        keys = {entry.key: entry.value for entry in list(entries)[:16]}
        path = self._beside(subject, keys.get("location", ""))
        offset, length = (_whole(subject, key, keys.get(key)) for key in ("offset", "length"))
        self._check_count(subject, wanted if length is None else length, wanted, "bytes")
        try:
            with path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise FileError(f"{subject}: {path} must be a file, not something else")
                if (offset or 0) + wanted > status.st_size:
                    raise FileError(f"{subject}: bytes must end in the {status.st_size} bytes of {path}, not beyond")
                if path not in self._counted:
                    self._counted.add(path)
                    self.budget.add(status.st_size)
                self.budget.take(wanted)
                stream.seek(offset or 0)
                return stream.read(wanted)
        except (OSError, ValueError) as error:
            text = getattr(error, "strerror", None) or "unreadable"
            raise FileError(f"{subject}: {path} must be a readable file, not {text.lower()!r}") from None

    def _beside(self, subject: str, location: str) -> Path:
        """The file at a relative path, which must not leave the model's folder, by links either."""
        pure, windows = PurePosixPath(location), PureWindowsPath(location)
        plain = location and "\\" not in location and "\0" not in location and not windows.drive
        if not plain or pure.is_absolute() or ".." in pure.parts or len(location) > 4096:
            raise FileError(
                f"{subject}: location must be a relative path in the model's folder, not {location[:200]!r}"
            )
        path = self._folder / pure
        folder = os.path.realpath(self._folder)
        if os.path.realpath(path) != os.path.normpath(os.path.join(folder, str(pure))):
            raise FileError(
                f"{subject}: location must be a file in the model's folder, not the link {location[:200]!r}"
            )
        if not path.is_file():
            raise FileError(
                f"{subject}: {path} must be there with the model, not missing; copy it into the same folder"
            )
        return path


def _whole(subject: str, key: str, text: str | None) -> int | None:
    """A count of bytes, or None where it is not given."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise FileError(f"{subject}: {key} of the external data must be a count of bytes, not {text[:40]!r}")
    return int(text)
