"""Read tensors from files of weights, whose sizes are checked before they are believed. Nothing is unpickled."""

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fixedsim.errors import FileError
from fixedsim.files.npz import read_npz, read_npz_texts
from fixedsim.files.reading import unreadable

Tensors: TypeAlias = dict[str, NDArray[Any]]
Metadata: TypeAlias = dict[str, str]
Read = TypeVar("Read")

MAX_HEADER_BYTES = 100_000_000
_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1,
}  # fmt: skip


class TensorFile(NamedTuple):
    """The tensors of a file by name, and its metadata."""

    tensors: Tensors
    metadata: Metadata


def read_tensors(path: Path) -> TensorFile:
    """The tensors and metadata of a ``.safetensors`` or ``.npz`` file, chosen by its ending.

    bfloat16 becomes float32, exactly; every other dtype stays. In a ``.npz`` a single string is metadata.

    Raises:
        FileError: the file is missing, damaged, of another kind, or claims more than it can hold.
    """
    return TensorFile(*_by_suffix(path, read_npz, _read_safetensors))


def read_metadata(path: Path) -> Metadata:
    """The metadata of a ``.safetensors`` or ``.npz`` file, without its tensors.

    Raises:
        FileError: the file is missing, of another kind, or damaged where that shows in its headers.
    """
    return _by_suffix(path, read_npz_texts, lambda path: _header(path)[0].get("__metadata__", {}))


def _by_suffix(path: Path, npz: Callable[[Path], Read], safetensors: Callable[[Path], Read]) -> Read:
    if path.suffix not in (".safetensors", ".npz"):
        raise FileError(f"{path} must end in .safetensors or .npz, not {path.suffix!r}")
    try:
        return npz(path) if path.suffix == ".npz" else safetensors(path)
    except OSError as error:
        raise unreadable(path, error) from None


def _read_safetensors(path: Path) -> tuple[Tensors, Metadata]:
    header, start = _header(path)
    metadata = header.pop("__metadata__", {})
    for name, entry in header.items():
        _check_entry(path, name, entry, path.stat().st_size - start)
    try:
        with safe_open(path, framework="numpy") as file:
            halves = {name: entry for name, entry in header.items() if entry["dtype"] == "BF16"}
            tensors = {name: file.get_tensor(name) for name in header if name not in halves}
    except SafetensorError as error:
        raise FileError(f"{path} must be a safetensors file, not {str(error)!r}") from None
    for name, entry in halves.items():
        tensors[name] = _bfloat16(path, start, entry)
    return {name: tensors[name] for name in header}, metadata


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The JSON header and where the data begin."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        limit = min(size - 8, MAX_HEADER_BYTES)
        if not 2 <= length <= limit:
            raise FileError(f"{path}: header length must be in 2..{max(limit, 2)}, not {length}")
        text = stream.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise FileError(f"{path}: header must be JSON, not {text[:20]!r}") from None
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise FileError(f"{path}: header must be a JSON object with an object of metadata, not otherwise")
    return header, 8 + length


def _check_entry(path: Path, name: str, entry: Any, data_bytes: int) -> None:
    subject = f"{path}: tensor {name!r}"
    if not isinstance(entry, dict) or not entry.keys() >= {"dtype", "shape", "data_offsets"}:
        raise FileError(f"{subject} must have dtype, shape and data_offsets, not {str(entry)[:200]!r}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise FileError(f"{subject} must be one of {', '.join(_ITEM_BYTES)}, not {dtype!r}")
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2:
        raise FileError(f"{subject} must have sizes and two offsets that are not negative, not {shape} and {offsets}")
    wanted = math.prod(shape) * _ITEM_BYTES[dtype]
    if offsets[1] - offsets[0] != wanted or offsets[1] > data_bytes:
        raise FileError(f"{subject} must hold {wanted} bytes within {data_bytes}, not bytes {offsets[0]}..{offsets[1]}")


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _bfloat16(path: Path, start: int, entry: dict[str, Any]) -> NDArray[np.float32]:
    """A bfloat16 tensor as float32: its 16 bits are the upper half."""
    begin, end = entry["data_offsets"]
    halves = np.fromfile(path, "<u2", (end - begin) // 2, offset=start + begin)
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
