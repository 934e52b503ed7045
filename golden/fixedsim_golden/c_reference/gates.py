"""One gate of an LSTM as a C function ``<symbol>(x, h[, cell], gate)``."""

from dataclasses import dataclass

from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Matrix
from fixedsim.profiles.datapath import GATES, GateDatapath, LayerNorm, Peephole
from fixedsim_golden.c_reference import spans
from fixedsim_golden.c_reference.accumulation import Products, Vector, accumulate, products
from fixedsim_golden.c_reference.feedforward import biases, late_sum
from fixedsim_golden.c_reference.narrowing import Scale, row_scale
from fixedsim_golden.c_reference.source import Source
from fixedsim_golden.c_reference.spans import Span
from fixedsim_golden.c_reference.stages import Stages, declared, factor, function, less
from fixedsim_golden.c_reference.text import Constant


@dataclass(frozen=True)
class Vectors:
    """What the products of the gates read: ranges, and the zero points that are folded into the accumulators."""

    x: Span
    h: Span
    folds: tuple[int, int]


class GateWriter:
    """Writes the function of one gate of a layer; ``cell`` is the range of what its peephole sees, centred."""

    def __init__(self, source: Source, symbol: str, layer: Lstm, gate: str, vectors: Vectors, cell: Span) -> None:
        choices = layer.datapath.gates[GATES.index(gate)]
        assert choices is not None
        position = layer.datapath.gate_names.index(gate)
        self.source, self.symbol, self.layer, self.gate = source, symbol, layer, gate
        self.choices: GateDatapath = choices
        self.vectors, self.cell = vectors, cell
        self.rows = slice(position * layer.units, (position + 1) * layer.units)
        self.subject = f"{layer.name}.gate.{gate}"
        self.stages = Stages(source, self.subject)
        self.arrays: list[str] = []
        self.body = ""

    @property
    def call(self) -> str:
        """The function's name."""
        return f"{self.symbol}_gate_{self.gate}"

    def write(self) -> None:
        """Add the function to the source."""
        choices, path = self.choices, self.layer.datapath
        folds = [
            matrix.fold(zero_point)[self.rows].tolist()
            for matrix, zero_point in zip(self._matrices, self.vectors.folds, strict=True)
        ]
        added, span, late = self._joint_sums(folds) if path.joint else self._separate_sums(folds)
        added, span = late_sum(added, span, late)
        self._narrow("preactivation", added, span, choices.preactivation)
        read = "preactivation"
        if choices.peephole is not None:
            read = self._peephole(choices.peephole)
        if choices.norm is not None:
            read = self._norm(choices.norm, read)
        self.stages.activate(
            "gate[unit]", f"{read}[unit]", spans.raws(choices.read), choices.activation, choices.output
        )
        self._finish()

    @property
    def _matrices(self) -> tuple[Matrix, Matrix]:
        return self.layer.input_matrix, self.layer.recurrent_matrix

    def _narrow(self, name: str, value: str, span: Span, stage: object, scale: Scale | None = None) -> Span:
        """Add a narrowing to a vector of the function's own."""
        self.arrays.append(name)
        return self.stages.narrow(f"{name}[unit]", value, span, stage, scale)  # type: ignore[arg-type]

    def _products(self, which: int, first: int) -> Products:
        name, span = (("x", self.vectors.x), ("h", self.vectors.h))[which]
        vector = Vector(name, span, first, f"{self.layer.name}.{('input', 'recurrent')[which]}")
        prefix = f"{self.call}_{('input', 'recurrent')[which]}"
        part = products(self.source, prefix, self.rows, self._matrices[which], vector, self.layer.datapath.accumulator)
        self.stages.lines.append(part.code.rstrip("\n"))
        return part

    def _scale(self, which: int) -> Scale:
        matrix = self._matrices[which]
        stage = (self.choices.input_sum, self.choices.recurrent_sum)[which]
        constants = matrix.multiplier[self.rows].tolist(), matrix.shift[self.rows].tolist()
        name = ("sum",) if self.layer.datapath.joint else ("input_sum", "recurrent_sum")
        return row_scale(self.source, f"{self.call}_{name[which]}", stage, *constants, self.subject)

    def _biases(self, prefix: str, folds: list[int]) -> tuple[Constant, Constant | None, Constant | None]:
        path = self.layer.datapath
        return biases(self.source, prefix, self.layer.bias, self.rows, path.bias_stage, folds, self.subject)

    def _total(self, name: str, parts: list[Products], start: Constant, last: Constant | None) -> Span:
        """Add the accumulator's function and its call; return the range of the total."""
        accumulator = self.layer.datapath.accumulator
        call, total = accumulate(self.source, f"{self.subject}.{name}", parts, accumulator, start, last)
        self.arrays.append(name)
        self.stages.add(f"{name}[unit] = {call};")
        return total

    def _joint_sums(self, folds: list[list[int]]) -> tuple[str, Span, Constant | None]:
        both = [sum(pair) for pair in zip(*folds, strict=True)]
        start, last, late = self._biases(self.call, both)
        parts = [self._products(0, 0), self._products(1, self.layer.input_matrix.inputs)]
        total = self._total("accumulator", parts, start, last)
        stage = self.choices.input_sum
        span = self._narrow("sum", "accumulator[unit]", total, stage, self._scale(0))
        return less("sum[unit]", stage.format.zero_point), span, late

    def _separate_sums(self, folds: list[list[int]]) -> tuple[str, Span, Constant | None]:
        start, last, late = self._biases(self.call, folds[0])
        begin = self.source.constant(f"{self.call}_recurrent", "start", folds[1], self.subject)
        first = self._total("input_accumulator", [self._products(0, 0)], start, last)
        second = self._total("recurrent_accumulator", [self._products(1, 0)], begin, None)
        stages = self.choices.input_sum, self.choices.recurrent_sum
        ranges = [
            self._narrow(f"{name}_sum", f"{name}_accumulator[unit]", total, stage, self._scale(which))
            for which, (name, total, stage) in enumerate(
                zip(("input", "recurrent"), (first, second), stages, strict=True)
            )
        ]
        zero_points = sum(stage.format.zero_point for stage in stages)
        return less("input_sum[unit] + recurrent_sum[unit]", zero_points), ranges[0].plus(ranges[1]), late

    def _peephole(self, peephole: Peephole) -> str:
        weights = self.layer.peephole[self.gate].tolist()
        weight = self.source.array(f"{self.call}_peephole", weights, self.subject)
        product = f"{factor(f'{weight}[unit]', peephole.weight.zero_point)} * cell[unit]"
        span = spans.of(weights).less(peephole.weight.zero_point).times(self.cell)
        zero_points = self.choices.preactivation.format.zero_point + peephole.product.format.zero_point
        added = self._narrow("peephole_product", product, span, peephole.product).plus(
            spans.centred(self.choices.preactivation.format)
        )
        total = less("preactivation[unit] + peephole_product[unit]", zero_points)
        self._narrow("peephole_sum", total, added, peephole.sum)
        return "peephole_sum"

    def _norm(self, norm: LayerNorm, read: str) -> str:
        """Close the loop over the units, normalize over all of them, and begin another."""
        stage = self.choices.preactivation if self.choices.peephole is None else self.choices.peephole.sum
        spans.centred(stage.format).fit(16, f"{self.subject}.{read}")
        weights = self.layer.norm[self.gate].tolist()
        bias = [int(value) for value in self.layer.bias.value[self.rows]]
        arrays = [
            self.source.array(f"{self.call}_{name}", values, self.subject, "int64_t")
            for name, values in (("norm", weights), ("norm_bias", bias))
        ]
        self.stages.add(f"normalized[unit] = {less(f'{read}[unit]', stage.format.zero_point)};")
        units = self.layer.units
        self.body += self.stages.loop(units)
        self.body += f"    layer_norm(normalized, {arrays[0]}, {arrays[1]}, {units}, {norm.least_variance});\n"
        self._narrow("normalized", "normalized[unit]", Span(-(1 << 21), (1 << 21)), norm.output)
        return "normalized"

    def _finish(self) -> None:
        layer, units = self.layer, self.layer.units
        widths = layer.input_matrix.inputs, layer.recurrent_matrix.inputs
        self.body += self.stages.loop(units)
        for name in self.arrays:
            self.body += f"    {self.source.trace(f'{self.subject}.{name}', name, units)}\n"
        self.body += f"    {self.source.trace(self.subject, 'gate', units)}\n"
        buffer = sum(widths) if layer.datapath.joint else max(widths)
        head = f"{declared(self.arrays, units)}    int64_t addends[{buffer}], value;\n    int unit, k;\n\n"
        seen = ", const int64_t *cell" if self.choices.peephole is not None else ""
        parameters = f"(const int64_t *x, const int64_t *h{seen}, int64_t *gate)"
        note = f"{self.subject}: x and h are the inputs and the hidden state as the products read them."
        self.source.add(function(self.source.symbol(self.call) + parameters, head + self.body, note))
