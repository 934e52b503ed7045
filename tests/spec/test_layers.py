"""Whole layers of random datapaths against the oracle, signal by signal, and a few that are worked by hand."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    EmbeddingDatapath,
    LayerNorm,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
)
from fixedsim.spec import layers
from fixedsim.spec.layers import BiasRows, LinearRows, LstmRows, MatrixRows, embed, linear, lstm_step
from tests.spec import layer_oracle as oracle
from tests.spec import oracle as scalar_oracle
from tests.spec.strategies import linear_datapaths, lstm_datapaths, raws, small
from tests.spec.worked import fully_connected, one_row, one_unit, step_datapath


@dataclass(frozen=True)
class Drawn:
    """The operands of a matrix or of a whole layer for the specification, and the same for the oracle."""

    matrix: MatrixRows
    rows: oracle.Rows


def both(weight: list[list[int]], *constants: list[int]) -> Drawn:
    """A matrix for the specification and for the oracle."""
    return Drawn(MatrixRows(weight, *constants), oracle.Rows(weight, *constants))


@st.composite
def matrices(draw: st.DrawFn, form: Format, rows: int, inputs: int) -> Drawn:
    """A matrix of raws with constants of each row."""
    weight = [[draw(raws(form)) for _ in range(inputs)] for _ in range(rows)]
    ranges = (-3, 6), (1, 9), (-1, 9), (-9, 9)
    constants = [draw(st.lists(st.integers(low, high), min_size=rows, max_size=rows)) for low, high in ranges]
    return both(weight, *constants)


@st.composite
def biases(draw: st.DrawFn, rows: int, cast: Narrowing | None = None) -> tuple[BiasRows, list[int]]:
    """Stored biases with their shifts, and the values that enter."""
    raw = draw(st.lists(st.integers(-2048, 2047), min_size=rows, max_size=rows))
    shift = draw(st.lists(st.integers(0 if cast is None else -6, 5), min_size=rows, max_size=rows))
    return BiasRows(raw, shift, cast), oracle.entering(raw, shift, cast)


@st.composite
def linear_layers(draw: st.DrawFn, path: LinearDatapath, rows: int, inputs: int) -> tuple[LinearRows, Any]:
    """A fully connected layer for the specification, and its operands for the oracle."""
    drawn = draw(matrices(path.weight, rows, inputs))
    bias, values = draw(biases(rows, path.bias_cast))
    return LinearRows(drawn.matrix, bias, path), (drawn.rows, values, path)


@given(linear_datapaths(), st.data())
def test_a_fully_connected_layer(datapath: LinearDatapath, data: st.DataObject) -> None:
    rows, inputs = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 4))
    layer, operands = data.draw(linear_layers(datapath, rows, inputs))
    vector = [data.draw(raws(datapath.input)) for _ in range(inputs)]
    assert linear(vector, layer) == oracle.linear(vector, *operands)


def mixed(values: list[int], weight: list[int], bias: list[int], norm: LayerNorm) -> list[int]:
    """A stand-in for layer normalization in which every unit, weight and bias takes part."""
    whole = sum(position * value for position, value in enumerate(values, 1))
    return [
        norm.least_variance + whole * scale - value + addend
        for value, scale, addend in zip(values, weight, bias, strict=True)
    ]


@settings(max_examples=50)
@given(lstm_datapaths(), st.data())
def test_an_lstm_step(datapath: LstmDatapath, data: st.DataObject) -> None:
    units, inputs, outputs = (data.draw(st.integers(*ends)) for ends in ((1, 2), (0, 3), (1, 3)))
    small_weights = st.lists(st.integers(-99, 99), min_size=units, max_size=units)
    projection, operands = None, None
    if data.draw(st.booleans()):
        projected = data.draw(linear_datapaths(incoming=datapath.hidden.format))
        projection, operands = data.draw(linear_layers(projected, outputs, units))
    written = datapath.hidden.format if projection is None else projection.datapath.output.format
    outputs = units if projection is None else outputs
    count = len(datapath.present) * units
    from_inputs = data.draw(matrices(datapath.weight, count, inputs))
    from_hidden = data.draw(matrices(datapath.recurrent_weight, count, outputs))
    bias, values = data.draw(biases(count, datapath.bias_cast))
    gates = dict(zip(datapath.gate_names, datapath.present, strict=True))
    peephole = {name: data.draw(small_weights) for name, gate in gates.items() if gate.peephole}
    norm = {name: data.draw(small_weights) for name, gate in gates.items() if gate.norm}
    vector = [data.draw(raws(datapath.input)) for _ in range(inputs)]
    hidden = [data.draw(raws(written)) for _ in range(outputs)]
    cell = [data.draw(raws(datapath.cell.format)) for _ in range(units)]
    register = data.draw(st.none() | raws(datapath.gates[3].output.format))
    rows = LstmRows(from_inputs.matrix, from_hidden.matrix, bias, peephole, norm, projection)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "layer_norm", mixed)
        signals = lstm_step(vector, hidden, cell, rows, datapath, register)
    wanted = oracle.LstmOracle(
        from_inputs.rows, from_hidden.rows, values, datapath, peephole, norm, mixed, operands
    ).step(vector, hidden, cell, register)
    assert signals == wanted


@given(small(), st.lists(st.integers(-500, 500), max_size=5), st.integers(1, 9), st.integers(-2, 8))
def test_an_embedding(output: Narrowing, entry: list[int], multiplier: int, shift: int) -> None:
    datapath = EmbeddingDatapath(Format.integer(10), output)
    wanted = [scalar_oracle.narrow(raw, output, multiplier, shift) for raw in entry]
    assert embed(entry, multiplier, shift, datapath) == {"output": wanted}


@pytest.mark.parametrize(
    ("stage", "accumulator", "output"),
    [
        (BiasStage.FIRST, 27, 27),  # 120 + 100 saturates at 127, less 100
        (BiasStage.LAST, 120, 120),  # 100 - 100, then 120
        (BiasStage.PREACTIVATION, 0, 120),  # 100 - 100, and 120 only past the sum
    ],
)
def test_the_stage_of_the_bias_decides(stage: BiasStage, accumulator: int, output: int) -> None:
    signals = one_row([1, 1], [100, -100], fully_connected(stage), bias=BiasRows([60], [1]))
    assert (signals["accumulator"], signals["output"]) == ([accumulator], [output])


def test_the_inputs_zero_point_is_subtracted_before_the_product() -> None:
    path = fully_connected(BiasStage.LAST, input=Format.affine(8, Fraction(1), -100), accumulator=Accumulator(32))
    signals = one_row([-100, -97], [50, 7], path)
    assert signals["accumulator"] == [21]


def test_the_outputs_zero_point_is_added_last() -> None:
    output = Narrowing(Format.affine(8, Fraction(1), 10))
    signals = one_row([3], [2], fully_connected(BiasStage.LAST, output=output))
    assert (signals["preactivation"], signals["output"]) == ([6], [16])


@pytest.mark.parametrize("joint", [False, True])
def test_a_step_worked_by_hand(joint: bool) -> None:
    """Gates 2 + 10, 3 + 20, 5 + 30, 7 + 40; cell 23 * 100 + 12 * 35 = 2720; hidden 47 * 2720."""
    signals = one_unit(step_datapath(joint=joint), [2, 3, 5, 7], [1, 2, 3, 4])
    gates = [signals[f"gate.{gate}"] for gate in ("input", "forget", "candidate", "output")]
    assert gates == [[12], [23], [35], [47]]
    assert (signals["forget_product"], signals["input_product"]) == ([2300], [420])
    assert (signals["cell"], signals["hidden"]) == ([2720], [127840])


def test_two_accumulators_saturate_each_for_itself() -> None:
    narrow_sum = Accumulator(4)
    weights, recurrent = [9, 0, 0, 0], [-1, 0, 0, 0]
    separate = one_unit(step_datapath(accumulator=narrow_sum), weights, recurrent)
    assert separate["gate.input.preactivation"] == [7 - 8]
    joint = one_unit(step_datapath(accumulator=narrow_sum, joint=True), weights, recurrent)
    assert joint["gate.input.preactivation"] == [7 - 10]


def test_the_hidden_states_zero_point_is_subtracted() -> None:
    hidden = Narrowing(Format.affine(32, Fraction(1), 4), Rounding.FLOOR, Overflow.SATURATE)
    signals = one_unit(step_datapath(hidden=hidden), [0, 0, 0, 0], [1, 1, 1, 1])
    assert signals["gate.input"] == [6]
    assert signals["hidden"] == [6 * (6 * 100 + 6 * 6) + 4]


def test_the_names_of_the_signals() -> None:
    gates = ("input", "forget", "candidate", "output")
    ends = {"forget_product", "input_product", "cell", "cell_input", "cell_activation", "hidden"}
    for joint, sums in (
        (True, ("accumulator", "sum")),
        (False, ("input_accumulator", "recurrent_accumulator", "input_sum", "recurrent_sum")),
    ):
        named = {f"gate.{gate}.{name}" for gate in gates for name in (*sums, "preactivation")}
        wanted = named | {f"gate.{gate}" for gate in gates} | ends
        assert set(one_unit(step_datapath(joint=joint), [0] * 4, [0] * 4)) == wanted
