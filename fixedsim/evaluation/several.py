"""Several models evaluated on one stream of tokens, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.evaluation.evaluate import Evaluation, evaluate
from fixedsim.evaluation.processes import WARMING_TOKENS, in_processes, require_processes
from fixedsim.evaluation.reader import Evaluated
from fixedsim.files import read_tensors
from fixedsim.importers import load_network
from fixedsim.model import load_model
from fixedsim.model.store import KEY
from fixedsim.network import Network


def load_either(source: str | Path) -> Evaluated:
    """The model that a file holds, or else the float network of that file or name.

    Raises:
        FileError, NetworkError: it holds neither.
    """
    path = Path(source)
    if path.suffix == ".safetensors" and KEY in read_tensors(path).metadata:
        return load_model(path)
    return load_network(source)


@dataclass(frozen=True)
class _Job:
    source: str
    tokens: NDArray[np.int64]
    reference: str | None


def evaluate_several(
    sources: Sequence[str | Path],
    tokens: ArrayLike,
    *,
    reference: str | Path | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Evaluation]:
    """Evaluate models, or float networks, on one stream of tokens ``(N,)``, and give the results in their order.

    Each is what :func:`evaluate` gives; a process runs one at a time, with one thread.

    Args:
        sources: files of models, files of weights, or names of networks that ship.
        tokens: integers of the models' vocabulary.
        reference: the float network that the models were made from: a file or a name.
        processes: how many run side by side.
        progress: called with the count of models done and the count of all.

    Raises:
        InputError: fewer than 1 process, or what :func:`evaluate` refuses.
        FileError, NetworkError: a source that holds neither a model nor a network.
    """
    require_processes(processes)
    stream = np.asarray(tokens)
    jobs = [_Job(str(source), stream, None if reference is None else str(reference)) for source in sources]
    found: dict[int, Evaluation] = {}
    for place, evaluation in in_processes(_evaluate, jobs, processes, warm=_warm):
        found[place] = evaluation
        if progress:
            progress(len(found), len(jobs))
    return [found[place] for place in range(len(jobs))]


@lru_cache(maxsize=1)
def _reference(source: str) -> Network:
    return load_network(source)


def _evaluate(job: _Job) -> Evaluation:
    reference = None if job.reference is None else _reference(job.reference)
    return evaluate(load_either(job.source), job.tokens, reference=reference)


def _warm(job: _Job) -> None:
    evaluate(load_either(job.source), job.tokens[:WARMING_TOKENS])
