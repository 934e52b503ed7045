"""Registered functions against recorded programs and real mathematics; layer normalization against both."""

import json
import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import FixedFunction, Form, Function, LayerNorm, Narrowing
from fixedsim.spec.activations import activate
from fixedsim.spec.functions import (
    CMSIS_TABLE,
    cmsis_sigmoid,
    cmsis_tanh,
    exp_of_negative,
    gemmlowp_sigmoid,
    gemmlowp_tanh,
    inverse_square_root,
    layer_norm,
    normalized,
)

LITERT = Path(__file__).parents[1] / "data" / "oracle" / "litert" / "functions.npz"
RAWS = range(-(1 << 15), 1 << 15)
ONE = 1 << 15


@cache
def sweep(function: Callable[[int, int], int]) -> dict[int, int]:
    """One of LiteRT's functions of every Q3.12 raw, once for all tests."""
    return {raw: function(raw, 3) for raw in RAWS}


def test_litert_recorded_gates() -> None:
    recorded = np.load(LITERT)
    raws = recorded["raws"].tolist()
    assert [gemmlowp_sigmoid(raw, 3) for raw in raws] == recorded["sigmoid"].tolist()
    assert [gemmlowp_tanh(raw, 3) for raw in raws] == recorded["tanh_3"].tolist()


@pytest.mark.parametrize("integer_bits", [0, 2, 6])
def test_litert_recorded_cells(integer_bits: int) -> None:
    recorded = np.load(LITERT)
    cells = recorded[f"cell_{integer_bits}"].tolist()
    assert [gemmlowp_tanh(raw, integer_bits) for raw in cells] == recorded[f"cell_tanh_{integer_bits}"].tolist()


def test_litert_every_gate(shared: Path) -> None:
    recorded = np.load(shared / "oracle" / "litert" / "sweep_act_cellpow12.npz")
    raws = recorded["b_c"].astype(int)[None, :] + recorded["x"].astype(int).reshape(-1, 1)
    assert sorted(raws.ravel().tolist()) == list(RAWS)
    for name, function in (("trace_o", gemmlowp_sigmoid), ("trace_g", gemmlowp_tanh)):
        assert [sweep(function)[raw] for raw in raws.ravel().tolist()] == recorded[name].ravel().tolist()
    cells = recorded["cT"].ravel().tolist()
    assert [sweep(gemmlowp_tanh)[raw] for raw in cells] == recorded["trace_tanh_c"].ravel().tolist()


def test_litert_every_recorded_cell(shared: Path) -> None:
    widths = set()
    for path in sorted((shared / "oracle" / "litert").glob("*.json")):
        recorded = np.load(path.with_suffix(".npz"))
        powers = [op["derived"].get("cell_scale_pow2") for op in json.loads(path.read_text())["ops"] if "derived" in op]
        if "trace_tanh_c" not in recorded or len(powers) != 1 or "sweep" in path.name:
            continue
        integer_bits = 15 + powers[0]
        cells = recorded["trace_c"].ravel().tolist()
        assert [gemmlowp_tanh(raw, integer_bits) for raw in cells] == recorded["trace_tanh_c"].ravel().tolist(), path
        widths.add(integer_bits)
    assert widths >= {0, 2, 3, 6}


def test_cmsis_every_raw(shared: Path) -> None:
    recorded = np.load(shared / "oracle" / "cmsis_host" / "activation_sweep.npz")
    raws = recorded["v"].tolist()
    assert [cmsis_sigmoid(raw, 0) for raw in raws] == recorded["sigmoid_ls0"].tolist()
    for left_shift in range(-3, 4):
        expected = recorded[f"tanh_ls{left_shift}"].tolist()
        assert [cmsis_tanh(raw, left_shift) for raw in raws] == expected, left_shift


def test_cmsis_table_is_the_recorded_one(shared: Path) -> None:
    recorded = np.load(shared / "oracle" / "cmsis" / "_sigmoid_table_uint16.npz")
    assert list(CMSIS_TABLE) == recorded["sigmoid_table_uint16"].tolist()


def test_cmsis_table_is_nearly_rounded() -> None:
    off = [entry - round(65536 / (1 + math.exp(-index / 24))) for index, entry in enumerate(CMSIS_TABLE)]
    assert (len(off), set(off), sum(off)) == (256, {0, 1}, 44)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("integer_bits", range(1, 8))
def test_exponential_is_near(integer_bits: int) -> None:
    assert exp_of_negative(0, integer_bits) == 32767
    for raw in range(-(1 << 15), 0, 37):
        assert abs(exp_of_negative(raw, integer_bits) - ONE * math.exp(raw * 2.0 ** (integer_bits - 15))) < 4, raw


def test_litert_sigmoid_is_near_and_not_monotone() -> None:
    values = sweep(gemmlowp_sigmoid)
    assert max(abs(value - ONE * sigmoid(raw / 4096)) for raw, value in values.items()) < 6.5
    assert (min(values.values()), max(values.values())) == (11, 32756)
    assert sum(after < before for before, after in pairwise(values.values())) == 976


@pytest.mark.parametrize("integer_bits", range(7))
def test_litert_tanh_is_near_and_odd(integer_bits: int) -> None:
    scale = 2.0 ** (integer_bits - 15)
    some = {raw: gemmlowp_tanh(raw, integer_bits) for raw in RAWS[::7]}
    values = sweep(gemmlowp_tanh) if integer_bits == 3 else some
    assert max(abs(value - ONE * math.tanh(raw * scale)) for raw, value in values.items()) < 12.1
    assert all(gemmlowp_tanh(-raw, integer_bits) == -value for raw, value in values.items())
    assert all(abs(value) == 32767 or value % 4 == 0 for value in values.values())
    if integer_bits == 3:
        assert sum(after < before for before, after in pairwise(values.values())) == 602


@pytest.mark.parametrize("left_shift", [-12, -3, 0, 3, 12])
def test_cmsis_functions_are_near(left_shift: int) -> None:
    for raw in RAWS[::13]:
        x = raw * 2.0 ** (left_shift - 12)
        assert abs(cmsis_tanh(raw, left_shift) - ONE * math.tanh(x)) < 18  # half a step of the end of the table, and 2
        assert abs(cmsis_sigmoid(raw, left_shift) - ONE * (sigmoid(x) if x > -700 else 0)) < 9


def test_activate_takes_the_registered_function() -> None:
    form = Format.qmn(0, 15)
    for primitive, argument, function in (
        (Function.GEMMLOWP_SIGMOID, 3, gemmlowp_sigmoid),
        (Function.GEMMLOWP_TANH, 5, gemmlowp_tanh),
        (Function.CMSIS_SIGMOID, -2, cmsis_sigmoid),
        (Function.CMSIS_TANH, 2, cmsis_tanh),
    ):
        activation = FixedFunction(form, primitive, argument)
        assert [activate(raw, activation) for raw in RAWS[::997]] == [function(raw, argument) for raw in RAWS[::997]]


@given(st.integers(2, (1 << 31) - 1) | st.integers(1, 30).map(lambda power: 1 << power))
def test_inverse_square_root_is_near(value: int) -> None:
    multiplier, shift = inverse_square_root(value)
    assert 0 < multiplier < 1 << 31
    assert shift >= 0
    assert abs(multiplier * 2.0 ** (-31 - shift) * math.sqrt(value) - 1) < 2**-19


def test_inverse_square_root_of_one() -> None:
    assert [inverse_square_root(value) for value in (1, 0, -5)] == [((1 << 31) - 1, 0)] * 3


@given(st.lists(st.integers(-(1 << 15), (1 << 15) - 1), min_size=64, max_size=64))
def test_normalized_is_near(values: list[int]) -> None:
    """64 divides 2**20, so that only the quotients' last units and the root's error remain."""
    mean = sum(values) / 64
    variance = sum((value - mean) ** 2 for value in values) / 64
    if variance < 100:
        return
    for value, result in zip(values, normalized(values, 1), strict=True):
        exact = 1024 * (value - mean) / math.sqrt(variance)
        tolerance = 1 + abs(exact) * (2 * (1 + abs(mean) / 500) / variance + 2**-19)  # of the mean's square: 2**-10 off
        assert abs(result - exact) < tolerance


def test_normalized_by_hand() -> None:
    assert normalized([3, -3], 1) == [1024, -1024]
    assert normalized([7, 7, 7, 7], 1) == [0, 0, 0, 0]
    # Mean 0.5 (512), variance 1/4, which is 0 as an integer: 512 / sqrt(4).
    assert normalized([1, 0], 4) == [256, -256]
    # 2**20 / 3 is cut to 349525: 18 * 349525 - 0 = 6291450, cut to 5 in place of 6; 3072 / sqrt(5) = 1373.8.
    assert normalized([3, -3, 0], 1) == [1374, -1374, 0]


def norm(shift: int = 0, multiplier: int = 1 << 30) -> LayerNorm:
    output = Narrowing(Format.integer(16), Rounding.HALF_AWAY, Overflow.SATURATE, shift + 30, multiplier, Form.DOUBLING)
    return LayerNorm(Format.integer(16), output)


def test_layer_norm_by_hand() -> None:
    # 1024 * 2 + 511 = 2559 and 1024 * 2 + 512 = 2560 times 2**-10: 2 and, a tie, 3; below zero away from it.
    assert layer_norm([3, -3], [2, 2], [511, -512], norm()) == [2, -3]
    assert layer_norm([3, -3], [2, 2], [512, -511], norm()) == [3, -2]
    # 5 and -5 halved: half up in the doubling multiply.
    assert layer_norm([3, -3], [5, 5], [0, 0], norm(1)) == [3, -2]
    assert layer_norm([3, -3], [32767, 32767], [0, 0], norm(-2)) == [32767, -32768]


def test_layer_norm_product_wraps() -> None:
    values = [32767] + [0] * 8191
    largest = normalized(values, 1)[0]
    assert abs(largest - 1024 * math.sqrt(8191)) < 2
    weight, bias = [32767] + [1] * 8191, [0] * 8192
    wrapped = (largest * 32767 - (1 << 32)) / 1024
    assert layer_norm(values, weight, bias, norm(6))[0] == pytest.approx(wrapped / 64, abs=1)
