"""Damaged graphs and files of variables: a network of finite weights, or an error of ours, within bounds."""

import itertools
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fixedsim.errors import FixedsimError
from fixedsim.importers import deepspeech, tensorflow
from fixedsim.importers.imported import Stated
from fixedsim.network import Network
from tests.importers.mutating import mutated

FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "tensorflow"
FILES = sorted(
    path for path in FOLDER.iterdir() if path.suffix in (".pb", ".npz") and not path.name.endswith(".run.npz")
)
READERS = (tensorflow, deepspeech)
SECONDS = 10.0  # of one small file, on a busy machine
BYTES = 192 << 20


def network_within_bounds(path: Path) -> bool:
    """Whether a file gave a network."""
    tracemalloc.reset_peak()
    start, before = time.process_time(), tracemalloc.get_traced_memory()[0]
    given = 0
    for reader in READERS:
        assert reader.recognises(path) in (False, True)
        try:
            imported = reader.read(path, Stated())
            network = Network(imported.description, imported.weights)
            assert all(np.isfinite(tensor).all() for tensor in network.weights.values())
            given += 1
        except FixedsimError:
            pass
    assert time.process_time() - start < SECONDS
    assert tracemalloc.get_traced_memory()[1] - before < BYTES
    return given > 0


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
    fuzz(tmp_path, range(150))


@pytest.mark.slow
def test_many_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path, range(1000, 11_000))
