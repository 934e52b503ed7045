"""The kinds of files that are understood, and which of them a file is.

A new kind is one module with ``recognises`` and ``read`` (:class:`Reader`) and one entry in :data:`KINDS`. The modules
are imported when they are needed.
"""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, cast

from fixedsim.errors import FileError, nearest
from fixedsim.files import read_tensors, unreadable

if TYPE_CHECKING:
    from fixedsim.importers.imported import Imported, Stated

FOLDER = "folder"  # among the suffixes of a kind: a folder, whatever its name
_PROJECT_FILE = Path("firmware") / "parameters.h"


class Reader(Protocol):
    """What the module of a kind of network has."""

    def recognises(self, path: Path) -> bool:
        """Whether the file is of this kind, from its name, its first bytes and the names inside; never raises."""

    def read(self, path: Path, stated: "Stated") -> "Imported":
        """The network in the file.

        Raises:
            FileError: the file is damaged.
            NetworkError: something in it is not understood, by name.
        """


class Kind(NamedTuple):
    """One kind of file: its name, what it is, how such files end, and the module that reads it.

    A file of a kind is also one of the kinds in ``within``, which it goes before.
    """

    name: str
    summary: str
    suffixes: tuple[str, ...]
    module: str
    within: tuple[str, ...] = ()
    gives: Literal["network", "model"] = "network"

    @property
    def reader(self) -> Reader:
        """The module that reads this kind of network, imported now."""
        return cast(Reader, import_module(f"fixedsim.importers.{self.module}"))

    def may_be(self, path: Path) -> bool:
        """Whether such files end so, or are folders."""
        return (FOLDER if path.is_dir() else path.suffix.lower()) in self.suffixes

    def recognises(self, path: Path) -> bool:
        """Whether the file or folder is of this kind, whatever its ending."""
        if path.is_dir() and FOLDER not in self.suffixes:
            return False
        if self.gives == "model":
            return (path / _PROJECT_FILE).is_file() if path.is_dir() else self.may_be(path)
        return self.reader.recognises(path)


_TENSORS = (".safetensors", ".npz")
KINDS = {
    kind.name: kind
    for kind in (
        Kind("fixedsim", "fixedsim's own networks", _TENSORS, "own", within=("pytorch",)),
        Kind("bit-rnn", "Bit-RNN weights with their rule in the metadata", _TENSORS, "bit_rnn", within=("pytorch",)),
        Kind("pytorch", "PyTorch state dictionaries", (*_TENSORS, ".pt", ".pth", ".bin", ".ckpt"), "pytorch"),
        Kind("keras", "Keras 2 and 3 models and weights", (".keras", ".h5", ".hdf5", FOLDER), "keras"),
        Kind("onnx", "ONNX graphs", (".onnx",), "onnx"),
        Kind("tensorflow", "TensorFlow 1 variables and frozen graphs", (*_TENSORS, ".pb", ".pbmm"), "tensorflow"),
        Kind("deepspeech", "Mozilla DeepSpeech checkpoints and graphs", (".npz", ".pb"), "deepspeech", ("tensorflow",)),
        Kind("mapping", "a TOML file that maps .npy and .csv tensors to layers", (".toml",), "mapping"),
        Kind("tflite", "TensorFlow Lite files of integers", (".tflite",), "tflite", gives="model"),
        Kind("hls4ml", "hls4ml projects", (FOLDER,), "hls4ml", gives="model"),
    )
}


def kind_named(name: str) -> Kind:
    """The kind of that name.

    Raises:
        FileError: there is none.
    """
    if name not in KINDS:
        raise FileError(f"kind must be a known one, not {name!r}{nearest(name, KINDS)}")
    return KINDS[name]


def kind_of(path: Path) -> Kind:
    """The one kind that recognises a file or folder.

    Raises:
        FileError: the file is missing or damaged, or none or several kinds recognise it.
    """
    check_readable(path)
    likely = [kind for kind in KINDS.values() if kind.may_be(path)]
    found = _recognising(path, likely) or _recognising(path, [kind for kind in KINDS.values() if kind not in likely])
    general = {name for kind in found.values() for name in kind.within}
    least = [kind for name, kind in found.items() if name not in general]
    if len(least) == 1:
        return least[0]
    if not least:
        _check_damaged(path)
    recognised = " and ".join(kind.name for kind in least) or "none"
    raise FileError(
        f"{path} must be recognised by one kind of file, not by {recognised}; looked for "
        f"{', '.join(_looked_for(path))}; state the kind (--from KIND, in Python kind=)"
    )


def _recognising(path: Path, kinds: Iterable[Kind]) -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds if kind.recognises(path)}


def check_readable(path: Path) -> None:
    """Refuse what is neither a file that can be read nor a folder.

    Raises:
        FileError: it is missing or not readable.
    """
    try:
        if not path.is_dir():
            path.open("rb").close()
    except OSError as error:
        raise unreadable(path, error) from None


def _check_damaged(path: Path) -> None:
    """Raise the reader's own message where the file is a damaged one of a common form."""
    if path.suffix.lower() in _TENSORS and path.is_file():
        read_tensors(path)


def _looked_for(path: Path) -> Iterator[str]:
    """The kinds of files that end as ``path`` does, or all with their endings."""
    same = [kind for kind in KINDS.values() if kind.may_be(path)]
    if same:
        yield from (f"{kind.name} ({kind.summary})" for kind in same)
    else:
        yield from (f"{kind.name} ({', '.join(kind.suffixes)})" for kind in KINDS.values())
