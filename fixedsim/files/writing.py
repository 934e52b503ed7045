"""Write a file in one step: a killed run leaves the old file or none."""

import os
import secrets
from pathlib import Path

from fixedsim.errors import FileError


def write_atomically(path: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``path``, by way of a file beside it.

    Raises:
        FileError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"{path} must be a writable file, not {(error.strerror or 'unwritable').lower()!r}") from None
