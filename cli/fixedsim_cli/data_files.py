"""Arrays from and to files: .npy inputs, .npz results and states. Nothing is unpickled."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim.files import read_tensors, write_atomically
from fixedsim.model import RunResult

Array = NDArray[Any]
State = dict[str, tuple[Array, Array]]
_NUMBERS = "fiub"
_STATE = "state/"


def read_array(path: Path) -> Array:
    """The numbers or booleans of a ``.npy`` file.

    Raises:
        FileError: the file is missing, of another kind, of another size than it claims, or holds no numbers.
    """
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # a map refuses a file shorter than it claims
    except OSError as error:
        reason = "array file" if error.strerror is None else error.strerror
        raise FileError(f"{path} must be a readable .npy file, not {reason.lower()!r}") from None
    except (ValueError, EOFError) as error:
        raise FileError(f"{path} must be a .npy file of numbers, not {str(error)!r}") from None
    if not isinstance(mapped, np.memmap):
        mapped.close()
        raise FileError(f"{path} must be a .npy file of one array, not an archive")
    if mapped.dtype.kind not in _NUMBERS or mapped.dtype.itemsize > 8:
        raise FileError(f"{path} must be a .npy file of numbers, not {mapped.dtype}")
    return np.array(mapped, dtype=mapped.dtype.newbyteorder("="))


def read_state(path: Path) -> State:
    """LSTM name to ``(h, c)`` from keys ``<name>.h`` and ``<name>.c``, or ``state/<name>.h`` of a run's results.

    Raises:
        FileError: not an archive of arrays, or an ``h`` or ``c`` without the other.
    """
    tensors = read_tensors(path).tensors
    found = {key.removeprefix(_STATE): raws for key, raws in tensors.items() if key.startswith(_STATE)} or tensors
    names = {key.rpartition(".")[0] for key in found}
    wanted = {f"{name}.{part}" for name in names for part in "hc"}
    for key in sorted(wanted ^ found.keys()):
        given = "missing" if key in wanted else "another array"
        raise FileError(f"{path}: state must be <name>.h and <name>.c for each LSTM, not {key!r} {given}")
    return {name: (found[f"{name}.h"], found[f"{name}.c"]) for name in sorted(names)}


def state_arrays(result: RunResult) -> dict[str, Array]:
    """The state after a run by key ``<name>.h`` and ``<name>.c``."""
    return {
        f"{name}.{part}": raws for name, pair in result.state.items() for part, raws in zip("hc", pair, strict=True)
    }


def result_arrays(result: RunResult) -> dict[str, Array]:
    """Everything that a run gave: ``raw``, ``real``, ``trace/<signal>``, ``state/<name>.h`` and ``.c``."""
    arrays: dict[str, Array] = {} if result.raw is None else {"raw": result.raw}
    arrays["real"] = result.real
    arrays |= {f"trace/{name}": raws for name, raws in sorted(result.trace.items())}
    return arrays | {f"{_STATE}{key}": raws for key, raws in state_arrays(result).items()}


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write a ``.npz`` file, atomically; the same arrays give the same bytes.

    Raises:
        FileError: the file cannot be written.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:  # dated 1980
                npy.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    write_atomically(path, content.getvalue())
