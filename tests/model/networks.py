"""Small networks with weights of our own generator, and models of them."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.model import Model
from fixedsim.model.run import RunResult
from fixedsim.network import Description, Network
from fixedsim.network.description import EmbeddingLayer, LinearLayer, LstmLayer
from fixedsim.quantization import quantize
from tests.strategies import Words

LANGUAGE = Description(
    "language",
    (EmbeddingLayer("words", 11, 5), LstmLayer("low", 5, 4), LstmLayer("high", 4, 3), LinearLayer("out", 3, 7)),
)
SPEECH = Description(
    "speech",
    (
        LinearLayer("fc1", 6, 5, "clipped_relu", 20.0),
        LstmLayer("low", 5, 4),
        LstmLayer("both", 4, 3, bidirectional=True, forget_bias=1.0),
        LinearLayer("fc2", 6, 4, "sigmoid"),
        LinearLayer("out", 4, 3),
    ),
)
RANGES = {"input": (-1.0, 1.0)}


def network(description: Description, seed: int = 1, reach: float = 1.5) -> Network:
    """A network with uniform weights in ``-reach .. reach`` over the square root of the row's length."""
    words = Words(seed)
    weights = {
        name: words.uniform(-reach, reach, shape) / (np.sqrt(shape[1]) if len(shape) == 2 else 1)
        for name, shape in description.tensors().items()
    }
    return Network(description, weights)


def model(description: Description, **choices: Any) -> Model:
    """The quantized model of :func:`network`."""
    if description is SPEECH:
        choices = {"ranges": RANGES} | choices
    return quantize(network(description), **choices)


def inputs(made: Model, steps: int, batch: int, seed: int = 5) -> NDArray[np.int64]:
    """Tokens or raws for the model."""
    words, form = Words(seed), made.input_format
    if form is None:
        return words.integers(0, 10, (steps, batch))
    return words.raws(form, (steps, batch, 6))


def digest(result: RunResult) -> str:
    """SHA-256 of everything that a run leaves in integers."""
    found = hashlib.sha256()
    parts = {"raw": result.raw, **result.trace}
    for name, (hidden, cell) in result.state.items():
        parts |= {f"{name}.h": hidden, f"{name}.c": cell}
    for name, raws in sorted(parts.items()):
        assert raws is not None
        found.update(f"{name} {raws.shape}".encode())
        found.update(np.ascontiguousarray(raws, dtype="<i8").tobytes())
    return found.hexdigest()
