"""How near the signals of a model come to those of its float network."""

import math

import numpy as np
from numpy.typing import NDArray

from fixedsim.evaluation.reader import Reader, Reals, signal_names
from fixedsim.evaluation.scoring import pieces
from fixedsim.model import Model
from fixedsim.network import Network


def shared_signals(model: Model, network: Network) -> list[str]:
    """The signals that both can trace, in the model's order of execution."""
    known = set(signal_names(network))
    return [name for name in signal_names(model) if name in known]


def signal_to_noise(model: Model, network: Network, tokens: NDArray[np.int64], vocabulary: int) -> dict[str, float]:
    """``10 * log10(sum(r**2) / sum((r - m)**2))`` in dB for each shared signal, over all steps and units.

    ``r`` are the reals of the network and ``m`` those of the model, each run by itself over ``tokens`` from its own
    initial state. Infinite where the two are equal.
    """
    names = shared_signals(model, network)
    power, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    readers = Reader(network), Reader(model)
    for piece in pieces(len(tokens), vocabulary, None):
        reference, quantized = (reader.read(tokens[piece], names)[1] for reader in readers)
        for name in names:
            power[name] += _energy(reference[name])
            noise[name] += _energy(reference[name] - quantized[name])
    return {name: decibels(power[name], noise[name]) for name in names}


def _energy(values: Reals) -> float:
    return float(np.sum(values * values))


def decibels(power: float, noise: float) -> float:
    """``10 * log10(power / noise)``: infinite without noise, minus infinity for noise without power."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(power / noise) if power else -math.inf
