"""The LSTM step as a C function ``<symbol>(hidden_state, cell_state[, register], input, output)``."""

from fixedsim.layers.lstm import Lstm
from fixedsim.profiles.datapath import GATES, Hazard, Narrowing
from fixedsim_golden.c_reference import spans
from fixedsim_golden.c_reference.feedforward import linear
from fixedsim_golden.c_reference.gates import GateWriter, Vectors
from fixedsim_golden.c_reference.source import Source
from fixedsim_golden.c_reference.spans import Span
from fixedsim_golden.c_reference.stages import Stages, declared, factor, function, less
from fixedsim_golden.c_reference.text import integer

_CELL_SIGNALS = ("forget_product", "input_product", "forget_addend", "input_addend", "cell", "cell_input")


def lstm(source: Source, symbol: str, layer: Lstm) -> None:
    """Add the functions of an LSTM: one for each gate, one for the projection, one for the step."""
    _Writer(source, symbol, layer).write()


def is_stale(layer: Lstm) -> bool:
    """Whether the layer has a stale sigmoid register, which the step takes beside its state."""
    return layer.datapath.hazard is Hazard.STALE_SIGMOID


class _Writer:
    def __init__(self, source: Source, symbol: str, layer: Lstm) -> None:
        self.source, self.symbol, self.layer, self.path = source, symbol, layer, layer.datapath
        self.body = ""
        self.arrays = ["before", "cell", "cell_input", "cell_activation", "hidden"]

    def write(self) -> None:
        layer, path = self.layer, self.path
        x = self._read("x", "input", layer.input_matrix.inputs, path.input_rescale)
        h = self._read("h", "hidden", layer.outputs, path.hidden_rescale)
        before = spans.centred(path.read_cell).word(f"{layer.name}.cell")
        stages = Stages(self.source, layer.name)
        stages.add(f"before[unit] = {less('cell_state[unit]', path.read_cell.zero_point)};")
        self.body += stages.loop(layer.units)
        vectors = Vectors(x, h, self._folds())
        late = path.gates[3].peephole is not None
        for gate in path.gate_names:
            self.arrays.append(f"{gate}_gate")
            if not (late and gate == "output"):
                self._gate(gate, vectors, "before", before)
        if path.coupled is not None:
            self._coupled(path.coupled)
        self._cell(before)
        if late:
            self._late_gate(vectors)
        self._hidden()
        self._finish()

    def _read(self, name: str, what: str, width: int, rescale: Narrowing | None) -> Span:
        """Add the loop that reads the inputs or the hidden state, and return the range of what the products read."""
        layer, form = self.layer, self.path.input if what == "input" else self.layer.state_format
        stages = Stages(self.source, layer.name)
        raw = "input[unit]" if what == "input" else "hidden_state[unit]"
        if rescale is not None:
            rescaled = f"rescaled_{what}"
            stages.narrow(f"{name}[unit]", less(raw, form.zero_point), spans.centred(form), rescale, what=rescaled)
            self.body += stages.loop(width)
            self.body += f"    {self.source.trace(f'{layer.name}.{rescaled}', name, width)}\n"
            form, raw = rescale.format, f"{name}[unit]"
        zero_point = 0 if self.path.folded_zero_point else form.zero_point
        stages.add(f"{name}[unit] = {less(raw, zero_point)};")
        self.body += stages.loop(width)
        return spans.raws(form).less(zero_point).word(f"{layer.name}.{what}")

    def _folds(self) -> tuple[int, int]:
        if not self.path.folded_zero_point:
            return 0, 0
        rescale = self.path.hidden_rescale
        hidden = self.layer.state_format if rescale is None else rescale.format
        return self.path.read_input.zero_point, hidden.zero_point

    def _gate(self, gate: str, vectors: Vectors, seen: str, span: Span) -> None:
        """Add the function of a gate and its call; the peephole sees the centred cell ``seen``."""
        writer = GateWriter(self.source, self.symbol, self.layer, gate, vectors, span)
        writer.write()
        cell = f", {seen}" if writer.choices.peephole is not None else ""
        self.body += f"    {writer.call}(x, h{cell}, {gate}_gate);\n"

    def _coupled(self, from_raw: int) -> None:
        self.arrays.append("input_gate")
        stages = Stages(self.source, self.layer.name)
        stages.add(f"input_gate[unit] = {integer(from_raw)} - forget_gate[unit]; /* coupled */")
        self.body += stages.loop(self.layer.units)
        self.body += f"    {self.source.trace(f'{self.layer.name}.gate.input', 'input_gate', self.layer.units)}\n"

    def _gate_read(self, gate: str) -> tuple[str, Span]:
        """A gate less its zero point as the cell reads it, and its range."""
        choices = self.path.gates[GATES.index(gate)] or self.path.gates[1]
        zero_point, index = choices.output.format.zero_point, "unit"
        raws = spans.raws(choices.output.format)
        if self.path.coupled is not None and gate == "input":
            raws = Span(self.path.coupled - raws.high, self.path.coupled - raws.low)
        name = f"{gate}_gate[{index}]"
        if is_stale(self.layer) and gate in ("input", "forget"):
            source = "forget" if gate == "input" else "output"
            raws = spans.raws((self.path.gates[GATES.index(source)] or choices).output.format)
            name = "forget_gate[unit]" if gate == "input" else "stale"
        return factor(name, zero_point), raws.less(zero_point).word(f"{self.layer.name}.gate.{gate}")

    def _cell(self, before: Span) -> None:
        path, stages = self.path, Stages(self.source, self.layer.name)
        if is_stale(self.layer):
            stages.add("stale = unit == 0 ? *sigmoid_register : output_gate[unit - 1];")
        reads = {gate: self._gate_read(gate) for gate in GATES[:3]}
        forget, input_gate, candidate = reads["forget"], reads["input"], reads["candidate"]
        kept = stages.narrow(
            "forget_product[unit]", f"{forget[0]} * before[unit]", forget[1].times(before), path.forget_product
        )
        product = f"{input_gate[0]} * {candidate[0]}"
        added = stages.narrow("input_product[unit]", product, input_gate[1].times(candidate[1]), path.input_product)
        first, kept = self._addend(stages, "forget", kept, path.forget_product, path.forget_addend)
        second, added = self._addend(stages, "input", added, path.input_product, path.input_addend)
        cell = stages.narrow("cell[unit]", f"{first} + {second}", kept.plus(added), path.cell)
        stages.narrow("cell_input[unit]", less("cell[unit]", path.cell.format.zero_point), cell, path.cell_input)
        read = spans.raws(path.cell_input.format)
        stages.activate("cell_activation[unit]", "cell_input[unit]", read, path.cell_activation, path.cell_output)
        self.arrays += ["forget_product", "input_product"]
        self.body += stages.loop(self.layer.units)
        for name in (*_CELL_SIGNALS, "cell_activation"):
            if name in self.arrays:
                self.body += f"    {self.source.trace(f'{self.layer.name}.{name}', name, self.layer.units)}\n"

    def _addend(
        self, stages: Stages, name: str, span: Span, product: Narrowing, rescale: Narrowing | None
    ) -> tuple[str, Span]:
        """A product less its zero point as the sum of the cell takes it, and its range."""
        value = less(f"{name}_product[unit]", product.format.zero_point)
        if rescale is None:
            return value, span
        self.arrays.append(f"{name}_addend")
        rescaled = stages.narrow(f"{name}_addend[unit]", value, span, rescale)
        return less(f"{name}_addend[unit]", rescale.format.zero_point), rescaled

    def _late_gate(self, vectors: Vectors) -> None:
        """Add the output gate, whose peephole sees the new cell."""
        form, stages = self.path.cell.format, Stages(self.source, self.layer.name)
        stages.add(f"before[unit] = {less('cell[unit]', form.zero_point)};")
        self.body += stages.loop(self.layer.units)
        self._gate("output", vectors, "before", spans.centred(form).word(f"{self.layer.name}.cell"))

    def _hidden(self) -> None:
        path, layer, stages = self.path, self.layer, Stages(self.source, self.layer.name)
        gate, value = path.gates[3].output.format, path.cell_output.format
        left, right = factor("output_gate[unit]", gate.zero_point), factor("cell_activation[unit]", value.zero_point)
        span = spans.centred(gate).times(spans.centred(value))
        stages.narrow("hidden[unit]", f"{left} * {right}", span, path.hidden)
        self.body += stages.loop(layer.units)
        self.body += f"    {self.source.trace(f'{layer.name}.hidden', 'hidden', layer.units)}\n"

    def _finish(self) -> None:
        layer, units = self.layer, self.layer.units
        written = "hidden"
        if layer.projection is not None:
            written = "projected"
            linear(self.source, f"{self.symbol}_projection", layer.projection)
            self.body += f"    {self.symbol}_projection(hidden, projected);\n"
        size = f"{layer.outputs} * sizeof(int64_t)"
        self.body += f"    memcpy(hidden_state, {written}, {size});\n    memcpy(output, {written}, {size});\n"
        self.body += f"    memcpy(cell_state, cell, {units} * sizeof(int64_t));\n"
        register, stale = ("int64_t *sigmoid_register, ", "stale, ") if is_stale(layer) else ("", "")
        if stale:
            self.body += f"    *sigmoid_register = output_gate[{units - 1}];\n"
        projected = f", projected[{layer.outputs}]" if layer.projection is not None else ""
        head = (
            f"{declared(self.arrays, units)}    int64_t x[{layer.input_matrix.inputs}], h[{layer.outputs}]{projected}, "
            f"{stale}value;\n    int unit;\n\n"
        )
        parameters = f"(int64_t *hidden_state, int64_t *cell_state, {register}const int64_t *input, int64_t *output)"
        note = f"{layer.name}: one step of an LSTM of {layer.input_matrix.inputs} inputs and {units} units."
        self.source.add(function(self.source.symbol(self.symbol) + parameters, head + self.body, note))
