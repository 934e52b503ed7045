"""The second tier: what the integers mean is within a stated distance of real mathematics, in units of the last place.

Exact equality with an oracle proves that the rules are carried out; this proves that the rules are the right ones.
"""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    Form,
    GateDatapath,
    Interpolation,
    LinearDatapath,
    LookupTable,
    LstmDatapath,
    Narrowing,
    PiecewiseLinear,
)
from fixedsim.spec.activations import look_up
from fixedsim.spec.casts import cast, narrow
from fixedsim.spec.layers import BiasRows, LinearRows, LstmRows, MatrixRows, linear, lstm_step

DIRECTED = {Rounding.FLOOR, Rounding.TOWARD_ZERO}


def bound(rounding: Rounding) -> Fraction:
    """The greatest distance of a rounded value, in last places: below 1 where it is directed, else 1/2."""
    return Fraction(1) if rounding in DIRECTED else Fraction(1, 2)


@given(
    st.integers(-(1 << 60), 1 << 60),
    st.integers(-62, 62),
    st.sampled_from([*range(-64, 64)]),
    st.sampled_from(list(Rounding)),
)
def test_a_cast_in_range(value: int, shift: int, zero_point: int, rounding: Rounding) -> None:
    form = Format.affine(64, Fraction(3, 7), zero_point)
    wanted = form.scale * value / Fraction(2) ** shift
    if abs(wanted) >= form.scale * (1 << 62):
        return
    error = abs(form.real(cast(value, shift, form, rounding, Overflow.SATURATE)) - wanted) / form.scale
    assert error <= bound(rounding)
    assert error < 1


@pytest.mark.parametrize("bits", range(1, 6))
@pytest.mark.parametrize("rounding", Rounding)
def test_a_cast_to_odd_raws(bits: int, rounding: Rounding) -> None:
    """One last place is two raws here, also at the ends: a code more would be no nearer."""
    form = Format.odd(bits)
    for value in range(8 * form.raw_min, 8 * form.raw_max + 1):
        wanted = Fraction(value, 8)
        error = abs(form.real(cast(value, 3, form, rounding, Overflow.SATURATE)) - wanted) / 2
        assert error <= bound(rounding)


@given(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(1 << 30, (1 << 31) - 1),
    st.integers(31, 50),
    st.sampled_from(list(Rounding)),
    st.sampled_from(list(Form)),
)
def test_a_requantization(value: int, multiplier: int, shift: int, rounding: Rounding, form: Form) -> None:
    """The doubling form adds half a unit of its first rounding, which is ``2**(31 - shift)`` last places."""
    stage = Narrowing(Format.integer(64), rounding, shift=shift, multiplier=multiplier, form=form)
    wanted = Fraction(value * multiplier, 1 << shift)
    first = Fraction(1, 1 << (shift - 30)) if form is Form.DOUBLING else Fraction(0)
    assert abs(narrow(value, stage) - wanted) <= bound(rounding) + first


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


STEP = 1 / 16  # between the entries of both tables
REACH = 8.0  # what lies beyond is clamped: 1 - sigmoid(8) is 3.4e-4, 1 - tanh(8) 2.3e-7


def table_of(function: str, form: Format) -> LookupTable:
    """A table over [-8, 8] for raws of s3.12, read with interpolation."""
    compute = {"sigmoid": sigmoid, "tanh": math.tanh}[function]
    entries = [compute(-REACH + STEP * index) / float(form.scale) for index in range(int(2 * REACH / STEP) + 1)]
    values = tuple(min(max(round(entry), form.raw_min), form.raw_max) for entry in entries)
    return LookupTable(values, form, index_shift=8, offset=128, interpolation=Interpolation.LINEAR)


@pytest.mark.parametrize(("function", "curvature"), [("sigmoid", 0.0963), ("tanh", 0.7699)])
def test_a_table_with_interpolation(function: str, curvature: float) -> None:
    """``|error| <= STEP**2 / 8 * max|f''|`` of the chord, 1 last place of entries and rounding, 1 of saturated ends."""
    form, limit = Format.qmn(0, 15), Format.qmn(3, 12)
    table = table_of(function, form)
    compute = {"sigmoid": sigmoid, "tanh": math.tanh}[function]
    allowed = STEP**2 / 8 * curvature + 2 * float(form.scale)
    for raw in range(limit.raw_min, limit.raw_max + 1, 7):
        value = float(form.real(look_up(raw, table)))
        assert abs(value - compute(float(limit.real(raw)))) <= allowed, raw


NEAREST = Rounding.HALF_EVEN
INPUT, WEIGHT, PRE, GATE, CELL = (Format.qmn(*sizes) for sizes in ((0, 7), (1, 6), (3, 12), (0, 15), (3, 12)))
SUM = Narrowing(PRE, NEAREST, shift=1)  # products have 13 fraction bits
RECURRENT_SUM = Narrowing(PRE, NEAREST, shift=9)  # hidden state of 15 fraction bits, weights of 6


def lstm_datapath() -> LstmDatapath:
    """8-bit weights and inputs, 16-bit pre-activations, gates, cell and hidden state, nearest throughout."""
    sigmoid_gate, tanh_gate = (
        GateDatapath(SUM, RECURRENT_SUM, Narrowing(PRE, NEAREST), table_of(name, GATE), Narrowing(GATE, NEAREST))
        for name in ("sigmoid", "tanh")
    )
    return LstmDatapath(
        input=INPUT,
        weight=WEIGHT,
        recurrent_weight=WEIGHT,
        bias=Format.qmn(2, 13),
        accumulator=Accumulator(32),
        joint=False,
        bias_stage=BiasStage.FIRST,
        gates=(sigmoid_gate, sigmoid_gate, tanh_gate, sigmoid_gate),
        forget_product=Narrowing(Format.qmn(3, 27), NEAREST),
        input_product=Narrowing(Format.qmn(3, 27), NEAREST, shift=3),
        cell=Narrowing(CELL, NEAREST, shift=15),
        cell_input=Narrowing(PRE, NEAREST),
        cell_activation=table_of("tanh", GATE),
        cell_output=Narrowing(GATE, NEAREST),
        hidden=Narrowing(GATE, NEAREST, shift=15),
    )


UNITS, INPUTS = 2, 3
PRE_ERROR = 2 * 0.5 * 2**-12  # two sums, each rounded to the pre-activation's last place
SIGMOID_ERROR = PRE_ERROR / 4 + STEP**2 / 8 * 0.0963 + 2 * 2**-15
TANH_ERROR = PRE_ERROR + STEP**2 / 8 * 0.7699 + 2 * 2**-15
CELL_ERROR = 2 * SIGMOID_ERROR + SIGMOID_ERROR + TANH_ERROR + 0.5 * 2**-12 + 2**-27  # |cell| is below 2 here
HIDDEN_ERROR = SIGMOID_ERROR + CELL_ERROR + STEP**2 / 8 * 0.7699 + 2 * 2**-15 + 0.5 * 2**-15


def test_the_bounds_of_the_step_in_last_places() -> None:
    """What the next test may differ by: cell 5.4 last places of 2**-12, hidden state 63 of 2**-15."""
    assert (round(CELL_ERROR * 2**12, 1), round(HIDDEN_ERROR * 2**15)) == (5.4, 63)


@given(st.data())
def test_an_lstm_step(data: st.DataObject) -> None:
    def some(low: int, high: int, count: int) -> list[int]:
        return data.draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    inputs, hidden, cell = some(-128, 127, INPUTS), some(-32767, 32767, UNITS), some(-8192, 8192, UNITS)
    weight = [some(-64, 63, INPUTS) for _ in range(4 * UNITS)]
    recurrent = [some(-64, 63, UNITS) for _ in range(4 * UNITS)]
    bias = some(-8192, 8192, 4 * UNITS)
    rows = 4 * UNITS
    zeros = [0] * rows
    from_inputs = MatrixRows(weight, zeros, [1] * rows, [1] * rows, zeros)
    from_hidden = MatrixRows(recurrent, zeros, [1] * rows, [9] * rows, zeros)
    layer = LstmRows(from_inputs, from_hidden, BiasRows(bias, zeros))
    signals = lstm_step(inputs, hidden, cell, layer, lstm_datapath())
    x, h, c = ([raw / 2**bits for raw in raws] for raws, bits in ((inputs, 7), (hidden, 15), (cell, 12)))
    pre = [
        sum(w / 64 * value for w, value in zip(weight[row] + recurrent[row], x + h, strict=True)) + bias[row] / 8192
        for row in range(rows)
    ]
    for unit in range(UNITS):
        entering, keeping, candidate, leaving = pre[unit::UNITS]
        wanted_cell = sigmoid(keeping) * c[unit] + sigmoid(entering) * math.tanh(candidate)
        wanted_hidden = sigmoid(leaving) * math.tanh(wanted_cell)
        assert abs(signals["cell"][unit] / 4096 - wanted_cell) <= CELL_ERROR
        assert abs(signals["hidden"][unit] / 32768 - wanted_hidden) <= HIDDEN_ERROR


@given(st.data())
def test_a_fully_connected_layer(data: st.DataObject) -> None:
    """8-bit inputs with a zero point, a multiplier for the output's scale: half a last place, and half of the sum's."""
    count = data.draw(st.integers(1, 6))
    inputs = data.draw(st.lists(st.integers(-128, 127), min_size=count, max_size=count))
    weight = data.draw(st.lists(st.integers(-127, 127), min_size=count, max_size=count))
    bias = data.draw(st.integers(-(1 << 15), 1 << 15))
    form = Format.affine(8, Fraction(1, 50), -7)
    output = Format.affine(16, Fraction(1, 100), 11)
    total = Narrowing(Format.integer(16), NEAREST, multiplier=3, shift=10)  # 1/50 * 1/100 * 1024 / 3 a unit
    path = LinearDatapath(
        form,
        Format.integer(8).with_scale(Fraction(3, 1024 * 100 // 50)),
        Format.integer(17),
        Accumulator(32),
        BiasStage.FIRST,
        total,
        Narrowing(Format.integer(18), NEAREST),
        PiecewiseLinear(Format.integer(18)),
        Narrowing(output, NEAREST),
    )
    layer = LinearRows(MatrixRows([weight], [0], [3], [10], [0]), BiasRows([bias], [0]), path)
    signals = linear(inputs, layer)
    unit = form.scale * path.weight.scale
    real = sum(path.weight.real(w) * form.real(x) for w, x in zip(weight, inputs, strict=True)) + unit * bias
    assert abs(output.real(signals["output"][0]) - real) <= output.scale / 2
