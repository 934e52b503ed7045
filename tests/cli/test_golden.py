"""``fixedsim golden`` from a model to verdicts, and one message for everything that is wrong."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim_golden.cases import Case
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.verify import verify
from fixedsim_golden.writing import write
from tests.cli.conftest import Command
from tests.golden.set_models import few_tried as few_tried
from tests.golden.set_models import model

WRITE = ("golden", "write", "m.safetensors", "-o", "set")


@pytest.fixture
def folder(fixedsim: Command, tmp_path: Path) -> Path:
    """A model of vectors, one of tokens, and inputs that are right and wrong."""
    model("stream", "hls4ml").save(tmp_path / "m.safetensors")
    model("stream", "hls4ml", seed=2).save(tmp_path / "other.safetensors")
    model("stream", keep_float=["fc"]).save(tmp_path / "kept.safetensors")
    np.save(tmp_path / "good.npy", np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]))
    np.save(tmp_path / "wide.npy", np.zeros((2, 3), dtype=np.int64))
    np.save(tmp_path / "high.npy", np.full((2, 2), 1 << 40))
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_write_verify_cover_and_judge(fixedsim: Command) -> None:
    written = fixedsim(*WRITE).output
    digest = GoldenSet.open("set").manifest.digest
    assert f"digest {digest}" in written
    assert "undecided" in written
    shown = fixedsim("golden", "verify", "set").output
    assert "set: PASS, " in shown
    assert f"digest {digest}" in shown
    assert "lstm.cell" in fixedsim("golden", "coverage", "set", "--html", "page.html").output
    assert "lstm.cell" in Path("page.html").read_text()
    assert "told apart" in fixedsim("golden", "strength", "set").output
    fixedsim("golden", "c", "m.safetensors", "-o", "source")
    assert sorted(os.listdir("source")) == ["reference.c", "reference.h"]


@pytest.mark.usefixtures("folder")
def test_json_is_one_document(fixedsim: Command) -> None:
    def document(*arguments: str) -> Any:
        return json.loads(fixedsim(*arguments, "--json").stdout)

    written = document(*WRITE)
    found = document("golden", "verify", "set")
    assert written["digest"] == found["digest"] == GoldenSet.open("set").manifest.digest
    assert (written["files"], written["words"]) == (found["files"], found["words"])
    assert written["files"] == sum(len(files) for _, _, files in os.walk("set"))
    control = np.load("set/npy/control.npy")
    assert (written["cases"], written["steps"]) == (found["cases"], len(control))
    assert found["cases"] == np.count_nonzero(control & 2)  # as many as have a last step
    coverage = document("golden", "coverage", "set")
    assert coverage == written["coverage"]
    assert {each["outcome"] for each in document("golden", "strength", "set")} >= {"told apart"}


@pytest.mark.usefixtures("folder")
def test_the_same_command_gives_the_same_bytes(fixedsim: Command) -> None:
    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(Path("set").rglob("*")) if path.is_file()}

    fixedsim(*WRITE)
    first = content()
    fixedsim(*WRITE, "--force")
    assert content() == first
    fixedsim(*WRITE, "--force", "--seed", "1")
    assert content() != first


@pytest.mark.usefixtures("folder")
def test_layouts_encodings_signals_and_inputs_reach_the_set(fixedsim: Command) -> None:
    options = (
        "--level user --inputs good.npy --encoding coe --encoding vhdl --lanes 2 --signal-lanes 3 --lane-order msb"
    )
    more = "--align 8 --extend sign --pad-rows --order in_out --gate-order ofgi --append-bias --signals lstm.*"
    fixedsim(*WRITE, *options.split(), *more.split())
    assert verify("set").cases == 2
    opened = GoldenSet.open("set")
    assert opened.raws("input").tolist() == [[1, 2], [5, 6], [3, 4], [7, 8]]
    assert all(entry.name.startswith("lstm.") for entry in opened.manifest.entries if entry.role == "signal")
    assert {file.encoding for file in opened.manifest.files} == {"safetensors", "npy", "coe", "vhdl"}
    layouts = {entry.name: entry.layout for entry in opened.manifest.entries}
    weight, signal = layouts["lstm.input.weight"], layouts["lstm.cell"]
    assert (weight["lanes"], weight["order"], weight["gate_order"]) == (2, "in_out", "ofgi")
    assert signal["lanes"] == 3
    assert "fc.weight_and_bias" in layouts


@pytest.mark.usefixtures("folder")
def test_waivers_stay_in_the_set_and_require_ends_with_1(fixedsim: Command) -> None:
    fixedsim(*WRITE)
    assert "undecided" in fixedsim("golden", "coverage", "set", "--require", status=1).output
    fixedsim(*WRITE, "--force", "--waive", "*=not of this study")
    fixedsim("golden", "coverage", "set", "--require")


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets: a good one, a damaged one, one of another model."""
    folder = tmp_path_factory.mktemp("sets")
    cases = [Case("one", ("user",), np.array([[1, 2], [3, 4]]))]
    for name, seed in (("set", 1), ("damaged", 1), ("second", 2)):
        write(model("stream", "hls4ml", seed=seed), folder / name, cases, signals=["lstm.cell"])
    path = folder / "damaged" / "npy" / "output.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    return folder


@pytest.fixture
def sets(folder: Path, laid: Path) -> Path:
    """Copies of the sets beside the models."""
    return Path(shutil.copytree(laid, folder, dirs_exist_ok=True))


NEW = "golden write m.safetensors -o new "
WRONG = [
    ("golden write absent.safetensors -o new", "absent.safetensors must be a readable file"),
    ("golden write net.safetensors -o new", "net.safetensors must be a model"),
    ("golden write kept.safetensors -o new", "layers of a golden set must be integers, not fc in float64"),
    (NEW + "--lanes 0", "lanes must be"),
    (NEW + "--signal-lanes 0", "lanes must be"),
    (NEW + "--align 0", "align must be"),
    (NEW + "--word-bits 1 --lanes 4", "word"),
    (NEW + "--gate-order abcd", "gate_order must be"),
    (NEW + "--signals lstm.cel", "signal pattern must match a name, not 'lstm.cel'; did you mean 'lstm.cell'?"),
    (NEW + "--inputs wide.npy", "wide.npy must have 2 features, not 3"),
    (NEW + "--inputs high.npy", "high.npy"),
    (NEW + "--inputs text.txt", "text.txt must be a .npy file of numbers"),
    (NEW + "--inputs absent.npy", "absent.npy must be a readable .npy file"),
    (NEW + "--level user", "inputs must hold at least one sequence for level user, not none"),
    (NEW + "--waive lstm", "waiver of 'lstm' must have a reason, not none"),
    (NEW + "--waive lstm=", "waiver of 'lstm' must have a reason, not none"),
    (NEW + "--waive nothing=why", "waiver pattern over undecided corners must match a name, not 'nothing'"),
    ("golden write m.safetensors -o no/new", "no/new must be in a folder that exists, not in no; make it first"),
    ("golden write m.safetensors -o set", "set must not exist; choose another folder, or --force to replace a set"),
    ("golden write m.safetensors -o folder --force", "folder must be a golden set to be replaced"),
    ("golden verify absent", "absent must be a golden set with a manifest.json, not 'no such file"),
    ("golden verify folder", "folder must be a golden set with a manifest.json"),
    ("golden verify damaged", "damaged/npy/output.npy must have the SHA-256"),
    ("golden coverage absent", "absent must be a golden set"),
    ("golden coverage set second", "sets must be of one model, not of 2"),
    ("golden coverage set --html page.txt", "page.txt must end in .html, not '.txt'"),
    ("golden coverage set --html no/page.html", "no/page.html must be in a folder that exists"),
    ("golden coverage set --waive nothing=why", "waiver pattern over undecided corners must match a name"),
    ("golden strength absent", "absent must be a golden set"),
    ("golden c absent.safetensors -o new", "absent.safetensors must be a readable file"),
    ("golden c m.safetensors -o good.npy", "good.npy must be a folder, not a file"),
    ("golden c m.safetensors -o no/new", "no/new must be"),
    ("golden c m.safetensors -o new --name 7up", "7up"),
]
WRONG_USAGE = [
    (NEW + "--encoding hexa", "'hexa' is not one of 'hex', 'bin', 'mem'"),
    (NEW + "--level all", "'all' is not one of 'smoke', 'full', 'user'"),
    (NEW + "--lanes two", "'two' is not a valid integer"),
    ("golden write m.safetensors", "Missing option '-o'"),
    ("golden coverage", "Missing argument 'DIR...'"),
    ("golden strenght set", "No such command 'strenght'"),
]


@pytest.mark.usefixtures("sets")
@pytest.mark.parametrize(
    ("status", "line", "message"), [*((1, *each) for each in WRONG), *((2, *each) for each in WRONG_USAGE)]
)
def test_what_is_wrong_is_one_message_and_leaves_nothing(
    fixedsim: Command, status: int, line: str, message: str
) -> None:
    before = sorted(os.listdir())
    result = fixedsim(*line.split(), status=status)
    assert result.stdout == ""
    assert message in result.stderr
    assert result.stderr.count("Error") == 1
    assert "Traceback" not in result.stderr
    assert status == 2 or result.stderr.count("\n") == 1
    assert sorted(os.listdir()) == before
