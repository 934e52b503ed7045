"""Comparisons: dumps that are altered in one way, devices with planted faults, and what the first cause is."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.casts import Rounding
from fixedsim.errors import FileError, FixedsimError, InputError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model
from fixedsim.profiles.datapath import GATES, Hazard, Narrowing
from fixedsim.testing import bidirectional_layers, embedding_layers, formats, linear_layers, lstm_layers, models
from fixedsim_cli.golden_comparison import run_comparison
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.comparing import SUFFIXES, Comparison, compare, junit, plot
from fixedsim_golden.comparing.decoding import Arrangement, Fault, decoded
from fixedsim_golden.comparing.describing import narrowing_text
from fixedsim_golden.comparing.heat_map import gathered
from fixedsim_golden.encodings import ENCODINGS, Layout, ReadWords, Words, from_words, to_words, write_npy
from fixedsim_golden.manifest import EntryRecord
from fixedsim_golden.playing import lstms, play, streams
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.stages import stages
from fixedsim_golden.writing import Files, write
from tests.golden.set_models import model as small_model
from tests.model.networks import LANGUAGE, SPEECH, model
from tests.strategies import Words as Stream

Arrays = dict[str, NDArray[Any]]
SIGNALS = ("signal", "output", "final_state")


@pytest.fixture(scope="module", autouse=True)
def _no_sync() -> Iterator[None]:
    """Files of tests need not survive a power failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        yield


def cases_of(made: Model, seed: int = 3, lengths: Sequence[int] = (4, 1, 3, 6)) -> list[Case]:
    """A reset, and where the model can, a sequence that continues with a reset in it, and one from a state put in."""
    stream, first = Stream(seed), first_of(made)
    cases = []
    for place, steps in enumerate(lengths):
        if isinstance(first, Embedding):
            inputs = stream.integers(0, len(first.table) - 1, (steps,))
        else:
            assert made.input_format is not None
            inputs = stream.raws(made.input_format, (steps, width_of(first)))
        cases.append(Case(f"c{place}", ("random", "long"), inputs))
    state = {
        name: (stream.raws(part.state_format, (part.outputs,)), stream.raws(part.datapath.read_cell, (part.units,)))
        for name, part in lstms(made).items()
    }
    cases[2] = dataclasses.replace(cases[2], start=Start.INJECTED, state=state)
    if streams(made):
        cases[1] = dataclasses.replace(cases[1], start=Start.CONTINUED)
        cases[3] = dataclasses.replace(cases[3], start=Start.CONTINUED, resets=(2,))
    return cases


def first_of(made: Model) -> Any:
    """The first layer that computes."""
    return next(layer for layer in made.layers if not isinstance(layer, Reversal))


def width_of(layer: Any) -> int:
    match layer:
        case Linear():
            return layer.matrix.inputs
        case Lstm():
            return layer.input_matrix.inputs
        case _:
            return int(layer.forward.input_matrix.inputs)


class Bench:
    """A set, and dumps made of it."""

    def __init__(self, folder: Path, made: Model, files: Files | None = None, **choices: Any) -> None:
        self.folder, self.model, self.cases = folder, made, cases_of(made)
        self.set = folder / "set"
        write(made, self.set, self.cases, files=files or Files(("hex",)), **choices)
        self.golden = GoldenSet.open(self.set)
        self.dumps = 0

    def entries(self, roles: Sequence[str] = SIGNALS) -> list[EntryRecord]:
        return [entry for entry in self.golden.manifest.entries if entry.role in roles]

    def arrays(self, roles: Sequence[str] = SIGNALS) -> Arrays:
        """The set's own raws, to be altered."""
        return {entry.name: self.golden.raws(entry.name).copy() for entry in self.entries(roles)}

    def dump(self, arrays: Mapping[str, NDArray[Any]], encoding: str = "npy") -> Path:
        """A folder of a device's arrays."""
        self.dumps += 1
        folder = self.folder / f"dump{self.dumps}"
        folder.mkdir()
        for name, raws in arrays.items():
            (folder / f"{name}{SUFFIXES[encoding]}").write_bytes(self.written(name, raws, encoding))
        return folder

    def written(self, name: str, raws: NDArray[Any], encoding: str) -> bytes:
        entry = self.golden.manifest.entry(name)
        form, layout = entry.format.format, Layout.from_dict(entry.layout)
        if encoding == "npy":
            return write_npy(raws, form)
        return ENCODINGS[encoding].write(to_words(raws, form, layout), "dumped")

    def device(self, made: Model, roles: Sequence[str] = SIGNALS) -> Arrays:
        """What a device that is another model gives."""
        return {entry.name: entry.raws for entry in play(made, self.cases) if entry.role in roles}

    def against(self, arrays: Mapping[str, NDArray[Any]], encoding: str = "npy", **choices: Any) -> Comparison:
        return compare(self.set, self.dump(arrays, encoding), **choices)


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("language"), model(LANGUAGE))


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("speech"), model(SPEECH))


def own(found: Comparison) -> dict[str, int]:
    """The entries that are wrong by themselves, and how many values of them."""
    return {entry.name: entry.own_faults for entry in found.entries if entry.own_faults}


def failing(found: Comparison) -> dict[str, int]:
    return {entry.name: entry.mismatches for entry in found.entries if entry.mismatches}


def flipped(raws: NDArray[Any], index: tuple[int, ...], form: Format) -> None:
    """One bit of one value, so that it stays a raw."""
    raws[index] += form.raw_step if raws[index] < form.raw_max else -form.raw_step


# What is read


@pytest.mark.parametrize("encoding", SUFFIXES)
def test_a_dump_of_every_encoding_passes_and_one_bit_fails(language: Bench, encoding: str) -> None:
    arrays = language.arrays()
    found = language.against(arrays, encoding, resync=True)
    assert found.passed
    assert found.summary == f"PASS: {found.words} words of {len(arrays)} entries compared"
    assert found.words == sum(raws.size for raws in arrays.values())
    assert own(found) == {}
    arrays["low.cell"][3, 2] ^= 1
    found = language.against(arrays, encoding)
    assert failing(found) == {"low.cell": 1}
    assert found.first is not None
    assert (found.first.entry, found.first.index) == ("low.cell", (3, 2))


def test_folders_named_as_encodings_and_single_files_are_read(language: Bench, tmp_path: Path) -> None:
    shutil.copytree(language.set / "hex", tmp_path / "hex")
    assert compare(language.set, tmp_path).passed
    alone = compare(language.set, tmp_path / "hex" / "low.cell.hex")
    assert [entry.name for entry in alone.entries] == ["low.cell"]
    shutil.copytree(language.set / "npy", tmp_path / "npy")
    with pytest.raises(FileError, match=r"must be in one file of the dump, not in .*; name the encoding"):
        compare(language.set, tmp_path)
    assert compare(language.set, tmp_path, encoding="npy").passed
    assert compare(language.set, language.set, encoding="hex").passed  # lets the manifest and the model be


def test_what_is_no_dump_is_refused(language: Bench, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"must be a folder or a file of a dump, not something that is not there"):
        compare(language.set, tmp_path / "absent")
    with pytest.raises(FileError, match=r"must hold files named as the set's entries, not none"):
        compare(language.set, tmp_path)
    (tmp_path / "low.cel.hex").write_bytes(b"")
    with pytest.raises(
        FileError, match=r"must be named as an entry of the set, not 'low.cel'; did you mean 'low.cell'"
    ):
        compare(language.set, tmp_path)
    with pytest.raises(FileError, match=r"must hold files named as the set's entries in the encoding 'bin', not none"):
        compare(language.set, tmp_path, encoding="bin")
    (tmp_path / "low.cel.hex").rename(tmp_path / "low.cell.txt")
    with pytest.raises(FileError, match=r"must end in one of \.npy, \.hex, .*, not '\.txt'; or name the encoding"):
        compare(language.set, tmp_path)
    with pytest.raises(InputError, match=r"encoding must be one of npy, hex, .*, not 'hx'; did you mean 'hex'\?"):
        compare(language.set, tmp_path, encoding="hx")
    (tmp_path / "low.cell.txt").rename(tmp_path / "low.cell.npy")
    with pytest.raises(FileError, match=r"low\.cell\.npy must be an \.npy file"):
        compare(language.set, tmp_path)
    (tmp_path / "low.cell.npy").write_bytes(write_npy(np.zeros((3, 5), np.int64)))
    with pytest.raises(FileError, match=r"must have the shape \(n, 4\), not \(3, 5\)"):
        compare(language.set, tmp_path)


def test_progress_counts_entries(language: Bench) -> None:
    moves: list[tuple[int, int]] = []
    compare(language.set, language.set / "hex" / "output.hex", progress=lambda done, total: moves.append((done, total)))
    assert moves == [(1, 1)]


# Words that are no good


def text_dump(bench: Bench, name: str, change: Callable[[list[str]], list[str]]) -> Comparison:
    """The set's hex text of one entry, its lines changed."""
    lines = (bench.set / "hex" / f"{name}.hex").read_text().splitlines()
    folder = bench.dump({})
    (folder / f"{name}.hex").write_text("".join(f"{line}\n" for line in change(lines)))
    return compare(bench.set, folder, resync=True)


@pytest.mark.parametrize(
    ("token", "fault", "counted"),
    [
        ("xxxx", "contains x", "contains x"),
        ("00z1", "contains z", "contains x"),
        ("UUUU", "contains u", "contains x"),
        ("10000", "0x10000 is wider than 16 bits", "does not fit its word"),
    ],
)
def test_words_that_are_no_integers_are_failures(language: Bench, token: str, fault: str, counted: str) -> None:
    found = text_dump(language, "low.cell", lambda lines: [*lines[:5], token, *lines[6:]])
    assert failing(found) == {"low.cell": 1}
    assert found.entries[0].faults == {counted: 1}
    first = found.first
    assert first is not None
    assert (first.index, first.got, first.fault) == ((1, 1), None, fault)
    assert first.summary.endswith(f", not {fault}")


def test_words_that_should_be_zero_are_failures_too(language: Bench) -> None:
    zero = int(np.flatnonzero(language.golden.raws("control") == 0)[0])
    found = text_dump(language, "control", lambda lines: [*lines[:zero], "x", *lines[zero + 1 :]])
    assert failing(found) == own(found) == {"control": 1}
    found = text_dump(language, "control", lambda lines: [*lines[:zero], f"@{zero + 1:x}", *lines[zero + 1 :]])
    assert failing(found) == own(found) == {"control": 1}


@pytest.mark.parametrize("encoding", ["hex", "npy"])
def test_short_dumps_miss_their_last_words(language: Bench, encoding: str) -> None:
    whole = language.arrays()["low.cell"]
    folder = language.dump({"low.cell": whole[:-2]}, encoding)
    found = compare(language.set, folder)
    assert failing(found) == {"low.cell": 8}
    assert found.entries[0].faults == {"missing": 8}
    assert found.first is not None
    assert (found.first.index, found.first.fault) == ((len(whole) - 2, 0), "missing")


def test_an_address_that_is_left_out_is_missing(language: Bench) -> None:
    found = text_dump(language, "low.cell", lambda lines: [*lines[:5], "@7", *lines[7:]])
    assert found.entries[0].faults == {"missing": 2}
    assert not text_dump(language, "low.cell", lambda lines: []).passed


@pytest.mark.parametrize("encoding", ["hex", "npy"])
def test_long_dumps_fail(language: Bench, encoding: str) -> None:
    whole = language.arrays()["low.cell"]
    found = compare(language.set, language.dump({"low.cell": np.concatenate([whole, whole[:1]])}, encoding))
    assert (found.passed, found.mismatches, found.first, found.entries[0].surplus) == (False, 0, None, 4)
    assert found.summary.endswith(f"low.cell{SUFFIXES[encoding]} must hold {whole.size} words, not {whole.size + 4}")
    suite = ElementTree.fromstring(junit(found))
    assert suite.attrib["failures"] == "1"


@pytest.mark.parametrize("encoding", ["hex", "npy"])
def test_codes_and_integers_that_are_no_raws_are_failures(language: Bench, encoding: str) -> None:
    tokens = language.arrays(["input"])["input"]
    tokens[4] = 13  # of 11
    content = write_npy(tokens) if encoding == "npy" else "".join(f"{token:x}\n" for token in tokens).encode()
    path = language.dump({}) / f"input{SUFFIXES[encoding]}"
    path.write_bytes(content)
    found = compare(language.set, path, resync=True)
    assert found.entries[0].faults == {"is no raw of its format": 1}
    assert found.first is not None
    assert found.first.got is not None
    assert (found.first.index, found.first.got.raw, found.first.got.code) == ((4,), 13, "d")
    assert found.first.summary.endswith("not 13 (0xd, 13), which is no raw of its format")


LANES = Layout(lanes=3, lane_order="msb", align=8, pad_rows=True, extend="sign")


@pytest.mark.parametrize("layout", [LANES, Layout(lanes=4), Layout(lanes=2, align=24, word_bits=128)])
def test_lanes_are_read_and_swapped_lanes_are_found(tmp_path: Path, layout: Layout) -> None:
    bench = Bench(tmp_path, model(LANGUAGE), Files(("hex",), signals=layout), signals=("low.*",))
    arrays = bench.arrays()
    assert bench.against(arrays, "hex", resync=True).passed
    hidden = arrays["low.hidden"]
    swapped = hidden[:, [1, 0, *range(2, hidden.shape[1])]]
    found = bench.against(arrays | {"low.hidden": swapped}, "hex")
    assert failing(found) == {"low.hidden": int(np.count_nonzero(swapped != hidden))}
    folder = bench.dump({"low.hidden": hidden}, "hex")
    path = folder / "low.hidden.hex"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["x" * len(lines[0]), *lines[1:]]))
    found = compare(bench.set, folder)
    assert found.mismatches == min(layout.lanes, hidden.shape[1])
    if layout.word_bits:
        path.write_text("\n".join(["8" + lines[0][1:], *lines[1:]]))
        assert compare(bench.set, folder).entries[0].faults == {"has padding bits that are not 0": 2}


@settings(max_examples=60)
@given(st.data())
def test_words_are_decoded_as_strict_reading_decodes_them(data: st.DataObject) -> None:
    form = data.draw(formats(widest=64, odd=True))
    align = data.draw(st.sampled_from((1, 4, 8)))
    lanes = data.draw(st.integers(1, 9))
    layout = Layout(
        lanes=lanes,
        lane_order=data.draw(st.sampled_from(("lsb", "msb"))),
        align=align,
        extend=data.draw(st.sampled_from(("zero", "sign"))),
        pad_rows=data.draw(st.booleans()),
        word_bits=data.draw(st.none() | st.integers(lanes * -(-form.bits // align) * align, 1024)),
        order=data.draw(st.sampled_from(("out_in", "in_out"))),
        gate_order=data.draw(st.sampled_from((None, "ofig"))),
    )
    shape = (4 * data.draw(st.integers(1, 3)), data.draw(st.integers(1, 5)))
    words = [word % form.levels for word in Stream(data.draw(st.integers(0, 99))).words(shape[0] * shape[1]).tolist()]
    raws = np.array([form.raw_min + form.raw_step * word for word in words], None if form.signed else np.uint64)
    written = to_words(raws.reshape(shape), form, layout)
    where = Arrangement(shape, form, layout)
    found = decoded(ReadWords(written, {}), where)
    np.testing.assert_array_equal(found.raws, from_words(written, shape, form, layout))
    assert not found.kinds.any()
    assert found.surplus == 0
    index = (data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1)))
    octets = written.octets.copy()
    word, bit = where.word_of(index), data.draw(st.integers(0, written.word_bits - 1))
    octets[word, bit // 8] ^= 1 << bit % 8
    _check_altered(Words(octets, written.word_bits), where, found.raws, word)


def _check_altered(altered: Words, where: Arrangement, raws: NDArray[Any], word: int) -> None:
    """Only values of the altered word differ, and strict reading refuses what is a fault."""
    found = decoded(ReadWords(altered, {}), where)
    wrong = (found.kinds != Fault.NONE) | (found.raws != raws)
    assert {where.word_of(tuple(index)) for index in np.argwhere(wrong).tolist()} == {word}
    if found.kinds.any():
        with pytest.raises(InputError):
            from_words(altered, where.shape, where.form, where.layout)
    else:
        np.testing.assert_array_equal(found.raws, from_words(altered, where.shape, where.form, where.layout))


# Partial dumps, and the order of causes


def test_partial_dumps_compare_what_they_hold(language: Bench) -> None:
    arrays = language.arrays()
    for names in (["output"], ["high.hidden", "high.cell"], ["low.final_state.cell"]):
        found = language.against({name: arrays[name] for name in names}, resync=True)
        assert (found.passed, sorted(entry.name for entry in found.entries)) == (True, sorted(names))


def test_a_signal_that_is_one_step_late_fails_from_its_first_change_on(language: Bench) -> None:
    arrays = language.arrays()
    hidden = arrays["low.hidden"]
    late = np.concatenate([hidden[:1], hidden[:-1]])
    found = language.against(arrays | {"low.hidden": late})
    assert found.first is not None
    assert found.first.index == tuple(np.argwhere(late != hidden)[0].tolist())
    assert failing(found) == {"low.hidden": int(np.count_nonzero(late != hidden))}


@pytest.mark.parametrize(
    ("read", "like"),
    [
        (lambda raws, other: np.concatenate([raws[-1:], raws[:-1]]), "one step late throughout"),
        (lambda raws, other: np.concatenate([raws[1:], raws[:1]]), "one step early throughout"),
        (lambda raws, other: raws[:, ::-1], "its units in reverse order"),
        (lambda raws, other: np.roll(raws, 1, axis=1), "its units one place up"),
        (lambda raws, other: np.roll(raws, -1, axis=1), "its units one place down"),
        (lambda raws, other: other, "the values of low.gate.output"),
        (lambda raws, other: raws ^ 1, ""),
    ],
)
def test_what_all_values_are_like_is_said(
    language: Bench, read: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]], like: str
) -> None:
    arrays = language.arrays()
    raws = read(arrays["low.gate.forget"], arrays["low.gate.output"])
    first = language.against({"low.gate.forget": raws}).first
    assert first is not None
    assert first.likeness == like


ORDERED = [  # of one step, one unit
    "words.output",
    "low.gate.input.input_accumulator",
    "low.gate.forget.input_sum",
    "low.gate.forget.preactivation",
    "low.gate.forget",
    "low.gate.output",
    "low.forget_product",
    "low.cell",
    "low.cell_activation",
    "low.hidden",
    "high.gate.input.input_accumulator",
    "high.hidden",
    "out.accumulator",
    "out.output",
    "output",
]


def test_the_first_cause_is_the_first_in_the_order_of_execution(language: Bench) -> None:
    arrays = language.arrays()
    names = [name for name in ORDERED if name in arrays]
    assert len(names) > 10
    for name in reversed(names):
        flipped(arrays[name], (6, 1), language.golden.form(name))
        assert _first(language.against(arrays)) == (name, (6, 1))
    for name, index in (("high.hidden", (5, 2)), ("low.cell", (5, 3)), ("low.cell", (5, 0)), ("output", (1, 6))):
        flipped(arrays[name], index, language.golden.form(name))
        assert _first(language.against(arrays)) == (name, index)


def _first(found: Comparison) -> tuple[str, tuple[int, ...]]:
    assert found.first is not None
    return found.first.entry, found.first.index


def test_directions_come_in_their_own_order_of_steps_and_cases_first(speech: Bench) -> None:
    arrays = speech.arrays()
    first, steps = 5, 3  # the third case
    altered = [  # the last made first
        ("both.final_state.cell", (2, 0)),
        ("fc2.output", (first, 0)),
        ("both.output", (first, 0)),
        ("both.backward.cell", (first, 1)),
        ("both.backward.cell", (first + 1, 2)),
        ("both.backward.gate.input", (first + steps - 1, 0)),
        ("both.forward.hidden", (first + steps - 1, 0)),
        ("both.forward.cell", (first + 1, 0)),
        ("low.hidden", (first + steps - 1, 0)),
        ("low.hidden", (first, 0)),
        ("fc1.output", (first, 0)),
        ("output", (first - 1, 0)),
        ("both.backward.cell", (3, 2)),
    ]
    for name, index in altered:
        if name == "both.final_state.cell":
            name = "both.backward.final_state.cell"
        flipped(arrays[name], index, speech.golden.form(name))
        assert _first(speech.against(arrays)) == (name, index)
    found = speech.against(arrays)
    assert found.first is not None
    assert (found.first.layer, found.first.direction, found.first.case) == ("both", "backward", "c0")
    assert (found.first.step, found.first.case_step) == (3, 3)


def test_stimuli_and_stored_tensors_come_before_what_they_cause(language: Bench) -> None:
    arrays = language.arrays([*SIGNALS, "input", "control", "initial_state", "weight"])
    assert language.against(arrays, resync=True).passed
    for name, index in (
        ("output", (4, 0)),
        ("input", (4,)),
        ("low.initial_state.cell", (1, 2)),
        ("out.weight", (2, 1)),
    ):
        flipped(arrays[name], index, language.golden.form(name))
        assert _first(language.against(arrays)) == (name, index)
    assert _first_of(language, {"low.initial_state.cell": arrays["low.initial_state.cell"]}) == ("c1", None, 2)


def _first_of(bench: Bench, arrays: Arrays) -> tuple[str, int | None, int | None]:
    first = bench.against(arrays).first
    assert first is not None
    return first.case, first.step, first.unit


# What a mismatch is made of


def test_a_mismatch_names_its_place_its_operands_and_its_narrowing(language: Bench) -> None:
    arrays = language.arrays()
    name, index = "high.gate.forget.preactivation", (6, 2)
    flipped(arrays[name], index, language.golden.form(name))
    first = language.against(arrays).first
    assert first is not None
    assert (first.layer, first.gate, first.role, first.direction) == ("high", "forget", "signal", "")
    assert (first.case, first.step, first.case_step, first.unit) == ("c2", 6, 1, 2)
    assert first.flags["long"] == "A long sequence: errors that add up in the state."
    raw = int(language.golden.raws(name)[index])
    form = language.golden.form(name)
    assert (first.expected.raw, first.expected.code) == (raw, f"{form.code(raw):04x}")
    assert first.expected.real == float(form.real(raw))
    assert first.got is not None
    assert abs(first.got.raw - raw) == 1
    stage = stages(language.model)[name]
    seen = {each.name: each for each in first.operands}
    assert list(seen)[:2] == list(stage.reads)
    for read in stage.reads:
        assert seen[read].raws == (int(arrays[read][index]),)
        assert seen[read].origin == "device"
    assert (seen["shift"].raws, seen["shift"].origin) == ((stage.narrowing.shift,), "constant")
    assert first.narrowing == narrowing_text(stage.narrowing)
    assert json.loads(json.dumps(language.against(arrays).to_dict()))["first"]["operands"][0]["name"] == stage.reads[0]


def test_an_accumulator_is_made_of_its_inputs_its_weights_and_its_bias(language: Bench) -> None:
    arrays = language.arrays()
    name = "high.gate.forget.recurrent_accumulator"
    part = lstms(language.model)["high"]
    arrays[name][7, 1] += 1
    first = language.against({name: arrays[name]}).first
    assert first is not None
    seen = {each.name: each for each in first.operands}
    assert seen["high.hidden@-1"].raws == tuple(arrays["high.hidden"][6].tolist())
    assert seen["high.hidden@-1"].origin == "golden"
    assert seen["recurrent weight"].raws == tuple(part.recurrent_matrix.weight[part.units + 1].tolist())
    assert first.expected.real == first.expected.raw * part.recurrent_matrix.scale[part.units + 1]
    name = "low.gate.input.input_accumulator"
    arrays[name][7, 1] += 1
    first = language.against(arrays).first
    assert first is not None
    seen = {each.name: each for each in first.operands}
    assert seen["words.output"].raws == tuple(arrays["words.output"][7].tolist())
    assert seen["words.output"].origin == "device"
    assert seen["bias"].raws == (int(lstms(language.model)["low"].bias.value[1]),)


@pytest.mark.parametrize("rounding", Rounding)
def test_every_rounding_has_words(rounding: Rounding) -> None:
    assert narrowing_text(Narrowing(Format.integer(8), rounding)).startswith("rounded to")


# Devices with planted faults


def with_layer(made: Model, place: int, layer: Any) -> Model:
    return dataclasses.replace(made, layers=(*made.layers[:place], layer, *made.layers[place + 1 :]))


def with_stage(part: Any, stage: str, change: Callable[[Narrowing], Narrowing]) -> Any:
    """A layer with another narrowing; ``stage`` is a field of the datapath, or of a gate: ``forget.output``."""
    path = part.datapath
    gate, _, field = stage.rpartition(".")
    if not gate:
        return dataclasses.replace(part, datapath=dataclasses.replace(path, **{field: change(getattr(path, field))}))
    place = GATES.index(gate)
    gates = list(path.gates)
    gates[place] = dataclasses.replace(gates[place], **{field: change(getattr(gates[place], field))})
    return dataclasses.replace(part, datapath=dataclasses.replace(path, gates=tuple(gates)))


def shifted(narrowing: Narrowing) -> Narrowing:
    return dataclasses.replace(narrowing, shift=narrowing.shift + 1)


def with_weight(part: Any, matrix: str, row: int, column: int) -> Any:
    """A layer with one weight that is another."""
    old = getattr(part, matrix)
    weight = old.weight.copy()
    form = part.datapath.recurrent_weight if matrix == "recurrent_matrix" else part.datapath.weight
    flipped(weight, (row, column), form)
    return dataclasses.replace(part, **{matrix: dataclasses.replace(old, weight=weight)})


def faults_of(part: Linear | Lstm) -> list[tuple[str, Callable[[], Any]]]:
    """Signals of a layer, and the layer with a fault in what gives each."""
    path = part.datapath

    def staged(stage: str) -> Callable[[], Any]:
        return lambda: with_stage(part, stage, shifted)

    if isinstance(part, Linear):
        found = [(f"{part.name}.{stage}", staged(stage)) for stage in ("preactivation", "output")]
        return [*found, (f"{part.name}.accumulator", lambda: with_weight(part, "matrix", 0, 0))]
    found = [(f"{part.name}.{stage}", staged(stage)) for stage in _CELL if getattr(path, stage) is not None]
    found.append((f"{part.name}.cell_activation", staged("cell_output")))
    for gate, choices in zip(path.gate_names, path.present, strict=True):  # type: ignore[union-attr]
        name = f"{part.name}.gate.{gate}"
        found += [(f"{name}.preactivation", staged(f"{gate}.preactivation")), (name, staged(f"{gate}.output"))]
        assert choices is not None
    first = f"{part.name}.gate.{path.gate_names[0]}"  # type: ignore[union-attr]
    kinds = ("accumulator",) * 2 if path.joint else ("input_accumulator", "recurrent_accumulator")  # type: ignore[union-attr]
    for matrix, kind in zip(("input_matrix", "recurrent_matrix"), kinds, strict=True):
        found.append((f"{first}.{kind}", lambda matrix=matrix: with_weight(part, matrix, 0, 0)))  # type: ignore[misc]
    return found


_CELL = ("forget_product", "input_product", "forget_addend", "input_addend", "cell", "cell_input", "hidden")


def parts_of(made: Model) -> list[tuple[Linear | Lstm, Callable[[Any], Model]]]:
    """Layers with a datapath, and how another goes in the place of each."""
    found: list[tuple[Linear | Lstm, Callable[[Any], Model]]] = []
    for place, layer in enumerate(made.layers):

        def put(part: Any, place: int = place) -> Model:
            return with_layer(made, place, part)

        match layer:
            case Linear() | Lstm():
                found.append((layer, put))
            case Bidirectional():
                for side in ("forward", "backward"):
                    found.append((getattr(layer, side), _put_side(layer, side, put)))
    return found


def _put_side(layer: Bidirectional, side: str, put: Callable[[Any], Model]) -> Callable[[Any], Model]:
    return lambda part: put(dataclasses.replace(layer, **{side: part}))


@pytest.mark.parametrize("name", ["language", "speech"])
def test_a_planted_fault_is_the_first_cause_and_the_only_one(name: str, request: pytest.FixtureRequest) -> None:
    bench: Bench = request.getfixturevalue(name)
    golden, seen = bench.arrays(), 0
    planted = [(signal, make, put) for part, put in parts_of(bench.model) for signal, make in faults_of(part)]
    for signal, make, put in planted[:: len(planted) // 15]:
        arrays = bench.device(put(make()))
        if np.array_equal(arrays[signal], golden[signal]):
            continue
        found = bench.against(arrays, resync=True)
        assert found.first is not None
        assert found.first.entry == signal
        assert list(own(found)) == [signal]
        assert found.mismatches > own(found)[signal]  # the rest follows from it
        seen += 1
    assert seen > 12


def test_two_independent_faults_are_both_found(speech: Bench) -> None:
    parts = {part.name: (part, place) for place, part in enumerate(speech.model.layers)}
    made = with_layer(speech.model, parts["low"][1], with_stage(parts["low"][0], "forget.preactivation", shifted))
    both: Any = parts["both"][0]
    made = with_layer(
        made, parts["both"][1], dataclasses.replace(both, backward=with_stage(both.backward, "cell_output", shifted))
    )
    found = speech.against(speech.device(made), resync=True)
    assert list(own(found)) == ["low.gate.forget.preactivation", "both.backward.cell_activation"]
    assert found.first is not None
    assert found.first.entry == "low.gate.forget.preactivation"
    second = next(entry for entry in found.entries if entry.name == "both.backward.cell_activation").first_own
    assert second is not None
    assert second.direction == "backward"
    assert second.recomputed is not None
    stage = stages(speech.model)[second.entry]
    assert stage.source is not None
    assert {each.name for each in second.operands} >= set(stage.reads)
    assert second.got != second.recomputed
    assert "from the device's own operands" in second.summary


def test_a_state_that_is_lost_is_an_own_fault_where_it_is_lost(language: Bench) -> None:
    lost = [dataclasses.replace(case, resets=()) for case in language.cases]
    arrays = {entry.name: entry.raws for entry in play(language.model, lost) if entry.role in SIGNALS}
    found = language.against(arrays, resync=True)
    first = found.first
    assert first is not None
    assert (first.case, first.case_step) == ("c3", 2)
    owned = own(found)
    assert "low.forget_product" in owned
    assert all("recurrent" in name or name.endswith("forget_product") for name in owned)
    assert not any(entry.own[:10].any() for entry in found.entries if entry.own is not None)


def test_states_alone_are_enough_to_tell_faults_apart(language: Bench) -> None:
    part, put = next((part, put) for part, put in parts_of(language.model) if part.name == "low")
    arrays = language.device(put(with_stage(part, "cell", shifted)))
    names = [f"{layer}.{state}" for layer in ("low", "high") for state in ("hidden", "cell")]
    found = language.against({name: arrays[name] for name in [*names, "output"]}, resync=True)
    assert len(failing(found)) == 5
    assert list(own(found)) == ["low.cell"]


def test_the_output_alone_stands_for_the_last_signal(tmp_path: Path) -> None:
    made = model(LANGUAGE)
    bench = Bench(tmp_path, dataclasses.replace(made, layers=made.layers[:-1]), signals=("low.*", "high.cell"))
    arrays = bench.arrays()
    assert "high.hidden" not in arrays
    part = bench.model.layers[-1]
    device = bench.device(with_layer(bench.model, 2, with_stage(part, "hidden", shifted)))
    found = bench.against({"output": device["output"], "high.cell": device["high.cell"]}, resync=True)
    assert found.first is not None
    assert found.first.entry == "output"
    assert list(own(found)) == ["output"]
    assert found.first.operands[0].name == "high.hidden"


def test_what_follows_from_words_that_cannot_be_read_is_not_judged(language: Bench) -> None:
    arrays = language.arrays()
    folder = language.dump(arrays, "hex")
    for name in ("low.cell", "low.cell_input", "low.hidden", "high.gate.forget.input_accumulator"):
        width = arrays[name].shape[1]
        path = folder / f"{name}.hex"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[: 5 * width], "x" * len(lines[0]), *lines[5 * width + 1 :]]))
    found = compare(language.set, folder, resync=True)
    assert len(failing(found)) == 4
    assert own(found) == {"low.cell": 1, "low.hidden": 1}  # what the other two read cannot be read either


def test_initial_states_that_follow_from_the_case_before_are_not_its_own_faults(language: Bench) -> None:
    part, put = next((part, put) for part, put in parts_of(language.model) if part.name == "low")
    made = put(with_stage(part, "cell", shifted))
    found = language.against(language.device(made, [*SIGNALS, "initial_state"]), resync=True)
    assert failing(found)["low.initial_state.cell"]
    assert list(own(found)) == ["low.cell"]


# Any model


@st.composite
def drawn_models(draw: st.DrawFn) -> Model:
    """One layer of any datapath, or a quantized network; with a reversal of time or none."""
    kind = draw(st.sampled_from(("linear", "lstm", "lstm", "both", "embedding", "network")))
    if kind == "network":
        quantized: Model = draw(models())
        return quantized
    layers: Any = {
        "linear": linear_layers(),
        "lstm": lstm_layers(),
        "both": bidirectional_layers(),
        "embedding": embedding_layers(),
    }[kind]
    layer = draw(layers)
    if kind == "lstm" and draw(st.booleans()):
        end = Reversal("turned", layer.output_format)
        return Model("drawn", (Reversal("reversal", layer.input_format), layer, end))
    last = kind in ("lstm", "both") and draw(st.booleans())
    return Model("drawn", (layer,), frozenset((layer.name,)) if last else frozenset())


def drawn_bench(folder: str, made: Model) -> Bench:
    """The set of a drawn model; those that cannot have one are drawn again."""
    first = first_of(made)
    assume(isinstance(first, Embedding) or width_of(first) > 0)
    try:
        return Bench(Path(folder), made, Files(()))
    except FixedsimError:
        assume(False)
        raise


@settings(max_examples=16, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(drawn_models())
def test_any_model_played_from_its_own_values_gives_them_again(made: Model) -> None:
    with TemporaryDirectory() as folder:
        bench = drawn_bench(folder, made)
        arrays = bench.arrays([*SIGNALS, "input", "initial_state"])
        found = bench.against(arrays, resync=True)
        assert found.passed
        assert own(found) == {}
        states = {name: arrays[name] for name in arrays if "hidden" in name or ".cell" in name or name == "output"}
        assert own(bench.against(states, resync=True)) == {}


@pytest.mark.parametrize("kind", ["features", "turned"])
def test_what_an_lstm_may_have_played_from_its_own_values_gives_them_again(kind: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, small_model(kind), Files(()))
    arrays = bench.arrays([*SIGNALS, "input", "initial_state"])
    found = bench.against(arrays, resync=True)
    assert found.passed
    assert own(found) == {}


RARE: dict[str, Callable[[Lstm], bool]] = {
    "folded": lambda layer: layer.datapath.folded_zero_point and layer.datapath.read_input.zero_point != 0,
    "stale": lambda layer: layer.datapath.hazard is not Hazard.NONE,
    "normalized": lambda layer: bool(layer.norm),
    "projected": lambda layer: layer.projection is not None,
}


@pytest.mark.parametrize("kind", RARE)
def test_rare_datapaths_played_from_their_own_values_give_them_again(kind: str) -> None:
    @settings(max_examples=4, suppress_health_check=list(HealthCheck))
    @given(lstm_layers().filter(RARE[kind]))
    def check(layer: Lstm) -> None:
        with TemporaryDirectory() as folder:
            bench = drawn_bench(folder, Model("drawn", (layer,)))
            assert own(bench.against(bench.arrays(), resync=True)) == {}

    check()


@settings(max_examples=16, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(drawn_models(), st.data())
def test_a_fault_in_any_layer_is_found_where_it_is(made: Model, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        bench = drawn_bench(folder, made)
        candidates = [(signal, make, put) for part, put in parts_of(made) for signal, make in faults_of(part)]
        assume(candidates)
        signal, make, put = data.draw(st.sampled_from(candidates))
        try:
            device = bench.device(put(make()))
        except FixedsimError:
            assume(False)
        golden = bench.arrays()
        assume(not np.array_equal(device[signal], golden[signal]))
        found = bench.against(device, resync=True)
        assert found.first is not None
        assert found.first.entry == signal
        assert list(own(found)) == [signal]


# What is written


def test_junit_has_a_case_for_each_entry_and_sequence(language: Bench) -> None:
    arrays = language.arrays([*SIGNALS, "bias"])
    arrays["low.cell"][6:8, 2] ^= 1
    arrays["out.bias"][1] ^= 1
    found = language.against(arrays, resync=True)
    root = ElementTree.fromstring(junit(found))
    suite = root[0]
    sequences = sum(entry.axes[0] in ("step", "sequence") for entry in language.entries())
    biases = len(language.entries(["bias"]))
    assert int(root.attrib["tests"]) == len(suite.findall("testcase")) == 4 * sequences + biases
    failures = {
        (case.attrib["classname"], case.attrib["name"]): case for case in suite if case.find("failure") is not None
    }
    assert set(failures) >= {("low.cell", "c2"), ("out.bias", "values")}
    assert int(suite.attrib["failures"]) == len(failures)
    failure = failures["low.cell", "c2"].find("failure")
    assert failure is not None
    wanted, got = language.golden.raws("low.cell")[6, 2], arrays["low.cell"][6, 2]
    assert failure.attrib["message"] == f"2 of 12 values differ; the first at step 1 unit 2 must be {wanted}, not {got}"
    text = failures["out.bias", "values"].findtext("failure")
    assert text is not None
    assert "first cause: out.bias[1]: must be" in text


def test_heat_maps_count_by_step(language: Bench, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arrays = language.arrays()
    arrays["low.cell"][6:8, 2] ^= 1
    found = language.against(arrays)
    for file, entry in (("all.png", None), ("units.svg", "low.cell")):
        plot(found, tmp_path / file, entry)
        assert (tmp_path / file).stat().st_size > 1000
    with pytest.raises(InputError, match=r"entry must be one of the dump with steps, not 'low\.cel'; did you mean"):
        plot(found, tmp_path / "x.png", "low.cel")
    alone = language.against({"low.final_state.cell": arrays["low.final_state.cell"]})
    with pytest.raises(InputError, match="entries of a heat map must have steps, but none of the dump has"):
        plot(alone, tmp_path / "x.png")


def test_neighbours_are_counted_together() -> None:
    counts, together = gathered(np.arange(10).reshape(2, 5), 1, 2)
    assert (counts.tolist(), together) == ([[3, 7], [18, 17]], 3)


def test_people_see_the_first_cause_and_the_counts(
    language: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = language.arrays()
    flipped(arrays["low.cell"], (6, 2), language.golden.form("low.cell"))
    dump, report = language.dump(arrays), tmp_path / "report.xml"
    assert not run_comparison(language.set, dump, resync=True, junit_file=report)
    shown = capsys.readouterr().out
    assert shown.startswith("FAIL: case c2 step 1, low.cell unit 2: must be ")
    for text in ("1 of the case, 6 of the set", "low.forget_product", "rounded to", "A long sequence"):
        assert text in shown
    assert ElementTree.parse(report).getroot().tag == "testsuites"
    assert run_comparison(language.set, language.set / "npy" / "output.npy", every=True)
    shown = capsys.readouterr().out
    assert shown.startswith("PASS: ")
    assert "output" in shown
    assert not run_comparison(language.set, dump, as_json=True)
    assert json.loads(capsys.readouterr().out)["mismatches"] == 1
    with pytest.raises(FileError, match=r"must end in \.xml, not '\.txt'"):
        run_comparison(language.set, dump, junit_file=tmp_path / "report.txt")
