"""What Hypothesis draws for the project's own tests of layers: a layer, what it reads, and the course of its run.

The layers and their raws are those of :mod:`fixedsim.testing`, which users have too.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm, State
from fixedsim.testing import Scope as Scope
from fixedsim.testing import accumulators as accumulators
from fixedsim.testing import (
    bidirectional_layers,
    embedding_layers,
    inputs,
    linear_layers,
    lstm_layers,
    states,
)
from fixedsim.testing import formats as formats
from fixedsim.testing import lstm_datapaths as lstm_datapaths
from fixedsim.testing import narrowings as narrowings
from fixedsim.testing.datapath import ANY
from fixedsim.testing.words import SEEDS as SEEDS
from fixedsim.testing.words import Words as Words

Integers = NDArray[np.int64]
# Steps and sequences.
LINEAR_SHAPES = st.sampled_from(((1, 1), (2, 2), (3, 2), (0, 1), (4, 3)))
LSTM_SHAPES = st.sampled_from(((1, 1), (3, 2), (4, 1), (2, 6), (0, 2)))
BIDIRECTIONAL_SHAPES = st.sampled_from(((1, 1), (4, 2), (3, 5)))


@dataclass(frozen=True)
class LinearCase:
    """A fully connected layer and its inputs ``(steps, batch, inputs)``."""

    layer: Linear
    inputs: Integers


@dataclass(frozen=True)
class LstmCase:
    """An LSTM, its inputs ``(steps, batch, inputs)``, and the course of its run."""

    layer: Lstm
    inputs: Integers
    state: State | None
    lengths: Integers | None
    reset: NDArray[np.bool_] | None


@dataclass(frozen=True)
class BidirectionalCase:
    """Both directions of an LSTM, their inputs, and the course of their run."""

    layer: Bidirectional
    inputs: Integers
    state: tuple[State | None, State | None]
    lengths: Integers | None
    reset: NDArray[np.bool_] | None


@dataclass(frozen=True)
class EmbeddingCase:
    """An embedding and its tokens ``(steps, batch)``."""

    layer: Embedding
    tokens: Integers


@st.composite
def linear_cases(draw: st.DrawFn, scope: Scope = ANY) -> LinearCase:
    """A fully connected layer with inputs."""
    layer, (steps, batch) = draw(linear_layers(scope)), draw(LINEAR_SHAPES)
    return LinearCase(layer, draw(inputs(layer, steps=steps, batch=batch, ends=scope.ends)))


def course(draw: st.DrawFn, steps: int, batch: int) -> tuple[Integers | None, NDArray[np.bool_] | None]:
    """Lengths and resets, or none of them."""
    words = Words(draw(SEEDS))
    lengths = words.integers(0, steps, (batch,)) if draw(st.booleans()) else None
    reset = words.integers(0, 2, (steps, batch)) == 0 if draw(st.booleans()) else None
    return lengths, reset


@st.composite
def lstm_cases(draw: st.DrawFn, scope: Scope = ANY) -> LstmCase:
    """An LSTM with inputs, and with or without a state of its own, lengths and resets."""
    layer, (steps, batch) = draw(lstm_layers(scope)), draw(LSTM_SHAPES)
    raws = draw(inputs(layer, steps=steps, batch=batch, ends=scope.ends))
    state = draw(st.none() | states(layer, batch=batch))
    return LstmCase(layer, raws, state, *course(draw, steps, batch))


@st.composite
def bidirectional_cases(draw: st.DrawFn, scope: Scope = ANY) -> BidirectionalCase:
    """Both directions of an LSTM with inputs, and with or without states, lengths and resets."""
    layer, (steps, batch) = draw(bidirectional_layers(scope)), draw(BIDIRECTIONAL_SHAPES)
    raws = draw(inputs(layer, steps=steps, batch=batch))
    given = [draw(st.none() | states(part, batch=batch)) for part in (layer.forward, layer.backward)]
    return BidirectionalCase(layer, raws, (given[0], given[1]), *course(draw, steps, batch))


@st.composite
def embedding_cases(draw: st.DrawFn) -> EmbeddingCase:
    """An embedding with tokens."""
    layer = draw(embedding_layers())
    return EmbeddingCase(layer, draw(inputs(layer, steps=4, batch=3)))
