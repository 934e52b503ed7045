"""The content of an HDF5 file, read by another process (:mod:`hdf5`) whose every word is checked.

The HDF5 library was measured on damaged files before this was chosen: of 10,000 that
``tests/importers/mutating.py`` made, none ended the process and 29 kept it busy without end, inside a call that no
thread can interrupt. In a process of its own such a file costs its time limit. All tensors of a
file have at most 8 times its bytes, or 1 GiB where that is more; the other process takes at most three times as much
and 1 GiB, this one what the tensors have.
"""

import importlib.util
import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import DependencyError, FileError
from fixedsim.files import unreadable

MAX_EXPANSION = 8  # of all tensors together over the file, beyond QUIET_BYTES
QUIET_BYTES = 1 << 30
SECONDS = 20  # of processor time, and one more for every RATE bytes of the file
RATE = 1_000_000
MAX_HEADER_BYTES = 1 << 28
_PROGRAM = Path(__file__).with_name("hdf5.py")
_NO_PLUGINS = {"HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1"}  # no filter is loaded from elsewhere
_KINDS = "fiub"
_HALF = "bfloat16"


class Contents(NamedTuple):
    """The texts, lists of texts (both by ``path@name``) and tensors (by path, in the order of the file)."""

    texts: dict[str, str]
    lists: dict[str, list[str]]
    tensors: dict[str, NDArray[Any]]


def read_contents(path: Path) -> Contents:
    """What the HDF5 file at ``path`` holds; bfloat16 becomes float32, exactly.

    Raises:
        FileError: the file is missing, damaged or hostile.
        DependencyError: h5py is not installed.
    """
    if importlib.util.find_spec("h5py") is None:
        raise DependencyError("h5py must be installed to read Keras files; pip install 'fixedsim[keras]'")
    try:
        size = path.stat().st_size
        path.open("rb").close()
    except OSError as error:
        raise unreadable(path, error) from None
    limit, seconds = max(QUIET_BYTES, MAX_EXPANSION * size), SECONDS + size // RATE
    with _process(path, limit, seconds) as process:
        timer = threading.Timer(2 * seconds, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            return parsed(process.stdout, limit)
        except EOFError:
            status = process.wait()
            raise FileError(
                f"file must be HDF5 that is read within {seconds} seconds, not one that ends the HDF5 library "
                f"(exit status {status})"
            ) from None
        finally:
            timer.cancel()
            process.kill()


def _process(path: Path, limit: int, seconds: int) -> "subprocess.Popen[bytes]":
    places = os.pathsep.join(place for place in sys.path if place)
    return subprocess.Popen(
        [sys.executable, "-P", str(_PROGRAM), str(path.resolve()), str(limit), str(seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_NO_PLUGINS, "PYTHONPATH": places},
    )


def parsed(stream: IO[bytes], limit: int) -> Contents:
    """The contents that a stream of :mod:`hdf5` tells, whose tensors have at most ``limit`` bytes.

    Raises:
        FileError: the stream tells of an error.
        EOFError: it ends early.
    """
    header = _header(stream)
    tensors: dict[str, NDArray[Any]] = {}
    for name, dtype, shape in header["tensors"]:
        kind = np.dtype("<u2" if dtype == _HALF else dtype)
        count = math.prod(shape) * kind.itemsize
        limit -= count
        if limit < 0 or kind.kind not in _KINDS:
            raise FileError(f"dataset {name[:200]!r} must be numbers within the limit of bytes, not {dtype} of {shape}")
        if _taken(stream, 1) != b"\1":
            _header(stream)
        data = np.frombuffer(_taken(stream, count), kind).reshape(shape)
        tensors[name] = _widened(data) if dtype == _HALF else data
    return Contents(header["texts"], header["lists"], tensors)


def _header(stream: IO[bytes]) -> Any:
    """The next header, unless it tells of an error."""
    length = int.from_bytes(_taken(stream, 8), "little")
    if length > MAX_HEADER_BYTES:
        raise FileError(f"header must have at most {MAX_HEADER_BYTES} bytes, not {length}")
    header = json.loads(_taken(stream, length))
    if "error" in header:
        raise FileError(header["error"])
    return header


def _widened(halves: NDArray[Any]) -> NDArray[np.float32]:
    return (halves.astype(np.uint32) << 16).view(np.float32)


def _taken(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
