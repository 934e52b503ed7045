"""Words: what every encoding writes and reads, unsigned numbers of one width."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import InputError
from fixedsim.packing import Packed

MAX_WORD_BITS = 1024  # 16 lanes of 64 bits
_CHUNK_BITS = 1 << 22  # bits that stand as one byte each at a time

Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """Words of ``word_bits`` bits as octets ``(count, ceil(word_bits / 8))``, the lowest octet first.

    Raises:
        InputError: a width outside 1..1024, octets of another type or shape, or a bit above the width that is set.
    """

    octets: Octets
    word_bits: int

    def __post_init__(self) -> None:
        require_word_bits(self.word_bits)
        size = octets_of(self.word_bits)
        if self.octets.dtype != np.uint8 or self.octets.ndim != 2 or self.octets.shape[1] != size:
            raise InputError(
                f"octets must be uint8 of shape (count, {size}), not {self.octets.dtype} of {self.octets.shape}"
            )
        wide = beyond(self.octets, self.word_bits)
        if wide.any():
            raise InputError(f"word {int(wide.argmax())} must fit {self.word_bits} bits, not more")

    def __len__(self) -> int:
        return len(self.octets)

    @classmethod
    def of_integers(cls, integers: Iterable[int], word_bits: int) -> Self:
        """The words of unsigned integers.

        Raises:
            InputError: an integer that is negative or wider than ``word_bits``, or a width outside 1..1024.
        """
        size, limit = octets_of(require_word_bits(word_bits)), 1 << word_bits
        given = list(integers)
        for place, integer in enumerate(given):
            if not 0 <= integer < limit:
                raise InputError(f"word {place} must be in 0..2**{word_bits} - 1, not {integer}")
        data = b"".join(integer.to_bytes(size, "little") for integer in given)
        return cls(np.frombuffer(data, np.uint8).reshape(-1, size), word_bits)

    def integers(self) -> list[int]:
        """The words as unsigned integers."""
        size, data = self.octets.shape[1], self.octets.tobytes()
        return [int.from_bytes(data[start : start + size], "little") for start in range(0, len(data), size)]

    @classmethod
    def of_packed(cls, packed: Packed) -> Self:
        """The words of a stream of bits without gaps.

        Raises:
            InputError: a word wider than 1024 bits, or data of another length than its words take.
        """
        bits, size = require_word_bits(packed.word_bits), octets_of(packed.word_bits)
        if len(packed.data) != octets_of(packed.words * bits):
            raise InputError(f"data must be of {octets_of(packed.words * bits)} bytes, not {len(packed.data)}")
        stream = np.frombuffer(packed.data, np.uint8)
        if bits % 8 == 0:
            return cls(stream.reshape(-1, size), bits)
        octets = np.empty((packed.words, size), np.uint8)
        for chunk in word_chunks(packed.words, bits):
            octets[chunk] = np.packbits(_unpacked(stream, chunk, bits), axis=1, bitorder="little")
        return cls(octets, bits)

    def packed_data(self) -> bytes:
        """The words as a stream of bits without gaps, filled with zero bits to a whole byte."""
        if self.word_bits % 8 == 0:
            return self.octets.tobytes()
        return b"".join(self._packed(chunk) for chunk in word_chunks(len(self), self.word_bits))

    def _packed(self, chunk: slice) -> bytes:
        bits = np.unpackbits(self.octets[chunk], axis=1, count=self.word_bits, bitorder="little")
        return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


def require_word_bits(word_bits: int) -> int:
    """Return the width of a word.

    Raises:
        InputError: a width outside 1..1024.
    """
    if not 1 <= word_bits <= MAX_WORD_BITS:
        raise InputError(f"word_bits must be in 1..{MAX_WORD_BITS}, not {word_bits}")
    return word_bits


def octets_of(bits: int) -> int:
    """The least count of octets that hold ``bits`` bits."""
    return -(-bits // 8)


def beyond(octets: Octets, word_bits: int) -> NDArray[np.bool_]:
    """Whether each word of ``octets`` (count, size) has a bit above ``word_bits`` in its last octet."""
    if word_bits % 8 == 0:
        return np.zeros(len(octets), np.bool_)
    return np.greater_equal(octets[:, -1], 1 << word_bits % 8)


def word_chunks(words: int, word_bits: int) -> Iterator[slice]:
    """Runs of words, each but the last a whole number of octets in a stream without gaps."""
    step = max(8, _CHUNK_BITS // word_bits // 8 * 8)
    for start in range(0, words, step):
        yield slice(start, min(start + step, words))


def _unpacked(stream: Octets, chunk: slice, word_bits: int) -> Octets:
    """The bits (words, word_bits) of a run of words of a stream without gaps, the lowest first."""
    first, count = chunk.start * word_bits, (chunk.stop - chunk.start) * word_bits
    octets = stream[first // 8 : first // 8 + octets_of(count)]
    return np.unpackbits(octets, count=count, bitorder="little").reshape(-1, word_bits)
