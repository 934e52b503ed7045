"""The small language models that the tests of evaluation run."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.model import Model
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network
from fixedsim.quantization import quantize
from tests.strategies import Words

VOCABULARY = 11


@pytest.fixture(scope="session")
def network() -> Network:
    """An embedding, an LSTM and a decoder, of weights in -2 .. 2."""
    layers = (
        EmbeddingLayer("embedding", VOCABULARY, 5),
        LstmLayer("lstm", 5, 7),
        LinearLayer("decoder", 7, VOCABULARY),
    )
    return weighted(Description("tiny", layers), seed=1)


def weighted(description: Description, seed: int) -> Network:
    """A network whose weights are multiples of 1/512 in -2 .. 2."""
    words = Words(seed)
    shapes = description.tensors()
    return Network(description, {name: words.integers(-1024, 1024, shapes[name]) / 512 for name in shapes})


@pytest.fixture(scope="session")
def model(network: Network) -> Model:
    """The network at 8-bit weights and 6-bit activations, where casts overflow."""
    return quantize(network, weight_bits=8, activation_bits=6, ranges={"embedding.output": (-1.0, 1.0)})


@pytest.fixture(scope="session")
def tokens() -> NDArray[np.int64]:
    """A stream of 301 tokens."""
    return Words(2).integers(0, VOCABULARY - 1, (301,))
