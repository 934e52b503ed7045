"""Log-probabilities of the targets of one stream."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import InputError
from fixedsim.evaluation.reader import Logits, Reader, Reals
from fixedsim.kernels import softmax

Progress = Callable[[int, int], None]
Tokens = NDArray[np.int64]
_CHUNK = 9 << 17  # logits handled at a time: 4.5 MiB, which caches hold
_LONGEST = 1024  # tokens of a chunk
_GROUP = 16  # tokens that kernels of products take together


def pieces(steps: int, vocabulary: int, chunk: int | None) -> Iterator[slice]:
    """The steps ``0 .. steps - 1`` cut into pieces of ``chunk``, or of a length that caches hold.

    Raises:
        InputError: a chunk below 1.
    """
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk must be at least 1 token, not {chunk}")
    length = chunk or min(max(1, _CHUNK // vocabulary), _LONGEST)
    if chunk is None and length > _GROUP:
        length -= length % _GROUP
    return (slice(first, min(first + length, steps)) for first in range(0, steps, length))


def target_log_probabilities(logits: Logits, targets: Tokens) -> Reals:
    """``x[t, targets[t]] - log(sum(exp(x[t])))`` for each row ``x[t]`` of the logits, in float64; 1e-12 relative."""
    found = np.empty(len(targets))
    with np.errstate(invalid="ignore"):  # infinite logits, where kernels are interpreted
        softmax.target_log_probabilities(np.ascontiguousarray(logits.values), targets, logits.scale, found)
    return found


def score(
    reader: Reader, tokens: Tokens, vocabulary: int, *, chunk: int | None, progress: Progress | None = None
) -> Reals:
    """The log-probability ``(N - 1,)`` of each token but the first, given those before it.

    Each row is handled alike, wherever it stands, so that ``chunk`` does not change a bit.

    Raises:
        InputError: not as many outputs as tokens, or a chunk below 1.
    """
    found = np.empty(len(tokens) - 1)
    for piece in pieces(len(found), vocabulary, chunk):
        logits, _ = reader.read(tokens[piece])
        width = logits.values.shape[1]
        if width != vocabulary:
            raise InputError(f"outputs of a language model must be {vocabulary}, one for each token, not {width}")
        found[piece] = target_log_probabilities(logits, tokens[1:][piece])
        if progress:
            progress(piece.stop, len(found))
    return found
