"""What an encoding is: a writer of words as a file, and a strict reader of such a file that never trusts its sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, InputError
from fixedsim_golden.encodings.words import Words, octets_of

MAX_WORDS = 1 << 28  # of a file, whatever its reader expects
_SPARE_WORDS = 1 << 20  # beyond one word a byte, where the reader expects no count
MISSING = "missing"

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ReadWords:
    """The words of a file and, by index, why some of them are not usable; these are zero in ``words``."""

    words: Words
    faults: Mapping[int, str]  # "contains x", "0x1ff is wider than 8 bits", "-1 is negative", "missing"


class Write(Protocol):
    """The writer of an encoding."""

    def __call__(self, words: Words, name: str) -> bytes:
        """The file of ``words``; source text declares them under ``name``.

        Raises:
            InputError: words that the encoding cannot hold.
        """


class Read(Protocol):
    """The reader of an encoding."""

    def __call__(self, data: bytes, word_bits: int, source: str, *, limit: int | None = None) -> ReadWords:
        """The words of ``word_bits`` bits in ``data``; ``source`` names the file in messages.

        Args:
            data: the file.
            word_bits: the width that every word must have.
            source: what messages call the file.
            limit: most words; None allows one a byte of the file and 2**20 more. Never more than 2**28.

        Raises:
            FileError: data that are no file of this encoding, or more words than the limit.
            InputError: a width outside 1..1024.
        """


@dataclass(frozen=True, slots=True)
class Encoding:
    """A kind of file that holds words."""

    name: str
    suffix: str  # with its dot
    write: Write
    read: Read


@dataclass(frozen=True, slots=True)
class Text:
    """A file that is being read."""

    data: bytes
    source: str

    def wrong(self, offset: int, allowed: str, value: bytes) -> FileError:
        """The error that the line of ``offset`` must be ``allowed``, not ``value``."""
        line = self.data.count(b"\n", 0, offset) + 1
        return FileError(f"{self.source}: line {line} must be {allowed}, not {shown(value)}")

    def lacks(self, allowed: str) -> FileError:
        """The error that the file must be ``allowed``."""
        return FileError(f"{self.source} must be {allowed}, not {shown(self.data.strip())}")


def shown(value: bytes) -> str:
    """The first characters of what stands in a file, quoted."""
    text = value[:40].decode("ascii", "backslashreplace")
    return repr(text + "..." if len(value) > 40 else text)


def most_words(limit: int | None, size: int) -> int:
    """The most words that a file of ``size`` bytes may hold."""
    return min(MAX_WORDS, size + _SPARE_WORDS if limit is None else limit)


def require_count(count: int, most: int, source: str) -> int:
    """Return the count of words of a file.

    Raises:
        FileError: more than ``most``.
    """
    if count > most:
        raise FileError(f"{source} must hold at most {most} words, not {count}")
    return count


def require_words(words: Words, encoding: str) -> Words:
    """Return words of which there is at least one.

    Raises:
        InputError: none.
    """
    if not len(words):
        raise InputError(f"words of {encoding} must be at least 1, not 0")
    return words


def placed(read: ReadWords, places: Places, count: int) -> ReadWords:
    """The words of a memory of ``count`` words, given those at ``places`` (all different); the others are missing."""
    if len(places) == count and np.array_equal(places, np.arange(count)):
        return read
    octets = np.zeros((count, octets_of(read.words.word_bits)), np.uint8)
    octets[places] = read.words.octets
    absent = np.ones(count, np.bool_)
    absent[places] = False
    faults = dict.fromkeys(np.flatnonzero(absent).tolist(), MISSING)
    faults.update((int(places[index]), reason) for index, reason in read.faults.items())
    return ReadWords(Words(octets, read.words.word_bits), dict(sorted(faults.items())))
