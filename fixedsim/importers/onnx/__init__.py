"""ONNX graphs of LSTMs, embeddings and fully connected layers, from any exporter, followed from input to output.

Gates are stacked input, output, forget, candidate along the rows, with two biases; the shape operators around an LSTM
are followed axis by axis. What a reader takes in memory is at most 18 times the file and the files of its tensors,
beyond 1 GiB.
"""

from pathlib import Path

from fixedsim.errors import FileError, NetworkError
from fixedsim.importers.imported import Imported, Stated

SUFFIX = ".onnx"


def recognises(path: Path) -> bool:
    """Whether the file's name ends in ``.onnx``: ONNX has no mark of its own inside."""
    return path.suffix.lower() == SUFFIX and path.is_file()


def read(path: Path, stated: Stated) -> Imported:
    """The network in an ONNX file.

    Raises:
        FileError: the file is missing, damaged, too large, or holds something that is not allowed.
        NetworkError: an operator, an attribute or a way through the graph is not understood, by name.
        DependencyError: the package ``onnx`` is not installed.
    """
    from fixedsim.importers.onnx.network import read_network

    try:
        return read_network(path, stated)
    except (NetworkError, FileError):
        raise
    except (UnicodeDecodeError, OverflowError, IndexError, ValueError, TypeError) as error:
        # A check that is missing, or a name that is not UTF-8; the file is at fault all the same.
        raise FileError(f"content must be an undamaged ONNX model, not one with {str(error)[:200]!r}") from None
