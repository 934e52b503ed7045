"""Damaged graphs and files of variables: a network of finite weights, or an error of ours, within bounds."""

import itertools
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

from fixedsim.importers import deepspeech, tensorflow
from fixedsim.importers.imported import Stated
from tests.importers.bounds import bounded, gives_network
from tests.importers.mutating import mutated

FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "tensorflow"
FILES = sorted(
    path for path in FOLDER.iterdir() if path.suffix in (".pb", ".npz") and not path.name.endswith(".run.npz")
)
READERS = (tensorflow, deepspeech)
SECONDS = 10.0  # of one small file, on a busy machine
BYTES = 192 << 20


def network_within_bounds(path: Path) -> bool:
    """Whether a file gave a network to one of the readers."""
    with bounded(SECONDS, BYTES):
        assert all(reader.recognises(path) in (False, True) for reader in READERS)
        return sum(gives_network(partial(reader.read, path, Stated())) for reader in READERS) > 0


def fuzz(folder: Path, seeds: range) -> None:
    contents = [(path.suffix, path.read_bytes()) for path in FILES]
    tracemalloc.start()
    try:
        networks = 0
        for seed, (suffix, content) in zip(seeds, itertools.cycle(contents), strict=False):
            path = folder / f"file{suffix}"
            path.write_bytes(mutated(content, seed))
            networks += network_within_bounds(path)
    finally:
        tracemalloc.stop()
    assert len(seeds) / 50 < networks < len(seeds)  # both happen


def test_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path, range(75))


@pytest.mark.slow
def test_many_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path, range(1000, 11_000))
