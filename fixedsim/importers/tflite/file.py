"""Read a TensorFlow Lite file, which may be damaged or hostile: nothing in it is believed before it is checked."""

import struct
from pathlib import Path
from typing import Any

from fixedsim.errors import FileError
from fixedsim.files import read_content
from fixedsim.importers.tflite import checked
from fixedsim.importers.tflite.graph import Graph
from fixedsim.importers.tflite.options import read_operator, tensor_indices
from fixedsim.importers.tflite.tensors import Constants, read_tensor

MAX_FILE_BYTES = 1 << 29
_IDENTIFIER = b"TFL3"
_VERSION = 3


def read_tflite(path: str | Path) -> Graph:
    """The graph in a ``.tflite`` file: tensors with their quantization and constants, and operators with their options.

    Sizes, offsets, indices and scales are checked; what the operators mean is not. The limits are ``MAX_FILE_BYTES``
    and the constants of the modules :mod:`checked` and :mod:`tensors`.

    Raises:
        FileError: the file is missing, too large, damaged or of another kind, or holds something that is not
            understood: several subgraphs, sparse tensors, buffers outside the tables, fields of a newer schema.
        DependencyError: the package ``tflite`` is not installed.
    """
    path = Path(path)
    checked.schema("Model")
    data = _content(path)
    try:
        return _graph(checked.Source(data))
    except FileError as error:
        raise FileError(f"{path}: {error}") from None
    except (struct.error, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        # A check that is missing before a generated accessor; the file is at fault all the same.
        raise FileError(f"{path} must be an undamaged TensorFlow Lite file, not one with {str(error)!r}") from None


def _content(path: Path) -> bytes:
    data = read_content(path, MAX_FILE_BYTES)
    if data[4:8] != _IDENTIFIER:
        raise FileError(f"{path} must be a TensorFlow Lite file with {_IDENTIFIER!r} at byte 4, not {data[4:8]!r}")
    return data


def _graph(source: checked.Source) -> Graph:
    model = checked.root(source, "Model")
    if model.Version() != _VERSION:
        raise FileError(f"version of the schema must be {_VERSION}, not {model.Version()}")
    return _subgraph(_only_subgraph(model), model)


def _only_subgraph(model: Any) -> Any:
    count = checked.row_count(model, "Subgraphs")
    if count != 1:
        raise FileError(f"subgraphs must be 1, not {count}; convert the model without control flow")
    return next(checked.rows(model, "Subgraphs"))


def _subgraph(subgraph: Any, model: Any) -> Graph:
    constants = Constants(model)
    tensors = tuple(
        read_tensor(index, table, constants) for index, table in enumerate(checked.rows(subgraph, "Tensors"))
    )
    operators = enumerate(checked.rows(subgraph, "Operators"))
    return Graph(
        tensor_indices("inputs of the graph", checked.numbers(subgraph, "Inputs"), len(tensors)),
        tensor_indices("outputs of the graph", checked.numbers(subgraph, "Outputs"), len(tensors)),
        tensors,
        tuple(read_operator(index, table, model, len(tensors)) for index, table in operators),
    )
