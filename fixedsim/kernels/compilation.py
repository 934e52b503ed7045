"""How kernels are compiled: without the interpreter's lock, cached on disk under a digest of the whole package.

Numba stamps a cached kernel with its own file only: when a function in another file that it calls changes, the old
code would run. Here the stamp holds the content of every file of this folder, and whether bounds are checked.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@cache
def package_digest() -> str:
    """Return the SHA-256 of the names and contents of every source file of the package, in the order of the names."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def package_cache(function: Callable[..., Any]) -> Any:
    """Return Numba's cache of one function, fresh only while no source file of the package has changed.

    Raises:
        AttributeError, TypeError, RuntimeError, OSError: Numba's private interface is another one, or no folder for the
            cache can be written to.
    """
    make: Callable[..., Any] = FunctionCache
    kept = make(function)
    bounds_checked = bool(getattr(numba.config, "BOUNDSCHECK", False))  # Numba's own key leaves it out
    kept._cache_file._source_stamp = (kept._cache_file._source_stamp, package_digest(), bounds_checked)
    return kept


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return ``function`` compiled on its first call, or itself with ``NUMBA_DISABLE_JIT=1``.

    Integer arithmetic wraps at 64 bits; no floating-point liberties are taken; other threads run meanwhile. The code is
    cached where Numba finds a folder that it can write to, and compiled in each process where it does not.
    """
    return _compiled(function, forceinline=False)


def inlined(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return what :func:`compiled` returns; every caller holds a copy of the code. For what inner loops call."""
    return _compiled(function, forceinline=True)


def _compiled(function: Callable[Parameters, Result], *, forceinline: bool) -> Callable[Parameters, Result]:
    kernel: Any = numba.njit(nogil=True, forceinline=forceinline)(function)
    if hasattr(kernel, "_cache"):
        with suppress(AttributeError, TypeError, RuntimeError, OSError):
            kernel._cache = package_cache(function)
    return cast(Callable[Parameters, Result], kernel)
