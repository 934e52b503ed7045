"""Read a network from a mapping file."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, NetworkError, nearest
from fixedsim.files import unreadable
from fixedsim.importers.conventions import CANONICAL, canonical_rows, gate_order
from fixedsim.importers.imported import Imported, Stated, WeightsFound
from fixedsim.importers.mapping.files import Folder
from fixedsim.importers.mapping.schema import Entry, Source, Stacked, entries
from fixedsim.network import Description, LstmLayer

SUFFIX: Final = ".toml"
MAX_FILE_BYTES = 1 << 20
MAX_EXPANSION = 16  # of the weights over all files together, beyond QUIET_BYTES
QUIET_BYTES = 1 << 30
_TENSORS, _WEIGHTS = "tensors", "weights"
_STACKED_BY_GATE = ("input.weight", "recurrent.weight", "bias")
Reals = NDArray[np.float64]


def recognises(path: Path) -> bool:
    """Whether a ``.toml`` file has a table ``[tensors]``."""
    try:
        return path.suffix == SUFFIX and isinstance(_content(path).get(_TENSORS), dict)
    except FileError:
        return False


def read(path: Path, stated: Stated) -> Imported:
    """The network whose layers and tensors the file names.

    Raises:
        FileError: the file or one that it names is missing, damaged or outside its folder.
        NetworkError: a key, a layer or a tensor is not usable.
    """
    content = _content(path)
    source = str(path)
    named = entries(content.pop(_TENSORS, None), source)
    description = _description(content, stated, source)
    default = CANONICAL if stated.gate_order is None else gate_order(stated.gate_order)
    _check_names(description, named, source)
    reader = _Reader(Folder(path.parent), description, default)
    weights = WeightsFound()
    pairs: dict[str, tuple[Reals, Reals]] = {}
    for name, shape in description.tensors().items():
        terms = [reader.term(name, term, shape) for term in named[name]]
        weights[name] = _summed(name, terms)
        if len(terms) == 2:
            pairs[name] = (terms[0], terms[1])
        reader.check_memory(weights)
    return Imported(description, weights, tuple(reader.notes(named)), default, pairs)


def _content(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise FileError(f"{path} must be at most {MAX_FILE_BYTES} bytes long, not {size}")
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise unreadable(path, error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise FileError(f"{path} must be TOML, not {str(error)[:200]!r}") from None


def _description(content: Mapping[str, Any], stated: Stated, source: str) -> Description:
    """The layers that are stated, or those of the file, with the forget bias that is stated."""
    if _WEIGHTS in content:
        raise NetworkError(f"{source}: weights must be left out beside [tensors], not given")
    if stated.description is None or "layers" in content:
        description = Description.from_dict(content, source)
        if stated.description is not None and stated.description != description:
            raise NetworkError(f"{source}: layers must be those of the description that is stated, or left out")
    else:
        description = stated.description
    bias = stated.forget_bias
    if bias is None:
        return description
    layers = tuple(
        replace(layer, forget_bias=bias) if isinstance(layer, LstmLayer) else layer for layer in description.layers
    )
    return replace(description, layers=layers)


def _check_names(description: Description, named: Mapping[str, Entry], source: str) -> None:
    shapes = description.tensors()
    for name in shapes:
        if name not in named:
            raise NetworkError(f"{source}: tensors.{name!r} must be given, not missing{nearest(name, named)}")
    for name in named:
        if name not in shapes:
            raise NetworkError(f"{source}: tensors.{name!r} must be one of the network's{nearest(name, shapes)}")


class _Reader:
    """Makes canonical tensors of what a mapping says."""

    def __init__(self, folder: Folder, description: Description, order: str) -> None:
        self._folder, self._order = folder, order
        lstms = description.lstm_layers
        self._stacked = {f"{way}.{part}" for lstm in lstms for way in lstm.directions for part in _STACKED_BY_GATE}
        self._coupled = {name for lstm in lstms if lstm.coupled for name in lstm.tensors()}

    def term(self, name: str, term: Source | Stacked, shape: tuple[int, ...]) -> Reals:
        """One term of the sum that a tensor is, of ``shape``, gates in canonical order.

        Raises:
            FileError: a file is missing or damaged.
            NetworkError: an array of another shape, or an order where there are no gates.
        """
        parts = term.parts if isinstance(term, Stacked) else (term,)
        arrays = [self._laid(name, part) for part in parts]
        rows = sum(len(array) for array in arrays)
        if any(array.shape[1:] != shape[1:] for array in arrays) or rows != shape[0]:
            found = " and ".join(str(array.shape) for array in arrays[:4])
            raise NetworkError(f"tensor {name!r} must be of shape {shape}, not {found}{self._hint(arrays, shape)}")
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = self._ordered(name, np.asarray(whole, np.float64), term.order) * float(term.scale)
        return np.ascontiguousarray(scaled)

    def _laid(self, name: str, part: Source) -> NDArray[Any]:
        """An array as the file has it, sliced and transposed; a vector where the tensor is one."""
        array = self._folder.array(part.file, part.tensor)
        if array.ndim not in (1, 2):
            raise NetworkError(f"tensor {name!r}: {part.file} must be a vector or a matrix, not of shape {array.shape}")
        for axis, bounds in enumerate((part.rows, part.columns)):
            if bounds is not None:
                array = _sliced(name, array, axis, bounds)
        return array.T if part.transpose else array

    def _ordered(self, name: str, array: Reals, order: str | None) -> Reals:
        if name not in self._stacked or name in self._coupled:
            if order is not None:
                raise NetworkError(f"tensor {name!r}: order must be left out, not {order!r}, for it has not four gates")
            return array
        try:
            return canonical_rows(array, order or self._order)
        except NetworkError as error:
            raise NetworkError(f"tensor {name!r}: {error}") from None

    @staticmethod
    def _hint(arrays: list[NDArray[Any]], shape: tuple[int, ...]) -> str:
        turned = len(arrays) == 1 and arrays[0].shape == shape[::-1] and len(shape) == 2
        return "; transpose = true?" if turned else ""

    def check_memory(self, weights: WeightsFound) -> None:
        """Raise NetworkError where many tensors of few files grow too large."""
        taken = sum(tensor.nbytes for tensor in weights.values())
        most = MAX_EXPANSION * self._folder.bytes + QUIET_BYTES
        if taken > most:
            raise NetworkError(f"weights must take at most {most} bytes, {MAX_EXPANSION} times the files, not {taken}")

    def notes(self, named: Mapping[str, Entry]) -> list[str]:
        """Gate orders, transpositions and sums, one sentence a tensor that has any."""
        said = []
        for name, terms in named.items():
            words = []
            if name in self._stacked and name not in self._coupled:
                orders = dict.fromkeys(gate_order(term.order or self._order) for term in terms)
                words.append(f"gates stacked {' and '.join(', '.join(order) for order in orders)}")
            parts = [part for term in terms for part in (term.parts if isinstance(term, Stacked) else (term,))]
            if any(part.transpose for part in parts):
                words.append("transposed")
            if len(terms) > 1:
                words.append(f"{len(terms)} arrays, summed")
            if words:
                said.append(f"{name}: {'; '.join(words)}")
        return said


def _summed(name: str, terms: list[Reals]) -> Reals:
    with np.errstate(invalid="ignore", over="ignore"):
        total: Reals = np.sum(terms, axis=0)
    if not np.isfinite(total).all():
        raise NetworkError(f"tensor {name!r} must be finite, not with NaN or infinity")
    return total


def _sliced(name: str, array: NDArray[Any], axis: int, bounds: list[int]) -> NDArray[Any]:
    key = ("rows", "columns")[axis]
    size = array.shape[axis] if axis < array.ndim else 0
    if len(bounds) != 2 or not 0 <= bounds[0] < bounds[1] <= size:
        raise NetworkError(f"tensor {name!r}: {key} must be first and end in 0..{size}, not {bounds}")
    first, end = bounds
    return array[first:end] if axis == 0 else array[:, first:end]
