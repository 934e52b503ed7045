"""Models of every profile and of drawn layers, and cases for them: what the tests of golden sets run on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

import fixedsim
from fixedsim.errors import FixedsimError
from fixedsim.model import Model
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network
from fixedsim.profiles.profile import profile_names
from fixedsim.testing import bidirectional_layers, embedding_layers, inputs, linear_layers, lstm_layers, states
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.playing import Entry, streams
from tests.widening.test_widen import descriptions

PROFILES = profile_names()
RANGES = {"*": (-4.0, 4.0)}
STREAM = Description("stream", (LstmLayer("lstm", 2, 3), LinearLayer("fc", 3, 2, "tanh")))
WORDS = Description("words", (EmbeddingLayer("embedding", 5, 2), LstmLayer("lstm", 2, 2), LinearLayer("fc", 2, 3)))
BOTH = Description("both", (LinearLayer("fc", 3, 2, "relu"), LstmLayer("lstm", 2, 2, bidirectional=True)))
STACK = Description(
    "stack",
    (
        LstmLayer("low", 2, 2),
        LstmLayer("high", 2, 2, forget_bias=1.0),
        LinearLayer("fc", 2, 2, "sigmoid"),
    ),
)
LAST = Description(
    "last", (LstmLayer("low", 2, 2), LstmLayer("high", 2, 2, steps="last"), LinearLayer("fc", 2, 2, "sigmoid"))
)
FEATURES = Description(
    "features",
    (
        LstmLayer("low", 2, 2, projection=3, peephole=True, coupled=True, clip=1.5, initial=True),
        LstmLayer("high", 3, 2, cell_clip=2.0),
        LinearLayer("fc", 2, 2),
    ),
)
TURNED = Description("turned", (LstmLayer("lstm", 2, 3, reverse=True, steps="last"), LinearLayer("fc", 3, 2, "tanh")))
KINDS = {each.name: each for each in (STREAM, WORDS, BOTH, STACK, LAST, FEATURES, TURNED)}


def network(description: Description, seed: int = 1, gain: float = 1.0) -> Network:
    """A network with normal weights."""
    rng = np.random.default_rng(seed)
    return Network(description, {name: gain * rng.normal(size=shape) for name, shape in description.tensors().items()})


def model(kind: str, profile: str = "fixed-point", seed: int = 1, gain: float = 1.0, **choices: Any) -> Model:
    """The integer model of one of the descriptions above, without the clips of cells that a profile resizes."""
    description = KINDS[kind]
    if profile == "elastic-ai-integer":
        layers = (replace(each, cell_clip=None) if isinstance(each, LstmLayer) else each for each in description.layers)
        description = replace(description, layers=tuple(layers))
    return fixedsim.quantize(network(description, seed, gain), profile=profile, ranges=RANGES, **choices)


@pytest.fixture(scope="module", autouse=True)
def few_tried() -> Iterator[None]:
    """Work out the values of sums only where it takes milliseconds, not seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fixedsim_golden.exhaustion._MOST_WORK", 1 << 16, raising=False)
        patch.setattr("fixedsim_golden.exhaustion._MOST_VALUES", 1 << 14, raising=False)
        yield


@st.composite
def shipped(draw: st.DrawFn, profile: str) -> Model:
    """A small network by a shipped profile, of few bits or as many as the profile has."""
    description, seed = draw(descriptions()), draw(st.integers(0, 1 << 32))
    gain = draw(st.sampled_from((0.0, 0.3, 1.0, 3.0)))
    choices: dict[str, Any] = {}
    if draw(st.booleans()):
        choices = {"weight_bits": draw(st.integers(1, 8)), "activation_bits": draw(st.integers(1, 8))}
    try:
        return fixedsim.quantize(network(description, seed, gain), profile=profile, ranges=RANGES, **choices)
    except FixedsimError:
        assume(False)
        raise


@st.composite
def drawn(draw: st.DrawFn) -> Model:
    """A model of one or two layers whose every cast is drawn."""
    kinds = (linear_layers, lstm_layers, bidirectional_layers)
    kind: Any = draw(st.sampled_from((*kinds, embedding_layers)))
    layer: Any = draw(kind())
    return Model("drawn", (layer,))


@st.composite
def case_lists(draw: st.DrawFn, made: Model, *, most: int = 3) -> list[Case]:
    """Cases of up to 4 steps: from a reset, put in, or continued; with resets where the model streams."""
    found: list[Case] = []
    for place in range(draw(st.integers(1, most))):
        raws = draw(inputs(made, batch=1))[:, 0]
        starts = [Start.RESET, Start.INJECTED]
        if streams(made) and place:
            starts.append(Start.CONTINUED)
        start, state = draw(st.sampled_from(starts)), {}
        resets: tuple[int, ...] = ()
        if start is Start.INJECTED:
            state = {name: (pair[0][0], pair[1][0]) for name, pair in draw(states(made, batch=1)).items()}
        if streams(made) and len(raws) > 1:
            resets = tuple(step for step in range(1, len(raws)) if draw(st.integers(0, 3)) == 0)
        found.append(Case(f"case-{place}", ("random",), raws, start, state, resets))
    return found


def raws_by_name(entries: list[Entry]) -> dict[str, Any]:
    """Raws of entries by name."""
    return {entry.name: entry.raws for entry in entries}
