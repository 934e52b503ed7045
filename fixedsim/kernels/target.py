"""The CPU that kernels are compiled for, which need not be the one that runs: variables of Numba can name another."""

from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core.codegen import get_host_cpu_features

# What a feature of x86 needs, as LLVM has it: what is switched on switches on what it needs, and off what needs it.
_NEEDED_FEATURES = {
    "avx2": ("avx",),
    "fma": ("avx",),
    "f16c": ("avx",),
    "avxvnni": ("avx2",),
    "avxvnniint8": ("avx2",),
    "avxvnniint16": ("avx2",),
    "avxifma": ("avx2",),
    "avxneconvert": ("avx2",),
    "avx512f": ("avx2", "fma", "f16c"),
    "avx512cd": ("avx512f",),
    "avx512dq": ("avx512f",),
    "avx512vl": ("avx512f",),
    "avx512bw": ("avx512f",),
    "avx512vnni": ("avx512f",),
    "avx512ifma": ("avx512f",),
    "avx512vpopcntdq": ("avx512f",),
    "avx512vp2intersect": ("avx512f",),
    "avx512vbmi": ("avx512bw",),
    "avx512vbmi2": ("avx512bw",),
    "avx512bitalg": ("avx512bw",),
    "avx512bf16": ("avx512bw",),
    "avx512fp16": ("avx512bw", "avx512dq", "avx512vl"),
}


@cache
def cpu_features() -> frozenset[str]:
    """Return the features of the CPU that kernels are compiled for, by LLVM's names: ``avx2``, ``avx512vnni``.

    They are the host's, without AVX for ``NUMBA_ENABLE_AVX=0``, unless ``NUMBA_CPU_FEATURES`` says more: its ``+`` and
    ``-`` then change the host's, or nothing where ``NUMBA_CPU_NAME`` names another CPU: what that name alone implies is
    left out. ``NUMBA_CPU_NAME`` without it leaves the host's features, but for ``generic``, which has none. Nothing is
    compiled with ``NUMBA_DISABLE_JIT=1``, so that there are none.
    """
    config: Any = numba.config
    if config.DISABLE_JIT:
        return frozenset()
    read_host: Callable[[], str] = get_host_cpu_features
    host = _changed(frozenset(), read_host())
    if config.CPU_FEATURES is None:
        return host
    host_name = llvm.get_host_cpu_name()
    named = config.CPU_NAME not in (None, host_name) or host_name.startswith(("generic", "x86-64"))
    return _changed(frozenset() if named else host, config.CPU_FEATURES)


def _changed(features: frozenset[str], changes: str) -> frozenset[str]:
    """The features after changes such as ``+avx2,-avx512f``, in their order."""
    found = set(features)
    for change in filter(None, (part.strip() for part in changes.split(","))):
        name = change.lstrip("+-")
        if change.startswith("-"):
            found -= {feature for feature in found if name in _with_needed(feature)}
        else:
            found |= _with_needed(name)
    return frozenset(found)


@cache
def _with_needed(name: str) -> frozenset[str]:
    """A feature and all that it needs."""
    return frozenset({name}).union(*(_with_needed(needed) for needed in _NEEDED_FEATURES.get(name, ())))
