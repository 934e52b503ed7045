"""The state dictionary in a checkpoint, its tensors as arrays.

Memory: all tensors together hold at most ``MAX_QUIET_BYTES``, or ``MAX_EXPANSION`` times the file, as float64; views
that share a storage, or repeat it with a stride of zero, are counted as often as they stand.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fixedsim.errors import FileError, NetworkError
from fixedsim.files.tensors import Tensors
from fixedsim.importers.pytorch.archive import Archive, read_archive
from fixedsim.importers.pytorch.values import Opaque, View, shown

MAX_EXPANSION = 8
MAX_QUIET_BYTES = 1 << 30
STATE_KEYS = ("state_dict", "model_state_dict", "model", "net")
_DICTIONARY = "file must hold a state dictionary, or a dictionary with one under state_dict or model"
_SHOWN_KEYS = 8


def read_state(path: Path) -> tuple[Tensors, tuple[str, ...]]:
    """The tensors of a state dictionary by name, and notes on what else the file holds.

    bfloat16 becomes float32, exactly; every other dtype stays.

    Raises:
        FileError: the file is damaged or claims more than it can hold.
        NetworkError: no state dictionary, or several, or a value in it that is no tensor.
    """
    archive = read_archive(path)
    state, notes = _chosen(archive.value)
    views = {name: _view(name, value) for name, value in state.items()}
    _check_expansion(views, path.stat().st_size)
    return _arrays(archive, views), notes


def _chosen(value: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The state dictionary in the value of a file."""
    if not isinstance(value, dict):
        raise NetworkError(f"{_DICTIONARY}, not {shown(value)}")
    found = [key for key in STATE_KEYS if isinstance(value.get(key), dict) and _has_tensor(value[key])]
    if len(found) > 1:
        raise NetworkError(f"checkpoint must hold one state dictionary, not {', '.join(found)}; save the one to import")
    if not found:
        if not _has_tensor(value):
            raise NetworkError(f"{_DICTIONARY}, not one of {_listed(list(value)) or 'nothing'}")
        return value, ()
    others = [key for key in value if key != found[0]]
    notes = [f"state dictionary under {found[0]!r}"]
    if others:
        notes.append(f"passed over beside it: {_listed(others)}")
    return value[found[0]], tuple(notes)


def _has_tensor(values: dict[str, Any]) -> bool:
    return any(isinstance(value, View) for value in values.values())


def _listed(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
    return ", ".join(key[:40] for key in keys[:_SHOWN_KEYS]) + more


def _view(name: str, value: Any) -> View:
    if isinstance(value, View):
        if not value.elements:
            raise NetworkError(f"tensor {name[:200]!r} must have elements, not shape {value.shape}")
        return value
    if "_packed_params" in name:
        raise NetworkError(
            f"tensor {name[:200]!r} must be a float weight, not quantized and packed; save the float model"
        )
    known = value.kind if isinstance(value, Opaque) else shown(value)
    raise NetworkError(f"value {name[:200]!r} of the state dictionary must be a tensor, not {known}")


def _check_expansion(views: dict[str, View], size: int) -> None:
    total = 8 * sum(view.elements for view in views.values())
    limit = max(MAX_QUIET_BYTES, MAX_EXPANSION * size)
    if total > limit:
        raise FileError(f"tensors must take at most {limit} bytes as float64, not {total}")


def _arrays(archive: Archive, views: dict[str, View]) -> Tensors:
    """Each tensor in row-major order; each storage is read once, and kept no longer than its last tensor."""
    by_key: dict[str, list[str]] = {}
    for name, view in views.items():
        by_key.setdefault(view.storage.key, []).append(name)
    arrays: Tensors = {}
    for names in by_key.values():
        numbers = archive.numbers(views[names[0]].storage)
        for name in names:
            view = views[name]
            strides = tuple(stride * numbers.itemsize for stride in view.strides)
            view_of_it = as_strided(numbers[view.offset :], view.shape, strides, writeable=False)
            arrays[name] = np.array(view_of_it, order="C")
    return {name: arrays[name] for name in views}
