"""Datapaths of bytes that saturate, with identities for activations."""

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

BYTE = Format.integer(8)
CAST = Narrowing(BYTE)
GATE = GateDatapath(CAST, CAST, CAST, PiecewiseLinear(BYTE), CAST)
LINEAR = LinearDatapath(BYTE, BYTE, BYTE, Accumulator(), BiasStage.FIRST, CAST, CAST, PiecewiseLinear(BYTE), CAST)
LSTM = LstmDatapath(
    input=BYTE,
    weight=BYTE,
    recurrent_weight=BYTE,
    bias=BYTE,
    accumulator=Accumulator(),
    joint=False,
    bias_stage=BiasStage.FIRST,
    gates=(GATE, GATE, GATE, GATE),
    forget_product=CAST,
    input_product=CAST,
    cell=CAST,
    cell_input=CAST,
    cell_activation=PiecewiseLinear(BYTE),
    cell_output=CAST,
    hidden=CAST,
)


def bits(width: int) -> Format:
    return Format.integer(width)


def gated(position: int, **changes: Any) -> tuple[GateDatapath, GateDatapath, GateDatapath, GateDatapath]:
    """The gates, one of them changed."""
    first, second, third, last = (replace(GATE, **changes) if place == position else GATE for place in range(4))
    return first, second, third, last
