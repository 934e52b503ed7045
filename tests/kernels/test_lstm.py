"""The element-wise part of the LSTM step with drawn datapaths, against the scalar specification."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim import arrays, selftest
from fixedsim.profiles.datapath import Narrowing
from fixedsim.spec import casts, layers
from tests.kernels.engines import Engine, acted, unlimited

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]
SEEDS = st.integers(0, (1 << 64) - 1)


@settings(max_examples=60)
@given(seed=SEEDS)
def test_every_signal(engine: Engine, seed: int) -> None:
    case = selftest.lstm_case(selftest.Draws(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selftest, "lstm_kernels", engine.lstm)
        signals, _ = selftest.kernel_lstm(case)
    expected = selftest.scalar_lstm(case)
    assert sorted(signals) == sorted(expected)
    assert signals == expected


@settings(max_examples=40)
@given(seed=SEEDS)
def test_counts(engine: Engine, seed: int) -> None:
    case = selftest.lstm_case(selftest.Draws(seed))
    order = [id(narrowing) for narrowing in selftest.lstm_narrowings(case.datapath)]
    expected = np.zeros((22, 2), np.int64)

    def counting(value: int, narrowing: Narrowing, multiplier: int | None = None, shift: int | None = None) -> int:
        constants = (multiplier or narrowing.multiplier, narrowing.shift if shift is None else shift)
        over = acted(unlimited(value, narrowing, *constants), narrowing)
        if over:
            expected[order.index(id(narrowing)), (over + 1) // 2] += 1
        return casts.narrow(value, narrowing, multiplier, shift)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "narrow", counting)
        patch.setattr(selftest, "lstm_kernels", engine.lstm)
        selftest.scalar_lstm(case)
        _, counts = selftest.kernel_lstm(case)
    assert counts.tolist() == expected.tolist()


def test_two_sequences_and_no_trace(engine: Engine) -> None:
    """Each sequence of a batch goes its own way, with or without signals."""
    case = next(case for seed in range(99) if not (case := selftest.lstm_case(selftest.Draws(seed), 3)).datapath.joint)
    mirrored = [-raw for raw in case.from_inputs]
    fields, values = arrays.pack_activations(selftest.lstm_activations(case.datapath))
    packed = np.stack([arrays.pack_narrowing(narrowing) for narrowing in selftest.lstm_narrowings(case.datapath)])
    hidden, cell = np.zeros((2, 3), np.int64), np.array([case.cell, case.cell])
    engine.lstm.lstm_elementwise(
        np.array([case.from_inputs, mirrored]),
        np.array([case.from_hidden, case.from_hidden]),
        np.array(case.bias),
        np.array(case.constants),
        False,
        packed,
        fields,
        values,
        cell,
        hidden,
        np.zeros((0, 0, 0), np.int64),
        np.zeros((22, 2), np.int64),
    )
    for sequence, accumulators in enumerate((case.from_inputs, mirrored)):
        expected = selftest.scalar_lstm(replace(case, from_inputs=accumulators))
        assert hidden[sequence].tolist() == expected["hidden"]
        assert cell[sequence].tolist() == expected["cell"]


def test_orders_have_the_documented_places(engine: Engine) -> None:
    assert len(engine.lstm.NARROWINGS) == 22
    assert engine.lstm.NARROWINGS[6] == "gate.forget.preactivation"
    assert engine.lstm.NARROWINGS[16:] == (
        "forget_product",
        "input_product",
        "cell",
        "cell_input",
        "cell_output",
        "hidden",
    )
    assert len(engine.lstm.SIGNALS) == 30
    assert engine.lstm.SIGNALS[17] == "gate.candidate.gate"
    assert engine.lstm.SIGNALS[24:] == (
        "forget_product",
        "input_product",
        "cell",
        "cell_input",
        "cell_activation",
        "hidden",
    )
