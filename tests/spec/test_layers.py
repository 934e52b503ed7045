"""Whole layers of random datapaths against the oracle, signal by signal, and a few that are worked by hand."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    EmbeddingDatapath,
    GateDatapath,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
    PiecewiseLinear,
)
from fixedsim.spec.layers import BiasRows, MatrixRows, embed, linear, lstm_step
from tests.spec import oracle
from tests.spec.strategies import linear_datapaths, lstm_datapaths, raws, small


@dataclass(frozen=True)
class Drawn:
    """The operands of a layer for the specification, and the same for the oracle."""

    matrix: MatrixRows
    rows: oracle.Rows


@st.composite
def matrices(draw: st.DrawFn, form: Format, rows: int, inputs: int) -> Drawn:
    """A matrix of raws with constants of each row."""
    weight = [[draw(raws(form)) for _ in range(inputs)] for _ in range(rows)]
    constants = [
        draw(st.lists(st.integers(low, high), min_size=rows, max_size=rows)) for low, high in ((-3, 6), (1, 9), (-1, 9))
    ]
    return Drawn(MatrixRows(weight, *constants), oracle.Rows(weight, *constants))


@st.composite
def biases(draw: st.DrawFn, rows: int) -> tuple[BiasRows, list[int]]:
    """Stored biases with their shifts, and the values that enter."""
    raw = draw(st.lists(st.integers(-2048, 2047), min_size=rows, max_size=rows))
    shift = draw(st.lists(st.integers(0, 5), min_size=rows, max_size=rows))
    return BiasRows(raw, shift), [value * 2**left for value, left in zip(raw, shift, strict=True)]


@given(linear_datapaths(), st.data())
def test_a_fully_connected_layer(datapath: LinearDatapath, data: st.DataObject) -> None:
    rows, inputs = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 4))
    drawn = data.draw(matrices(datapath.weight, rows, inputs))
    bias, values = data.draw(biases(rows))
    vector = [data.draw(raws(datapath.input)) for _ in range(inputs)]
    assert linear(vector, drawn.matrix, bias, datapath) == oracle.linear(vector, drawn.rows, values, datapath)


@given(lstm_datapaths(), st.data())
def test_an_lstm_step(datapath: LstmDatapath, data: st.DataObject) -> None:
    units, inputs = data.draw(st.integers(1, 2)), data.draw(st.integers(0, 3))
    from_inputs = data.draw(matrices(datapath.weight, 4 * units, inputs))
    from_hidden = data.draw(matrices(datapath.recurrent_weight, 4 * units, units))
    bias, values = data.draw(biases(4 * units))
    vector = [data.draw(raws(datapath.input)) for _ in range(inputs)]
    hidden = [data.draw(raws(datapath.hidden.format)) for _ in range(units)]
    cell = [data.draw(raws(datapath.cell.format)) for _ in range(units)]
    signals = lstm_step(
        vector,
        hidden,
        cell,
        input_matrix=from_inputs.matrix,
        recurrent_matrix=from_hidden.matrix,
        bias=bias,
        datapath=datapath,
    )
    assert signals == oracle.LstmOracle(from_inputs.rows, from_hidden.rows, values, datapath).step(vector, hidden, cell)


@given(small(), st.lists(st.integers(-500, 500), max_size=5), st.integers(1, 9), st.integers(-2, 8))
def test_an_embedding(output: Narrowing, entry: list[int], multiplier: int, shift: int) -> None:
    datapath = EmbeddingDatapath(Format.integer(10), output)
    wanted = [oracle.narrow(raw, output, multiplier, shift) for raw in entry]
    assert embed(entry, multiplier, shift, datapath) == {"output": wanted}


WIDE = Narrowing(Format.integer(32))
BYTE = Narrowing(Format.integer(8))


def fully_connected(stage: BiasStage, **changes: Any) -> LinearDatapath:
    """A layer of bytes that saturates and leaves its sum as it is."""
    form = Format.integer(8)
    path = LinearDatapath(form, form, form, Accumulator(8), stage, BYTE, BYTE, PiecewiseLinear(form), BYTE)
    return replace(path, **changes)


@pytest.mark.parametrize(
    ("stage", "accumulator", "output"),
    [
        (BiasStage.FIRST, 27, 27),  # 120 + 100 saturates at 127, less 100
        (BiasStage.LAST, 120, 120),  # 100 - 100, then 120
        (BiasStage.PREACTIVATION, 0, 120),  # 100 - 100, and 120 only past the sum
    ],
)
def test_the_stage_of_the_bias_decides(stage: BiasStage, accumulator: int, output: int) -> None:
    matrix = MatrixRows([[100, -100]], [0], [1], [0])
    signals = linear([1, 1], matrix, BiasRows([60], [1]), fully_connected(stage))
    assert (signals["accumulator"], signals["output"]) == ([accumulator], [output])


def test_the_inputs_zero_point_is_subtracted_before_the_product() -> None:
    path = fully_connected(BiasStage.LAST, input=Format.affine(8, Fraction(1), -100), accumulator=Accumulator(32))
    signals = linear([-100, -97], MatrixRows([[50, 7]], [0], [1], [0]), BiasRows([0], [0]), path)
    assert signals["accumulator"] == [21]


def test_the_outputs_zero_point_is_added_last() -> None:
    output = Narrowing(Format.affine(8, Fraction(1), 10))
    signals = linear(
        [3], MatrixRows([[2]], [0], [1], [0]), BiasRows([0], [0]), fully_connected(BiasStage.LAST, output=output)
    )
    assert (signals["preactivation"], signals["output"]) == ([6], [16])


def step_datapath(**changes: Any) -> LstmDatapath:
    """A step on integers whose activations are the identity."""
    form = Format.integer(32)
    gate = GateDatapath(WIDE, WIDE, WIDE, PiecewiseLinear(form), WIDE)
    path = LstmDatapath(
        input=form,
        weight=form,
        recurrent_weight=form,
        bias=form,
        accumulator=Accumulator(32),
        joint=False,
        bias_stage=BiasStage.LAST,
        gates=(gate, gate, gate, gate),
        forget_product=WIDE,
        input_product=WIDE,
        cell=WIDE,
        cell_input=WIDE,
        cell_activation=PiecewiseLinear(form),
        cell_output=WIDE,
        hidden=WIDE,
    )
    return replace(path, **changes)


def one_unit(path: LstmDatapath, weights: list[int], recurrent: list[int]) -> dict[str, list[int]]:
    """The step of one unit with input 1, hidden state 10 and cell 100."""
    rows = [[0] * 4, [1] * 4, [0] * 4]
    return lstm_step(
        [1],
        [10],
        [100],
        input_matrix=MatrixRows([[weight] for weight in weights], *rows),
        recurrent_matrix=MatrixRows([[weight] for weight in recurrent], *rows),
        bias=BiasRows([0] * 4, [0] * 4),
        datapath=path,
    )


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
