"""Overflow counts against a count of every narrowing that the specification carries out."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim.execution import ProductKernel, Products
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.recorder import Recorder
from fixedsim.profiles.datapath import GATES, Accumulator, Check, GateDatapath, LinearDatapath, LstmDatapath, Narrowing
from fixedsim.spec import casts, layers
from fixedsim.spec.accumulators import accumulate
from tests.kernels.engines import acted, unlimited
from tests.layers.comparison import COMPARED
from tests.strategies import LinearCase, LstmCase, Scope, linear_cases, lstm_cases

pytestmark = pytest.mark.kernels
Counts = Counter[tuple[str, int]]
STAGES = ("sum", "preactivation", "output")
GATE_STAGES = ("input_sum", "recurrent_sum", "preactivation", "output")
CELL_STAGES = ("forget_product", "input_product", "cell", "cell_input", "cell_output", "hidden")


def named(datapath: LinearDatapath | LstmDatapath) -> dict[int, str]:
    """The name of each narrowing by its identity."""
    if isinstance(datapath, LinearDatapath):
        return {id(getattr(datapath, stage)): stage for stage in STAGES}
    names = {id(getattr(datapath, stage)): stage for stage in CELL_STAGES}
    for gate, choices in zip(GATES, datapath.gates, strict=True):
        names |= {id(getattr(choices, stage)): f"gate.{gate}.{stage}" for stage in GATE_STAGES}
    return names


def distinct(datapath: Any) -> Any:
    """The same datapath, no two narrowings of it one object."""
    stages = STAGES if isinstance(datapath, LinearDatapath) else CELL_STAGES
    changes: dict[str, Any] = {stage: replace(getattr(datapath, stage)) for stage in stages}
    if isinstance(datapath, LstmDatapath):
        changes["gates"] = tuple(
            replace(gate, **{stage: replace(getattr(gate, stage)) for stage in GATE_STAGES}) for gate in datapath.gates
        )
        assert all(isinstance(gate, GateDatapath) for gate in changes["gates"])
    return replace(datapath, **changes)


@contextmanager
def counting(datapath: LinearDatapath | LstmDatapath, kernels: Sequence[Products]) -> Iterator[Counts]:
    """Counts of every overflow that acts in the specification, by the name of its narrowing."""
    names, counts = named(datapath), Counts()
    whole = any(products.kernel is not ProductKernel.STEPS for products in kernels)

    def narrow(value: int, narrowing: Narrowing, multiplier: int | None = None, shift: int | None = None) -> int:
        constants = (multiplier or narrowing.multiplier, narrowing.shift if shift is None else shift)
        counts[names[id(narrowing)], acted(unlimited(value, narrowing, *constants), narrowing)] += 1
        return casts.narrow(value, narrowing, multiplier, shift)

    def summed(addends: Sequence[int], accumulator: Accumulator, start: int = 0) -> int:
        steps = [start, *addends]
        if whole or accumulator.check is Check.END:
            steps = [sum(steps)]  # counted once, on the exact sum
        held, limiter = 0, Narrowing(accumulator.format, overflow=accumulator.overflow)
        for addend in steps:
            counts["accumulator", acted(held + addend, limiter)] += 1
            held = accumulate([held + addend], accumulator)
        return accumulate(addends, accumulator, start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "narrow", narrow)
        patch.setattr(layers, "accumulate", summed)
        yield counts


def compare(recorder: Recorder, counts: Counts, layer: str) -> None:
    """Every count of a run equals the specification's."""
    for name, count in recorder.counts.items():
        short = name.removeprefix(f"{layer}.")
        assert (count.low, count.high) == (counts[short, -1], counts[short, 1]), name
        if short != "accumulator":
            assert count.values == sum(counts[short, over] for over in (-1, 0, 1)), name
        COMPARED["layers"] += 2


@pytest.mark.parametrize("scope", [Scope(), Scope((3, 8), (4, 12), ends=True)])
def test_linear(scope: Scope) -> None:
    @settings(max_examples=100)
    @given(linear_cases(scope))
    def check(case: LinearCase) -> None:
        datapath = distinct(case.layer.datapath)
        layer = Linear(case.layer.name, case.layer.matrix, case.layer.bias, datapath)
        recorder = Recorder()
        layer.run(case.inputs, recorder)
        with counting(datapath, [layer.products]) as counts:
            layer.run(case.inputs, Recorder(), engine="spec")
        compare(recorder, counts, layer.name)

    check()


@settings(max_examples=100)
@given(lstm_cases(Scope((2, 8), (4, 20))), st.booleans())
def test_lstm(case: LstmCase, state: bool) -> None:
    """A joint accumulator counts each addition of both its matrices where one of them goes step by step."""
    datapath, old = distinct(case.layer.datapath), case.layer
    layer = Lstm(old.name, old.input_matrix, old.recurrent_matrix, old.bias, datapath)
    kernels = [layer.input_products, layer.recurrent_products]
    if len({products.kernel is ProductKernel.STEPS for products in kernels}) == 2:
        return  # the two halves of the state count differently: exact sums once, steps each
    recorder = Recorder()
    layer.run(case.inputs, recorder, state=case.state)
    with counting(datapath, kernels) as counts:
        layer.run(case.inputs, Recorder(), state=case.state, engine="spec")
    compare(recorder, counts, layer.name)
