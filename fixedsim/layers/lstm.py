"""The LSTM on integers: the general step over a batch of sequences."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import checked_raws, require_raws
from fixedsim.errors import InputError, ModelError
from fixedsim.execution import PreparedNarrowing, Products, format_range
from fixedsim.formats import Format
from fixedsim.kernels.lstm import NARROWINGS, SIGNALS, lstm_elementwise
from fixedsim.lanes import UnfitError
from fixedsim.layers.fused_lstm import Course, FusedLstm
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm_accumulators import LstmAccumulators
from fixedsim.layers.lstm_stages import (
    PackedStages,
    kernel_signals,
    narrowings,
    packed_stages,
    require_words,
    resting_register,
    signal_format,
)
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.layers.recorder import Recorder, Signal
from fixedsim.profiles.datapath import GATES, BiasStage, GateDatapath, Hazard, LstmDatapath, Narrowing
from fixedsim.spec.layers import LstmRows, lstm_step

Integers = NDArray[np.int64]


class State(NamedTuple):
    """Hidden state ``(batch, outputs)`` and cell ``(batch, units)`` of a layer, raws."""

    hidden: Integers
    cell: Integers


@dataclass
class _Steps:
    """What is collected over the steps of one run."""

    traced: dict[str, Integers]
    counts: Integers = field(default_factory=lambda: np.zeros((len(NARROWINGS), 2), dtype=np.int64))
    accumulator: Integers = field(default_factory=lambda: np.zeros(2, dtype=np.int64))
    rescaled: dict[str, Integers] = field(default_factory=dict)
    projection: Recorder = field(default_factory=Recorder)


@dataclass(frozen=True, eq=False)
class Lstm:
    """A unidirectional LSTM on raws; the step is :class:`LstmDatapath`'s, gates input, forget, candidate, output.

    Inputs are ``(steps, batch, inputs)`` raws of ``datapath.input``. The hidden state, and so the output, are raws of
    ``output_format``, as the step wrote them; the recurrence may read them in another format. The cell is of
    ``datapath.read_cell``. Rows of the matrices are gate-major, over the gates that the datapath has; ``peephole`` and
    ``norm`` map gates to their weights ``(units,)``. With a ``projection``, the outputs are its ``rows``. ``start``
    maps ``hidden`` and ``cell`` to raws for each unit, in place of the one raw of the datapath.

    A stale sigmoid register (``datapath.hazard``) is no part of the state: each run and each reset starts it at the
    sigmoid of zero.
    """

    name: str
    input_matrix: Matrix  # (gates * units, inputs)
    recurrent_matrix: Matrix  # (gates * units, outputs)
    bias: Bias  # (gates * units,)
    datapath: LstmDatapath
    peephole: Mapping[str, Integers] = field(default_factory=dict)
    norm: Mapping[str, Integers] = field(default_factory=dict)
    projection: Linear | None = None
    start: Mapping[str, Integers] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = self.datapath
        for what, matrix in (("input", self.input_matrix), ("recurrent", self.recurrent_matrix)):
            _require_rows(matrix.rows, len(path.present), self.units, f"{self.name}.{what}.weight")
        self._check_initial()
        _require_reread(self.written_format, path.hidden_state, f"hidden state of {self.name}")
        _require_reread(self.written_format, path.output, f"output of {self.name}")
        _require_reread(path.cell.format, path.cell_state, f"cell of {self.name}")
        self._check_vectors("peephole", self.peephole, [g for g, c in _by_gate(path) if c.peephole is not None])
        self._check_vectors("norm", self.norm, [g for g, c in _by_gate(path) if c.norm is not None])
        self._check_projection()
        self.bias.require_fit(path.accumulator, path.bias_stage, self.name)

    def _check_initial(self) -> None:
        path = self.datapath
        known = {
            "hidden": (path.initial_hidden, self.state_format, self.outputs),
            "cell": (path.initial_cell, path.read_cell, self.units),
        }
        for what, raws in self.start.items():
            if what not in known or raws.shape != (known[what][2],):
                allowed = " and ".join(f"{part} ({width},)" for part, (_, _, width) in known.items())
                raise ModelError(f"initial state of {self.name} must be {allowed}, not {what} {raws.shape}")
        for what, (one, form, _) in known.items():
            for raw in (one, *np.asarray(self.start.get(what, ())).tolist()):
                if not form.contains(raw):
                    raise ModelError(f"initial {what} of {self.name} must be a raw of {form.name}, not {raw}")

    def _check_vectors(self, what: str, given: Mapping[str, Integers], wanted: list[str]) -> None:
        if sorted(given) != sorted(wanted):
            raise ModelError(f"{what} weights of {self.name} must be of the gates {wanted}, not {sorted(given)}")
        for gate, values in given.items():
            if values.shape != (self.units,):
                raise ModelError(f"{self.name}.{what}.{gate} must have shape ({self.units},), not {values.shape}")

    def _check_projection(self) -> None:
        given = self.recurrent_matrix.inputs
        if self.projection is None:
            if given != self.units:
                raise ModelError(f"{self.name}.recurrent.weight must have {self.units} columns, not {given}")
            return
        path, written = self.projection.datapath, self.datapath.hidden.format
        if self.projection.matrix.inputs != self.units or self.projection.matrix.rows != given:
            shape = self.projection.matrix.weight.shape
            raise ModelError(f"projection of {self.name} must be of shape ({given}, {self.units}), not {shape}")
        if path.input != written:
            raise ModelError(f"input of the projection of {self.name} must be {written.name}, not {path.input.name}")

    @classmethod
    def from_raws(
        cls,
        name: str,
        input_weight: ArrayLike,
        recurrent_weight: ArrayLike,
        bias: ArrayLike | None,
        datapath: LstmDatapath,
        *,
        input_constants: dict[str, ArrayLike] | None = None,
        recurrent_constants: dict[str, ArrayLike] | None = None,
        bias_shift: ArrayLike | None = None,
        peephole: Mapping[str, ArrayLike] | None = None,
        norm: Mapping[str, ArrayLike] | None = None,
        projection: Linear | None = None,
        start: Mapping[str, Integers] | None = None,
    ) -> Self:
        """A layer from raw weights ``(gates * units, inputs)``, ``(gates * units, outputs)`` and biases.

        The constants may give ``product_shift``, ``multiplier``, ``shift``, ``zero_point`` and ``scale`` for each row;
        what is left out comes from the narrowings of the row's gate and from the formats.

        Raises:
            InputError: a weight or bias that is not a raw of its format.
            ModelError: wrong shapes, constants out of range, an accumulator too narrow for the bias.
        """
        accumulator = datapath.accumulator
        units = np.shape(input_weight)[0] // len(datapath.present)
        for what, weight in (("input", input_weight), ("recurrent", recurrent_weight)):
            _require_rows(np.shape(weight)[0], len(datapath.present), units, f"{name}.{what}.weight")
        from_inputs = Matrix.of(
            input_weight,
            datapath.weight,
            accumulator,
            datapath.gates[1].input_sum,
            what=f"{name}.input.weight",
            **(_of_gates([gate.input_sum for gate in datapath.present], units) | (input_constants or {})),
        )
        from_hidden = Matrix.of(
            recurrent_weight,
            datapath.recurrent_weight,
            accumulator,
            datapath.gates[1].recurrent_sum,
            what=f"{name}.recurrent.weight",
            **(_of_gates([gate.recurrent_sum for gate in datapath.present], units) | (recurrent_constants or {})),
        )
        cast = datapath.bias_cast
        biases = Bias.of(bias, datapath.bias, from_inputs.rows, shift=bias_shift, cast=cast, what=f"{name}.bias")
        return cls(
            name,
            from_inputs,
            from_hidden,
            biases,
            datapath,
            _vectors(peephole, datapath, "peephole", name),
            _vectors(norm, datapath, "norm", name),
            projection,
            {what: np.asarray(raws, dtype=np.int64) for what, raws in (start or {}).items()},
        )

    @property
    def units(self) -> int:
        """The width of the cell."""
        return self.input_matrix.rows // len(self.datapath.present)

    @property
    def outputs(self) -> int:
        """The width of the hidden state and of the output: the units, or the projection's."""
        return self.recurrent_matrix.inputs

    @property
    def input_format(self) -> Format:
        """The format of the input raws."""
        return self.datapath.input

    @property
    def output_format(self) -> Format:
        """The format in which the output raws are read."""
        return self.datapath.output or self.written_format

    @property
    def written_format(self) -> Format:
        """The format in which the step writes the hidden state, which is the output."""
        return self.datapath.hidden.format if self.projection is None else self.projection.output_format

    @property
    def state_format(self) -> Format:
        """The format in which the recurrence reads the hidden state."""
        return self.datapath.hidden_state or self.written_format

    @cached_property
    def kernel_signals(self) -> dict[str, int]:
        """The names of the element-wise signals, without the layer's, and their places among the kernel's."""
        return kernel_signals(self.datapath)

    def signals(self) -> list[Signal]:
        """Every signal that can be traced, in order of execution."""
        rescales = [
            Signal(f"{self.name}.{name}", width, stage.format) for name, width, stage in self._rescales.values()
        ]
        signals = [*rescales, *(self._signal(name) for name in self.kernel_signals)]
        return signals if self.projection is None else [*signals, *self.projection.signals()]

    @property
    def _rescales(self) -> dict[str, tuple[str, int, Narrowing]]:
        """Signal, width and narrowing of the rescaled vectors that the datapath has."""
        path = self.datapath
        both = {
            "input": ("rescaled_input", self.input_matrix.inputs, path.input_rescale),
            "hidden": ("rescaled_hidden", self.outputs, path.hidden_rescale),
        }
        return {what: (name, width, stage) for what, (name, width, stage) in both.items() if stage is not None}

    def _signal(self, name: str) -> Signal:
        scale = None
        if name.endswith("accumulator"):
            matrix = self.recurrent_matrix if "recurrent" in name else self.input_matrix
            position = self.datapath.gate_names.index(name.split(".")[1])
            scale = matrix.scale[position * self.units : (position + 1) * self.units]
        return Signal(f"{self.name}.{name}", self.units, signal_format(name, self.datapath), scale)

    @cached_property
    def accumulators(self) -> LstmAccumulators:
        """The sums of products, with the bounds and the kernels that they allow."""
        rescale = self.datapath.hidden_rescale
        read_hidden = self.state_format if rescale is None else rescale.format
        return LstmAccumulators(
            self.name, self.input_matrix, self.recurrent_matrix, self.bias, self.datapath, read_hidden
        )

    @property
    def input_products(self) -> Products:
        """The bound of the input accumulators and the kernel that it allows."""
        return self.accumulators.input_products

    @property
    def recurrent_products(self) -> Products:
        """The bound of the recurrent (or joint) accumulators and the kernel that it allows."""
        return self.accumulators.recurrent_products

    @cached_property
    def _resting_register(self) -> int:
        """What a stale sigmoid register holds before the first step."""
        return resting_register(self.datapath)

    @cached_property
    def _packed(self) -> tuple[PackedStages, tuple[Integers, Integers, Integers, Integers]]:
        """The datapath and the row constants as the kernel takes them."""
        path = self.datapath
        late = self.bias.at(path.bias_stage, BiasStage.PREACTIVATION)
        require_words(path, late, self.name)
        constants = np.stack(
            [
                self.input_matrix.multiplier,
                self.input_matrix.shift,
                self.recurrent_matrix.multiplier,
                self.recurrent_matrix.shift,
            ]
        )
        weights, norm_bias = np.zeros((8, self.units), np.int64), np.zeros((4, self.units), np.int64)
        for position, gate in enumerate(GATES):
            weights[position] = self.peephole.get(gate, 0)
            weights[4 + position] = self.norm.get(gate, 0)
            if gate in self.norm:
                first = path.gate_names.index(gate) * self.units
                norm_bias[position] = self.bias.value[first : first + self.units].astype(np.int64)
        return packed_stages(path), (np.asarray(late, dtype=np.int64), constants, weights, norm_bias)

    def initial_state(self, batch: int) -> State:
        """The state after a reset, for ``batch`` sequences."""
        return State(*(np.array(np.broadcast_to(raws, (batch, len(raws)))) for raws in self.resting))

    @cached_property
    def resting(self) -> State:
        """The raws that a reset puts back: hidden state ``(outputs,)`` and cell ``(units,)``."""
        path = self.datapath
        return State(
            self.start.get("hidden", np.full(self.outputs, path.initial_hidden, dtype=np.int64)),
            self.start.get("cell", np.full(self.units, path.initial_cell, dtype=np.int64)),
        )

    def check_state(self, state: State, batch: int) -> State:
        """The state as fresh int64 arrays.

        Raises:
            InputError: another shape, or raws outside the formats.
        """
        forms = ("h", self.state_format, self.outputs), ("c", self.datapath.read_cell, self.units)
        parts = []
        for (what, form, width), raws in zip(forms, state, strict=True):
            checked = require_raws(raws, form, f"state {what} of {self.name}")
            if checked.shape != (batch, width):
                raise InputError(f"state {what} of {self.name} must have shape {(batch, width)}, not {checked.shape}")
            parts.append(np.array(checked, dtype=np.int64))
        return State(*parts)

    def checked(self, inputs: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """The inputs ``(T, N, inputs)``.

        Raises:
            InputError: another shape, or integers that are not raws of the input's format.
        """
        raws = checked_raws(inputs, self.datapath.input, f"input of {self.name}")
        if raws.ndim != 3 or raws.shape[2] != self.input_matrix.inputs:
            shape = f"(T, N, {self.input_matrix.inputs})"
            raise InputError(f"input of {self.name} must have shape {shape}, not {raws.shape}")
        return raws

    def run(
        self,
        inputs: NDArray[np.integer[Any]],
        recorder: Recorder,
        *,
        state: State | None = None,
        lengths: Integers | None = None,
        reset: NDArray[np.bool_] | None = None,
        engine: str = "kernels",
    ) -> tuple[NDArray[np.integer[Any]], State]:
        """The hidden state of every step ``(steps, batch, outputs)``, in a type that holds it, and the last state.

        ``state`` stands in for the initial one. Sequence ``n`` ends after ``lengths[n]`` steps: past them its state
        stays and its output is the raw that means zero. ``reset[t, n]`` puts the state back before step ``t``.

        Raises:
            InputError: shapes that do not fit, or integers that are not raws of their format.
        """
        raws = self.checked(inputs)
        steps, batch = raws.shape[:2]
        now = self.initial_state(batch) if state is None else self.check_state(state, batch)
        wanted = [signal.name for signal in self.signals() if recorder.wants(signal.name)] if recorder.wanted else []
        if engine == "kernels" and not wanted and self.fused is not None:
            return self._run_fused(self.fused, raws, now, Course(lengths, reset), recorder)
        initial = self.initial_state(batch)
        collected = _Steps(self._trace_arrays(wanted, steps, batch), projection=Recorder(frozenset(wanted)))
        register = np.full((batch, 1), self._resting_register, dtype=np.int64)
        begin = self._kernel_step if engine == "kernels" else self._scalar_step
        advance = begin(raws.astype(np.int64), register, collected)
        output = np.full((steps, batch, self.outputs), self.output_format.zero_point, dtype=np.int64)
        for step in range(steps):
            if reset is not None and reset[step].any():
                back = (reset[step] if lengths is None else reset[step] & (lengths > step))[:, None]
                now = State(np.where(back, initial.hidden, now.hidden), np.where(back, initial.cell, now.cell))
                register[back[:, 0]] = self._resting_register
            after = advance(step, now)
            if lengths is not None and (lengths <= step).any():
                going = (lengths > step)[:, None]
                output[step] = np.where(going, after.hidden, self.output_format.zero_point)
                now = State(np.where(going, after.hidden, now.hidden), np.where(going, after.cell, now.cell))
                for values in collected.traced.values():
                    values[step] *= going
            else:
                output[step] = after.hidden
                now = after
        for name, trace in collected.traced.items():
            recorder.record(name, trace)
        if engine == "kernels":  # the specification counts nothing
            self._count(recorder, collected, steps * batch * self.units)
        return output, now

    @property
    def fused(self) -> FusedLstm | None:
        """The layer as the fused kernel takes it, or None where its datapath has another shape."""
        return self._fused if isinstance(self._fused, FusedLstm) else None

    @property
    def unfused(self) -> str | None:
        """Why no fused kernel carries the layer out; None where one does."""
        return self._fused if isinstance(self._fused, str) else None

    @cached_property
    def _fused(self) -> FusedLstm | str:
        late = self.bias.at(self.datapath.bias_stage, BiasStage.PREACTIVATION)
        require_words(self.datapath, late, self.name)  # of either step
        try:
            return FusedLstm(self)
        except UnfitError as error:
            return str(error)

    def run_tokens(
        self,
        tokens: Integers,
        vectors: NDArray[np.integer[Any]],
        recorder: Recorder,
        *,
        state: State | None = None,
        reset: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.integer[Any]], State] | None:
        """What :meth:`run` gives for the ``vectors`` (vocabulary, inputs) of tokens ``(steps, batch)``, without traces.

        None where a table of what all vectors sum up to is not worthwhile.

        Raises:
            InputError: a state that does not fit.
        """
        if recorder.wanted or self.fused is None:
            return None
        table = self.fused.embedded(vectors, tokens.size)
        if table is None:
            return None
        batch = tokens.shape[1]
        now = self.initial_state(batch) if state is None else self.check_state(state, batch)
        return self._run_fused(self.fused, tokens, now, Course(None, reset), recorder, table)

    def _run_fused(
        self,
        fused: FusedLstm,
        inputs: NDArray[np.integer[Any]],
        now: State,
        course: Course,
        recorder: Recorder,
        table: NDArray[np.int32] | None = None,
    ) -> tuple[NDArray[np.integer[Any]], State]:
        state, initial = fused.state(*now), fused.state(*self.initial_state(len(now.hidden)))
        output = fused.run(inputs, state, initial, course, self.output_format.zero_point, table)
        accumulator, counts, rescaled = fused.counts(state)
        self._count(recorder, _Steps({}, counts, accumulator, rescaled), output.size)
        return output, State(*fused.raws(state))

    def _trace_arrays(self, wanted: list[str], steps: int, batch: int) -> dict[str, Integers]:
        widths = {signal.name: signal.units for signal in self.signals()}
        return {name: np.zeros((steps, batch, widths[name]), dtype=np.int64) for name in wanted}

    def _rescaled(self, what: str, raws: Integers, form: Format, collected: _Steps) -> tuple[Integers, Integers]:
        """A vector ``(N, width)`` as the products read it, and the raws before their zero point is taken away."""
        if what in self._rescales:
            name, _, stage = self._rescales[what]
            counts = collected.rescaled.setdefault(name, np.zeros(2, dtype=np.int64))
            prepared = PreparedNarrowing(stage, format_range(form, centred=True))
            raws = prepared.run(raws - form.zero_point, counts)
            form = stage.format
        folded = self.datapath.folded_zero_point or form.zero_point == 0
        return (raws if folded else raws - form.zero_point), raws

    def _kernel_step(self, raws: Integers, register: Integers, collected: _Steps) -> Callable[[int, State], State]:
        """A function ``(step, state) -> state`` over the compiled kernels."""
        path, (packed, rows) = self.datapath, self._packed
        steps, batch, width = raws.shape
        flat = raws.reshape(steps * batch, width)
        read, rescaled = self._rescaled("input", flat, path.input, collected)
        input_trace = f"{self.name}.rescaled_input"
        if input_trace in collected.traced:
            collected.traced[input_trace][:] = rescaled.reshape(raws.shape)
        begun = self.accumulators.begin(read, collected.accumulator)
        totals = begun.reshape(steps, batch, begun.shape[1])
        placed = self._placed(collected)
        signals = np.zeros((len(SIGNALS) if placed else 0, batch, self.units), dtype=np.int64)

        def advance(step: int, state: State) -> State:
            hidden, rescaled = self._rescaled("hidden", state.hidden, self.state_format, collected)
            self._trace(collected, step, "rescaled_hidden", rescaled)
            sums = self.accumulators.finish(totals[step], hidden, collected.accumulator)
            cell, after = state.cell.copy(), np.empty_like(state.cell)
            lstm_elementwise(
                *sums,
                rows,
                packed.choices,
                packed.narrowings,
                packed.centres,
                packed.activations,
                packed.values,
                cell,
                after,
                register,
                signals,
                collected.counts,
            )
            for trace, place in placed:
                trace[step] = signals[place]
            return State(self._project(after, step, collected, "kernels"), cell)

        return advance

    def _placed(self, collected: _Steps) -> list[tuple[Integers, int]]:
        """The traces that the kernel fills, and the places of their signals."""
        named = {f"{self.name}.{name}": place for name, place in self.kernel_signals.items()}
        return [(trace, named[name]) for name, trace in collected.traced.items() if name in named]

    def _trace(self, collected: _Steps, step: int, name: str, raws: Integers) -> None:
        trace = collected.traced.get(f"{self.name}.{name}")
        if trace is not None:
            trace[step] = raws

    def _project(self, hidden: Integers, step: int, collected: _Steps, engine: str) -> Integers:
        """The hidden state ``(batch, outputs)`` from the hidden output ``(batch, units)``."""
        if self.projection is None:
            return hidden
        projected: Integers = self.projection.run(hidden[None], collected.projection, engine=engine)[0]
        for name, trace in collected.projection.traces.items():
            collected.traced[name][step] = trace[0]
        return projected

    @cached_property
    def scalar(self) -> LstmRows:
        """The same for the scalar specification."""
        return LstmRows(
            self.input_matrix.scalar,
            self.recurrent_matrix.scalar,
            self.bias.scalar,
            {gate: raws.tolist() for gate, raws in self.peephole.items()},
            {gate: raws.tolist() for gate, raws in self.norm.items()},
            None if self.projection is None else self.projection.scalar,
        )

    def _scalar_step(self, raws: Integers, register: Integers, collected: _Steps) -> Callable[[int, State], State]:
        """The same function over the scalar specification."""
        written = "hidden" if self.projection is None else "projection.output"
        stale = self.datapath.hazard is Hazard.STALE_SIGMOID

        def advance(step: int, state: State) -> State:
            signals = [
                lstm_step(
                    raws[step, sequence].tolist(),
                    state.hidden[sequence].tolist(),
                    state.cell[sequence].tolist(),
                    self.scalar,
                    self.datapath,
                    int(register[sequence, 0]) if stale else None,
                )
                for sequence in range(raws.shape[1])
            ]
            for name, trace in collected.traced.items():
                trace[step] = [each[name.removeprefix(f"{self.name}.")] for each in signals]
            for sequence, each in enumerate(signals):
                register[sequence, 0] = each["gate.output"][-1]
            hidden, cell = (np.array([each[name] for each in signals], dtype=np.int64) for name in (written, "cell"))
            return State(hidden.reshape(state.hidden.shape), cell.reshape(state.cell.shape))

        return advance

    @cached_property
    def _counted(self) -> list[tuple[int, str]]:
        """The narrowings that the datapath has: their places among the kernel's, and their names."""
        present = narrowings(self.datapath)
        return [(place, f"{self.name}.{name}") for place, name in enumerate(NARROWINGS) if name in present]

    def _count(self, recorder: Recorder, collected: _Steps, values: int) -> None:
        rows = len(self.datapath.present)
        recorder.count(f"{self.name}.accumulator", rows * values, collected.accumulator)
        for place, name in self._counted:
            recorder.count(name, values, collected.counts[place])
        for name, width, _ in self._rescales.values():
            counts = collected.rescaled.get(name, np.zeros(2, dtype=np.int64))
            recorder.count(f"{self.name}.{name}", values // self.units * width, counts)
        for name, count in collected.projection.counts.items():
            recorder.count(name, count.values, (count.low, count.high))


def _require_rows(rows: int, gates: int, units: int, what: str) -> None:
    if rows != gates * units or rows == 0:
        raise ModelError(f"{what} must have {gates * units} rows ({gates} x units), not {rows}")


def _by_gate(path: LstmDatapath) -> list[tuple[str, GateDatapath]]:
    return list(zip(path.gate_names, path.present, strict=True))


def _of_gates(stages: list[Narrowing], units: int) -> dict[str, ArrayLike]:
    """Multiplier and shift of each row from the narrowing of its gate."""
    return {
        "multiplier": np.repeat([stage.multiplier for stage in stages], units),
        "shift": np.repeat([stage.shift for stage in stages], units),
    }


def _vectors(given: Mapping[str, ArrayLike] | None, path: LstmDatapath, what: str, name: str) -> dict[str, Integers]:
    """The weights of peepholes or norms, each checked against the format of its gate's."""
    parts = {gate: getattr(choices, what) for gate, choices in _by_gate(path)}
    for gate in given or {}:
        if parts.get(gate) is None:
            raise ModelError(f"{what} weights of {name} must be of gates whose datapath has a {what}, not of {gate}")
    return {
        gate: np.asarray(require_raws(raws, parts[gate].weight, f"{name}.{what}.{gate}"), dtype=np.int64)
        for gate, raws in (given or {}).items()
    }


def _require_reread(written: Format, read: Format | None, what: str) -> None:
    """Refuse a format to read raws in that does not hold all that may have been written."""
    if read is not None and not (read.raw_min <= written.raw_min and written.raw_max <= read.raw_max):
        raise ModelError(f"{what} must be read in a format that holds the raws of {written.name}, not {read.name}")
