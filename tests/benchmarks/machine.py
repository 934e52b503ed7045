"""One thread on one core, and which machine it is."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PROGRAMS = ("fixedsim", "numpy", "numba", "llvmlite", "onnxruntime", "torch", "ai-edge-litert", "apytypes")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def ask_for_one_thread() -> None:
    """Tell BLAS, OpenMP and Numba to use one thread; only libraries that are loaded later hear it."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def cores() -> list[int]:
    """The cores that the process may use, in order; empty where the system can't say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextmanager
def pinned(allowed: list[int], count: int) -> Iterator[None]:
    """Run the calling thread, and those that it starts, on the first ``count`` of the allowed cores."""
    if not allowed:
        yield
        return
    os.sched_setaffinity(0, allowed[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed[:1])


def load_average() -> str:
    """How many programs wanted a core over the last minute; more than one beside these disturbs the figures."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def describe() -> dict[str, str]:
    """The processor, its caches, the system and the versions of the programs."""
    found = {"processor": _processor(), "cores": str(os.cpu_count()), "caches": ", ".join(_caches())}
    found |= {"system": f"{platform.system()} {platform.machine()}", "python": platform.python_version()}
    for program in _PROGRAMS:
        try:
            found[program] = version(program)
        except PackageNotFoundError:
            found[program] = "not installed"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    named = fields.get("model name", platform.machine())
    return f"{named}, family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"


def _caches() -> list[str]:
    found = []
    for folder in sorted(_CACHES.glob("index*")):
        level, kind, size = ((folder / name).read_text("utf-8").strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return found
