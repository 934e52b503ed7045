"""Work in several processes of one thread each, which load compiled kernels instead of compiling them."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from fixedsim.errors import InputError

Job = TypeVar("Job")
Found = TypeVar("Found")

WARMING_TOKENS = 1025  # of a short evaluation that compiles every kernel which a long one calls
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def require_processes(processes: int) -> None:
    """Refuse fewer than 1 process.

    Raises:
        InputError: fewer.
    """
    if processes < 1:
        raise InputError(f"processes must be at least 1, not {processes}")


def in_processes(
    work: Callable[[Job], Found], jobs: Sequence[Job], processes: int, *, warm: Callable[[Job], object]
) -> Iterator[tuple[int, Found]]:
    """The place and the result of each job, as they come.

    With 1 process, or fewer than 2 jobs, they run here in order. Else ``warm`` runs here first, on the first job, while
    the processes start: it leaves compiled kernels in the cache on disk, which they then find. An exception of a job is
    raised here; jobs that have not begun are dropped then.
    """
    if processes == 1 or len(jobs) < 2:
        yield from ((place, work(job)) for place, job in enumerate(jobs))
        return
    count = min(processes, len(jobs))
    with _one_thread_each(), ProcessPoolExecutor(count, get_context("spawn")) as pool:
        for _ in range(count):
            pool.submit(_started)
        warm(jobs[0])
        places = {pool.submit(work, job): place for place, job in enumerate(jobs)}
        try:
            for future in as_completed(places):
                yield places[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _started() -> None:
    """Nothing: a process that runs it has imported what jobs need."""


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Have processes started within leave each other's core alone: their libraries get one thread."""
    before = {name: os.environ[name] for name in _THREADS if name in os.environ}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name in _THREADS:
            del os.environ[name]
        os.environ.update(before)
