"""Integer layers with weights, constants of their rows and biases."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.profiles.datapath import (
    MAX_SHIFT,
    Accumulator,
    EmbeddingDatapath,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
)
from fixedsim.testing.cast import requantizations
from fixedsim.testing.datapath import (
    ANY,
    Scope,
    activation_formats,
    keeps_products,
    linear_datapaths,
    lstm_datapaths,
)
from fixedsim.testing.format import formats
from fixedsim.testing.value import integers, raws

_WIDEST_BIAS_HALF = 40
LINEAR_WIDTHS = st.sampled_from((*range(1, 10), 0))
LSTM_WIDTHS = st.sampled_from((*range(1, 6), 0))


@st.composite
def row_constants(draw: st.DrawFn, requantize: Narrowing, accumulator: Accumulator, rows: int) -> dict[str, Any]:
    """Constants for each row, near those of the datapath's narrowings, or none of them."""
    if not draw(st.booleans()):
        return {}
    own = 0 if accumulator.product is None else accumulator.product.shift
    high = min(own + 2, 0) if keeps_products(accumulator) else own + 2
    multiplier = requantize.multiplier
    return {
        "product_shift": draw(integers(own - 2, high, rows)),
        "multiplier": draw(integers(max(1, multiplier // 2), multiplier, rows)),
        "shift": draw(integers(requantize.shift, min(requantize.shift + 4, MAX_SHIFT), rows)),
        "zero_point": draw(integers(-9, 9, rows)) if draw(st.booleans()) else np.zeros(rows, np.int64),
    }


@st.composite
def biases(draw: st.DrawFn, datapath: LinearDatapath | LstmDatapath, rows: int) -> tuple[Any, Any]:
    """Stored biases and their shifts, such that every accumulator can hold its own where it is not cast."""
    if datapath.bias_cast is not None:
        return draw(raws(datapath.bias, rows)), draw(integers(-6, 3, rows))
    room = datapath.accumulator.bits - 1
    shift = draw(integers(0, min(3, room), rows))
    half = np.int64(1) << min(room, _WIDEST_BIAS_HALF) >> shift
    return np.clip(draw(raws(datapath.bias, rows)), -half, half - 1), shift


@st.composite
def linear_layers(draw: st.DrawFn, scope: Scope = ANY, *, name: str = "fc") -> Linear:
    """A fully connected layer of up to 5 outputs and 9 inputs (none too); every cast of its datapath is drawn.

    Shrinks to one output, formats of one bit, no shift, no zero point, weights and biases of 0.
    """
    datapath = draw(linear_datapaths(scope))
    rows, width = draw(st.integers(1, 5)), draw(LINEAR_WIDTHS)
    bias, bias_shift = draw(biases(datapath, rows))
    constants = draw(row_constants(datapath.sum, datapath.accumulator, rows))
    weight = draw(raws(datapath.weight, (rows, width), ends=scope.ends))
    return Linear.from_raws(name, weight, bias, datapath, bias_shift=bias_shift, **constants)


@st.composite
def lstm_layers(draw: st.DrawFn, scope: Scope = ANY, *, name: str = "lstm") -> Lstm:
    """An LSTM of up to 3 units and 5 inputs (none too); every cast of its datapath is drawn.

    Joint and separate accumulators, biases at every stage, initial states at either end of their formats. Shrinks to
    one unit, formats of one bit, no shift, no zero point, weights and biases of 0.
    """
    datapath = draw(lstm_datapaths(scope))
    units, projection = draw(st.integers(1, 3)), None
    if draw(st.sampled_from((False, False, False, True))):
        datapath, projection = draw(_projections(f"{name}.projection", datapath, units, scope))
    width = draw(LSTM_WIDTHS)
    return draw(_lstms(name, datapath, units=units, width=width, ends=scope.ends, projection=projection))


@st.composite
def _projections(
    draw: st.DrawFn, name: str, datapath: LstmDatapath, units: int, scope: Scope
) -> tuple[LstmDatapath, Linear]:
    """A projection to up to 3 outputs, and the datapath with states in the format that it writes."""
    path = draw(linear_datapaths(scope, incoming=datapath.hidden.format))
    rows, written = draw(st.integers(1, 3)), path.output.format
    bias, bias_shift = draw(biases(path, rows))
    constants = draw(row_constants(path.sum, path.accumulator, rows))
    weight = draw(raws(path.weight, (rows, units), ends=scope.ends))
    projection = Linear.from_raws(name, weight, bias, path, bias_shift=bias_shift, **constants)
    return replace(datapath, initial_hidden=written.raw_max, hidden_state=None, output=None), projection


@st.composite
def _lstms(
    draw: st.DrawFn,
    name: str,
    datapath: LstmDatapath,
    *,
    units: int,
    width: int,
    ends: bool,
    projection: Linear | None = None,
) -> Lstm:
    rows, gate = len(datapath.present) * units, datapath.gates[1]
    bias, bias_shift = draw(biases(datapath, rows))
    sums = gate.input_sum, gate.recurrent_sum
    constants = [draw(row_constants(each, datapath.accumulator, rows)) for each in sums]
    if datapath.joint and datapath.accumulator.partial:  # partial sums go over both matrices
        for each in constants:
            each.pop("product_shift", None)
    outputs = units if projection is None else projection.matrix.rows
    gates = list(zip(datapath.gate_names, datapath.present, strict=True))
    return Lstm.from_raws(
        name,
        draw(raws(datapath.weight, (rows, width), ends=ends)),
        draw(raws(datapath.recurrent_weight, (rows, outputs), ends=ends)),
        bias,
        datapath,
        input_constants=constants[0],
        recurrent_constants=constants[1],
        bias_shift=bias_shift,
        peephole={each: draw(raws(part.peephole.weight, units)) for each, part in gates if part.peephole},
        norm={each: draw(raws(part.norm.weight, units)) for each, part in gates if part.norm},
        projection=projection,
    )


@st.composite
def bidirectional_layers(draw: st.DrawFn, scope: Scope = ANY, *, name: str = "lstm") -> Bidirectional:
    """Two LSTMs of up to 2 units and 3 inputs, of datapaths of their own that share formats of inputs and outputs."""
    units, width = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    ahead = draw(lstm_datapaths(scope))
    back = draw(lstm_datapaths(scope, hidden=ahead.hidden.format, incoming=ahead.input))
    back = replace(back, output=ahead.output)
    forward = draw(_lstms(f"{name}.forward", ahead, units=units, width=width, ends=scope.ends))
    backward = draw(_lstms(f"{name}.backward", back, units=units, width=width, ends=scope.ends))
    return Bidirectional(name, forward, backward)


@st.composite
def embedding_layers(draw: st.DrawFn, *, name: str = "embedding") -> Embedding:
    """An embedding of up to 6 tokens and 5 features, with or without constants for each entry."""
    table = draw(formats(widest=10, odd=True))
    output = draw(activation_formats().flatmap(requantizations))
    vocabulary, features = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    constants = draw(row_constants(output, Accumulator(), vocabulary))
    constants = {name: constants[name] for name in ("multiplier", "shift") if name in constants}
    entries = draw(raws(table, (vocabulary, features)))
    return Embedding.from_raws(name, entries, EmbeddingDatapath(table, output), **constants)
