"""Read an ONNX file, which may be damaged or hostile: its bytes are looked over before they are parsed."""

from importlib import import_module
from pathlib import Path
from typing import Any

from fixedsim.errors import DependencyError, FileError
from fixedsim.files import read_content
from fixedsim.importers.onnx.limits import Budget, check_messages
from fixedsim.importers.onnx.tensors import TensorReader

MAX_FILE_BYTES = (1 << 31) - 1  # of a protocol buffer
MIN_OPSET = 7
_MAX_OPSET = 1000


class ParsedFile:
    """A file's graph, the version of its operators, and a reader of its tensors."""

    def __init__(self, path: Path, data: bytes) -> None:
        check_messages(data)
        model = _parsed(data)
        if model.functions:
            raise FileError("functions must be inlined, not stand in the model; onnx.inliner does it")
        self.graph: Any = model.graph
        self.opset = _opset(model)
        self.tensors = TensorReader(path.parent, Budget(len(data)))
        if not self.graph.node:
            raise FileError("graph must have operators, not none")
        if self.graph.sparse_initializer:
            raise FileError("initializers must be dense, not sparse")


def read_onnx(path: Path) -> ParsedFile:
    """The graph in an ``.onnx`` file; its tensors are read when they are asked for.

    Raises:
        FileError: the file is missing, too large, damaged or of another kind.
        DependencyError: the package ``onnx`` is not installed.
    """
    _package()
    return ParsedFile(path, read_content(path, MAX_FILE_BYTES))


def _package() -> Any:
    try:
        import onnx
    except ImportError:
        raise DependencyError("onnx must be installed to read ONNX files; pip install 'fixedsim[onnx]'") from None
    return onnx


def _parsed(data: bytes) -> Any:
    decode_error = import_module("google.protobuf.message").DecodeError  # onnx brings it
    try:
        return _package().load_model_from_string(data)
    except (decode_error, ValueError, RuntimeError) as error:
        raise FileError(f"content must be an ONNX model, not {str(error)[:200]!r}") from None


def _opset(model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1 or not MIN_OPSET <= versions[0] <= _MAX_OPSET:
        raise FileError(f"version of ONNX's operators must be {MIN_OPSET} or above, given once, not {versions[:8]}")
    return int(versions[0])
