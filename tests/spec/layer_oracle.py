"""Whole layers a second time: the equations of their datapaths, on the arithmetic of :mod:`tests.spec.oracle`.

Nothing here calls the specification; formats, narrowings and datapaths are read as data only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    GateDatapath,
    LayerNorm,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
)
from tests.spec.accumulator_oracle import accumulate
from tests.spec.oracle import activate, dot, narrow, scaled

NAMES = ("input", "forget", "candidate", "output")


class Rows:
    """A matrix and its row constants, as the oracle's layers take them; ``zero_point`` None: zero in every row."""

    def __init__(
        self,
        weight: list[list[int]],
        product_shift: list[int],
        multiplier: list[int],
        shift: list[int],
        zero_point: list[int] | None = None,
    ) -> None:
        zero = [0] * len(weight) if zero_point is None else zero_point
        self.weight = [[raw - middle for raw in row] for row, middle in zip(weight, zero, strict=True)]
        self.product_shift, self.multiplier, self.shift = product_shift, multiplier, shift

    def products(self, row: int, values: Sequence[int], accumulator: Accumulator, zero_point: int) -> list[int]:
        """The products of one row."""
        return dot(self.weight[row], values, accumulator, self.product_shift[row], zero_point)

    def requantize(self, row: int, total: int, narrowing: Narrowing) -> int:
        """The sum of one row, requantized by the row's own constants."""
        return narrow(total, narrowing, self.multiplier[row], self.shift[row])

    def addends(
        self, row: int, values: Sequence[int], form: Format, datapath: LinearDatapath | LstmDatapath
    ) -> tuple[list[int], int]:
        """The products of one row with raws of a format, and what makes up for a zero point that they keep."""
        if not datapath.folded_zero_point:
            return self.products(row, values, datapath.accumulator, form.zero_point), 0
        zeros = [weight * form.zero_point for weight in self.weight[row]]
        return self.products(row, values, datapath.accumulator, 0), -sum(zeros)


def entering(raw: Sequence[int], shift: Sequence[int], cast: Narrowing | None) -> list[int]:
    """Return stored biases as they enter: times ``2**shift``, and narrowed where there is a cast."""
    pairs = list(zip(raw, shift, strict=True))
    if cast is None:
        return [int(scaled(value, -left)) for value, left in pairs]
    return [narrow(value, cast, shift=-left) for value, left in pairs]


def with_bias(products: list[int], bias: int, datapath: LinearDatapath | LstmDatapath, fold: int = 0) -> int:
    """Return the accumulator of products whose bias enters first, last or not at all."""
    if datapath.bias_stage == "first":
        return accumulate(products, datapath.accumulator, bias + fold)
    tail = [bias] if datapath.bias_stage == "last" else []
    return accumulate(products, datapath.accumulator, fold, tail)


def linear(inputs: Sequence[int], rows: Rows, bias: Sequence[int], datapath: LinearDatapath) -> dict[str, list[int]]:
    """Return the signals of a fully connected layer; ``bias`` is at the scale of the stage that it enters."""
    signals: dict[str, list[int]] = {"accumulator": [], "sum": [], "preactivation": [], "output": []}
    for row, value in enumerate(bias):
        products, fold = rows.addends(row, inputs, datapath.input, datapath)
        total = with_bias(products, value, datapath, fold)
        scaled_sum = rows.requantize(row, total, datapath.sum)
        late = value if datapath.bias_stage == "preactivation" else 0
        preactivation = narrow(real(scaled_sum, datapath.sum) + late, datapath.preactivation)
        activated = activate(preactivation, datapath.activation)
        signals["accumulator"].append(total)
        signals["sum"].append(scaled_sum)
        signals["preactivation"].append(preactivation)
        signals["output"].append(narrow(activated - datapath.activation.format.zero_point, datapath.output))
    return signals


def real(raw: int, given: Narrowing) -> int:
    """Return what a raw of a narrowing's format counts, from the raw that means zero."""
    return raw - given.format.zero_point


Normalize = Callable[[list[int], list[int], list[int], LayerNorm], list[int]]
Vector = list[int]
Read = list[tuple[Vector, Format]]  # the inputs and the hidden state


@dataclass
class LstmOracle:
    """``pre = W x + R h + b``; ``c' = f c + i g``; ``h' = o tanh(c')``, every result narrowed where it is named.

    ``bias`` holds the values that enter. ``normalize(values, weight, bias, norm)`` is the layer normalization of one
    gate's values, counted from their zero.
    """

    from_inputs: Rows
    from_hidden: Rows
    bias: Sequence[int]
    datapath: LstmDatapath
    peephole: Mapping[str, Vector] = field(default_factory=dict)
    norm: Mapping[str, Vector] = field(default_factory=dict)
    normalize: Normalize | None = None
    projection: tuple[Rows, Vector, LinearDatapath] | None = None

    def step(
        self, inputs: Sequence[int], hidden: Sequence[int], cell: Sequence[int], stale: int | None = None
    ) -> dict[str, list[int]]:
        """Return the signals of one step; ``stale`` is the output gate of the last unit in the step before."""
        path = self.datapath
        signals: dict[str, list[int]] = {}
        old = [raw - (path.cell_state or path.cell.format).zero_point for raw in cell]
        read = self._read(inputs, hidden, signals)
        for gate in ("input", "forget", "candidate"):
            self._gate(gate, read, old, signals)
        if path.hazard == "stale_sigmoid":
            self._gate("output", read, old, signals)
        for unit, previous in enumerate(old):
            gates = [self._seen(gate, unit, signals, stale) for gate in ("input", "forget", "candidate")]
            for name, raw in self._cell(gates, previous).items():
                signals.setdefault(name, []).append(raw)
        if path.hazard == "none":
            self._gate("output", read, [real(raw, path.cell) for raw in signals["cell"]], signals)
        pairs = zip(signals["gate.output"], signals["cell_activation"], strict=True)
        signals["hidden"] = [self._hidden(*pair) for pair in pairs]
        if self.projection is not None:
            projected = linear(signals["hidden"], *self.projection)
            signals |= {f"projection.{name}": raws for name, raws in projected.items()}
        return signals

    def _read(self, inputs: Sequence[int], hidden: Sequence[int], signals: dict[str, Vector]) -> Read:
        """The two vectors that the matrices are multiplied with, and the formats of their raws."""
        path = self.datapath
        written = path.hidden.format if self.projection is None else self.projection[2].output.format
        both: Read = []
        for name, raws, form, rescale in (
            ("rescaled_input", inputs, path.input, path.input_rescale),
            ("rescaled_hidden", hidden, path.hidden_state or written, path.hidden_rescale),
        ):
            read = list(raws)
            if rescale is not None:
                read = signals[name] = [narrow(raw - form.zero_point, rescale) for raw in raws]
                form = rescale.format
            both.append((read, form))
        return both

    def _gate(self, gate: str, read: Read, cell: Vector, signals: dict[str, Vector]) -> None:
        """Add the signals of one gate, whose peephole sees ``cell``."""
        path = self.datapath
        choices = path.gates[NAMES.index(gate)]
        if choices is None:
            assert path.coupled is not None
            self._gate("forget", read, cell, signals)
            signals["gate.input"] = [path.coupled - raw for raw in signals["gate.forget"]]
            return
        if f"gate.{gate}" in signals:  # the coupled input gate was made from it
            return
        first = [name for name in NAMES if name != "input" or path.coupled is None].index(gate) * len(cell)
        rows = range(first, first + len(cell))
        sums = [self._sums(row, read, choices) for row in rows]
        signals |= {f"gate.{gate}.{name}": [each[name] for each in sums] for name in sums[0]}
        raws, last = signals[f"gate.{gate}.preactivation"], choices.preactivation
        if choices.peephole is not None:
            weights, peephole = self.peephole[gate], choices.peephole
            products = [(weight - peephole.weight.zero_point) * c for weight, c in zip(weights, cell, strict=True)]
            weighted = signals[f"gate.{gate}.peephole_product"] = [narrow(each, peephole.product) for each in products]
            pairs = [real(raw, last) + real(each, peephole.product) for raw, each in zip(raws, weighted, strict=True)]
            raws, last = [narrow(pair, peephole.sum) for pair in pairs], peephole.sum
            signals[f"gate.{gate}.peephole_sum"] = raws
        if choices.norm is not None:
            assert self.normalize is not None
            values, bias = [real(raw, last) for raw in raws], [self.bias[row] for row in rows]
            raws = signals[f"gate.{gate}.normalized"] = self.normalize(values, self.norm[gate], bias, choices.norm)
        middle = choices.activation.format.zero_point
        signals[f"gate.{gate}"] = [narrow(activate(raw, choices.activation) - middle, choices.output) for raw in raws]

    def _sums(self, row: int, read: Read, choices: GateDatapath) -> dict[str, int]:
        path = self.datapath
        (inputs, incoming), (hidden, state) = read
        first, first_fold = self.from_inputs.addends(row, inputs, incoming, path)
        second, second_fold = self.from_hidden.addends(row, hidden, state, path)
        if path.joint:
            total = with_bias(first + second, self.bias[row], path, first_fold + second_fold)
            result = {"accumulator": total, "sum": self.from_inputs.requantize(row, total, choices.input_sum)}
            together = real(result["sum"], choices.input_sum)
        else:
            left = with_bias(first, self.bias[row], path, first_fold)
            right = accumulate(second, path.accumulator, second_fold)
            result = {
                "input_accumulator": left,
                "recurrent_accumulator": right,
                "input_sum": self.from_inputs.requantize(row, left, choices.input_sum),
                "recurrent_sum": self.from_hidden.requantize(row, right, choices.recurrent_sum),
            }
            together = real(result["input_sum"], choices.input_sum)
            together += real(result["recurrent_sum"], choices.recurrent_sum)
        late = self.bias[row] if path.bias_stage == "preactivation" else 0
        return result | {"preactivation": narrow(together + late, choices.preactivation)}

    def _seen(self, gate: str, unit: int, signals: dict[str, Vector], stale: int | None) -> int:
        """A gate as the cell reads it, counted from its zero; with a stale register the sigmoid before it.

        The sigmoids of one unit follow each other as forget, input, output.
        """
        path = self.datapath
        source, raw = gate, signals[f"gate.{gate}"][unit]
        if path.hazard == "stale_sigmoid" and gate == "input":
            raw = signals["gate.forget"][unit]
        elif path.hazard == "stale_sigmoid" and gate == "forget":
            raw = self._register(stale) if unit == 0 else signals["gate.output"][unit - 1]
        if path.coupled is not None and gate == "input":
            source = "forget"
        choices = path.gates[NAMES.index(source)]
        assert choices is not None
        return real(raw, choices.output)

    def _register(self, stale: int | None) -> int:
        """The raw of the register: the one given, or the sigmoid of zero."""
        last = self.datapath.gates[3]
        if stale is not None:
            return stale
        return narrow(activate(0, last.activation) - last.activation.format.zero_point, last.output)

    def _cell(self, gates: list[int], previous: int) -> dict[str, int]:
        path = self.datapath
        entering_gate, keeping, candidate = gates
        kept = narrow(keeping * previous, path.forget_product)
        added = narrow(entering_gate * candidate, path.input_product)
        result = {"forget_product": kept, "input_product": added}
        total = 0
        for name, raw, product, addend in (
            ("forget_addend", kept, path.forget_product, path.forget_addend),
            ("input_addend", added, path.input_product, path.input_addend),
        ):
            if addend is None:
                total += real(raw, product)
            else:
                result[name] = narrow(real(raw, product), addend)
                total += real(result[name], addend)
        cell = narrow(total, path.cell)
        rescaled = narrow(real(cell, path.cell), path.cell_input)
        activated = activate(rescaled, path.cell_activation) - path.cell_activation.format.zero_point
        return result | {
            "cell": cell,
            "cell_input": rescaled,
            "cell_activation": narrow(activated, path.cell_output),
        }

    def _hidden(self, gate: int, activated: int) -> int:
        path = self.datapath
        return narrow(real(gate, path.gates[3].output) * real(activated, path.cell_output), path.hidden)
