"""Layers in real numbers: the float reference that the integer layers are measured against.

Everything runs in the dtype of its operands, float64 or float32. Arrays are time first: ``(T, N, features)``.
Gates stand in the order input, forget, candidate, output along the rows of a weight matrix.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fixedsim.tables import deterministic_tanh

Real: TypeAlias = NDArray[np.floating[Any]]
Mask: TypeAlias = NDArray[np.bool_]
Activation: TypeAlias = Callable[[Real], Real]
Product: TypeAlias = Callable[[Real, Real], Real]

GATES = ("input", "forget", "candidate", "output")
LSTM_SIGNALS = (
    *(f"gate.{gate}{stage}" for gate in GATES for stage in (".preactivation", "")),
    "forget_product",
    "input_product",
    "cell",
    "cell_activation",
    "hidden",
)


def identity(x: Real) -> Real:
    """``x``."""
    return x


def relu(x: Real) -> Real:
    """``max(x, 0)``."""
    return np.maximum(x, 0)


def sigmoid(x: Real) -> Real:
    """``1 / (1 + exp(-x))``, without overflow for any finite ``x``."""
    return np.asarray(expit(x), dtype=x.dtype)


def tanh(x: Real) -> Real:
    """``tanh(x)``."""
    return np.tanh(x)


def hard_sigmoid(x: Real) -> Real:
    """``min(max(x / 6 + 1/2, 0), 1)``, the form with slope one sixth (PyTorch, Keras 3)."""
    return np.clip(x / 6 + 0.5, 0, 1)


def hard_tanh(x: Real) -> Real:
    """``min(max(x, -1), 1)``."""
    return np.clip(x, -1, 1)


ACTIVATIONS: Mapping[str, Activation] = {
    "identity": identity,
    "relu": relu,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "hard_sigmoid": hard_sigmoid,
    "hard_tanh": hard_tanh,
}


def deterministic_sigmoid(x: Real) -> Real:
    """``1 / (1 + exp(-x))`` with the same bits on every machine: ``1/2 + tanh(x / 2) / 2``, exact to 1e-15."""
    return np.asarray(0.5 + 0.5 * deterministic_tanh(0.5 * x.astype(np.float64)), dtype=x.dtype)


DETERMINISTIC: Mapping[str, Activation] = {
    **ACTIVATIONS,
    "sigmoid": deterministic_sigmoid,
    "tanh": lambda x: np.asarray(deterministic_tanh(x.astype(np.float64)), dtype=x.dtype),
}


def activation(name: str, clip: float | None = None, *, deterministic: bool = False) -> Activation:
    """The element-wise function called ``name``; ``clipped_relu`` is ``min(max(x, 0), clip)``.

    With ``deterministic`` it gives the same bits on every machine, and takes longer.

    Raises:
        KeyError: no activation has that name.
    """
    if name == "clipped_relu":
        return lambda x: np.clip(x, 0, clip)
    return DETERMINISTIC[name] if deterministic else ACTIVATIONS[name]


def matrix_product(inputs: Real, weight: Real) -> Real:
    """``inputs @ weight.T`` for inputs ``(M, K)`` and weight ``(R, K)``, in whatever order is quickest here."""
    product: Real = inputs @ weight.T
    return product


def ordered_product(inputs: Real, weight: Real) -> Real:
    """The same, added in ascending order of ``K`` by element-wise IEEE operations: the same bits on every machine."""
    total = np.zeros((len(inputs), len(weight)), inputs.dtype)
    columns = np.ascontiguousarray(weight.T)
    for position, column in enumerate(columns):
        total += inputs[:, position, None] * column
    return total


def linear_forward(inputs: Real, weight: Real, bias: Real | None, product: Product = matrix_product) -> Real:
    """``inputs @ weight.T + bias``, before any activation.

    Shapes: inputs ``(T, N, inputs)``, weight ``(outputs, inputs)``, bias ``(outputs,)``; result ``(T, N, outputs)``.
    """
    steps, streams, width = inputs.shape
    flat = product(inputs.reshape(steps * streams, width), weight)
    if bias is not None:
        flat += bias
    return flat.reshape(steps, streams, weight.shape[0])


@dataclass(frozen=True, slots=True)
class LstmWeights:
    """One direction's weights: input ``(4H, I)``, recurrent ``(4H, H)``, bias ``(4H,)`` or None."""

    input: Real
    recurrent: Real
    bias: Real | None


@dataclass(frozen=True, slots=True)
class LstmFunctions:
    """The activations of an LSTM, the rounding of its hidden output (``identity`` for none), and its product."""

    gate: Activation = sigmoid
    candidate: Activation = tanh
    cell_activation: Activation = tanh
    round_hidden: Activation = identity
    product: Product = matrix_product


class LstmState(NamedTuple):
    """Hidden output and cell, ``(N, H)`` each."""

    hidden: Real
    cell: Real


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which steps run, and in which order.

    A step where ``valid`` is false gives zero output and leaves the state. Where ``reset`` is true the state
    is put back to the initial one before that step, in the order of the direction. ``reverse`` runs time
    backwards, so that a sequence starts at its own last valid step. Masks are ``(T, N)``, or None for all and none.
    """

    valid: Mask | None = None
    reset: Mask | None = None
    reverse: bool = False

    def steps(self, count: int) -> Iterator[int]:
        """The time indices in processing order."""
        return iter(range(count - 1, -1, -1) if self.reverse else range(count))


def lstm_step(projected: Real, state: LstmState, recurrent: Real, functions: LstmFunctions) -> dict[str, Real]:
    """One time step; every signal of :data:`LSTM_SIGNALS` by name, ``(N, H)`` each.

    ``z = projected + h @ recurrent.T``; ``i, f, o = gate(z)``, ``g = candidate(z)``; ``c = f * c + i * g``;
    ``h = round_hidden(o * cell_activation(c))``. ``projected`` is ``W @ x + b``, ``(N, 4H)``.
    """
    units = state.hidden.shape[1]
    z = projected + functions.product(state.hidden, recurrent)
    early, candidate = functions.gate(z[:, : 2 * units]), functions.candidate(z[:, 2 * units : 3 * units])
    output = functions.gate(z[:, 3 * units :])
    forget_product, input_product = early[:, units:] * state.cell, early[:, :units] * candidate
    cell = forget_product + input_product
    cell_activation = functions.cell_activation(cell)
    return {
        "gate.input.preactivation": z[:, :units],
        "gate.forget.preactivation": z[:, units : 2 * units],
        "gate.candidate.preactivation": z[:, 2 * units : 3 * units],
        "gate.output.preactivation": z[:, 3 * units :],
        "gate.input": early[:, :units],
        "gate.forget": early[:, units:],
        "gate.candidate": candidate,
        "gate.output": output,
        "forget_product": forget_product,
        "input_product": input_product,
        "cell": cell,
        "cell_activation": cell_activation,
        "hidden": functions.round_hidden(output * cell_activation),
    }


def lstm_forward(
    inputs: Real,
    weights: LstmWeights,
    functions: LstmFunctions,
    schedule: Schedule,
    *,
    state: LstmState,
    initial: LstmState,
    record: Mapping[str, Real],
) -> LstmState:
    """Run one direction over ``inputs``, ``(T, N, I)``, and return the state after it.

    The input projection is one matrix product over all steps. ``record`` maps names of :data:`LSTM_SIGNALS` to
    arrays ``(T, N, H)`` of zeros, which are filled in. ``state`` is where the run starts, ``initial`` what a
    reset puts back.
    """
    projected = linear_forward(inputs, weights.input, weights.bias, functions.product)
    for time in schedule.steps(len(projected)):
        if schedule.reset is not None:
            state = _select(_rows(schedule, schedule.reset, time), initial, state)
        signals = lstm_step(projected[time], state, weights.recurrent, functions)
        after = LstmState(signals["hidden"], signals["cell"])
        if schedule.valid is None:
            state = after
            for name, array in record.items():
                array[time] = signals[name]
        else:
            rows = schedule.valid[time]
            state = _select(rows, after, state)
            for name, array in record.items():
                array[time, rows] = signals[name][rows]
    return state


def _rows(schedule: Schedule, mask: Mask, time: int) -> Mask:
    """The streams that ``mask`` selects at ``time`` among the valid ones."""
    rows: Mask = mask[time] if schedule.valid is None else mask[time] & schedule.valid[time]
    return rows


def _select(rows: Mask, chosen: LstmState, otherwise: LstmState) -> LstmState:
    """``chosen`` for the streams in ``rows``, ``otherwise`` for the rest."""
    column = rows[:, None]
    return LstmState(*(np.where(column, a, b) for a, b in zip(chosen, otherwise, strict=True)))
