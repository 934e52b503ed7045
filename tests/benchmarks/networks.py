"""Networks of the sizes that are measured, with random weights; sizes count, values don't."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim import Model, Network, quantize
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, preset

VOCABULARY, FEATURES = 10_000, 300
SPEECH_RANGES = {"input": (-4.0, 4.0)}
_SEED = 2017


def random_network(description: Description) -> Network:
    """Uniform float32 weights of a size that keeps signals alive from layer to layer."""
    rng = np.random.default_rng(_SEED)
    weights: dict[str, NDArray[Any]] = {}
    for name, shape in description.tensors().items():
        reach = (3.0 / shape[1]) ** 0.5 if len(shape) == 2 else 0.1
        weights[name] = rng.uniform(-reach, reach, shape).astype(np.float32)
    return Network(description, weights)


@lru_cache(maxsize=2)
def language_network(units: int) -> Network:
    """The language model over 10,000 words with an embedding of 300 and an LSTM of ``units``."""
    layers = (
        EmbeddingLayer("embedding", VOCABULARY, FEATURES),
        LstmLayer("lstm", FEATURES, units),
        LinearLayer("decoder", units, VOCABULARY),
    )
    return random_network(Description(f"ptb-lm-{units}", layers))


@lru_cache(maxsize=2)
def language_model(units: int, weight_bits: int = 8, activation_bits: int = 8) -> Model:
    """The language model on integers."""
    return quantize(language_network(units), weight_bits=weight_bits, activation_bits=activation_bits)


@lru_cache(maxsize=1)
def speech_model() -> Model:
    """Deep Speech at 8/8."""
    return quantize(random_network(preset("deep-speech")), ranges=SPEECH_RANGES)


def speech_lstm() -> Description:
    """Deep Speech's bidirectional LSTM alone."""
    layer = next(layer for layer in preset("deep-speech").layers if isinstance(layer, LstmLayer))
    return Description("deep-speech-lstm", (replace(layer),))


@lru_cache(maxsize=2)
def speech_lstm_model(weight_bits: int) -> Model:
    """Deep Speech's bidirectional LSTM alone on integers."""
    return quantize(random_network(speech_lstm()), weight_bits=weight_bits, activation_bits=8, ranges=SPEECH_RANGES)


@lru_cache(maxsize=4)
def lstm_model(inputs: int, units: int, profile: str) -> Model:
    """One LSTM on integers of a profile."""
    description = Description("lstm", (LstmLayer("lstm", inputs, units),))
    return quantize(random_network(description), profile=profile, ranges=SPEECH_RANGES)


def forget() -> None:
    """Free the networks and models."""
    for made in (language_network, language_model, speech_model, speech_lstm_model, lstm_model):
        made.cache_clear()


def tokens(steps: int, batch: int = 1) -> NDArray[np.int64]:
    """Random tokens ``(steps, batch)``."""
    return np.random.default_rng(1).integers(0, VOCABULARY, (steps, batch))


def raws(model: Model, steps: int, batch: int) -> NDArray[np.int64]:
    """Random raws ``(steps, batch, features)`` of the model's input format."""
    form = model.input_format
    assert form is not None
    features = int(model.network["layers"][0]["inputs"])
    return np.random.default_rng(2).integers(form.raw_min, form.raw_max + 1, (steps, batch, features))
