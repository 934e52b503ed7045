"""Stages that a datapath may have, one by one in numbers that are worked by hand.

Without any of them the step of one unit with input 1, hidden state 10 and cell 100 and the weights below has the gates
2 + 10, 3 + 20, 5 + 30 and 7 + 40, the cell 23 * 100 + 12 * 35 = 2720 and the hidden state 47 * 2720 = 127840.
"""

from dataclasses import replace
from fractions import Fraction

import pytest

from fixedsim.casts import Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    GateDatapath,
    Hazard,
    LayerNorm,
    LstmDatapath,
    Narrowing,
    Peephole,
    PiecewiseLinear,
)
from fixedsim.spec import layers
from fixedsim.spec.layers import BiasRows, LinearRows, LstmRows, Signals, lstm_step
from tests.spec.worked import GATE, WIDE, fully_connected, one_row, one_unit, plain, step_datapath

WEIGHTS, RECURRENT = [2, 3, 5, 7], [1, 2, 3, 4]
NAMES = ("input", "forget", "candidate", "output")
INTEGER = Format.integer(32)


def with_zero(zero_point: int, bits: int = 32) -> Format:
    """Integers of which that one means zero."""
    return Format.affine(bits, Fraction(1), zero_point)


def step(path: LstmDatapath) -> Signals:
    """The step of all four gates."""
    return one_unit(path, WEIGHTS, RECURRENT)


def test_weights_are_read_less_their_zero_point() -> None:
    """(50 - 2) * 1 + (7 - 2) * 1 = 53."""
    path = fully_connected(BiasStage.LAST, accumulator=Accumulator(32))
    assert one_row([1, 1], [50, 7], path, zero_point=2)["accumulator"] == [53]


@pytest.mark.parametrize(
    ("bits", "folded", "total"),
    [
        (32, False, 21),  # 0 * 50 + 3 * 7
        (32, True, 21),  # 100 * 57 - 100 * 50 - 97 * 7 = 5700 - 5000 - 679
        (8, False, 21),
        (8, True, -128),  # 5700 saturates at 127; 127 - 5000 and -128 - 679 both at -128
    ],
)
def test_a_zero_point_is_folded_into_the_start(bits: int, folded: bool, total: int) -> None:
    path = fully_connected(
        BiasStage.LAST, input=with_zero(-100, 8), accumulator=Accumulator(bits), folded_zero_point=folded
    )
    assert one_row([-100, -97], [50, 7], path)["accumulator"] == [total]


def test_a_folded_start_comes_with_the_first_bias() -> None:
    """The start is 5700 - 5600 = 100, which 8 bits hold; then 100 - 5000 saturates at -128, and stays there."""
    path = fully_connected(BiasStage.FIRST, input=with_zero(-100, 8), folded_zero_point=True)
    assert one_row([-100, -97], [50, 7], path, bias=BiasRows([-5600], [0]))["accumulator"] == [-128]
    assert one_row([0, 0], [50, 7], path, bias=BiasRows([-5600], [0]))["accumulator"] == [100]


@pytest.mark.parametrize(
    ("joint", "folded", "total"),
    [
        (False, False, 2),  # 2 * (1 - 3) + 1 * (10 - 4)
        (False, True, 2),  # -6 + 2 and -4 + 10: nothing saturates at 4 bits
        (True, False, 2),
        (True, True, 4),  # -10 saturates at -8; -8 + 2 + 10
    ],
)
def test_each_accumulator_starts_with_its_own_zero_points(joint: bool, folded: bool, total: int) -> None:
    hidden = Narrowing(with_zero(4))
    path = step_datapath(
        input=with_zero(3), hidden=hidden, joint=joint, folded_zero_point=folded, accumulator=Accumulator(4)
    )
    assert step(path)["gate.input.preactivation"] == [total]


def test_a_bias_is_cast_where_it_enters() -> None:
    """5 / 2 rounded half up is 3."""
    cast = Narrowing(Format.integer(8), Rounding.HALF_UP)
    path = fully_connected(BiasStage.FIRST, bias_cast=cast)
    assert one_row([1], [10], path, bias=BiasRows([5], [-1], cast))["accumulator"] == [13]


def test_the_peephole_of_the_output_gate_sees_the_new_cell_and_the_others_the_old() -> None:
    """Gates 12 + 1 * 100, 23 + 2 * 100, 35 + 3 * 100; cell 223 * 100 + 112 * 335 = 59820; output 47 + 1 * 59820."""
    gate = replace(GATE, peephole=Peephole(INTEGER, WIDE, WIDE))
    weights = {"input": [1], "forget": [2], "candidate": [3], "output": [1]}
    signals = one_unit(step_datapath(gates=(gate,) * 4), WEIGHTS, RECURRENT, peephole=weights)
    assert [signals[f"gate.{name}.preactivation"] for name in NAMES] == [[12], [23], [35], [47]]
    assert [signals[f"gate.{name}.peephole_product"] for name in NAMES] == [[100], [200], [300], [59820]]
    assert [signals[f"gate.{name}"] for name in NAMES] == [[112], [223], [335], [59867]]
    assert signals["cell"] == [59820]


def test_zero_points_at_a_peephole() -> None:
    """The cell is 100 - 10 = 90, the weight 8 - 6 = 2: 180 + 20 is the product, 12 + 180 + 30 the sum, 192 the gate."""
    peephole = Peephole(with_zero(6), Narrowing(with_zero(20)), Narrowing(with_zero(30)))
    function = PiecewiseLinear(with_zero(30))  # reads 222 as it is, and what it gives means 192
    gate = replace(GATE, preactivation=Narrowing(with_zero(40)), activation=function, peephole=peephole)
    path = step_datapath(gates=(gate, GATE, GATE, GATE), cell_state=with_zero(10))
    signals = one_unit(path, WEIGHTS, RECURRENT, peephole={"input": [8]})
    assert signals["gate.input.preactivation"] == [52]
    assert (signals["gate.input.peephole_product"], signals["gate.input.peephole_sum"]) == ([200], [222])
    assert signals["gate.input"] == [192]


@pytest.mark.parametrize(
    ("zero_point", "forget", "entering", "cell"),
    [
        (0, 23, 977, 36495),  # 1000 - 23; 23 * 100 + 977 * 35
        (5, 28, 972, 36145),  # 1000 - 28, which means 967; 23 * 100 + 967 * 35
    ],
)
def test_a_coupled_input_gate(zero_point: int, forget: int, entering: int, cell: int) -> None:
    gate = replace(GATE, output=Narrowing(with_zero(zero_point)))
    path = step_datapath(gates=(None, gate, GATE, GATE), coupled=1000)
    signals = one_unit(path, WEIGHTS[1:], RECURRENT[1:])
    assert (signals["gate.forget"], signals["gate.input"], signals["cell"]) == ([forget], [entering], [cell])
    assert "gate.input.preactivation" not in signals


def test_the_preactivation_takes_sums_less_their_zero_points() -> None:
    """2 + 3 and 10 + 5 are the sums, 2 + 10 + 7 the pre-activation, which the activation reads as it is: 19 - 1 + 2."""
    gate = GateDatapath(
        Narrowing(with_zero(3)), Narrowing(with_zero(5)), Narrowing(with_zero(7)), PiecewiseLinear(with_zero(1)),
        Narrowing(with_zero(2)),
    )  # fmt: skip
    signals = step(step_datapath(gates=(gate, GATE, GATE, GATE)))
    names = ("gate.input.input_sum", "gate.input.recurrent_sum", "gate.input.preactivation", "gate.input")
    assert [signals[name] for name in names] == [[5], [15], [19], [20]]
    assert signals["input_product"] == [18 * 35]


def test_zero_points_from_the_cell_on() -> None:
    """Forget product 2300 + 1, input product 420 + 2, cell 2720 + 3, its input 2720 + 4, which the activation reads.

    That gives 2724 - 6 = 2718, + 5 as its output; the hidden state is 47 * 2718 + 7.
    """
    path = step_datapath(
        forget_product=Narrowing(with_zero(1)),
        input_product=Narrowing(with_zero(2)),
        cell=Narrowing(with_zero(3)),
        cell_state=INTEGER,
        cell_input=Narrowing(with_zero(4)),
        cell_activation=PiecewiseLinear(with_zero(6)),
        cell_output=Narrowing(with_zero(5)),
        hidden=Narrowing(with_zero(7)),
        hidden_state=INTEGER,
    )
    names = ("forget_product", "input_product", "cell", "cell_input", "cell_activation", "hidden")
    assert [step(path)[name] for name in names] == [[2301], [422], [2723], [2724], [2723], [47 * 2718 + 7]]


def test_products_are_rescaled_before_the_sum_of_the_cell() -> None:
    """2300 + 4 is the forget product, 2300 / 2 + 9 its addend; 420 the input product, 420 * 2 its; cell 1150 + 840."""
    path = step_datapath(
        forget_product=Narrowing(with_zero(4)),
        forget_addend=Narrowing(with_zero(9), shift=1),
        input_addend=replace(WIDE, shift=-1),
    )
    names = ("forget_product", "forget_addend", "input_product", "input_addend", "cell")
    assert [step(path)[name] for name in names] == [[2304], [1159], [420], [840], [1990]]


def test_one_addend_leaves_the_other_product_as_it_is() -> None:
    signals = step(step_datapath(input_addend=replace(WIDE, shift=1)))
    assert "forget_addend" not in signals
    assert (signals["input_addend"], signals["cell"]) == ([210], [2300 + 210])


def test_inputs_and_hidden_state_are_rescaled_before_the_products() -> None:
    """(1 + 6) / 2 is 3, as raw 3 + 20; (10 - 4) * 2 is 12, as raw 12 - 1; the input gate is 2 * 3 + 1 * 12."""
    path = step_datapath(
        input=with_zero(-6),
        input_rescale=Narrowing(with_zero(20), shift=1),
        hidden=Narrowing(with_zero(4)),
        hidden_rescale=Narrowing(with_zero(-1), shift=-1),
    )
    for folded in (False, True):
        signals = step(replace(path, folded_zero_point=folded))
        assert (signals["rescaled_input"], signals["rescaled_hidden"]) == ([23], [11])
        assert signals["gate.input"] == [18]


def test_states_are_read_in_formats_of_their_own() -> None:
    """The hidden state is read as 10 - 4 and the cell as 100 - 10, so that the gates are 8, 15, 23 and 31.

    Cell 15 * 90 + 8 * 23 = 1534, written without a zero point, and hidden 31 * 1534.
    """
    signals = step(step_datapath(hidden_state=with_zero(4), cell_state=with_zero(10)))
    assert [signals[f"gate.{name}"] for name in NAMES] == [[8], [15], [23], [31]]
    assert (signals["forget_product"], signals["cell"], signals["hidden"]) == ([1350], [1534], [47554])


def test_a_projection() -> None:
    """Two outputs of one unit: 2 * 127840 and -127840; the recurrence reads what the projection writes."""
    path = fully_connected(BiasStage.LAST)
    path = replace(path, input=INTEGER, accumulator=Accumulator(32), sum=WIDE, preactivation=WIDE, output=WIDE)
    path = replace(path, activation=PiecewiseLinear(INTEGER))
    projection = LinearRows(plain([[2, -1]]), BiasRows([0, 0], [0, 0]), path)
    rows = LstmRows(plain([WEIGHTS]), plain([RECURRENT, [0] * 4]), BiasRows([0] * 4, [0] * 4), projection=projection)
    signals = lstm_step([1], [10, 99], [100], rows, step_datapath())
    assert signals["hidden"] == [127840]
    assert signals["projection.output"] == [255680, -127840]


def test_the_recurrence_reads_a_projections_zero_point() -> None:
    """The projection writes with zero point 4, the hidden output with 50: the hidden state counts 10 - 4."""
    written = Narrowing(with_zero(4))
    path = replace(fully_connected(BiasStage.LAST), input=with_zero(50), output=written)
    projection = LinearRows(plain([[1]]), BiasRows([0], [0]), path)
    for folded in (False, True):
        datapath = step_datapath(hidden=Narrowing(with_zero(50)), folded_zero_point=folded)
        assert one_unit(datapath, WEIGHTS, RECURRENT, projection=projection)["gate.input"] == [2 + 6]


@pytest.mark.parametrize(
    ("register", "cells"),
    [
        (None, [530, 12080]),  # the sigmoid of zero is 5
        (50, [5030, 12080]),
    ],
)
def test_a_stale_sigmoid(register: int | None, cells: list[int]) -> None:
    """Forget gates as evaluated 3 and 4, output gates 7 + 5 and 8 + 5, candidates 10 and 20.

    The first unit keeps by the register and takes in by its forget gate: register * 100 + 3 * 10. The second keeps by
    the first's output gate: 12 * 1000 + 4 * 20. The input gates, 1 and 2, are evaluated and never read.
    """
    output = replace(GATE, activation=PiecewiseLinear(INTEGER, offset=5))
    path = step_datapath(gates=(GATE, GATE, GATE, output), hazard=Hazard.STALE_SIGMOID)
    zeros = [0] * 8
    rows = LstmRows(plain([[1, 2, 3, 4, 10, 20, 7, 8]]), plain([zeros, zeros]), BiasRows(zeros, zeros))
    signals = lstm_step([1], [0, 0], [100, 1000], rows, path, register)
    assert [signals[f"gate.{name}"] for name in NAMES] == [[1, 2], [3, 4], [10, 20], [12, 13]]
    assert signals["cell"] == cells
    assert signals["hidden"] == [12 * cells[0], 13 * cells[1]]


def test_a_normalization_reads_after_the_peephole_and_brings_the_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given 12 + 3 * 100 = 312 less the zero point of nothing, the weight 4 and the bias 9 * 2."""
    seen = []

    def layer_norm(values: list[int], weight: list[int], bias: list[int], norm: LayerNorm) -> list[int]:
        seen.append((values, weight, bias, norm.least_variance))
        return [70]

    monkeypatch.setattr(layers, "layer_norm", layer_norm)
    peephole = Peephole(INTEGER, WIDE, Narrowing(with_zero(8)))
    gate = replace(GATE, peephole=peephole, norm=LayerNorm(Format.integer(16), WIDE, least_variance=5))
    path = step_datapath(gates=(gate, GATE, GATE, GATE), bias_stage=BiasStage.NORMALIZATION)
    rows = LstmRows(
        plain([WEIGHTS]), plain([RECURRENT]), BiasRows([9, 1, 1, 1], [1, 0, 0, 0]), {"input": [3]}, {"input": [4]}
    )
    signals = lstm_step([1], [10], [100], rows, path)
    assert signals["gate.input.peephole_sum"] == [320]
    assert seen == [([312], [4], [18], 5)]
    assert (signals["gate.input.normalized"], signals["gate.input"]) == ([70], [70])
    assert signals["gate.forget"] == [23]  # without a normalization, no bias
