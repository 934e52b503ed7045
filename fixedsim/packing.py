"""Dense packing: the raws of a matrix as a stream of bits, so that a 3-bit weight takes 3 bits.

A code is what :meth:`~fixedsim.formats.Format.code` gives. The stream starts with the lowest bit of the first word:
bit ``i`` of it is bit ``i % 8`` of byte ``i // 8``.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fixedsim.arrays import Raws, require_raws
from fixedsim.errors import InputError
from fixedsim.formats import Format

_CODE = np.dtype("<u8")  # codes as bytes, the lowest first, on every machine
_CODE_BITS = 64
_CHUNK_BITS = 1 << 22  # bits that stand as one byte each at a time
_INT64_MAX = (1 << 63) - 1

Codes = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint8]  # 0 or 1


@dataclass(frozen=True, slots=True)
class Packing:
    """How values stand in words.

    A word holds ``lanes`` values in ascending order, value 0 in the lowest bits, each of them in the lowest bits of a
    field. The last word is filled with zero codes.

    Raises:
        InputError: fewer than one lane, or an alignment below one bit.
    """

    lanes: int = 1  # values of a word
    align: int = 1  # bits; a field is the format's bits rounded up to a multiple of it
    pad_rows: bool = False  # whether each row (all axes but the last flattened) starts a new word

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise InputError(f"lanes must be at least 1, not {self.lanes}")
        if self.align < 1:
            raise InputError(f"align must be at least 1, not {self.align}")


@dataclass(frozen=True, slots=True)
class Packed:
    """Values as bits: ``words`` words one after another without gaps, filled with zero bits to a whole byte."""

    data: bytes  # (bits + 7) // 8 bytes
    bits: int  # that the words take: words * word_bits
    padding: int  # bits of the words that carry no value: filled fields and alignment
    words: int
    word_bits: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the values of one shape stand; without ``pad_rows`` all of them are one row."""

    rows: int
    columns: int
    row_words: int
    lanes: int
    field: int  # bits

    @staticmethod
    def of(shape: tuple[int, ...], form: Format, packing: Packing) -> "_Layout":
        count = math.prod(shape)
        rows, columns = (math.prod(shape[:-1]), shape[-1]) if packing.pad_rows and shape else (1, count)
        field = -(-form.bits // packing.align) * packing.align
        return _Layout(rows, columns, -(-columns // packing.lanes), packing.lanes, field)

    @property
    def words(self) -> int:
        return self.rows * self.row_words

    @property
    def word_bits(self) -> int:
        return self.lanes * self.field

    @property
    def bits(self) -> int:
        return self.words * self.word_bits

    @property
    def size(self) -> int:
        """Bytes of the data."""
        return -(-self.bits // 8)

    @property
    def fields(self) -> tuple[int, int]:
        """The shape of the fields of each row, filled ones too."""
        return self.rows, self.row_words * self.lanes

    def chunks(self) -> Iterator[slice]:
        """Runs of words, each but the last a whole number of bytes."""
        step = max(8, _CHUNK_BITS // self.word_bits // 8 * 8)
        for start in range(0, self.words, step):
            yield slice(start, min(start + step, self.words))


def pack(raws: npt.ArrayLike, form: Format, packing: Packing = Packing()) -> Packed:
    """Return the codes of ``raws`` (any shape) one after another, in C order.

    Raises:
        InputError: another type than integers, or an element that is no raw of ``form``.
    """
    given = require_raws(raws, form, "raws")
    layout = _Layout.of(given.shape, form, packing)
    codes = np.zeros(layout.fields, _CODE)
    codes[:, : layout.columns] = _codes(given, form).reshape(layout.rows, layout.columns)
    words = codes.reshape(layout.words, layout.lanes)
    data = b"".join(_to_bytes(words[chunk].reshape(-1), form.bits, layout.field) for chunk in layout.chunks())
    padding = layout.bits - given.size * form.bits
    return Packed(data, layout.bits, padding, layout.words, layout.word_bits)


def unpack(data: bytes, shape: tuple[int, ...], form: Format, packing: Packing = Packing()) -> Raws:
    """Return the raws of ``shape`` that :func:`pack` made ``data`` of: int64, or uint64 where the format needs it.

    Raises:
        InputError: a negative axis, data of another length, padding that is not zero (the bits to the last byte too),
            or a code that stands for no raw of ``form``; the first is named with its place.
    """
    if any(axis < 0 for axis in shape):
        raise InputError(f"shape must be of axes of at least 0, not {shape}")
    layout = _Layout.of(shape, form, packing)
    if len(data) != layout.size:
        raise InputError(f"data must be of {layout.size} bytes, not {len(data)}")
    _require_zero_end(data, layout.bits)
    used = np.zeros(layout.fields, np.bool_)
    used[:, : layout.columns] = True
    used = used.reshape(layout.words, layout.lanes)
    codes = np.zeros((layout.words, layout.lanes), _CODE)
    for chunk in layout.chunks():
        first, count = chunk.start * layout.word_bits, (chunk.stop - chunk.start) * layout.word_bits
        octets = np.frombuffer(data, np.uint8, -(-count // 8), first // 8)
        bits = np.unpackbits(octets, count=count, bitorder="little").reshape(-1, layout.field)
        _require_zero_padding(bits, used[chunk].reshape(-1), form.bits, first)
        codes[chunk] = _from_bits(bits[:, : form.bits]).reshape(-1, layout.lanes)
    kept = codes.reshape(layout.fields)[:, : layout.columns].reshape(shape)
    return _raws(np.ascontiguousarray(kept, np.uint64).reshape(shape), form)


def _codes(raws: Raws, form: Format) -> Codes:
    """:meth:`Format.code` of each raw; 64-bit words that wrap, so that a range of step 2 may span all of them."""
    words: Codes = raws.reshape(-1).view(np.uint64)
    if form.raw_step == 1:
        return words & np.uint64((1 << form.bits) - 1)
    return (words - np.uint64(form.raw_min % (1 << _CODE_BITS))) >> np.uint64(1)


def _raws(codes: Codes, form: Format) -> Raws:
    """:meth:`Format.raw` of each code of ``form.bits`` bits."""
    flat = codes.reshape(-1)
    if form.raw_step != 1:  # every code is a raw
        words = (flat << np.uint64(1)) + np.uint64(form.raw_min % (1 << _CODE_BITS))
        return words.view(np.int64).reshape(codes.shape)
    raws: Raws = flat
    if form.signed:
        shift = _CODE_BITS - form.bits
        raws = (flat << np.uint64(shift)).view(np.int64) >> np.int64(shift)
    wrong = (raws < form.raw_min) | (raws > form.raw_max)
    if wrong.any():
        first = int(wrong.argmax())
        place = [int(index) for index in np.unravel_index(first, codes.shape)] if codes.ndim else ""
        allowed = f"{form.name} ({form.raw_min}..{form.raw_max})"
        raise InputError(f"code{place} must stand for a raw of {allowed}, not {int(flat[first])}")
    return raws.astype(np.uint64 if form.raw_max > _INT64_MAX else np.int64).reshape(codes.shape)


def _to_bytes(codes: npt.NDArray[np.uint64], bits: int, field: int) -> bytes:
    fields = np.zeros((codes.size, field), np.uint8)
    octets = np.ascontiguousarray(codes).view(np.uint8).reshape(codes.size, _CODE_BITS // 8)
    fields[:, :bits] = np.unpackbits(octets, axis=1, count=bits, bitorder="little")
    return np.packbits(fields.reshape(-1), bitorder="little").tobytes()


def _from_bits(bits: Bits) -> Codes:
    """The codes whose bits, lowest first, are the rows of ``bits`` (codes, bits)."""
    octets = np.zeros((bits.shape[0], _CODE_BITS // 8), np.uint8)
    octets[:, : -(-bits.shape[1] // 8)] = np.packbits(bits, axis=1, bitorder="little")
    return octets.reshape(-1).view(_CODE).astype(np.uint64)


def _require_zero_padding(bits: Bits, used: npt.NDArray[np.bool_], width: int, first: int) -> None:
    """Check the fields ``bits`` (fields, field), of which ``used`` carry ``width`` bits; ``first`` starts them."""
    wrong = bits.astype(np.bool_)
    wrong[used, :width] = False
    if wrong.any():
        raise InputError(f"padding bit {first + int(wrong.argmax())} of data must be 0, not 1")


def _require_zero_end(data: bytes, bits: int) -> None:
    """Check the bits between the last word and the end of the last byte."""
    rest = data[-1] >> (bits % 8) if bits % 8 else 0
    if rest:
        place = bits + (rest & -rest).bit_length() - 1
        raise InputError(f"padding bit {place} of data must be 0, not 1")
