"""The element-wise part of an LSTM step: everything after its accumulators; see ``spec.layers.lstm_step``.

Rows are gate-major: row ``g * H + unit`` belongs to gate ``g`` of input, forget, candidate, output; where the input
gate is coupled, it has no rows. Every stage takes its operands less their zero points, which stand in ``centres``.
"""

import numpy as np

from fixedsim.kernels.activations import activate_row
from fixedsim.kernels.compilation import allocating
from fixedsim.kernels.functions import normalize_row
from fixedsim.kernels.narrowing import Vector
from fixedsim.kernels.rows import narrow_own, narrow_row

GATES = ("input", "forget", "candidate", "output")
INPUT, FORGET, CANDIDATE, OUTPUT = range(4)

# The narrowings in the order in which the kernel takes and counts them: gate g's begin at NARROWINGS_PER_GATE * g.
GATE_NARROWINGS = (
    "input_sum",
    "recurrent_sum",
    "preactivation",
    "peephole_product",
    "peephole_sum",
    "normalized",
    "output",
)
CELL_NARROWINGS = (
    "forget_product",
    "input_product",
    "forget_addend",
    "input_addend",
    "cell",
    "cell_input",
    "cell_output",
    "hidden",
)
NARROWINGS = (*(f"gate.{gate}.{name}" for gate in GATES for name in GATE_NARROWINGS), *CELL_NARROWINGS)
NARROWINGS_PER_GATE = len(GATE_NARROWINGS)
INPUT_SUM, RECURRENT_SUM, PREACTIVATION, PEEPHOLE_PRODUCT, PEEPHOLE_SUM, NORMALIZED, ACTIVATED = range(7)
FORGET_PRODUCT, INPUT_PRODUCT, FORGET_ADDEND, INPUT_ADDEND, CELL, CELL_INPUT, CELL_OUTPUT, HIDDEN = range(28, 36)

# The signals in the order in which the kernel writes them: gate g's begin at SIGNALS_PER_GATE * g.
GATE_SIGNALS = (
    "input_accumulator",
    "recurrent_accumulator",
    "input_sum",
    "recurrent_sum",
    "preactivation",
    "peephole_product",
    "peephole_sum",
    "normalized",
    "gate",
)
CELL_SIGNALS = (
    "forget_product",
    "input_product",
    "forget_addend",
    "input_addend",
    "cell",
    "cell_input",
    "cell_activation",
    "hidden",
)
SIGNALS = (*(f"gate.{gate}.{name}" for gate in GATES for name in GATE_SIGNALS), *CELL_SIGNALS)
SIGNALS_PER_GATE = len(GATE_SIGNALS)
CELL_SIGNALS_START = len(GATES) * SIGNALS_PER_GATE
INPUT_GATE, FORGET_GATE, CANDIDATE_GATE, OUTPUT_GATE = (SIGNALS_PER_GATE * (gate + 1) - 1 for gate in range(len(GATES)))
CELL_SIGNAL, HIDDEN_SIGNAL = CELL_SIGNALS_START + 4, CELL_SIGNALS_START + 7
CELL_ACTIVATION = 4  # the activation after those of the gates

# What the datapath has, as a vector of integers.
JOINT, COUPLED, COUPLED_RAW, STALE, ADDENDS = range(5)
PEEPHOLES, NORMS = 5, 9  # of each gate
CHOICES = 13


@allocating
def gate_rows(
    gate: int,
    choices: Vector,
    accumulators: tuple[Vector, Vector],
    rows: tuple[Vector, Vector, Vector, Vector],
    cell: Vector,
    narrowings: Vector,
    centres: Vector,
    activations: Vector,
    values: Vector,
    work: Vector,
    scratch: Vector,
    counts: Vector,
) -> None:
    """Write the nine signals of one gate of one sequence among all, ``work`` (44, H).

    ``rows`` are the late bias (R,), the constants (4, R), the weights of peepholes and norms (8, H), and the biases of
    the norms (4, H); ``cell`` (H,) is what a peephole sees, less its zero point.
    """
    late_bias, constants, weights, norm_bias = rows
    signals = work[gate * SIGNALS_PER_GATE : (gate + 1) * SIGNALS_PER_GATE]
    units, first = signals.shape[1], gate * NARROWINGS_PER_GATE
    begin = (gate - choices[COUPLED]) * units
    for source in range(1 if choices[JOINT] else 2):
        signals[source, :] = accumulators[source][begin : begin + units]
        multipliers = constants[2 * source, begin : begin + units]
        shifts = constants[2 * source + 1, begin : begin + units]
        position = first + INPUT_SUM + source
        narrow_row(signals[source], multipliers, shifts, narrowings[position], signals[2 + source], counts[position])
    position = first + PREACTIVATION
    zero_points = centres[position, 0]
    for unit in range(units):
        signals[4, unit] = signals[2, unit] + signals[3, unit] + late_bias[begin + unit] - zero_points
    narrow_own(signals[4], narrowings[position], scratch, signals[4], counts[position])
    read = 4
    if choices[PEEPHOLES + gate]:
        peephole_rows(weights[gate], cell, first, narrowings, centres, signals, scratch, counts)
        read = 6
    if choices[NORMS + gate]:
        position = first + NORMALIZED
        for unit in range(units):
            signals[8, unit] = signals[read, unit] - centres[position, 0]
        normalize_row(signals[8], weights[4 + gate], norm_bias[gate], centres[position, 1], signals[7])
        narrow_own(signals[7], narrowings[position], scratch, signals[7], counts[position])
        read = 7
    activate_row(signals[read], activations[gate], values, scratch, signals[8])
    position = first + ACTIVATED
    centre_row(signals[8], centres[position, 0])
    narrow_own(signals[8], narrowings[position], scratch, signals[8], counts[position])


@allocating
def peephole_rows(
    weight: Vector,
    cell: Vector,
    first: int,
    narrowings: Vector,
    centres: Vector,
    signals: Vector,
    scratch: Vector,
    counts: Vector,
) -> None:
    """Write the two signals of a gate's peephole: the weighted cell, and its sum with the pre-activation."""
    product, added = first + PEEPHOLE_PRODUCT, first + PEEPHOLE_SUM
    for unit in range(cell.shape[0]):
        signals[5, unit] = (weight[unit] - centres[product, 0]) * cell[unit]
    narrow_own(signals[5], narrowings[product], scratch, signals[5], counts[product])
    for unit in range(cell.shape[0]):
        signals[6, unit] = signals[4, unit] + signals[5, unit] - centres[added, 0]
    narrow_own(signals[6], narrowings[added], scratch, signals[6], counts[added])


@allocating
def centre_row(values: Vector, zero_point: int) -> None:
    """Subtract ``zero_point`` from each of ``values`` (H,)."""
    if zero_point != 0:
        for position in range(values.shape[0]):
            values[position] -= zero_point


@allocating
def product_row(  # the caller proves that 64 bits hold the products
    left: Vector,
    right: Vector,
    position: int,
    narrowings: Vector,
    centres: Vector,
    scratch: Vector,
    out: Vector,
    counts: Vector,
) -> None:
    """Write to ``out`` (H,) the products of ``left`` and ``right``, narrowed by the narrowing at ``position``."""
    left_zero, right_zero = centres[position, 0], centres[position, 1]
    for unit in range(out.shape[0]):
        out[unit] = (left[unit] - left_zero) * (right[unit] - right_zero)
    narrow_own(out, narrowings[position], scratch, out, counts[position])


@allocating
def unary_row(
    given: Vector, position: int, narrowings: Vector, centres: Vector, scratch: Vector, out: Vector, counts: Vector
) -> None:
    """Write to ``out`` (H,) the raws ``given`` less their zero point, narrowed by the narrowing at ``position``."""
    out[:] = given
    centre_row(out, centres[position, 0])
    narrow_own(out, narrowings[position], scratch, out, counts[position])


@allocating
def cell_rows(
    gates: tuple[Vector, Vector, Vector],
    previous: Vector,
    choices: Vector,
    narrowings: Vector,
    centres: Vector,
    activations: Vector,
    values: Vector,
    signals: Vector,
    scratch: Vector,
    counts: Vector,
) -> None:
    """Write seven of the last ``signals`` (44, H) of one sequence, from the gates as read and the cell before (H,)."""
    kept, added, kept_addend, added_addend, cell, cell_input, activated, _ = range(
        CELL_SIGNALS_START, CELL_SIGNALS_START + 8
    )
    product_row(gates[FORGET], previous, FORGET_PRODUCT, narrowings, centres, scratch, signals[kept], counts)
    product_row(gates[INPUT], gates[CANDIDATE], INPUT_PRODUCT, narrowings, centres, scratch, signals[added], counts)
    left, right = kept, added
    if choices[ADDENDS] & 1:
        unary_row(signals[kept], FORGET_ADDEND, narrowings, centres, scratch, signals[kept_addend], counts)
        left = kept_addend
    if choices[ADDENDS] & 2:
        unary_row(signals[added], INPUT_ADDEND, narrowings, centres, scratch, signals[added_addend], counts)
        right = added_addend
    zero_points = centres[CELL, 0]
    for unit in range(previous.shape[0]):
        signals[cell, unit] = signals[left, unit] + signals[right, unit] - zero_points
    narrow_own(signals[cell], narrowings[CELL], scratch, signals[cell], counts[CELL])
    unary_row(signals[cell], CELL_INPUT, narrowings, centres, scratch, signals[cell_input], counts)
    activate_row(signals[cell_input], activations[CELL_ACTIVATION], values, scratch, signals[activated])
    centre_row(signals[activated], centres[CELL_OUTPUT, 0])
    narrow_own(signals[activated], narrowings[CELL_OUTPUT], scratch, signals[activated], counts[CELL_OUTPUT])


@allocating
def read_gates(choices: Vector, register: Vector, signals: Vector, stale: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the input, forget and candidate gates (H,) as the cell reads them, a coupled one from the forget gate.

    With a stale sigmoid register the input gate is the forget gate's sigmoid and the forget gate the sigmoid that was
    evaluated before it: the output gate of the unit before. ``register`` (1,) is carried from step to step.
    """
    if choices[COUPLED]:
        for unit in range(stale.shape[0]):
            signals[INPUT_GATE, unit] = choices[COUPLED_RAW] - signals[FORGET_GATE, unit]
    if choices[STALE] == 0:
        return signals[INPUT_GATE], signals[FORGET_GATE], signals[CANDIDATE_GATE]
    for unit in range(stale.shape[0]):
        stale[unit] = register[0]
        register[0] = signals[OUTPUT_GATE, unit]
    return signals[FORGET_GATE], stale, signals[CANDIDATE_GATE]


@allocating
def lstm_elementwise(
    input_accumulators: Vector,
    recurrent_accumulators: Vector,
    rows: tuple[Vector, Vector, Vector, Vector],
    choices: Vector,
    narrowings: Vector,
    centres: Vector,
    activations: Vector,
    values: Vector,
    cell: Vector,
    hidden: Vector,
    register: Vector,
    signals: Vector,
    counts: Vector,
) -> None:
    """Advance ``cell`` (B, H) in place by one step and write ``hidden`` (B, H), from the accumulators (B, R).

    ``rows`` holds the late bias (R,), which enters with the preactivation, the constants (4, R) of each row (input
    multiplier and shift, recurrent multiplier and shift), the weights of peepholes and norms (8, H) and the biases of
    the norms (4, H). ``choices`` (13,) says what the datapath has. Where it is joint, the input accumulators are the
    only ones. ``narrowings`` and ``centres`` (36, 2) stand in the order of :data:`NARROWINGS`, ``signals`` (44, B, H),
    or (0, 0, 0) where none are asked for, in that of :data:`SIGNALS`; ``activations`` (5, .) are those of the gates and
    of the cell. ``register`` (B, 1) is a stale sigmoid register. Sums and products of two operands must fit 64 bits.
    Adds to ``counts`` (36, 2) how often each overflow acted low and high.
    """
    units = hidden.shape[1]
    scratch, work = np.empty((3, max(units, 2)), np.int64), np.zeros((len(SIGNALS), units), np.int64)
    seen, stale = np.empty(units, np.int64), np.empty(units, np.int64)
    for sequence in range(hidden.shape[0]):
        from_inputs = input_accumulators[sequence]
        from_hidden = from_inputs if choices[JOINT] else recurrent_accumulators[sequence]
        sums = (from_inputs, from_hidden)
        seen[:] = cell[sequence]
        centre_row(seen, centres[FORGET_PRODUCT, 1])
        last = OUTPUT if choices[PEEPHOLES + OUTPUT] else OUTPUT + 1
        for gate in range(choices[COUPLED], last):
            gate_rows(gate, choices, sums, rows, seen, narrowings, centres, activations, values, work, scratch, counts)
        gates = read_gates(choices, register[sequence], work, stale)
        cell_rows(gates, cell[sequence], choices, narrowings, centres, activations, values, work, scratch, counts)
        if last == OUTPUT:  # its peephole sees the new cell
            seen[:] = work[CELL_SIGNAL]
            centre_row(seen, centres[CELL_INPUT, 0])
            gate_rows(
                OUTPUT, choices, sums, rows, seen, narrowings, centres, activations, values, work, scratch, counts
            )
        gate, activated, after = work[OUTPUT_GATE], work[HIDDEN_SIGNAL - 1], work[HIDDEN_SIGNAL]
        product_row(gate, activated, HIDDEN, narrowings, centres, scratch, after, counts)
        cell[sequence, :] = work[CELL_SIGNAL]
        hidden[sequence, :] = after
        if signals.shape[0] != 0:
            signals[:, sequence, :] = work
