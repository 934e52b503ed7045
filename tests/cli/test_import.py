"""``fixedsim import`` and ``fixedsim profile diff``: models of other programs from the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command

RECORDED = Path(__file__).parents[1] / "data" / "recorded" / "litert"
STACK = "stack_i10_h12_t6_b1"


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A file of two LSTMs and a fully connected layer, inputs, and what two executors gave for them."""
    shutil.copy(RECORDED / "tflite" / f"{STACK}.tflite", tmp_path / "stack.tflite")
    recorded = np.load(RECORDED / f"{STACK}.npz")
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
    found = np.load("out.npz")
    np.testing.assert_array_equal(found["raw"], np.load("wanted.npz")[key])
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
        ("import x.npy -o m.safetensors", "x.npy must be a .tflite file or the folder of an hls4ml project"),
        ("import empty -o m.safetensors", "empty"),
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
