"""The Verilog device under Icarus on the committed golden sets, as it is and with faults put in."""

import json
import shutil
from pathlib import Path

import pytest

from fixedsim_golden.comparing import compare
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.testbench import build_device, run_device

VECTORS = Path(__file__).resolve().parents[2] / "golden" / "vectors"
INDEX = json.loads((VECTORS / "index.json").read_text("utf-8"))
OWN = [name for name, record in INDEX.items() if record["profile"] in ("fixed-point", "bit-rnn")]
SMOKE = [name for name in OWN if INDEX[name]["level"] == "smoke"]
FULL = [name for name in OWN if INDEX[name]["level"] == "full"]

pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs iverilog, which is not there")

# Faults, a set that catches each, and where a comparison sees it first: golden/rtl/README.md.
FAULTS = [
    ("ROUNDING_DROPPED", "linear-fixed-point-w8a8-smoke", {"fc.sum", "fc.preactivation", "fc.output"}),
    ("BIAS_TWICE", "linear-bit-rnn-w4a4-smoke", {"fc.accumulator"}),
    ("RELU_MISSING", "linear-fixed-point-w4a4-smoke", {"fc.output"}),
    ("RAW_STEP", "lstm-bit-rnn-w2a2-smoke", {"lstm.gate.input.input_accumulator"}),
    ("TABLE_INDEX_OFF", "lstm-fixed-point-w4a4-smoke", {"lstm.gate.input"}),
    ("INPUT_FORGET_SWAPPED", "lstm-fixed-point-w8a8-smoke", {"lstm.gate.input.input_accumulator"}),
    ("HIDDEN_STALE", "lstm-bit-rnn-w8a8-smoke", {"lstm.gate.input.recurrent_accumulator"}),
    ("CELL_NOT_RESET", "lstm-fixed-point-w2a2-smoke", {"lstm.forget_product"}),
    ("FORGET_READS_NEW_CELL", "lstm-fixed-point-w8a8-smoke", {"lstm.forget_product"}),
    ("BACKWARD_UNREVERSED", "bilstm-fixed-point-w8a8-smoke", {"lstm.output"}),  # first among equal inputs
    ("DIRECTIONS_SWAPPED", "bilstm-bit-rnn-w2a2-smoke", {"lstm.output"}),
]


def _compared(name: str) -> int:
    """The words of all signals, outputs and final states of a set."""
    entries = GoldenSet.open(VECTORS / name).manifest.entries
    return sum(entry.words for entry in entries if entry.role in ("signal", "output", "final_state"))


@pytest.mark.parametrize("name", SMOKE)
def test_the_device_passes_every_profile_and_width(name: str, tmp_path: Path) -> None:
    done = run_device(VECTORS / name, tmp_path)
    assert done.passed, done.log[-2000:]
    assert done.words == _compared(name)
    assert compare(VECTORS / name, tmp_path / "dump").passed


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_the_device_passes_the_full_sets(name: str, tmp_path: Path) -> None:
    done = run_device(VECTORS / name, tmp_path)
    assert done.passed, done.log[-2000:]
    assert done.words == _compared(name)


@pytest.mark.parametrize(("fault", "name", "signals"), FAULTS)
def test_a_fault_is_caught_and_named(fault: str, name: str, signals: set[str], tmp_path: Path) -> None:
    done = build_device(VECTORS / name, tmp_path, defines=[f"FAULT_{fault}"]).run(dump=tmp_path / "dump")
    assert not done.passed
    assert done.status != 0
    assert done.verdict.startswith("FAIL")
    first = compare(VECTORS / name, tmp_path / "dump").first
    assert first is not None
    assert first.entry in signals
