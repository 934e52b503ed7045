"""How kernels are compiled: without the interpreter's lock, cached on disk, and logged where it takes time."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import event

from fixedsim.kernels.cache import KernelCache as KernelCache
from fixedsim.kernels.cache import package_digest as package_digest
from fixedsim.kernels.target import cpu_features as cpu_features

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_LOG = logging.getLogger(__name__)


class _CompilationLog(event.Listener):
    """Logs each kernel that is compiled, at level INFO; what it calls is compiled with it and goes unnamed."""

    def __init__(self) -> None:
        self.started: list[float] = []  # Numba's lock lets one thread compile

    def on_start(self, event: Any) -> None:
        if not self.started:
            _LOG.info("compiling kernel %s", event.data["dispatcher"].py_func.__name__)
        self.started.append(time.perf_counter())

    def on_end(self, event: Any) -> None:
        took = time.perf_counter() - self.started.pop()
        if not self.started:
            _LOG.info("compiled kernel %s in %.1f s", event.data["dispatcher"].py_func.__name__, took)


_register: Callable[..., None] = event.register  # untyped
_register("numba:compile", _CompilationLog())


def cache_folder(kernel: Callable[..., object]) -> Path | None:
    """Return where a kernel's code is cached; None where it isn't: no folder can be written to, or the JIT is off."""
    cache = getattr(kernel, "_cache", None)
    folder = cache.cache_path if isinstance(cache, KernelCache) else None
    return None if folder is None else Path(folder)


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return ``function`` compiled on its first call, or itself with ``NUMBA_DISABLE_JIT=1``.

    Integer arithmetic wraps at 64 bits; no floating-point liberties are taken; other threads run meanwhile. The code is
    cached where Numba finds a folder that it can write to, and compiled in each process where it does not. It counts no
    references to arrays, and so must not allocate any.
    """
    return _compiled(function, _nrt=False)


def allocating(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return what :func:`compiled` returns of a function that allocates arrays."""
    return _compiled(function)


def inlined(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return what :func:`compiled` returns; every caller holds a copy of the code. For what inner loops call."""
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: Callable[Parameters, Result], **options: bool) -> Callable[Parameters, Result]:
    njit: Any = numba.njit
    kernel = njit(nogil=True, **options)(function)
    if hasattr(kernel, "_cache"):
        kernel._cache = KernelCache(function, counts_references=options.get("_nrt", True))
    return cast(Callable[Parameters, Result], kernel)
