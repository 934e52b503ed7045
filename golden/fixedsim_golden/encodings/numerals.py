"""Numerals: words as digits of a file and back, whole files at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim_golden.encodings.encoding import ReadWords
from fixedsim_golden.encodings.words import Octets, Words, beyond, octets_of, require_word_bits

DIGITS = {2: b"01", 8: b"01234567", 10: b"0123456789", 16: b"0123456789abcdef"}
UNKNOWN = "xzuw?lh-"  # what stands in a dump for a bit that is not driven 0 or 1
_DIGIT_BITS = {2: 1, 16: 4}
_OTHER = 255  # the value of a character that is no digit
_SHOWN_DIGITS = 64  # of a numeral in a reason

Numerals = Octets  # (count, digits), one ASCII character each


def _pairs(digits: bytes) -> Octets:
    table = [[digits[octet >> 4], digits[octet & 15]] for octet in range(256)]
    return np.array(table, np.uint8)


_LOWER, _UPPER = _pairs(DIGITS[16]).view(np.uint16)[:, 0], _pairs(DIGITS[16].upper()).view(np.uint16)[:, 0]
_VALUES = np.full(256, _OTHER, np.uint8)
for _value, (_small, _large) in enumerate(zip(DIGITS[16], DIGITS[16].upper(), strict=True)):
    _VALUES[[_small, _large]] = _value


def digits_of(word_bits: int, radix: int) -> int:
    """The digits that hold every word: ``ceil(word_bits / 4)`` for radix 16, ``word_bits`` for radix 2."""
    return -(-word_bits // _DIGIT_BITS[radix])


def octet_digits(octets: Octets, *, upper: bool = False) -> Numerals:
    """Two hexadecimal digits for each octet (rows, columns), in the order of the octets."""
    table = _UPPER if upper else _LOWER
    return table[octets].view(np.uint8)


def hexadecimal(words: Words) -> Numerals:
    """Each word as ``ceil(word_bits / 4)`` lower-case digits."""
    digits = octet_digits(np.ascontiguousarray(words.octets[:, ::-1]))
    return digits[:, digits.shape[1] - digits_of(words.word_bits, 16) :]


def binary(words: Words) -> Numerals:
    """Each word as ``word_bits`` digits."""
    bits = np.unpackbits(words.octets[:, ::-1], axis=1)
    return bits[:, bits.shape[1] - words.word_bits :] + np.uint8(ord("0"))


def lines(*columns: bytes | Numerals) -> bytes:
    """One line for each word: its numerals with the same text before, between and after them."""
    rows = next(len(column) for column in columns if not isinstance(column, bytes))
    parts = [np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part for part in columns]
    table = np.empty((rows, sum(part.shape[-1] for part in parts)), np.uint8)
    start = 0
    for part in parts:
        table[:, start : start + part.shape[-1]] = part
        start += part.shape[-1]
    return table.tobytes()


def joined(text: bytes) -> bytes:
    """Lines that end in a comma, without the last comma."""
    return text[:-2] + b"\n"


def read_numerals(
    numerals: Numerals, radix: int, word_bits: int, token: Callable[[int], bytes], wrong: Callable[[int], FileError]
) -> ReadWords:
    """The words of numerals of one length, of radix 2 or 16; ``token`` is the numeral at an index as it stands.

    Raises:
        FileError: a numeral is none; ``wrong`` makes the error of its index.
        InputError: a width outside 1..1024.
    """
    octets, odd = _octets(_VALUES[numerals], radix, require_word_bits(word_bits))
    reader, faults = _Reader(radix, word_bits, wrong), dict[int, str]()
    for index in np.flatnonzero(odd).tolist():
        octets[index] = 0
        word = reader.read(index, token(index))
        if isinstance(word, str):
            faults[index] = word
        else:
            octets[index] = np.frombuffer(word.to_bytes(octets.shape[1], "little"), np.uint8)
    return ReadWords(Words(octets, word_bits), faults)


def _octets(values: Octets, radix: int, word_bits: int) -> tuple[Octets, NDArray[np.bool_]]:
    """The octets of digits ``values``, and which of the words have other characters or are too wide."""
    odd = np.any(values >= radix, axis=1)
    if radix == 2:
        octets = np.packbits(values[:, ::-1] & 1, axis=1, bitorder="little")
    else:
        even = np.zeros((len(values), 2 * octets_of(word_bits)), np.uint8)
        even[:, even.shape[1] - values.shape[1] :] = values & 15
        octets = np.ascontiguousarray((even[:, ::2] << 4 | even[:, 1::2])[:, ::-1])
    return octets, odd | beyond(octets, word_bits)


def read_tokens(
    tokens: Sequence[bytes], radix: int, word_bits: int, wrong: Callable[[int], FileError], *, signed: bool = False
) -> ReadWords:
    """The words of numerals of any length, of radix 2, 8, 10 or 16; ``signed`` takes negative ones as two's complement.

    Raises:
        FileError: a numeral is none; ``wrong`` makes the error of its index.
        InputError: a width outside 1..1024.
    """
    if radix in _DIGIT_BITS and not signed:
        digits = digits_of(require_word_bits(word_bits), radix)
        text = b"".join([_of_length(token, digits) for token in tokens])
        numerals = np.frombuffer(text, np.uint8).reshape(-1, digits)
        return read_numerals(numerals, radix, word_bits, tokens.__getitem__, wrong)
    reader = _Reader(radix, word_bits, wrong, signed)
    words = [reader.read(index, token) for index, token in enumerate(tokens)]
    faults = {index: word for index, word in enumerate(words) if isinstance(word, str)}
    return ReadWords(Words.of_integers([0 if isinstance(word, str) else word for word in words], word_bits), faults)


def _of_length(token: bytes, digits: int) -> bytes:
    """The numeral with ``digits`` digits, or where it has more of them no numeral."""
    if len(token) > digits:
        token = token.lstrip(b"0")
    return token.rjust(digits, b"0") if len(token) <= digits else b"-" * digits


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads numerals one by one, those that stand often only once."""

    radix: int
    word_bits: int
    wrong: Callable[[int], FileError]
    signed: bool = False
    words: dict[bytes, int | str] = field(default_factory=dict)  # those of the numerals so far

    def read(self, index: int, token: bytes) -> int | str:
        if token not in self.words:
            try:
                self.words[token] = read_word(token, self.radix, self.word_bits, signed=self.signed)
            except ValueError:
                raise self.wrong(index) from None
        return self.words[token]


def read_word(token: bytes, radix: int, word_bits: int, *, signed: bool = False) -> int | str:
    """The word of a numeral, or why it is not usable.

    Raises:
        ValueError: the numeral is none.
    """
    text = token.decode("ascii").replace("_", "").lower()
    digits = DIGITS[radix].decode()
    negative = text.startswith("-") and len(text) > 1 and set(text[1:]) <= set(digits)
    magnitude = text.removeprefix("-") if negative else text
    if not magnitude or not set(magnitude) <= {*digits, *UNKNOWN}:
        raise ValueError(text)
    unknown = [character for character in magnitude if character not in digits]
    if unknown:
        return f"contains {unknown[0]}"
    return _signed(magnitude, radix, word_bits, signed) if negative else _unsigned(magnitude, radix, word_bits)


def _unsigned(magnitude: str, radix: int, word_bits: int) -> int | str:
    digits = magnitude.lstrip("0") or "0"
    if len(digits) > max(word_bits, _SHOWN_DIGITS):  # more digits than bits are too wide
        return f"a numeral of {len(digits)} digits is wider than {word_bits} bits"
    value = int(digits, radix)
    return value if value < 1 << word_bits else f"{value:#x} is wider than {word_bits} bits"


def _signed(magnitude: str, radix: int, word_bits: int, signed: bool) -> int | str:
    digits = magnitude.lstrip("0") or "0"
    number = f"-{digits}" if len(digits) <= _SHOWN_DIGITS else f"a numeral of {len(digits)} digits"
    if not signed:
        return f"{number} is negative"
    value = int(digits, radix) if len(digits) <= word_bits else 1 << word_bits
    if value > 1 << (word_bits - 1):
        return f"{number} is wider than {word_bits} bits"
    return -value % (1 << word_bits)
