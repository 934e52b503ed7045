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

# A kernel that compiles in a second and calls one in another file: 100 fits 8 bits, so that nothing changes it.
PROGRAM = """
from fixedsim.kernels import primitives
found = primitives.guarded(0, 100, 0, 8, 1, True)
stats = getattr(primitives.guarded, "stats", None)
print(found, sum(stats.cache_hits.values()) if stats else "interpreted")
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
    assert run(tmp_path) == ["100", "0"]
    assert run(tmp_path) == ["100", "1"]  # from the cache
    callee = package / "wide.py"
    text = callee.read_text()
    callee.write_text(text.replace("return (signed << 32) + low", "return (signed << 32) + low + 1"))
    assert callee.read_text() != text
    assert run(tmp_path) == ["101", "0"]
    callee.write_text(text)
    assert run(tmp_path)[0] == "100"
    assert run(tmp_path, jit=False) == ["100", "interpreted"]


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
