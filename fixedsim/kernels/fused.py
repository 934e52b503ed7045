"""Whole sequences of an LSTM, and whole batches of a fully connected layer, sixteen rows at once and without traces.

The arithmetic is that of :mod:`fixedsim.kernels.lstm`. The constants of rows are of 32 or 64 bits, in which all up to
the pre-activation is carried out; those of the cell, of as many bits or more, say the same of what follows it in an
LSTM. An activation is a table over every raw of the format that it reads, its output narrowing and centring included.
Rows are gate-major, each gate padded to whole blocks; what comes out of padded rows is neither used nor counted.
"""

from typing import Any

import numpy.typing as npt

from fixedsim.kernels.compilation import compiled, inlined
from fixedsim.kernels.lanes import LANE_FIELDS, Constants, narrow_lanes
from fixedsim.kernels.narrowing import Vector
from fixedsim.kernels.panels import multiply
from fixedsim.kernels.products import Operands
from fixedsim.kernels.steps import accumulate_lanes
from fixedsim.kernels.vector import LANES, Block, Lanes, cast_like, gather, lanes, splat32, store, total

Words = npt.NDArray[Any]  # int32
State = tuple[Any, Words, Words, Words, Words]  # see lstm_steps
FIELDS = LANE_FIELDS * LANES  # what the constants of a narrowing take that are the same for all rows

# Constants of rows: these vectors (R,), the fields of the narrowings of both sums (16, R) each, then, for each gate,
# those of the narrowings of both accumulators and of the pre-activation.
INPUT_SHIFT, INPUT_START, RECURRENT_SHIFT, RECURRENT_START, LATE = range(5)
ROW_VECTORS = 5

# Places of narrowings among flags and counts: five of each gate, then those of the cell.
INPUT_ACCUMULATOR, RECURRENT_ACCUMULATOR, INPUT_SUM, RECURRENT_SUM, PREACTIVATION = range(5)
GATE_PLACES = 5
FORGET_PRODUCT, INPUT_PRODUCT, FORGET_ADDEND, INPUT_ADDEND, CELL, CELL_INPUT, HIDDEN, RESCALED = range(20, 28)
CELL_PLACES = range(FORGET_PRODUCT, RESCALED + 1)
PLACES = RESCALED + 1
# What is added to or subtracted from raws of the cell's stages, sixteen equal integers of 32 bits each.
COUPLED_FROM, CELL_ZERO, READ_ZERO, HIDDEN_ZERO, CODE_ZERO = range(5)
CENTRES = 5

INPUT, FORGET, CANDIDATE, OUTPUT, CELL_ACTIVATION = range(5)
# Choices of an LSTM; then, for each gate's table and the cell's: the place of the raw that is its zero point, or of the
# first of its pieces; the bits of a piece's raws, or 0; the zero point less the lowest raw; what all values add.
JOINT, COUPLED, RESCALES, TABLES, PIECES, LOWEST, BASES = 0, 1, 2, 3, 8, 13, 18
CHOICES = 23


@inlined
def started(sums: Words, place: int, constants: Constants, shift: int, start: int) -> Lanes:
    """Return accumulators: sums of products shifted to the scale of the start value, and that."""
    return (cast_like(lanes(sums, place), constants) << lanes(constants, shift)) + lanes(constants, start)


@inlined
def preactivated(
    gate: int,
    row: int,
    rows: int,
    joint: int,
    sums: tuple[Words, Words],
    places: tuple[int, int],
    constants: Constants,
    flags: Vector,
    counts: Words,
    used: Lanes,
) -> Lanes:
    """Return sixteen pre-activations of a gate, less their zero point."""
    place, of_rows = gate * GATE_PLACES, ROW_VECTORS * rows + row
    of_gate = (ROW_VECTORS + 2 * LANE_FIELDS) * rows + 3 * gate * FIELDS
    value = started(sums[0], places[0] + row, constants, INPUT_SHIFT * rows + row, INPUT_START * rows + row)
    other = started(sums[1], places[1] + row, constants, RECURRENT_SHIFT * rows + row, RECURRENT_START * rows + row)
    if joint:
        value = value + other
    value = narrow_lanes(value, flags[place], constants, of_gate, LANES, counts, place, used)
    value = narrow_lanes(value, flags[place + 2], constants, of_rows, rows, counts, place + 2, used)
    if not joint:
        place += 1
        other = narrow_lanes(other, flags[place], constants, of_gate + FIELDS, LANES, counts, place, used)
        place += 2
        of_rows += LANE_FIELDS * rows
        value = value + narrow_lanes(other, flags[place], constants, of_rows, rows, counts, place, used)
    value = value + lanes(constants, LATE * rows + row)
    place = gate * GATE_PLACES + PREACTIVATION
    return narrow_lanes(value, flags[place], constants, of_gate + 2 * FIELDS, LANES, counts, place, used)


@inlined
def celled(value: Lanes, place: int, constants: Constants, flags: Vector, counts: Words, used: Lanes) -> Lanes:
    """Return ``value`` after the narrowing at ``place`` of the cell."""
    offset = (place - FORGET_PRODUCT) * FIELDS
    return narrow_lanes(value, flags[place], constants, offset, LANES, counts, place, used)


@inlined
def centre(centres: Words, which: int) -> Lanes:
    """Return one of the centres."""
    return lanes(centres, which * LANES)


@inlined
def gate(gates: Words, which: int) -> Lanes:
    """Return sixteen raws of a gate, less their zero point."""
    return lanes(gates, which * LANES)


@inlined
def product(left: Lanes, right: Lanes, constants: Constants) -> Lanes:
    """Return the products of integers of 32 bits, in as many bits as the constants have."""
    return cast_like(left, constants) * cast_like(right, constants)


@inlined
def looked_up(read: Lanes, which: int, choices: Vector, tables: Words) -> Lanes:
    """Return sixteen values of a table, of raws less their zero point.

    Each raw has an entry; or a piece has one, its value at the first raw above 16 bits of its rise, and the values
    between are on the line to the next, rounded half up.
    """
    piece = choices[PIECES + which]
    if piece == 0:
        return gather(tables, choices[TABLES + which], read)
    raw, by = read + splat32(choices[LOWEST + which]), splat32(piece)
    entry = gather(tables, choices[TABLES + which], raw >> by)
    rise = ((entry << splat32(16)) >> splat32(16)) * (raw & splat32((1 << piece) - 1))
    return (entry >> splat32(16)) + splat32(choices[BASES + which]) + ((rise + splat32((1 << piece) >> 1)) >> by)


@inlined
def advanced(
    gates: Words,
    before: Lanes,
    constants: Constants,
    flags: Vector,
    counts: Words,
    used: Lanes,
) -> Lanes:
    """Return sixteen cells, less their zero point, from the gates and the cells before them, less theirs."""
    kept = product(gate(gates, FORGET), before, constants)
    kept = celled(kept, FORGET_PRODUCT, constants, flags, counts, used)
    kept = celled(kept, FORGET_ADDEND, constants, flags, counts, used)
    added = product(gate(gates, INPUT), gate(gates, CANDIDATE), constants)
    added = celled(added, INPUT_PRODUCT, constants, flags, counts, used)
    added = celled(added, INPUT_ADDEND, constants, flags, counts, used)
    return celled(kept + added, CELL, constants, flags, counts, used)


@compiled
def rescale_hidden(
    constants: tuple[Constants, Words],
    flags: Vector,
    masks: Words,
    code_factor: int,
    state: State,
    counts: Words,
) -> None:
    """Write the codes and their sums for hidden states that the products read in another format."""
    codes, code_sums, cell, _, hidden = state
    of_cell, centres = constants
    source, target, units = hidden.reshape(-1), codes.reshape(-1), cell.shape[1]
    for sequence in range(cell.shape[0]):
        code_sum = 0
        for unit in range(0, units, LANES):
            used = lanes(masks, unit)
            value = cast_like(lanes(source, sequence * units + unit), of_cell)
            value = celled(value, RESCALED, of_cell, flags, counts, used)
            code = (cast_like(value, masks) + centre(centres, CODE_ZERO)) & used
            store(target, sequence * codes.shape[1] + unit, code)
            code_sum += total(code)
        code_sums[sequence] = code_factor * code_sum


@compiled
def lstm_step(
    step: int,
    order: Vector,
    sums: tuple[Block, Block],
    rows: Constants,
    constants: tuple[Constants, Words],
    choices: Vector,
    flags: Vector,
    tables: Words,
    masks: Words,
    active: Vector,
    code_factor: int,
    state: State,
    output: Block,
    counts: Words,
) -> None:
    """Do what is left of a step when the sums of products are there; see :func:`lstm_steps`.

    ``sums`` are those of the inputs ``(., R)`` and of the hidden states ``(B, R)``; ``constants`` those of the cell's
    narrowings, and the centres.
    """
    codes, code_sums, cell, gates, kept = state
    batch, units, width = cell.shape[0], cell.shape[1], sums[0].shape[1]
    both = (sums[0].reshape(-1), sums[1].reshape(-1))
    cells, hidden, written = cell.reshape(-1), codes.reshape(-1), output.reshape(-1)
    before_rescaling = kept.reshape(-1)
    of_cell, centres = constants
    for sequence in range(batch):
        places = (order[step * batch + sequence] * width, sequence * width)
        code_sum = 0
        for unit in range(0, units, LANES):
            used = lanes(masks, unit)
            for which in range(choices[COUPLED], 4):
                row = (which - choices[COUPLED]) * units + unit
                read = preactivated(which, row, width, choices[JOINT], both, places, rows, flags, counts, used)
                store(gates, which * LANES, looked_up(cast_like(read, tables), which, choices, tables))
            if choices[COUPLED]:
                store(gates, INPUT * LANES, centre(centres, COUPLED_FROM) - gate(gates, FORGET))
            place = sequence * units + unit
            before = lanes(cells, place) - centre(centres, READ_ZERO)
            after = advanced(gates, before, of_cell, flags, counts, used)
            read = cast_like(celled(after, CELL_INPUT, of_cell, flags, counts, used), tables)
            activated = looked_up(read, CELL_ACTIVATION, choices, tables)
            now = product(gate(gates, OUTPUT), activated, of_cell)
            now = celled(now, HIDDEN, of_cell, flags, counts, used)
            if active[sequence]:
                store(cells, place, cast_like(after, cells) + centre(centres, CELL_ZERO))
                code = (cast_like(now, masks) + centre(centres, HIDDEN_ZERO)) & used
                store(written, (step * batch + sequence) * units + unit, code)
                if choices[RESCALES]:
                    store(before_rescaling, place, code)
                else:
                    store(hidden, sequence * codes.shape[1] + unit, code)
                    code_sum += total(code)
        if active[sequence] and not choices[RESCALES]:
            code_sums[sequence] = code_factor * code_sum


@compiled
def lstm_steps(
    order: Vector,
    totals: Words,
    active: Vector,
    output: Block,
    matrix: tuple[Block, Words, Block],
    coding: tuple[int, int, int],
    rows: tuple[Words, Constants],
    constants: tuple[Constants, Words],
    choices: Vector,
    flags: Vector,
    tables: Words,
    masks: Words,
    state: State,
    counts: Words,
) -> None:
    """Advance a batch by T steps and write the codes ``output`` (T, B, H) of its hidden states.

    Step ``t`` of sequence ``n`` adds row ``order[t * B + n]`` of ``totals`` (., R), the sums of products of the inputs.
    ``matrix`` holds the panels of the recurrent matrix, what its rows start with (1, R) and scratch; they and the first
    two of ``coding``, bits and step, are as :func:`fixedsim.kernels.panels.multiply` takes them; the third is what the
    sum of a vector's codes counts in all its rows. ``rows`` are scratch for sums (B, R) and the constants of rows.
    ``constants`` are those of the cell and its centres. ``masks`` (H,) are -1 for the units that there are, else 0.
    ``state`` are the codes (B, K) of the hidden states, those sums (B,), the cells (B, H), scratch for the gates (64,)
    and, where they are rescaled, the hidden states (B, H), which ``output`` then gets in place of codes. Sequences
    whose ``active`` (B,) is 0 stay as they are, and nothing is written to their output; their overflows count like the
    others'.
    """
    bits, weight_step, code_factor = coding
    panels, start, scratch = matrix
    sums = (totals, rows[0])
    for step in range(output.shape[0]):
        if choices[RESCALES]:
            rescale_hidden(constants, flags, masks, code_factor, state, counts)
        multiply(bits, weight_step, panels, state[0], state[1], start, rows[0], scratch, step & 1 == 1)
        lstm_step(
            step,
            order,
            sums,
            rows[1],
            constants,
            choices,
            flags,
            tables,
            masks,
            active,
            code_factor,
            state,
            output,
            counts,
        )


@compiled
def lstm_stepwise(
    order: Vector,
    totals: Vector,
    active: Vector,
    output: Block,
    matrix: tuple[Operands, Vector, Operands],
    accumulator: tuple[bool, Vector, Vector, Vector],
    rows: tuple[Vector, Constants],
    constants: tuple[Constants, Words],
    choices: Vector,
    flags: Vector,
    tables: Words,
    masks: Words,
    state: State,
    counts: Words,
    step_counts: Vector,
) -> None:
    """Do what :func:`lstm_steps` does where accumulators step; ``totals`` and sums are what they hold at the end.

    ``matrix`` holds panels, starts (1, R) and last addends (R,), and ``accumulator`` whether products are narrowed,
    their narrowing and shifts, and the register, as :func:`fixedsim.kernels.steps.accumulate_lanes` takes them.
    ``step_counts`` (2,) are its overflows.
    """
    sums = (totals, rows[0])
    panels, start, last = matrix
    narrowed, narrowing, shifts, register = accumulator
    for step in range(output.shape[0]):
        accumulate_lanes(
            panels, state[0], start, last, narrowed, narrowing, shifts, register, rows[0], step_counts, step_counts[:0]
        )
        lstm_step(
            step, order, sums, rows[1], constants, choices, flags, tables, masks, active, 0, state, output, counts
        )


# Of a fully connected layer: the vectors of rows, and the places of its narrowings.
LINEAR_SHIFT, LINEAR_START, LINEAR_LATE = range(3)
LINEAR_VECTORS = 3
ACCUMULATOR, SUM, LINEAR_PREACTIVATION, LINEAR_OUTPUT = range(4)
LINEAR_PLACES = 4


@compiled
def linear_rows(
    sums: Words,
    constants: Constants,
    flags: Vector,
    table: Words,
    table_start: int,
    masks: Words,
    output: Block,
    counts: Words,
) -> None:
    """Write ``output`` (N, R) for the sums of products (N, R): the rest of a fully connected layer.

    ``constants`` hold the vectors of rows, the fields of the narrowing of the sums (16, R), those of the narrowings of
    accumulator, pre-activation and output, and the output's zero point. ``table`` (empty: the activation changes
    nothing) gives the activation of a pre-activation, less the zero points of both, from ``table_start`` on. ``masks``
    (R,) are -1 for the rows that there are, else 0.
    """
    rows = sums.shape[1]
    flat, written = sums.reshape(-1), output.reshape(-1)
    of_layer = (LINEAR_VECTORS + LANE_FIELDS) * rows
    for vector in range(sums.shape[0]):
        for row in range(0, rows, LANES):
            used, place = lanes(masks, row), vector * rows + row
            value = started(flat, place, constants, row, LINEAR_START * rows + row)
            value = narrow_lanes(value, flags[ACCUMULATOR], constants, of_layer, LANES, counts, ACCUMULATOR, used)
            value = narrow_lanes(value, flags[SUM], constants, LINEAR_VECTORS * rows + row, rows, counts, SUM, used)
            value = value + lanes(constants, LINEAR_LATE * rows + row)
            value = narrow_lanes(
                value,
                flags[LINEAR_PREACTIVATION],
                constants,
                of_layer + FIELDS,
                LANES,
                counts,
                LINEAR_PREACTIVATION,
                used,
            )
            if table.shape[0] != 0:
                value = cast_like(gather(table, table_start, cast_like(value, table)), constants)
            offset = of_layer + 2 * FIELDS
            value = narrow_lanes(value, flags[LINEAR_OUTPUT], constants, offset, LANES, counts, LINEAR_OUTPUT, used)
            store(written, place, value + lanes(constants, of_layer + 3 * FIELDS))
