"""Protocol buffers' wire format: fields of one message, every length checked before it is believed.

A message is a row of fields, each a number and a value: a varint, 8 or 4 bytes, or bytes with their length, which may
be a message again. How deep messages nest is decided by who reads them, never by the file.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from fixedsim.errors import FileError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10
_MASK = (1 << 64) - 1


class Field(NamedTuple):
    """One field: its number, its wire type, and its value (an unsigned integer, or a view of the file's bytes)."""

    number: int
    kind: int
    value: int | memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message in the order of the file.

    Raises:
        FileError: a length beyond the message, a varint that is too long, or a wire type that is not known.
    """
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield Field(number, kind, value)
            continue
        if kind == BYTES:
            size, place = _varint(message, place)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise FileError(f"wire type of field {number} must be 0, 1, 2 or 5, not {kind}")
        if size > end - place:
            raise FileError(f"field {number} must hold at most {end - place} bytes, not {size}")
        yield Field(number, kind, message[place : place + size])
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """The varint at ``place`` modulo ``2**64``, and where it ends."""
    value = 0
    for index in range(_LONGEST_VARINT):
        if place + index >= len(message):
            raise FileError("varint must end in its message, not beyond")
        byte = message[place + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & _MASK, place + index + 1
    raise FileError(f"varint must have at most {_LONGEST_VARINT} bytes, not more")


def message_of(field: Field, what: str) -> memoryview:
    """The bytes of a field.

    Raises:
        FileError: it is a number.
    """
    if not isinstance(field.value, memoryview) or field.kind != BYTES:
        raise FileError(f"{what} must be a message, not a number")
    return field.value


def text_of(field: Field, what: str, longest: int) -> str:
    """The string of a field.

    Raises:
        FileError: it is a number, too long or not UTF-8.
    """
    content = message_of(field, what)
    if len(content) > longest:
        raise FileError(f"{what} must have at most {longest} bytes, not {len(content)}")
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError:
        raise FileError(f"{what} must be UTF-8, not other bytes") from None


def integer_of(field: Field, what: str) -> int:
    """The signed 64-bit integer of a varint field.

    Raises:
        FileError: it is something else.
    """
    if not isinstance(field.value, int):
        raise FileError(f"{what} must be an integer, not bytes")
    return field.value - (1 << 64) if field.value >> 63 else field.value


def float_of(field: Field, what: str) -> float:
    """The number of a field of four or eight bytes.

    Raises:
        FileError: it is something else.
    """
    if not isinstance(field.value, memoryview) or field.kind not in _FIXED:
        raise FileError(f"{what} must be a floating-point number, not another value")
    return float(struct.unpack("<f" if field.kind == FIXED32 else "<d", field.value)[0])


def packed_varints(content: memoryview, most: int) -> list[int]:
    """The varints of a packed field, unsigned.

    Raises:
        FileError: more than ``most``, or a damaged one.
    """
    values, place = [], 0
    while place < len(content):
        value, place = _varint(content, place)
        values.append(value)
        if len(values) > most:
            raise FileError(f"packed field must hold at most {most} numbers, not more")
    return values
