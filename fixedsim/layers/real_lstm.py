"""The LSTM in real numbers: the float reference that the integer LSTM is measured against.

Everything runs in the dtype of its operands, float64 or float32. Arrays are time first: ``(T, N, features)``.
Gates stand in the order input, forget, candidate, output along the rows of a weight matrix.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from fixedsim.layers.real import (
    Activation,
    Mask,
    Product,
    Real,
    identity,
    linear_forward,
    matrix_product,
    sigmoid,
    tanh,
)

GATES = ("input", "forget", "candidate", "output")
PROJECTED = "projection.output"  # the hidden state where an LSTM has a projection


def lstm_signals(*, coupled: bool = False, peephole: bool = False, projection: bool = False) -> tuple[str, ...]:
    """The signals of one direction of an LSTM, the hidden state last.

    A coupled input gate has no pre-activation. With peepholes, a gate's pre-activation is what it was without one, and
    its function reads ``peephole_sum``. With a projection, ``hidden`` is what the projection reads.
    """
    names: list[str] = []
    for gate in GATES:
        own = not (coupled and gate == "input")
        names += [f"gate.{gate}.preactivation"] * own
        names += [f"gate.{gate}.peephole_sum"] * (own and peephole and gate != "candidate")
        names.append(f"gate.{gate}")
    names += ["forget_product", "input_product", "cell", "cell_activation", "hidden"]
    return (*names, PROJECTED) if projection else tuple(names)


@dataclass(frozen=True, slots=True)
class LstmWeights:
    """One direction's weights: input ``(G*H, I)``, recurrent ``(G*H, P)``, bias ``(G*H,)`` or None.

    ``G`` is 4, or 3 without the rows of a coupled input gate. ``peephole`` maps gates to ``(H,)``; ``projection`` is
    ``(P, H)``, or None where ``P`` is ``H``.
    """

    input: Real
    recurrent: Real
    bias: Real | None
    projection: Real | None = None
    peephole: Mapping[str, Real] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LstmFunctions:
    """The choices of an LSTM that are no weights.

    ``round_hidden`` is the rounding of the hidden output (``identity`` for none). ``clip`` bounds every pre-activation,
    peephole included, and ``cell_clip`` the new cell, both ways.
    """

    gate: Activation = sigmoid
    candidate: Activation = tanh
    cell_activation: Activation = tanh
    round_hidden: Activation = identity
    product: Product = matrix_product
    coupled: bool = False
    clip: float | None = None
    cell_clip: float | None = None


class LstmState(NamedTuple):
    """Hidden output ``(N, P)`` and cell ``(N, H)``."""

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


def lstm_step(projected: Real, state: LstmState, weights: LstmWeights, functions: LstmFunctions) -> dict[str, Real]:
    """One time step; every signal of :func:`lstm_signals` by name, ``(N, H)`` each, ``(N, P)`` the projection.

    ``z = projected + h @ recurrent.T``, with peepholes ``+ p * c``, the output gate's of the new cell; ``i, f, o =
    gate(z)``, coupled ``i = 1 - f``; ``g = candidate(z)``; ``c = f * c + i * g``; ``h = round_hidden(o *
    cell_activation(c))``, and with a projection ``h @ projection.T``. ``projected`` is ``W @ x + b``, ``(N, G*H)``.
    """
    sums = projected + functions.product(state.hidden, weights.recurrent)
    rows = GATES[1:] if functions.coupled else GATES
    units = state.cell.shape[1]
    before = {gate: sums[:, place * units : (place + 1) * units] for place, gate in enumerate(rows)}
    signals: dict[str, Real] = {}
    for gate in rows[:-1]:
        _gate(gate, before[gate], state.cell, weights, functions, signals)
    if functions.coupled:
        signals["gate.input"] = 1 - signals["gate.forget"]
    signals["forget_product"] = signals["gate.forget"] * state.cell
    signals["input_product"] = signals["gate.input"] * signals["gate.candidate"]
    cell = signals["cell"] = _within(signals["forget_product"] + signals["input_product"], functions.cell_clip)
    _gate("output", before["output"], cell, weights, functions, signals)
    signals["cell_activation"] = functions.cell_activation(cell)
    signals["hidden"] = functions.round_hidden(signals["gate.output"] * signals["cell_activation"])
    if weights.projection is not None:
        signals[PROJECTED] = functions.product(signals["hidden"], weights.projection)
    return signals


def _gate(
    gate: str, sums: Real, cell: Real, weights: LstmWeights, functions: LstmFunctions, signals: dict[str, Real]
) -> None:
    """Add the signals of one gate, whose peephole sees ``cell``."""
    stage = "preactivation"
    if gate in weights.peephole:
        signals[f"gate.{gate}.preactivation"] = sums
        sums, stage = sums + weights.peephole[gate] * cell, "peephole_sum"
    read = signals[f"gate.{gate}.{stage}"] = _within(sums, functions.clip)
    signals[f"gate.{gate}"] = functions.candidate(read) if gate == "candidate" else functions.gate(read)


def _within(values: Real, limit: float | None) -> Real:
    return values if limit is None else np.clip(values, -limit, limit)


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

    The input projection is one matrix product over all steps. ``record`` maps names of :func:`lstm_signals` to
    arrays of zeros, ``(T, N, H)``, ``(T, N, P)`` for the projection's, which are filled in. ``state`` is where the
    run starts, ``initial`` what a reset puts back.
    """
    projected = linear_forward(inputs, weights.input, weights.bias, functions.product)
    written = "hidden" if weights.projection is None else PROJECTED
    for time in schedule.steps(len(projected)):
        if schedule.reset is not None:
            state = _select(_rows(schedule, schedule.reset, time), initial, state)
        signals = lstm_step(projected[time], state, weights, functions)
        after = LstmState(signals[written], signals["cell"])
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
