"""Read NumPy archives: every member's size is checked against its header before it is loaded."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fixedsim.errors import FileError

MAX_EXPANSION = 8  # of all members together over the file, beyond MAX_QUIET_BYTES
MAX_QUIET_BYTES = 1 << 30
MAX_TEXT_BYTES = 1 << 24
_NUMBERS = "fiu"
# What NumPy's reader of a header lets through, which takes it for Python's text.
_DAMAGE = (ArithmeticError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError, tokenize.TokenError)
_SUFFIX = ".npy"


def read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays of an ``.npz`` file, and as metadata those that are one string each.

    Raises:
        FileError: the archive is damaged, expands too far, or has a member that is not an array of numbers.
        OSError: the file cannot be read.
    """
    arrays = _members(path, lambda archive, info: True)
    texts = {name: str(array) for name, array in arrays.items() if array.dtype.kind == "U"}
    return {name: array for name, array in arrays.items() if name not in texts}, texts


def read_npz_texts(path: Path) -> dict[str, str]:
    """The members of an ``.npz`` file that are one string each; of the others only the headers are read.

    Raises:
        FileError: the archive is damaged where that shows in its headers, or expands too far.
        OSError: the file cannot be read.
    """
    return {name: str(array) for name, array in _members(path, _is_text).items()}


def _members(path: Path, wanted: Callable[[zipfile.ZipFile, zipfile.ZipInfo], bool]) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            chosen = [info for info in archive.infolist() if wanted(archive, info)]
            return {info.filename.removesuffix(_SUFFIX): _member(path, archive, info) for info in chosen}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise FileError(f"{path} must be an .npz archive, not {str(error)!r}") from None


def _is_text(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    with archive.open(info) as stream:
        return array_header(stream)[2].kind == "U"


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    names = {info.filename for info in members}
    if len(names) < len(members):
        raise FileError(f"{path} must hold each member once, not {len(members)} members of {len(names)} names")
    total, size = sum(info.file_size for info in members), path.stat().st_size
    if total > MAX_QUIET_BYTES and total > MAX_EXPANSION * size:
        raise FileError(f"{path} must expand to at most {MAX_EXPANSION} times its {size} bytes, not to {total}")


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as stream:
        shape, _, dtype = array_header(stream)
        _check_array(f"{path}: member {info.filename!r}", dtype, shape)
        wanted, given = math.prod(shape) * dtype.itemsize, info.file_size - stream.tell()
        if wanted != given:
            raise FileError(f"{path}: member {info.filename!r} must hold {wanted} bytes for {shape}, not {given}")
    with archive.open(info) as stream:
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return array.astype(dtype.newbyteorder("="), order="C", copy=False)


def array_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis runs fastest, and dtype of the ``.npy`` array that begins here.

    Raises:
        ValueError: whatever is wrong with the header.
    """
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array format version {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        return read(stream)
    except _DAMAGE as error:
        raise ValueError(str(error)) from None


def _check_array(subject: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    number = dtype.kind in _NUMBERS and dtype.itemsize <= 8
    text = dtype.kind == "U" and shape == () and dtype.itemsize <= MAX_TEXT_BYTES
    if not number and not text:
        raise FileError(f"{subject} must be an array of numbers or one string, not {dtype} of shape {shape}")
