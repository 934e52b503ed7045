"""The element-wise part of the LSTM step with drawn datapaths, against the scalar specification."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim import selftest
from fixedsim.kernels.lstm import NARROWINGS
from fixedsim.layers.lstm_stages import narrowings, packed_stages
from fixedsim.profiles.datapath import GATES, Hazard, Narrowing
from fixedsim.spec import casts, functions, layers
from tests.kernels.engines import Engine, acted, unlimited

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]
SEEDS = st.integers(0, (1 << 64) - 1)


@settings(max_examples=25)
@given(seed=SEEDS)
def test_every_signal(engine: Engine, seed: int) -> None:
    case = selftest.lstm_case(selftest.Draws(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selftest, "lstm_kernels", engine.lstm)
        signals, _ = selftest.kernel_lstm(case)
    expected = selftest.scalar_lstm(case)
    assert sorted(signals) == sorted(expected)
    assert signals == expected


@settings(max_examples=20)
@given(seed=SEEDS)
def test_counts(engine: Engine, seed: int) -> None:
    case = selftest.lstm_case(selftest.Draws(seed))
    order = {id(stage): engine.lstm.NARROWINGS.index(name) for name, stage in narrowings(case.datapath).items()}
    expected = np.zeros((36, 2), np.int64)

    def counting(value: int, narrowing: Narrowing, multiplier: int | None = None, shift: int | None = None) -> int:
        constants = (multiplier or narrowing.multiplier, narrowing.shift if shift is None else shift)
        over = acted(unlimited(value, narrowing, *constants), narrowing)
        if over:
            expected[order[id(narrowing)], (over + 1) // 2] += 1
        return casts.narrow(value, narrowing, multiplier, shift)

    with pytest.MonkeyPatch.context() as patch:
        for module in (layers, functions):
            patch.setattr(module, "narrow", counting)
        patch.setattr(selftest, "lstm_kernels", engine.lstm)
        selftest.scalar_lstm(case)
        _, counts = selftest.kernel_lstm(case)
    assert counts.tolist() == expected.tolist()


def test_two_sequences_and_no_trace(engine: Engine) -> None:
    """Each sequence of a batch goes its own way, with or without signals, and keeps a sigmoid register of its own."""
    cases = (selftest.lstm_case(selftest.Draws(seed), 3) for seed in range(999))
    case = next(each for each in cases if each.datapath.hazard is Hazard.STALE_SIGMOID and not each.datapath.joint)
    mirrored = [-raw for raw in case.from_inputs]
    stages = packed_stages(case.datapath)
    hidden, cell = np.zeros((2, 3), np.int64), np.array([case.cell, case.cell])
    register = np.array([[case.register], [5]])
    engine.lstm.lstm_elementwise(
        np.array([case.from_inputs, mirrored]),
        np.array([case.from_hidden, case.from_hidden]),
        selftest.kernel_rows(case),
        stages.choices,
        stages.narrowings,
        stages.centres,
        stages.activations,
        stages.values,
        cell,
        hidden,
        register,
        np.zeros((0, 0, 0), np.int64),
        np.zeros((36, 2), np.int64),
    )
    for sequence, (accumulators, stale) in enumerate(((case.from_inputs, case.register), (mirrored, 5))):
        expected = selftest.scalar_lstm(replace(case, from_inputs=accumulators, register=stale))
        assert hidden[sequence].tolist() == expected["hidden"]
        assert cell[sequence].tolist() == expected["cell"]
        assert register[sequence].tolist() == expected["gate.output"][-1:]


def test_the_drawn_steps_have_every_stage() -> None:
    """Each stage that a datapath may lack is in some of the cases, and missing in others."""
    found: Counter[str] = Counter()
    for seed in range(60):
        path = selftest.lstm_case(selftest.Draws(seed), 1).datapath
        found.update(list(narrowings(path)))
        found[path.hazard] += 1
        found["coupled"] += path.coupled is not None
        found["primitive"] += any(stage.primitive for stage in narrowings(path).values())
    names = [*NARROWINGS, "coupled", "primitive", *Hazard]
    always = {"cell", "cell_input", "cell_output", "hidden", "forget_product", "input_product"}
    always |= {f"gate.{gate}.{stage}" for gate in GATES[1:] for stage in ("input_sum", "preactivation", "output")}
    assert all(3 <= found[name] < 60 + (name in always) for name in names), found


def test_orders_have_the_documented_places(engine: Engine) -> None:
    assert len(engine.lstm.NARROWINGS) == 36
    assert engine.lstm.NARROWINGS[7:14] == (
        "gate.forget.input_sum",
        "gate.forget.recurrent_sum",
        "gate.forget.preactivation",
        "gate.forget.peephole_product",
        "gate.forget.peephole_sum",
        "gate.forget.normalized",
        "gate.forget.output",
    )
    assert engine.lstm.NARROWINGS[28:] == (
        "forget_product",
        "input_product",
        "forget_addend",
        "input_addend",
        "cell",
        "cell_input",
        "cell_output",
        "hidden",
    )
    assert len(engine.lstm.SIGNALS) == 44
    assert engine.lstm.SIGNALS[26] == "gate.candidate.gate"
    assert engine.lstm.SIGNALS[36:] == (
        "forget_product",
        "input_product",
        "forget_addend",
        "input_addend",
        "cell",
        "cell_input",
        "cell_activation",
        "hidden",
    )
