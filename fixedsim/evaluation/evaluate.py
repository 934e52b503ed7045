"""Perplexity of a language model over one stream of tokens."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import ArrayLike

from fixedsim.errors import InputError
from fixedsim.evaluation.reader import Evaluated, Reader, Reals, checked_tokens, real_layers, vocabulary_size
from fixedsim.evaluation.scoring import Progress, score
from fixedsim.evaluation.signals import signal_to_noise
from fixedsim.layers.recorder import OverflowCount
from fixedsim.model import Model
from fixedsim.network import Network


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation finds.

    ``perplexity`` is ``exp`` of the mean of ``-log p`` over the ``predictions``, and ``bits_per_token`` that mean in
    bits. ``overflows`` maps each cast to how many of its values overflowed over the whole stream. ``bit_exact`` says
    that no layer is in ``real_layers``, those in floating point. ``seconds`` is what the model's own run took.
    ``reference_perplexity`` and ``snr`` (dB by signal) compare with a float network, where one was given.
    """

    predictions: int
    perplexity: float
    bits_per_token: float
    seconds: float
    bit_exact: bool
    real_layers: tuple[str, ...]
    overflows: Mapping[str, OverflowCount]
    reference_perplexity: float | None = None
    snr: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with None for what is not finite: of a signal that is exact, say."""
        snr = None if self.snr is None else {name: _finite(value) for name, value in self.snr.items()}
        return {
            **asdict(self),
            "perplexity": _finite(self.perplexity),
            "real_layers": list(self.real_layers),
            "reference_perplexity": _finite(self.reference_perplexity),
            "snr": snr,
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def log_probabilities(model: Evaluated, tokens: ArrayLike, *, chunk: int | None = None) -> Reals:
    """The natural logarithm of the probability of each token but the first, ``(N - 1,)``.

    The model or float network reads the stream from its initial state; its outputs are logits.

    Raises:
        InputError: a model that is no language model, fewer than 2 tokens, one outside the vocabulary, a chunk below 1.
    """
    vocabulary = vocabulary_size(model)
    return score(Reader(model), checked_tokens(tokens, vocabulary), vocabulary, chunk=chunk)


def evaluate(
    model: Evaluated,
    tokens: ArrayLike,
    *,
    reference: Network | None = None,
    chunk: int | None = None,
    progress: Progress | None = None,
    snr_tokens: int = 1000,
) -> Evaluation:
    """Find the perplexity of a model, or of a float network, over one stream of tokens ``(N,)``.

    It reads tokens ``0 .. N - 2`` from the initial state and predicts tokens ``1 .. N - 1``; the state is carried over
    the whole stream. Its outputs are logits, whose log-softmax is taken in float64. A model gives the same bits with
    any ``chunk``; a float network may differ in the last ones.

    Args:
        model: begins with an embedding and ends in one logit for each token of the vocabulary.
        tokens: integers of the model's vocabulary, as :func:`read_tokens` gives them.
        reference: the float network that the model was made from, evaluated on the same tokens.
        chunk: tokens run at a time, on which memory depends; chosen by the size of the vocabulary if left out.
        progress: called with the count of predictions done, of both runs together, and the count of all.
        snr_tokens: how many of the first tokens the signals are compared on, if there is a reference.

    Raises:
        InputError: a model that is no language model or of another vocabulary than the reference's, fewer than 2
            tokens, one outside the vocabulary, a chunk or ``snr_tokens`` below 1, a reference for a float network.
    """
    vocabulary = vocabulary_size(model)
    stream = checked_tokens(tokens, vocabulary)
    if reference is not None:
        _check_reference(model, reference, vocabulary, snr_tokens)
    reader = Reader(model)
    runs = 1 if reference is None else 2
    started = time.perf_counter()
    found = score(reader, stream, vocabulary, chunk=chunk, progress=_share(progress, 0, runs))
    seconds = time.perf_counter() - started
    loss = _mean_loss(found)
    compared: dict[str, Any] = {}
    if reference is not None and isinstance(model, Model):
        wanted = score(Reader(reference), stream, vocabulary, chunk=chunk, progress=_share(progress, 1, runs))
        compared["reference_perplexity"] = _exp(_mean_loss(wanted))
        compared["snr"] = signal_to_noise(model, reference, stream[:snr_tokens], vocabulary)
    in_float = tuple(real_layers(model))
    return Evaluation(
        predictions=len(found),
        perplexity=_exp(loss),
        bits_per_token=loss / math.log(2),
        seconds=seconds,
        bit_exact=not in_float,
        real_layers=in_float,
        overflows=reader.overflows,
        **compared,
    )


def _check_reference(model: Evaluated, reference: Network, vocabulary: int, snr_tokens: int) -> None:
    if not isinstance(model, Model):
        raise InputError("reference must be given for a model only, not for a float network")
    known = vocabulary_size(reference)
    if known != vocabulary:
        raise InputError(f"vocabulary of the reference must be the model's {vocabulary} tokens, not {known}")
    if snr_tokens < 1:
        raise InputError(f"snr_tokens must be at least 1, not {snr_tokens}")


def _share(progress: Progress | None, before: int, runs: int) -> Progress | None:
    """The progress of one run after ``before`` others of the same length, as that of all ``runs``."""
    if progress is None:
        return None
    return lambda done, total: progress(before * total + done, runs * total)


def _mean_loss(found: Reals) -> float:
    """The mean of ``-log p``, of an exactly rounded sum."""
    return -math.fsum(found) / len(found)


def _exp(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
