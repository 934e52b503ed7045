"""The features that kernels are compiled for, as variables of Numba change them."""

import os
import subprocess
import sys

import pytest

from fixedsim.kernels import target
from fixedsim.kernels.compilation import cpu_features

HOST = "+64bit,+sse2,+avx,+avx2,+fma,+f16c,-avxifma,+avxvnni,+avx512f,+avx512bw,+avx512vl,+avx512vnni,+avx512vbmi"
ALL = {name[1:] for name in HOST.split(",") if name.startswith("+")}
VNNI = {"avx512vnni", "avx512f", "avx2", "avx", "fma", "f16c"}


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        (None, None, ALL),
        ("haswell", None, ALL),  # a name alone leaves the host's features
        ("generic", "", set()),  # what Numba makes of NUMBA_CPU_NAME=generic
        ("generic", "+avx2", {"avx", "avx2"}),
        ("generic", "+avx512vnni", VNNI),
        ("haswell", "+avx2,-avx512f", {"avx", "avx2"}),
        ("generic", "+avx512vnni,-avx2,+avx512cd,-avx512cd", {"avx", "avx2", "avx512f", "fma", "f16c"}),
        ("znver4", "", ALL),  # the host's own name
        (None, "", ALL),
        (None, "-avx512f", ALL - {"avx512f", "avx512bw", "avx512vl", "avx512vnni", "avx512vbmi"}),
        (None, "-avx512vnni", ALL - {"avx512vnni"}),
        (None, " -avx512bw , +avx512vp2intersect ", ALL - {"avx512bw", "avx512vbmi"} | {"avx512vp2intersect"}),
        (None, "-avx", {"64bit", "sse2"}),
    ],
)
def test_features_follow_names_and_changes(
    monkeypatch: pytest.MonkeyPatch, name: str | None, changes: str | None, expected: set[str]
) -> None:
    monkeypatch.setattr("numba.config.DISABLE_JIT", 0)
    monkeypatch.setattr("numba.config.CPU_NAME", name)
    monkeypatch.setattr("numba.config.CPU_FEATURES", changes)
    monkeypatch.setattr(target, "get_host_cpu_features", lambda: HOST)
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "znver4")
    assert cpu_features.__wrapped__() == expected


@pytest.mark.parametrize("host", ["generic", "x86-64-v3"])
def test_a_host_that_has_no_name_of_its_own_gives_no_base(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr("numba.config.DISABLE_JIT", 0)
    monkeypatch.setattr("numba.config.CPU_NAME", None)
    monkeypatch.setattr("numba.config.CPU_FEATURES", "+avx2")
    monkeypatch.setattr(target, "get_host_cpu_features", lambda: HOST)
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: host)
    assert cpu_features.__wrapped__() == {"avx", "avx2"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"NUMBA_DISABLE_JIT": "1"}, "[]"),
        ({"NUMBA_CPU_NAME": "generic"}, "[]"),
        ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+avx2,+fma,-fma"}, "['avx', 'avx2']"),
    ],
)
def test_the_environment_is_read(variables: dict[str, str], expected: str) -> None:
    program = "from fixedsim.kernels.compilation import cpu_features; print(sorted(cpu_features()))"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_without_avx_there_is_no_kernel_for_it() -> None:
    program = "from fixedsim.kernels.compilation import cpu_features; print({'avx2', 'avx512f'} & cpu_features())"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_ENABLE_AVX": "0"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
