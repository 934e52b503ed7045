"""HDF5 files and archives that would lead out of the file, take more memory than they may, or are damaged."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FileError, NetworkError
from fixedsim.importers.imported import Stated
from fixedsim.importers.keras import archive, read
from fixedsim.importers.keras.config import parsed_json
from fixedsim.importers.keras.container import parsed, read_contents
from tests.importers.test_keras_models import FOLDER

h5py = pytest.importorskip("h5py")
BIAS, KERNEL = "out/out/bias:0", "out/out/kernel:0"


def external_link(file: Any) -> None:
    del file[BIAS]
    file[BIAS] = h5py.ExternalLink("/etc/hostname", "/x")


def soft_link(file: Any) -> None:
    del file[BIAS]
    file[BIAS] = h5py.SoftLink("/lstm/lstm/lstm_cell/bias:0")


def cycle(file: Any) -> None:
    file["out/again"] = file["out"]


def twice(file: Any) -> None:
    file["out/again"] = file[BIAS]


def external_data(file: Any) -> None:
    del file[BIAS]
    file.create_dataset(BIAS, (2,), "<f4", external=[("/etc/hostname", 0, 8)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((2,), "<f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (2,))
    del file[BIAS]
    file.create_virtual_dataset(BIAS, layout)


def bomb(file: Any) -> None:
    del file[BIAS]
    file.create_dataset(BIAS, (1 << 40,), "<f4", chunks=(1 << 20,), compression="gzip")


def several_bombs(file: Any) -> None:
    for number in range(3):
        file.create_dataset(f"out/{number}", (1 << 27,), "<f4", chunks=(1 << 20,), compression="gzip")


def unallocated(file: Any) -> None:
    del file[BIAS]
    file.create_dataset(BIAS, (1 << 26,), "<f4")


def text(file: Any) -> None:
    del file[BIAS]
    file[BIAS] = "text"


def reference(file: Any) -> None:
    del file[BIAS]
    file.create_dataset(BIAS, (2,), h5py.ref_dtype)


def compound(file: Any) -> None:
    del file[BIAS]
    file.create_dataset(BIAS, (2,), np.dtype([("a", "<f4")]))


def named_type(file: Any) -> None:
    file["out/type"] = np.dtype("<f4")


def many(file: Any) -> None:
    for number in range(20_001):
        file["out"].create_group(str(number))


def deep(file: Any) -> None:
    file.create_group("/".join("x" * 40))


def bad_names(file: Any) -> None:
    file["out"].attrs["weight_names"] = np.arange(3)


def escaping(file: Any) -> None:
    file["out"].attrs["weight_names"] = ["../../lstm", "../x"]


def huge_numbers(file: Any) -> None:
    del file[BIAS]
    file[BIAS] = np.zeros(2, np.longdouble)


HOSTILE = [
    (external_link, "'out/out/bias:0' must stand in the file itself, not behind a soft or external link"),
    (soft_link, "'out/out/bias:0' must stand in the file itself, not behind a soft or external link"),
    (cycle, "must stand in the file once, not otherwise"),
    (twice, "must stand in the file once, not otherwise"),
    (external_data, "dataset 'out/out/bias:0' must be stored in the file, not in another"),
    (virtual, "dataset 'out/out/bias:0' must be stored in the file, not in another"),
    (bomb, "datasets must have at most 1073741824 bytes together, not 4398046511"),
    (several_bombs, "datasets must have at most 1073741824 bytes together, not"),
    (unallocated, "dataset 'out/out/bias:0' must hold 268435456 bytes, not 0"),
    (text, "dataset 'out/out/bias:0' must be numbers, not object"),
    (reference, "dataset 'out/out/bias:0' must be numbers, not object"),
    (compound, "dataset 'out/out/bias:0' must be numbers"),
    (named_type, "'out/type' must be a group or a dataset, not Datatype"),
    (many, "must stand in the file among at most 20000 objects"),
    (deep, "groups must be nested at most 32 deep"),
    (bad_names, "attribute 'out@weight_names' must be text, not int64"),
    (escaping, r"tensor 'out/../../lstm' must be in the file as weight_names says, not missing"),
    (huge_numbers, "dataset 'out/out/bias:0' must be numbers, not float128"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_hdf5(change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes((FOLDER / "listed2.h5").read_bytes())
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises((FileError, NetworkError), match=message) as raised:
        read(path, Stated())
    assert str(raised.value).startswith(f"{path}: ")


def test_the_optimizer_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes((FOLDER / "listed2.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file["optimizer_weights/x"] = h5py.SoftLink("/nothing")
    assert read(path, Stated()).weights


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"not a model", b"PK\5\6"])
def test_files_of_other_content(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(content)
    with pytest.raises(FileError, match="must be HDF5"):
        read(path, Stated())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="must be a readable file, not 'no such file or directory'"):
        read(tmp_path / "absent.h5", Stated())


def test_a_library_that_does_not_come_back_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that never ends stands in for h5py on a damaged file."""
    program = tmp_path / "endless.py"
    program.write_text("while True: pass\n")
    monkeypatch.setattr("fixedsim.importers.keras.container._PROGRAM", program)
    monkeypatch.setattr("fixedsim.importers.keras.container.SECONDS", 1)
    with pytest.raises(
        FileError, match="must be HDF5 that is read within 1 seconds, not one that ends the HDF5 library"
    ):
        read_contents(FOLDER / "listed2.h5")


def test_a_stream_that_lies() -> None:
    def stream(header: Any, data: bytes = b"") -> io.BytesIO:
        content = json.dumps(header).encode()
        return io.BytesIO(len(content).to_bytes(8, "little") + content + data)

    tensor = {"texts": {}, "lists": {}, "tensors": [["x", "<f4", [2]]]}
    assert parsed(stream(tensor, b"\1" + bytes(8)), 8).tensors["x"].tolist() == [0, 0]
    with pytest.raises(FileError, match="dataset 'x' must be numbers within the limit of bytes"):
        parsed(stream(tensor, b"\1" + bytes(8)), 7)
    with pytest.raises(EOFError):
        parsed(stream(tensor, b"\1" + bytes(7)), 8)
    with pytest.raises(FileError, match="what it must be"):
        parsed(stream(tensor, b"\0" + stream({"error": "what it must be"}).getvalue()), 8)


def edited(path: Path, **members: bytes | None) -> Path:
    """``last3.keras`` at ``path`` with other members: ``config``, ``metadata``, ``weights``; None for none."""
    names = {"config.json": "config", "metadata.json": "metadata", "model.weights.h5": "weights"}
    with zipfile.ZipFile(FOLDER / "last3.keras") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            content = members.get(names[member], old.read(member))
            if content is not None:
                new.writestr(member, content)
    return path


ARCHIVES: list[tuple[dict[str, bytes | None], str]] = [
    ({"config": None}, "archive must hold 'config.json', not lack it"),
    ({"weights": None}, "archive must hold 'model.weights.h5', not lack it"),
    ({"config": b"{"}, "config.json must be JSON"),
    ({"config": b"[" * 100_000}, "config.json must be JSON"),
    ({"config": b'{"class_name": "Sequential", "class_name": "Model"}'}, "JSON, not 'an object with a key"),
    ({"config": b"\xff"}, "must be a .keras archive"),
    ({"config": b"[]"}, "model configuration must be an object"),
    ({"config": b'{"class_name": "Sequential", "config": {"layers": []}}'}, "must belong to a layer of the model"),
    ({"weights": b"not HDF5"}, "file must be HDF5"),
    ({"metadata": b'{"keras_version": "1.2.2"}'}, "keras_version must be 2 or more, not '1.2.2'"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "message"), ARCHIVES)
def test_hostile_archives(members: dict[str, bytes | None], message: str, tmp_path: Path) -> None:
    path = edited(tmp_path / "m.keras", **members)
    with pytest.raises((FileError, NetworkError), match=message):
        read(path, Stated())


def test_archives_with_more_in_them(tmp_path: Path) -> None:
    path = edited(tmp_path / "m.keras")
    with zipfile.ZipFile(path, "a") as more:
        more.writestr("../escape.txt", "x")
        more.writestr("assets/vocabulary.txt", "x")
    assert read(path, Stated()).weights
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m.keras"]
    with zipfile.ZipFile(path, "a") as more, pytest.warns(UserWarning, match="Duplicate name"):
        more.writestr("config.json", "{}")
    with pytest.raises(FileError, match="archive must hold each member once, not 4 members of 3 names"):
        read(path, Stated())


def test_a_zip_bomb_and_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "QUIET_BYTES", 1 << 16)
    path = edited(tmp_path / "m.keras", weights=bytes(1 << 20))
    with pytest.raises(FileError, match=r"member 'model.weights.h5' must have at most 65536 bytes, not 1048576"):
        read(path, Stated())
    with zipfile.ZipFile(path, "a") as more:
        more.writestr("model.weights.json", "{}")
    with pytest.raises(FileError, match=r"weights must stand in one model.weights.h5, not in several files"):
        read(path, Stated())


def test_numbers_in_json_that_python_will_not_read() -> None:
    with pytest.raises(FileError, match="x must be JSON"):
        parsed_json("9" * 10_000, "x")
