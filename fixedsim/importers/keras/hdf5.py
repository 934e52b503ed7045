"""Read an HDF5 file in a process of its own, which a damaged file may end: ``python hdf5.py FILE BYTES SECONDS``.

Nothing of fixedsim is imported. Written to standard output are 8 bytes, the length of a JSON header, then the header,
then for each tensor in its order a byte 1 and the data, little-endian. The header holds ``texts`` (attributes
``path@name`` that are one string), ``lists`` (those that are lists of strings), ``tensors`` (path, dtype, shape), or
``error``, which says what the file must be; a byte 0 and another header in place of a tensor are an error too.
Groups of an optimizer are passed over. Links out of the file, virtual and external data are refused, and sizes are
checked before data are read: all tensors together have at most BYTES.
"""

import importlib
import json
import sys
from typing import IO, Any

import h5py
import numpy as np

OWN_BYTES = 1 << 30  # of address space for the interpreter and its libraries
MAX_OBJECTS = 20_000
MAX_DEPTH = 32
MAX_RANK = 8
MAX_TEXT = 1 << 26  # characters of all attributes together
HALF = "bfloat16"  # dtype in the header; its data are 16-bit unsigned integers
_PASSED_OVER = ("optimizer_weights", "optimizer")  # groups at the root
_TEXTS = ("model_config", "keras_version", "backend", "name", "dtype")
_LISTS = ("layer_names", "weight_names")
_DAMAGE = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)


class Refused(Exception):
    """What the file must be."""


class Walk:
    """What hard links reach from the root of a file, within limits."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.texts: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self.tensors: list[tuple[str, str, tuple[int, ...]]] = []
        self.datasets: list[Any] = []
        self.bytes = self.characters = 0
        self.seen: set[Any] = set()

    def group(self, group: Any, path: str, depth: int = 0) -> None:
        """Take a group's attributes and what is in it."""
        if depth > MAX_DEPTH:
            raise Refused(f"groups must be nested at most {MAX_DEPTH} deep, not deeper than {path[:200]!r}")
        self._attributes(group, path)
        for name in group:
            inside = f"{path}/{name}" if path else name
            if inside in _PASSED_OVER:
                continue
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"{inside[:200]!r} must stand in the file itself, not behind a soft or external link")
            self._object(group[name], inside, depth)

    def _object(self, found: Any, path: str, depth: int) -> None:
        info = h5py.h5o.get_info(found.id)
        key = (info.fileno, info.addr)
        if key in self.seen or len(self.seen) >= MAX_OBJECTS:
            allowed = "once" if key in self.seen else f"among at most {MAX_OBJECTS} objects"
            raise Refused(f"{path[:200]!r} must stand in the file {allowed}, not otherwise")
        self.seen.add(key)
        if isinstance(found, h5py.Group):
            self.group(found, path, depth + 1)
        elif isinstance(found, h5py.Dataset):
            self._dataset(found, path)
        else:
            raise Refused(f"{path[:200]!r} must be a group or a dataset, not {type(found).__name__}")

    def _dataset(self, dataset: Any, path: str) -> None:
        self._attributes(dataset, path)
        dtype, shape = self._dtype(dataset, path), dataset.shape
        if dataset.is_virtual or dataset.external:
            raise Refused(f"dataset {path[:200]!r} must be stored in the file, not in another")
        count = dataset.dtype.itemsize
        for side in shape:
            count *= int(side)
        self.bytes += count
        if self.bytes > self.limit:
            raise Refused(f"datasets must have at most {self.limit} bytes together, not {self.bytes}")
        stored = dataset.id.get_storage_size()
        if dataset.chunks is None and stored != count:
            raise Refused(f"dataset {path[:200]!r} must hold {count} bytes, not {stored}")
        self.tensors.append((path, dtype, shape))
        self.datasets.append(dataset)

    def _dtype(self, dataset: Any, path: str) -> str:
        dtype, shape = dataset.dtype, dataset.shape
        number = dtype.kind in "fiub" and dtype.itemsize <= 8
        half = dtype.kind == "V" and dtype.itemsize == 2 and self.texts.get(f"{path}@dtype") == HALF
        if (not number and not half) or shape is None or len(shape) > MAX_RANK:
            raise Refused(f"dataset {path[:200]!r} must be numbers, not {dtype} of shape {shape}")
        return HALF if half else str(dtype.newbyteorder("<").str)

    def _attributes(self, holder: Any, path: str) -> None:
        for name in holder.attrs:
            listed = name.rstrip("0123456789") in _LISTS
            if name not in _TEXTS and not listed:
                continue
            kind, where = holder.attrs.get_id(name), f"{path}@{name}"
            if kind.shape is None or 0 in kind.shape:
                words: list[str] = []
            elif h5py.check_string_dtype(kind.dtype) is None and kind.dtype.kind != "S":
                raise Refused(f"attribute {where[:200]!r} must be text, not {kind.dtype}")
            elif len(kind.shape) > 1 or (len(kind.shape) == 1 and kind.shape[0] > MAX_OBJECTS):
                raise Refused(f"attribute {where[:200]!r} must be at most {MAX_OBJECTS} strings, not {kind.shape}")
            else:
                words = [self._text(word) for word in np.asarray(holder.attrs[name]).reshape(-1)]
            if listed:
                self.lists[where] = words
            elif words:
                self.texts[where] = words[0]

    def _text(self, value: Any) -> str:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        self.characters += len(text)
        if self.characters > MAX_TEXT:
            raise Refused(f"attributes must hold at most {MAX_TEXT} characters, not more")
        return text


def write(path: str, stream: IO[bytes], limit: int) -> None:
    """Write what the file at ``path`` holds, its tensors having at most ``limit`` bytes; see the module's docstring."""
    before = b""  # of a header that tells of an error
    try:
        with h5py.File(path, "r", locking=False) as file:
            walk = Walk(limit)
            walk.group(file, "")
            stream.write(_header({"texts": walk.texts, "lists": walk.lists, "tensors": walk.tensors}))
            before = b"\0"
            for (_, dtype, _), dataset in zip(walk.tensors, walk.datasets, strict=True):
                stream.write(b"\1" + _data(dataset[()], dtype))
    except Refused as refused:
        stream.write(before + _header({"error": str(refused)}))
    except _DAMAGE as error:
        stream.write(before + _header({"error": f"file must be HDF5 that can be read, not {str(error)[:200]!r}"}))


def _data(values: Any, dtype: str) -> bytes:
    whole = np.asarray(values, order="C")
    return bytes(whole.tobytes() if dtype == HALF else whole.astype(dtype, copy=False).tobytes())


def _header(content: dict[str, Any]) -> bytes:
    text = json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text


def _limit_self(size: int, seconds: int) -> None:
    """Bound the memory and the time of this process, where the system can, and let it write no file."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return
    limits = {"RLIMIT_AS": 3 * size + OWN_BYTES, "RLIMIT_CPU": seconds, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0}
    for name, limit in limits.items():
        which = getattr(resource, name)
        hard = resource.getrlimit(which)[1]
        lower = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (lower, lower))


if __name__ == "__main__":
    _limit_self(int(sys.argv[2]), int(sys.argv[3]))
    write(sys.argv[1], sys.stdout.buffer, int(sys.argv[2]))
