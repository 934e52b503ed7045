"""Damaged PyTorch files: a network with finite weights, or an error of ours, within bounds."""

import tracemalloc
import zipfile
from pathlib import Path

import pytest

from fixedsim.importers import pytorch
from fixedsim.importers.imported import Stated
from tests.importers.bounds import bounded, gives_network
from tests.importers.mutating import mutated
from tests.importers.pytorch_files import zipped
from tests.importers.test_pytorch_files import FILES, RECORDED

SECONDS = 20.0  # of one small file, on a busy machine
BYTES = 64 << 20


def damaged(path: Path, seed: int) -> bytes:
    """A mutated copy; of every second archive one member is, so that sizes and sums of the archive are right."""
    content = path.read_bytes()
    if seed % 2 or not zipfile.is_zipfile(path) or path.suffix == ".npz":
        return mutated(content, seed)
    with zipfile.ZipFile(path) as archive:
        members = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    chosen = "data.pkl" if seed % 8 else sorted(members)[seed % len(members)]
    return zipped(members | {chosen: mutated(members[chosen], seed)})


def read_within_bounds(path: Path) -> bool:
    """Whether the file gave a network."""
    with bounded(SECONDS, BYTES):
        pytorch.recognises(path)
        return gives_network(lambda: pytorch.read(path, Stated()))


def fuzz(folder: Path, first: int, count: int) -> None:
    files, networks = [*FILES, "quantized.pt", "script.pt", "whole_module.pt"], 0
    tracemalloc.start()
    try:
        for seed in range(first, first + count):
            source = RECORDED / files[seed * 7 // 2 % len(files)]
            path = folder / f"w{source.suffix}"
            path.write_bytes(damaged(source, seed))
            networks += read_within_bounds(path)
    finally:
        tracemalloc.stop()
    assert count / 50 < networks < count  # both happen


def test_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path, 0, 200)


@pytest.mark.slow
def test_many_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path, 1000, 10_000)
