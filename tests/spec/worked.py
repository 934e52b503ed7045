"""Small layers that leave their integers as they are, for examples that are worked by hand."""

from dataclasses import replace
from typing import Any

from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    GateDatapath,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
    PiecewiseLinear,
)
from fixedsim.spec.layers import BiasRows, LinearRows, LstmRows, MatrixRows, Signals, linear, lstm_step

WIDE = Narrowing(Format.integer(32))
BYTE = Narrowing(Format.integer(8))
IDENTITY = PiecewiseLinear(Format.integer(32))
GATE = GateDatapath(WIDE, WIDE, WIDE, IDENTITY, WIDE)


def fully_connected(stage: BiasStage, **changes: Any) -> LinearDatapath:
    """A layer of bytes that saturates and leaves its sum as it is."""
    form = Format.integer(8)
    path = LinearDatapath(form, form, form, Accumulator(8), stage, BYTE, BYTE, PiecewiseLinear(form), BYTE)
    return replace(path, **changes)


def one_row(
    inputs: list[int], weight: list[int], path: LinearDatapath, *, bias: BiasRows | None = None, zero_point: int = 0
) -> Signals:
    """The signals of a layer of one row, whose weights have a zero point."""
    matrix = MatrixRows([weight], [0], [1], [0], [zero_point])
    return linear(inputs, LinearRows(matrix, bias or BiasRows([0], [0]), path))


def step_datapath(**changes: Any) -> LstmDatapath:
    """A step on integers whose activations are the identity."""
    form = Format.integer(32)
    path = LstmDatapath(
        input=form,
        weight=form,
        recurrent_weight=form,
        bias=form,
        accumulator=Accumulator(32),
        joint=False,
        bias_stage=BiasStage.LAST,
        gates=(GATE, GATE, GATE, GATE),
        forget_product=WIDE,
        input_product=WIDE,
        cell=WIDE,
        cell_input=WIDE,
        cell_activation=IDENTITY,
        cell_output=WIDE,
        hidden=WIDE,
    )
    return replace(path, **changes)


def one_unit(path: LstmDatapath, weights: list[int], recurrent: list[int], **more: Any) -> Signals:
    """The step of one unit with input 1, hidden state 10 and cell 100."""
    count = len(weights)
    rows = LstmRows(plain([weights]), plain([recurrent]), BiasRows([0] * count, [0] * count), **more)
    return lstm_step([1], [10], [100], rows, path)


def plain(columns: list[list[int]]) -> MatrixRows:
    """The matrix of these columns, its sums left as they are."""
    weight = [list(row) for row in zip(*columns, strict=True)]
    count = len(weight)
    return MatrixRows(weight, [0] * count, [1] * count, [0] * count, [0] * count)
