"""Compiled kernels are cached on disk: never stale, never from a damaged file, and never in the way of a result.

The programs of these tests run a package with the machinery of the kernels and two small kernels in two files.
"""

import errno
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from fixedsim.kernels import cache, compilation

pytestmark = pytest.mark.kernels
compiles = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="needs compiled kernels")  # type: ignore[attr-defined]
SOURCE = Path(compilation.__file__).parent
MACHINERY = ("cache.py", "compilation.py", "target.py")
CALLEE = """
from fixedsim.kernels.compilation import inlined

@inlined
def double(value):
    return 2 * value
"""
CALLER = """
from fixedsim.kernels.callee import double
from fixedsim.kernels.compilation import compiled

@compiled
def double_and_one(value):
    return double(value) + 1
"""
PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
from fixedsim.kernels.caller import double_and_one
print(double_and_one(20), sum(double_and_one.stats.cache_hits.values()) if hasattr(double_and_one, "stats") else "-")
"""
COMPILED, CACHED = ["41", "0"], ["41", "1"]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of the kernels of the small package."""
    folder = tmp_path / "fixedsim" / "kernels"
    folder.mkdir(parents=True)
    for name in MACHINERY:
        shutil.copy(SOURCE / name, folder)
    for path, text in (("../__init__.py", ""), ("__init__.py", ""), ("callee.py", CALLEE), ("caller.py", CALLER)):
        (folder / path).write_text(text)
    return folder


def start(package: Path, program: str = PROGRAM, **variables: str) -> subprocess.Popen[str]:
    """Start the program in a process of its own, with a cache of its own."""
    root = package.parents[1]
    own = {"PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(root / "cache"), "NUMBA_DISABLE_JIT": "0"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment = {**kept, **own, "PYTHONDONTWRITEBYTECODE": "1", **variables}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", program]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, cwd=root, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def finish(process: subprocess.Popen[str]) -> tuple[list[str], list[str]]:
    """The words that it printed and the lines that it logged."""
    output, log = process.communicate()
    assert process.returncode == 0, log
    return output.split(), log.splitlines()


def run(package: Path, program: str = PROGRAM, **variables: str) -> list[str]:
    """What the program prints: the result, and how many kernels came from the cache."""
    return finish(start(package, program, **variables))[0]


def files(package: Path) -> list[Path]:
    """The cached kernels."""
    return [path for path in files_in(package.parents[1] / "cache") if ".kernel" in path.suffixes]


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@compiles
def test_an_edited_callee_in_another_file_is_seen_and_old_files_go(package: Path) -> None:
    words, log = finish(start(package))
    assert words == COMPILED
    assert log[0] == "INFO compiling kernel double_and_one"  # with what it calls
    assert log[1].startswith("INFO compiled kernel double_and_one in ")
    assert len(log) == 2
    count = len(files(package))
    folder = files(package)[0].parent
    for name in ("caller.double-3.py311.nbi", "caller.double-3.py311.1.nbc", "kept.pyc", "kept.txt"):
        (folder / name).touch()
    assert finish(start(package)) == (CACHED, [])
    edit(package / "callee.py", "2 * value", "3 * value")
    assert run(package) == ["61", "0"]
    assert len(files(package)) == count
    assert {path.name for path in folder.iterdir()} - {path.name for path in files(package)} == {"kept.pyc", "kept.txt"}
    edit(package / "callee.py", "3 * value", "2 * value")
    assert run(package) == COMPILED
    assert run(package, NUMBA_DISABLE_JIT="1") == ["41", "-"]


@compiles
@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [
        {"NUMBA_CPU_NAME": "generic"},
        {"NUMBA_CPU_FEATURES": ""},
        {"NUMBA_BOUNDSCHECK": "1"},
        {"NUMBA_OPT": "1"},
        {"numba": "another"},
        {"llvmlite": "another"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_another_cpu_setting_or_version_compiles_again_and_leaves_the_first(
    package: Path, variables: dict[str, str]
) -> None:
    upgraded = "".join(
        f"import {module}\n{module}.__version__ = {version!r}\n"
        for module, version in variables.items()
        if module.islower()
    )
    assert run(package) == COMPILED
    assert run(package, upgraded + PROGRAM, **variables) == COMPILED
    assert run(package, upgraded + PROGRAM, **variables) == CACHED
    assert run(package) == CACHED


KEY = ("(int64,)", ("x86_64-unknown-linux-gnu", "znver4", "+avx2"), ("bytecode", "closure"))


def test_all_that_decides_the_code_is_in_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = cache.KernelFiles(tmp_path, "kernel")
    paths = [kept.path(KEY), kept.path((*KEY[:1], ("x86_64-unknown-linux-gnu", "znver4", ""), *KEY[2:]))]
    for name in ("numba.__version__", "llvmlite.__version__", "numba.config.BOUNDSCHECK", "numba.config.OPT"):
        with monkeypatch.context() as changed:
            changed.setattr(name, "another")
            paths.append(kept.path(KEY))
    with monkeypatch.context() as changed:
        changed.setattr(cache, "package_digest", lambda: 64 * "0")
        paths.append(kept.path(KEY))
    assert len(set(paths)) == len(paths)
    assert kept.path(KEY) == paths[0]


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage", "bit", "renamed", "folder"])
def test_a_damaged_file_is_no_kernel(tmp_path: Path, damage: str) -> None:
    kept = cache.KernelFiles(tmp_path, "kernel")
    assert kept.load(KEY) is None
    kept.save(KEY, list(range(1000)))
    kept.save("another", "code")
    path = kept.path(KEY)
    content = path.read_bytes()
    spoilt = {
        "truncated": content[:-1],
        "empty": b"",
        "garbage": bytes(range(256)) * 40,
        "bit": content[:-500] + bytes([content[-500] ^ 1]) + content[-499:],
        "renamed": kept.path("another").read_bytes(),
    }
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(spoilt[damage])
    assert kept.load(KEY) is None
    assert kept.load("another") == "code"
    if damage != "folder":
        kept.save(KEY, "again")
        assert kept.load(KEY) == "again"
        kept.flush()
        assert not files_in(tmp_path)


@compiles
@pytest.mark.slow
def test_damaged_files_are_compiled_again(package: Path) -> None:
    assert run(package) == COMPILED
    for path in files(package):
        path.write_bytes(path.read_bytes()[:-1000])
    assert run(package) == COMPILED
    assert run(package) == CACHED


@compiles
@pytest.mark.slow
def test_processes_that_compile_at_once_leave_whole_files(package: Path) -> None:
    programs = [PROGRAM, PROGRAM, PROGRAM.replace("20", "20.0"), PROGRAM.replace("20", "20.0")]
    processes = [start(package, program) for program in programs]
    assert [finish(process)[0][0] for process in processes] == ["41", "41", "41.0", "41.0"]
    assert all(path.suffix == ".kernel" for path in files(package))
    assert [run(package, program)[1] for program in programs] == ["1"] * 4


@compiles
@pytest.mark.slow
def test_without_a_folder_that_can_be_written_to(package: Path, tmp_path: Path) -> None:
    (package / "__pycache__").touch()  # a file in place of the folder: a superuser may write everywhere else
    home = tmp_path / "home"
    variables = {"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": str(home), "HOME": str(home)}
    assert run(package, **variables) == COMPILED
    assert run(package, **variables) == CACHED  # under the user's own folder
    assert list(home.rglob("*.kernel"))
    shutil.rmtree(home)
    home.touch()
    assert run(package, **variables) == COMPILED
    assert run(package, **variables) == COMPILED


@compiles
def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("os.replace", full)

    @compilation.compiled
    def triple(value: int) -> int:
        return value * 3

    with caplog.at_level(logging.INFO, "fixedsim"):
        assert triple(14) == 42
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"kernels can't be cached in {compilation.cache_folder(triple)}: No space left on device"
    ]
    assert not files_in(tmp_path)


def test_the_digest_holds_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.py", "b.py", "cache.py"):
        (tmp_path / name).write_text("one")
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "cache.py"))
    digest = compilation.package_digest.__wrapped__
    first = digest()
    assert first == digest()
    (tmp_path / "b.py").write_text("two")
    assert digest() != first
    (tmp_path / "b.py").write_text("one")
    assert digest() == first
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    assert digest() != first


@compiles
def test_without_the_private_interface_kernels_are_compiled_uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(_: object) -> object:
        raise AttributeError("another Numba")

    monkeypatch.setattr(cache, "_OverloadCache", changed)

    def double(value: int) -> int:
        return value * 2

    kernel = compilation.compiled(double)
    assert kernel(21) == 42
    assert compilation.cache_folder(kernel) is None
