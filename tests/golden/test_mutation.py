"""Altered golden sets: each differs where it says, and nothing but its manifest still stands for what was there."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fixedsim.errors import FileError, InputError
from fixedsim.model import Model
from fixedsim_golden.encodings import ENCODINGS
from fixedsim_golden.manifest import NAME
from fixedsim_golden.mutation import EXPECTATIONS, INDEX, Kind, mutate
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.verify import verify
from fixedsim_golden.writing import Files, write
from tests.golden.test_device import made

VALUES = {Kind.BIT, Kind.WORD, Kind.LATE, Kind.UNITS, Kind.STEPS, Kind.FINAL}


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mutation") / "set"
    model = Model("m", (made("lstm", "bit-rnn", (1, 1), size=(3, 2)),))
    write(model, path, make_cases(model, "smoke").cases, files=Files(("hex", "bin", "c")))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_copy_differs_in_one_entry_and_is_refused_by_verify(golden: Path, tmp_path: Path) -> None:
    before = contents(golden)
    files = {entry.name: {file.path for file in entry.files} for entry in GoldenSet.open(golden).manifest.entries}
    found = mutate(golden, tmp_path / "copies", count=44)
    assert [mutation.kind for mutation in found] == 4 * list(Kind)
    for mutation in found:
        copy = tmp_path / "copies" / mutation.folder
        after = contents(copy)
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        assert changed
        assert changed <= files[mutation.entry]
        assert NAME not in changed
        with pytest.raises(FileError, match=re.escape(mutation.entry)):
            verify(copy)
    assert contents(golden) == before
    verify(golden)


def test_values_are_altered_alike_in_all_encodings(golden: Path, tmp_path: Path) -> None:
    """Each file decodes to raws of the format, the same in all encodings, and others than before."""
    opened = GoldenSet.open(golden)
    for mutation in mutate(golden, tmp_path / "copies", seed=3, count=33):
        if mutation.kind not in VALUES:
            continue
        entry, copy = opened.manifest.entry(mutation.entry), tmp_path / "copies" / mutation.folder
        raws = np.load(copy / f"npy/{entry.name}.npy")
        old = opened.raws(entry.name)
        assert raws.shape == old.shape
        assert (raws != old).any()
        codes = [entry.format.format.code(int(raw)) for raw in raws.reshape(-1)]
        for file in entry.files:
            if file.encoding != "npy":
                content = (copy / file.path).read_bytes()
                read = ENCODINGS[file.encoding].read(content, entry.word_bits, file.path)
                assert read.words.integers() == codes


def test_what_is_altered_is_where_the_list_says(golden: Path, tmp_path: Path) -> None:
    opened = GoldenSet.open(golden)
    for mutation in mutate(golden, tmp_path / "copies", seed=1, count=33):
        copy = tmp_path / "copies" / mutation.folder
        old = (golden / f"hex/{mutation.entry}.hex").read_text().splitlines()
        if mutation.kind is Kind.MISSING:
            assert not list(copy.rglob(f"{mutation.entry}.*"))
            continue
        new = (copy / f"hex/{mutation.entry}.hex").read_text().splitlines()
        if mutation.kind in (Kind.BIT, Kind.WORD, Kind.FINAL):
            raws = opened.raws(mutation.entry)
            flat = int(np.ravel_multi_index(mutation.place, raws.shape))
            assert [place for place, lines in enumerate(zip(old, new, strict=True)) if lines[0] != lines[1]] == [flat]
        if mutation.kind is Kind.BIT:
            assert (int(old[flat], 16) ^ int(new[flat], 16)).bit_count() == 1
        if mutation.kind is Kind.LATE:
            row = opened.raws(mutation.entry).shape[1]
            assert new == [*old[:row], *old[:-row]]
        if mutation.kind is Kind.SHORT:
            assert new == old[:-1]
        if mutation.kind is Kind.LONG:
            assert new == [*old, old[-1]]
        if mutation.kind in (Kind.WIDE, Kind.UNKNOWN):
            (place,) = mutation.place
            assert new[place] == ("1" + old[place] if mutation.kind is Kind.WIDE else "x" + old[place][1:])
            assert [*new[:place], *new[place + 1 :]] == [*old[:place], *old[place + 1 :]]


def test_the_index_lists_them(golden: Path, tmp_path: Path) -> None:
    found = mutate(golden, tmp_path / "copies", count=5, entries=("output",))
    listed = json.loads((tmp_path / "copies" / INDEX).read_text())
    assert [(each["folder"], each["kind"], each["entry"], tuple(each["place"]), each["text"]) for each in listed] == [
        (mutation.folder, mutation.kind, mutation.entry, mutation.place, mutation.text) for mutation in found
    ]
    assert {mutation.entry for mutation in found} == {"output"}
    assert [mutation.folder for mutation in found][:2] == ["000-bit-output", "001-word-output"]


def test_the_same_seed_alters_the_same(golden: Path, tmp_path: Path) -> None:
    first, again, other = (mutate(golden, tmp_path / str(place), seed=seed) for place, seed in enumerate((4, 4, 5)))
    assert first == again != other
    assert contents(tmp_path / "0") == contents(tmp_path / "1")


def test_only_expectations_are_altered(golden: Path, tmp_path: Path) -> None:
    roles = {entry.name: entry.role for entry in GoldenSet.open(golden).manifest.entries}
    assert {roles[mutation.entry] for mutation in mutate(golden, tmp_path / "copies", count=60)} == set(EXPECTATIONS)


def test_a_set_without_text_is_altered_in_its_values(tmp_path: Path) -> None:
    model = Model("m", (made("linear", size=(3, 2)),))
    write(model, tmp_path / "set", make_cases(model, "smoke").cases, files=Files(("coe",)))
    found = mutate(tmp_path / "set", tmp_path / "copies", count=8)
    assert {mutation.kind for mutation in found} == VALUES - {Kind.FINAL}


def test_refusals(golden: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^count must be at least 1, not 0$"):
        mutate(golden, tmp_path / "copies", count=0)
    with pytest.raises(InputError, match=r"^pattern of expectations must match a name, not 'input'"):
        mutate(golden, tmp_path / "copies", entries=("input",))
    with pytest.raises(FileError, match=r"must be a folder that is new or empty, not one with something in it$"):
        mutate(golden, golden)
    with pytest.raises(FileError, match=r"must be a golden set with a manifest\.json"):
        mutate(tmp_path / "nothing", tmp_path / "copies")
