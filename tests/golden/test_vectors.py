"""The committed golden sets: every one is replayed, and made again byte for byte."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.verify import verify

VECTORS = Path(__file__).resolve().parents[2] / "golden" / "vectors"
INDEX = json.loads((VECTORS / "index.json").read_text("utf-8"))
SMOKE = [name for name, record in INDEX.items() if record["level"] == "smoke"]
FULL = [name for name, record in INDEX.items() if record["level"] == "full"]
EARLIER = sorted(path.parent for path in VECTORS.glob("earlier/*/manifest.json"))
AGAIN = (
    "lstm-fixed-point-w8a8-smoke",
    "bilstm-bit-rnn-w2a2-smoke",
    "linear-litert-w8a8-smoke",
    "lstm-hls4ml-w16a16-smoke",
)


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """``golden/vectors/make.py``."""
    spec = importlib.util.spec_from_file_location("make_vectors", VECTORS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_index_names_every_set_with_its_digest() -> None:
    assert sorted(INDEX) == sorted(path.parent.name for path in VECTORS.glob("*/manifest.json"))
    for name, record in INDEX.items():
        assert GoldenSet.open(VECTORS / name).manifest.digest == record["digest"]


@pytest.mark.parametrize("name", sorted(INDEX))
def test_a_committed_set_is_replayed(name: str) -> None:
    found = verify(VECTORS / name)
    assert found.words == INDEX[name]["words"]
    assert found.digest == INDEX[name]["digest"]


@pytest.mark.parametrize("folder", EARLIER, ids=lambda path: path.name)
def test_a_set_of_an_earlier_edition_is_replayed(folder: Path) -> None:
    assert verify(folder).words == sum(entry.words for entry in GoldenSet.open(folder).manifest.entries)


def test_there_are_sets_of_the_first_edition() -> None:
    assert {path.name.partition("-")[0] for path in EARLIER} == {"linear", "lstm", "bilstm"}


@pytest.mark.parametrize("name", AGAIN)
def test_the_scalar_specification_gives_the_same(name: str) -> None:
    assert verify(VECTORS / name, engine="spec").words == INDEX[name]["words"]


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(INDEX) - set(AGAIN)))
def test_the_scalar_specification_gives_the_same_of_all(name: str) -> None:
    assert verify(VECTORS / name, engine="spec").words == INDEX[name]["words"]


def _made_again(name: str, maker: ModuleType, folder: Path) -> None:
    (wanted,) = [each for each in maker.collection() if each.name == name]
    maker.make(wanted, folder)
    committed = {path.relative_to(VECTORS / name): path for path in (VECTORS / name).rglob("*") if path.is_file()}
    made = {path.relative_to(folder / name): path for path in (folder / name).rglob("*") if path.is_file()}
    assert made.keys() == committed.keys()
    for relative, path in made.items():
        assert path.read_bytes() == committed[relative].read_bytes(), relative


@pytest.mark.parametrize("name", AGAIN)
def test_a_set_is_made_again_byte_for_byte(name: str, maker: ModuleType, tmp_path: Path) -> None:
    _made_again(name, maker, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(INDEX) - set(AGAIN)))
def test_all_sets_are_made_again_byte_for_byte(name: str, maker: ModuleType, tmp_path: Path) -> None:
    _made_again(name, maker, tmp_path)


@pytest.mark.parametrize("name", FULL)
def test_what_a_full_set_leaves_undecided_has_a_sentence(name: str) -> None:
    for site in GoldenSet.open(VECTORS / name).manifest.coverage:
        assert site["corners"] == site["hit"] + site["unreachable"] + len(site["undecided"]) + len(site["waived"])
        assert site["why"].endswith(".") if site["undecided"] else not site["why"]
        assert site["kind"] != "table" or len(site["undecided"]) <= 2  # of thousands of segments


def test_full_sets_cover_what_smoke_sets_do_not() -> None:
    for name in FULL:
        assert INDEX[name]["undecided"] <= 12
        smoke = INDEX.get(name.replace("full", "smoke"))
        if smoke is not None and not name.startswith("linear"):
            assert INDEX[name]["hit"] > 1.9 * smoke["hit"]
