"""Damaged Keras files: a network with finite weights, or an error of ours, within bounds of time and memory.

The HDF5 library reads damaged files in programs that each take many of them; where one ends such a program or keeps it
busy, the file is one that the reader itself would have ended with an error.
"""

import copy
import io
import json
import random
import subprocess
import sys
import time
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixedsim.importers.imported import Stated
from fixedsim.importers.keras import archive, container, read, reader
from tests.importers.bounds import bounded, gives_network
from tests.importers.mutating import mutated
from tests.importers.test_keras_models import FOLDER, NAMES

pytest.importorskip("h5py")
HDF5 = tuple(name for name in NAMES if name.endswith(".h5"))
ARCHIVES = tuple(name for name in NAMES if name.endswith(".keras"))
BYTES = 64 << 20  # of memory that an import takes in this process
BATCH = 200  # files to a program
SECONDS = 3  # of one file
PROGRAM = """
import signal, sys
sys.path.insert(0, sys.argv[1])
import hdf5
hdf5._limit_self(1 << 30, 10_000)
for path in sys.argv[2:]:
    signal.alarm(int({seconds}))
    print(path, flush=True)
    with open(path, "rb") as file:
        size = len(file.read())
    stream = __import__("io").BytesIO()
    hdf5.write(path, stream, 1 << 30)
    sys.stdout.flush()
    sys.stdout.buffer.write(len(stream.getvalue()).to_bytes(8, "little") + stream.getvalue())
    sys.stdout.buffer.flush()
"""


def streams(paths: list[Path]) -> Iterator[tuple[Path, bytes | int]]:
    """What the program of the reader writes of each file; its exit status where the file ends it."""
    program = PROGRAM.format(seconds=SECONDS)
    while paths:
        command = [sys.executable, "-P", "-c", program, str(Path(container.__file__).parent), *map(str, paths)]
        result = subprocess.run(command, capture_output=True, timeout=600, check=False)
        output, count = io.BytesIO(result.stdout), 0
        while line := output.readline():
            assert line.decode().strip() == str(paths[count])
            length = output.read(8)
            yield paths[count], output.read(int.from_bytes(length, "little")) if length else result.returncode
            count += 1
        if result.returncode == 0:
            return
        paths = paths[max(count, 1) :]


def within_bounds(found: Any) -> bool:
    """Whether calling ``found`` gives a network."""
    with bounded(60, BYTES, time.perf_counter):  # another process reads some of them
        return gives_network(found)


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def fuzz_hdf5(folder: Path, seed: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    models, ended = 0, Counter[int]()
    contents = [(FOLDER / name).read_bytes() for name in HDF5]
    for first in range(0, count, BATCH):
        paths = [folder / f"{number}.h5" for number in range(first, min(first + BATCH, count))]
        for number, path in enumerate(paths, first):
            path.write_bytes(mutated(contents[number % len(contents)], seed + number))
        for path, data in streams(paths):
            if isinstance(data, int):
                ended[data] += 1
                continue
            monkeypatch.setattr(
                reader, "read_contents", lambda _, data=data: container.parsed(io.BytesIO(data), 1 << 30)
            )
            models += within_bounds(lambda path=path: read(path, Stated()))
            path.unlink()
    print(f"{models} networks, of {count} files; by exit status, files that ended a program: {dict(ended)}")
    assert count / 50 < models < count
    assert ended.total() <= count / 100


def test_damaged_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz_hdf5(tmp_path, 31, BATCH, monkeypatch)


@pytest.mark.slow
def test_much_damaged_hdf5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz_hdf5(tmp_path, 1_000, 10_000, monkeypatch)


def test_damaged_files_through_the_reader_itself(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    for seed in range(10):
        path.write_bytes(mutated((FOLDER / HDF5[seed % len(HDF5)]).read_bytes(), seed))
        within_bounds(lambda: read(path, Stated()))


ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 2**63, 10**400, 0.5, float("nan"), float("inf"), "", "x", "LSTM", "Dense",
    "softmax", "hard_sigmoid", [], [[]], {}, [None], ["x", 0, 0], {"class_name": "ReLU", "config": {}}, "a" * 300,
)  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value with each of its keys."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def changed_config(config: Any, seed: int) -> Any:
    """A configuration with one to three values that are missing, odd, doubled or from elsewhere in it."""
    chooser, config = random.Random(seed), copy.deepcopy(config)
    for _ in range(chooser.randint(1, 3)):
        every = list(places(config))
        holder, key = chooser.choice(every)
        match chooser.randrange(4):
            case 0:
                del holder[key]
            case 1:
                holder[key] = copy.deepcopy(chooser.choice(ODD))
            case 2:
                other, where = chooser.choice(every)
                holder[key] = copy.deepcopy(other[where])
            case _ if isinstance(holder, list):
                holder.insert(chooser.randint(0, len(holder)), copy.deepcopy(holder[key]))
            case _:
                holder[str(key)[:-1]] = holder[key]
    return config


def fuzz_archives(path: Path, seed: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    models = 0
    for name in ARCHIVES:
        known = archive.read_archive(FOLDER / name)
        monkeypatch.setattr(archive, "read_contents", lambda _, known=known: known.contents)
        whole = (FOLDER / name).read_bytes()
        for number in range(count // len(ARCHIVES) + 1):
            if number % 4:
                text = json.dumps(changed_config(known.config, seed + number)).encode()
                path.write_bytes(with_config(whole, mutated(text, number) if number % 4 == 3 else text))
            else:
                path.write_bytes(mutated(whole, seed + number))
            models += within_bounds(lambda: read(path, Stated()))
    assert count / 50 < models < count


def with_config(content: bytes, config: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            new.writestr(member, config if member == "config.json" else old.read(member))
    return buffer.getvalue()


def test_damaged_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz_archives(tmp_path / "m.keras", 5, 100, monkeypatch)


@pytest.mark.slow
def test_many_damaged_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz_archives(tmp_path / "m.keras", 1_000, 10_000, monkeypatch)
