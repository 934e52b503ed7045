"""Run a network in real numbers, layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fixedsim.layers.real import (
    Activation,
    Mask,
    Product,
    Real,
    activation,
    identity,
    linear_forward,
    matrix_product,
    ordered_product,
)
from fixedsim.layers.real_lstm import PROJECTED, LstmFunctions, LstmState, LstmWeights, Schedule, lstm_forward
from fixedsim.network.bit_rnn import round_unit
from fixedsim.network.description import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer

State: TypeAlias = dict[str, LstmState]


@dataclass
class Run:
    """One run through all layers: what it reads, and the state and trace that it gives.

    Masks are ``(T, N)`` or None; ``state`` holds the state of every direction of every LSTM and is replaced.
    """

    description: Description
    weights: Mapping[str, Real]
    state: State
    initial: State
    valid: Mask | None
    reset: Mask | None
    wanted: frozenset[str]
    deterministic: bool = False
    trace: dict[str, Real] = field(default_factory=dict)

    def layers(self, values: NDArray[Any]) -> Real:
        """The output of the last layer, ``(T, N, features)``, for token ids ``(T, N)`` or ``(T, N, features)``."""
        for layer in self.description.layers:
            values = self._layer(layer, values)
        return values

    def _layer(self, layer: Layer, values: NDArray[Any]) -> Real:
        match layer:
            case EmbeddingLayer():
                return self._embedding(layer, values)
            case LinearLayer():
                return self._linear(layer, values)
            case LstmLayer():
                return self._lstm(layer, values)

    def _embedding(self, layer: EmbeddingLayer, tokens: NDArray[Any]) -> Real:
        return self._keep(f"{layer.name}.output", self.weights[f"{layer.name}.weight"][tokens])

    def _linear(self, layer: LinearLayer, values: Real) -> Real:
        bias = self.weights[f"{layer.name}.bias"] if layer.bias else None
        preactivation = linear_forward(values, self.weights[f"{layer.name}.weight"], bias, self._product)
        self._keep(f"{layer.name}.preactivation", preactivation)
        return self._keep(f"{layer.name}.output", self._activation(layer.activation, layer.clip)(preactivation))

    def _lstm(self, layer: LstmLayer, values: Real) -> Real:
        outputs = [self._direction(layer, index, values) for index in range(len(layer.directions))]
        if layer.steps == "last":
            self.valid = None  # what follows sees one step, which every sequence has
        if not layer.bidirectional:
            return outputs[0]
        return self._keep(f"{layer.name}.output", np.concatenate(outputs, axis=2))

    def _direction(self, layer: LstmLayer, index: int, values: Real) -> Real:
        """Run the first (0) or the backward (1) direction and return its hidden state."""
        name, output = layer.directions[index], layer.direction_signals[-1]
        record = {
            signal: np.zeros(
                (*values.shape[:2], layer.hidden_width if signal == PROJECTED else layer.units), values.dtype
            )
            for signal in layer.direction_signals
            if signal == output or f"{name}.{signal}" in self.wanted
        }
        self.state[name] = lstm_forward(
            values,
            self._lstm_weights(layer, name),
            self._functions(layer),
            Schedule(self.valid, self.reset, reverse=layer.runs_backwards(index)),
            state=self.state[name],
            initial=self.initial[name],
            record=record,
        )
        self.trace |= {f"{name}.{s}": array for s, array in record.items() if f"{name}.{s}" in self.wanted}
        return self.state[name].hidden[None] if layer.steps == "last" else record[output]

    def _lstm_weights(self, layer: LstmLayer, name: str) -> LstmWeights:
        return LstmWeights(
            self.weights[f"{name}.input.weight"],
            self.weights[f"{name}.recurrent.weight"],
            self.weights.get(f"{name}.bias"),
            self.weights.get(f"{name}.projection.weight"),
            {gate: self.weights[f"{name}.peephole.{gate}"] for gate in layer.peephole_gates},
        )

    def _functions(self, layer: LstmLayer) -> LstmFunctions:
        rule = self.description.bit_rnn
        return LstmFunctions(
            gate=self._activation(layer.gate),
            candidate=self._activation(layer.candidate),
            cell_activation=self._activation(layer.cell_activation),
            round_hidden=identity if rule is None else partial(round_unit, bits=rule.activation_bits),
            product=self._product,
            coupled=layer.coupled,
            clip=layer.clip,
            cell_clip=layer.cell_clip,
        )

    @property
    def _product(self) -> Product:
        return ordered_product if self.deterministic else matrix_product

    def _activation(self, name: str, clip: float | None = None) -> Activation:
        return activation(name, clip, deterministic=self.deterministic)

    def _keep(self, name: str, values: Real) -> Real:
        """``values`` with zeros past each sequence's length, also put into the trace where it is wanted."""
        if self.valid is not None:
            values = np.where(self.valid[..., None], values, 0)
        if name in self.wanted:
            self.trace[name] = values
        return values
