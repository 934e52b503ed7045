"""The cache of compiled kernels on disk: never stale, never half written, and cleared of what older sources left.

Numba's own cache falls short of that in four ways. It stamps a kernel with its own file only, so that a callee changed
in another file goes unseen. It numbers its files and writes the index before the code: a process that is killed
between the two, or two processes that compile at once, can leave the code of one signature under the name of another.
It reads damaged files as they are. And it loads all that is needed to compile before it loads what is compiled.

Here the name of a file is the digest of everything that decides its code, so that no file is ever read for another,
and a file starts with the digest of its name and of the rest.
"""

import hashlib
import logging
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import llvmlite
import numba
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

_LOG = logging.getLogger(__name__)
_FunctionCache: Any = FunctionCache  # untyped, as all of Numba
_pickled: Callable[[object], bytes] = dumps
_CODE = ".kernel"
_REPLACED = (_CODE, ".nbi", ".nbc")  # what sources of another digest left, Numba's own files among it
_DIGEST_BYTES = hashlib.sha256().digest_size
_STAMP_CHARACTERS = 16
# What changes the code beside signature, CPU and versions; Numba's own key leaves it out.
_SETTINGS = ("BOUNDSCHECK", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DEBUGINFO_DEFAULT", "DISABLE_INTEL_SVML")


@cache
def package_digest() -> str:
    """Return the SHA-256 of the names and contents of every source file of the package, in the order of the names."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


class KernelFiles:
    """The compiled overloads of one kernel, a file for each: a digest, then the pickled code."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name

    def path(self, key: object) -> Path:
        """Return the file of a key: of a signature, the CPU and its features, and the bytecode of the kernel."""
        settings = [str(getattr(numba.config, setting, None)) for setting in _SETTINGS]
        decides = (package_digest(), numba.__version__, llvmlite.__version__, settings, key)
        digest = hashlib.sha256(repr(decides).encode()).hexdigest()
        return self.folder / f"{self.name}-{_stamp()}-{digest}{_CODE}"

    def load(self, key: object) -> Any:
        """Return what was saved under the key; None where there is no such file, or one that is damaged or renamed."""
        path = self.path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return pickle.loads(code) if digest == _digest(path, code) else None

    def save(self, key: object, data: object) -> None:
        """Write a file, atomically, and remove those of other sources.

        Raises:
            OSError: the file can't be written; there is none then.
        """
        _remove_others(self.folder)
        code = _pickled(data)
        path = self.path(key)
        written = path.with_name(f"{path.name}.{uuid4().hex}")
        try:
            written.write_bytes(_digest(path, code) + code)
            os.replace(written, path)
        except OSError:
            with suppress(OSError):
                written.unlink()
            raise

    def flush(self) -> None:
        """Remove the files of this kernel."""
        for path in self.folder.glob(f"{self.name}-{_stamp()}-*"):
            path.unlink(missing_ok=True)


def _digest(path: Path, code: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + code).digest()


def _stamp() -> str:
    return package_digest()[:_STAMP_CHARACTERS]


@cache
def _remove_others(folder: Path) -> None:
    """Remove the files that other sources left in a folder, once in each process."""
    for path in folder.iterdir():
        if any(suffix in _REPLACED for suffix in path.suffixes) and f"-{_stamp()}-" not in path.name:
            with suppress(OSError):
                path.unlink()


@cache
def _warn(message: str) -> None:
    """Warn once in each process: a hundred kernels may meet the same trouble."""
    _LOG.warning("%s", message)


def _lean(reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """An overload as Numba pickles it, without the environments of callees that hold no constants.

    Loading one means importing the module that it is of: 30 ms for those of Numba's own.
    """
    *parts, environments = reduced
    return (*parts, tuple(each for each in environments if each.consts))


class _OverloadCache(_FunctionCache):
    """Numba's cache of one function, with files of :class:`KernelFiles`."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        reduce = self._impl.reduce
        self._impl.reduce = lambda overload: _lean(reduce(overload))
        self._cache_file = KernelFiles(Path(self._cache_path), self._impl.filename_base)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the loaded code of a signature, or None.

        Numba's method first loads all that lowering needs, 0.2 s, which the compiler does for itself when it is used.
        """
        return self._load_overload(sig, target_context)


class KernelCache:
    """The cache of one kernel as Numba's dispatcher uses it; looks for a folder when the kernel is first used.

    ``counts_references`` says whether its code may call Numba's runtime, which must then be there before the code is.
    """

    def __init__(self, function: Callable[..., Any], *, counts_references: bool = True) -> None:
        self.function = function
        self.counts_references = counts_references

    @cached_property
    def overloads(self) -> Any:
        """The files; None where Numba's private interface is another one, or no folder can be written to."""
        try:
            return _OverloadCache(self.function)
        except (AttributeError, TypeError, RuntimeError, OSError) as error:
            _LOG.info("kernel %s can't be cached: %s", self.function.__name__, error)
            _warn("kernels can't be cached, no folder can be written to; name one in NUMBA_CACHE_DIR")
            return None

    @property
    def cache_path(self) -> str | None:
        """The folder; None where there is none."""
        return None if self.overloads is None else str(self.overloads.cache_path)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the loaded code of a signature, or None to have it compiled."""
        if self.overloads is None:
            return None
        if self.counts_references:
            rtsys.initialize(target_context)
        return self.overloads.load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save the code of a signature; where that fails, say so and go on: the next process compiles it again."""
        if self.overloads is None:
            return
        try:
            self.overloads.save_overload(sig, data)
        except OSError as error:
            _warn(f"kernels can't be cached in {self.cache_path}: {error.strerror}")

    def flush(self) -> None:
        """Remove the files of the kernel."""
        if self.overloads is not None:
            self.overloads.flush()
