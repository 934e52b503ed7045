"""FlatBuffers read with every offset checked: what stands between a hostile file and the generated accessors.

The accessors of the package ``tflite`` believe offsets and lengths. They reach the file through a table object
alone, so :class:`CheckedTable` takes that object's place; the names of its methods are those the accessors call.
"""

import importlib
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import DependencyError, FileError

MAX_FIELDS = 64  # of one table; the schema's largest has 20
MAX_ROWS = 1 << 14  # of one vector of tables: tensors, operators
MAX_NUMBERS = 1 << 22  # in shapes, operands, scales and options of a whole file
MAX_EXPANSION = 4  # of all constants together over the file, beyond QUIET_BYTES: tensors may share a buffer
QUIET_BYTES = 1 << 20
_OFFSET = struct.Struct("<I")
_SIGNED_OFFSET = struct.Struct("<i")
_FIELD = struct.Struct("<H")


@cache
def schema(name: str) -> Any:
    """The generated class of one table or enumeration of the schema.

    Raises:
        DependencyError: the package ``tflite`` is not installed.
    """
    try:
        return getattr(importlib.import_module(f"tflite.{name}"), name)
    except ImportError:
        raise DependencyError(
            "tflite must be installed to read TensorFlow Lite files; pip install 'fixedsim[tflite]'"
        ) from None


@cache
def names(enumeration: str) -> dict[int, str]:
    """The schema's name of each value of an enumeration."""
    return {value: name for name, value in vars(schema(enumeration)).items() if not name.startswith("_")}


class Source:
    """The bytes of a file, and how much may still be taken from them.

    Tables may share a vector at no cost in bytes, so the size of a file does not bound what it decodes to.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._numbers = MAX_NUMBERS
        self._bytes = MAX_EXPANSION * len(data) + QUIET_BYTES

    def check(self, start: int, size: int) -> None:
        """Raise FileError unless bytes ``start .. start + size - 1`` stand in the file."""
        if start < 0 or start + size > len(self.data):
            end = len(self.data) - 1
            raise FileError(f"bytes {start}..{start + size - 1} must lie in 0..{end}, not beyond: the file is damaged")

    def number(self, form: struct.Struct, start: int) -> Any:
        """The number at byte ``start``."""
        self.check(start, form.size)
        return form.unpack_from(self.data, start)[0]

    def take_numbers(self, count: int) -> None:
        """Count numbers of the description."""
        self._numbers -= count
        if self._numbers < 0:
            raise FileError(f"shapes, operands, scales and options must have at most {MAX_NUMBERS} numbers, not more")

    def take_bytes(self, count: int) -> None:
        """Count bytes of decoded constants."""
        self._bytes -= count
        if self._bytes < 0:
            raise FileError(f"constants must expand to at most {MAX_EXPANSION} times the file, not further")


class AbsentTable:
    """A table without a field: every accessor gives its default."""

    Pos = 0

    def Offset(self, slot: int) -> int:
        """No field is there."""
        return 0


class CheckedTable:
    """One table of a file, for generated accessors."""

    def __init__(self, source: Source, position: int) -> None:
        self.source, self.Bytes, self.Pos = source, source.data, position
        start = position - source.number(_SIGNED_OFFSET, position)
        length = source.number(_FIELD, start)
        if length % 2 or not 4 <= length <= 4 + 2 * MAX_FIELDS:
            raise FileError(f"bytes of a table's index must be even in 4..{4 + 2 * MAX_FIELDS}, not {length}")
        source.check(start, length)
        _, size, *self._fields = struct.unpack_from(f"<{length // 2}H", source.data, start)
        source.check(position, size)
        if any(field >= size for field in self._fields if field):
            raise FileError(f"fields of the table at byte {position} must lie in its {size} bytes, not beyond")
        self._asked = 0

    def newer_field(self) -> int | None:
        """The first field beyond all that were asked for, which is one of a schema that is newer than the accessors."""
        later = range(self._asked, len(self._fields))
        return next((field for field in later if self._fields[field]), None)

    def Offset(self, slot: int) -> int:
        """Where in the table the field of a slot of the index is; 0 for an absent one."""
        field = (slot - 4) // 2
        self._asked = max(self._asked, field + 1)
        return int(self._fields[field]) if field < len(self._fields) else 0

    def Get(self, flags: Any, start: int) -> Any:
        """The number of the type ``flags`` at a byte."""
        return flags.py_type(self.source.number(flags.packer_type, start))

    def Indirect(self, start: int) -> int:
        """Where the offset at a byte points: to a table, vector or string, which begins with four bytes at least."""
        target = start + int(self.source.number(_OFFSET, start))
        self.source.check(target, _OFFSET.size)
        return target

    def Vector(self, field: int) -> int:
        """Where the first element of the vector of a field is."""
        return self.Indirect(self.Pos + field) + _OFFSET.size

    def VectorLen(self, field: int) -> int:
        """The length of the vector of a field, which has at least one byte to an element."""
        start = self.Vector(field)
        length = int(self.source.number(_OFFSET, start - _OFFSET.size))
        self.source.check(start, length)
        return length

    def GetVectorAsNumpy(self, flags: Any, field: int) -> NDArray[Any]:
        """The vector of a field, as a view of the file."""
        start, length = self.Vector(field), self.VectorLen(field)
        self.source.check(start, length * flags.bytewidth)
        kind = np.dtype(flags.name).newbyteorder("<")
        return np.frombuffer(self.Bytes, kind, length, start)

    def String(self, start: int) -> bytes:
        """The string whose offset stands at a byte."""
        begin = self.Indirect(start)
        length = int(self.source.number(_OFFSET, begin))
        begin += _OFFSET.size
        self.source.check(begin, length)
        self.source.take_numbers(length)
        return self.Bytes[begin : begin + length]

    def Union(self, table: Any, field: int) -> None:
        """Point ``table`` at the content of a union."""
        table.Pos = self.Indirect(self.Pos + field)
        table.Bytes = self.Bytes


def root(source: Source, name: str) -> Any:
    """The accessor of the table that a file begins with."""
    return at(source, source.number(_OFFSET, 0), name)


def at(source: Source, position: int, name: str) -> Any:
    """The accessor ``name`` of the table at ``position``."""
    accessor = schema(name)()
    accessor._tab = CheckedTable(source, position)
    return accessor


def defaults(name: str) -> Any:
    """The accessor ``name`` of a table that is not there."""
    accessor = schema(name)()
    accessor._tab = AbsentTable()
    return accessor


def nested(parent: Any, child: Any) -> Any:
    """``child``, which an accessor of ``parent`` returned, with its table checked; None for an absent one."""
    if child is not None:
        child._tab = CheckedTable(parent._tab.source, child._tab.Pos)
    return child


def row_count(parent: Any, field: str) -> int:
    """How many tables the vector of a field has."""
    count = int(getattr(parent, f"{field}Length")())
    if count > MAX_ROWS:
        raise FileError(f"{field} must have at most {MAX_ROWS} entries, not {count}")
    return count


def rows(parent: Any, field: str) -> Iterator[Any]:
    """The tables that the vector of a field lists."""
    entry = getattr(parent, field)
    return (nested(parent, entry(index)) for index in range(row_count(parent, field)))


def numbers(parent: Any, field: str) -> tuple[Any, ...]:
    """The numbers of the vector of a field, as Python's; none where it is absent."""
    if getattr(parent, f"{field}IsNone")():
        return ()
    parent._tab.source.take_numbers(getattr(parent, f"{field}Length")())
    return tuple(getattr(parent, f"{field}AsNumpy")().tolist())


def text(value: bytes | None) -> str:
    """A string of the file; bytes that are not UTF-8 are replaced."""
    return (value or b"").decode("utf-8", "replace")


def refuse_newer(subject: str, parent: Any) -> None:
    """Raise FileError if the file says something that this schema has no word for.

    The accessor of the table's last known field must have been called.
    """
    field = parent._tab.newer_field()
    if field is not None:
        raise FileError(f"{subject} must have the known fields alone, not field {field} of a newer schema")
