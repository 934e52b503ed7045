"""Read a pickle without running it: an interpreter of the opcodes that ``torch.save`` writes, and of no others.

Nothing is imported, no object of the file's choosing is made and no method of one is called: names are looked up in
:mod:`fixedsim.importers.pytorch.values`. Opcodes, bytes and therefore stack, memo and memory are bounded: at most
``MAX_OPERATIONS`` objects of a few hundred bytes beside the text itself.
"""

import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fixedsim.errors import FileError
from fixedsim.importers.pytorch.values import Opaque, Storage, View, called, looked_up, put, shown, stored

MAX_BYTES = 1 << 25  # of one pickle
MAX_OPERATIONS = 1 << 20
MAX_LINE = 1 << 10  # of a module's or another name
_PROTOCOLS = range(2, 6)
_CONSTANTS: Final = {0x4E: None, 0x88: True, 0x89: False}  # N NEWTRUE NEWFALSE
_NUMBERS: Final = {0x4B: "<B", 0x4D: "<H", 0x4A: "<i", 0x47: ">d"}  # K M J G
_TEXTS: Final = {0x58: "<I", 0x8C: "<B", 0x8D: "<Q", 0x54: "<I", 0x55: "<B"}  # X and others; T and U are Python 2's
_BYTES: Final = {0x42: "<I", 0x43: "<B", 0x8E: "<Q"}  # B C BINBYTES8
_TUPLES: Final = {0x29: 0, 0x85: 1, 0x86: 2, 0x87: 3}  # ) TUPLE1 TUPLE2 TUPLE3
_PUTS: Final = {0x71: "<B", 0x72: "<I"}  # q r
_GETS: Final = {0x68: "<B", 0x6A: "<I"}  # h j
_STOP = 0x2E


class Pickle(NamedTuple):
    """What a pickle holds, where it ends, and the storages that it names, by key.

    The value is of None, bool, int, float, text, bytes, tuples, lists, dictionaries by text, and what
    :mod:`fixedsim.importers.pytorch.values` has.
    """

    value: Any
    end: int
    storages: dict[str, Storage]


def unpickled(data: bytes, start: int = 0) -> Pickle:
    """What the pickle at byte ``start`` holds.

    Raises:
        FileError: a pickle that is damaged, too long, or has an opcode, a name or a persistent id that is not known.
    """
    machine = _Machine(data, start)
    try:
        return Pickle(machine.run(), machine.position, machine.storages)
    except FileError as error:
        raise FileError(f"pickle at byte {machine.operation}: {error}") from None


class _Machine:
    """Stack, marks and memo of one pickle."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.position, self.operation = data, start, start
        self.end = min(len(data), start + MAX_BYTES)
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []  # the stacks below each mark
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        for _ in range(MAX_OPERATIONS):
            self.operation = self.position
            code = self.take(1)[0]
            if code == _STOP:
                if len(self.stack) != 1 or self.marked:
                    raise FileError(f"pickle must end with one value, not {len(self.stack)}")
                return self.stack[0]
            self.step(code)
        raise FileError(f"pickle must have at most {MAX_OPERATIONS} operations, not more; save the state alone")

    def step(self, code: int) -> None:
        if code in _OPERATIONS:
            _OPERATIONS[code](self)
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code])
        elif code in _NUMBERS:
            self.stack.append(self.number(_NUMBERS[code]))
        elif code in _TEXTS:
            self.stack.append(self.text(self.take(self.number(_TEXTS[code]))))
        elif code in _BYTES:
            self.stack.append(self.take(self.number(_BYTES[code])))
        elif code in _TUPLES:
            self.stack.append(tuple(reversed([self.pop() for _ in range(_TUPLES[code])])))
        elif code in _PUTS:
            self.memo[self.number(_PUTS[code])] = self.top()
        elif code in _GETS:
            self.get(self.number(_GETS[code]))
        else:
            raise FileError(f"opcode must be one that torch.save writes, not 0x{code:02x}")

    def take(self, count: int) -> bytes:
        if count > self.end - self.position:
            limit = f"at most {MAX_BYTES} bytes" if self.end < len(self.data) else "whole"
            raise FileError(f"pickle must be {limit}, not cut off before {count} bytes")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        end = self.data.find(b"\n", self.position, min(self.end, self.position + MAX_LINE))
        if end < 0:
            raise FileError(f"name must end within {MAX_LINE} bytes, not later")
        return self.text(self.take(end + 1 - self.position)[:-1])

    @staticmethod
    def text(content: bytes) -> str:
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise FileError(f"text must be UTF-8, not {content[:40]!r}") from None

    def top(self) -> Any:
        if not self.stack:
            raise FileError("stack must hold a value, not none")
        return self.stack[-1]

    def pop(self) -> Any:
        value = self.top()
        self.stack.pop()
        return value

    def since_mark(self) -> list[Any]:
        if not self.marked:
            raise FileError("stack must hold a mark, not none")
        values, self.stack = self.stack, self.marked.pop()
        return values

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise FileError(f"memo must hold entry {index}, not lack it")
        self.stack.append(self.memo[index])

    def proto(self) -> None:
        version = self.number("<B")
        if version not in _PROTOCOLS:
            raise FileError(f"protocol must be {_PROTOCOLS.start}..{_PROTOCOLS.stop - 1}, not {version}")

    def frame(self) -> None:
        self.number("<Q")  # how much to read at once

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.top()

    def long(self) -> None:
        self.stack.append(int.from_bytes(self.take(self.number("<B")), "little", signed=True))

    def named(self) -> None:
        module = self.line()
        self.stack.append(looked_up(module, self.line()))

    def stack_named(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise FileError(f"name must be two texts, not {shown(module)} and {shown(name)}")
        self.stack.append(looked_up(module, name))

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        self.stack.append(called(function, arguments))

    def build(self) -> None:
        """A state that is set on an object: of an ordered dictionary its ``_metadata``, which is left out."""
        self.pop()
        if not isinstance(self.top(), dict | Opaque | View):
            raise FileError(f"state must be set on a dictionary, not on {shown(self.top())}")

    def persistent(self) -> None:
        storage = stored(self.pop())
        if self.storages.setdefault(storage.key, storage) != storage:
            raise FileError(f"storage {storage.key!r} must be of one type and size, not of several")
        self.stack.append(storage)

    def append(self) -> None:
        self.extend([self.pop()])

    def extend(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Opaque):
            raise FileError(f"what is appended to must be a list, not {shown(target)}")

    def set_items(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, Opaque):
            return
        if not isinstance(target, dict) or len(values) % 2:
            raise FileError(f"items must be set in pairs on a dictionary, not on {shown(target)}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            put(target, key, value)

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def marked_tuple(self) -> None:
        values = self.since_mark()
        self.stack.append(tuple(values))

    def frozen_set(self) -> None:
        self.since_mark()
        self.stack.append(Opaque("frozenset"))


_OPERATIONS: Final[dict[int, Callable[[_Machine], None]]] = {
    0x80: _Machine.proto,
    0x95: _Machine.frame,
    0x28: _Machine.mark,
    0x5D: lambda machine: machine.stack.append([]),  # ]
    0x7D: lambda machine: machine.stack.append({}),  # }
    0x8F: lambda machine: machine.stack.append(Opaque("set")),  # EMPTY_SET
    0x90: lambda machine: machine.extend(machine.since_mark()),  # ADDITEMS
    0x91: _Machine.frozen_set,
    0x74: _Machine.marked_tuple,
    0x61: _Machine.append,
    0x65: lambda machine: machine.extend(machine.since_mark()),  # e
    0x73: _Machine.set_item,
    0x75: lambda machine: machine.set_items(machine.since_mark()),  # u
    0x94: _Machine.memoize,
    0x8A: _Machine.long,
    0x63: _Machine.named,
    0x93: _Machine.stack_named,
    0x52: _Machine.call,
    0x81: _Machine.call,  # NEWOBJ
    0x62: _Machine.build,
    0x51: _Machine.persistent,
}
