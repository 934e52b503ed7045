"""``fixedsim import``, ``export`` and ``profile diff``: networks and models of other programs from the command line."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from fixedsim import load_network
from fixedsim.importers.kinds import KINDS
from tests.cli.conftest import Command
from tests.importers.planted import Direction, Linear, written

RECORDED = Path(__file__).parents[1] / "data" / "recorded" / "litert"
STACK = "stack_i10_h12_t6_b1"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A file of two LSTMs and a fully connected layer, inputs, and what two executors gave for them."""
    shutil.copy(RECORDED / "tflite" / f"{STACK}.tflite", tmp_path / "stack.tflite")
    with np.load(RECORDED / f"{STACK}.npz") as recorded:
        np.save(tmp_path / "x.npy", np.moveaxis(recorded["x"][:15, 0], 0, 1).astype(np.int64))
        np.savez(tmp_path / "wanted.npz", tflm=recorded["y_tflm"][:, 0], xnnpack=recorded["y_xnn"][:15, 0])
    (tmp_path / "cut.tflite").write_bytes((tmp_path / "stack.tflite").read_bytes()[:900])
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(("executor", "key"), [("tflm", "tflm"), ("litert-xnnpack", "xnnpack")])
def test_imported_run_and_compared(fixedsim: Command, stack: Path, executor: str, key: str) -> None:
    text = fixedsim("import", "stack.tflite", "--executor", executor, "-o", "stack.safetensors").output
    assert f"model stack, profile {executor}, bit-exact" in text
    assert text.splitlines()[-1] == "stack.safetensors: written"
    fixedsim("run", "stack.safetensors", "x.npy", "-o", "out.npz", "--trace", "lstm.cell")
    with np.load("out.npz") as found, np.load("wanted.npz") as wanted:
        np.testing.assert_array_equal(found["raw"], wanted[key])
        assert found["trace/lstm.cell"].shape == (6, 15, 12)
    assert f"profile {executor}" in fixedsim("inspect", "stack.safetensors", "--kernels").output


def test_json(fixedsim: Command, stack: Path) -> None:
    found = json.loads(fixedsim("import", "stack.tflite", "-o", "stack.safetensors", "--json").output)
    assert (found["output"], found["profile"], found["bytes"]) == ("stack.safetensors", "litert-reference", 1876)
    assert [(layer["name"], layer["outputs"]) for layer in found["layers"]] == [("lstm", 12), ("lstm2", 6), ("fc", 10)]


def test_profiles_are_compared(fixedsim: Command, stack: Path) -> None:
    lines = fixedsim("profile", "diff", "fixed-point", "bit-rnn").output.splitlines()
    assert lines[0].split() == ["choice", "fixed-point", "bit-rnn"]
    assert [line.split() for line in lines if line.startswith("requantize.form")] == [
        ["requantize.form", "shift", "multiplier"]
    ]
    assert fixedsim("profile", "diff", "tflm", "tflm").output == "tflm and tflm: no choice differs\n"


def test_where_a_model_parts(fixedsim: Command, stack: Path) -> None:
    """The executors' sigmoids differ: the first gate of the first layer shows it."""
    arguments = "profile", "diff", "litert", "tflm", "--model", "stack.tflite", "--inputs", "x.npy", "--json"
    found = json.loads(fixedsim(*arguments).output)
    assert {each["key"]: (each["first"], each["second"]) for each in found["choices"]}["tanh.kind"] == (
        "gemmlowp",
        "cmsis",
    )
    assert found["parting"]["step"] == 0
    assert found["parting"]["signal"].startswith("lstm.gate.")
    assert found["differing"] > 0
    fixedsim("import", "stack.tflite", "-o", "stack.safetensors")
    text = fixedsim("profile", "diff", "litert", "tflm", "--model", "stack.safetensors", "--inputs", "x.npy").output
    assert f"{found['differing']:,} of {found['compared']:,} integers differ" in text
    assert found["parting"]["signal"] in text
    network = fixedsim("profile", "diff", "fixed-point", "fixed-point", "--model", "net.safetensors", "--seed", "7")
    assert "no choice differs" in network.output
    assert "0 of " in network.output


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import absent.tflite -o m.safetensors", "absent.tflite must be a readable file, not 'no such file"),
        ("import cut.tflite -o m.safetensors", "cut.tflite: "),
        ("import x.npy -o m.safetensors", "x.npy must be recognised by one kind of file, not by none; looked for"),
        (
            "import empty -o m.safetensors",
            "empty must be recognised by one kind of file, not by none; looked for keras",
        ),
        (
            "import stack.tflite --from hls4ml -o m.safetensors",
            "stack.tflite must be of the kind hls4ml (hls4ml projects), not",
        ),
        ("import stack.tflite -o m.bin", "m.bin must end in .safetensors, not '.bin'"),
        ("import stack.tflite --executor tfml -o m.safetensors", "executor 'tfml' is unknown; did you mean 'tflm'?"),
        ("profile diff litert tfml", "profile 'tfml' is unknown; did you mean 'tflm'?"),
        ("profile diff litert absent.toml", "absent.toml must be a readable TOML file"),
        ("profile diff litert tflm --model absent.safetensors", "absent.safetensors must be a readable file"),
        ("profile diff litert tflm --model stack.tflite --inputs wanted.npz", "wanted.npz must be a .npy file of one"),
        (
            "profile diff litert tflm --model stack.tflite --inputs tokens.npy",
            "input of lstm must have shape (T, N, 10)",
        ),
    ],
)
def test_one_message_and_status_1(fixedsim: Command, stack: Path, line: str, message: str) -> None:
    before = sorted(path.name for path in stack.iterdir())
    result = fixedsim(*line.split(), status=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert sorted(path.name for path in stack.iterdir()) == before


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A file with its gates stacked in another order, two biases, and what its trainer gives for an input."""
    lstm, fc = Direction.drawn(3, 2, 0), Linear.drawn(2, 5, 1)
    path = written(tmp_path, lstm.tensors("lstm", "l0", "igfo"), fc.tensors())
    inputs = np.random.default_rng(2).normal(size=(5, 3))
    np.save(tmp_path / "x.npy", inputs)
    np.save(tmp_path / "y.npy", fc.run(lstm.run(inputs, bias="first")))
    np.save(tmp_path / "one.npy", inputs[:1])
    np.save(tmp_path / "first.npy", fc.run(lstm.run(inputs[:1])))
    np.save(tmp_path / "other.npy", np.random.default_rng(3).normal(size=(5, 5)))
    np.save(tmp_path / "batch.npy", inputs[None])
    return path


def test_a_network_and_what_was_understood(fixedsim: Command, planted: Path) -> None:
    lines = fixedsim("import", "planted.safetensors", "--gate-order", "ijfo", "-o", "n.safetensors").output.splitlines()
    assert lines[0] == "planted.safetensors: network pytorch from pytorch, 63 parameters"
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["lstm"][:3] == ["lstm", "3", "2"]
    assert rows["lstm"][-1] == "48"
    assert rows["lstm.recurrent.weight"] == ["8x2", "16"]
    assert any("gates stacked i, g, f, o; two biases, summed" in line for line in lines)
    assert lines[-1] == "n.safetensors: written"
    assert load_network("n.safetensors").description == load_network("planted.safetensors").description


def test_the_conventions_are_found_and_stated(fixedsim: Command, planted: Path) -> None:
    check = ("--check", "x.npy", "y.npy")
    text = fixedsim("import", "planted.safetensors", *check, "-o", "n.safetensors", status=1).output
    assert "the network differs from the recorded outputs by " in text
    assert "one agrees:" in text
    assert text.splitlines()[-1] == "n.safetensors: not written"
    assert not Path("n.safetensors").exists()
    command = next(line for line in text.splitlines() if line.startswith("fixedsim import"))
    assert command == ("fixedsim import planted.safetensors --convention first-bias --gate-order igfo -o n.safetensors")
    fixedsim(*shlex.split(command)[1:])
    text = fixedsim("import", "n.safetensors", *check).output
    assert "check: the network agrees with the recorded outputs by " in text
    assert text.splitlines()[-1] == "read as inputs: one sequence; outputs: step after step"


def test_the_command_keeps_what_was_given(fixedsim: Command, planted: Path) -> None:
    options = "--from pytorch --gate-order ofgi --forget-bias -0 --tolerance 1e-6 --check x.npy y.npy"
    text = fixedsim("import", "planted.safetensors", *options.split(), status=1).output
    command = next(line for line in text.splitlines() if line.startswith("fixedsim import"))
    assert command == (
        "fixedsim import planted.safetensors --from=pytorch --forget-bias=-0.0 --check x.npy y.npy --tolerance=1e-06 "
        "--convention first-bias --gate-order igfo"
    )
    assert "agrees" in fixedsim(*shlex.split(command)[1:]).output


def test_inputs_that_cannot_tell(fixedsim: Command, planted: Path) -> None:
    check = ("--check", "one.npy", "first.npy", "--gate-order", "igfo")
    text = fixedsim("import", "planted.safetensors", *check, "-o", "n.safetensors").output
    assert "these inputs can't tell it from other conventions, which agree as well:" in text
    assert "--forget-bias=1" in text
    assert Path("n.safetensors").exists()


def test_nothing_agrees(fixedsim: Command, planted: Path) -> None:
    text = fixedsim("import", "planted.safetensors", "--check", "x.npy", "other.npy", status=1).output
    assert "at most 3 changes at a time, agrees; the closest:" in text


def test_json_of_a_network(fixedsim: Command, planted: Path) -> None:
    line = ("import", "planted.safetensors", "--json", "-o", "n.safetensors")
    found = json.loads(fixedsim(*line).stdout)
    assert (found["kind"], found["gate_order"], found["parameters"]) == ("pytorch", "ifgo", 63)
    assert (found["output"], found["check"]) == ("n.safetensors", None)
    Path("n.safetensors").unlink()
    found = json.loads(fixedsim(*line, "--check", "batch.npy", "y.npy", "--batch-first", status=1).stdout)
    assert found["output"] is None
    assert found["check"]["agreeing"][0]["options"] == ["--convention", "first-bias", "--gate-order", "igfo"]
    assert found["check"]["reading"][0] == "inputs: batch first"
    assert not Path("n.safetensors").exists()


def test_exported_and_imported_again(fixedsim: Command, planted: Path) -> None:
    text = fixedsim("export", "net.safetensors", "--prefix", "model", "-o", "state.npz").output
    assert ["model.lstm.weight_ih_l0", "12x4", "float64"] in [line.split() for line in text.splitlines()]
    assert text.splitlines()[-1] == "state.npz: written"
    fixedsim("import", "state.npz", "-o", "again.safetensors")
    np.testing.assert_array_equal(
        load_network("again.safetensors").weights["lstm.bias"],
        load_network("net.safetensors").weights["lstm.bias"],
    )
    found = json.loads(fixedsim("export", "net.safetensors", "--layout", "fixedsim", "-o", "own.npz", "--json").output)
    assert found["tensors"]["decoder.weight"] == [5, 3]
    assert "from fixedsim" in fixedsim("import", "own.npz", "-o", "own.safetensors").output


def test_help_names_every_kind(fixedsim: Command) -> None:
    text = fixedsim("import", "--help").output
    assert all(name in text for name in KINDS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import absent.onnx -o m.safetensors", "absent.onnx must be a readable file, not 'no such file"),
        ("import planted.safetensors --from torch -o m.safetensors", "kind must be a known one, not 'torch'; did you"),
        ("import planted.safetensors --gate-order ifg -o m.safetensors", "gate order must be i, f, o and one of g, c"),
        ("import planted.safetensors --network no.toml -o m.safetensors", "no.toml must be a readable file"),
        (
            "import planted.safetensors --convention x -o m.safetensors",
            "convention must be one that makes a difference",
        ),
        (
            "import planted.safetensors -o planted.safetensors",
            "planted.safetensors must be another file than those that",
        ),
        ("import planted.safetensors --check x.npy y.npy -o m.npz", "m.npz must end in .safetensors, not '.npz'"),
        ("import planted.safetensors --check no.npy y.npy", "no.npy must be a readable .npy file"),
        ("import planted.safetensors --check x.npy x.npy", "inputs and outputs must be reals (T, N, 3) and (T, N, 5)"),
        ("import planted.safetensors --check x.npy y.npy --tolerance 0", "tolerance must be in (0, 1), not 0.0"),
        ("export net.safetensors -o m.pt", "m.pt must end in .safetensors or .npz, not '.pt'"),
        ("export net.safetensors -o net.safetensors", "net.safetensors must be another file than those that are read"),
        ("export char-lm-w2a2 -o m.npz", "bit_rnn must be absent for PyTorch's modules, which do not quantize; export"),
        (
            "export net.safetensors --layout fixedsim --prefix m -o m.npz",
            "prefix must be left out for the layout fixed",
        ),
    ],
)
def test_one_message_for_networks(fixedsim: Command, planted: Path, line: str, message: str) -> None:
    before = sorted(path.name for path in planted.parent.iterdir())
    result = fixedsim(*line.split(), status=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert sorted(path.name for path in planted.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import planted.safetensors", "Missing option '-o'"),
        ("import stack.tflite", "Missing option '-o'"),
        ("import planted.safetensors --tolerance 1 -o m.safetensors", "--tolerance needs --check"),
        ("import planted.safetensors --batch-first -o m.safetensors", "--batch-first needs --check"),
        (
            "import planted.safetensors --executor tflm -o m.safetensors",
            "--executor must be left out for planted.safet",
        ),
        (
            "import stack.tflite --gate-order ifgo -o m.safetensors",
            "--gate-order must be left out for stack.tflite: it",
        ),
        (
            "import stack.tflite --check x.npy y.npy",
            "--check must be left out for stack.tflite: it is an integer model",
        ),
    ],
)
def test_options_that_would_be_ignored(fixedsim: Command, planted: Path, stack: Path, line: str, message: str) -> None:
    result = fixedsim(*line.split(), status=2)
    assert result.stdout == ""
    assert message in result.stderr
