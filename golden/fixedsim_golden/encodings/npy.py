"""NPY: the raws themselves as a NumPy array, without pickle."""

import io
import math
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from fixedsim.arrays import Raws
from fixedsim.errors import FileError, InputError
from fixedsim.formats import Format
from fixedsim_golden.encodings.encoding import MAX_WORDS

MAX_AXES = 32
_TYPES = [np.dtype(f"<{kind}{size}") for size in (1, 2, 4, 8) for kind in "ui"]
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def write_npy(raws: npt.ArrayLike, form: Format | None = None) -> bytes:
    """An array of the least integer type that holds the raws, or all raws of ``form``; little-endian, in C order.

    Raises:
        InputError: another type than integers of at most 64 bits, or raws beyond ``form``'s type.
    """
    given = np.asarray(raws)
    if given.dtype.kind not in "iu":
        raise InputError(f"raws must be integers of at most 64 bits, not {given.dtype}")
    low, high = (int(given.min()), int(given.max())) if given.size else (0, 0)
    ends = (low, high) if form is None else (form.raw_min, form.raw_max)
    if not ends[0] <= low <= high <= ends[1] and given.size:
        raise InputError(f"raws must be in {ends[0]}..{ends[1]}, not {low}..{high}")
    stream = io.BytesIO()
    npy.write_array(stream, np.ascontiguousarray(given, _least(*ends)).reshape(given.shape), (1, 0), allow_pickle=False)
    return stream.getvalue()


def _least(low: int, high: int) -> np.dtype[Any]:
    for dtype in _TYPES:
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return dtype
    raise InputError(f"raws must fit one integer type of 64 bits, not {low}..{high}")


def read_npy(data: bytes, source: str, *, limit: int | None = None) -> Raws:
    """The raws of an array of integers: int64, or uint64 where the file has that type.

    Raises:
        FileError: another kind of file or of array, another length than its header says, or more elements than
            ``limit`` (2**28 where that is less).
    """
    shape, fortran, dtype, start = _header(data, source)
    if dtype.kind not in "iu":
        raise FileError(f"{source} must be an array of integers, not of {dtype}")
    most = MAX_WORDS if limit is None else min(limit, MAX_WORDS)
    if math.prod(shape) > most:
        raise FileError(f"{source} must hold at most {most} elements, not {math.prod(shape)}")
    if len(data) - start != math.prod(shape) * dtype.itemsize:
        raise FileError(
            f"{source} must hold {math.prod(shape) * dtype.itemsize} bytes for {shape}, not {len(data) - start}"
        )
    array = np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array, np.uint64 if dtype.kind == "u" and dtype.itemsize == 8 else np.int64).reshape(
        shape
    )


def _header(data: bytes, source: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"array format version {version}")
        shape, fortran, dtype = _HEADERS[version](stream)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, TokenError) as error:
        raise FileError(f"{source} must be an .npy file, not {str(error)[:200]!r}") from None
    if any(axis < 0 for axis in shape) or len(shape) > MAX_AXES:
        raise FileError(f"{source} must have at most {MAX_AXES} axes of at least 0, not {shape}")
    return shape, fortran, dtype, stream.tell()
