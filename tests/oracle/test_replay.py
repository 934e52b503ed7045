"""Recorded cases of other programs, integer by integer; a change of any integer is seen."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.oracle.replay import cases, main, replayed
from tests.oracle.results import Result

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "data" / "recorded"
CASES = list(cases(RECORDED))


@pytest.mark.parametrize(("path", "replay"), CASES, ids=[f"{path.parent.name}-{path.stem}" for path, _ in CASES])
def test_a_recorded_case(path: Path, replay: Callable[[Path], list[Result]]) -> None:
    rows = replayed(path, replay)
    assert rows
    assert [row for row in rows if not row.agrees] == []


def test_every_family_is_there() -> None:
    assert {path.parent.name for path, _ in CASES} == {"ac_fixed", "ap_fixed", "hls4ml", "litert", "rtl"}
    assert len(CASES) == 38


def changed(folder: Path, case: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Copy a case into a folder with its arrays changed."""
    source = RECORDED / case
    with np.load(source.with_suffix(".npz")) as recorded:
        arrays = dict(recorded)
    change(arrays)
    np.savez(folder / f"{source.name}.npz", **arrays)
    if source.with_suffix(".json").exists():
        shutil.copy(source.with_suffix(".json"), folder)


def one_more(name: str) -> Callable[[dict[str, Any]], None]:
    """Add 1 to one integer of an array."""

    def change(arrays: dict[str, Any]) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name].reshape(-1)[3] += 1

    return change


@pytest.mark.parametrize(
    ("case", "array"),
    [
        ("litert/craft_cifg", "trace_c"),
        ("litert/stack_i10_h12_t6_b1", "act46"),
        ("litert/fc_i37_o19_b5_pt_relu6", "y_tflm"),
        ("hls4ml/lstm16_6_trn_wrap", "step_act_ifo"),
        ("hls4ml/mlp_mixed", "trace_fc2"),
        ("rtl/eai_lstm_w8f4_h10_head_unmodified", "c"),
        ("rtl/eai_ilstm_w8_x3_h8", "mem_add"),
        ("ap_fixed/dot", "y_prodcast"),
        ("ac_fixed/cast_random", "tgt"),
    ],
)
def test_one_changed_integer_is_seen(tmp_path: Path, case: str, array: str) -> None:
    changed(tmp_path, case, one_more(array))
    assert main([str(tmp_path)]) == 1


def test_what_cannot_be_replayed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "unknown.npz", a=np.arange(3))
    (tmp_path / "damaged.npz").write_bytes(b"no archive")
    changed(tmp_path, "litert/craft_cifg", lambda arrays: arrays.pop("c0"))
    assert main([str(tmp_path)]) == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 3


def test_a_subset_under_other_names(tmp_path: Path) -> None:
    """Cases are recognised by what is in their files."""
    for number, case in enumerate(["litert/craft_peephole", "rtl/eai_fc_w8f4_10x2", "hls4ml/lstm12_4_t256"]):
        source = RECORDED / case
        shutil.copy(source.with_suffix(".npz"), tmp_path / f"case{number}.npz")
        if source.with_suffix(".json").exists():
            description = json.loads(source.with_suffix(".json").read_text())
            (tmp_path / f"case{number}.json").write_text(json.dumps(description | {"name": "another"}))
    assert main([str(tmp_path)]) == 0


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    shutil.copy(RECORDED / "rtl" / "eai_fc_w8f4_10x2.npz", tmp_path)
    program = [sys.executable, str(ROOT / "tests" / "oracle" / "replay.py")]
    done = subprocess.run([*program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 cases, 1 signals, 40 integers compared, 0 differing"
    assert subprocess.run(program, capture_output=True, check=False).returncode == 2
