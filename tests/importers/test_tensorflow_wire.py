"""The reader of protocol buffers: varints, lengths, tensors of every form, and hostile graphs and constants."""

import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim.importers.tensorflow import wire
from fixedsim.importers.tensorflow.constants import Constants
from fixedsim.importers.tensorflow.graph import Graph, parsed_graph

FLOAT, DOUBLE, INT32, INT64, HALF, BFLOAT16 = 1, 2, 3, 9, 19, 14


def varint(value: int) -> bytes:
    """Seven bits to a byte, the lowest first; two's complement of 64 bits."""
    value %= 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def tensor(kind: int, shape: tuple[int, ...], values: bytes) -> bytes:
    """A TensorProto whose values are given as fields."""
    axes = b"".join(chunk(2, number(1, size)) for size in shape)
    return number(1, kind) + chunk(2, axes) + values


def attribute(name: str, value: bytes) -> bytes:
    return chunk(5, chunk(1, name) + chunk(2, value))


def node(name: str, op: str, inputs: tuple[str, ...] = (), attributes: bytes = b"") -> bytes:
    return chunk(1, chunk(1, name) + chunk(2, op) + b"".join(chunk(3, each) for each in inputs) + attributes)


def constant(name: str, content: bytes) -> bytes:
    return node(name, "Const", (), attribute("value", chunk(8, content)))


def decoded(content: bytes) -> NDArray[Any]:
    graph = parsed_graph(constant("c", content))
    return Constants(graph).array(graph.nodes["c"])


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63, 2**64 - 1])
def test_varints(value: int) -> None:
    (field,) = wire.fields(memoryview(number(5, value)))
    assert field == wire.Field(5, 0, value)
    assert wire.integer_of(field, "x") == (value if value < 1 << 63 else value - (1 << 64))


PACKED = struct.pack("<3f", 1.5, -2, 3)
TENSORS = {
    "content": (tensor(FLOAT, (3,), chunk(4, PACKED)), [1.5, -2, 3]),
    "packed floats": (tensor(FLOAT, (3,), chunk(5, PACKED)), [1.5, -2, 3]),
    "single floats": (
        tensor(FLOAT, (3,), b"".join(varint(5 << 3 | 5) + struct.pack("<f", value) for value in (1.5, -2, 3))),
        [1.5, -2, 3],
    ),
    "one value": (tensor(FLOAT, (2, 2), chunk(5, struct.pack("<f", 7))), [[7, 7], [7, 7]]),
    "the last value repeats": (tensor(FLOAT, (4,), chunk(5, PACKED)), [1.5, -2, 3, 3]),
    "no value": (tensor(FLOAT, (2,), b""), [0, 0]),
    "doubles": (tensor(DOUBLE, (2,), chunk(6, struct.pack("<2d", 0.1, 1e300))), [0.1, 1e300]),
    "halves": (tensor(HALF, (2,), chunk(13, varint(0x3C00) + varint(0xC000))), [1, -2]),
    "halves as content": (tensor(HALF, (2,), chunk(4, struct.pack("<2e", 1, -2))), [1, -2]),
    "bfloat16": (tensor(BFLOAT16, (2,), chunk(13, varint(0x3F80) + varint(0xC000))), [1, -2]),
    "integers": (tensor(INT32, (3,), chunk(7, varint(5) + varint(-1) + varint(-(2**31)))), [5, -1, -(2**31)]),
    "long integers": (tensor(INT64, (2,), chunk(10, varint(2**40) + varint(-(2**40)))), [2**40, -(2**40)]),
    "a scalar": (tensor(FLOAT, (), chunk(5, struct.pack("<f", 2))), 2),
    "an empty axis": (tensor(FLOAT, (0, 3), b""), np.zeros((0, 3))),
}


@pytest.mark.parametrize("name", TENSORS)
def test_tensors(name: str) -> None:
    content, wanted = TENSORS[name]
    array = decoded(content)
    np.testing.assert_array_equal(array, wanted)
    assert array.dtype.byteorder in "=|"


HOSTILE = {
    "a length beyond the file": (b"\x0a\xff\x01", "field 1 must hold at most 0 bytes, not 255"),
    "an endless varint": (b"\x08" * 1 + b"\xff" * 12, "must be a frozen graph, not a SavedModel"),
    "a varint that is too long": (b"\x0a" + b"\xff" * 12, "varint must have at most 10 bytes"),
    "a varint that is cut": (b"\x0a\xff", "varint must end in its message"),
    "a group": (b"\x0b", "wire type of field 1 must be 0, 1, 2 or 5, not 3"),
    "nothing": (b"", "graph must have nodes, not none"),
    "no name": (chunk(1, chunk(2, "Const")), "node must have a name and an op"),
    "a name twice": (node("a", "Const") * 2, "node 'a' must be named once, not twice"),
    "a name that is not text": (chunk(1, chunk(1, b"\xff")), "name of a node must be UTF-8"),
    "a long name": (chunk(1, chunk(1, "a" * 2000)), "name of a node must have at most 1024 bytes, not 2000"),
    "a port": (node("a", "Add", ("b:x",)), "input 'b:x' must be a node and a port"),
    "a number for a node": (node("a", "Const") + number(1, 3), "node must be a message, not a number"),
    "a SavedModel": (number(1, 1) + chunk(2, b""), "not a SavedModel; freeze"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_graphs(name: str) -> None:
    content, message = HOSTILE[name]
    with pytest.raises(FileError, match=message):
        parsed_graph(content)


CONSTANTS = {
    "too few bytes": (tensor(FLOAT, (3,), chunk(4, b"abcd")), "constant 'c' must hold 12 bytes, not 4"),
    "too many values": (tensor(FLOAT, (1,), chunk(5, PACKED)), "must hold at most 1 values, not 3"),
    "half a value": (tensor(FLOAT, (3,), chunk(5, PACKED[:-1])), "must have 4 bytes each, not 11"),
    "a negative axis": (tensor(FLOAT, (-1,), b""), "sizes of axes must be in 0..1099511627775, not -1"),
    "nine axes": (tensor(FLOAT, (1,) * 9, b""), "must have at most 8 axes"),
    "a string": (tensor(7, (1,), b""), "must be of a known type, not type 7"),
    "a bomb": (tensor(FLOAT, (1 << 20, 1 << 20), chunk(5, struct.pack("<f", 1))), "must expand to at most 8 times"),
    "no shape": (number(1, FLOAT) + chunk(2, number(3, 1)), "must have a known shape"),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_hostile_constants(name: str) -> None:
    content, message = CONSTANTS[name]
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=message):
            decoded(content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_graph_of_nodes() -> None:
    graph: Graph = parsed_graph(node("a", "X", ("b:2", "^c")) + node("b", "Y") + node("c", "Z"))
    assert graph.nodes["a"].inputs == (("b", 2),)
    assert [reader.name for reader in graph.readers("b")] == ["a"]
