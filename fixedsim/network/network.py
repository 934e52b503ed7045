"""A network: a description and its float weights, which can be run, traced and saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fixedsim.layers.real import Real
from fixedsim.layers.real_lstm import LstmState
from fixedsim.network.description import Description
from fixedsim.network.inputs import (
    FloatType,
    checked_dtype,
    checked_inputs,
    checked_reset,
    checked_state,
    initial_state,
    valid_steps,
)
from fixedsim.network.run import Run
from fixedsim.network.saving import save_network
from fixedsim.network.weights import Weights, checked_weights, run_weights
from fixedsim.patterns import matching


@dataclass(frozen=True, slots=True)
class ForwardResult:
    """What a run gives.

    ``output`` has the rank of the inputs' time and stream axes, then features; an LSTM with ``steps = "last"``
    takes the time axis away. ``state`` holds ``(h, c)`` of every direction of every LSTM, ``(N, units)`` each, the
    hidden state as wide as a projection. ``trace`` maps signal names to ``(T, N, units)``.
    """

    output: Real
    state: dict[str, LstmState]
    trace: dict[str, Real] = field(default_factory=dict)


class Network:
    """A description and its weights, canonical tensor name to a float64 or float32 array.

    The weights are kept as views: they must not change afterwards.

    Raises:
        NetworkError: a tensor is missing, unknown, of another shape or dtype, or not finite.
    """

    def __init__(self, description: Description, weights: Weights) -> None:
        self.description = description
        self.weights = checked_weights(description, weights)
        self._run_weights: dict[FloatType, dict[str, Real]] = {}

    def forward(
        self,
        inputs: ArrayLike,
        *,
        dtype: DTypeLike = np.float64,
        state: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        trace: Sequence[str] = (),
        deterministic: bool = False,
    ) -> ForwardResult:
        """Run the network in real numbers, in ``dtype`` (float64 or float32) throughout.

        Args:
            inputs: token ids ``(T, N)`` or ``(T,)`` where the network begins with an embedding, else reals
                ``(T, N, features)`` or ``(T, features)``.
            dtype: of all arithmetic and results.
            state: where the LSTMs start, by name; those left out start from the initial state. The result's
                state, handed in again, continues a run: long data are run in pieces.
            lengths: ``(N,)`` steps of each sequence. Steps past it give zero output and zero signals and leave
                the state; a backward direction starts at the sequence's own last step.
            reset: ``(T, N)`` of booleans; the state is put back to the initial one before that step, in the
                order in which each direction runs.
            trace: patterns of signal names to keep.
            deterministic: the same bits on every machine, by ordered sums and functions of our own; slow.

        Raises:
            InputError: an argument does not fit the network, or a pattern matches no signal.
        """
        real = checked_dtype(dtype)
        wanted = matching(trace, self.description.signals(), "trace pattern")
        values, batched = checked_inputs(self.description, inputs, real)
        steps, streams = values.shape[:2]
        weights = self._weights_in(real)
        initial = initial_state(self.description, weights, streams, real)
        run = Run(
            description=self.description,
            weights=weights,
            state=checked_state(state or {}, initial, real),
            initial=initial,
            valid=valid_steps(lengths, steps, streams),
            reset=checked_reset(reset, steps, streams),
            wanted=wanted,
            deterministic=deterministic,
        )
        output = run.layers(values)
        return ForwardResult(self._ranked(output, batched), run.state, run.trace)

    def _ranked(self, output: Real, batched: bool) -> Real:
        """``(T, N, features)`` without the stream axis that the inputs lacked and the time axis that is gone."""
        gone: tuple[int, ...] = () if batched else (1,)
        if any(layer.steps == "last" for layer in self.description.lstm_layers):
            gone = (0, *gone)
        return np.squeeze(output, axis=gone)

    def _weights_in(self, dtype: FloatType) -> dict[str, Real]:
        """The tensors that a run in ``dtype`` uses, made once."""
        if dtype not in self._run_weights:
            self._run_weights[dtype] = run_weights(self.description, self.weights, dtype)
        return self._run_weights[dtype]

    def save(self, path: Path | str) -> None:
        """Write one safetensors file, PyTorch's names, the description in its metadata; atomically.

        The tensors keep their dtype and values. A killed run leaves the old file or none.

        Raises:
            FileError: the file cannot be written.
        """
        save_network(self.description, self.weights, Path(path))
