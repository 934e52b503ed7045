"""The cache of compiled kernels is fresh only while no file of the package has changed; the JIT can be off."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from fixedsim.kernels import compilation

pytestmark = pytest.mark.kernels
SOURCE = Path(compilation.__file__).parent

PROGRAM = """
import numpy as np
from fixedsim.kernels import activations, elementwise
packed = np.array([1, 0, 0, 0, 1, 64, 0, 1, 1, 0, 0, 0, 0, 2, 0, 2, 0])  # a linear table of 2 values, shift 0
out = np.empty(1, np.int64)
elementwise.activate_all(np.array([1]), packed, np.array([5, 9]), out)
stats = getattr(elementwise.activate_all, "stats", None)
print(out[0], sum(stats.cache_hits.values()) if stats else "interpreted")
"""


def run(folder: Path, *, jit: bool = True) -> list[str]:
    """Run the program on the copied package in a process of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "NUMBA_DISABLE_JIT": "0" if jit else "1",
    }
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", PROGRAM]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")  # type: ignore[attr-defined]
def test_an_edited_callee_in_another_file_is_seen(tmp_path: Path) -> None:
    package = tmp_path / "fixedsim" / "kernels"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "fixedsim" / "__init__.py").touch()
    assert run(tmp_path) == ["9", "0"]
    assert run(tmp_path) == ["9", "1"]  # from the cache
    rows = package / "rows.py"
    text = rows.read_text()
    rows.write_text(text.replace("kept = min(max(raw, lowest), highest)", "kept = lowest"))
    assert rows.read_text() != text
    assert run(tmp_path) == ["5", "0"]
    rows.write_text(text)
    assert run(tmp_path)[0] == "9"
    assert run(tmp_path, jit=False) == ["9", "interpreted"]


def test_the_digest_holds_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.py", "b.py", "compilation.py"):
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(compilation, "__file__", str(tmp_path / "compilation.py"))
    digest = compilation.package_digest.__wrapped__
    first = digest()
    assert first == digest()
    (tmp_path / "b.py").write_text("two")
    assert digest() != first
    (tmp_path / "b.py").write_text("one")
    assert digest() == first
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    assert digest() != first


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")  # type: ignore[attr-defined]
def test_without_the_private_interface_kernels_are_compiled_uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(_: object) -> object:
        raise AttributeError("another Numba")

    monkeypatch.setattr(compilation, "FunctionCache", changed)

    def double(value: int) -> int:
        return value * 2

    kernel = compilation.compiled(double)
    assert kernel(21) == 42
    assert type(vars(kernel).get("_cache")).__name__ != "FunctionCache"
