"""Layers that a model leaves in float64, for studies that quantize one kind of layer at a time.

They compute with the machine's floating point, so a model that holds one is not bit-exact from machine to machine.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import InputError, ModelError
from fixedsim.layers.real import ACTIVATIONS, Real, activation, identity, linear_forward
from fixedsim.layers.real_lstm import (
    GATES,
    PROJECTED,
    LstmFunctions,
    LstmState,
    LstmWeights,
    Schedule,
    lstm_forward,
)

Reals = NDArray[np.float64]


def _require_shape(values: Reals, shape: tuple[int, ...], what: str) -> None:
    if values.shape != shape:
        raise ModelError(f"{what} must have shape {shape}, not {values.shape}")


def _require_function(name: str, what: str, known: Iterable[str]) -> None:
    if name not in tuple(known):
        raise ModelError(f"{what} must be one of {', '.join(known)}, not {name!r}")


@dataclass(frozen=True, eq=False)
class RealEmbedding:
    """``weight[token]`` in float64; tokens ``(steps, batch)``."""

    name: str
    weight: Reals

    def run(self, tokens: NDArray[np.int64]) -> Reals:
        """The entries ``(steps, batch, features)``.

        Raises:
            InputError: a token outside the vocabulary.
        """
        outside = tokens[(tokens < 0) | (tokens >= len(self.weight))]
        if outside.size:
            raise InputError(
                f"token must be in 0..{len(self.weight) - 1} (the vocabulary of {self.name}), not {outside[0]}"
            )
        return self.weight[tokens]


@dataclass(frozen=True, eq=False)
class RealLinear:
    """``activation(weight @ x + bias)`` in float64."""

    name: str
    weight: Reals  # (outputs, inputs)
    bias: Reals  # (outputs,)
    activation: str
    clip: float | None = None

    def __post_init__(self) -> None:
        _require_shape(self.bias, (len(self.weight),), f"{self.name}.bias")
        _require_function(self.activation, f"activation of {self.name}", (*ACTIVATIONS, "clipped_relu"))
        if self.clip is not None and not isinstance(self.clip, int | float):
            raise ModelError(f"clip of {self.name} must be a number, not {self.clip!r}")

    def run(self, inputs: Reals) -> Real:
        """The outputs ``(steps, batch, outputs)`` for inputs ``(steps, batch, inputs)``."""
        return activation(self.activation, self.clip)(linear_forward(inputs, self.weight, self.bias))


@dataclass(frozen=True, eq=False)
class RealLstm:
    """One direction of an LSTM in float64; with ``hidden_bits`` its output is rounded as Bit-RNN's is.

    ``peephole`` maps gates to weights ``(H,)``; ``start`` holds ``hidden`` and ``cell`` where units start apart. The
    hidden state is as wide as the ``projection``.
    """

    name: str
    input_weight: Reals  # (G*H, I), gates input, forget, candidate, output; coupled: no input gate
    recurrent_weight: Reals  # (G*H, P)
    bias: Reals  # (G*H,), forget bias included
    gate: str
    candidate: str
    cell_activation: str
    initial: float = 0.0
    hidden_bits: int | None = None
    reverse: bool = False
    coupled: bool = False
    clip: float | None = None
    cell_clip: float | None = None
    projection: Reals | None = None  # (P, H)
    peephole: Mapping[str, Reals] = field(default_factory=dict)
    start: Mapping[str, Reals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, widths = len(self.gates) * self.units, {"hidden": self.outputs, "cell": self.units}
        _require_shape(self.input_weight, (rows, self.input_weight.shape[1]), f"{self.name}.input.weight")
        _require_shape(self.recurrent_weight, (rows, self.outputs), f"{self.name}.recurrent.weight")
        _require_shape(self.bias, (rows,), f"{self.name}.bias")
        for gate, values in self.peephole.items():
            _require_function(gate, f"peephole of {self.name}", [gate for gate in self.gates if gate != "candidate"])
            _require_shape(values, (self.units,), f"{self.name}.peephole.{gate}")
        for what, values in self.start.items():
            _require_function(what, f"initial state of {self.name}", widths)
            _require_shape(values, (widths[what],), f"{self.name}.initial.{what}")
        for function in (self.gate, self.candidate, self.cell_activation):
            _require_function(function, f"activation of {self.name}", ACTIVATIONS)
        self._check_numbers()

    def _check_numbers(self) -> None:
        if not isinstance(self.initial, int | float) or not -1 <= self.initial <= 1:
            raise ModelError(f"initial state of {self.name} must be in [-1, 1], not {self.initial!r}")
        if self.hidden_bits is not None and self.hidden_bits not in range(1, 17):
            raise ModelError(f"hidden bits of {self.name} must be in 1..16, not {self.hidden_bits!r}")
        for key, limit in (("clip", self.clip), ("cell_clip", self.cell_clip)):
            if limit is not None and not (isinstance(limit, int | float) and 0 < limit < float("inf")):
                raise ModelError(f"{key} of {self.name} must be positive and finite, not {limit!r}")

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that have rows."""
        return GATES[1:] if self.coupled else GATES

    @property
    def units(self) -> int:
        """The width of the cell."""
        return int(self.recurrent_weight.shape[1] if self.projection is None else self.projection.shape[1])

    @property
    def outputs(self) -> int:
        """The width of the hidden state: the units, or the projection's rows."""
        return self.units if self.projection is None else len(self.projection)

    def initial_state(self, batch: int) -> LstmState:
        """The state after a reset."""
        widths = {"hidden": self.outputs, "cell": self.units}
        return LstmState(
            *(
                np.array(np.broadcast_to(self.start.get(what, self.initial), (batch, width)), dtype=np.float64)
                for what, width in widths.items()
            )
        )

    def run(
        self,
        inputs: Reals,
        state: LstmState | None,
        *,
        valid: NDArray[np.bool_] | None,
        reset: NDArray[np.bool_] | None,
    ) -> tuple[Real, LstmState]:
        """The hidden state of every step ``(steps, batch, outputs)`` and the state after the last one taken."""
        initial = self.initial_state(inputs.shape[1])
        hidden = np.zeros((*inputs.shape[:2], self.outputs))
        after = lstm_forward(
            inputs,
            LstmWeights(self.input_weight, self.recurrent_weight, self.bias, self.projection, self.peephole),
            self._functions(),
            Schedule(valid, reset, self.reverse),
            state=initial if state is None else state,
            initial=initial,
            record={"hidden" if self.projection is None else PROJECTED: hidden},
        )
        return hidden, after

    def _functions(self) -> LstmFunctions:
        return LstmFunctions(
            activation(self.gate),
            activation(self.candidate),
            activation(self.cell_activation),
            identity if self.hidden_bits is None else self._round,
            coupled=self.coupled,
            clip=self.clip,
            cell_clip=self.cell_clip,
        )

    def _round(self, hidden: Real) -> Real:
        top = float((1 << (self.hidden_bits or 1)) - 1)
        return np.asarray(np.rint(np.clip(hidden, 0, 1) * top) / top)


@dataclass(frozen=True, eq=False)
class RealBidirectional:
    """Both directions of an LSTM in float64, their outputs concatenated."""

    name: str
    forward: RealLstm
    backward: RealLstm
