"""The two forms in which ``torch.save`` writes: a zip archive (since 1.6), and the stream of pickles before it.

In the archive ``<root>/data.pkl`` is the pickle and ``<root>/data/<key>`` a storage, neither compressed; in the stream
the storages follow four pickles and a fifth that lists their keys. Both are little-endian, unless the archive's
``byteorder`` says otherwise. A storage is read only when a tensor of it is asked for, and never is more read than the
file holds. Members are looked up by name; nothing is extracted.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim.importers.pytorch.pickles import MAX_BYTES, unpickled
from fixedsim.importers.pytorch.values import BFLOAT16, Storage

Array = NDArray[Any]
Read = TypeVar("Read")
MAX_MEMBERS = 1 << 16
MAX_STREAM_BYTES = 2 * MAX_BYTES  # of the pickles of a stream
_MAGIC: Final = 0x1950A86A20F9469CFC6C  # of the stream, itself a pickle
_PROTOCOL: Final = 1001
_MAGIC_BYTES: Final = b"\x8a\x0a" + _MAGIC.to_bytes(10, "little")
_START_BYTES = 32  # that hold the magic number, whatever the protocol
_ZIP_MAGIC: Final = b"PK\x03\x04"
_SCRIPT = ("constants.pkl", "code/")
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, struct.error, LookupError,
    OverflowError,
)  # fmt: skip


class Archive(NamedTuple):
    """What a file holds: its pickle's value, and the numbers of a storage, one axis, in native byte order."""

    value: Any
    numbers: Callable[[Storage], Array]


def recognises(path: Path) -> bool:
    """Whether the file begins as either form does, the archive with a ``data.pkl`` in it."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_START_BYTES)
    except OSError:
        return False
    if start.startswith(_ZIP_MAGIC):
        return any(name.endswith("/data.pkl") for name in member_names(path))
    return _MAGIC_BYTES in start


def member_names(path: Path) -> list[str]:
    """The names in a zip archive, none where it is no archive or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, *_DAMAGED):
        return []


def read_archive(path: Path) -> Archive:
    """The value that was saved. The file must stay as it is until its storages are read.

    Raises:
        FileError: a file that is missing, damaged, of another kind, or holds what is not known.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(_START_BYTES)
        if start.startswith(_ZIP_MAGIC):
            return _guarded(lambda: _read_zip(path))
        if _MAGIC_BYTES in start:
            return _read_stream(path)
    except OSError as error:
        raise FileError(f"file must be readable, not {(error.strerror or 'unreadable').lower()!r}") from None
    raise FileError(f"file must be one that torch.save wrote, not begin with {start[:8]!r}")


def _guarded(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except _DAMAGED as error:
        raise FileError(f"file must be an undamaged archive, not one with {str(error)[:200]!r}") from None


def _read_zip(path: Path) -> Archive:
    with zipfile.ZipFile(path) as archive:
        root = _root(archive.namelist())
        members = _members(archive, path.stat().st_size)
        content = _content(archive, members[f"{root}/data.pkl"], MAX_BYTES)
        pickle = unpickled(content)
        if pickle.end != len(content):
            raise FileError(f"data.pkl must end with its {len(content)} bytes, not at byte {pickle.end}")
        order = _byte_order(archive, members.get(f"{root}/byteorder"))

    def numbers(storage: Storage) -> Array:
        name = f"{root}/data/{storage.key}"
        if name not in members:
            raise FileError(f"storage {storage.key!r} must be given, not missing")
        _check_size(storage, members[name].file_size)

        def content() -> bytes:
            with zipfile.ZipFile(path) as archive:
                return _content(archive, members[name], members[name].file_size)

        return _decoded(storage, _guarded(content), order)

    return Archive(pickle.value, numbers)


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, which together must not hold more than the file does."""
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if len(infos) > MAX_MEMBERS or len(members) < len(infos):
        raise FileError(f"archive must hold at most {MAX_MEMBERS} members, each once, not {len(infos)}")
    for name, info in members.items():
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise FileError(f"member {name[:200]!r} must be stored as torch.save does, not compressed")
    total = sum(info.file_size for info in infos)
    if total > size:
        raise FileError(f"members must hold at most the {size} bytes of the file, not {total}")
    return members


def _root(names: list[str]) -> str:
    """The folder that holds the pickle."""
    roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise FileError(f"archive must hold one data.pkl, not {len(roots)}")
    if any(name.startswith(f"{roots[0]}/{part}") for name in names for part in _SCRIPT):
        raise FileError(
            "file must be a state dictionary, not a TorchScript module, whose code is not run; in the trainer, save "
            "torch.jit.load(path).state_dict()"
        )
    return roots[0]


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    if info.file_size > limit:
        raise FileError(f"member {info.filename[:200]!r} must have at most {limit} bytes, not {info.file_size}")
    with archive.open(info) as stream:
        content = stream.read()
    if len(content) != info.file_size:
        raise FileError(f"member {info.filename[:200]!r} must have {info.file_size} bytes, not {len(content)}")
    return content


def _byte_order(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> str:
    text = b"little" if info is None else _content(archive, info, 64)
    if text not in (b"little", b"big"):
        raise FileError(f"byteorder must be little or big, not {text!r}")
    return "<" if text == b"little" else ">"


def _read_stream(path: Path) -> Archive:
    size = path.stat().st_size
    with path.open("rb") as stream:
        data = stream.read(min(size, MAX_STREAM_BYTES))
    end, values = 0, []
    for _ in range(5):  # magic number, protocol, machine that saved, value, keys of the storages
        pickle = unpickled(data, end)
        end = pickle.end
        values.append(pickle)
    if values[0].value != _MAGIC or values[1].value != _PROTOCOL:
        raise FileError(f"protocol must be {_PROTOCOL} after the magic number, not another")
    places = _places(path, values[4].value, values[3].storages, end)

    def numbers(storage: Storage) -> Array:
        if storage.key not in places:
            raise FileError(f"storage {storage.key!r} must be given, not missing")
        with path.open("rb") as stream:
            stream.seek(places[storage.key])
            content = stream.read(_bytes(storage))
        _check_size(storage, len(content))
        return _decoded(storage, content, "<")  # on every machine, whatever the third pickle says

    return Archive(values[3].value, numbers)


def _places(path: Path, keys: Any, storages: Mapping[str, Storage], start: int) -> dict[str, int]:
    """Where the numbers of each storage begin: after a count of 8 bytes, in the order of ``keys``."""
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in storages for key in keys):
        raise FileError("keys must be a list of the storages in the pickle, not otherwise")
    places: dict[str, int] = {}
    size = path.stat().st_size
    with path.open("rb") as stream:
        for key in keys:
            stream.seek(start)
            count = stream.read(8)
            elements = struct.unpack("<q", count)[0] if len(count) == 8 else None
            if key in places or elements != storages[key].elements:
                raise FileError(
                    f"storage {key!r} must stand once with {storages[key].elements} elements, not {elements}"
                )
            places[key] = start + 8
            start += 8 + _bytes(storages[key])
            if start > size:
                raise FileError(f"storage {key!r} must end within the {size} bytes of the file, not at {start}")
    return places


def _bytes(storage: Storage) -> int:
    return storage.elements * (2 if storage.dtype == BFLOAT16 else np.dtype(storage.dtype).itemsize)


def _check_size(storage: Storage, size: int) -> None:
    if size != _bytes(storage):
        raise FileError(f"storage {storage.key!r} must have {_bytes(storage)} bytes, not {size}")


def _decoded(storage: Storage, content: bytes, order: str) -> Array:
    """The numbers in native byte order; bfloat16 as float32, exactly: its 16 bits are the upper half."""
    if storage.dtype == BFLOAT16:
        halves = np.frombuffer(content, f"{order}u2").astype(np.uint32)
        return (halves << 16).view(np.float32)
    numbers = np.frombuffer(content, f"{order}{storage.dtype}")
    return numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
