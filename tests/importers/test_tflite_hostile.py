"""Damaged and hostile TensorFlow Lite files: a graph or a FileError, in bounded time and memory."""

import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from fixedsim.errors import FileError
from fixedsim.importers.tflite import Graph, checked, read_tflite
from tests.importers import tflite_files
from tests.importers.test_tflite_file import COPIED, small
from tests.importers.tflite_files import FileBuilder, Generator
from tests.importers.tflite_layers import LstmPlan, lstm

SECONDS = 5.0  # of one small file, on a busy machine
QUIET_BYTES = 3 << 20  # of memory, beyond EXPANSION times the file
EXPANSION = 8
WORDS = (0, 1, 3, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)


def read_within_bounds(path: Path, content: bytes) -> Graph | None:
    """The graph, or None where a check refuses the file, in little time and memory.

    A message without ``path: `` is that of the last resort: an accessor met what no check had refused.
    """
    path.write_bytes(content)
    tracemalloc.reset_peak()
    start, before = time.perf_counter(), tracemalloc.get_traced_memory()[0]
    graph, message = attempt(path)
    assert time.perf_counter() - start < SECONDS
    assert tracemalloc.get_traced_memory()[1] - before < EXPANSION * len(content) + QUIET_BYTES
    assert graph is not None or message.startswith(f"{path}: ") or "at byte 4" in message, message
    return graph


def attempt(path: Path) -> tuple[Graph | None, str]:
    try:
        return read_tflite(path), ""
    except FileError as error:
        return None, str(error)


@pytest.fixture
def _traced() -> Any:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def mutated(rng: Generator, content: bytes) -> bytes:
    """``content`` with a few bytes, words or lengths overwritten, or cut off."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, len(data) - 4))
        match rng.integers(0, 5):
            case 0:
                data[at] = int(rng.integers(0, 256))
            case 1:
                data[at & ~3 : (at & ~3) + 4] = struct.pack("<I", int(rng.choice(WORDS)))
            case 2:
                data[at & ~3 : (at & ~3) + 4] = struct.pack("<I", int(rng.integers(0, 2 * len(data))))
            case 3:
                data[at & ~1 : (at & ~1) + 2] = struct.pack("<H", int(rng.integers(0, 64)))
            case _ if rng.random() < 0.2:
                del data[max(at, 8) :]
                return bytes(data)
    return bytes(data)


def fuzz(path: Path, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    plan = LstmPlan(3, coupled=True, peephole=True, projection=2, layer_norm=True)
    contents = [file.read_bytes() for file in sorted(COPIED.glob("*.tflite"))] + [small().content()] * 2
    contents += [lstm(rng, (1, 2, 2), plan)]
    read = sum(
        read_within_bounds(path, mutated(rng, contents[case % len(contents)])) is not None for case in range(count)
    )
    assert 0.05 * count < read < 0.95 * count  # some mutations hit weights alone, and others a check


@pytest.mark.usefixtures("_traced")
def test_mutations_give_a_graph_or_an_error(tmp_path: Path) -> None:
    fuzz(tmp_path / "model.tflite", seed=1, count=120)


@pytest.mark.slow
@pytest.mark.usefixtures("_traced")
def test_many_mutations_give_a_graph_or_an_error(tmp_path: Path) -> None:
    fuzz(tmp_path / "model.tflite", seed=2, count=10_000)


@pytest.mark.usefixtures("_traced")
def test_every_truncation_is_an_error_or_a_graph(tmp_path: Path) -> None:
    content = small().content()
    for size in range(0, len(content), 3):
        read_within_bounds(tmp_path / "model.tflite", content[:size])


@pytest.mark.usefixtures("_traced")
def test_every_word_can_lie(tmp_path: Path) -> None:
    content = small().content()
    for at in range(8, len(content) - 3, 4):
        for word in (0, 0x7FFFFFFF, 0xFFFFFFFF):
            lying = content[:at] + struct.pack("<I", word) + content[at + 4 :]
            read_within_bounds(tmp_path / "model.tflite", lying)


def test_a_string_beyond_the_file_is_refused(tmp_path: Path) -> None:
    content, name = small().content(), b"\x01\0\0\0x\0"
    assert content.count(name) == 1
    (tmp_path / "model.tflite").write_bytes(content.replace(name, struct.pack("<I", len(content)) + b"x\0"))
    with pytest.raises(FileError, match=rf"must lie in 0\.\.{len(content) - 1}, not beyond: the file is damaged"):
        read_tflite(tmp_path / "model.tflite")


@pytest.mark.parametrize(
    ("size", "message"),
    [(0xFFFF, "must lie in .*, not beyond: the file is damaged"), (4, "must lie in its 4 bytes, not beyond")],
)
def test_a_table_of_a_lying_size_is_refused(tmp_path: Path, size: int, message: str) -> None:
    content = bytearray(small().content())
    (root,) = struct.unpack_from("<I", content, 0)
    (to_index,) = struct.unpack_from("<i", content, root)
    struct.pack_into("<H", content, root - to_index + 2, size)
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(FileError, match=message):
        read_tflite(tmp_path / "model.tflite")


def repeated(file: FileBuilder, count: int) -> bytes:
    """The file with every tensor and operator listed ``count`` times, all pointing at one table."""
    subgraph, offsets = tflite_files._subgraph, tflite_files._offsets

    def widened(out: Any, plan: FileBuilder) -> int:
        with mock.patch.object(tflite_files, "_offsets", lambda out, entries: offsets(out, list(entries) * count)):
            return subgraph(out, plan)

    with mock.patch.object(tflite_files, "_subgraph", widened):
        return file.content()


@pytest.mark.parametrize("field", ["Tensors", "Operators"])
def test_too_many_rows_are_refused(tmp_path: Path, field: str) -> None:
    file = small()
    if field == "Operators":
        file.tensors, file.operators = file.tensors[:1], file.operators * 4
        file.outputs = ()
        for operator in file.operators:
            operator.inputs, operator.outputs = (0,), (0,)
    (tmp_path / "model.tflite").write_bytes(repeated(file, checked.MAX_ROWS // 4 + 1))
    with pytest.raises(FileError, match=rf"{field} must have at most 16384 entries, not 16388"):
        read_tflite(tmp_path / "model.tflite")


def test_operators_that_share_long_operands_are_refused(tmp_path: Path) -> None:
    file = small()
    file.operators[0].inputs = (0,) * 4096
    (tmp_path / "model.tflite").write_bytes(repeated(file, 2000))
    with pytest.raises(FileError, match="operands, scales and options must have at most 4194304 numbers, not more"):
        read_tflite(tmp_path / "model.tflite")


@pytest.mark.usefixtures("_traced")
def test_tensors_that_share_a_buffer_are_refused_where_they_expand(tmp_path: Path) -> None:
    file = FileBuilder()
    size = 1 << 16
    file.constant("w", np.zeros(size), "INT8")
    shapes = [(1,) * axes + (size >> shift, 1 << shift) for shift in range(16) for axes in range(5)]
    for shape in shapes:
        file.tensor("w", shape, "INT8", buffer=1)
    content = file.content()
    assert read_within_bounds(tmp_path / "model.tflite", content) is None
    with pytest.raises(FileError, match="constants must expand to at most 4 times the file, not further"):
        read_tflite(tmp_path / "model.tflite")
