"""Tables, piecewise linear and registered functions, and layer normalization, against the scalar specification."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim.casts import Rounding
from fixedsim.errors import InputError, ModelError
from fixedsim.execution import PreparedActivation, Range, activation_range
from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    MAX_MULTIPLIER,
    Activation,
    FixedFunction,
    Function,
    Interpolation,
    LayerNorm,
    LookupTable,
    Narrowing,
    PiecewiseLinear,
)
from fixedsim.spec.activations import activate
from fixedsim.spec.functions import inverse_square_root, layer_norm
from tests.kernels.engines import Engine
from tests.kernels.strategies import WORDS, near_powers, tables

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]
RAWS = st.lists(st.integers(-5000, 5000) | WORDS, max_size=8)


def run(engine: Engine, activation: Activation, raws: list[int]) -> list[int]:
    """The activations of the raws; a second activation before this one moves its values in the shared array."""
    fields, values = arrays.pack_activations([LookupTable((7, 8), Format.integer(8), 0, 0), activation])
    out, scratch = np.empty(len(raws), np.int64), np.empty((3, max(len(raws), 2)), np.int64)
    engine.elementwise.activate_all(np.array(raws, np.int64), fields[1], values, scratch, out)
    return [int(raw) for raw in out]


@settings(max_examples=150)
@given(table=tables(), raws=RAWS)
def test_tables(engine: Engine, table: LookupTable, raws: list[int]) -> None:
    assert run(engine, table, raws) == [activate(raw, table) for raw in raws]


@pytest.mark.parametrize("kind", Interpolation)
@pytest.mark.parametrize("rounding", Rounding)
def test_every_raw_of_small_tables(engine: Engine, kind: Interpolation, rounding: Rounding) -> None:
    raws = list(range(-64, 64))
    for shift in range(5):
        for offset in (-1, 0, 3):
            table = LookupTable((-8, 7, 2, 3, -5), Format.integer(4), shift, offset, kind, rounding, rounding)
            assert run(engine, table, raws) == [activate(raw, table) for raw in raws]


@settings(max_examples=150)
@given(
    slope=near_powers(-MAX_MULTIPLIER, MAX_MULTIPLIER),
    shift=st.integers(0, 62),
    offset=st.integers(-1000, 1000) | WORDS,
    ends=st.lists(near_powers(-(1 << 31), (1 << 31) - 1), min_size=2, max_size=2).map(sorted),
    rounding=st.sampled_from(Rounding),
    thresholds=st.tuples(*[st.none() | st.integers(-3000, 3000) | WORDS] * 2),
    raws=RAWS,
)
def test_lines(
    engine: Engine,
    slope: int,
    shift: int,
    offset: int,
    ends: list[int],
    rounding: Rounding,
    thresholds: tuple[int | None, int | None],
    raws: list[int],
) -> None:
    low, high = thresholds
    line = PiecewiseLinear(
        Format.integer(32), slope, shift, offset, ends[0], ends[1], rounding, low_input=low, high_input=high
    )
    raws = [*raws, *(end + step for end in thresholds if end is not None for step in (-1, 0, 1) if abs(end) < 1 << 62)]
    assert run(engine, line, raws) == [activate(raw, line) for raw in raws]


@settings(max_examples=150)
@given(table=tables(), multiplier=near_powers(1, MAX_MULTIPLIER), raws=RAWS)
def test_tables_with_an_index_multiplier(engine: Engine, table: LookupTable, multiplier: int, raws: list[int]) -> None:
    table = replace(table, interpolation=Interpolation.NEAREST, index_multiplier=multiplier)
    assert run(engine, table, raws) == [activate(raw, table) for raw in raws]


SIXTEEN = range(-(1 << 15), 1 << 15)
EVERY_FUNCTION = [
    (Function.GEMMLOWP_SIGMOID, 3),
    *((Function.GEMMLOWP_TANH, argument) for argument in range(7)),
    *((Function.CMSIS_SIGMOID, argument) for argument in (-15, -1, 0, 2, 15)),
    *((Function.CMSIS_TANH, argument) for argument in (-15, -4, -1, 0, 1, 3, 15)),
]


@pytest.mark.parametrize(("primitive", "argument"), EVERY_FUNCTION)
def test_registered_functions(engine: Engine, primitive: Function, argument: int) -> None:
    """A twentieth of all raws, the ends and what lies around zero; all of them: the next test."""
    function = FixedFunction(Format.qmn(0, 15), primitive, argument)
    raws = [*SIXTEEN[:40], *SIXTEEN[40:-40:23], *range(-70, 70), *SIXTEEN[-40:]]
    assert run(engine, function, raws) == [activate(raw, function) for raw in raws]


@pytest.mark.slow
@pytest.mark.parametrize(("primitive", "argument"), EVERY_FUNCTION)
def test_registered_functions_of_every_raw(engine: Engine, primitive: Function, argument: int) -> None:
    function = FixedFunction(Format.qmn(0, 15), primitive, argument)
    assert run(engine, function, list(SIXTEEN)) == [activate(raw, function) for raw in SIXTEEN]


def test_recorded_litert_gates(shared: Path) -> None:
    recorded = np.load(shared / "oracle" / "litert" / "sweep_act_cellpow12.npz")
    raws = recorded["b_c"].astype(np.int64)[None, :] + recorded["x"].astype(np.int64).reshape(-1, 1)
    sigmoid = FixedFunction(Format.qmn(0, 15), Function.GEMMLOWP_SIGMOID, 3)
    tanh = replace(sigmoid, primitive=Function.GEMMLOWP_TANH)
    assert np.array_equal(arrays.activate(raws, sigmoid), recorded["trace_o"])
    assert np.array_equal(arrays.activate(raws, tanh), recorded["trace_g"])
    assert np.array_equal(arrays.activate(recorded["cT"][0], tanh), recorded["trace_tanh_c"])


def test_recorded_cmsis_functions(shared: Path) -> None:
    recorded = np.load(shared / "oracle" / "cmsis_host" / "activation_sweep.npz")
    sigmoid = FixedFunction(Format.qmn(0, 15), Function.CMSIS_SIGMOID, 0)
    assert np.array_equal(arrays.activate(recorded["v"], sigmoid), recorded["sigmoid_ls0"])
    for left_shift in range(-3, 4):
        tanh = FixedFunction(Format.qmn(0, 15), Function.CMSIS_TANH, left_shift)
        assert np.array_equal(arrays.activate(recorded["v"], tanh), recorded[f"tanh_ls{left_shift}"]), left_shift


def test_registered_functions_refuse_more_than_16_bits() -> None:
    tanh = FixedFunction(Format.qmn(0, 15), Function.GEMMLOWP_TANH, 3)
    with pytest.raises(InputError, match=r"values\[1\] must be a raw of .*-32768..32767.*, not 32768"):
        arrays.activate([5, 32768], tanh)
    with pytest.raises(
        ModelError, match=r"first: input of gemmlowp_tanh must be in -32768..32767, not -32769..0; choose"
    ):
        PreparedActivation(tanh, Range(-32769, 0), "first")
    assert activation_range(tanh) == Range(-32768, 32767)
    raws = np.array([[-32768, 0, 32767]])
    assert PreparedActivation(tanh, Range(-32768, 32767), "first").run(raws).tolist() == [[-32767, 0, 32767]]


def test_an_identity_with_a_threshold_is_not_skipped() -> None:
    identity = PiecewiseLinear(Format.integer(8), lower=-90, upper=90)
    inside, raws = Range(-9, 9), np.array([-9, -5, 0, 5, 9])
    assert PreparedActivation(identity, inside, "first").identity
    for line, expected in (
        (replace(identity, low_input=-5), [-90, -90, 0, 5, 9]),
        (replace(identity, high_input=5), [-9, -5, 0, 90, 90]),
    ):
        prepared = PreparedActivation(line, inside, "first")
        assert not prepared.identity
        assert prepared.run(raws).tolist() == expected


def test_an_index_beyond_64_bits_is_refused() -> None:
    table = LookupTable((1, 2), Format.integer(8), 0, 0, index_multiplier=1 << 31)
    with pytest.raises(ModelError, match="first: index multiplier of the table times raw must fit 64 bits"):
        PreparedActivation(table, Range(0, 1 << 33), "first")


PLAIN = LayerNorm(Format.integer(16), Narrowing(Format.integer(32)))  # what comes before the last narrowing
WORDS_16 = near_powers(-(1 << 15), (1 << 15) - 1)
UNITS = st.tuples(WORDS_16 | st.integers(-40, 40), WORDS_16, near_powers(-(1 << 31), (1 << 31) - 1))


@settings(max_examples=150)
@given(rows=st.lists(UNITS, min_size=1, max_size=9), least=st.sampled_from((1, 2, 77, (1 << 31) - 1)))
def test_layer_norm(engine: Engine, rows: list[tuple[int, int, int]], least: int) -> None:
    values, weight, bias = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    out = np.empty_like(values)
    engine.activations.functions.normalize_row(values, weight, bias, least, out)
    expected = layer_norm(values.tolist(), weight.tolist(), bias.tolist(), replace(PLAIN, least_variance=least))
    assert out.tolist() == expected
    engine.activations.functions.normalize_row(values, weight, bias, least, values)
    assert values.tolist() == expected


def test_layer_norm_that_wraps(engine: Engine) -> None:
    values, weight = np.zeros(8192, np.int64), np.full(8192, 32767)
    values[5] = -32768
    bias = np.arange(8192) * 262144 - (1 << 30)
    out = np.empty_like(values)
    engine.activations.functions.normalize_row(values, weight, bias, 1, out)
    assert out.tolist() == layer_norm(values.tolist(), weight.tolist(), bias.tolist(), PLAIN)
    assert out[5] > 0


@given(near_powers(-2, (1 << 31) - 1))
def test_inverse_square_root(engine: Engine, value: int) -> None:
    found = engine.activations.functions.inverse_square_root(value)
    assert tuple(int(word) for word in found) == inverse_square_root(value)


TABLE = LookupTable((-5, 9), Format.integer(8), 3, 1, Interpolation.LINEAR)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (replace(TABLE, values=(-(1 << 32), 1), format=Format.integer(64)), "must be at most 4294967295 apart"),
        (replace(TABLE, offset=1 << 63), "offset of a table must fit 64 bits"),
        (PiecewiseLinear(Format.integer(8), slope=1 << 32), "slope must be in -4294967295..4294967295, not 4294967296"),
        (PiecewiseLinear(Format.integer(8), offset=1 << 63), "offset of a piecewise linear function must fit 64 bits"),
        (PiecewiseLinear(Format.integer(8), low_input=-(1 << 63) - 1), "threshold of a line must fit 64 bits"),
    ],
)
def test_what_kernels_cannot_activate_the_specification_does(activation: Activation, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        arrays.pack_activations([activation])
    raws = [-100, -3, 0, 5, 90]
    assert arrays.activate(raws, activation).tolist() == [activate(raw, activation) for raw in raws]
