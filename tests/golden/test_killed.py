"""A run of ``golden write`` that is killed leaves the old set, the new one or none, never half of one."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixedsim.errors import FileError
from fixedsim_golden.cases import Case
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.verify import verify
from fixedsim_golden.writing import write
from tests.golden.set_models import few_tried as few_tried
from tests.golden.set_models import model

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
PROGRAM = "import sys; sys.path[:0] = sys.argv.pop(1).split('|'); from fixedsim_cli.main import main; main()"


def started(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """``fixedsim golden write`` of the model in a folder."""
    command = [sys.executable, "-c", PROGRAM, "|".join(sys.path), "golden", "write", "m.safetensors", "-o", "set"]
    encodings = [part for name in ("hex", "c", "sv", "vhdl") for part in ("--encoding", name)]
    return subprocess.Popen(
        [*command, *encodings, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kills(folder: Path, count: int, seed: int) -> None:
    """Half of the runs begin without a set, half replace one; they are killed at a random moment of the writing."""
    made = model("stream", "hls4ml")
    made.save(folder / "m.safetensors")
    began = time.monotonic()
    assert started(folder).wait() == 0
    takes = time.monotonic() - began
    new = verify(folder / "set").digest
    draw, ended = random.Random(seed), []
    old = ""
    for place in range(count):
        if place % 2:
            if not (folder / "set").exists():
                old_cases: list[Case] = make_cases(made, "smoke", seed=place).cases[:2]
                write(made, folder / "set", old_cases)
            old = verify(folder / "set").digest
        elif (folder / "set").exists():
            (folder / "set").rename(folder / f"gone-{place}")
        run = started(folder, *(["--force"] if place % 2 else []))
        waits_for_files(folder, run, draw.random() * takes)
        run.kill()  # nothing where it has ended
        ended.append(run.wait())
        if (folder / "set").exists():
            assert verify(folder / "set").digest in ({new, old} if place % 2 else {new})
        elif place % 2:
            aside = [each for each in folder.iterdir() if each.name.endswith(".old")]
            assert aside, "the old set must be in its place, or beside it for the moment of the exchange"
            assert verify(aside[0]).digest == old
        else:
            with pytest.raises(FileError, match="must be a golden set"):
                verify(folder / "set")
    assert -signal.SIGKILL in ended
    assert not [each.name for each in folder.iterdir() if not each.name.startswith((".set.", "gone-", "set", "m."))]


def waits_for_files(folder: Path, run: subprocess.Popen[bytes], share: float) -> None:
    """Half of the times wait that long, else until the files begin and a moment more."""
    if share * 1000 % 2 < 1:
        time.sleep(share)
        return
    known = {each.name for each in folder.iterdir()}
    while run.poll() is None and {each.name for each in folder.iterdir()} <= known:
        time.sleep(0.0005)
    time.sleep(share * 1000 % 1 * 0.2)


def test_five_kills(tmp_path: Path) -> None:
    kills(tmp_path, 5, 1)


@pytest.mark.slow
def test_a_hundred_kills(tmp_path: Path) -> None:
    kills(tmp_path, 100, 2)
