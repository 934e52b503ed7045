"""Generated benches pass devices that give the golden words, and fail all others, whatever a simulator forgives."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import InputError
from fixedsim.model import Model
from fixedsim.network import Description
from fixedsim.network.description import EmbeddingLayer, LinearLayer, LstmLayer
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.device import device_sources
from fixedsim_golden.encodings import Layout
from fixedsim_golden.manifest import read_manifest
from fixedsim_golden.mutation import Kind, mutate
from fixedsim_golden.playing import lstms
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.testbench import DeviceBench, DeviceRun, build_device, run_device, write_testbench
from fixedsim_golden.testbench.plan import plan
from fixedsim_golden.testbench.verilog import empty_body, verilog_adapter
from fixedsim_golden.writing import Files, write
from tests.golden.device import IVERILOG
from tests.golden.replay import replay_verilog, replay_vhdl, script, write_script
from tests.golden.test_device import BITS, KINDS, PROFILES, made
from tests.model.networks import model as quantized

needs_icarus = pytest.mark.skipif(IVERILOG is None, reason="needs Icarus Verilog: iverilog and vvp")
needs_ghdl = pytest.mark.skipif(shutil.which("ghdl") is None, reason="needs GHDL")
needs_cocotb = pytest.mark.skipif(importlib.util.find_spec("cocotb") is None, reason="needs cocotb, version 2")
SIZE = (4, 3)  # inputs and units
TOKENS = Description(
    "tokens", (EmbeddingLayer("words", 7, 4), LstmLayer("low", 4, 3), LstmLayer("high", 3, 2), LinearLayer("out", 2, 5))
)
LAST = Description("last", (LstmLayer("low", 4, 3, steps="last"), LinearLayer("out", 3, 2)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


def written(folder: Path, kind: str, profile: str = "fixed-point", bits: int = 8, encoding: str = "hex") -> Path:
    """The smoke set of a one-layer model, made once."""
    path = folder / f"{kind}-{profile}-{bits}-{encoding}"
    if path.exists():
        return path
    return put(Model(path.name, (made(kind, profile, (bits, bits), size=SIZE),)), path, Files((encoding,)))


def put(model: Model, path: Path, files: Files | None = None, cases: Sequence[Case] = ()) -> Path:
    """A set of the cases, or of those of a smoke set."""
    write(model, path, cases or make_cases(model, "smoke").cases, files=files or Files(("hex",)))
    return path


def words_of(path: Path, *roles: str) -> int:
    """The words of a set that have one of the roles."""
    return sum(entry.words for entry in read_manifest(path).entries if entry.role in roles)


def everything(path: Path) -> int:
    """The words that a bench with traces compares."""
    return words_of(path, "output", "signal", "final_state")


def require_failure(run: DeviceRun, message: str) -> None:
    assert not run.passed
    assert (run.status, run.words) == (1, 0)
    assert re.search(message, run.verdict), run.verdict
    assert "PASS" not in run.log


# The project's own device.

# Of all of them one in four is quick, each kind, profile and width among these.
GRID = [
    pytest.param(kind, profile, bits, marks=[pytest.mark.slow] if (KINDS.index(kind) + place) % 4 else [])
    for kind in KINDS
    for place, (profile, bits) in enumerate(product(PROFILES, BITS))
]
LANGUAGES_OF_KINDS = [
    ("linear", "systemverilog"),
    ("lstm", "verilog"),
    *(
        pytest.param(kind, language, marks=pytest.mark.slow)
        for kind, language in (
            ("linear", "verilog"),
            ("lstm", "systemverilog"),
            ("bilstm", "verilog"),
            ("bilstm", "systemverilog"),
        )
    ),
]


@needs_icarus
@pytest.mark.parametrize(("kind", "profile", "bits"), GRID)
def test_the_device_gives_every_word_of_a_set(kind: str, profile: str, bits: int, folder: Path, tmp_path: Path) -> None:
    golden = written(folder, kind, profile, bits)
    run = run_device(golden, tmp_path / "bench")
    assert run.passed, run.log
    assert run.verdict == f"PASS {everything(golden)} words compared"
    assert run.words == everything(golden)
    assert run.dump is not None
    for path in run.dump.iterdir():
        assert path.read_bytes() == (golden / "hex" / path.name).read_bytes()
    kept = [entry for entry in read_manifest(golden).entries if entry.role in ("output", "signal", "final_state")]
    assert sorted(path.name for path in run.dump.iterdir()) == sorted(f"{entry.name}.hex" for entry in kept)


@needs_icarus
@pytest.mark.parametrize(("kind", "language"), LANGUAGES_OF_KINDS)
def test_stalls_back_pressure_and_restarts_change_nothing(
    kind: str, language: str, folder: Path, tmp_path: Path
) -> None:
    golden = written(folder, kind)
    bench = build_device(golden, tmp_path / "bench", language=language, stalls=True, backpressure=True, restart=True)
    for arguments in ((), ("+seed=5", "+stall=0", "+pressure=80", "+restarts=1")):
        run = bench.run(arguments=arguments)
        assert run.passed, run.log
        assert run.words == everything(golden)


@needs_icarus
def test_sets_in_binary(folder: Path, tmp_path: Path) -> None:
    golden = written(folder, "lstm", "bit-rnn", 2, "bin")
    run = run_device(golden, tmp_path / "bench")
    assert run.passed, run.log
    assert (tmp_path / "bench" / "dump" / "l.cell.bin").read_bytes() == (golden / "bin" / "l.cell.bin").read_bytes()
    wrong = altered(golden, tmp_path / "wrong", "output.bin", lambda lines: ["2" + lines[0][1:], *lines[1:]])
    bench = DeviceBench(tmp_path / "bench", golden)
    require_failure(bench.run(wrong), r"output\.bin line 1 must be one word of 2 bits in 2 digits of bin$")


@needs_icarus
def test_a_set_without_signals_is_compared_by_its_outputs(folder: Path, tmp_path: Path) -> None:
    golden = written(folder, "lstm", "fixed-point", 4)
    write_testbench(golden, language="verilog", output=tmp_path, signals=("*.cell", "*.hidden"))
    assert built(tmp_path, own=True)() == (
        0,
        f"PASS {3 * words_of(golden, 'output') + words_of(golden, 'final_state')} words compared",
    )
    write_testbench(golden, language="verilog", output=tmp_path, signals=())
    assert built(tmp_path, own=True)() == (0, f"PASS {words_of(golden, 'output')} words compared")


FAULTS = [
    ("linear", "BIAS_MISSING", r"l\.accumulator case minimum step 0 unit 0: expected \w+, got \w+$"),
    ("lstm", "HIDDEN_NOT_RESET", r"l\.gate\.input\.recurrent_accumulator case \S+ step 0 unit 0:"),
    ("lstm", "CELL_NOT_RESET", r"l\.forget_product case maximum step 0 unit 0:"),
    ("lstm", "ACCUMULATOR_SHORT", r"accumulator case maximum step 0 unit 0: expected \w+, got \w+$"),
    ("lstm", "VALID_IGNORED", r"accumulator case \S+ step 0 unit 0: expected \w+, got x+$"),
    ("lstm", "BACKPRESSURE_IGNORED", "output word [0-9]+ must stay .* until it is taken"),
    *(
        pytest.param("bilstm", fault, r"l\.output case minimum step 0 unit [345]:", marks=pytest.mark.slow)
        for fault in ("OUTPUT_UNREVERSED", "BACKWARD_UNREVERSED")
    ),
]


@needs_icarus
@pytest.mark.parametrize(("kind", "fault", "message"), FAULTS)
def test_a_faulty_device_is_rejected(kind: str, fault: str, message: str, folder: Path, tmp_path: Path) -> None:
    golden = written(folder, kind)
    bench = build_device(golden, tmp_path, stalls=True, backpressure=True, defines=[f"FAULT_{fault}"])
    require_failure(bench.run(), message)
    dumped = bench.run(dump=tmp_path / "dump")
    require_failure(dumped, message)
    assert (tmp_path / "dump" / "output.hex").is_file()


@needs_icarus
def test_other_models_are_refused(folder: Path, tmp_path: Path) -> None:
    golden = tokens(folder)
    with pytest.raises(InputError, match=r"must be one layer that the device has, not another$"):
        build_device(golden, tmp_path / "bench")
    with pytest.raises(InputError, match=r"^language of the device must be one of verilog, systemverilog, not 'vhdl'$"):
        build_device(golden, tmp_path / "bench", language="vhdl")


# Altered sets.


@pytest.fixture(scope="module")
def benches(folder: Path) -> Callable[[str], DeviceBench]:
    return cache(lambda kind: build_device(written(folder, kind), folder / f"bench-{kind}"))


ALTERED = [
    pytest.param(kind, count, seed, marks=[pytest.mark.slow] if seed or kind == "bilstm" else [])
    for kind in KINDS
    for count, seed in ((11, 0), (44, 1), (44, 2))
]


@needs_icarus
@pytest.mark.parametrize(("kind", "count", "seed"), ALTERED)
def test_every_mutation_is_rejected(
    kind: str, count: int, seed: int, benches: Callable[[str], DeviceBench], tmp_path: Path
) -> None:
    bench = benches(kind)
    mutations = mutate(bench.golden, tmp_path / "mutations", seed=seed, count=count)
    wanted = set(Kind) - ({Kind.FINAL} if kind == "linear" else set())
    assert {mutation.kind for mutation in mutations} == wanted
    for mutation in mutations:
        require_failure(bench.run(tmp_path / "mutations" / mutation.folder), re.escape(mutation.entry))


def altered(golden: Path, copy: Path, name: str, edit: Callable[[list[str]], list[str]]) -> Path:
    """A copy of a set with the lines of one file edited."""
    shutil.copytree(golden, copy)
    path = next(copy.rglob(name))
    path.write_text("".join(f"{line}\n" for line in edit(path.read_text().splitlines())))
    return copy


EDITS: dict[str, Callable[[list[str]], list[str]]] = {
    "must (hold|be)": lambda lines: [*lines, ""],
    "must hold [0-9]+ words, not 0": lambda lines: [],
    "must hold [0-9]+ words, not [0-9]+": lambda lines: lines[1:],
    "must hold [0-9]+ words, not [1-9][0-9]+": lambda lines: [*lines, "0"],
    "line 1 must be one word of 1 bits in 1 digits of hex": lambda lines: ["2", *lines[1:]],
    "line 2 must be one word of 1 bits in 1 digits of hex": lambda lines: [lines[0], "00", *lines[2:]],
    "line 3 must be": lambda lines: [*lines[:2], "x", *lines[3:]],
    "line 4 must be": lambda lines: [*lines[:3], "Z", *lines[4:]],
    "line 5 must be": lambda lines: [*lines[:4], "-1", *lines[5:]],
    "line 6 must be": lambda lines: [*lines[:5], "@0", *lines[5:]],
    "line 7 must be": lambda lines: [*lines[:6], "1 // one", *lines[7:]],
    "line 8 must be": lambda lines: [*lines[:7], "", *lines[8:]],
    "line 9 must be": lambda lines: [*lines[:8], "1" * 9000, *lines[9:]],
    "line 10 must be": lambda lines: [*lines[:9], "1\r", *lines[10:]],
}


@needs_icarus
def test_what_simulators_forgive_in_files_is_rejected(folder: Path, tmp_path: Path) -> None:
    golden = written(folder, "lstm", "fixed-point", 1)
    bench = build_device(golden, tmp_path / "bench")
    for place, (message, edit) in enumerate(EDITS.items()):
        require_failure(bench.run(altered(golden, tmp_path / str(place), "input.hex", edit)), f"input.hex.*{message}")
    require_failure(bench.run(tmp_path / "nothing"), r"nothing/hex/control\.hex must be a readable file$")
    wrong = altered(golden, tmp_path / "control", "control.hex", lambda lines: [lines[1], *lines[1:]])
    require_failure(bench.run(wrong), "^FAIL control must end case minimum with its step 1, not otherwise at step 0$")


@needs_icarus
def test_inputs_and_states_are_those_of_the_set(folder: Path, tmp_path: Path) -> None:
    """Other inputs, other states, and no reset where there must be one, give other outputs."""
    golden = written(folder, "lstm")
    bench = build_device(golden, tmp_path / "bench")
    edits: dict[str, Callable[[list[str]], list[str]]] = {
        "input.hex": lambda lines: [f"{int(lines[0], 16) ^ 64:02x}", *lines[1:]],
        "l.initial_state.hidden.hex": lambda lines: [f"{int(line, 16) ^ 64:02x}" for line in lines],
        "l.initial_state.cell.hex": lambda lines: [f"{int(line, 16) ^ 4096:04x}" for line in lines],
        "control.hex": lambda lines: [f"{int(line, 16) & 6:x}" for line in lines],
    }
    for name, edit in edits.items():
        require_failure(bench.run(altered(golden, tmp_path / name, name, edit)), "expected")


# Devices of others, by a replay of the set.


def built(folder: Path, *, own: bool = False) -> Callable[..., tuple[int, str]]:
    """Build a Verilog bench; what is returned runs it."""
    sources = sorted(map(str, Path(folder).glob("*.*v"))) + sorted(map(str, Path(folder).glob("*.v")))
    if own:
        sources += map(str, device_sources())
    command = ["iverilog", "-g2012", "-Wall", "-Wno-timescale", "-s", "bench", "-o", "bench.vvp", *sorted(set(sources))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return lambda *options: ran(["vvp", "-n", "bench.vvp", *options], folder)


def ran(command: list[str], folder: Path) -> tuple[int, str]:
    """The exit status and the verdict of a bench, of which there must be exactly one."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    (verdict,) = re.findall(r"^(?:PASS|FAIL).*", done.stdout, re.MULTILINE)
    return done.returncode, verdict


def tokens(folder: Path) -> Path:
    """The set of a model of several layers that reads tokens, made once."""
    path, model = folder / "tokens", quantized(TOKENS)
    ends = {
        name: (np.full(part.units, part.state_format.raw_max), np.full(part.units, part.datapath.read_cell.raw_min))
        for name, part in lstms(model).items()
    }
    cases = [
        Case("spread", ("tokens",), np.arange(7)),
        Case("continued", ("continued",), np.array([6, 0]), Start.CONTINUED),
        Case("reset", ("reset",), np.array([1, 5, 2, 4]), resets=(2, 3)),
        Case("injected", ("injected",), np.array([3, 3]), Start.INJECTED, ends),
    ]
    return path if path.exists() else put(model, path, cases=cases)


def replays(kind: str, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """A set, made once, and the signals to compare."""
    path = folder / kind
    if kind == "tokens":
        return tokens(folder), ("*",)
    if kind in KINDS:
        return written(folder, kind, "bit-rnn", 1), ("*",)
    if kind == "last":
        return path if path.exists() else put(quantized(LAST, ranges={"*": (-1.0, 1.0)}), path), ("*",)
    model = Model("packed", (made("lstm", bits=(4, 4), size=(6, 4)),))
    return path if path.exists() else put(model, path, Files(("hex",), signals=Layout(lanes=2, align=4))), ()


REPLAYS = ("linear", "lstm", "bilstm", "tokens", "last", "packed")


def compared(golden: Path, signals: tuple[str, ...]) -> int:
    """The words that a bench compares; where only a last step is handed on the final state is a signal all the same."""
    return everything(golden) if signals else words_of(golden, "output")


def some_slow(*quick: tuple[str, str]) -> list[Any]:
    """All kinds in both languages, of which some are quick."""
    pairs = product(REPLAYS, ("verilog", "systemverilog"))
    return [pytest.param(*pair, marks=[] if pair in quick else [pytest.mark.slow]) for pair in pairs]


@needs_icarus
@pytest.mark.parametrize(
    ("kind", "language"), some_slow(("linear", "systemverilog"), ("tokens", "verilog"), ("packed", "verilog"))
)
def test_a_replay_of_any_set_passes(kind: str, language: str, folder: Path, tmp_path: Path) -> None:
    golden, signals = replays(kind, folder)
    bench = tmp_path / "bench"
    write_testbench(golden, language=language, output=bench, signals=signals)
    lines = script(GoldenSet.open(golden), traces=bool(signals))
    if kind in KINDS:  # whose adapters are complete
        (bench / "device_adapter.v").write_text(template(golden))
    replay_verilog(bench, len(lines))
    run = built(bench)
    write_script(bench, lines)
    passed = (0, f"PASS {compared(golden, signals)} words compared")
    assert run() == passed
    assert run("+stall=30", "+pressure=60", "+restarts=4") == passed
    for edit in wrong_scripts(lines):
        write_script(bench, lines, edit)
        status, verdict = run("+patience=300", "+pressure=20")
        assert status == 1
        assert verdict.startswith("FAIL ")


def template(golden: Path) -> str:
    """The adapter for a device of another."""
    found = plan(GoldenSet.open(golden))
    return verilog_adapter(found, empty_body(found))


def wrong_scripts(lines: list[tuple[int, int, int, int]]) -> list[Callable[[list[str]], list[str]]]:
    """Devices that give one wrong word, an unknown digit, a word too many or too few, or stop."""
    kinds = [kind for kind, *_ in lines]
    place = len(kinds) - 1 - kinds[::-1].index(3)
    found: list[Callable[[list[str]], list[str]]] = [
        lambda texts: [*texts[:place], texts[place][:-1] + f"{int(texts[place][-1], 16) ^ 1:x}", *texts[place + 1 :]],
        lambda texts: [*texts[:place], texts[place][:-1] + "x", *texts[place + 1 :]],
        lambda texts: [*texts[: place + 1], *texts[place:]],
        lambda texts: [*texts[:place], *texts[place + 1 :]],
        lambda texts: texts[: place // 2],
    ]
    if 2 in kinds:
        at = kinds.index(2)
        found += [
            lambda texts: [*texts[:at], texts[at][:9] + "7" + texts[at][10:], *texts[at + 1 :]],  # no raw of it
            lambda texts: [*texts[:at], texts[at][:9] + "x" * 16, *texts[at + 1 :]],
            lambda texts: [*texts[:at], texts[at][:1] + "ffff" + texts[at][5:], *texts[at + 1 :]],  # no signal
            lambda texts: [*texts[:at], texts[at][:5] + "0001" + texts[at][9:], *texts[at + 1 :]],  # another unit
            lambda texts: [*texts[: at + 1], *texts[at:]],
        ]
    return found


@needs_icarus
def test_a_device_that_never_answers_is_given_up(folder: Path, tmp_path: Path) -> None:
    golden = tokens(folder)
    write_testbench(golden, language="verilog", output=tmp_path / "bench")
    status, verdict = built(tmp_path / "bench")("+patience=100")
    assert status == 1
    assert re.match(
        r"FAIL device must go on within 100 clocks, not stand still after 0 of \d+ outputs, 0 of 0", verdict
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("verilator") is None, reason="needs Verilator 5")
@pytest.mark.parametrize("kind", KINDS)
def test_the_device_in_verilator(kind: str, folder: Path, tmp_path: Path) -> None:
    golden = written(folder, kind)
    write_testbench(golden, language="systemverilog", output=tmp_path)
    sources = ["bench.sv", "device_adapter.v", *map(str, device_sources())]
    command = ["verilator", "--binary", "--timing", "-Wno-fatal", "-Wno-WIDTH", "--top-module", "bench", *sources]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    passed = (0, f"PASS {everything(golden)} words compared")
    for options in ((), ("+stall=40", "+pressure=40", "+restarts=2")):
        assert ran(["obj_dir/Vbench", f"+golden={golden}", *options], tmp_path) == passed
    for mutation in mutate(golden, tmp_path / "mutations", count=22):
        altered_set = tmp_path / "mutations" / mutation.folder
        status, verdict = ran(["obj_dir/Vbench", f"+golden={altered_set}"], tmp_path)
        assert status != 0
        assert verdict.startswith("FAIL ")
        assert mutation.entry in verdict


def ghdl(folder: Path) -> Callable[..., tuple[int, str]]:
    """Analyse and elaborate a VHDL bench; what is returned runs it."""
    for command in (["-a", "--std=08", "device_adapter.vhd", "bench.vhd"], ["-e", "--std=08", "bench"]):
        done = subprocess.run(["ghdl", *command], cwd=folder, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    command = ["ghdl", "-r", "--std=08", "bench", "--max-stack-alloc=0"]  # for the replay reads its script into a stack
    return lambda *options: ran([*command, *options], folder)


@needs_ghdl
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=[pytest.mark.slow] if kind in ("linear", "lstm", "last") else []) for kind in REPLAYS],
)
def test_a_replay_in_vhdl(kind: str, folder: Path, tmp_path: Path) -> None:
    golden, signals = replays(kind, folder)
    bench = tmp_path / "bench"
    write_testbench(golden, language="vhdl", output=bench, signals=signals)
    ghdl(bench)
    status, verdict = ran(["ghdl", "-r", "--std=08", "bench", "-gPATIENCE=50"], bench)
    assert status == 1
    assert verdict.startswith("FAIL device must go on within 50 clocks")
    lines = script(GoldenSet.open(golden), traces=bool(signals))
    write_script(bench, lines)
    replay_vhdl(bench)
    run = ghdl(bench)
    passed = (0, f"PASS {compared(golden, signals)} words compared")
    (bench / "dump").mkdir()
    assert run("-gDUMP=dump") == passed
    for path in (bench / "dump").iterdir():
        assert path.read_bytes() == (golden / "hex" / path.name).read_bytes()
    assert run("-gSTALL=30", "-gPRESSURE=60", "-gRESTARTS=4") == passed
    for edit in wrong_scripts(lines):
        write_script(bench, lines, edit)
        status, verdict = run("-gPATIENCE=300", "-gPRESSURE=20")
        assert status == 1
        assert verdict.startswith("FAIL ")


@needs_ghdl
def test_mutations_and_files_in_vhdl(folder: Path, tmp_path: Path) -> None:
    golden = written(folder, "lstm", "fixed-point", 1)
    bench = tmp_path / "bench"
    write_testbench(golden, language="vhdl", output=bench, signals=("*",))
    write_script(bench, script(GoldenSet.open(golden)))
    replay_vhdl(bench)
    run = ghdl(bench)
    for mutation in mutate(golden, tmp_path / "mutations", count=11):
        status, verdict = run(f"-gGOLDEN={tmp_path / 'mutations' / mutation.folder}")
        assert status == 1
        assert verdict.startswith("FAIL ")
        assert mutation.entry in verdict
    edits = {message: edit for message, edit in EDITS.items() if edit(["1"] * 20)[-11:-10] != ["1\r"]}
    assert len(edits) == len(EDITS) - 1  # GHDL ends lines at CR LF, too
    for place, (message, edit) in enumerate(edits.items()):
        status, verdict = run(f"-gGOLDEN={altered(golden, tmp_path / str(place), 'input.hex', edit)}")
        assert status == 1
        assert re.search(f"input.hex.*{message}", verdict), verdict


COCOTB = """\
import os, sys
from pathlib import Path
from cocotb_tools.runner import get_results, get_runner
here, sources = Path.cwd(), sys.argv[1:]
runner = get_runner("icarus")
build = {"hdl_toplevel": "device_adapter", "build_dir": here / "build"}
runner.build(sources=sources, always=True, timescale=("1ns", "1ps"), **build)
results = runner.test(test_module="bench", test_dir=here, **build)
sys.exit(get_results(results)[1])
"""


def cocotb_run(folder: Path, sources: list[Path], **settings: str) -> tuple[int, str]:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path} | {f"BENCH_{name}": text for name, text in settings.items()}
    command = [sys.executable, "-c", COCOTB, *map(str, sources)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    (verdict,) = re.findall(r"^(?:PASS|FAIL).*", done.stdout, re.MULTILINE)
    return done.returncode, verdict


@needs_icarus
@needs_cocotb
@pytest.mark.parametrize(
    "kind", ["linear", pytest.param("lstm", marks=pytest.mark.slow), pytest.param("bilstm", marks=pytest.mark.slow)]
)
def test_the_device_under_cocotb(kind: str, folder: Path, tmp_path: Path) -> None:
    golden = written(folder, kind, "fixed-point", 1)
    write_testbench(golden, language="cocotb", output=tmp_path)
    sources = [tmp_path / "device_adapter.v", *device_sources()]
    passed = (0, f"PASS {everything(golden)} words compared")
    (tmp_path / "dump").mkdir()
    assert cocotb_run(tmp_path, sources, DUMP="dump") == passed
    for path in (tmp_path / "dump").iterdir():
        assert path.read_bytes() == (golden / "hex" / path.name).read_bytes()
    assert cocotb_run(tmp_path, sources, STALL="30", PRESSURE="60", RESTARTS="2") == passed
    for mutation in mutate(golden, tmp_path / "mutations", count=11):
        status, verdict = cocotb_run(tmp_path, sources, GOLDEN=f"mutations/{mutation.folder}")
        assert status == 1
        assert verdict.startswith("FAIL ")
        assert mutation.entry in verdict


# What is refused.


def test_refusals(folder: Path, tmp_path: Path) -> None:
    golden = written(folder, "linear")
    with pytest.raises(
        InputError, match=r"^language must be one of verilog, systemverilog, vhdl, cocotb, not 'chisel'"
    ):
        write_testbench(golden, language="chisel", output=tmp_path)
    with pytest.raises(InputError, match=r"^signal pattern must match a name, not 'm.sum'"):
        write_testbench(golden, language="verilog", output=tmp_path, signals=("m.sum",))
    model = Model("m", (made("linear", bits=(4, 4)),))
    without = put(model, tmp_path / "without", Files(("coe",)))
    with pytest.raises(InputError, match=r"must hold hex or bin for a bench, not only npy, coe$"):
        write_testbench(without, language="verilog", output=tmp_path)
    across = put(model, tmp_path / "across", Files(("hex",), signals=Layout(lanes=2)))
    with pytest.raises(InputError, match=r"step after the other for a bench, not 2 values a word across steps$"):
        write_testbench(across, language="verilog", output=tmp_path)
    packed = put(model, tmp_path / "packed", Files(("hex",), signals=Layout(lanes=2, pad_rows=True)))
    with pytest.raises(InputError, match=r"^words of l\.accumulator must hold one code each to be compared, not 2"):
        write_testbench(packed, language="verilog", output=tmp_path, signals=("*",))


def test_names_that_would_end_a_string_are_refused(folder: Path, tmp_path: Path) -> None:
    layer = made("linear", bits=(4, 4))
    cases = [Case('a"); $finish; //', ("user",), np.zeros((1, 5), np.int64))]
    golden = put(Model("end\n`endif", (layer,)), tmp_path / "set", cases=cases)
    with pytest.raises(InputError, match=r"^name in a bench must be of letters, digits and _ \. @ -, not 'a\"\);"):
        write_testbench(golden, language="verilog", output=tmp_path / "bench")
    named = put(Model('end\n"""', (layer,)), tmp_path / "named", cases=[Case("a", ("user",), cases[0].inputs)])
    for language in ("verilog", "systemverilog", "vhdl", "cocotb"):
        bench, *_ = write_testbench(named, language=language, output=tmp_path / language)
        assert "Model end____, 1 sequences, digest" in bench.read_text()
    quoted = shutil.copytree(named, tmp_path / 'a"b')
    with pytest.raises(InputError, match=r"^path of a golden set must be of plain characters for a bench, not "):
        write_testbench(quoted, language="verilog", output=tmp_path / "bench")


def test_files_of_a_bench(folder: Path, tmp_path: Path) -> None:
    golden = written(folder, "linear")
    found = write_testbench(golden, language="verilog", output=tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names[:2] == ["bench.v", "device_adapter.v"]
    assert "memories/weight.hex" in names
    assert [path.name for path in write_testbench(golden, language="vhdl", output=tmp_path)] == [
        "bench.vhd",
        "device_adapter.vhd",
    ]


def test_a_template_that_is_there_is_kept(folder: Path, tmp_path: Path) -> None:
    golden = tokens(folder)
    assert len(write_testbench(golden, language="verilog", output=tmp_path / "bench")) == 2
    (tmp_path / "bench" / "device_adapter.v").write_text("mine")
    assert len(write_testbench(golden, language="verilog", output=tmp_path / "bench")) == 1
    assert (tmp_path / "bench" / "device_adapter.v").read_text() == "mine"
