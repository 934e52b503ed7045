"""The decimal numbers of a project's weight files."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim.importers.hls4ml.source import inside, read_bytes

MAX_NUMBERS = 1 << 22  # of all weights of a project
MAX_NUMBER_BYTES = 64  # of one number's text, with its comma
_NUMBER = re.compile(rb"\s*[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?\s*")


class Weights:
    """The folder of weights, and how many numbers may still be read from it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = MAX_NUMBERS

    def read(self, name: str, count: int) -> NDArray[np.float64]:
        """The ``count`` numbers of a file, separated by commas.

        Raises:
            FileError: the file is missing or damaged, holds more or fewer numbers, or the project too many.
        """
        self._numbers -= count
        if self._numbers < 0:
            raise FileError(f"{self._folder}: weights must be at most {MAX_NUMBERS} numbers together, not more")
        path = inside(self._folder, "firmware", "weights", name)
        content = read_bytes(path, MAX_NUMBER_BYTES * (count + 1))
        found = content.count(b",") + 1 if content.strip() else 0
        if found != count:
            raise FileError(f"{path} must have {count} numbers, not {found}")
        texts = content.split(b",")
        if not all(map(_NUMBER.fullmatch, texts)):
            raise _damaged(path, texts)
        values = np.array([float(text) for text in texts], dtype=np.float64)
        if not np.isfinite(values).all():
            raise FileError(f"{path} must hold finite numbers, not beyond the range of 64-bit floats")
        return values


def _damaged(path: Path, texts: list[bytes]) -> FileError:
    """The error of the first text that is not a number."""
    place = next(place for place, text in enumerate(texts) if not _NUMBER.fullmatch(text))
    line = b",".join([*texts[:place], _margin(texts[place])]).count(b"\n") + 1
    text = texts[place].strip()[:40].decode("ascii", "replace")
    return FileError(f"{path}:{line}: number must be decimal, not {text!r}")


def _margin(text: bytes) -> bytes:
    """The space before a text."""
    return text[: len(text) - len(text.lstrip())]
