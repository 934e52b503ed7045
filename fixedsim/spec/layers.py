"""One step of each layer on Python integers: the general datapath, signal by signal."""

from collections.abc import Sequence
from dataclasses import dataclass

from fixedsim.profiles.datapath import (
    GATES,
    Accumulator,
    BiasStage,
    EmbeddingDatapath,
    LinearDatapath,
    LstmDatapath,
)
from fixedsim.spec.accumulators import accumulate, products
from fixedsim.spec.activations import activate
from fixedsim.spec.casts import narrow

Vector = Sequence[int]
Signals = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class MatrixRows:
    """A weight matrix and the constants of its rows.

    ``product_shift`` stands in for the shift of the product's narrowing, ``multiplier`` and ``shift`` for those of the
    requantization of the row's accumulator.
    """

    weight: Sequence[Vector]
    product_shift: Vector
    multiplier: Vector
    shift: Vector

    def products(self, row: int, centred: Vector, accumulator: Accumulator) -> list[int]:
        """The products of one row with an input vector whose zero point is already subtracted."""
        return products(self.weight[row], centred, accumulator, self.product_shift[row])


@dataclass(frozen=True, slots=True)
class BiasRows:
    """The stored biases; each enters as ``raw * 2**shift`` at the stage that the datapath names."""

    raw: Vector
    shift: Vector

    def at(self, stage: BiasStage, row: int, datapath: LinearDatapath | LstmDatapath) -> int:
        """The bias of a row where it enters at ``stage``, else 0."""
        return self.raw[row] << self.shift[row] if datapath.bias_stage is stage else 0


def embed(entry: Vector, multiplier: int, shift: int, datapath: EmbeddingDatapath) -> Signals:
    """Return the output for the table's ``entry`` of one token, narrowed by that entry's constants."""
    return {"output": [narrow(raw, datapath.output, multiplier, shift) for raw in entry]}


def linear(inputs: Vector, matrix: MatrixRows, bias: BiasRows, datapath: LinearDatapath) -> Signals:
    """Return every signal of a fully connected layer for one vector of input raws."""
    signals: Signals = {"accumulator": [], "sum": [], "preactivation": [], "output": []}
    centred = [raw - datapath.input.zero_point for raw in inputs]
    for row in range(len(matrix.weight)):
        addends = matrix.products(row, centred, datapath.accumulator)
        total = _total(addends, row, bias, datapath)
        scaled = narrow(total, datapath.sum, matrix.multiplier[row], matrix.shift[row])
        late = bias.at(BiasStage.PREACTIVATION, row, datapath)
        preactivation = narrow(scaled + late, datapath.preactivation)
        output = narrow(activate(preactivation, datapath.activation), datapath.output)
        _append(signals, accumulator=total, sum=scaled, preactivation=preactivation, output=output)
    return signals


def lstm_step(
    inputs: Vector,
    hidden: Vector,
    cell: Vector,
    *,
    input_matrix: MatrixRows,
    recurrent_matrix: MatrixRows,
    bias: BiasRows,
    datapath: LstmDatapath,
) -> Signals:
    """Return every signal of one LSTM step; rows are gate-major, in the order input, forget, candidate, output.

    ``hidden`` and ``cell`` are the raws of the step before; those of this one are the signals ``hidden`` and ``cell``.
    """
    signals: Signals = {}
    units = len(cell)
    centred_inputs = [raw - datapath.input.zero_point for raw in inputs]
    centred_hidden = [raw - datapath.hidden.format.zero_point for raw in hidden]
    for position, gate in enumerate(GATES):
        for row in range(position * units, (position + 1) * units):
            from_inputs = input_matrix.products(row, centred_inputs, datapath.accumulator)
            from_hidden = recurrent_matrix.products(row, centred_hidden, datapath.accumulator)
            sums = _gate_sums(from_inputs, from_hidden, row, input_matrix, recurrent_matrix, bias, datapath)
            late = bias.at(BiasStage.PREACTIVATION, row, datapath)
            choices = datapath.gates[position]
            addends = [value for name, value in sums.items() if name.endswith("sum")]
            preactivation = narrow(sum(addends) + late, choices.preactivation)
            value = narrow(activate(preactivation, choices.activation), choices.output)
            named = {f"gate.{gate}.{name}": value for name, value in sums.items()}
            _append(signals, **named, **{f"gate.{gate}.preactivation": preactivation, f"gate.{gate}": value})
    for unit in range(units):
        values = {gate: signals[f"gate.{gate}"][unit] for gate in GATES}
        _append(signals, **_cell(values, cell[unit], datapath))
    return signals


def _gate_sums(
    from_inputs: Vector,
    from_hidden: Vector,
    row: int,
    input_matrix: MatrixRows,
    recurrent_matrix: MatrixRows,
    bias: BiasRows,
    datapath: LstmDatapath,
) -> dict[str, int]:
    """The accumulators of one row and what they are requantized to: one pair where they are joint, else two."""
    choices = datapath.gates[row * len(GATES) // len(input_matrix.weight)]
    if datapath.joint:
        total = _total([*from_inputs, *from_hidden], row, bias, datapath)
        scaled = narrow(total, choices.input_sum, input_matrix.multiplier[row], input_matrix.shift[row])
        return {"accumulator": total, "sum": scaled}
    input_total = _total(from_inputs, row, bias, datapath)
    recurrent_total = accumulate(from_hidden, datapath.accumulator)
    return {
        "input_accumulator": input_total,
        "recurrent_accumulator": recurrent_total,
        "input_sum": narrow(input_total, choices.input_sum, input_matrix.multiplier[row], input_matrix.shift[row]),
        "recurrent_sum": narrow(
            recurrent_total, choices.recurrent_sum, recurrent_matrix.multiplier[row], recurrent_matrix.shift[row]
        ),
    }


def _cell(gate: dict[str, int], previous: int, datapath: LstmDatapath) -> dict[str, int]:
    """The element-wise end of the step for one unit, from its gates and its previous cell."""
    forget_product = narrow(gate["forget"] * previous, datapath.forget_product)
    input_product = narrow(gate["input"] * gate["candidate"], datapath.input_product)
    cell = narrow(forget_product + input_product, datapath.cell)
    cell_input = narrow(cell, datapath.cell_input)
    cell_activation = narrow(activate(cell_input, datapath.cell_activation), datapath.cell_output)
    hidden = narrow(gate["output"] * cell_activation, datapath.hidden)
    return {
        "forget_product": forget_product,
        "input_product": input_product,
        "cell": cell,
        "cell_input": cell_input,
        "cell_activation": cell_activation,
        "hidden": hidden,
    }


def _total(addends: Vector, row: int, bias: BiasRows, datapath: LinearDatapath | LstmDatapath) -> int:
    last = [bias.at(BiasStage.LAST, row, datapath)] if datapath.bias_stage is BiasStage.LAST else []
    return accumulate([*addends, *last], datapath.accumulator, bias.at(BiasStage.FIRST, row, datapath))


def _append(signals: Signals, **values: int) -> None:
    for name, value in values.items():
        signals.setdefault(name, []).append(value)
