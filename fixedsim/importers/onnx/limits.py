"""Look over an ONNX file's bytes before they are parsed, and count what is made of them afterwards.

Parsing makes an object of every message, however few bytes it has, so the count of messages is bounded first. What a
reader takes in memory is at most 18 times the file and the files of its tensors, beyond 1 GiB.
"""

from typing import Final

from fixedsim.errors import FileError

MAX_FIELDS = 1 << 19  # messages and strings of one file
MAX_DEPTH = 32  # of messages in messages
MAX_EXPANSION = 8  # of all arrays together over the file and the files of its tensors, beyond QUIET_BYTES
QUIET_BYTES = 1 << 28
_LONGEST_VARINT = 10
_FIXED: Final = {1: 8, 5: 4}
_LEAF: Final[dict[int, str]] = {}
# Which fields of onnx.proto hold messages; other fields are numbers, strings or bytes.
_MESSAGES: Final[dict[str, dict[int, str]]] = {
    "Model": {7: "Graph", 8: "Leaf", 14: "Leaf", 20: "Training", 25: "Function", 26: "Leaf"},
    "Training": {1: "Graph", 2: "Graph", 3: "Leaf", 4: "Leaf"},
    "Function": {7: "Node", 9: "Leaf", 11: "Attribute", 12: "ValueInfo", 14: "Leaf"},
    "Graph": {
        1: "Node", 5: "Tensor", 11: "ValueInfo", 12: "ValueInfo", 13: "ValueInfo", 14: "Annotation",
        15: "SparseTensor", 16: "Leaf",
    },
    "Node": {5: "Attribute", 9: "Leaf", 10: "Leaf"},
    "Attribute": {
        5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 14: "Type", 15: "Type", 22: "SparseTensor",
        23: "SparseTensor",
    },
    "Tensor": {3: "Leaf", 13: "Leaf", 16: "Leaf"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Annotation": {2: "Leaf"},
    "ValueInfo": {2: "Type", 4: "Leaf"},
    "Type": {1: "TensorType", 4: "Nested", 5: "Map", 7: "Leaf", 8: "TensorType", 9: "Nested"},
    "Nested": {1: "Type"},
    "Map": {2: "Type"},
    "TensorType": {2: "Shape"},
    "Shape": {1: "Leaf"},
    "Leaf": _LEAF,
}  # fmt: skip


def check_messages(data: bytes) -> None:
    """Refuse a file with more messages, or deeper ones, than a network needs.

    Raises:
        FileError: too many or too deep messages, or bytes that are no protocol buffer.
    """
    place, end, messages = 0, len(data), _MESSAGES["Model"]
    outer: list[tuple[int, dict[int, str]]] = []  # where messages around this one end, and what they hold
    for _ in range(MAX_FIELDS):
        while place == end:
            if not outer:
                return
            end, messages = outer.pop()
        key, place = _varint(data, place, end)
        size, place = _size(data, place, end, key & 7)
        inner = messages.get(key >> 3) if key & 7 == 2 else None
        if inner is None:
            place += size
            continue
        if len(outer) == MAX_DEPTH:
            raise FileError(f"messages must be nested at most {MAX_DEPTH} deep, not deeper")
        outer.append((end, messages))
        end, messages = place + size, _MESSAGES[inner]
    raise FileError(f"fields must be fewer than {MAX_FIELDS}, not more")


def _size(data: bytes, place: int, end: int, wire: int) -> tuple[int, int]:
    """The bytes of a field's value, and where they begin."""
    size = _FIXED.get(wire, 0)
    if wire == 0:
        _, place = _varint(data, place, end)
    elif wire == 2:
        size, place = _varint(data, place, end)
    elif wire not in _FIXED:
        raise FileError(f"content must be an ONNX model, not a field of wire type {wire} at byte {place}")
    if size > end - place:
        raise FileError(f"content must be a whole ONNX model, not one cut off in a field at byte {place}")
    return size, place


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    if place < end and data[place] < 0x80:
        return data[place], place + 1
    value = 0
    for index in range(min(_LONGEST_VARINT, end - place)):
        byte = data[place + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, place + index + 1
    raise FileError(f"content must be a whole ONNX model, not one with a damaged number at byte {place}")


class Budget:
    """How many bytes of arrays may still be made from a file: constants may be shared, repeated and joined."""

    def __init__(self, size: int) -> None:
        self._left = MAX_EXPANSION * size + QUIET_BYTES

    def add(self, size: int) -> None:
        """Count a further file of ``size`` bytes."""
        self._left += MAX_EXPANSION * size

    def take(self, size: int) -> None:
        """Take ``size`` bytes.

        Raises:
            FileError: fewer are left.
        """
        self._left -= size
        if self._left < 0:
            raise FileError(
                f"constants must expand to at most {MAX_EXPANSION} times the file and {QUIET_BYTES} bytes, not more"
            )
