"""Read whole files, of at most so many bytes, with one message for what cannot be read."""

import os
from pathlib import Path

from fixedsim.errors import FileError


def read_content(path: Path, most: int) -> bytes:
    """The bytes of a file of at most ``most``.

    Raises:
        FileError: the file is missing, not readable or larger.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > most:
                raise FileError(f"{path} must have at most {most} bytes, not {size}")
            return stream.read(size)
    except OSError as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: OSError) -> FileError:
    """What to raise where the system does not let a file be read."""
    return FileError(f"{path} must be a readable file, not {(error.strerror or 'unreadable').lower()!r}")
