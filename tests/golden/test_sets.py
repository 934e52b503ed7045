"""Golden sets are written, verified and refused: any byte that changes is found, and no hostile file gets further."""

import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FileError, FixedsimError, InputError
from fixedsim.model import Model
from fixedsim_golden import manifest as manifests
from fixedsim_golden.cases import Case
from fixedsim_golden.encodings import ENCODINGS, Layout
from fixedsim_golden.manifest import NAME, json_schema, read_manifest, root_digest
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.verify import verify
from fixedsim_golden.writing import Files, write
from tests.golden.set_models import PROFILES, model
from tests.golden.set_models import few_tried as few_tried

SHIPPED = Path(manifests.__file__).with_name("manifest.schema.json")
KEPT = ("lstm.cell", "lstm.hidden", "fc.sum")  # signals, few so that there are few files
LAYOUTS = {
    "plain": Files(),
    "lanes": Files(("hex", "mem"), Layout(lanes=3, pad_rows=True), Layout(lanes=2, pad_rows=True)),
    "in_out": Files(("coe", "mif"), Layout(order="in_out", lanes=4, lane_order="msb")),
    "gates": Files(("ihex",), Layout(gate_order="oifg", align=8, extend="sign")),
    "bias": Files(("sv", "vhdl"), with_bias=True),
    "none": Files(()),
}


def some_cases(made: Model) -> list[Case]:
    return make_cases(made, "smoke").cases


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of a small model; tests that change it copy it."""
    folder = tmp_path_factory.mktemp("sets") / "set"
    made = model("stream")
    write(made, folder, some_cases(made), signals=KEPT, files=Files(("hex", "c")))
    return folder


@pytest.fixture
def copy(small: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(small, tmp_path / "copy"))


KINDS = ("stream", "words", "both", "last")
QUICK = {("fixed-point", kind) for kind in KINDS} | {
    (profile, KINDS[place % len(KINDS)]) for place, profile in enumerate(PROFILES)
}  # each profile and each kind


@pytest.mark.parametrize(
    ("profile", "kind"),
    [pytest.param(*each, marks=() if each in QUICK else pytest.mark.slow) for each in product(PROFILES, KINDS)],
)
def test_what_is_written_is_verified(profile: str, kind: str, tmp_path: Path) -> None:
    made = model(kind, profile)
    cases = some_cases(made)
    write(made, tmp_path / "set", cases)
    found = verify(tmp_path / "set")
    assert found.cases == len(cases)
    assert found.files == len(files_of(tmp_path / "set"))
    control = GoldenSet.open(tmp_path / "set").raws("control")
    assert len(control) == sum(case.steps for case in cases)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["stream", "both", "words"])
def test_layouts_are_verified(layout: str, kind: str, tmp_path: Path) -> None:
    made = model(kind)
    write(made, tmp_path / "set", some_cases(made), files=LAYOUTS[layout])
    verify(tmp_path / "set")
    names = {entry.name for entry in GoldenSet.open(tmp_path / "set").manifest.entries}
    assert any(name.endswith("_and_bias") for name in names) == (layout == "bias")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_verified(encoding: str, tmp_path: Path) -> None:
    made = model("stream")
    write(made, tmp_path / "set", some_cases(made)[:3], files=Files((encoding,)))
    verify(tmp_path / "set")
    assert {path.parent.name for path in (tmp_path / "set").rglob("*.*")} == {"set", "npy", encoding}


def test_a_full_set_and_the_scalar_specification_agree(tmp_path: Path) -> None:
    made = model("stream", "litert", weight_bits=3, activation_bits=4)
    covered = make_cases(made, "full")
    write(made, tmp_path / "set", covered.cases[:40], level="full")
    assert verify(tmp_path / "set", engine="spec").cases == 40


def test_entries_are_what_the_scalar_specification_gives(small: Path) -> None:
    """Outputs of the file, read by NumPy alone, against a run of each case by the specification."""
    found, made = GoldenSet.open(small), model("stream")
    rows = {name: np.load(small / "npy" / f"{name}.npy") for name in ("output", "lstm.cell", "input", "control")}
    state, first = None, 0
    for case in found.cases:
        own = slice(first, first + case.steps)
        if str(case.start) == "reset":
            state = None
        if str(case.start) == "injected":
            state = {name: (h[None], c[None]) for name, (h, c) in case.state.items()}
        reset = np.array([[step in case.resets] for step in range(case.steps)])
        result = made.run(rows["input"][own, None], state=state, reset=reset, trace="lstm.cell", engine="spec")
        assert result.raw is not None
        assert np.array_equal(result.raw[:, 0], rows["output"][own])
        assert np.array_equal(result.trace["lstm.cell"][:, 0], rows["lstm.cell"][own])
        assert rows["control"][own][-1] & 2
        state, first = result.state, first + case.steps


def test_signals_that_are_kept_are_chosen_by_pattern(tmp_path: Path) -> None:
    made = model("stream")
    for place, signals in enumerate((("lstm.hidden",), ("lstm.gate.*",), ())):
        write(made, tmp_path / str(place), some_cases(made), signals=signals)
        verify(tmp_path / str(place))
    kept = [entry.name for entry in GoldenSet.open(tmp_path / "0").manifest.entries if entry.role == "signal"]
    assert kept == ["lstm.hidden"]


def test_the_same_cases_give_the_same_bytes(small: Path, tmp_path: Path) -> None:
    made = model("stream")
    write(made, tmp_path / "again", some_cases(made), signals=KEPT, files=Files(("hex", "c")))
    assert files_of(tmp_path / "again") == files_of(small)


PROGRAM = """
import sys
sys.path[:0] = sys.argv.pop(1).split("|")
from pathlib import Path
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.writing import Files, write
from tests.golden.set_models import few_tried, model
made = model("stream")
folder, signals = Path(sys.argv[1]), sys.argv[2].split(",")
write(made, folder, make_cases(made, "smoke").cases, signals=signals, files=Files(("hex", "c")))
"""


def test_another_process_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo"}
    command = [sys.executable, "-c", PROGRAM, "|".join(sys.path), str(tmp_path / "other"), ",".join(KEPT)]
    root = Path(__file__).resolve().parents[2]
    subprocess.run(command, check=True, env=environment, cwd=root, timeout=300)
    assert files_of(tmp_path / "other") == files_of(small)


# Damage


def test_any_byte_that_changes_is_found(copy: Path) -> None:
    """Every file once, at a random place, and the manifest at many."""
    draw = random.Random(5)
    paths = [path for path in sorted(copy.rglob("*")) if path.is_file()]
    for path in [*paths, *[copy / NAME] * 60]:
        content = path.read_bytes()
        place, flip = draw.randrange(len(content)), 1 << draw.randrange(8)
        path.write_bytes(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
        if path.name == NAME and same_json(content, path.read_bytes()):
            path.write_bytes(content)
            continue  # a space that became another kind of space
        with pytest.raises(FileError):
            verify(copy)
        path.write_bytes(content)
    verify(copy)


def same_json(before: bytes, after: bytes) -> bool:
    try:
        return bool(json.loads(before) == json.loads(after))
    except ValueError:
        return False


def test_files_that_are_missing_cut_or_too_many_are_found(copy: Path) -> None:
    paths = [path for path in sorted(copy.rglob("*")) if path.is_file()]
    for path in [*paths[::8], copy / NAME, copy / "model.safetensors"]:
        content = path.read_bytes()
        for damaged in (None, content[:-1], content[: len(content) // 2], b"", content + b"\n"):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            if path.name == NAME and same_json(content, path.read_bytes() if path.exists() else b""):
                continue  # white space at the end
            with pytest.raises(FileError, match=r"must be|must have|schema|digest"):
                verify(copy)
        path.write_bytes(content)
    for extra in (copy / "more.txt", copy / "npy" / "more.npy", copy / ".hidden"):
        extra.write_bytes(b"")
        with pytest.raises(FileError, match="must be named in the manifest; it is no file of the set"):
            verify(copy)
        extra.unlink()
    verify(copy)


def altered(folder: Path, change: Callable[[Any], None]) -> None:
    """Change the manifest's document and give it a root digest that fits."""
    document = json.loads((folder / NAME).read_bytes())
    change(document)
    document["digest"] = root_digest(document)
    (folder / NAME).write_text(json.dumps(document, indent=1, sort_keys=True))


def entry_of(document: Any, name: str) -> Any:
    return next(entry for entry in document["entries"] if entry["name"] == name)


@pytest.mark.parametrize(
    "name", ["output", "lstm.cell", "input", "control", "lstm.final_state.cell", "fc.weight", "lstm.bias", "fc.sum"]
)
def test_other_integers_under_fitting_digests_are_found_by_the_replay(copy: Path, name: str) -> None:
    """One raw of a file changed, its digest and the root digest made to fit: only the model can tell."""
    path = copy / "npy" / f"{name}.npy"
    raws = np.load(path)
    raws.reshape(-1)[-1] ^= 1
    np.save(path, raws)
    content = path.read_bytes()

    def change(document: Any) -> None:
        record = next(each for each in entry_of(document, name)["files"] if each["encoding"] == "npy")
        record |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    altered(copy, change)
    with pytest.raises(FixedsimError, match=name if name != "input" else "must be"):
        verify(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layer", "other"),
        ("axes", ["step", "feature"]),
        ("narrowing", None),
        ("narrowing.rounding", "floor_"),
        ("narrowing.shift", 61),
    ],
)
def test_what_a_manifest_says_of_an_entry_is_what_the_model_says(copy: Path, key: str, value: Any) -> None:
    def change(document: Any) -> None:
        place = entry_of(document, "lstm.cell")
        first, _, rest = key.partition(".")
        if rest:
            place, first = place[first], rest
        assert place[first] != value
        place[first] = value

    altered(copy, change)
    with pytest.raises(FileError, match=rf"{key.partition('.')[0]} of lstm\.cell must be"):
        verify(copy)


def test_a_hex_file_that_differs_from_npy_is_found(copy: Path) -> None:
    path = copy / "hex" / "output.hex"
    text = path.read_text()
    last = text.rstrip()[-1]
    content = (text.rstrip()[:-1] + ("0" if last != "0" else "1") + "\n").encode()
    path.write_bytes(content)

    def change(document: Any) -> None:
        record = next(each for each in entry_of(document, "output")["files"] if each["encoding"] == "hex")
        record |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    altered(copy, change)
    with pytest.raises(FileError, match=r"output.*hex"):
        verify(copy)


def put(*path: Any, value: Any) -> Callable[[Any], None]:
    """Put a value at a place in the document."""

    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


def drop_entry(name: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        document["entries"].remove(entry_of(document, name))

    return change


HOSTILE = {
    "parent": put("model", "file", "path", value="../x"),
    "absolute": put("entries", 0, "files", 0, "path", value="/etc/passwd"),
    "inner": put("entries", 0, "files", 0, "path", value="npy/../../x"),
    "dot": put("entries", 0, "files", 0, "path", value="./control.npy"),
    "backslash": put("entries", 0, "files", 0, "path", value="npy\\control.npy"),
    "nul": put("entries", 0, "files", 0, "path", value="npy/\x00"),
    "newline": put("entries", 0, "files", 0, "path", value="npy/control.npy\n"),
    "drive": put("entries", 0, "files", 0, "path", value="C:control"),
    "long": put("entries", 0, "files", 0, "path", value="a" * 5000),
    "huge bytes": put("entries", 0, "files", 0, "bytes", value=1 << 80),
    "negative bytes": put("entries", 0, "files", 0, "bytes", value=-1),
    "huge shape": put("entries", 0, "shape", value=[1 << 60, 1 << 60]),
    "huge words": put("entries", 0, "words", value=1 << 60),
    "huge bits": put("entries", 0, "word_bits", value=1 << 30),
    "no shape": put("entries", 0, "shape", value=[]),
    "float": put("entries", 0, "words", value=1.5),
    "text": put("entries", 0, "words", value="7"),
    "no entries": put("entries", value=[]),
    "no cases": put("cases", value=[]),
    "role": put("entries", 0, "role", value="signal"),
    "more keys": put("more", value=1),
    "bits": put("entries", 0, "format", "bits", value=0),
    "raw_min": put("entries", 0, "format", "raw_min", value=-(1 << 70)),
    "scale": put("entries", 0, "format", "scale", value="1/0"),
    "long scale": put("entries", 0, "format", "scale", value="9" * 5000),
    "encoding": put("entries", 0, "files", 1, "encoding", value="nothing"),
    "lanes": put("entries", 0, "layout", "lanes", value=0),
    "layout": put("entries", 0, "layout", value={"nothing": 1}),
    "lanes of text": put("entries", 0, "layout", "lanes", value="many"),
    "resets": put("cases", 0, "resets", value=[99]),
    "reset at 0": put("cases", 0, "resets", value=[0]),
    "steps": put("cases", 0, "steps", value=1 << 40),
    "first": put("cases", 0, "first", value=1 << 40),
    "start": put("cases", 0, "start", value="continued"),
    "without input": drop_entry("input"),
    "without state": drop_entry("lstm.initial_state.cell"),
    "without output": drop_entry("output"),
    "without control": drop_entry("control"),
    "twice": lambda document: document["entries"].append(document["entries"][0]),
    "a case more": lambda document: document["cases"].append(document["cases"][0] | {"start": "injected"}),
    "arithmetic": put("arithmetic", value=2),
    "deep": put("profile", value=json.loads("[" * 400 + "]" * 400)),
    "profile": put("profile", value=3),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_manifests_are_refused(copy: Path, name: str) -> None:
    altered(copy, HOSTILE[name])
    with pytest.raises(FixedsimError):
        verify(copy)


@pytest.mark.parametrize("name", ["input", "lstm.initial_state.cell", "output", "control", "fc.weight"])
def test_an_entry_that_is_left_out_with_its_files_is_missed(copy: Path, name: str) -> None:
    for path in (copy / "npy" / f"{name}.npy", copy / "hex" / f"{name}.hex", copy / "c" / f"{name}.h"):
        path.unlink()
    altered(copy, drop_entry(name))
    with pytest.raises(FileError, match="entries must be those that the model has"):
        verify(copy)


@pytest.mark.parametrize("schema", [0, 99, "1", None, [1], True])
def test_other_schemas_are_refused_by_name(copy: Path, schema: Any) -> None:
    altered(copy, put("schema", value=schema))
    with pytest.raises(FileError, match=r"schema"):
        verify(copy)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"schema": 1, "profile": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        *(b'{"schema": 1, "profile": ' + b"[" * d + b"]" * d + b"}" for d in range(900, 1000, 7)),
        b"9" * 10_000,
        b"null",
        b'{"schema": 1}',
        b'{"schema": 1, "level": "\\ud800"}',
        b'{"schema": 1, "seed": NaN}',
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(FileError):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_is_no_set(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(FileError, match=r"must be a golden set with a manifest\.json, not 'no such file"):
            verify(folder)


# Where a set may go


def test_where_a_set_may_not_go(small: Path, copy: Path, tmp_path: Path) -> None:
    made = model("stream")
    cases = some_cases(made)[:2]
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="must not exist; choose another folder, or --force to replace a set"):
        write(made, copy, cases)
    with pytest.raises(FileError, match=r"must be a golden set to be replaced, not something without a manifest\.json"):
        write(made, tmp_path / "folder", cases, force=True)
    with pytest.raises(FileError, match="must be a golden set to be replaced"):
        write(made, tmp_path / "file", cases, force=True)
    with pytest.raises(FileError, match="must be in a folder that exists, not in"):
        write(made, tmp_path / "absent" / "set", cases)
    assert files_of(copy) == files_of(small)
    write(made, copy, cases, force=True)
    assert verify(copy).cases == 2
    assert sorted(os.listdir(tmp_path)) == ["copy", "file", "folder"]


@pytest.mark.parametrize("name", ["set.", "a set", "sét", "-set"])
def test_folders_may_have_any_name(name: str, tmp_path: Path) -> None:
    made = model("stream")
    write(made, tmp_path / name, some_cases(made)[:1])
    verify(tmp_path / name)


def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path: Path) -> None:
    made, kept = model("stream"), model("stream", keep_float=["fc"])
    cases = some_cases(made)
    with pytest.raises(InputError, match="encoding must be one of"):
        Files(("hexa",))
    with pytest.raises(InputError, match="cases must be at least one, not none"):
        write(made, tmp_path / "set", [])
    with pytest.raises(InputError, match="layers of a golden set must be integers, not fc in float64"):
        write(kept, tmp_path / "set", cases)
    with pytest.raises(FixedsimError, match=r"signal pattern must match a name, not 'lstm\.cel'"):
        write(made, tmp_path / "set", cases, signals=["lstm.cel"])
    with pytest.raises(FixedsimError):
        write(made, tmp_path / "set", [Case("wide", ("user",), np.zeros((1, 3), dtype=np.int64))])
    with pytest.raises(FixedsimError):
        write(made, tmp_path / "set", [Case("high", ("user",), np.full((1, 2), 1 << 20))])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("when", [0, 1, 2, 30, -3, -2, -1])
@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_leaves_the_old_set_or_none(
    copy: Path, small: Path, when: int, force: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th flush to the disk fails, from the front or from the end."""
    made = model("stream")
    cases = some_cases(made)[:2]
    target = copy if force else copy.with_name("new")
    calls, sync = [0], os.fsync

    def counted(handle: int) -> None:
        calls[0] += 1
        sync(handle)

    monkeypatch.setattr(os, "fsync", counted)
    write(made, copy.with_name("count"), cases, signals=KEPT)
    shutil.rmtree(copy.with_name("count"))
    fails = when if when >= 0 else calls[0] + when
    calls[0] = 0

    def full(handle: int) -> None:
        calls[0] += 1
        if calls[0] > fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(os.listdir(copy.parent))
    with pytest.raises(FileError, match="not 'no space left on device'"):
        write(made, target, cases, signals=KEPT, force=force)
    assert sorted(os.listdir(copy.parent)) == before
    assert files_of(copy) == files_of(small)


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    made = model("stream")

    def stop(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(made, tmp_path / "set", some_cases(made)[:2], progress=stop)
    assert os.listdir(tmp_path) == []


# The schema that ships


def test_the_schema_that_ships_is_that_of_the_code() -> None:
    assert SHIPPED.read_text() == json.dumps(json_schema(), indent=2, sort_keys=True) + "\n"


def test_a_written_manifest_fits_the_schema_that_ships(small: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SHIPPED.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads((small / NAME).read_text())
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    del document["cases"][0]["steps"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)


def test_the_manifest_says_what_its_files_are(small: Path) -> None:
    """Sizes and digests by hashlib, counts by hand, the notes of those flags that cases have."""
    document = json.loads((small / NAME).read_text())
    records = [document["model"]["file"], *(each for entry in document["entries"] for each in entry["files"])]
    assert {record["path"] for record in records} | {NAME} == set(files_of(small))
    for record in records:
        content = (small / record["path"]).read_bytes()
        assert (record["bytes"], record["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert set(document["notes"]) == {flag for case in document["cases"] for flag in case["flags"]}
    firsts = np.cumsum([0, *(case["steps"] for case in document["cases"])])
    assert [case["first"] for case in document["cases"]] == firsts[:-1].tolist()
    rest = {key: value for key, value in document.items() if key != "digest"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    assert document["digest"] == hashlib.sha256(canonical.encode()).hexdigest()
