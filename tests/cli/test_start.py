"""What a command costs before it works: modules that it does not import, and what is said while it compiles."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from fixedsim_cli.announcement import MESSAGE, announced_compilation
from tests.cli.conftest import Command

# Each takes 0.02 .. 0.2 s to import. The last is the start of all that Numba needs to compile.
UNUSED_BY_RUN = (
    "scipy.special",
    "pydantic",
    "rich.progress",
    "fixedsim.profiles.choices",
    "fixedsim.quantization",
    "numba.np.npyimpl",
)
LOGGER = logging.getLogger("fixedsim.kernels.compilation")


def imported(arguments: list[str], names: tuple[str, ...], folder: Path) -> list[str]:
    """Which of the names a command line imports."""
    program = (
        "import sys\n"
        "from fixedsim_cli.main import main\n"
        f"main({arguments}, standalone_mode=False)\n"
        f"print([name for name in {names} if name in sys.modules])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1].replace("'", '"'))
    return found


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")  # type: ignore[attr-defined]
def test_a_run_imports_nothing_that_it_does_not_use(fixedsim: Command, tmp_path: Path) -> None:
    fixedsim("quantize", "net.safetensors", "-o", "model.safetensors")
    arguments = ["run", "model.safetensors", "tokens.npy", "-o", "out.npz"]
    imported(arguments, (), tmp_path)  # its kernels are in the cache from now on
    assert imported(arguments, UNUSED_BY_RUN, tmp_path) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_compiling_is_said_once_and_only_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    with announced_compilation():
        LOGGER.info("compiling kernel one")
        LOGGER.info("compiling kernel two")
    LOGGER.info("compiling kernel three")
    assert capsys.readouterr() == ("", f"{MESSAGE}\n" if terminal else "")
    assert LOGGER.level == logging.NOTSET
    assert not LOGGER.handlers


def test_compile_says_where_kernels_are(fixedsim: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixedsim.compiling.compile_kernels", lambda progress: Path("cache"))
    assert fixedsim("compile").output == "cache: kernels compiled\n"
    assert json.loads(fixedsim("compile", "--json").stdout) == {"folder": "cache"}


def test_compile_needs_a_folder(fixedsim: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixedsim.compiling.compile_kernels", lambda progress: None)
    assert (
        "Error: kernels must have a folder to be kept in; name one in NUMBA_CACHE_DIR"
        in fixedsim("compile", status=1).output
    )


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [(["profile", "list"], 0, "litert"), (["profile", "show", "none"], 1, "none"), (["--nothing"], 2, "--nothing")],
)
def test_the_program_leaves_all_said_and_done(arguments: list[str], status: int, line: str) -> None:
    """What was written is there, and what was to be done at the end is."""
    program = (
        "import atexit, sys\n"
        "from fixedsim_cli.main import program\n"
        "atexit.register(print, 'the end')\n"
        f"sys.argv[1:] = {arguments}\n"
        "program()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == status
    assert line in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "the end"


def test_a_reader_that_has_gone_ends_the_program_quietly() -> None:
    program = "from fixedsim_cli.main import program; program()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, "profile", "show", "litert"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(command, env=environment, stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == ""
