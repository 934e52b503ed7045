"""One step of each layer on Python integers: the general datapath, signal by signal.

Every stage takes raws less the zero point of the format that they come in; activations take raws as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    GATES,
    Accumulator,
    BiasStage,
    EmbeddingDatapath,
    GateDatapath,
    Hazard,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
)
from fixedsim.spec.accumulators import accumulate, products
from fixedsim.spec.activations import activate
from fixedsim.spec.casts import narrow
from fixedsim.spec.functions import layer_norm

Vector = Sequence[int]
Signals = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class MatrixRows:
    """A weight matrix and the constants of its rows.

    ``product_shift`` stands in for the shift of the product's narrowing, ``multiplier`` and ``shift`` for those of the
    requantization of the row's accumulator; ``zero_point`` is the raw weight that means zero.
    """

    weight: Sequence[Vector]
    product_shift: Vector
    multiplier: Vector
    shift: Vector
    zero_point: Vector

    def products(self, row: int, inputs: Vector, accumulator: Accumulator) -> list[int]:
        """The products of one row with an input vector."""
        return products(self.centred(row), inputs, accumulator, self.product_shift[row])

    def centred(self, row: int) -> list[int]:
        """The weights of one row less their zero point."""
        return [raw - self.zero_point[row] for raw in self.weight[row]]

    def fold(self, row: int, zero_point: int) -> int:
        """What the accumulator starts with so that inputs may stay raw: ``-zero_point * sum of the weights``."""
        return -zero_point * sum(self.centred(row))


@dataclass(frozen=True, slots=True)
class BiasRows:
    """The stored biases; each enters as ``raw * 2**shift``, or narrowed from it, where the datapath says."""

    raw: Vector
    shift: Vector
    cast: Narrowing | None = None

    def at(self, stage: BiasStage, row: int, datapath: LinearDatapath | LstmDatapath) -> int:
        """The bias of a row where it enters at ``stage``, else 0."""
        return self.value(row) if datapath.bias_stage is stage else 0

    def value(self, row: int) -> int:
        """The bias of a row as it enters."""
        if self.cast is None:
            return self.raw[row] << self.shift[row]
        return narrow(self.raw[row], self.cast, None, -self.shift[row])


@dataclass(frozen=True, slots=True)
class LinearRows:
    """All integers of a fully connected layer, and its datapath."""

    matrix: MatrixRows
    bias: BiasRows
    datapath: LinearDatapath


@dataclass(frozen=True, slots=True)
class LstmRows:
    """All integers of an LSTM; rows of the matrices are gate-major, over the gates that the datapath has.

    ``peephole`` and ``norm`` map a gate to its ``(units,)`` weights.
    """

    input: MatrixRows
    recurrent: MatrixRows
    bias: BiasRows
    peephole: Mapping[str, Vector] = field(default_factory=dict)
    norm: Mapping[str, Vector] = field(default_factory=dict)
    projection: LinearRows | None = None

    def read_hidden(self, datapath: LstmDatapath) -> Format:
        """The format of the hidden state as the recurrence reads it, before its rescaling."""
        if datapath.hidden_state is not None:
            return datapath.hidden_state
        return datapath.hidden.format if self.projection is None else self.projection.datapath.output.format


def embed(entry: Vector, multiplier: int, shift: int, datapath: EmbeddingDatapath) -> Signals:
    """Return the output for the table's ``entry`` of one token, narrowed by that entry's constants."""
    return {"output": [narrow(raw, datapath.output, multiplier, shift) for raw in entry]}


def linear(inputs: Vector, rows: LinearRows) -> Signals:
    """Return every signal of a fully connected layer for one vector of input raws."""
    matrix, bias, datapath = rows.matrix, rows.bias, rows.datapath
    signals: Signals = {"accumulator": [], "sum": [], "preactivation": [], "output": []}
    zero_point = datapath.input.zero_point
    read = list(inputs) if datapath.folded_zero_point else _less(inputs, zero_point)
    for row in range(len(matrix.weight)):
        fold = matrix.fold(row, zero_point) if datapath.folded_zero_point else 0
        total = _total(matrix.products(row, read, datapath.accumulator), fold, row, bias, datapath)
        scaled = narrow(total, datapath.sum, matrix.multiplier[row], matrix.shift[row])
        late = bias.at(BiasStage.PREACTIVATION, row, datapath)
        preactivation = narrow(scaled - datapath.sum.format.zero_point + late, datapath.preactivation)
        activated = activate(preactivation, datapath.activation) - datapath.activation.format.zero_point
        output = narrow(activated, datapath.output)
        _append(signals, accumulator=total, sum=scaled, preactivation=preactivation, output=output)
    return signals


def lstm_step(
    inputs: Vector, hidden: Vector, cell: Vector, rows: LstmRows, datapath: LstmDatapath, register: int | None = None
) -> Signals:
    """Return every signal of one LSTM step.

    ``hidden`` and ``cell`` are the raws of the step before; those of this one are the signals ``hidden`` (with a
    projection ``projection.output``) and ``cell``. ``register`` is what a stale sigmoid register holds: the output gate
    of the last unit in the step before (None: sigmoid of zero).
    """
    signals: Signals = {}
    read_input = _read(inputs, datapath.input, datapath.input_rescale, "rescaled_input", datapath, signals)
    form = rows.read_hidden(datapath)
    read_hidden = _read(hidden, form, datapath.hidden_rescale, "rescaled_hidden", datapath, signals)
    vectors = read_input, read_hidden
    before = _less(cell, datapath.read_cell.zero_point)
    late = datapath.gates[3].peephole is not None
    for gate in datapath.gate_names:
        if not (late and gate == "output"):
            _gate(gate, vectors, before, rows, datapath, signals)
    if datapath.coupled is not None:
        signals["gate.input"] = [datapath.coupled - raw for raw in signals["gate.forget"]]
    read = _as_read(signals, datapath, register)
    for unit, previous in enumerate(before):
        _append(signals, **_cell({gate: values[unit] for gate, values in read.items()}, previous, datapath))
    if late:
        after = _less(signals["cell"], datapath.cell.format.zero_point)
        _gate("output", vectors, after, rows, datapath, signals)
    _hidden(signals, rows, datapath)
    return signals


def _less(raws: Vector, zero_point: int) -> list[int]:
    return [raw - zero_point for raw in raws]


def _read(
    raws: Vector, form: Format, rescale: Narrowing | None, name: str, datapath: LstmDatapath, signals: Signals
) -> list[int]:
    """A vector as the products read it: rescaled where the datapath says, and less its zero point unless folded."""
    if rescale is not None:
        raws = signals[name] = [narrow(raw - form.zero_point, rescale) for raw in raws]
        form = rescale.format
    return list(raws) if datapath.folded_zero_point else _less(raws, form.zero_point)


def _gate(
    gate: str,
    vectors: tuple[Vector, Vector],
    cell: Vector,
    rows: LstmRows,
    datapath: LstmDatapath,
    signals: Signals,
) -> None:
    """Add the signals of one gate; ``cell`` is what its peephole sees, less its zero point."""
    choices = _choices(gate, datapath)
    first = datapath.gate_names.index(gate) * len(cell)
    for row in range(first, first + len(cell)):
        sums = _gate_sums(vectors, row, choices, rows, datapath)
        late = rows.bias.at(BiasStage.PREACTIVATION, row, datapath)
        sums["preactivation"] = narrow(_addends(sums, choices) + late, choices.preactivation)
        _append(signals, **{f"gate.{gate}.{name}": value for name, value in sums.items()})
    read = signals[f"gate.{gate}.preactivation"]
    if choices.peephole is not None:
        read = _peephole(gate, read, cell, rows, choices, signals)
    if choices.norm is not None:
        bias = [rows.bias.value(row) for row in range(first, first + len(cell))]
        given = choices.preactivation if choices.peephole is None else choices.peephole.sum
        read = layer_norm(_less(read, given.format.zero_point), rows.norm[gate], bias, choices.norm)
        signals[f"gate.{gate}.normalized"] = read
    activated = [activate(raw, choices.activation) - choices.activation.format.zero_point for raw in read]
    signals[f"gate.{gate}"] = [narrow(raw, choices.output) for raw in activated]


def _choices(gate: str, datapath: LstmDatapath) -> GateDatapath:
    choices = datapath.gates[GATES.index(gate)]
    if choices is None:
        raise ModelError(f"gate must have a datapath of its own, not {gate}")
    return choices


def _gate_sums(
    vectors: tuple[Vector, Vector], row: int, choices: GateDatapath, rows: LstmRows, datapath: LstmDatapath
) -> dict[str, int]:
    """The accumulators of one row and what they are requantized to: one pair where they are joint, else two."""
    from_inputs = rows.input.products(row, vectors[0], datapath.accumulator)
    from_hidden = rows.recurrent.products(row, vectors[1], datapath.accumulator)
    folds = [0, 0]
    if datapath.folded_zero_point:
        rescale = datapath.hidden_rescale
        hidden = rows.read_hidden(datapath) if rescale is None else rescale.format
        folds = [
            rows.input.fold(row, datapath.read_input.zero_point),
            rows.recurrent.fold(row, hidden.zero_point),
        ]
    if datapath.joint:
        total = _total([*from_inputs, *from_hidden], sum(folds), row, rows.bias, datapath)
        scaled = narrow(total, choices.input_sum, rows.input.multiplier[row], rows.input.shift[row])
        return {"accumulator": total, "sum": scaled}
    input_total = _total(from_inputs, folds[0], row, rows.bias, datapath)
    recurrent_total = accumulate(from_hidden, datapath.accumulator, folds[1])
    return {
        "input_accumulator": input_total,
        "recurrent_accumulator": recurrent_total,
        "input_sum": narrow(input_total, choices.input_sum, rows.input.multiplier[row], rows.input.shift[row]),
        "recurrent_sum": narrow(
            recurrent_total, choices.recurrent_sum, rows.recurrent.multiplier[row], rows.recurrent.shift[row]
        ),
    }


def _addends(sums: Mapping[str, int], choices: GateDatapath) -> int:
    """The requantized sums less their zero points, added."""
    if "sum" in sums:
        return sums["sum"] - choices.input_sum.format.zero_point
    zero_points = choices.input_sum.format.zero_point + choices.recurrent_sum.format.zero_point
    return sums["input_sum"] + sums["recurrent_sum"] - zero_points


def _peephole(
    gate: str, read: Vector, cell: Vector, rows: LstmRows, choices: GateDatapath, signals: Signals
) -> list[int]:
    """The pre-activations with the weighted cell added."""
    peephole = choices.peephole
    assert peephole is not None
    weighted = [
        narrow((weight - peephole.weight.zero_point) * value, peephole.product)
        for weight, value in zip(rows.peephole[gate], cell, strict=True)
    ]
    zero_points = choices.preactivation.format.zero_point + peephole.product.format.zero_point
    added = [narrow(before + addend - zero_points, peephole.sum) for before, addend in zip(read, weighted, strict=True)]
    signals[f"gate.{gate}.peephole_product"], signals[f"gate.{gate}.peephole_sum"] = weighted, added
    return added


def _as_read(signals: Signals, datapath: LstmDatapath, register: int | None) -> dict[str, list[int]]:
    """The gates as the cell reads them: with a stale sigmoid register, each one evaluation late.

    The shared unit evaluates, unit by unit, the sigmoids of the forget, input and output gates. The cell takes what was
    evaluated before as its forget gate, and the forget gate's as its input gate.
    """
    read = {gate: signals[f"gate.{gate}"] for gate in GATES[:3]}
    if datapath.hazard is Hazard.NONE:
        return read
    if register is None:
        register = narrow(
            activate(0, datapath.gates[3].activation) - datapath.gates[3].activation.format.zero_point,
            datapath.gates[3].output,
        )
    outputs = [register, *signals["gate.output"]]
    return {**read, "input": read["forget"], "forget": [stale for stale, _ in pairwise(outputs)]}


def _cell(gate: Mapping[str, int], previous: int, datapath: LstmDatapath) -> dict[str, int]:
    """The cell and its activation for one unit, from the gates that it reads and its previous cell, centred."""
    centred = {
        name: raw - choices.output.format.zero_point
        for (name, raw), choices in ((item, _gate_format(item[0], datapath)) for item in gate.items())
    }
    forget_product = narrow(centred["forget"] * previous, datapath.forget_product)
    input_product = narrow(centred["input"] * centred["candidate"], datapath.input_product)
    values = {"forget_product": forget_product, "input_product": input_product}
    kept = _addend("forget", forget_product, datapath.forget_product, datapath.forget_addend, values)
    added = _addend("input", input_product, datapath.input_product, datapath.input_addend, values)
    cell = narrow(kept + added, datapath.cell)
    cell_input = narrow(cell - datapath.cell.format.zero_point, datapath.cell_input)
    activated = activate(cell_input, datapath.cell_activation) - datapath.cell_activation.format.zero_point
    return values | {
        "cell": cell,
        "cell_input": cell_input,
        "cell_activation": narrow(activated, datapath.cell_output),
    }


def _gate_format(gate: str, datapath: LstmDatapath) -> GateDatapath:
    """The datapath whose format a gate has: a coupled input gate has the forget gate's."""
    return datapath.gates[GATES.index(gate)] or datapath.gates[1]


def _addend(name: str, product: int, given: Narrowing, rescale: Narrowing | None, values: dict[str, int]) -> int:
    """A product less its zero point, as the sum of the cell takes it."""
    centred = product - given.format.zero_point
    if rescale is None:
        return centred
    values[f"{name}_addend"] = narrow(centred, rescale)
    return values[f"{name}_addend"] - rescale.format.zero_point


def _hidden(signals: Signals, rows: LstmRows, datapath: LstmDatapath) -> None:
    """Add the hidden output, and its projection where there is one."""
    zero_points = datapath.gates[3].output.format.zero_point, datapath.cell_output.format.zero_point
    signals["hidden"] = [
        narrow((gate - zero_points[0]) * (value - zero_points[1]), datapath.hidden)
        for gate, value in zip(signals["gate.output"], signals["cell_activation"], strict=True)
    ]
    if rows.projection is not None:
        projected = linear(signals["hidden"], rows.projection)
        signals.update({f"projection.{name}": values for name, values in projected.items()})


def _total(addends: Vector, fold: int, row: int, bias: BiasRows, datapath: LinearDatapath | LstmDatapath) -> int:
    last = [bias.at(BiasStage.LAST, row, datapath)] if datapath.bias_stage is BiasStage.LAST else []
    start = bias.at(BiasStage.FIRST, row, datapath) + fold
    return accumulate(addends, datapath.accumulator, start, last)


def _append(signals: Signals, **values: int) -> None:
    for name, value in values.items():
        signals.setdefault(name, []).append(value)
