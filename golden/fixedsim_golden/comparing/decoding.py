"""Words of a dump as raws, whatever stands in them: a word that is no good makes its values faults, not errors."""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format
from fixedsim_golden.encodings import Layout, ReadWords
from fixedsim_golden.encodings.encoding import MISSING
from fixedsim_golden.encodings.layouts import GATES

Raws = NDArray[Any]
Kinds = NDArray[np.uint8]
Codes = NDArray[np.uint64]
Octets = NDArray[np.uint8]
_WORD = 64  # bits of a code, at most


class Fault(IntEnum):
    """Why a value of a dump cannot be compared as an integer."""

    NONE = 0
    MISSING = 1  # the file ends before it, or leaves its address out
    UNKNOWN = 2  # its word has bits that are neither 0 nor 1
    UNREADABLE = 3  # its word is wider than the entry's, or negative
    PADDING = 4  # bits of its word that carry no value are not zero
    NO_RAW = 5  # its code stands for no raw of the format


TEXTS = {
    Fault.MISSING: "missing",
    Fault.UNKNOWN: "contains x",
    Fault.UNREADABLE: "does not fit its word",
    Fault.PADDING: "has padding bits that are not 0",
    Fault.NO_RAW: "is no raw of its format",
}


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Where the values of an entry stand in its words."""

    shape: tuple[int, ...]
    form: Format
    layout: Layout

    @property
    def rows(self) -> tuple[int, int]:
        """How many runs of values start a word of their own, and how long each is."""
        arranged = self._arranged
        padded = self.layout.pad_rows and bool(arranged)
        return (math.prod(arranged[:-1]), arranged[-1]) if padded else (1, math.prod(arranged))

    @property
    def row_words(self) -> int:
        """Words of one run."""
        return -(-self.rows[1] // self.layout.lanes)

    @property
    def words(self) -> int:
        """Words of the entry."""
        return self.rows[0] * self.row_words

    @property
    def _arranged(self) -> tuple[int, ...]:
        return self.shape[::-1] if self.layout.order == "in_out" else self.shape

    @property
    def field_form(self) -> Format:
        """What fills a field: the format, or a wider two's complement where the sign is extended."""
        bits, form = self.layout.field(self.form), self.form
        extended = self.layout.extend == "sign" and form.signed and form.raw_step == 1
        return Format.integer(bits) if extended else form

    def start(self, lane: int) -> int:
        """The lowest bit of a lane."""
        place = lane if self.layout.lane_order == "lsb" else self.layout.lanes - 1 - lane
        return place * self.layout.field(self.form)

    def placed(self, fields: Raws) -> Raws:
        """Values ``(words, lanes)`` in the shape of the entry."""
        rows, columns = self.rows
        values = fields.reshape(rows, self.row_words * self.layout.lanes)[:, :columns].reshape(self._arranged)
        values = values.T if self.layout.order == "in_out" else values
        if self.layout.gate_order is not None:
            places = [self.layout.gate_order.index(gate) for gate in GATES]
            values = values.reshape(len(GATES), -1)[places].reshape(self.shape)
        return np.ascontiguousarray(values).reshape(self.shape)

    def word_of(self, index: tuple[int, ...]) -> int:
        """The word that holds the value at an index."""
        words = np.broadcast_to(np.arange(self.words)[:, None], (self.words, self.layout.lanes))
        return int(self.placed(words)[index])


@dataclass(frozen=True, eq=False)
class Decoded:
    """The raws of an entry as a dump has them; where ``kinds`` holds a :class:`Fault` they are not to be used."""

    raws: Raws
    kinds: Kinds
    surplus: int  # words beyond those of the entry


def decoded(read: ReadWords, where: Arrangement) -> Decoded:
    """The raws that the words of a file hold, in the shape of the entry."""
    count, given = where.words, read.words.octets
    octets = np.zeros((count, given.shape[1]), np.uint8)
    octets[: len(given)] = given[:count]
    words = _word_kinds(read, count)
    if where.layout.lanes > 1 or where.layout.width(where.form) != where.form.bits:
        words[(words == Fault.NONE) & _padding_set(octets, where)] = Fault.PADDING
    form = where.field_form
    codes = np.empty((count, where.layout.lanes), np.uint64)
    for lane in range(where.layout.lanes):
        codes[:, lane] = _bits(octets, where.start(lane), form.bits)
    kinds = where.placed(np.repeat(words[:, None], where.layout.lanes, axis=1))
    raws = _raws(where.placed(codes), form)
    kinds[(kinds == Fault.NONE) & not_raws(raws, where.form)] = Fault.NO_RAW
    return Decoded(raws, kinds, max(0, len(given) - count))


def _word_kinds(read: ReadWords, count: int) -> Kinds:
    kinds = np.zeros(count, np.uint8)
    kinds[len(read.words) :] = Fault.MISSING
    for index, reason in read.faults.items():
        if index < count:
            kinds[index] = fault_of(reason)
    return kinds


def fault_of(reason: str) -> Fault:
    """The kind of what a reader says of a word."""
    if reason == MISSING:
        return Fault.MISSING
    return Fault.UNKNOWN if reason.startswith("contains") else Fault.UNREADABLE


def _padding_set(octets: Octets, where: Arrangement) -> NDArray[np.bool_]:
    """Whether each word has a bit that no value takes."""
    rows, columns = where.rows
    wrong: NDArray[np.bool_] = np.any(octets & ~_used(where, where.layout.lanes, octets.shape[1]), axis=1)
    rest = columns - (where.row_words - 1) * where.layout.lanes
    if rows and where.row_words and rest < where.layout.lanes:
        last = slice(where.row_words - 1, None, where.row_words)
        wrong[last] = np.any(octets[last] & ~_used(where, rest, octets.shape[1]), axis=1)
    return wrong


def _used(where: Arrangement, lanes: int, size: int) -> Octets:
    """The bits that the first lanes of a word take, as octets."""
    field = (1 << where.field_form.bits) - 1
    taken = sum(field << where.start(lane) for lane in range(lanes))
    return np.frombuffer(taken.to_bytes(size, "little"), np.uint8)


def _bits(octets: Octets, start: int, bits: int) -> Codes:
    """The bits ``start .. start + bits - 1`` of every word."""
    first, shift = divmod(start, 8)
    taken = octets[:, first : first + -(-(shift + bits) // 8)]
    window = np.zeros((len(octets), 8 if taken.shape[1] <= 8 else 16), np.uint8)
    window[:, : taken.shape[1]] = taken
    halves = window.view("<u8").astype(np.uint64)
    codes: Codes = halves[:, 0] >> np.uint64(shift)
    if halves.shape[1] > 1:
        codes |= halves[:, 1] << np.uint64(_WORD - shift)
    return codes & np.uint64((1 << bits) - 1)


def _raws(codes: Codes, form: Format) -> Raws:
    """What each code stands for; of a narrow range also what lies outside it."""
    if form.raw_step != 1:
        words = (codes << np.uint64(1)) + np.uint64(form.raw_min % (1 << _WORD))
        return words.view(np.int64)
    if form.signed:
        shift = _WORD - form.bits
        return (codes << np.uint64(shift)).view(np.int64) >> np.int64(shift)
    return codes if form.raw_max >= 1 << 63 else codes.view(np.int64)


def not_raws(raws: Raws, form: Format) -> NDArray[np.bool_]:
    """Which integers are no raws of a format."""
    outside = (raws < form.raw_min) | (raws > form.raw_max)
    if form.raw_step == 2:
        outside |= (raws & 1) != (form.raw_min & 1)
    return np.asarray(outside, dtype=np.bool_)
