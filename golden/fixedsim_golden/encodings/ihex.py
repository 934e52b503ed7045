"""Intel HEX: records of octets with checksums.

Word ``i`` takes the octets from address ``i * ceil(word_bits / 8)`` on, the most significant first. Records hold 16
octets; extended linear address records (04) precede each 64 KiB but the first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, InputError
from fixedsim_golden.encodings.encoding import MISSING, Encoding, ReadWords, Text, most_words, require_count, shown
from fixedsim_golden.encodings.numerals import lines, octet_digits
from fixedsim_golden.encodings.words import Octets, Words, beyond, octets_of, require_word_bits

_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_LENGTHS = {_END: 0, _SEGMENT: 2, _START_SEGMENT: 4, _LINEAR: 2, _START_LINEAR: 4}
_BASE_SHIFT = {_SEGMENT: 4, _LINEAR: 16}
_RECORD_OCTETS = 16
_BANK = 1 << 16  # octets that one extended address reaches
_SPACE = 1 << 32
_LINE = re.compile(rb":((?:[0-9A-Fa-f]{2}){5,260})\Z")


def write_ihex(words: Words, name: str) -> bytes:
    """The records of the words and the end record, in upper case; ``name`` does not stand in the file.

    Raises:
        InputError: words of more than 2**32 octets.
    """
    stream = np.ascontiguousarray(words.octets[:, ::-1]).reshape(-1)
    if stream.size > _SPACE:
        raise InputError(f"octets of an Intel HEX file must be at most {_SPACE}, not {stream.size}")
    banks = (_bank(stream[start : start + _BANK], start) for start in range(0, stream.size, _BANK))
    return b"".join(banks) + _records(_END, 0, np.zeros((1, 0), np.uint8))


def _bank(octets: Octets, start: int) -> bytes:
    """The records of up to 64 KiB from address ``start`` on."""
    base = np.array([[start >> 24, start >> 16 & 255]], np.uint8)
    head = _records(_LINEAR, 0, base) if start else b""
    whole = octets.size // _RECORD_OCTETS * _RECORD_OCTETS
    body = _records(_DATA, 0, octets[:whole].reshape(-1, _RECORD_OCTETS))
    return head + body + (_records(_DATA, whole, octets[whole:].reshape(1, -1)) if whole < octets.size else b"")


def _records(kind: int, address: int, octets: Octets) -> bytes:
    """Records of one length from ``address`` on, one for each row of ``octets``."""
    rows, length = octets.shape
    table = np.empty((rows, length + 5), np.uint8)
    addresses = address + length * np.arange(rows)
    table[:, 0], table[:, 1], table[:, 2], table[:, 3] = length, addresses >> 8, addresses & 255, kind
    table[:, 4:-1] = octets
    table[:, -1] = -table[:, :-1].sum(axis=1, dtype=np.uint8)
    return lines(b":", octet_digits(table, upper=True), b"\n")


@dataclass(frozen=True, slots=True)
class _Record:
    subject: str  # the file and line, for messages
    line: bytes
    kind: int
    address: int
    octets: bytes

    def wrong(self, allowed: str) -> FileError:
        return FileError(f"{self.subject} must be {allowed}, not {shown(self.line)}")


def read_ihex(data: bytes, word_bits: int, source: str, *, limit: int | None = None) -> ReadWords:
    """The words of Intel HEX records; a word of which an octet is in no record is missing.

    Raises:
        FileError: a line that is no record, a checksum that does not fit, an address that does not ascend, more words
            than the limit, or no end record.
        InputError: a width outside 1..1024.
    """
    size = octets_of(require_word_bits(word_bits))
    most = most_words(limit, len(data))
    runs = _runs(Text(data, source))
    end = runs[-1][0] + len(runs[-1][1]) if runs else 0
    count = require_count(-(-end // size), most, source)
    stream, present = np.zeros(count * size, np.uint8), np.zeros(count * size, np.bool_)
    for start, octets in runs:
        stream[start : start + len(octets)] = np.frombuffer(octets, np.uint8)
        present[start : start + len(octets)] = True
    return _words(stream.reshape(count, size)[:, ::-1].copy(), np.all(present.reshape(count, size), axis=1), word_bits)


def _words(octets: Octets, whole: NDArray[np.bool_], word_bits: int) -> ReadWords:
    """The words of ``octets``, of which some are not ``whole``."""
    faults = dict.fromkeys(np.flatnonzero(~whole).tolist(), MISSING)
    for index in np.flatnonzero(beyond(octets, word_bits) & whole).tolist():
        value = int.from_bytes(octets[index].tobytes(), "little")
        faults[index] = f"{value:#x} is wider than {word_bits} bits"
    octets[list(faults)] = 0
    return ReadWords(Words(octets, word_bits), dict(sorted(faults.items())))


def _runs(text: Text) -> list[tuple[int, bytearray]]:
    """The octets of all data records, with the address of each run without gaps; ascending."""
    runs, base, ended = list[tuple[int, bytearray]](), 0, False
    for record in _read_records(text):
        if ended:
            raise record.wrong("nothing after the end record")
        if record.kind in _BASE_SHIFT:
            base = int.from_bytes(record.octets) << _BASE_SHIFT[record.kind]
        elif record.kind == _DATA:
            _append(runs, base + record.address, record)
        ended = record.kind == _END
    if not ended:
        raise FileError(f"{text.source} must end with an end record (:00000001FF), not without it")
    return runs


def _append(runs: list[tuple[int, bytearray]], address: int, record: _Record) -> None:
    after = runs[-1][0] + len(runs[-1][1]) if runs else 0
    if not after <= address <= _SPACE - len(record.octets):
        raise record.wrong(f"a record of octets in {after:#x}..{_SPACE - 1:#x}, ascending")
    if runs and address == after:
        runs[-1][1].extend(record.octets)
    elif record.octets:
        runs.append((address, bytearray(record.octets)))


def _read_records(text: Text) -> Iterator[_Record]:
    for number, line in enumerate(text.data.split(b"\n")):
        stripped = line.strip()
        if stripped:
            yield _read_record(stripped, f"{text.source}: line {number + 1}")


def _read_record(line: bytes, subject: str) -> _Record:
    match = _LINE.match(line)
    octets = bytes.fromhex(match[1].decode()) if match else b""
    record = _Record(subject, line, octets[3] if octets else -1, int.from_bytes(octets[1:3]), octets[4:-1])
    if len(octets) < 5 or octets[0] != len(octets) - 5:
        raise record.wrong("a colon, the length, address, kind, octets and checksum of a record")
    if sum(octets) & 255:
        raise record.wrong(f"a record with the checksum {-sum(octets[:-1]) & 255:02X}")
    if record.kind != _DATA and _LENGTHS.get(record.kind) != octets[0]:
        raise record.wrong("a record of kind 00 .. 05 with its length")
    return record


IHEX = Encoding("ihex", ".ihex", write_ihex, read_ihex)
