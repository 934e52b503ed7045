"""The reference model in lock-step beside a device: one step in, every signal out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.errors import InputError
from fixedsim.model import Model, load_model
from fixedsim_golden.playing import lstms, require_integers, streams
from fixedsim_golden.sequences import sequences_of

Integers = NDArray[np.int64]


class Reference:
    """A model that is stepped as a device is: in a cocotb bench, or wherever steps come one by one.

    Args:
        model: a model or its file, without layers in floating point or bidirectional ones.
        engine: ``kernels``, or ``spec``: the scalar specification.

    Raises:
        InputError: a model that does not give an output at every step, or is not bit-exact.
    """

    def __init__(self, model: Model | Path | str, *, engine: str = "kernels") -> None:
        self.model = model if isinstance(model, Model) else load_model(model)
        require_integers(self.model)
        if not streams(self.model):
            raise InputError(f"model {self.model.name} must give an output at every step to be a reference for steps")
        self._engine = engine
        self.state: Mapping[str, tuple[Any, Any]] = {}
        self.reset()

    def reset(self) -> None:
        """Put the state back to what it is before the first step."""
        parts = lstms(self.model)
        self.load(
            {name: (part.initial_state(1).hidden[0], part.initial_state(1).cell[0]) for name, part in parts.items()}
        )

    def load(self, state: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> None:
        """Put in raws ``(h, c)``, ``(outputs,)`` and ``(units,)``, by LSTM; those left out stay as they are."""
        self.state = {**self.state, **{name: (np.asarray(h), np.asarray(c)) for name, (h, c) in state.items()}}

    def step(self, inputs: ArrayLike) -> dict[str, Integers]:
        """Take one step and return every signal ``(units,)`` by name, and ``output``.

        Args:
            inputs: raws or reals ``(features,)``, or a token.

        Raises:
            InputError: inputs of another shape, or that are no raws of their format.
        """
        (sequence,) = sequences_of(self.model, np.asarray(inputs)[None])
        batch = {name: (h[None], c[None]) for name, (h, c) in self.state.items()}
        result = self.model.run(sequence[:, None], state=batch, trace="*", engine=self._engine)
        self.state = {name: (h[0], c[0]) for name, (h, c) in result.state.items()}
        assert result.raw is not None
        signals = {name: trace[0, 0] for name, trace in result.trace.items()}
        return {**signals, "output": result.raw[0, 0]}
