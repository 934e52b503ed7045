"""An LSTM as the fused kernel takes it: from the raws of its inputs to the hidden state of every step in one loop."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.bounds import Range, format_range, product_range
from fixedsim.casts import Rounding
from fixedsim.execution import PreparedNarrowing, ProductKernel, Products
from fixedsim.formats import Format
from fixedsim.kernels import fused as layout
from fixedsim.kernels.lstm import GATE_NARROWINGS, NARROWINGS
from fixedsim.kernels.vector import LANES
from fixedsim.lanes import (
    NO_STAGE,
    LaneStage,
    RawTable,
    UnfitError,
    WordSums,
    lane_stage,
    padded,
    raw_table,
    raw_type,
    word_panels,
    word_sums,
    words,
)
from fixedsim.layers.lstm_stages import gate_format
from fixedsim.panels import Panels
from fixedsim.profiles.datapath import GATES, BiasStage, Hazard, LstmDatapath, Narrowing

if TYPE_CHECKING:
    from fixedsim.layers import lstm

Integers = NDArray[np.int64]
_CHUNK = 1 << 18  # sums of products of the inputs at a time: 1 MiB, which caches hold
_TABLE_SHARE = 4  # tokens read, times this, that make a table of a vocabulary worth its making
_LARGEST_TABLE = 1 << 25  # words: 128 MiB
_INT32 = Format.integer(32)
_CELL = {
    layout.FORGET_PRODUCT: "forget_product",
    layout.INPUT_PRODUCT: "input_product",
    layout.FORGET_ADDEND: "forget_addend",
    layout.INPUT_ADDEND: "input_addend",
    layout.CELL: "cell",
    layout.CELL_INPUT: "cell_input",
    layout.HIDDEN: "hidden",
}
_GATE = {
    layout.INPUT_SUM: "input_sum",
    layout.RECURRENT_SUM: "recurrent_sum",
    layout.PREACTIVATION: "preactivation",
}


@dataclass(frozen=True, eq=False)
class Course:
    """What happens over a run: sequences that end after ``lengths`` (B,), and are put back at ``reset`` (T, B)."""

    lengths: Integers | None = None
    reset: NDArray[np.bool_] | None = None

    def segments(self, steps: int, longest: int) -> Iterator[tuple[int, int]]:
        """The steps from one change to the next, at most ``longest`` at a time."""
        changes = {*range(0, steps, longest), steps}
        if self.lengths is not None:
            changes |= {int(length) for length in self.lengths if length < steps}
        if self.reset is not None:
            changes |= set(np.flatnonzero(self.reset.any(axis=1)).tolist())
        return pairwise(sorted(changes))

    def active(self, step: int, batch: int) -> NDArray[np.bool_]:
        """The sequences that go on at a step."""
        return np.ones(batch, dtype=np.bool_) if self.lengths is None else self.lengths > step

    def put_back(self, step: int, batch: int) -> NDArray[np.bool_]:
        """The sequences whose state is put back before a step."""
        none = np.zeros(batch, dtype=np.bool_)
        return none if self.reset is None else self.reset[step] & self.active(step, batch)


@dataclass(eq=False)
class FusedState:
    """Where a batch of sequences stands: codes of the hidden state ``(B, pitch)`` and their sums, and the cell.

    ``hidden`` is the hidden state less the zero point that it is read with, where it is rescaled before each step.
    ``counts`` are the kernel's overflows so far, modulo 2**32 for each lane, ``step_counts`` (2,) those of accumulators
    that step, and ``input_counts`` (2,) those of rescaled inputs. ``operands`` are what the kernel takes of this state.
    """

    codes: NDArray[Any]
    code_sums: NDArray[np.int32]
    cell: NDArray[np.int32]
    hidden: NDArray[np.int32]
    counts: NDArray[np.int32] = field(default_factory=lambda: np.zeros(layout.PLACES * 2 * LANES, dtype=np.int32))
    step_counts: Integers = field(default_factory=lambda: np.zeros(2, dtype=np.int64))
    input_counts: Integers = field(default_factory=lambda: np.zeros(2, dtype=np.int64))
    operands: tuple[Any, ...] = ()

    def put_back(self, initial: "FusedState", back: NDArray[np.bool_]) -> None:
        """Take over the sequences ``back`` (B,) of another state."""
        if back.any():
            self.codes[back] = initial.codes[back]
            self.code_sums[back] = initial.code_sums[back]
            self.cell[back] = initial.cell[back]
            self.hidden[back] = initial.hidden[back]


@dataclass(frozen=True, eq=False)
class StepMemory:
    """What single steps of a batch use again and again; ``sums`` is None where accumulators step."""

    sums: WordSums | None
    order: Integers
    active: Integers
    codes: NDArray[Any]


class FusedLstm:
    """The panels, constants and tables of one LSTM.

    Raises:
        UnfitError: a datapath whose shape the fused kernel does not have.
    """

    def __init__(self, layer: "lstm.Lstm") -> None:
        _require_shape(layer)
        path = layer.datapath
        self.path = path
        self._tokens = 0
        self._embedded: tuple[NDArray[Any], NDArray[np.int32]] | None = None
        self.units, self.width = layer.units, padded(layer.units)
        self.products = layer.accumulators.input_products, layer.accumulators.recurrent_products
        self.written, self.kept = layer.written_format, layer.state_format
        self.read_hidden = layer.accumulators.read_hidden
        self.inputs: Panels | Products
        self.recurrent: Panels | RecurrentSteps
        if self.products[1].kernel is ProductKernel.STEPS:
            if self.rescales:
                raise UnfitError("accumulators step over a hidden state that is rescaled")
            there = np.tile(np.arange(self.width) < self.units, len(path.gate_names))
            steps = RecurrentSteps(self.products[1], np.where(there, self._order, -1), self.width)
            self.inputs, self.recurrent = self.products[0], steps
        else:
            self.inputs = word_panels(self.products[0], self._order)
            self.recurrent = word_panels(self.products[1], self._order)
        stages = self._gate_stages(layer)
        tables = self._tables(layer.name)
        stages |= _cell_stages(path, [table.outgoing for table in tables])
        stages[layout.RESCALED] = NO_STAGE
        if path.hidden_rescale is not None:
            stages[layout.RESCALED] = lane_stage(path.hidden_rescale, format_range(self.kept, centred=True))
        self.row_bits = max(stages[place].bits for place in range(layout.FORGET_PRODUCT))
        cell_bits = max(self.row_bits, *(stages[place].bits for place in layout.CELL_PLACES))
        self.flags = np.array([stages[place].flags for place in range(layout.PLACES)], dtype=np.int64)
        self.row_constants = self._pack_rows(layer, stages)
        cell = [stages[place].packed(cell_bits, LANES).reshape(-1) for place in layout.CELL_PLACES]
        self.constants = np.concatenate(cell)
        self.centres = self._pack_centres()
        self.tables, of_tables = _joined(tables)
        self.choices = np.array([path.joint, path.coupled is not None, self.rescales, *of_tables], dtype=np.int64)
        self.masks = np.where(np.arange(self.width) < self.units, -1, 0).astype(np.int32)

    @property
    def rescales(self) -> bool:
        """Whether the hidden state is rescaled before the products."""
        return self.path.hidden_rescale is not None

    @cached_property
    def _order(self) -> Integers:
        """The row of each padded row; those beyond the units of a gate repeat its first."""
        units = np.arange(self.width)
        units[self.units :] = 0
        return np.concatenate([gate * self.units + units for gate in range(len(self.path.gate_names))])

    def _gate_stages(self, layer: "lstm.Lstm") -> dict[int, LaneStage]:
        path, order = self.path, self._order
        late = layer.bias.at(path.bias_stage, BiasStage.PREACTIVATION)[order]
        limiter = Narrowing(path.accumulator.format, Rounding.FLOOR, path.accumulator.overflow)
        stages = dict.fromkeys(range(layout.FORGET_PRODUCT), NO_STAGE)
        for position, gate in enumerate(path.gate_names):
            part = slice(position * self.width, (position + 1) * self.width)
            rows, choices = order[part], path.present[position]
            place = GATES.index(gate) * layout.GATE_PLACES
            added = Range(late[part], late[part])
            for which, matrix, narrowing in (
                (0, layer.input_matrix, choices.input_sum),
                (1, layer.recurrent_matrix, choices.recurrent_sum),
            ):
                if path.joint and which:
                    continue
                held = self._reach(1 if path.joint else which, rows)
                limit = lane_stage(limiter, held)
                held = limit.outgoing if limit.flags else held
                scaled = lane_stage(narrowing, held, matrix.multiplier[rows], matrix.shift[rows])
                stages[place + layout.INPUT_ACCUMULATOR + which] = limit
                stages[place + layout.INPUT_SUM + which] = scaled
                added = added.plus(scaled.outgoing)
            stages[place + layout.PREACTIVATION] = lane_stage(choices.preactivation, added)
        return stages

    def _reach(self, which: int, rows: Integers) -> Range:
        """What the accumulators of rows hold before their overflow, or after it where they step."""
        products = self.products[which]
        if isinstance(self.recurrent, RecurrentSteps):
            held = format_range(products.accumulator.format)
            return Range(np.full(len(rows), held.low, dtype=object), np.full(len(rows), held.high, dtype=object))
        return Range(products.bounds.exact.low[rows], products.bounds.exact.high[rows])

    def _tables(self, name: str) -> list[RawTable]:
        path = self.path
        gates = [
            None if gate is None else raw_table(gate.activation, gate.output, gate.preactivation.format, name)
            for gate in path.gates
        ]
        tables = [table or _coupled_table(path, gates[1]) for table in gates]
        return [*tables, raw_table(path.cell_activation, path.cell_output, path.cell_input.format, name)]

    def _pack_rows(self, layer: "lstm.Lstm", stages: dict[int, LaneStage]) -> NDArray[Any]:
        bits, order = self.row_bits, self._order
        parts = []
        for products, start in zip(self.products, layer.accumulators.starts, strict=True):
            last = 0 if products.last is None else products.last
            shift, begin = products.guard, start + last
            if shift is None or isinstance(self.recurrent, RecurrentSteps):  # all that is in the sums already
                shift, begin = np.zeros_like(products.product_shift), np.zeros_like(begin)
            parts += [words(shift[order], bits), words(begin[order], bits)]
        parts.append(words(layer.bias.at(self.path.bias_stage, BiasStage.PREACTIVATION)[order], bits))
        present = [GATES.index(gate) * layout.GATE_PLACES for gate in self.path.gate_names]
        for which in (layout.INPUT_SUM, layout.RECURRENT_SUM):
            fields = [stages[place + which].packed(bits, self.width) for place in present]
            parts.append(np.concatenate(fields, axis=1).reshape(-1))
        for place in range(0, layout.FORGET_PRODUCT, layout.GATE_PLACES):
            for which in (layout.INPUT_ACCUMULATOR, layout.RECURRENT_ACCUMULATOR, layout.PREACTIVATION):
                parts.append(stages[place + which].packed(bits, LANES).reshape(-1))
        return np.concatenate(parts)

    def _pack_centres(self) -> NDArray[np.int32]:
        path = self.path
        centres = {
            layout.COUPLED_FROM: (path.coupled or 0) - 2 * gate_format(path, "forget").zero_point,
            layout.CELL_ZERO: path.cell.format.zero_point,
            layout.READ_ZERO: path.read_cell.zero_point,
            layout.HIDDEN_ZERO: self.written.zero_point - self._output_zero,
            layout.CODE_ZERO: self.read_hidden.zero_point - self.code_zero,
        }
        return np.repeat([centres[which] for which in range(layout.CENTRES)], LANES).astype(np.int32)

    @cached_property
    def code_zero(self) -> int:
        """The raw of the hidden state whose code is 0."""
        offset = self.recurrent.coding.offset if isinstance(self.recurrent, Panels) else 0
        return offset + (0 if self.path.folded_zero_point else self.read_hidden.zero_point)

    @property
    def _output_zero(self) -> int:
        """The raw of the hidden state that the kernel writes as 0."""
        return self.kept.zero_point if self.rescales else self.code_zero

    def state(self, hidden: Integers, cell: Integers) -> FusedState:
        """The state of raws ``(B, units)``."""
        batch, matrix = len(hidden), self.recurrent
        factor = matrix.coding.factor if isinstance(matrix, Panels) else 0
        codes = np.zeros((batch, matrix.pitch), dtype=self.code_type)
        kept = np.zeros((batch, self.width if self.rescales else 0), dtype=np.int32)
        (kept if self.rescales else codes)[:, : self.units] = hidden - self._output_zero
        sums = factor * codes.sum(axis=1, dtype=np.int64)
        cells = np.zeros((batch, self.width), dtype=np.int32)
        cells[:, : self.units] = cell
        state = FusedState(codes, sums.astype(np.int32), cells, kept)
        state.operands = self._operands(state)
        return state

    def _operands(self, state: FusedState) -> tuple[Any, ...]:
        """All that the kernel takes that is the same at every step of a state."""
        matrix, batch = self.recurrent, len(state.cell)
        sums = np.empty((batch, len(self._order)), dtype=np.int32 if isinstance(matrix, Panels) else np.int64)
        gates = np.empty(len(GATES) * LANES, dtype=np.int32)
        shared = (
            (sums, self.row_constants),
            (self.constants, self.centres),
            self.choices,
            self.flags,
            self.tables,
            self.masks,
            (state.codes, state.code_sums, state.cell, gates, state.hidden),
            state.counts,
        )
        if isinstance(matrix, Panels):
            panels = matrix.suited(batch)
            coding = panels.coding
            return (panels.panels, panels.start, panels.scratch()), (coding.bits, coding.step, coding.factor), *shared
        return matrix.matrix, matrix.accumulator, *shared, state.step_counts

    def raws(self, state: FusedState) -> tuple[Integers, Integers]:
        """Hidden state and cell as raws ``(B, units)``."""
        codes = state.hidden if self.rescales else state.codes
        hidden = codes[:, : self.units].astype(np.int64) + self._output_zero
        return hidden, state.cell[:, : self.units].astype(np.int64)

    def totals(self, raws: NDArray[Any], state: FusedState) -> NDArray[Any]:
        """The sums of products of inputs ``(N, inputs)``, for each padded row; what they hold where accumulators step.

        The overflows on the way are added to those of ``state``.
        """
        raws = self._rescaled(raws, state)
        if isinstance(self.inputs, Panels):
            return word_sums(self.inputs, raws, self._input_zero)
        start = np.asarray(self.products[0].start.low, dtype=np.int64)
        sums = self.inputs.run(raws.astype(np.int64) - self._input_zero, start, state.step_counts)
        return np.ascontiguousarray(sums[:, self._order])

    def _rescaled(self, raws: NDArray[Any], state: FusedState) -> NDArray[Any]:
        """The inputs ``(N, inputs)`` as the products read them."""
        if self._input_rescale is None:
            return raws
        return self._input_rescale.run(raws.astype(np.int64) - self.path.input.zero_point, state.input_counts)

    @cached_property
    def _input_rescale(self) -> PreparedNarrowing | None:
        rescale, read = self.path.input_rescale, format_range(self.path.input, centred=True)
        return None if rescale is None else PreparedNarrowing(rescale, read)

    def embedded(self, vectors: NDArray[Any], tokens: int) -> NDArray[np.int32] | None:
        """The sums of products ``(vocabulary, height)`` of every vector of an embedding, to be read by token.

        None as long as fewer tokens were read, ``tokens`` now, than make up for the table, or where it would be large.
        """
        found, self._tokens = self._embedded, self._tokens + tokens
        if found is not None and found[0] is vectors:
            return found[1]
        worthwhile = self._tokens * _TABLE_SHARE >= len(vectors) and len(vectors) * self.height <= _LARGEST_TABLE
        counted = self._input_rescale is not None  # overflows of each vector that is read
        if not worthwhile or counted or not isinstance(self.inputs, Panels):
            return None
        table = word_sums(self.inputs, vectors, self._input_zero)
        self._embedded = vectors, table
        return table

    def run(
        self,
        inputs: NDArray[Any],
        state: FusedState,
        initial: FusedState,
        course: Course,
        padding: int,
        table: NDArray[np.int32] | None = None,
    ) -> NDArray[Any]:
        """The hidden state ``(T, B, units)`` of every step for inputs ``(T, B, inputs)``; ``state`` goes on.

        With a ``table`` of :meth:`embedded` the inputs are tokens ``(T, B)``. ``initial`` is what a reset puts back;
        past a sequence's end stands ``padding``.
        """
        steps, batch = inputs.shape[:2]
        codes = np.zeros((steps, batch, self.width), dtype=self.output_type)
        longest = max(1, _CHUNK // max(1, batch * len(self._order)))
        for first, end in course.segments(steps, longest):
            state.put_back(initial, course.put_back(first, batch))
            order, totals = np.arange((end - first) * batch), table
            if totals is None:
                totals = self.totals(inputs[first:end].reshape(len(order), inputs.shape[2]), state)
            else:
                order = inputs[first:end].reshape(-1)
            self.advance(order, totals, state, course.active(first, batch).astype(np.int64), codes[first:end])
        output = self._hidden(codes)
        if course.lengths is not None:
            output[np.arange(steps)[:, None] >= course.lengths] = padding
        return output

    def step(self, raws: NDArray[Any], state: FusedState, memory: "StepMemory") -> NDArray[Any]:
        """The hidden state ``(B, units)`` after one step for inputs ``(B, inputs)``; ``state`` goes on."""
        if memory.sums is None:
            totals = self.totals(raws, state)
        else:
            totals = memory.sums.run(self._rescaled(raws, state), self._input_zero)
        return self.step_from(totals, memory.order, state, memory)

    def step_from(self, totals: NDArray[Any], order: Integers, state: FusedState, memory: "StepMemory") -> NDArray[Any]:
        """What :meth:`step` gives for the rows ``order`` (B,) of the inputs' sums of products."""
        self.advance(order, totals, state, memory.active, memory.codes)
        hidden: NDArray[Any] = self._hidden(memory.codes)[0].copy()
        return hidden

    @property
    def code_type(self) -> Any:
        """The type of the codes of a hidden state."""
        return self.recurrent.coding.input_type if isinstance(self.recurrent, Panels) else self.recurrent.operands

    @property
    def output_type(self) -> Any:
        """The type in which the kernel writes hidden states."""
        return np.int32 if self.rescales else self.code_type

    @property
    def height(self) -> int:
        """The rows of the sums of products, padded ones included."""
        return len(self._order)

    def memory(self, batch: int) -> "StepMemory":
        """The memory of steps of so many sequences."""
        return StepMemory(
            WordSums(self.inputs, batch) if isinstance(self.inputs, Panels) else None,
            np.arange(batch),
            np.ones(batch, dtype=np.int64),
            np.empty((1, batch, self.width), dtype=self.output_type),
        )

    @cached_property
    def _input_zero(self) -> int:
        """What is subtracted from inputs before they are multiplied."""
        return 0 if self.path.folded_zero_point else self.path.read_input.zero_point

    def _hidden(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The raws ``(T, B, units)`` of codes ``(T, B, width)``."""
        raws = codes[:, :, : self.units]
        zero = self._output_zero
        return np.add(raws, zero, dtype=np.int64).astype(self._hidden_type) if zero else raws

    @cached_property
    def _hidden_type(self) -> type[np.signedinteger[Any]]:
        return raw_type(format_range(self.written))

    def advance(
        self,
        order: Integers,
        totals: NDArray[Any],
        state: FusedState,
        active: Integers,
        output: NDArray[Any],
    ) -> None:
        """Write the codes ``output`` (T, B, width) for rows ``order`` of ``totals``, and move ``state`` on."""
        advance = layout.lstm_steps if isinstance(self.recurrent, Panels) else layout.lstm_stepwise
        advance(order, totals, active, output, *state.operands)

    def counts(self, state: FusedState) -> tuple[Integers, Integers, dict[str, Integers]]:
        """Low and high overflows: of all accumulators ``(2,)``, of each narrowing ``(36, 2)``, of rescaled vectors.

        Those of narrowings stand in the order of :data:`fixedsim.kernels.lstm.NARROWINGS`.
        """
        totals = state.counts.reshape(layout.PLACES, 2, LANES).sum(axis=2, dtype=np.int64)
        accumulator, found = state.step_counts.copy(), np.zeros((len(NARROWINGS), 2), dtype=np.int64)
        for gate in range(len(GATES)):
            place = gate * layout.GATE_PLACES
            accumulator += totals[place + layout.INPUT_ACCUMULATOR] + totals[place + layout.RECURRENT_ACCUMULATOR]
            for which, name in _GATE.items():
                found[gate * len(GATE_NARROWINGS) + GATE_NARROWINGS.index(name)] = totals[place + which]
        for place, name in _CELL.items():
            found[NARROWINGS.index(name)] = totals[place]
        return accumulator, found, {"rescaled_input": state.input_counts, "rescaled_hidden": totals[layout.RESCALED]}


class RecurrentSteps:
    """A recurrent matrix whose accumulators step, in panels of padded rows.

    ``matrix`` and ``accumulator`` are as :func:`fixedsim.kernels.fused.lstm_stepwise` takes them; a hidden state has
    ``pitch`` codes, in the type ``operands``.

    Raises:
        UnfitError: accumulators that only step one by one, or that go over both matrices.
    """

    def __init__(self, products: Products, order: Integers, width: int) -> None:
        steps = products.step_lanes(order, width)
        if steps is None or products.continues is not None or steps.padded != len(order):
            raise UnfitError("accumulators step, with partial sums or over both matrices")
        self.operands, self.pitch = steps.operands, width
        last = np.zeros(products.rows, dtype=np.int64) if products.last is None else products.last
        start, last = (np.where(order < 0, 0, values[order]) for values in (products.start.low, last))
        self.matrix = steps.panels, start.astype(np.int64)[None], last.astype(steps.word)
        self.accumulator = steps.narrowed, steps.product, steps.shifts, steps.register


def _require_shape(layer: "lstm.Lstm") -> None:
    path = layer.datapath
    cell = format_range(path.read_cell).union(format_range(path.read_cell, centred=True))
    hidden = format_range(layer.state_format, centred=True)
    found = {
        "a projection": layer.projection is not None,
        "peepholes": any(gate.peephole is not None for gate in path.present),
        "normalized gates": any(gate.norm is not None for gate in path.present),
        "a stale sigmoid": path.hazard is not Hazard.NONE,
        "partial sums over both matrices": layer.accumulators.concatenated,
        "a cell beyond 32 bits": not cell.within(_INT32),
        "a rescaled hidden state beyond 32 bits": path.hidden_rescale is not None and not hidden.within(_INT32),
    }
    for what, there in found.items():
        if there:
            raise UnfitError(f"the step has {what}")


def _cell_stages(path: LstmDatapath, tables: list[Range]) -> dict[int, LaneStage]:
    """The stages after the gates, for gates and cell activation of these ranges."""
    _, forget, candidate, output, activated = tables
    cell = format_range(path.read_cell, centred=True)
    gate = tables[0]
    kept = lane_stage(path.forget_product, product_range(forget, cell))
    added = lane_stage(path.input_product, product_range(gate, candidate))
    kept_addend = lane_stage(path.forget_addend, kept.outgoing)
    added_addend = lane_stage(path.input_addend, added.outgoing)
    now = lane_stage(path.cell, kept_addend.outgoing.plus(added_addend.outgoing))
    return {
        layout.FORGET_PRODUCT: kept,
        layout.INPUT_PRODUCT: added,
        layout.FORGET_ADDEND: kept_addend,
        layout.INPUT_ADDEND: added_addend,
        layout.CELL: now,
        layout.CELL_INPUT: lane_stage(path.cell_input, now.outgoing),
        layout.HIDDEN: lane_stage(path.hidden, product_range(output, activated)),
    }


def _coupled_table(path: LstmDatapath, forget: RawTable | None) -> RawTable:
    """What a coupled input gate can be: no raw is looked up in it."""
    assert forget is not None
    assert path.coupled is not None
    highest = path.coupled - 2 * gate_format(path, "forget").zero_point
    return RawTable(highest - forget.values, forget.start)


def _joined(tables: list[RawTable]) -> tuple[NDArray[np.int32], list[int]]:
    """The tables one after the other, each once, and the choices that say where and how they stand."""
    places: dict[bytes, int] = {}
    parts: list[NDArray[np.int32]] = []
    starts, pieces, lowest, bases = [], [], [], []
    for table in tables:
        straight = table.pieces
        entries = table.values.astype(np.int32) if straight is None else straight.entries
        key = entries.tobytes()
        if key not in places:
            places[key] = sum(map(len, parts))
            parts.append(entries)
        starts.append(places[key] + (table.start if straight is None else 0))
        pieces.append(0 if straight is None else straight.piece)
        lowest.append(table.start)
        bases.append(0 if straight is None else straight.base)
    return np.concatenate(parts), [*starts, *pieces, *lowest, *bases]
