"""Tensors of a graph's constants: type, shape and values checked against each other before memory is taken."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim.importers.tensorflow import wire
from fixedsim.importers.tensorflow.graph import Graph, Node

MAX_AXES = 8
MAX_EXPANSION = 8  # of all constants together over the file, beyond QUIET_BYTES: one value may fill a tensor
QUIET_BYTES = 1 << 24
MAX_LISTED = 1 << 20  # integers of one packed field, or fields of one constant
_DTYPE, _SHAPE, _CONTENT = 1, 2, 4  # TensorProto
_HALVES, _FLOATS, _DOUBLES, _INTEGERS, _LONGS, _BOOLS = 13, 5, 6, 7, 10, 11
_BFLOAT16: Final = 14
# The number of a type: its name, the items of its content, and the field that lists its values.
_TYPES = {
    1: ("float32", "<f4", _FLOATS),
    2: ("float64", "<f8", _DOUBLES),
    3: ("int32", "<i4", _INTEGERS),
    4: ("uint8", "u1", _INTEGERS),
    5: ("int16", "<i2", _INTEGERS),
    6: ("int8", "i1", _INTEGERS),
    9: ("int64", "<i8", _LONGS),
    10: ("bool", "?", _BOOLS),
    14: ("bfloat16", "<u2", _HALVES),
    19: ("float16", "<f2", _HALVES),
}
_FLOAT_TYPES = (1, 2, 14, 19)


class Constants:
    """The constants of a graph as arrays, each decoded once."""

    def __init__(self, graph: Graph) -> None:
        self._left = MAX_EXPANSION * graph.size + QUIET_BYTES
        self._known: dict[str, NDArray[Any]] = {}

    def shape(self, node: Node) -> tuple[int, ...] | None:
        """The shape of a constant of floating-point numbers; None for any other node."""
        message = node.attributes.get("value")
        if node.op != "Const" or not isinstance(message, memoryview):
            return None
        kind, shape = _header(node.name, message)
        return shape if kind in _FLOAT_TYPES else None

    def array(self, node: Node) -> NDArray[Any]:
        """The values of a constant, bfloat16 as float32; one value, or the last, fills what the file leaves out.

        Raises:
            FileError: it is no constant, of another type, damaged, or would expand too far.
        """
        if node.name not in self._known:
            message = node.attributes.get("value")
            if node.op != "Const" or not isinstance(message, memoryview):
                raise FileError(f"node {node.name!r} must be a constant, not {node.op}")
            self._known[node.name] = self._decoded(node.name, message)
        return self._known[node.name]

    def _decoded(self, name: str, message: memoryview) -> NDArray[Any]:
        kind, shape = _header(name, message)
        if kind not in _TYPES:
            raise FileError(f"constant {name!r} must be of a known type, not type {kind}")
        _, item, field = _TYPES[kind]
        count = math.prod(shape)
        self._left -= count * np.dtype(item).itemsize * (2 if kind == _BFLOAT16 else 1)
        if self._left < 0:
            raise FileError(f"constants must expand to at most {MAX_EXPANSION} times the file, not {name!r} further")
        values = _values(name, message, np.dtype(item), field, count)
        if kind == _BFLOAT16:
            values = (values.astype(np.uint32) << 16).view(np.float32)
        filled = values if values.size == count else np.append(values, np.full(count - values.size, values[-1]))
        array: NDArray[Any] = filled.astype(filled.dtype.newbyteorder("="), copy=False).reshape(shape)
        array.flags.writeable = False
        return array


def _header(name: str, message: memoryview) -> tuple[int, tuple[int, ...]]:
    kind = 0
    shape: tuple[int, ...] = ()
    for part in wire.fields(message):
        if part.number == _DTYPE:
            kind = wire.integer_of(part, f"type of constant {name!r}")
        elif part.number == _SHAPE:
            shape = _shape(name, wire.message_of(part, f"shape of constant {name!r}"))
    return kind, shape


def _shape(name: str, message: memoryview) -> tuple[int, ...]:
    shape: list[int] = []
    for part in wire.fields(message):
        if part.number != 2:
            raise FileError(f"constant {name!r} must have a known shape, not an unknown one")
        size = 0
        for entry in wire.fields(wire.message_of(part, f"axis of constant {name!r}")):
            if entry.number == 1:
                size = wire.integer_of(entry, f"axis of constant {name!r}")
        if not 0 <= size < 1 << 40:
            raise FileError(f"constant {name!r}: sizes of axes must be in 0..{(1 << 40) - 1}, not {size}")
        shape.append(size)
        if len(shape) > MAX_AXES:
            raise FileError(f"constant {name!r} must have at most {MAX_AXES} axes, not more")
    return tuple(shape)


def _values(name: str, message: memoryview, item: np.dtype[Any], field: int, count: int) -> NDArray[Any]:
    """The values that the file holds: all, or those before the last repeats."""
    content: memoryview | None = None
    listed: list[NDArray[Any]] = []
    for part in wire.fields(message):
        if part.number == _CONTENT:
            content = wire.message_of(part, f"content of constant {name!r}")
        elif part.number == field:
            listed.append(_listed(part, item, field))
            if len(listed) > MAX_LISTED:
                raise FileError(f"constant {name!r} must list its values in at most {MAX_LISTED} fields, not more")
    if content is not None and len(content):
        if len(content) != count * item.itemsize:
            raise FileError(f"constant {name!r} must hold {count * item.itemsize} bytes, not {len(content)}")
        return np.frombuffer(content, item)
    values = np.concatenate(listed) if listed else np.zeros(min(count, 1), item)
    if values.size > count or (count and not values.size):
        raise FileError(f"constant {name!r} must hold at most {count} values, not {values.size}")
    return values


def _listed(part: wire.Field, item: np.dtype[Any], field: int) -> NDArray[Any]:
    """The values of one field, packed or single; halves stand as their 16 bits."""
    if field in (_FLOATS, _DOUBLES):
        content, size = wire.message_of(part._replace(kind=wire.BYTES), "values of a constant"), item.itemsize
        if len(content) % size:
            raise FileError(f"values of a constant must have {size} bytes each, not {len(content)} together")
        return np.frombuffer(content, item)
    integers = [part.value] if isinstance(part.value, int) else wire.packed_varints(part.value, MAX_LISTED)
    bits = np.array(integers, np.uint64)
    if field == _HALVES:
        return bits.astype(np.uint16).view(item)
    return bits.astype(np.bool_) if field == _BOOLS else bits.astype(np.int64).astype(item)
