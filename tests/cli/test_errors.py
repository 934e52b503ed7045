"""What is wrong gives one message, status 1 or 2, and no traceback."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fixedsim.network import Network
from fixedsim_cli.data_files import write_arrays
from fixedsim_cli.main import main
from tests.cli.conftest import Command, tiny_network

WIDEN = "widen net.safetensors -o wide.safetensors --widen "
QUANTIZE = "quantize net.safetensors -o model.safetensors "
RUN = "run model.safetensors tokens.npy -o out.npz "
EVALUATE = "evaluate model.safetensors --vocab vocab.json "

WRONG_CHOICES = [
    (QUANTIZE + "--weight-bits 17", "weight_bits must be in 1..16, not 17"),
    (QUANTIZE + "--activation-bits 0", "activation_bits must be in 1..16, not 0"),
    (QUANTIZE + "--bits lstm.*.weight=33", "bits of lstm.input.weight must be in 1..16, not 33"),
    (
        QUANTIZE + "--bits lstn.hidden=4",
        "bits pattern must match a name, not 'lstn.hidden'; did you mean 'lstm.hidden'?",
    ),
    (QUANTIZE + "--range lstm.hidden=2:1", "range must be finite and ascending, not 2.0:1.0"),
    (QUANTIZE + "--range nothing=-1:1", "range pattern must match a name, not 'nothing'"),
    (QUANTIZE + "--percentile 20", "percentile must be in (50, 100], not 20.0"),
    (QUANTIZE + "--keep-float lstn", "keep-float pattern must match a name, not 'lstn'; did you mean 'lstm'?"),
    (QUANTIZE + "--profile fixed-piont", "profile 'fixed-piont' is unknown; did you mean 'fixed-point'?"),
    (QUANTIZE + "--profile absent.toml", "absent.toml must be a readable TOML file"),
    (QUANTIZE + "--calibrate text.txt", "calibration inputs must be a .npy file, not text.txt; give --vocab"),
    (QUANTIZE + "--calibrate out.csv --vocab vocab.json", "out.csv must be a readable file"),
    ("quantize ptb-ml -o m.safetensors", "a known name, not 'ptb-ml'; did you mean 'ptb-lm'?"),
    ("quantize ptb-lm -o m.safetensors", "weights must be given for the description ptb-lm, not missing"),
    ("quantize absent.safetensors -o m.safetensors", "absent.safetensors must be a readable file, not 'no such file"),
    ("quantize nan.safetensors -o m.safetensors", "tensor 'decoder.weight' must be finite, not nan at [1, 2]"),
    ("quantize half.safetensors -o m.safetensors", "half.safetensors: "),
    ("profile show fixed", "profile 'fixed' is unknown; did you mean 'fixed-point'?"),
    ("profile copy fixed-point net.toml", "net.toml must be a new file, not one that exists; --force replaces it"),
    (
        "inspect fixed-piont",
        "fixed-piont must be a file or the name of a network or a profile, not unknown; did you mean 'fixed-point'?",
    ),
    ("inspect tokens.npy", "tokens.npy must be recognised by one kind of file, not by none; looked for fixedsim"),
]

WRONG_OUTPUTS = [
    ("quantize net.safetensors -o model.bin", "model.bin must end in .safetensors, not '.bin'"),
    ("quantize net.safetensors -o net.safetensors", "net.safetensors must be another file than those that are read"),
    ("quantize net.safetensors -o no/m.safetensors", "no/m.safetensors must be in a folder that exists, not in no"),
    ("quantize net.safetensors -o dir.safetensors", "dir.safetensors must be a file to write, not a folder"),
    ("run model.safetensors tokens.npy -o out.npy", "out.npy must end in .npz, not '.npy'"),
    (RUN + "--save-state out.npz", "out.npz must be another file than those that are read, not the same"),
    ("profile copy fixed-point mine", "mine must end in .toml, not ''"),
]

WRONG_DATA = [
    ("memory ptb-lm --plot a.pdf", "a.pdf must end in .png or .svg, not '.pdf'"),
    ("memory ptb-lm --steps 0", "steps must be at least 1, not 0"),
    ("memory ptb-lm --weight-bits 17", "weight_bits must be in 1..16, not 17"),
    ("memory ptb-lm --memory ram", "memory 'ram' is unknown; did you mean 'uram'?"),
    ("memory model.safetensors --weight-bits 4", "must be left out for a model: it has its own"),
    ("memory ptb-lm --lanes 0", "lanes must be"),
    (WIDEN + "lstn=2", "widen pattern must match a name, not 'lstn'; did you mean 'lstm'?"),
    (WIDEN + "lstm=0.5", "factor of 'lstm' must be at least 1 and finite, not 0.5"),
    (WIDEN + "decoder=2", "widen pattern must name a layer before the last, not 'decoder'"),
    ("widen net.safetensors --widen lstm=2 -o wide.npz", "wide.npz must end in .safetensors, not '.npz'"),
    ("run absent.safetensors tokens.npy -o out.npz", "absent.safetensors must be a readable file"),
    ("run net.safetensors tokens.npy -o out.npz", "net.safetensors must be a model"),
    ("run cut.safetensors tokens.npy -o out.npz", "cut.safetensors: "),
    ("run model.safetensors absent.npy -o out.npz", "absent.npy must be a readable .npy file, not 'no such file or"),
    ("run model.safetensors text.txt -o out.npz", "text.txt must be a .npy file of numbers"),
    ("run model.safetensors pickled.npy -o out.npz", "pickled.npy must be a .npy file of numbers"),
    ("run model.safetensors words.npy -o out.npz", "words.npy must be a .npy file of numbers, not <U3"),
    ("run model.safetensors short.npy -o out.npz", "short.npy must be a .npy file of numbers"),
    ("run model.safetensors state.npz -o out.npz", "state.npz must be a .npy file of one array, not an archive"),
    ("run model.safetensors reals.npy -o out.npz", "tokens must be integers, not float64"),
    ("run model.safetensors outside.npy -o out.npz", "token must be in 0..4 (the vocabulary of embedding), not 5"),
    (RUN + "--trace lstm.cel", "trace pattern must match a name, not 'lstm.cel'; did you mean 'lstm.cell'?"),
    (RUN + "--threads 0", "threads must be at least 1, not 0"),
    (RUN + "--state state.npz", "state.npz: state must be <name>.h and <name>.c for each LSTM, not 'lstm.c' missing"),
    (RUN + "--state other.npz", "state 'lstn' must name an LSTM of the model; did you mean 'lstm'?"),
    (RUN + "--lengths tokens.npy", "lengths must be 2 integers, not int64(6, 2)"),
    (RUN + "--reset tokens.npy", "reset must be booleans of shape (6, 2), not int64(6, 2)"),
    (EVALUATE + "--text absent.txt", "absent.txt must be a readable file"),
    (EVALUATE + "--text outside.txt", "outside.txt: line 1: character must be in the vocabulary, not 'z'"),
    (EVALUATE + "--text outside.txt --unknown q", "unknown must be in the vocabulary, not 'q'"),
    ("evaluate model.safetensors --text text.txt --vocab text.txt", "end of a line must be in the vocabulary"),
]

WRONG_PLANS = [
    ("plan model.safetensors", "model.safetensors must be a network or its description, not a model"),
    ("plan ptb-lm --weight-bits 8,17", "weight_bits must be in 1..16, not 17"),
    ("plan ptb-lm --layers lstn", "widen pattern must match a name, not 'lstn'; did you mean 'lstm'?"),
    ("plan ptb-lm --count fc1", "tensor pattern must match a name, not 'fc1'"),
    ("plan ptb-lm --budget 9", "bytes for ptb-lm with all weights at 1 bits, not 9"),
    ("plan ptb-lm --plot a.pdf", "a.pdf must end in .png or .svg, not '.pdf'"),
    ("plan nothing", "network must be a .safetensors, .npz, .pt,"),
    ("plan ptb-lm --text text.txt --vocab vocab.json", "ptb-lm"),
]

WRONG_USAGE = [
    ("memory ptb-lm --plot a.png --weight-bits 2,4", "--plot needs one configuration, not several"),
    ("memory ptb-lm --steps 9 --ecc", "--ecc must be left out with --steps: it is of storage, not of activations"),
    ("memory ptb-lm --steps 9 --memory uram", "--memory must be left out with --steps"),
    ("memory ptb-lm --batch 2", "--batch needs --steps: it is of the memory of activations"),
    ("plan ptb-lm --vocab vocab.json", "--vocab needs --text"),
    ("plan ptb-lm --weights net.safetensors", "--weights needs --text"),
    ("plan ptb-lm --max-perplexity 9", "--max-perplexity needs --text to evaluate"),
    ("plan ptb-lm --text text.txt", "--text needs --vocab: it turns the text into tokens"),
    ("plan ptb-lm --csv --markdown", "--json, --csv and --markdown must be given one at a time"),
    ("plan ptb-lm --by nibbles", "'nibbles' is not one of 'exact', 'law', 'blocks'"),
    ("memory ptb-lm --weight-bits few", "must be 1 to 1000 whole numbers such as 4, '1,2,4' or '1..8', not 'few'"),
    ("memory ptb-lm --weight-bits 1..99999999999", "must be 1 to 1000 whole numbers"),
    (
        "memory ptb-lm --weight-bits 1..16 --activation-bits 1..1000",
        "lists must give at most 10000 configurations, not 16000",
    ),
    ("memory ptb-lm --widen lstm=1,x", "must be PATTERN=FACTOR such as 'fc1=1.25', or 'fc1=1,1.5', not 'lstm=1,x'"),
    ("memory ptb-lm --csv --json", "--json, --csv and --markdown must be given one at a time"),
    ("widen net.safetensors -o wide.safetensors", "Missing option '--widen'"),
    (WIDEN + "lstm", "must be PATTERN=FACTOR such as 'fc1=1.25', not 'lstm'"),
    (WIDEN + "lstm=2 --widen lstm=3", "must have one value for 'lstm', not both 2.0 and 3.0"),
    ("quantise", "No such command 'quantise'"),
    (QUANTIZE + "--bits lstm.hidden", "must be PATTERN=N such as 'lstm.*.weight=4', not 'lstm.hidden'"),
    (QUANTIZE + "--bits lstm.hidden=four", "must be PATTERN=N such as 'lstm.*.weight=4', not 'lstm.hidden=four'"),
    (QUANTIZE + "--bits =4", "must be PATTERN=N such as 'lstm.*.weight=4', not '=4'"),
    (QUANTIZE + "--range input=4", "must be PATTERN=LOW:HIGH such as 'input=-4:4', not 'input=4'"),
    (QUANTIZE + "--range input=a:b", "must be PATTERN=LOW:HIGH such as 'input=-4:4', not 'input=a:b'"),
    (QUANTIZE + "--range-method median", "'median' is not one of 'min_max', 'percentile', 'least_squares'"),
    (QUANTIZE + "--vocab vocab.json", "--vocab needs --calibrate"),
    ("quantize net.safetensors", "Missing option '-o'"),
    (RUN + "--engine fast", "'fast' is not one of 'kernels', 'spec'"),
    (EVALUATE + "--text text.txt --tokens 1", "1 is not in the range x>=2"),
    ("selftest --effort 0", "0 is not in the range x>=1"),
]


@pytest.fixture
def folder(fixedsim: Command, tmp_path: Path) -> Path:
    """Add a model and files that are wrong in one way each."""
    fixedsim("quantize", "net.safetensors", "-o", "model.safetensors")
    model = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(model[: len(model) // 2])
    network = (tmp_path / "net.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(network[: len(network) // 2])
    (tmp_path / "nan.safetensors").write_bytes(with_nan(tmp_path / "scratch.safetensors"))
    tokens = (tmp_path / "tokens.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(tokens[:-8])
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "words.npy", np.array(["abc"]))
    np.save(tmp_path / "reals.npy", np.zeros((3, 2)))
    np.save(tmp_path / "outside.npy", np.array([0, 5]))
    raws = np.zeros((2, 3), np.int64)
    write_arrays(tmp_path / "state.npz", {"lstm.h": raws})
    write_arrays(tmp_path / "other.npz", {"lstn.h": raws, "lstn.c": raws})
    (tmp_path / "outside.txt").write_text("abz")
    (tmp_path / "net.toml").write_text("")
    (tmp_path / "dir.safetensors").mkdir()
    return tmp_path


def with_nan(scratch: Path) -> bytes:
    """The bytes of the tiny network's file with NaN in the place of one weight."""
    network = tiny_network()
    weights = {name: np.array(values) for name, values in network.weights.items()}
    weights["decoder.weight"][1, 2] = 0.123456789
    Network(network.description, weights).save(scratch)
    mark, nan = np.array([0.123456789]).tobytes(), np.array([np.nan]).tobytes()
    content = scratch.read_bytes()
    assert content.count(mark) == 1
    return content.replace(mark, nan)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("line", "message"), [*WRONG_CHOICES, *WRONG_OUTPUTS, *WRONG_DATA, *WRONG_PLANS])
def test_one_message_and_status_1(fixedsim: Command, line: str, message: str) -> None:
    before = sorted(os.listdir())
    result = fixedsim(*line.split(), status=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert result.stderr.count("Error:") == 1
    assert sorted(os.listdir()) == before  # nothing is left half-written


@pytest.mark.parametrize(("line", "message"), WRONG_USAGE)
def test_wrong_usage_has_status_2(fixedsim: Command, line: str, message: str) -> None:
    result = fixedsim(*line.split(), status=2)
    assert result.stdout == ""
    assert message in result.stderr


def test_a_full_disk_is_one_message_and_leaves_no_file(fixedsim: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(os.listdir())
    result = fixedsim("quantize", "net.safetensors", "-o", "model.safetensors", status=1)
    assert result.stderr == "Error: model.safetensors must be a writable file, not 'no space left on device'\n"
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "Aborted!"),
        (MemoryError(), "Error: memory must hold all inputs and results"),
        (PermissionError(errno.EACCES, "Permission denied", "net.toml"), "Error: net.toml must be usable, not 'perm"),
        (OSError(errno.ENOSPC, "No space left on device"), "Error: standard output must be usable, not 'no space"),
    ],
)
def test_the_machine_itself_can_fail(
    fixedsim: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, message: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("fixedsim.profiles.profile_names", fail)
    assert message in fixedsim("profile", "list", status=1).stderr


def test_a_name_from_a_file_cannot_steer_the_terminal(fixedsim: Command) -> None:
    network = tiny_network()
    Network(replace(network.description, name="\x1b[2Jgone"), network.weights).save("evil.safetensors")
    fixedsim("quantize", "evil.safetensors", "-o", "evil_model.safetensors")
    for name in ("evil.safetensors", "evil_model.safetensors"):
        text = CliRunner().invoke(main, ["inspect", name], color=True).output
        assert "?[2Jgone" in text
        assert "\x1b" not in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
@pytest.mark.parametrize("arguments", ["--help", "--version", "profile list"])
def test_a_full_standard_output_is_one_message(arguments: str) -> None:
    program = "from fixedsim_cli.main import program; program()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", program, *arguments.split()]
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: standard output must be usable, not 'no space left on device'\n"
