"""The LSTM on integers: the general step over a batch of sequences."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import pack_activations, pack_narrowing, require_raws
from fixedsim.errors import InputError, ModelError
from fixedsim.execution import (
    PreparedActivation,
    Products,
    Range,
    activation_range,
    format_range,
    product_range,
    require_int64,
)
from fixedsim.formats import Format
from fixedsim.kernels.lstm import NARROWINGS, SIGNALS, lstm_elementwise
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.layers.recorder import Recorder, Signal
from fixedsim.profiles.datapath import GATES, BiasStage, LstmDatapath
from fixedsim.spec.layers import lstm_step

Integers = NDArray[np.int64]


class State(NamedTuple):
    """Hidden state and cell of a layer, raws ``(batch, units)``."""

    hidden: Integers
    cell: Integers


@dataclass
class _Steps:
    """What is collected over the steps of one run."""

    traced: dict[str, Integers]
    counts: Integers = field(default_factory=lambda: np.zeros((len(NARROWINGS), 2), dtype=np.int64))
    accumulator: Integers = field(default_factory=lambda: np.zeros(2, dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Lstm:
    """A unidirectional LSTM on raws; the step is :class:`LstmDatapath`'s, gates input, forget, candidate, output.

    Inputs are ``(steps, batch, inputs)`` raws of ``datapath.input``; hidden state, and so the output, are raws of
    ``datapath.hidden.format``, the cell of ``datapath.cell.format``. Rows of the matrices are gate-major.
    """

    name: str
    input_matrix: Matrix  # (4 * units, inputs)
    recurrent_matrix: Matrix  # (4 * units, units)
    bias: Bias  # (4 * units,)
    datapath: LstmDatapath

    def __post_init__(self) -> None:
        rows = 4 * self.units
        for what, matrix in (("input", self.input_matrix), ("recurrent", self.recurrent_matrix)):
            if matrix.rows != rows:
                raise ModelError(f"{self.name}.{what}.weight must have {rows} rows (4 x units), not {matrix.rows}")
        for what, raw, form in (
            ("hidden", self.datapath.initial_hidden, self.datapath.hidden.format),
            ("cell", self.datapath.initial_cell, self.datapath.cell.format),
        ):
            if not form.contains(raw):
                raise ModelError(f"initial {what} of {self.name} must be a raw of {form.name}, not {raw}")
        self.bias.require_fit(self.datapath.accumulator, self.datapath.bias_stage, self.name)

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
    ) -> Self:
        """A layer from raw weights ``(4 * units, inputs)`` and ``(4 * units, units)`` and biases ``(4 * units,)``.

        The constants may give ``product_shift``, ``multiplier``, ``shift`` and ``scale`` for each row; what is left
        out comes from the datapath's narrowings of the first gate.

        Raises:
            InputError: a weight or bias that is not a raw of its format.
            ModelError: wrong shapes, constants out of range, an accumulator too narrow for the bias.
        """
        gate, accumulator = datapath.gates[0], datapath.accumulator
        from_inputs = Matrix.of(
            input_weight,
            datapath.weight,
            accumulator,
            gate.input_sum,
            what=f"{name}.input.weight",
            **(input_constants or {}),
        )
        from_hidden = Matrix.of(
            recurrent_weight,
            datapath.recurrent_weight,
            accumulator,
            gate.recurrent_sum,
            what=f"{name}.recurrent.weight",
            **(recurrent_constants or {}),
        )
        biases = Bias.of(bias, datapath.bias, from_inputs.rows, shift=bias_shift, what=f"{name}.bias")
        return cls(name, from_inputs, from_hidden, biases, datapath)

    @property
    def units(self) -> int:
        """The width of the hidden state."""
        return self.recurrent_matrix.inputs

    @property
    def input_format(self) -> Format:
        """The format of the input raws."""
        return self.datapath.input

    @property
    def output_format(self) -> Format:
        """The format of the output raws."""
        return self.datapath.hidden.format

    @cached_property
    def kernel_signals(self) -> dict[str, int]:
        """The names of the signals, without the layer's, and their places among the kernel's."""
        joint = {"input_accumulator": "accumulator", "input_sum": "sum"}
        names = {}
        for position, name in enumerate(SIGNALS):
            prefix, _, last = name.rpartition(".")
            if self.datapath.joint and last.startswith("recurrent_"):
                continue
            last = joint.get(last, last) if self.datapath.joint else last
            name = prefix if last == "gate" else f"{prefix}.{last}".lstrip(".")
            names[name] = position
        return names

    def signals(self) -> list[Signal]:
        """Every signal that can be traced, in order of execution."""
        return [self._signal(name) for name in self.kernel_signals]

    def _signal(self, name: str) -> Signal:
        scale = None
        if name.endswith("accumulator"):
            matrix = self.recurrent_matrix if "recurrent" in name else self.input_matrix
            position = GATES.index(name.split(".")[1])
            scale = matrix.scale[position * self.units : (position + 1) * self.units]
        return Signal(f"{self.name}.{name}", self.units, self._format(name), scale)

    def _format(self, name: str) -> Format:
        path = self.datapath
        if not name.startswith("gate."):
            stage = {"cell_activation": "cell_output"}.get(name, name)
            form: Format = getattr(path, stage).format
            return form
        _, gate, *rest = name.split(".")
        choices = path.gates[GATES.index(gate)]
        formats = {
            "": choices.output.format,
            "preactivation": choices.preactivation.format,
            "input_sum": choices.input_sum.format,
            "sum": choices.input_sum.format,
            "recurrent_sum": choices.recurrent_sum.format,
        }
        return formats.get("".join(rest), path.accumulator.format)

    @cached_property
    def input_products(self) -> Products:
        """The bound of the input accumulators and the kernel that it allows."""
        path = self.datapath
        start = self.bias.at(path.bias_stage, BiasStage.FIRST)
        last = path.bias_stage is BiasStage.LAST and not path.joint
        return Products(
            self.input_matrix.weight,
            self.input_matrix.product_shift,
            path.accumulator,
            inputs=format_range(path.input, centred=True),
            start=Range(start, start),
            last=self.bias.value.astype(np.int64) if last else None,
        )

    @cached_property
    def recurrent_products(self) -> Products:
        """The bound of the recurrent (or joint) accumulators and the kernel that it allows."""
        path = self.datapath
        zeros = np.zeros(4 * self.units, dtype=object)
        last = path.bias_stage is BiasStage.LAST and path.joint
        return Products(
            self.recurrent_matrix.weight,
            self.recurrent_matrix.product_shift,
            path.accumulator,
            inputs=format_range(path.hidden.format, centred=True),
            start=self.input_products.total if path.joint else Range(zeros, zeros),
            continues=self.input_products if path.joint else None,
            last=self.bias.value.astype(np.int64) if last else None,
        )

    @cached_property
    def _packed(self) -> tuple[Integers, Integers, Integers, Integers, Integers]:
        """Late bias, row constants, narrowings, activations and table values as the kernel takes them."""
        self._require_int64()
        path = self.datapath
        stages = [
            stage
            for gate in path.gates
            for stage in (gate.input_sum, gate.recurrent_sum, gate.preactivation, gate.output)
        ]
        stages += [path.forget_product, path.input_product, path.cell, path.cell_input, path.cell_output, path.hidden]
        activations, values = pack_activations([*(gate.activation for gate in path.gates), path.cell_activation])
        constants = np.stack(
            [
                self.input_matrix.multiplier,
                self.input_matrix.shift,
                self.recurrent_matrix.multiplier,
                self.recurrent_matrix.shift,
            ]
        )
        late = np.asarray(self.bias.at(path.bias_stage, BiasStage.PREACTIVATION), dtype=np.int64)
        return late, constants, np.stack([pack_narrowing(stage) for stage in stages]), activations, values

    def _require_int64(self) -> None:
        """Refuse a datapath whose sums and products of operands could leave 64-bit words."""
        path = self.datapath
        late = self.bias.at(path.bias_stage, BiasStage.PREACTIVATION)
        for gate in path.gates:
            sums = format_range(gate.input_sum.format)
            if not path.joint:
                sums = sums.plus(format_range(gate.recurrent_sum.format))
            require_int64(sums.plus(Range(late, late)), f"{self.name}: sum of the pre-activation")
            PreparedActivation(gate.activation, format_range(gate.preactivation.format), self.name)
        PreparedActivation(path.cell_activation, format_range(path.cell_input.format), self.name)
        gates = dict(zip(GATES, (format_range(gate.output.format) for gate in path.gates), strict=True))
        kept = product_range(gates["forget"], format_range(path.cell.format))
        require_int64(kept, f"{self.name}: forget gate times cell")
        require_int64(product_range(gates["input"], gates["candidate"]), f"{self.name}: input gate times candidate")
        added = format_range(path.forget_product.format).plus(format_range(path.input_product.format))
        require_int64(added, f"{self.name}: sum of the cell")
        activated = format_range(path.cell_output.format)
        require_int64(product_range(gates["output"], activated), f"{self.name}: output gate times cell activation")
        require_int64(activation_range(path.cell_activation), f"{self.name}: cell activation")

    def initial_state(self, batch: int) -> State:
        """The state after a reset, for ``batch`` sequences."""
        shape = (batch, self.units)
        return State(
            np.full(shape, self.datapath.initial_hidden, dtype=np.int64),
            np.full(shape, self.datapath.initial_cell, dtype=np.int64),
        )

    def check_state(self, state: State, batch: int) -> State:
        """The state as fresh int64 arrays.

        Raises:
            InputError: another shape, or raws outside the formats.
        """
        path, shape = self.datapath, (batch, self.units)
        parts = []
        for what, raws, form in zip(("h", "c"), state, (path.hidden.format, path.cell.format), strict=True):
            checked = require_raws(raws, form, f"state {what} of {self.name}")
            if checked.shape != shape:
                raise InputError(f"state {what} of {self.name} must have shape {shape}, not {checked.shape}")
            parts.append(np.array(checked, dtype=np.int64))
        return State(*parts)

    def run(
        self,
        inputs: Integers,
        recorder: Recorder,
        *,
        state: State | None = None,
        lengths: Integers | None = None,
        reset: NDArray[np.bool_] | None = None,
        engine: str = "kernels",
    ) -> tuple[Integers, State]:
        """The hidden state of every step ``(steps, batch, units)``, and the state after the last.

        ``state`` stands in for the initial one. Sequence ``n`` ends after ``lengths[n]`` steps: past them its state
        stays and its output is the raw that means zero. ``reset[t, n]`` puts the state back before step ``t``.

        Raises:
            InputError: shapes that do not fit, or integers that are not raws of their format.
        """
        raws = require_raws(inputs, self.datapath.input, f"input of {self.name}")
        if raws.ndim != 3 or raws.shape[2] != self.input_matrix.inputs:
            shape = f"(T, N, {self.input_matrix.inputs})"
            raise InputError(f"input of {self.name} must have shape {shape}, not {raws.shape}")
        steps, batch = raws.shape[:2]
        now = self.initial_state(batch) if state is None else self.check_state(state, batch)
        initial = self.initial_state(batch)
        collected = _Steps(self._trace_arrays(recorder, steps, batch))
        advance = self._kernel_step(raws, collected) if engine == "kernels" else self._scalar_step(raws, collected)
        output = np.full((steps, batch, self.units), self.output_format.zero_point, dtype=np.int64)
        for step in range(steps):
            if reset is not None and reset[step].any():
                back = (reset[step] if lengths is None else reset[step] & (lengths > step))[:, None]
                now = State(np.where(back, initial.hidden, now.hidden), np.where(back, initial.cell, now.cell))
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
            recorder.record(f"{self.name}.{name}", trace)
        if engine == "kernels":  # the specification counts nothing
            self._count(recorder, collected, steps * batch * self.units)
        return output, now

    def _trace_arrays(self, recorder: Recorder, steps: int, batch: int) -> dict[str, Integers]:
        wanted = [name for name in self.kernel_signals if recorder.wants(f"{self.name}.{name}")]
        return {name: np.zeros((steps, batch, self.units), dtype=np.int64) for name in wanted}

    def _kernel_step(self, raws: Integers, collected: _Steps) -> Any:
        """A function ``(step, state) -> state`` over the compiled kernels."""
        path = self.datapath
        late, constants, narrowings, activations, values = self._packed
        input_counts = np.zeros(2, dtype=np.int64)
        steps, batch, width = raws.shape
        centred = (raws - path.input.zero_point).reshape(steps * batch, width)
        start = np.asarray(self.bias.at(path.bias_stage, BiasStage.FIRST), dtype=np.int64)
        totals = self.input_products.run(centred, start, input_counts, finish=not path.joint)
        totals = np.ascontiguousarray(totals).reshape(steps, batch, 4 * self.units)
        collected.accumulator += input_counts
        signals = np.zeros((len(SIGNALS) if collected.traced else 0, batch, self.units), dtype=np.int64)
        nothing = np.zeros((batch, 4 * self.units), dtype=np.int64)
        zero = path.hidden.format.zero_point

        def advance(step: int, state: State) -> State:
            hidden = state.hidden - zero if zero else state.hidden
            begin = totals[step] if path.joint else nothing
            recurrent = self.recurrent_products.run(hidden, begin, collected.accumulator)
            first, second = (recurrent, nothing) if path.joint else (totals[step], recurrent)
            cell, after = state.cell.copy(), np.empty_like(state.hidden)
            lstm_elementwise(
                first,
                second,
                late,
                constants,
                path.joint,
                narrowings,
                activations,
                values,
                cell,
                after,
                signals,
                collected.counts,
            )
            for name, trace in collected.traced.items():
                trace[step] = signals[self.kernel_signals[name]]
            return State(after, cell)

        return advance

    def _scalar_step(self, raws: Integers, collected: _Steps) -> Any:
        """The same function over the scalar specification."""

        def advance(step: int, state: State) -> State:
            signals = [
                lstm_step(
                    raws[step, sequence].tolist(),
                    state.hidden[sequence].tolist(),
                    state.cell[sequence].tolist(),
                    input_matrix=self.input_matrix.scalar,
                    recurrent_matrix=self.recurrent_matrix.scalar,
                    bias=self.bias.scalar,
                    datapath=self.datapath,
                )
                for sequence in range(raws.shape[1])
            ]
            for name, trace in collected.traced.items():
                trace[step] = [each[name] for each in signals]
            shape = state.hidden.shape
            hidden, cell = (np.array([each[name] for each in signals], dtype=np.int64) for name in ("hidden", "cell"))
            return State(hidden.reshape(shape), cell.reshape(shape))

        return advance

    def _count(self, recorder: Recorder, collected: _Steps, values: int) -> None:
        recorder.count(f"{self.name}.accumulator", 4 * values, collected.accumulator)
        for name, counts in zip(NARROWINGS, collected.counts, strict=True):
            if not (self.datapath.joint and "recurrent" in name):
                recorder.count(f"{self.name}.{name}", values, counts)
