"""Run a network as it may have been meant, also where no description could say so."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.importers.rereading import Reread
from fixedsim.network import Description, LstmLayer, Network

Array = NDArray[Any]


def is_causal(description: Description) -> bool:
    """Whether the output at each step depends only on inputs up to it."""
    return not any(layer.bidirectional or layer.reverse or layer.steps == "last" for layer in description.lstm_layers)


def outputs_of(reread: Reread, inputs: Array, dtype: type[np.floating[Any]]) -> Array:
    """The outputs in ``dtype``: ``(T, N, width)``, or ``(N, width)`` of one step.

    ``inputs``: ``(T, N)`` tokens or ``(T, N, features)``.
    """
    with np.errstate(all="ignore"):  # wrong conventions may overflow
        if reread.processing_order:
            outputs = _in_processing_order(reread, inputs, dtype)
        else:
            outputs = Network(reread.description, reread.weights).forward(inputs, dtype=dtype).output
    return _exchanged(outputs) if reread.swapped_output else outputs


def _in_processing_order(reread: Reread, values: Array, dtype: type[np.floating[Any]]) -> Array:
    """Layer by layer, each backward direction's outputs turned round in time."""
    for layer in reread.description.layers:
        part = Description("part", (layer,), reread.description.bit_rnn, reread.description.initial_state)
        weights = {name: reread.weights[name] for name in layer.tensors()}
        values = Network(part, weights).forward(values, dtype=dtype).output
        if isinstance(layer, LstmLayer) and layer.bidirectional and layer.steps == "all":
            forward, backward = np.split(values, 2, axis=-1)
            values = np.concatenate((forward, backward[::-1]), axis=-1)
    return values


def _exchanged(outputs: Array) -> Array:
    first, second = np.split(outputs, 2, axis=-1)
    return np.concatenate((second, first), axis=-1)
