"""Log-probabilities of the targets of one stream, computed beside the run that gives the logits."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import InputError
from fixedsim.evaluation.reader import Reader, Reals

Progress = Callable[[int, int], None]
Tokens = NDArray[np.int64]
_CHUNK = 1 << 20  # logits handled at a time: 8 MiB, which caches hold
_LONGEST = 1024  # tokens of a chunk
_WAITING = 2  # chunks whose logits are kept while the next is run


def pieces(steps: int, vocabulary: int, chunk: int | None) -> Iterator[slice]:
    """The steps ``0 .. steps - 1`` cut into pieces of ``chunk``, or of a length that caches hold.

    Raises:
        InputError: a chunk below 1.
    """
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk must be at least 1 token, not {chunk}")
    length = min(max(1, _CHUNK // vocabulary), _LONGEST) if chunk is None else chunk
    return (slice(first, min(first + length, steps)) for first in range(0, steps, length))


def target_log_probabilities(logits: Reals, targets: Tokens) -> Reals:
    """``logits[t, targets[t]] - log(sum(exp(logits[t])))`` for each t, in float64, the row's maximum taken off."""
    below = logits - logits.max(axis=1, keepdims=True)
    picked = below[np.arange(len(targets)), targets]
    return np.asarray(picked - np.log(np.exp(below, out=below).sum(axis=1)))


def score(
    reader: Reader, tokens: Tokens, vocabulary: int, *, chunk: int | None, progress: Progress | None = None
) -> Reals:
    """The log-probability ``(N - 1,)`` of each token but the first, given those before it.

    One worker thread normalizes the logits of a chunk while the next is run. Each row is handled alike, wherever it
    stands, so that neither threads nor ``chunk`` change a bit.

    Raises:
        InputError: not as many outputs as tokens, or a chunk below 1.
    """
    steps = len(tokens) - 1
    parts: list[Reals] = []
    waiting: deque[Future[Reals]] = deque()

    def collect() -> None:
        parts.append(waiting.popleft().result())
        if progress:
            progress(sum(map(len, parts)), steps)

    with ThreadPoolExecutor(max_workers=1) as worker:
        for piece in pieces(steps, vocabulary, chunk):
            logits, _ = reader.read(tokens[piece])
            if logits.shape[1] != vocabulary:
                raise InputError(
                    f"outputs of a language model must be {vocabulary}, one for each token, not {logits.shape[1]}"
                )
            waiting.append(worker.submit(target_log_probabilities, logits, tokens[1:][piece]))
            if len(waiting) == _WAITING:
                collect()
        while waiting:
            collect()
    return np.concatenate(parts)
