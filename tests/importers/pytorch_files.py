"""Files as ``torch.save`` writes them, made without PyTorch, and as an attacker would."""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage", "u1": "ByteStorage"}


class Raw(NamedTuple):
    """Opcodes to be written as they are."""

    code: bytes


class Tensor(NamedTuple):
    """A tensor of a storage; ``numbers`` is the storage under ``key``, ``kind`` its type where NumPy has none."""

    numbers: NDArray[Any]
    key: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    kind: str | None = None


def text(value: str) -> bytes:
    """Opcode and content of a text."""
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def name(module: str, what: str) -> bytes:
    """The opcode that names something to import."""
    return f"c{module}\n{what}\n".encode()


def number(value: int) -> bytes:
    """The opcode of an integer."""
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def storage(kind: str, key: str, elements: int) -> bytes:
    """Opcodes of a storage."""
    identity = text("storage") + name("torch", kind) + text(key) + text("cpu") + number(elements)
    return b"(" + identity + b"tQ"


def tensor(value: Tensor) -> bytes:
    """Opcodes of a tensor."""
    kind = value.kind or STORAGES[value.numbers.dtype.str[1:]]
    arguments = storage(kind, value.key, len(value.numbers)) + number(value.offset) + coded(value.shape)
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + arguments + coded(value.strides) + b"\x89}tR"


def coded(value: Any) -> bytes:
    """Opcodes of a value."""
    match value:
        case Raw():
            return value.code
        case Tensor():
            return tensor(value)
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return number(value)
        case str():
            return text(value)
        case tuple():
            return b"(" + b"".join(map(coded, value)) + b"t"
        case Mapping():
            return b"}(" + b"".join(coded(key) + coded(item) for key, item in value.items()) + b"u"
    raise TypeError(type(value))


def whole(array: NDArray[Any], key: int) -> Tensor:
    """An array as a tensor of a storage of its own."""
    steps = [1]
    for size in array.shape[:0:-1]:
        steps.insert(0, steps[0] * size)
    return Tensor(np.ascontiguousarray(array).reshape(-1), str(key), array.shape, tuple(steps[: array.ndim]))


def tensors_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Each array as a tensor."""
    return {name: whole(array, key) for key, (name, array) in enumerate(arrays.items())}


def storages_in(value: Any) -> dict[str, bytes]:
    """The bytes of every storage in a value, by key."""
    if isinstance(value, Tensor):
        return {value.key: value.numbers.tobytes()}
    found: dict[str, bytes] = {}
    for item in value.values() if isinstance(value, Mapping) else ():
        found |= storages_in(item)
    return found


def pickled(code: bytes) -> bytes:
    """A pickle of protocol 2."""
    return b"\x80\x02" + code + b"."


def zipped(members: Mapping[str, bytes], root: str = "archive", compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive whose members stand below ``root``."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(f"{root}/{member}", content)
    return target.getvalue()


def members_of(value: Any) -> dict[str, bytes]:
    """The members of the archive that holds a value."""
    members = {"data.pkl": pickled(coded(value)), "byteorder": b"little"}
    members |= {f"data/{key}": content for key, content in storages_in(value).items()}
    return members | {"version": b"3\n"}


def archived(value: Any) -> bytes:
    """What ``torch.save`` writes since 1.6."""
    return zipped(members_of(value))


def streamed(value: Any) -> bytes:
    """What ``torch.save`` wrote before."""
    storages = storages_in(value)
    keys = sorted(storages)
    listed = b"](" + b"".join(map(text, keys)) + b"e"
    parts = [number(MAGIC), number(1001), coded({"little_endian": True}), coded(value), listed]
    sizes = counts(value)
    data = b"".join(struct.pack("<q", sizes[key]) + storages[key] for key in keys)
    return b"".join(map(pickled, parts)) + data


def counts(value: Any) -> dict[str, int]:
    """The elements of every storage in a value, by key."""
    if isinstance(value, Tensor):
        return {value.key: len(value.numbers)}
    found: dict[str, int] = {}
    for item in value.values() if isinstance(value, Mapping) else ():
        found |= counts(item)
    return found
