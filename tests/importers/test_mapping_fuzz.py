"""Damaged mapping files and damaged files that they name: finite weights, or an error of ours, within bounds."""

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fixedsim.importers import mapping
from fixedsim.importers.imported import Stated
from tests.importers.bounds import bounded, gives_network
from tests.importers.mutating import mutated
from tests.importers.test_mapping import F, written

SECONDS = 5.0  # of one small file, on a busy machine
BYTES = 64 << 20
ENTRIES = {
    "fc.weight": '{ file = "t.npz", tensor = "f", rows = [0, 4], scale = 1.5 }',
    "lstm.bias": '[{ file = "b.npy" }, { stack = [{ file = "one.csv" }, { file = "b.npy", rows = [2, 8] }] }]',
}
WORDS = (
    b'"..',
    b"../",
    b"/",
    b"true",
    b"1e400",
    b"[]",
    b"{}",
    b"transpose = true,",
    b"rows = [0, 1],",
    b"-1",
    b"[[tensors]]",
    b"inf",
)


def folder_of(folder: Path) -> dict[str, bytes]:
    """A mapping with every key, and the content of each of its files."""
    written(folder, ENTRIES)
    np.savez(folder / "t.npz", f=F, g=F)
    (folder / "one.csv").write_text("0.5\n-1.5\n")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def spliced(content: bytes, seed: int) -> bytes:
    """``content`` with words of a mapping file put in, or mutated as any file."""
    chooser = random.Random(seed)
    if chooser.random() < 0.5:
        return mutated(content, seed)
    place = chooser.randint(0, len(content))
    end = place + chooser.choice((0, 0, 3, 20))
    return content[:place] + chooser.choice(WORDS) + content[end:]


def fuzz(folder: Path, seeds: range) -> None:
    contents, path = folder_of(folder), folder / "net.toml"
    names = sorted(contents) + ["net.toml"] * len(contents)
    tracemalloc.start()
    try:
        networks = 0
        for seed in seeds:
            name = names[seed % len(names)]
            change = spliced if name.endswith((".toml", ".csv")) else mutated
            (folder / name).write_bytes(change(contents[name], seed))
            with bounded(SECONDS, BYTES):
                assert mapping.recognises(path) in (False, True)
                networks += gives_network(lambda: mapping.read(path, Stated()))
            (folder / name).write_bytes(contents[name])
    finally:
        tracemalloc.stop()
    assert len(seeds) / 50 < networks < len(seeds)  # both happen


def test_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path, range(200))


@pytest.mark.slow
def test_many_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path, range(1000, 11_000))
