"""The peak memory of a workload's own side, in a process of its own: ``python -m tests.benchmarks.memory NAME``."""

import os
import subprocess
import sys
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): the peak resident set size becomes the present one

# So that the C library gives memory back when it is freed, and a call can't take what an earlier one left.
_RETURNING = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}


def peak_in_process(name: str) -> int | None:
    """Bytes that one call takes beyond what it returns, or None where the system does not tell."""
    if not _RESET.exists():
        return None
    command = [sys.executable, "-m", "tests.benchmarks.memory", name]
    done = subprocess.run(command, env=os.environ | _RETURNING, capture_output=True, text=True, check=True)
    return int(done.stdout)


def _status(key: str) -> int:
    line = next(line for line in _STATUS.read_text("utf-8").splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) << 10


def _returned(result: object) -> int:
    """The bytes of an array, or of the arrays of a tuple."""
    parts = result if isinstance(result, tuple) else (result,)
    return sum(int(getattr(part, "nbytes", 0)) for part in parts)


def main(name: str) -> None:
    """Print the peak of one call, after one of the smallest workload of the same kind that compiles and packs."""
    from tests.benchmarks.workloads import all_workloads

    known = {workload.name: workload for workload in all_workloads()}
    smallest = f"{name.rpartition('.')[0]}.1"
    known[smallest].sides[0].prepare()()
    call = known[name].sides[0].prepare()
    _RESET.write_text(_RESET_PEAK)
    before = _status("VmRSS")
    result = call()
    print(_status("VmHWM") - before - _returned(result))


if __name__ == "__main__":
    main(sys.argv[1])
