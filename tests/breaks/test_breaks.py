"""Every fault, put into a copy of the package, makes the tests fail that stand guard over it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.breaks.faults import FAULTS, Fault

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
FAILED = 1  # pytest: tests ran and some failed; everything else is an error of another kind


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the package, its tests and their settings."""
    for folder in ("fixedsim", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run_tests(copy: Path, paths: list[str], *, compiled: bool) -> subprocess.CompletedProcess[str]:
    """The tests over the copy, kernels interpreted so that nothing is compiled, or compiled for the copy alone."""
    options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", "-p", "tests.breaks.quick", "--hypothesis-profile", "quick"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *paths],
        cwd=copy,
        env=environment
        | {
            "PYTHONPATH": str(copy),
            "NUMBA_DISABLE_JIT": "0" if compiled else "1",
            "NUMBA_CACHE_DIR": str(copy / "compiled"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def put(copy: Path, fault: Fault) -> None:
    """Replace the one place where the fault's text stands."""
    path = copy / "fixedsim" / fault.file
    text = path.read_text("utf-8")
    assert text.count(fault.old) >= 1, f"{fault.file} must hold {fault.old!r}; update tests/breaks/faults.py"
    path.write_text(text.replace(fault.old, fault.new, 1), "utf-8")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.file}: {fault.name}")
def test_fault_is_caught(copy: Path, fault: Fault) -> None:
    put(copy, fault)
    found = run_tests(copy, [fault.caught_by], compiled=fault.compiled)
    assert found.returncode == FAILED, found.stdout[-2000:] + found.stderr[-2000:]


def test_the_copy_without_a_fault_passes(copy: Path) -> None:
    found = run_tests(copy, sorted({fault.caught_by for fault in FAULTS}), compiled=False)
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
