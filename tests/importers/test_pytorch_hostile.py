"""Hostile pickles and archives: nothing runs, nothing is imported, nothing is written, and memory stays bounded."""

import os
import pickle
import struct
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FileError, FixedsimError
from fixedsim.importers import pytorch
from fixedsim.importers.imported import Stated
from fixedsim.importers.pytorch import pickles
from fixedsim.importers.pytorch.pickles import MAX_OPERATIONS, unpickled
from tests.importers.pytorch_files import (
    MAGIC,
    Raw,
    Tensor,
    archived,
    coded,
    members_of,
    name,
    number,
    pickled,
    storage,
    streamed,
    tensors_of,
    text,
    zipped,
)

SECONDS = 60.0  # of one file, traced, on a busy machine
BYTES = 256 << 20  # MAX_OPERATIONS values, and lists of them
SMALL = tensors_of({"fc.weight": np.ones((2, 3), np.float32), "fc.bias": np.ones(2, np.float32)})
VALUES = np.ones(6, np.float32)
KNOWN_OPCODES = b"NKMJGXTUBC)(]}t\x85\x86\x87aesuqrhjcRbQ.\x80\x81\x88\x89\x8a\x8c\x8d\x8e\x8f\x90\x91\x93\x94\x95"


class Payload:
    """Pickles to a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, Any]:
        return self.call


def refused(folder: Path, content: bytes) -> str:
    """The message with which a file is refused, within bounds."""
    path = folder / "w.pt"
    path.write_bytes(content)
    before = {item.name for item in folder.iterdir()}
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(FixedsimError) as caught:
            pytorch.read(path, Stated())
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < SECONDS
    assert {item.name for item in folder.iterdir()} == before
    return str(caught.value)


def with_pickle(content: bytes) -> bytes:
    return zipped(members_of(SMALL) | {"data.pkl": content})


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    ("payload", "known_as"),
    [
        (Payload(os.system, "touch {folder}/ran"), f"{os.name}.system"),
        (Payload(eval, "open('{folder}/ran', 'w')"), "builtins.eval"),
        (Payload(exec, "import this"), "builtins.exec"),
        (Payload(__import__, "this"), "builtins.__import__"),
        (Payload(getattr, "a", "upper"), "builtins.getattr"),
        (Path.unlink, "builtins.getattr"),
        (zipfile.ZipFile, "zipfile.ZipFile"),
    ],
)
def test_nothing_is_run_or_imported(tmp_path: Path, payload: Any, known_as: str, protocol: int) -> None:
    if isinstance(payload, Payload):
        function, arguments = payload.call
        payload = Payload(function, *(argument.format(folder=tmp_path) for argument in arguments))
    content = pickle.dumps({"fc.weight": payload}, protocol)
    refused(tmp_path, with_pickle(b""))  # imports what zipfile needs
    modules = set(sys.modules)
    stream = b"".join(pickled(number(value)) for value in (MAGIC, 1001)) + pickled(b"}") + content
    for file in (with_pickle(content), stream):
        message = refused(tmp_path, file)
        assert "is not imported" in message or protocol >= 4
        assert known_as in message or "pathlib.Path.unlink" in message
    assert set(sys.modules) == modules


@pytest.mark.parametrize(
    "code",
    [
        name("torch", "load"), name("torch._utils", "__builtins__"), name("torch.storage", "_load_from_bytes"),
        name("torch", "FloatStorage.from_file"), name("collections", "OrderedDict.__init__"), name("", ""),
        name("numpy", "load"), name("builtins", "getattr"), name("__builtin__", "eval"), name("torch.hub", "load"),
        text("os") + text("system") + b"\x93", text("torch.nn.modules.rnn") + text("LSTM") + b"\x93",
        name("torch._utils", "_rebuild_tensor_v3"), name("fixedsim", "errors"),
    ],
)  # fmt: skip
def test_names_outside_the_table(code: bytes) -> None:
    with pytest.raises(FileError, match="must be one that a state dictionary needs, not another, and is not imported"):
        unpickled(pickled(code + b")R"))


@pytest.mark.parametrize("opcode", sorted(set(range(256)) - set(KNOWN_OPCODES)))
def test_other_opcodes(opcode: int) -> None:
    content = pickled(name("collections", "OrderedDict") + b"(" + number(1) + bytes([opcode]) + b"1\n1\n" + b"t")
    with pytest.raises(FileError, match=f"opcode must be one that torch.save writes, not 0x{opcode:02x}"):
        unpickled(content)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"", "pickle must end with one value, not 0"),
        (b"NN", "pickle must end with one value, not 2"),
        (b"(N", "pickle must end with one value, not 1"),
        (b"\x85", "stack must hold a value, not none"),
        (b"t", "stack must hold a mark, not none"),
        (b"(u", "stack must hold a value, not none"),
        (b"h\x07", "memo must hold entry 7, not lack it"),
        (b"\x80\x01", "protocol must be 2..5, not 1"),
        (b"X\xff\xff\xff\xffa", "pickle must be whole, not cut off before 4294967295 bytes"),
        (b"\x8e" + b"\xff" * 8, "not cut off before 18446744073709551615 bytes"),
        (b"\x8a\xff1", "not cut off before 255 bytes"),
        (b"X\x01\x00\x00\x00\xff", "text must be UTF-8, not b'\\xff'"),
        (b"c" + b"a" * 2000 + b"\n", "name must end within 1024 bytes, not later"),
        (b"K\x01K\x01\x93", "name must be two texts, not "),
        (b"NN\x93", "name must be two texts, not None and None"),
        (b"N)R", "what is called must be a name with a tuple, not None with a tuple"),
        (name("torch", "Size") + b"NR", "what is called must be a name with a tuple, not torch.Size with None"),
        (name("torch", "float32") + b")R", "name 'torch.float32' must be a function to be called, not another"),
        (name("torch", "FloatStorage") + b")R", "name 'torch.FloatStorage' must be a function to be called"),
        (name("builtins", "list") + b")R", "name 'builtins.list' must be a function to be called"),
        (name("torch", "Size") + b")R", "torch.Size must hold one tuple"),
        (name("collections", "OrderedDict") + b"NN\x86R", "OrderedDict must be made of nothing or of a list of pairs"),
        (name("collections", "OrderedDict") + b"](NNe\x85R", "OrderedDict must be made of pairs, not of None"),
        (name("torch._utils", "_rebuild_parameter") + b")R", "parameter must hold a tensor"),
        (name("torch._utils", "_rebuild_tensor_v2") + b")R", "tensor must be made of a storage, offset"),
        (b"N}b", "state must be set on a dictionary, not on None"),
        (b"NNa", "what is appended to must be a list, not None"),
        (b"]NNs", "items must be set in pairs on a dictionary, not on a list"),
        (b"}(Nu", "items must be set in pairs"),
        (b"}" + text("a") + b"Ns" + text("a") + b"Ns", "key 'a' must stand once in a dictionary, not twice"),
        (b"NQ", "persistent id must be a storage's, not a NoneType of another form"),
        (text("os.system") + b"Q", "persistent id must be a storage's, not a str"),
        (coded(("module", 1, 2, 3)) + b"Q", "file must hold a state dictionary, not a whole module"),
        (coded(("storage", 1, 2)) + b"Q", "persistent id must be a storage's, not a tuple of another form"),
        (coded(("storage", Raw(b"N"), "0", "cpu", 1)) + b"Q", "type of a storage must be one of torch's, not None"),
        (coded(("storage", Raw(name("torch", "Size")), "0", "cpu", 1)) + b"Q", "one of torch's, not torch.Size"),
        (storage("FloatStorage", "../../etc/passwd", 1), "key of a storage must be digits, not '../../etc/passwd'"),
        (storage("FloatStorage", "\u0663", 1), "key of a storage must be digits"),
        (storage("FloatStorage", "0", -1), "storage '0' must have a number of elements, not -1"),
        (storage("FloatStorage", "0", 1 << 60), "storage '0' must have a number of elements"),
        (storage("FloatStorage", "0", 1) + storage("FloatStorage", "0", 2), "must be of one type and size"),
        (storage("FloatStorage", "0", 1) + storage("LongStorage", "0", 1), "must be of one type and size"),
        (storage("FloatStorage", "0", 1)[:-2] + coded(("1", 0, 1)) + b"tQ", "must be whole, not a view of another"),
        (storage("QInt8Storage", "0", 1), "tensors must be floating point, not quantized by 'torch.QInt8Storage'"),
    ],
)  # fmt: skip
def test_opcodes_that_do_not_fit(code: bytes, message: str) -> None:
    with pytest.raises(FileError) as caught:
        unpickled(pickled(code))
    assert message in str(caught.value)
    assert str(caught.value).startswith("pickle at byte ")


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor(VALUES, "0", (2, 4), (4, 1)), "must lie within its 6 elements, not reach element 7"),
        (Tensor(VALUES, "0", (2,), (1,), offset=5), "must lie within its 6 elements, not reach element 6"),
        (Tensor(VALUES, "0", (2,), (1 << 47,)), "must lie within its 6 elements"),
        (Tensor(VALUES, "0", (2,), (-1,)), "all counts, not otherwise"),
        (Tensor(VALUES, "0", (2,), (1,), offset=-1), "all counts, not otherwise"),
        (Tensor(VALUES, "0", (2, 2), (1,)), "as many strides"),
        (Tensor(VALUES, "0", (1,) * 9, (1,) * 9), "must have at most 8 axes, not 9"),
        (Tensor(VALUES, "0", (1 << 47, 1 << 47), (0, 0)), "tensors must take at most 1073741824 bytes as float64, not"),
        (Tensor(VALUES, "0", (True, 2), (2, 1)), "all counts, not otherwise"),
    ],
)
def test_views_that_lie(tmp_path: Path, tensor: Tensor, message: str) -> None:
    assert message in refused(tmp_path, archived({"fc.weight": tensor}))
    assert message in refused(tmp_path, streamed({"fc.weight": tensor}))


def test_a_negated_view(tmp_path: Path) -> None:
    code = coded(SMALL["fc.weight"])[:-2] + coded({"neg": True}) + b"tR"
    assert "must be plain, not with metadata such as a conjugate's" in refused(
        tmp_path, archived({"fc.weight": Raw(code)})
    )


def bombs(size: int) -> list[bytes]:
    deep = b"N" + b"\x85" * size  # a tuple in a tuple in ..
    doubled = b"(]q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(200)) + b"t"  # 2**200 leaves
    keys = b"}(" + b"".join(number(((1 << 61) - 1) * i) + b"N" for i in range(size // 4)) + b"u"  # all hash to 0
    return [deep, doubled, keys, b"}" + deep + b"Ns", b"(" * size, b"]" * size + b"a" * (size - 1)]


def test_bombs_of_nesting_and_references(tmp_path: Path) -> None:
    for code in bombs(1 << 13):
        refused(tmp_path, with_pickle(pickled(b"}" + text("model") + code + b"s")))
        refused(tmp_path, with_pickle(pickled(code)))


@pytest.mark.slow
def test_bombs_as_large_as_may_be(tmp_path: Path) -> None:
    for code in bombs(MAX_OPERATIONS // 2 - 8):
        refused(tmp_path, with_pickle(pickled(code)))


def test_too_many_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 1000)
    message = refused(tmp_path, with_pickle(pickled(b"N\x85" + b"q\x00" * 1000)))
    assert "pickle must have at most 1000 operations, not more; save the state alone" in message


def test_a_pickle_that_is_too_long(tmp_path: Path) -> None:
    message = refused(tmp_path, with_pickle(pickled(b"B" + struct.pack("<I", 1 << 26) + bytes(1 << 26))))
    assert "must have at most 33554432 bytes, not 67108" in message
    stream = pickled(number(MAGIC)) + pickled(b"B" + struct.pack("<I", 1 << 26) + bytes(1 << 26))
    assert "pickle must be at most 33554432 bytes, not cut off" in refused(tmp_path, stream)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data/0": b"\0" * 23}, "storage '0' must have 24 bytes, not 23"),
        ({"data/0": b"\0" * 25}, "storage '0' must have 24 bytes, not 25"),
        ({"byteorder": b"middle"}, "byteorder must be little or big, not b'middle'"),
        ({"byteorder": b"l" * 100}, "must have at most 64 bytes, not 100"),
        ({"data.pkl": pickled(coded(SMALL)) + b"N"}, "data.pkl must end with its"),
        ({"constants.pkl": b""}, "not a TorchScript module"),
        ({"more/data.pkl": b""}, "archive must hold one data.pkl, not 2"),
    ],
)
def test_members_that_lie(tmp_path: Path, change: dict[str, bytes], message: str) -> None:
    assert message in refused(tmp_path, zipped(members_of(SMALL) | change))


def test_a_storage_that_is_missing(tmp_path: Path) -> None:
    members = members_of(SMALL)
    del members["data/1"]
    assert "storage '1' must be given, not missing" in refused(tmp_path, zipped(members))


def test_archives_that_expand(tmp_path: Path) -> None:
    members = members_of(SMALL) | {"data/7": bytes(1 << 24)}
    packed = zipped(members, compression=zipfile.ZIP_DEFLATED)
    assert "must be stored as torch.save does, not compressed" in refused(tmp_path, packed)
    content = bytearray(zipped(members_of(SMALL)))
    place = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1) + 20  # sizes in the central directory
    struct.pack_into("<II", content, place, 1 << 31, 1 << 31)
    assert "members must hold at most the" in refused(tmp_path, bytes(content))
    place = content.index(b"PK\x01\x02") + 16
    content = bytearray(zipped(members_of(SMALL)))
    struct.pack_into("<I", content, place, 0)
    assert 'must be an undamaged archive, not one with "Bad CRC-32' in refused(tmp_path, bytes(content))


def test_a_member_that_stands_twice(tmp_path: Path) -> None:
    content = zipped(members_of(SMALL)).replace(b"archive/data/1", b"archive/data/0")
    assert "each once, not" in refused(tmp_path, content)


def test_a_root_that_climbs_writes_nothing(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    path = inside / "w.pt"
    path.write_bytes(zipped(members_of(SMALL), root="../../evil"))
    assert pytorch.read(path, Stated()).weights["fc.weight"].shape == (2, 3)
    assert [item.name for item in tmp_path.rglob("*")] == ["a", "b", "w.pt"]


STREAM = streamed(SMALL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (STREAM[:-1], "storage '1' must end within the"),
        (STREAM[: -2 * 4 - 4], "must stand once with 2 elements, not None"),
        (
            STREAM.replace(struct.pack("<q", 6), struct.pack("<q", 1 << 62)),
            "must stand once with 6 elements, not 46116",
        ),
        (STREAM.replace(struct.pack("<q", 6), struct.pack("<q", -6)), "must stand once with 6 elements, not -6"),
        (STREAM.replace(number(1001), number(1002)), "protocol must be 1001 after the magic number, not another"),
        (STREAM.replace(b"](" + text("0"), b"](" + text("1")), "must stand once with"),
        (STREAM.replace(b"](" + text("0"), b"](" + text("5")), "keys must be a list of the storages in the pickle"),
        (STREAM.replace(b"](" + text("0") + text("1"), b"](" + text("1")), "storage '1' must stand once"),
        (b"\x8a\x0a" + MAGIC.to_bytes(10, "little"), "pickle must be whole, not cut off before 1 bytes"),
        (b"", "file must be one that torch.save wrote, not begin with b''"),
        (b"ustar tar of PyTorch 0.1", "file must be one that torch.save wrote, not begin with b'ustar ta'"),
    ],
)
def test_streams_that_lie(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refused(tmp_path, content)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="file must be readable, not 'no such file or directory'"):
        pytorch.read(tmp_path / "w.pt", Stated())
    with pytest.raises(FileError, match="file must be readable, not 'is a directory'"):
        pytorch.read(tmp_path, Stated())


def test_what_stands_beside_the_state_is_passed_over(tmp_path: Path) -> None:
    holder = name("argparse", "Namespace") + b")\x81}" + text("lr") + b"K\x01sb"
    others = b"\x8f(K\x01K\x02\x90(K\x01\x91" + name("numpy", "dtype") + text("f8") + b"\x85R"
    value = {"model": SMALL, "args": Raw(holder), "sets": Raw(b"(" + others + b"t"), "keys": Raw(b"}(K\x01N)NNNu")}
    path = tmp_path / "w.pt"
    path.write_bytes(archived(value))
    assert pytorch.read(path, Stated()).notes[1] == "passed over beside it: args, sets, keys"
