"""The element-wise part of an LSTM step: everything after its accumulators; see ``spec.layers.lstm_step``.

Rows are gate-major: row ``g * H + unit`` belongs to gate ``g`` of input, forget, candidate, output.
"""

import numpy as np

from fixedsim.kernels.activations import activate_row
from fixedsim.kernels.compilation import compiled
from fixedsim.kernels.narrowing import Vector
from fixedsim.kernels.rows import narrow_own, narrow_row

GATES = ("input", "forget", "candidate", "output")

# The narrowings in the order in which the kernel takes and counts them: gate g's begin at 4 * g.
GATE_NARROWINGS = ("input_sum", "recurrent_sum", "preactivation", "output")
CELL_NARROWINGS = ("forget_product", "input_product", "cell", "cell_input", "cell_output", "hidden")
NARROWINGS = (*(f"gate.{gate}.{name}" for gate in GATES for name in GATE_NARROWINGS), *CELL_NARROWINGS)
INPUT_SUM, RECURRENT_SUM, PREACTIVATION, OUTPUT = range(4)
FORGET_PRODUCT, INPUT_PRODUCT, CELL, CELL_INPUT, CELL_OUTPUT, HIDDEN = range(16, 22)

# The signals in the order in which the kernel writes them: gate g's begin at 6 * g, the last of them is the gate.
GATE_SIGNALS = ("input_accumulator", "recurrent_accumulator", "input_sum", "recurrent_sum", "preactivation", "gate")
CELL_SIGNALS = ("forget_product", "input_product", "cell", "cell_input", "cell_activation", "hidden")
SIGNALS = (*(f"gate.{gate}.{name}" for gate in GATES for name in GATE_SIGNALS), *CELL_SIGNALS)
SIGNALS_PER_GATE, NARROWINGS_PER_GATE = 6, 4
INPUT_GATE, FORGET_GATE, CANDIDATE_GATE, OUTPUT_GATE = 5, 11, 17, 23  # signals
CELL_SIGNALS_START, CELL_SIGNAL, HIDDEN_SIGNAL = 24, 26, 29
CELL_ACTIVATION = 4  # the activation after those of the gates


@compiled
def gate_rows(
    gate: int,
    accumulators: tuple[Vector, Vector],
    late_bias: Vector,
    constants: Vector,
    joint: bool,
    narrowings: Vector,
    activation: Vector,
    values: Vector,
    signals: Vector,
    scratch: Vector,
    counts: Vector,
) -> None:
    """Write the ``signals`` (6, H) of one gate of one sequence, from its accumulators (4H,)."""
    units, first = signals.shape[1], gate * NARROWINGS_PER_GATE
    rows = slice(gate * units, (gate + 1) * units)
    for source in range(1 if joint else 2):
        signals[source, :] = accumulators[source][rows]
        multipliers, shifts = constants[2 * source, rows], constants[2 * source + 1, rows]
        position = first + INPUT_SUM + source
        narrow_row(signals[source], multipliers, shifts, narrowings[position], signals[2 + source], counts[position])
    for unit in range(units):
        signals[4, unit] = signals[2, unit] + signals[3, unit] + late_bias[gate * units + unit]
    position = first + PREACTIVATION
    narrow_own(signals[4], narrowings[position], scratch, signals[4], counts[position])
    activate_row(signals[4], activation, values, scratch, signals[5])
    position = first + OUTPUT
    narrow_own(signals[5], narrowings[position], scratch, signals[5], counts[position])


@compiled
def product_row(  # the caller proves that 64 bits hold the products
    left: Vector, right: Vector, position: int, narrowings: Vector, scratch: Vector, out: Vector, counts: Vector
) -> None:
    """Write to ``out`` (H,) the products of ``left`` and ``right``, narrowed by the narrowing at ``position``."""
    for unit in range(out.shape[0]):
        out[unit] = left[unit] * right[unit]
    narrow_own(out, narrowings[position], scratch, out, counts[position])


@compiled
def cell_rows(
    previous: Vector,
    narrowings: Vector,
    activation: Vector,
    values: Vector,
    signals: Vector,
    scratch: Vector,
    counts: Vector,
) -> None:
    """Write the last six ``signals`` (30, H) of one sequence, from its gates and its previous cell (H,)."""
    kept, added, cell, cell_input, activated, hidden = range(CELL_SIGNALS_START, CELL_SIGNALS_START + 6)
    product_row(signals[FORGET_GATE], previous, FORGET_PRODUCT, narrowings, scratch, signals[kept], counts)
    product_row(
        signals[INPUT_GATE], signals[CANDIDATE_GATE], INPUT_PRODUCT, narrowings, scratch, signals[added], counts
    )
    for unit in range(previous.shape[0]):
        signals[cell, unit] = signals[kept, unit] + signals[added, unit]
    narrow_own(signals[cell], narrowings[CELL], scratch, signals[cell], counts[CELL])
    narrow_own(signals[cell], narrowings[CELL_INPUT], scratch, signals[cell_input], counts[CELL_INPUT])
    activate_row(signals[cell_input], activation, values, scratch, signals[activated])
    narrow_own(signals[activated], narrowings[CELL_OUTPUT], scratch, signals[activated], counts[CELL_OUTPUT])
    product_row(signals[OUTPUT_GATE], signals[activated], HIDDEN, narrowings, scratch, signals[hidden], counts)


@compiled
def lstm_elementwise(
    input_accumulators: Vector,
    recurrent_accumulators: Vector,
    late_bias: Vector,
    constants: Vector,
    joint: bool,
    narrowings: Vector,
    activations: Vector,
    values: Vector,
    cell: Vector,
    hidden: Vector,
    signals: Vector,
    counts: Vector,
) -> None:
    """Advance ``cell`` (B, H) in place by one step and write ``hidden`` (B, H), from the accumulators (B, 4H).

    ``late_bias`` (4H,) enters with the preactivation. ``constants`` (4, 4H) holds each row's input multiplier, input
    shift, recurrent multiplier and recurrent shift. Where ``joint``, the input accumulators are the only ones.
    ``narrowings`` (22, 10) and ``signals`` (30, B, H), or (0, 0, 0) where none are asked for, stand in the orders
    of :data:`NARROWINGS` and :data:`SIGNALS`; ``activations`` (5, 14) are those of the gates and of the cell.
    Sums and products of two operands must fit 64 bits. Adds to ``counts`` (22, 2) how often each overflow acted low and
    high.
    """
    units = hidden.shape[1]
    scratch, work = np.empty((2, units), np.int64), np.zeros((len(SIGNALS), units), np.int64)
    for sequence in range(hidden.shape[0]):
        from_inputs = input_accumulators[sequence]
        from_hidden = from_inputs if joint else recurrent_accumulators[sequence]
        for gate in range(len(GATES)):
            gate_rows(
                gate,
                (from_inputs, from_hidden),
                late_bias,
                constants,
                joint,
                narrowings,
                activations[gate],
                values,
                work[gate * SIGNALS_PER_GATE : (gate + 1) * SIGNALS_PER_GATE],
                scratch,
                counts,
            )
        cell_rows(cell[sequence], narrowings, activations[CELL_ACTIVATION], values, work, scratch, counts)
        cell[sequence, :] = work[CELL_SIGNAL]
        hidden[sequence, :] = work[HIDDEN_SIGNAL]
        if signals.shape[0] != 0:
            signals[:, sequence, :] = work
