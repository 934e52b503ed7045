"""Read a ``.keras`` archive: two JSON texts and the HDF5 file of weights, which is unpacked to be read.

Unpacked are at most 8 times the archive's bytes, or 1 GiB where that is more; nothing else in the archive is touched,
and no name in it becomes a path.
"""

import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from fixedsim.errors import FileError
from fixedsim.importers.keras.config import parsed_json
from fixedsim.importers.keras.container import MAX_EXPANSION, QUIET_BYTES, Contents, read_contents

MAX_TEXT_BYTES = 1 << 26
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
SHARDS = "model.weights.json"
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)


class Archive(NamedTuple):
    """The configuration of the model, Keras' version where it stands, and the weights."""

    config: Any
    version: str | None
    contents: Contents


def read_archive(path: Path) -> Archive:
    """What the ``.keras`` file at ``path`` holds.

    Raises:
        FileError: the archive is damaged, expands too far, or lacks a part.
        DependencyError: h5py is not installed.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(path, archive)
            config = parsed_json(_text(archive, members[CONFIG]), CONFIG)
            metadata = parsed_json(_text(archive, members[METADATA]), METADATA) if METADATA in members else {}
            contents = _weights(archive, members[WEIGHTS])
    except _DAMAGE as error:
        raise FileError(f"file must be a .keras archive, not {str(error)[:200]!r}") from None
    except OSError as error:
        raise FileError(f"file must be readable, not {(error.strerror or 'unreadable').lower()!r}") from None
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return Archive(config, version if isinstance(version, str) else None, contents)


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The three members by name, their sizes checked."""
    entries = [info for info in archive.infolist() if info.filename in (CONFIG, METADATA, WEIGHTS)]
    members = {info.filename: info for info in entries}
    if SHARDS in archive.namelist():
        raise FileError(f"weights must stand in one {WEIGHTS}, not in several files; save without max_shard_size")
    for name in (CONFIG, WEIGHTS):
        if name not in members:
            raise FileError(f"archive must hold {name!r}, not lack it")
    if len(members) < len(entries):
        raise FileError(f"archive must hold each member once, not {len(entries)} members of {len(members)} names")
    limit = max(QUIET_BYTES, MAX_EXPANSION * path.stat().st_size)
    for name, most in ((CONFIG, MAX_TEXT_BYTES), (METADATA, MAX_TEXT_BYTES), (WEIGHTS, limit)):
        if name in members and members[name].file_size > most:
            raise FileError(f"member {name!r} must have at most {most} bytes, not {members[name].file_size}")
    return members


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    with archive.open(member) as stream:
        return stream.read(MAX_TEXT_BYTES + 1).decode("utf-8")


def _weights(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Contents:
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / "weights.h5"
        with archive.open(member) as stream, unpacked.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        return read_contents(unpacked)
