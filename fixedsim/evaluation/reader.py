"""Models and float networks as language models: one stream of tokens read piece by piece, the state carried on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import to_real
from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.real_layers import RealBidirectional, RealEmbedding, RealLstm
from fixedsim.layers.recorder import OverflowCount
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.network import EmbeddingLayer, Network

Reals = NDArray[np.float64]
Evaluated = Model | Network


def real_layers(model: Evaluated) -> list[str]:
    """The names of the layers in floating point: all of a float network."""
    return model.real_layers if isinstance(model, Model) else [layer.name for layer in model.description.layers]


def signal_names(model: Evaluated) -> tuple[str, ...]:
    """The signals that can be traced, in order of execution."""
    return tuple(model.signals) if isinstance(model, Model) else model.description.signals()


def vocabulary_size(model: Evaluated) -> int:
    """How many tokens a language model knows.

    Raises:
        InputError: not a language model: no embedding, or outputs that know later tokens or are of the last step only.
    """
    size = _model_vocabulary(model) if isinstance(model, Model) else _network_vocabulary(model)
    if size is None:
        raise InputError("first layer of a language model must be an embedding, not another layer")
    if _looks_ahead(model):
        raise InputError("language model must read forwards and give an output for each step, not read both ways")
    return size


def _model_vocabulary(model: Model) -> int | None:
    match model.layers[0]:
        case Embedding(table=table) | RealEmbedding(weight=table):
            return int(table.shape[0])
        case _:
            return None


def _network_vocabulary(network: Network) -> int | None:
    first = network.description.layers[0]
    return first.vocabulary if isinstance(first, EmbeddingLayer) else None


def _looks_ahead(model: Evaluated) -> bool:
    if isinstance(model, Model):
        return bool(model.last) or any(map(_turns, model.layers))
    return any(layer.bidirectional or layer.reverse or layer.steps == "last" for layer in model.description.lstm_layers)


def _turns(layer: Layer) -> bool:
    """Whether a layer of a model reads time backwards."""
    backwards = isinstance(layer, RealLstm) and layer.reverse
    return backwards or isinstance(layer, Bidirectional | RealBidirectional | Reversal)


def checked_tokens(tokens: ArrayLike, vocabulary: int) -> NDArray[np.int64]:
    """The tokens of one stream ``(N,)``, of which all but the first are predicted.

    Raises:
        InputError: fewer than 2, not one axis of integers, or one outside ``0 .. vocabulary - 1``.
    """
    stream = np.asarray(tokens)
    if stream.ndim != 1 or stream.dtype.kind not in "iu":
        raise InputError(f"tokens must be integers (N,), not {stream.dtype}{stream.shape}")
    if len(stream) < 2:
        raise InputError(
            f"tokens must be at least 2, not {len(stream)}; the first is read and the others are predicted"
        )
    outside = np.flatnonzero((stream < 0) | (stream >= vocabulary))
    if len(outside):
        place = int(outside[0])
        raise InputError(
            f"tokens must be in 0..{vocabulary - 1}, not {stream[place]} at position {place}; "
            "read the text with the vocabulary of the model"
        )
    return stream.astype(np.int64)


@dataclass(frozen=True)
class Logits:
    """Logits ``(T, vocabulary)``: ``scale * values`` and, in each row, a constant that a softmax does not see.

    ``values`` are the raws of a model whose last layer is on integers, else reals, and ``scale`` is 1.
    """

    values: NDArray[Any]
    scale: float = 1.0


@dataclass
class Reader:
    """Reads one stream from the initial state, piece by piece.

    ``overflows`` counts each cast's overflows over all pieces.
    """

    model: Evaluated
    state: Any = None
    overflows: dict[str, OverflowCount] = field(default_factory=dict)

    def read(self, tokens: NDArray[np.int64], trace: Iterable[str] = ()) -> tuple[Logits, dict[str, Reals]]:
        """The logits after each of ``(T,)`` tokens, and traces ``(T, 1, units)`` as reals."""
        if isinstance(self.model, Network):
            forward = self.model.forward(tokens, state=self.state, trace=tuple(trace))
            self.state = forward.state
            reals = {name: _float64(values) for name, values in forward.trace.items()}
            return Logits(_float64(forward.output)), reals
        result = self.model.run(tokens, state=self.state, trace=trace)
        self.state = result.state
        for cast, count in result.overflows.items():
            total = self.overflows.setdefault(cast, OverflowCount())
            total.values += count.values
            total.low += count.low
            total.high += count.high
        form = self.model.output_format
        logits = Logits(result.real) if form is None else Logits(result.values, _step(form))
        return logits, {name: self.model.signals[name].real(raws) for name, raws in result.trace.items()}


def _step(form: Format) -> float:
    """What one raw more means; the zero point is the same in every logit."""
    return float(to_real([form.zero_point + 1], form)[0])


def _float64(values: NDArray[np.floating[Any]]) -> Reals:
    return values.astype(np.float64, copy=False)
