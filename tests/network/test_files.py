"""Files of weights: what is read, and each hostile or damaged file's refusal."""

import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fixedsim.errors import FileError
from fixedsim.files import read_tensors
from fixedsim.importers import load_network
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network


def write_safetensors(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def some_network(dtype: Any = np.float32, **lstm: Any) -> Network:
    layers = (EmbeddingLayer("e", 5, 3), LstmLayer("a", 3, 2, **lstm), LinearLayer("fc", 4, 5, "clipped_relu", 2.0))
    layers = layers if lstm.get("bidirectional") else (*layers[:2], LinearLayer("fc", 2, 5))
    description = Description("n", layers, initial_state="half")
    rng = np.random.default_rng(0)
    return Network(description, {n: rng.normal(size=s).astype(dtype) for n, s in description.tensors().items()})


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8"])
def test_every_type_of_safetensors(tmp_path: Path, dtype: str) -> None:
    kind = {"F": "f", "I": "i", "U": "u"}[dtype[0]]
    array = np.array([[1, 2, 3], [4, 5, 120]], f"<{kind}{int(dtype[1:]) // 8}")
    path = write_safetensors(tmp_path / "w.safetensors", {"x": entry(dtype, [2, 3], 0, array.nbytes)}, array.tobytes())
    (name, got), *_ = read_tensors(path).tensors.items()
    assert name == "x"
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"a": "b"},
        "first": entry("F32", [1], 0, 4),
        "half": entry("BF16", [2, 2], 4, 12),
    }
    data = struct.pack("<f4H", 7.0, 0x3F80, 0xC000, 0x3F81, 0x0001)
    file = read_tensors(write_safetensors(tmp_path / "w.safetensors", header, data))
    wanted = np.array([[1.0, -2.0], [1 + 2**-7, 2.0**-133]], np.float32)
    assert file.tensors["half"].dtype == np.float32
    np.testing.assert_array_equal(file.tensors["half"], wanted)
    assert file.tensors["first"].item() == 7.0
    assert list(file.tensors) == ["first", "half"]
    assert file.metadata == {"a": "b"}


@pytest.mark.parametrize(
    ("content", "constraint"),
    [
        (b"", "header length must be in 2..2, not 0"),
        (struct.pack("<Q", 2**40) + b"{}", "header length must be in 2..2, not 1099511627776"),
        (struct.pack("<Q", 4) + b"{}xx", "header must be JSON, not b'{}xx'"),
        (struct.pack("<Q", 2) + b"[]", "header must be a JSON object with an object of metadata, not otherwise"),
        (struct.pack("<Q", 20000) + b"[" * 20000, "header must be JSON"),
    ],
)
def test_damaged_header(tmp_path: Path, content: bytes, constraint: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert f"{path}: {constraint}" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "constraint"),
    [
        ({"x": entry("F32", [2], 0, 8)}, "tensor 'x' must hold 8 bytes within 4, not bytes 0..8"),
        ({"x": entry("F32", [2], 0, 4)}, "tensor 'x' must hold 8 bytes within 4, not bytes 0..4"),
        ({"x": entry("F32", [2**40, 2**40], 0, 4)}, "tensor 'x' must hold 4835703278458516698824704 bytes within 4"),
        ({"x": entry("F32", [-1], 0, 4)}, "tensor 'x' must have sizes and two offsets that are not negative, not [-1]"),
        ({"x": entry("F8_E4M3", [4], 0, 4)}, "tensor 'x' must be one of F64, F32"),
        ({"x": {"dtype": "F32"}}, "tensor 'x' must have dtype, shape and data_offsets, not"),
        ({"x": 3}, "tensor 'x' must have dtype, shape and data_offsets, not '3'"),
    ],
)
def test_hostile_tensor(tmp_path: Path, header: Any, constraint: str) -> None:
    path = write_safetensors(tmp_path / "w.safetensors", header, bytes(4))
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert f"{path}: {constraint}" in str(caught.value)


def test_holes_between_tensors_are_refused(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "w.safetensors", {"x": entry("F32", [1], 4, 8)}, bytes(8))
    with pytest.raises(FileError, match="must be a safetensors file, not"):
        read_tensors(path)


def test_archive_of_arrays_and_a_text(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    members: dict[str, Any] = {"x": np.arange(6.0).reshape(2, 3).T, "y": np.array([1, 2], ">i2"), "a.text": "{}"}
    np.savez(path, **members)
    file = read_tensors(path)
    np.testing.assert_array_equal(file.tensors["x"], [[0, 3], [1, 4], [2, 5]])
    assert file.tensors["y"].dtype == np.dtype(np.int16)
    assert file.tensors["y"].tolist() == [1, 2]
    assert file.metadata == {"a.text": "{}"}


def write_member(path: Path, content: bytes, name: str = "x.npy", compressed: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        archive.writestr(name, content)
    return path


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header.encode() + data


@pytest.mark.parametrize(
    ("content", "constraint"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }\n", bytes(8)),
         "member 'x.npy' must hold 8796093022208 bytes for (1099511627776,), not 8"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (), }\n", b"\x80\x04K\x01."),
         "member 'x.npy' must be an array of numbers or one string, not object of shape ()"),
        (npy("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }\n", bytes(8)),
         "member 'x.npy' must be an array of numbers or one string, not complex64 of shape (1,)"),
        (npy("{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }\n", bytes(12)), "not <U3 of shape (1,)"),
    ],
)  # fmt: skip
def test_hostile_member(tmp_path: Path, content: bytes, constraint: str) -> None:
    path = write_member(tmp_path / "w.npz", content)
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert f"{path}: " in str(caught.value)
    assert constraint in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"not an array",
        npy("nonsense\n"),
        npy("{}\n"),
        npy("{}\n", version=b"\x09\x00"),
        b"",
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (((\n"),
        npy("{[]: 3}\n"),
        npy("(" * 200 + "\n"),
    ],
)
def test_damaged_member(tmp_path: Path, content: bytes) -> None:
    path = write_member(tmp_path / "w.npz", content)
    with pytest.raises(FileError) as caught:
        read_tensors(path)
    assert str(caught.value).startswith(f"{path} must be an .npz archive, not ")


def test_archive_that_expands_too_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (100000,), }\n"
    path = write_member(tmp_path / "w.npz", npy(header, bytes(100_000)), compressed=True)
    assert read_tensors(path).tensors["x"].size == 100_000
    monkeypatch.setattr("fixedsim.files.npz.MAX_QUIET_BYTES", 50_000)
    with pytest.raises(FileError, match=r"w.npz must expand to at most 8 times its \d+ bytes, not to 100\d\d\d"):
        read_tensors(path)


def test_archive_with_a_member_twice(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", b"")
    with pytest.raises(FileError, match="must hold each member once, not 2 members of 1 names"):
        read_tensors(path)


def test_truncated_archive(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, x=np.arange(1000))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileError, match=r"must be an \.npz archive, not"):
        read_tensors(path)


def test_corrupt_data_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, x=np.arange(1000))
    content = bytearray(path.read_bytes())
    content[200:210] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"must be an \.npz archive, not"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("name", "constraint"),
    [
        ("w.onnx", "must end in .safetensors or .npz, not '.onnx'"),
        ("w.npz", "must be a readable file, not 'no such file or directory'"),
        ("w.safetensors", "must be a readable file, not 'no such file or directory'"),
    ],
)
def test_file_that_cannot_be_read(tmp_path: Path, name: str, constraint: str) -> None:
    with pytest.raises(FileError) as caught:
        read_tensors(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name} {constraint}"


@pytest.mark.parametrize(
    "lstm",
    [
        {},
        {"bidirectional": True},
        {"bias": False, "forget_bias": 1.0},
        {"bidirectional": True, "projection": 2, "peephole": True, "initial": True, "clip": 3.0, "cell_clip": 2.0},
        {"coupled": True, "peephole": True, "reverse": True, "gate": "hard_sigmoid_fifth"},
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_saved_networks_come_back(tmp_path: Path, lstm: dict[str, Any], dtype: Any) -> None:
    network = some_network(dtype, **lstm)
    network.save(tmp_path / "n.safetensors")
    again = load_network(tmp_path / "n.safetensors", dtype=dtype)
    assert again.description == network.description
    assert list(again.weights) == list(network.weights)
    for name, tensor in network.weights.items():
        assert again.weights[name].dtype == tensor.dtype
        np.testing.assert_array_equal(again.weights[name], tensor)


def test_saved_names_are_those_of_pytorch(tmp_path: Path) -> None:
    network = some_network(bidirectional=True)
    network.save(tmp_path / "n.safetensors")
    tensors = load_file(tmp_path / "n.safetensors")
    sides = [f"a.{part}_l0{side}" for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
             for side in ("", "_reverse")]  # fmt: skip
    assert set(tensors) == {"e.weight", "fc.weight", "fc.bias", *sides}
    np.testing.assert_array_equal(tensors["a.weight_ih_l0_reverse"], network.weights["a.backward.input.weight"])
    np.testing.assert_array_equal(tensors["a.bias_ih_l0"], network.weights["a.forward.bias"])
    assert not tensors["a.bias_hh_l0"].any()


def test_saved_names_of_what_pytorch_has_and_has_not(tmp_path: Path) -> None:
    network = some_network(bidirectional=True, projection=2, peephole=True, initial=True)
    network.save(tmp_path / "n.safetensors")
    tensors = load_file(tmp_path / "n.safetensors")
    np.testing.assert_array_equal(tensors["a.weight_hr_l0_reverse"], network.weights["a.backward.projection.weight"])
    own = {"peephole.input", "peephole.forget", "peephole.output", "initial.hidden", "initial.cell"}
    found = {name.removeprefix("a.backward.") for name in tensors if name.startswith("a.backward.")}
    assert found == own


def test_saving_leaves_the_old_file_where_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n.safetensors"
    path.write_bytes(b"old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FileError) as caught:
        some_network().save(path)
    assert str(caught.value) == f"{path} must be a writable file, not 'no space left on device'"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["n.safetensors"]


def test_saving_replaces_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    path.write_bytes(b"old")
    os.link(path, tmp_path / "same.file")
    some_network().save(path)
    assert read_tensors(path).tensors["e.weight"].shape == (5, 3)
    assert (tmp_path / "same.file").read_bytes() == b"old"  # replaced, not written over
    assert sorted(os.listdir(tmp_path)) == ["n.safetensors", "same.file"]


def test_own_description_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "n.safetensors"
    for text, message in (
        ("{", "metadata 'fixedsim.network' must be JSON, not"),
        ("[]", "metadata 'fixedsim.network' must be a JSON object, not list"),
        ('{"name": "n"}', "metadata 'fixedsim.network': layers must be given, not missing"),
    ):
        save_file({"x": np.zeros(1)}, path, {"fixedsim.network": text})
        with pytest.raises(Exception, match=f"{path}: {message}"):
            load_network(path)
