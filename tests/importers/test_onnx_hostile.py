"""Hostile ONNX files, and tensors in files beside them: an error of ours, in little time and memory."""

import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FileError, FixedsimError
from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.onnx import limits, read
from tests.importers.bounds import bounded
from tests.importers.onnx_graphs import Builder, Plan, made, onnx

SECONDS = 10.0
BYTES = 64 << 20


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def refused(folder: Path, content: bytes) -> str:
    """The message of the error, which comes within bounds."""
    path = folder / "model.onnx"
    path.write_bytes(content)
    with bounded(SECONDS, 4 * len(content) + BYTES), pytest.raises(FixedsimError) as caught:
        read(path, Stated())
    return str(caught.value)


def field(number: int, content: bytes) -> bytes:
    """A field of bytes in a protocol buffer."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def test_more_messages_than_a_network_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FIELDS", 1 << 12)
    nodes = field(1, b"") * (limits.MAX_FIELDS + 1)
    assert "fields must be fewer than 4096, not more" in refused(tmp_path, field(7, nodes))


@pytest.mark.parametrize("levels", [limits.MAX_DEPTH, 5000])
def test_graphs_in_graphs(levels: int, tmp_path: Path) -> None:
    graph = b""
    for _ in range(levels):
        graph = field(1, field(5, field(6, graph)))
    assert "messages must be nested at most 32 deep, not deeper" in refused(tmp_path, field(7, graph))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "graph must have operators|version of ONNX's operators"),
        (b"\x00" * 100, "content must be an ONNX model|field"),
        (b"\xff" * 100, "damaged number"),
        (b"\x3a\xff\xff\xff\xff\x07", "cut off in a field"),
        (b"\x0f", "not a field of wire type 7"),
        (b"PK\x03\x04" + b"\x00" * 50, "must be"),
    ],
)
def test_bytes_that_are_no_model(content: bytes, message: str, tmp_path: Path) -> None:
    text = refused(tmp_path, content)
    assert any(part in text for part in message.split("|")), text


def test_a_file_that_is_missing_or_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(FileError, match="must be a readable file, not"):
            read(path, Stated())


def doubled(build: Builder, op: str, times: int, value: str, **attributes: Any) -> str:
    for _ in range(times):
        value = build.node(op, [value, value], **attributes)
    return value


def with_weight(weight: Callable[[Builder], str]) -> bytes:
    """A matrix product whose weight is computed."""
    build = Builder()
    x = build.graph_input("x", ["T", "B", 4])
    build.output(build.node("MatMul", [x, weight(build)]))
    return bytes(build.model().SerializeToString())


def chained_axes(build: Builder) -> str:
    value = build.constant("w", np.ones((4, 4)))
    for _ in range(100):
        value = build.node("Unsqueeze", [value, build.integers(0)])
    return value


def many_casts(build: Builder) -> str:
    value = build.constant("w", np.ones((1000, 1000)))
    for index in range(200):
        value = build.node("Cast", [value], to=(11, 1)[index % 2])
    return value


BOMBS: dict[str, tuple[Callable[[Builder], str], str]] = {
    "joined with itself": (
        lambda b: doubled(b, "Concat", 60, b.constant("w", np.arange(16.0).reshape(4, 4)), axis=1),
        "constants must expand to at most 8 times the file",
    ),
    "repeated": (
        lambda b: b.node("ConstantOfShape", [b.integers(4, 1 << 40)]),
        "must be a constant that is given whole, not one expanded to",
    ),
    "expanded": (
        lambda b: b.node("Expand", [b.constant("w", [[1.0]]), b.integers(4, 1 << 60)]),
        "sizes of axes must multiply|given whole",
    ),
    "picked often": (
        lambda b: b.node("Gather", [b.constant("w", np.ones((1, 100_000))), b.constant("i", [0] * 5000, np.int64)]),
        "constants must expand to at most 8 times the file",
    ),
    "axes": (chained_axes, "constants must have at most 8 axes, not 9"),
    "converted often": (many_casts, "constants must expand to at most 8 times the file"),
    "sizes multiplied": (
        lambda b: b.node("ConstantOfShape", [doubled(b, "Mul", 40, b.integers(7))]),
        "sizes of axes must multiply to at most",
    ),
    "unknown sizes multiplied": (
        lambda b: b.node("ConstantOfShape", [doubled(b, "Mul", 40, b.node("Shape", ["x"]))]),
        "sizes of axes must multiply to at most",
    ),
    "sizes joined": (
        lambda b: b.node("ConstantOfShape", [doubled(b, "Concat", 60, b.node("Shape", ["x"]), axis=0)]),
        "constants must expand to at most 8 times the file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_constants_that_expand(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUIET_BYTES", 1 << 24)
    weight, message = BOMBS[name]
    text = refused(tmp_path, with_weight(weight))
    assert any(part in text for part in message.split("|")), text


def test_data_joined_with_themselves(tmp_path: Path) -> None:
    build = Builder()
    x = build.graph_input("x", ["T", "B", 4])
    value = build.node("MatMul", [x, build.constant("w", np.ones((4, 4)))])
    build.output(doubled(build, "Concat", 60, value, axis=2))
    assert "data must have at most 8 axes and 256 parts, not more" in refused(
        tmp_path, build.model().SerializeToString()
    )


def test_many_layers_with_one_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUIET_BYTES", 1 << 20)
    build = Builder()
    value, weight = build.graph_input("x", ["T", "B", 200]), build.constant("w", np.ones((200, 200)))
    for _ in range(300):
        value = build.node("MatMul", [value, weight])
    build.output(value)
    assert "constants must expand to at most 8 times" in refused(tmp_path, build.model().SerializeToString())


def with_tensor(change: Callable[[Any], None]) -> bytes:
    """A graph whose input weights are changed."""
    model = onnx.load_from_string(made(Plan(), np.random.default_rng(0)).content)
    change(next(tensor for tensor in model.graph.initializer if tensor.name == "lstm.W"))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.dims.append(2), "must hold 384 bytes, not 192"),
        (lambda t: t.dims.extend([1 << 62] * 3), "shape must have at most 2147483648 elements"),
        (lambda t: t.dims.extend([1] * 9), "shape must have at most"),
        (lambda t: t.dims.extend([-1]), "shape must have at most"),
        (lambda t: t.dims.extend([0]), "must hold 0 bytes, not 192"),
        (lambda t: setattr(t, "data_type", 8), "type must be one of"),
        (lambda t: setattr(t, "data_type", 99), "type must be one of"),
        (lambda t: setattr(t, "data_type", 7), "must hold 384 bytes, not 192"),
        (lambda t: t.ClearField("raw_data"), "must hold 48 values in float_data, not 0"),
        (lambda t: setattr(t.segment, "begin", 1), "must stand in one piece, not in segments"),
        (lambda t: setattr(t, "raw_data", t.raw_data[:-1]), "must hold 192 bytes, not 191"),
    ],
)
def test_tensors_that_lie(change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    text = refused(tmp_path, with_tensor(change))
    assert any(part in text for part in message.split("|")), text


def outside(tensor: Any, location: str, **keys: Any) -> None:
    """Say that a tensor's content stands in a file."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **keys}.items():
        tensor.external_data.add(key=key, value=str(value))


def weights() -> bytes:
    model = onnx.load_from_string(made(Plan(), np.random.default_rng(0)).content)
    return bytes(next(tensor for tensor in model.graph.initializer if tensor.name == "lstm.W").raw_data)


def read_outside(folder: Path, location: str, **keys: Any) -> Imported:
    path = folder / "model.onnx"
    path.write_bytes(with_tensor(lambda tensor: outside(tensor, location, **keys)))
    return read(path, Stated())


@pytest.mark.parametrize("keys", [{}, {"offset": 0, "length": 192}, {"offset": 8}])
def test_a_tensor_in_a_file_beside(keys: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "weights.bin").write_bytes(bytes(keys.get("offset", 0)) + weights())
    found = read_outside(tmp_path, "data/weights.bin", **keys)
    wanted = tmp_path / "whole"
    wanted.mkdir()
    (wanted / "model.onnx").write_bytes(made(Plan(), np.random.default_rng(0)).content)
    whole = read(wanted / "model.onnx", Stated())
    np.testing.assert_array_equal(found.weights["lstm.input.weight"], whole.weights["lstm.input.weight"])


@pytest.mark.parametrize(
    "location",
    [
        "",
        "/etc/passwd",
        "../secret",
        "a/../../secret",
        "C:\\secret",
        "C:/secret",
        "\\\\host\\x",
        "a\0b",
        "x" * 5000,
        "..",
    ],
)
def test_a_location_outside_the_folder(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(weights())
    (tmp_path / "inner").mkdir()
    with pytest.raises(FileError, match="location must be a relative path in the model's folder, not"):
        read_outside(tmp_path / "inner", location)


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_out_of_the_folder(link: str, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "w.bin").write_bytes(weights())
    target = tmp_path / "inner" / ("w.bin" if link == "file" else "d")
    os.symlink(tmp_path / "secret" / ("w.bin" if link == "file" else "."), target)
    with pytest.raises(FileError, match="location must be a file in the model's folder, not the link"):
        read_outside(tmp_path / "inner", "w.bin" if link == "file" else "d/w.bin")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"offset": 1}, "bytes must end in the 192 bytes of .*, not beyond"),
        ({"offset": 10**18 - 1}, "bytes must end in the 192 bytes of .*, not beyond"),
        ({"length": 191}, "must hold 192 bytes, not 191"),
        ({"length": 10**17}, "must hold 192 bytes, not 100000000000000000"),
        ({"offset": "-1"}, "offset of the external data must be a count of bytes, not '-1'"),
        ({"offset": "9" * 100}, "offset of the external data must be a count of bytes"),
        ({"length": "1e3"}, "length of the external data must be a count of bytes, not '1e3'"),
    ],
)
def test_places_in_a_file_beside(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(weights())
    with pytest.raises(FileError, match=message):
        read_outside(tmp_path, "w.bin", **keys)


def test_a_file_beside_that_is_missing_or_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for location in ("missing.bin", "folder", "pipe"):
        with pytest.raises(FileError, match="must be there with the model, not missing"):
            read_outside(tmp_path, location)
