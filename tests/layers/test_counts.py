"""Overflow counts against a count of every narrowing that the specification carries out."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial, reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim.execution import ProductKernel, Products
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.recorder import Recorder
from fixedsim.profiles.datapath import (
    GATES,
    Accumulator,
    Check,
    GateDatapath,
    LayerNorm,
    LinearDatapath,
    LstmDatapath,
    Narrowing,
    PartialSums,
    Peephole,
)
from fixedsim.spec import casts, functions, layers
from fixedsim.spec.accumulators import accumulate
from tests.kernels.engines import acted, unlimited
from tests.layers.comparison import COMPARED
from tests.spec.accumulator_oracle import partial_sums
from tests.strategies import LinearCase, LstmCase, Scope, linear_cases, lstm_cases

pytestmark = pytest.mark.kernels
Counts = Counter[tuple[str, int]]
STAGES = ("sum", "preactivation", "output")
GATE_STAGES = {
    "input_sum": ("input_sum",),
    "recurrent_sum": ("recurrent_sum",),
    "preactivation": ("preactivation",),
    "peephole_product": ("peephole", "product"),
    "peephole_sum": ("peephole", "sum"),
    "normalized": ("norm", "output"),
    "output": ("output",),
}
CELL_STAGES = ("forget_product", "input_product", "forget_addend", "input_addend", "cell", "cell_input", "cell_output")
LSTM_STAGES = {
    **{stage: stage for stage in (*CELL_STAGES, "hidden")},
    "rescaled_input": "input_rescale",
    "rescaled_hidden": "hidden_rescale",
}


def named(layer: Linear | Lstm) -> dict[int, str]:
    """The name of each narrowing, and of each accumulator, by its identity."""
    datapath = layer.datapath
    names = {id(datapath.accumulator): "accumulator", id(layer.bias.cast): "bias_cast"}
    if isinstance(datapath, LinearDatapath):
        return names | {id(getattr(datapath, stage)): stage for stage in STAGES}
    names |= {id(getattr(datapath, field)): stage for stage, field in LSTM_STAGES.items()}
    for gate, choices in zip(GATES, datapath.gates, strict=True):
        for stage, path in GATE_STAGES.items():
            names[id(reduce(lambda part, field: getattr(part, field, None), path, choices))] = f"gate.{gate}.{stage}"
    if isinstance(layer, Lstm) and layer.projection is not None:
        names |= {identity: f"projection.{name}" for identity, name in named(layer.projection).items()}
    return names


def distinct(part: Any) -> Any:
    """The same datapath, no two parts of it one object."""
    if isinstance(part, tuple):
        return tuple(distinct(each) for each in part)
    if not isinstance(
        part, LinearDatapath | LstmDatapath | GateDatapath | Peephole | LayerNorm | Narrowing | Accumulator
    ):
        return part
    return replace(part, **{field.name: distinct(getattr(part, field.name)) for field in fields(part)})


@contextmanager
def counting(layer: Linear | Lstm, kernels: Mapping[str, Sequence[Products]]) -> Iterator[Counts]:
    """Counts of every overflow that acts in the specification, by the name of its narrowing.

    ``kernels`` are those of each accumulator.
    """
    names, counts = named(layer), Counts()
    whole = {name: any(each.kernel is not ProductKernel.STEPS for each in some) for name, some in kernels.items()}

    def narrow(value: int, narrowing: Narrowing, multiplier: int | None = None, shift: int | None = None) -> int:
        constants = (multiplier or narrowing.multiplier, narrowing.shift if shift is None else shift)
        counts[names[id(narrowing)], acted(unlimited(value, narrowing, *constants), narrowing)] += 1
        return casts.narrow(value, narrowing, multiplier, shift)

    def held(total: int, part: PartialSums | Accumulator, name: str) -> int:
        counts[name, acted(total, Narrowing(part.format, overflow=part.overflow))] += 1
        return casts.overflow(total, part.format, part.overflow)

    def summed(addends: Sequence[int], accumulator: Accumulator, start: int = 0, last: Sequence[int] = ()) -> int:
        name, rest = names[id(accumulator)], list(addends)
        for level in accumulator.partial:
            rest = partial_sums(rest, level, partial(held, part=level, name=name))
        steps = [start, *rest, *last]
        if whole[name] or accumulator.check is Check.END:
            steps = [sum(steps)]  # counted once, on the exact sum
        total = 0
        for addend in steps:
            total = held(total + addend, accumulator, name)
        return accumulate(addends, accumulator, start, last)

    with pytest.MonkeyPatch.context() as patch:
        for module in (layers, functions):
            patch.setattr(module, "narrow", narrow)
        patch.setattr(layers, "accumulate", summed)
        yield counts


def compare(recorder: Recorder, counts: Counts, layer: str) -> None:
    """Every count of a run equals the specification's."""
    for name, count in recorder.counts.items():
        short = name.removeprefix(f"{layer}.")
        assert (count.low, count.high) == (counts[short, -1], counts[short, 1]), name
        if not short.endswith("accumulator"):
            assert count.values == sum(counts[short, over] for over in (-1, 0, 1)), name
        COMPARED["layers"] += 2


@pytest.mark.parametrize("scope", [Scope(), Scope((3, 8), (4, 12), ends=True)])
def test_linear(scope: Scope) -> None:
    @settings(max_examples=20)
    @given(linear_cases(scope))
    def check(case: LinearCase) -> None:
        datapath = distinct(case.layer.datapath)
        layer = Linear(case.layer.name, case.layer.matrix, case.layer.bias, datapath)
        recorder = Recorder()
        layer.run(case.inputs, recorder)
        with counting(layer, {"accumulator": [layer.products]}) as counts:
            layer.run(case.inputs, Recorder(), engine="spec")
        compare(recorder, counts, layer.name)

    check()


@settings(max_examples=20)
@given(lstm_cases(Scope((2, 8), (4, 20))), st.booleans())
def test_lstm(case: LstmCase, state: bool) -> None:
    """A joint accumulator counts each addition of both its matrices where one of them goes step by step."""
    old, projection = case.layer, case.layer.projection
    if projection is not None:
        projection = replace(projection, datapath=distinct(projection.datapath))
    layer = replace(old, datapath=distinct(old.datapath), projection=projection)
    in_one = old.datapath.joint and old.datapath.accumulator.partial  # one matrix over inputs and hidden state
    kernels = {
        "accumulator": [layer.recurrent_products] if in_one else [layer.input_products, layer.recurrent_products]
    }
    if projection is not None:
        kernels["projection.accumulator"] = [projection.products]
    if any(len({products.kernel is ProductKernel.STEPS for products in each}) == 2 for each in kernels.values()):
        return  # the two halves of the state count differently: exact sums once, steps each
    recorder = Recorder()
    layer.run(case.inputs, recorder, state=case.state)
    with counting(layer, kernels) as counts:
        layer.run(case.inputs, Recorder(), state=case.state, engine="spec")
    compare(recorder, counts, layer.name)
