"""Faults planted in a user's code: the strategies find them, and shrink them to what a person can check by hand."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from fixedsim.arrays import to_raw
from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.recorder import Recorder
from fixedsim.profiles.datapath import Hazard
from fixedsim.spec.layers import Signals, lstm_step
from fixedsim.testing import Cast, casts, formats, inputs, linear_layers, lstm_layers, real_values

SEARCH = settings(
    derandomize=True, database=None, deadline=None, max_examples=600, suppress_health_check=list(HealthCheck)
)
FOUND = settings(SEARCH, phases=[Phase.generate])
Step = Callable[[Lstm, list[int], list[list[int]], list[int]], Signals]
SWAPPED = ("input", "candidate", "forget", "output")


def quantizations() -> st.SearchStrategy[tuple[Format, float]]:
    """A format and a real for a quantizer to it."""
    return formats(widest=16).flatmap(lambda form: st.tuples(st.just(form), real_values(form)))


def clamped(form: Format, raw: int) -> int:
    return min(max(raw, form.raw_min), form.raw_max)


def ties_upward(form: Format, real: float) -> int:
    return clamped(form, math.floor(real + 0.5))


def lowest_never_reached(form: Format, real: float) -> int:
    return max(clamped(form, round(real)), -form.raw_max if form.signed else 0)


def negative_ties_away(form: Format, real: float) -> int:
    tie = real % 1 == 0.5
    return clamped(form, math.floor(real) if real < 0 and tie else round(real))


def one_past_the_top_wraps(form: Format, real: float) -> int:
    return form.raw_min if round(real) == form.raw_max + 1 else clamped(form, round(real))


def halves_lost_in_binary64(form: Format, real: float) -> int:
    rounded = math.floor(abs(real) + 0.5) if real % 1 != 0.5 else abs(round(real))
    return clamped(form, rounded if real >= 0 else -rounded)


@settings(SEARCH)
@given(quantizations())
def test_the_quantizer_without_a_fault_is_not_blamed(case: tuple[Format, float]) -> None:
    form, real = case
    assert clamped(form, round(real)) == int(to_raw([real], form)[0])


@pytest.mark.parametrize(
    ("quantizer", "most_bits", "largest"),
    [
        (ties_upward, 2, 1.5),
        (lowest_never_reached, 2, 2.0),
        (negative_ties_away, 2, 2.5),
        (one_past_the_top_wraps, 1, 2.0),
        (halves_lost_in_binary64, 1, 0.5),
    ],
)
def test_a_quantizer(quantizer: Callable[[Format, float], int], most_bits: int, largest: float) -> None:
    def differs(case: tuple[Format, float]) -> bool:
        form, real = case
        return quantizer(form, real) != int(to_raw([real], form)[0])

    form, real = find(quantizations(), differs, settings=SEARCH)
    assert form.bits <= most_bits
    assert abs(real) <= largest


def shifted_magnitude(cast: Cast) -> int:
    """C's idiom for half_away, without its sign: right for positive numbers only."""
    path = cast.narrowing
    raw = (cast.value + (1 << (path.shift - 1))) >> path.shift
    return clamped(path.format, raw + path.format.zero_point)


def test_a_rounding_shift() -> None:
    def differs(cast: Cast) -> bool:
        path = cast.narrowing
        chosen = path.rounding is Rounding.HALF_AWAY and path.overflow is Overflow.SATURATE
        chosen = chosen and path.shift > 0 and path.format.raw_step == 1
        return chosen and shifted_magnitude(cast) != cast.expected

    cast = find(casts(), differs, settings=SEARCH)
    assert (cast.value, cast.narrowing.shift) == (-1, 1)  # -1/2 must become -1
    assert cast.narrowing.format.bits == 1


@pytest.mark.slow
def test_an_accumulator_without_its_overflow() -> None:
    def differs(case: tuple[Any, Any]) -> bool:
        layer, raws = case
        recorder = Recorder(frozenset([f"{layer.name}.accumulator"]))
        layer.run(raws, recorder)
        path, matrix = layer.datapath, layer.matrix
        plain = path.accumulator.product is None and not path.accumulator.partial and not path.folded_zero_point
        if not plain or any(layer.bias.value):
            return False
        exact = (raws - path.input.zero_point) @ matrix.centred.T.astype(np.int64)
        return not np.array_equal(exact, recorder.traces[f"{layer.name}.accumulator"])

    cases = linear_layers().flatmap(lambda layer: st.tuples(st.just(layer), inputs(layer)))
    layer, raws = find(cases, differs, settings=SEARCH)
    assert layer.matrix.weight.size <= 2
    assert raws.size <= 2


def right(layer: Lstm, vector: list[int], hiddens: list[list[int]], cell: list[int]) -> Signals:
    return lstm_step(vector, hiddens[-1], cell, layer.scalar, layer.datapath)


def stale_hidden(layer: Lstm, vector: list[int], hiddens: list[list[int]], cell: list[int]) -> Signals:
    return right(layer, vector, hiddens[-2:-1] or hiddens, cell)


def swapped_gates(layer: Lstm, vector: list[int], hiddens: list[list[int]], cell: list[int]) -> Signals:
    """Rows in the order input, candidate, forget, output, as other frameworks have them."""
    places = [layer.datapath.gate_names.index(gate) for gate in SWAPPED if gate in layer.datapath.gate_names]
    order = np.concatenate([np.arange(layer.units) + layer.units * place for place in places])
    first, second = (
        replace(
            matrix,
            weight=matrix.weight[order],
            product_shift=matrix.product_shift[order],
            multiplier=matrix.multiplier[order],
            shift=matrix.shift[order],
            zero_point=matrix.zero_point[order],
        )
        for matrix in (layer.input_matrix, layer.recurrent_matrix)
    )
    rows = replace(layer.scalar, input=first.scalar, recurrent=second.scalar)
    return lstm_step(vector, hiddens[-1], cell, rows, layer.datapath)


def hidden_of(layer: Lstm, raws: Any, step: Step) -> Any:
    """The hidden states of a user's LSTM over one sequence."""
    hiddens = [layer.initial_state(1).hidden[0].tolist()]
    cell = layer.initial_state(1).cell[0].tolist()
    for vector in raws[:, 0].tolist():
        signals = step(layer, vector, hiddens, cell)
        cell = signals["cell"]
        hiddens.append(signals["hidden" if layer.projection is None else "projection.output"])
    return np.array(hiddens[1:])


def lstm_cases() -> st.SearchStrategy[tuple[Lstm, Any]]:
    layers = lstm_layers().filter(lambda layer: layer.datapath.hazard is Hazard.NONE)
    return layers.flatmap(lambda layer: st.tuples(st.just(layer), inputs(layer, steps=4, batch=1)))


@pytest.mark.kernels
@pytest.mark.parametrize("step", [stale_hidden, pytest.param(swapped_gates, marks=pytest.mark.slow)])
def test_an_lstm_step(step: Step) -> None:
    examined = []

    def differs(case: tuple[Lstm, Any]) -> bool:
        layer, raws = case
        examined.append(layer)
        expected = layer.run(raws, Recorder())[0][:, 0]
        assert np.array_equal(hidden_of(layer, raws, right), expected)
        return not np.array_equal(hidden_of(layer, raws, step), expected)

    layer, raws = find(lstm_cases(), differs, settings=FOUND)
    assert differs((layer, raws))
    assert len(examined) <= 300
