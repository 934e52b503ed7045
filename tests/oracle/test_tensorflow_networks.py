"""Random networks of TensorFlow 1's cells, imported from graphs and from variables, against TensorFlow's outputs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.importers import deepspeech, tensorflow
from fixedsim.importers.imported import Imported, Stated
from fixedsim.network import Network

pytest.importorskip("tensorflow", reason="needs TensorFlow; install the extra 'oracles'")
pytest.importorskip("tf_keras", reason="needs tf-keras; install the extra 'oracles'")
from tests.oracle import make_tensorflow_fixtures as maker
from tests.oracle.make_tensorflow_fixtures import Plan

pytestmark = pytest.mark.oracles

RELATIVE = 1e-5
CHOSEN = {
    "lengths": Plan(lengths=True),
    "last step, time first": Plan(time_major=True, last=True),
    "last step": Plan(last=True),
    "last states of both directions": Plan(bidirectional=True, last=True),
    "unrolled, last step": Plan(runner="static", last=True, time_major=True),
    "unrolled stack": Plan(runner="static", units=(4, 3), time_major=True),
    "unrolled stack in both directions": Plan(runner="static", units=(4, 3), bidirectional=True, time_major=True),
    "unrolled with projection": Plan(
        "lstm", runner="static", projection=2, peephole=True, units=(3, 2), time_major=True
    ),
    "BlockLSTMV2": Plan(runner="BlockLSTMV2", time_major=True, peephole=True),
    "BlockLSTM stack": Plan(runner="BlockLSTM", units=(3, 5), time_major=True, last=True),
    "BlockLSTM with everything": Plan(
        runner="BlockLSTM", time_major=True, peephole=True, cell_clip=0.3, forget_bias=-0.5, softmax=True
    ),
    "ReLU cell": Plan(function="relu", activation="tanh"),
    "sigmoid cell": Plan(function="sigmoid"),
    "no layer after": Plan(outputs=0),
    "no layer after, last step": Plan(outputs=0, last=True, time_major=True),
    "both directions with lengths": Plan(bidirectional=True, lengths=True, units=(3, 2)),
    "MultiRNNCell of three": Plan(runner="multi", units=(3, 4, 5), time_major=True),
    "MultiRNNCell with projection": Plan("lstm", runner="multi", units=(5, 4), projection=3),
    "layers around": Plan(activation="sigmoid", before=5, forget_bias=0.25),
    "tokens": Plan(vocabulary=11, units=(5, 4), softmax=True),
    "compatible in both directions": Plan("compatible", bidirectional=True, units=(4, 3), forget_bias=0.0),
    "both directions with everything": Plan("lstm", bidirectional=True, peephole=True, projection=3, cell_clip=0.5),
}


def drawn(seed: int) -> Plan:
    """A plan at random sizes."""
    rng = np.random.default_rng(seed)

    def some(most: int) -> int:
        return int(rng.integers(1, most))

    cells = ["basic", "lstm", "compatible"][seed % 3]
    runner = ["dynamic", "multi", "static", "BlockLSTM"][seed % 4]
    full = cells == "lstm" and runner != "BlockLSTM"
    return Plan(
        cells,
        inputs=some(20),
        units=tuple(some(24) for _ in range(1 + seed % 3)),
        steps=2 + some(12),
        bidirectional=runner in ("dynamic", "static") and bool(rng.integers(2)),
        outputs=3 + some(12),
        activation=["", "relu", "tanh", "clipped_relu"][seed % 4 - 1],
        runner=runner,
        time_major=runner in ("static", "BlockLSTM") or bool(rng.integers(2)),
        lengths=bool(rng.integers(2)),
        forget_bias=float(rng.choice([0.0, 1.0, 2.0])),
        peephole=full and bool(rng.integers(2)),
        projection=some(6) if full and rng.integers(2) else 0,
        cell_clip=float(rng.choice([0.0, 0.5])) if full else 0.0,
        before=some(9) if rng.integers(2) else 0,
    )


PLANS = {**CHOSEN, **{f"seed {seed}": drawn(seed) for seed in range(24)}}


@pytest.fixture(autouse=True, scope="module")
def graphs() -> None:
    """Graphs as TensorFlow 1 made them."""
    maker.v1.disable_v2_behavior()


def difference(imported: Imported, inputs: NDArray[Any], wanted: NDArray[Any]) -> float:
    """The largest difference of the outputs in float32 over the largest output."""
    network = Network(imported.description, imported.weights)
    output = network.forward(inputs, dtype="float32").output
    assert output.shape == wanted.shape
    assert wanted.any()
    return float(np.abs(output - wanted).max() / np.abs(wanted).max())


def written(folder: Path, built: maker.Built) -> tuple[Path, Path]:
    """The files of a frozen graph and of variables."""
    (folder / "network.pb").write_bytes(built.graph)
    np.savez(folder / "variables.npz", **built.variables)  # type: ignore[arg-type]
    return folder / "network.pb", folder / "variables.npz"


@pytest.mark.parametrize("name", PLANS)
def test_cells(name: str, tmp_path: Path) -> None:
    built = maker.build(PLANS[name], seed=len(name))
    graph, variables = written(tmp_path, built)
    from_graph = tensorflow.read(graph, Stated())
    bias = from_graph.description.lstm_layers[0].forget_bias
    by_names = tensorflow.read(variables, Stated(from_graph.description, from_graph.gate_order, bias))
    assert by_names.description.layers == from_graph.description.layers
    for imported in (from_graph, by_names):
        assert difference(imported, built.inputs, built.outputs) < RELATIVE


def deepspeech_plans() -> Iterator[Plan]:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        inputs, hidden, outputs, steps = (int(rng.integers(1, most)) for most in (12, 24, 30, 14))
        yield Plan(inputs=inputs, units=(hidden,), outputs=outputs, steps=1 + steps, bidirectional=seed % 2 == 0)


@pytest.mark.parametrize("plan", list(deepspeech_plans()))
def test_deepspeech(plan: Plan, tmp_path: Path) -> None:
    built = maker.build(plan, 3, maker.deepspeech)
    for path in written(tmp_path, built):
        assert deepspeech.recognises(path)
        assert difference(deepspeech.read(path, Stated()), built.inputs, built.outputs) < RELATIVE


def stateful(plan: Plan) -> tuple[Any, Any]:
    """A stack whose states are fed, the second output being the states after the run."""
    tf, v1 = maker.tf, maker.v1
    given = v1.placeholder(tf.float32, [plan.steps, maker.BATCH, plan.inputs], "input")
    cell = maker.cell(plan, plan.units[0])
    fed = [v1.placeholder_with_default(tf.zeros([maker.BATCH, plan.units[0]]), None, name) for name in ("c", "h")]
    fed = [tf.ensure_shape(state, [maker.BATCH, plan.units[0]]) for state in fed]
    state = maker.legacy_cells.LSTMStateTuple(*fed)
    outputs, _ = v1.nn.dynamic_rnn(cell, given, initial_state=state, time_major=True)
    return given, outputs


def test_states_that_are_fed(tmp_path: Path) -> None:
    """One run of TensorFlow over all steps is two of ours, the second from the first's state."""
    built = maker.build(Plan(steps=9, time_major=True), 5, stateful)
    imported = tensorflow.read(written(tmp_path, built)[0], Stated())
    network = Network(imported.description, imported.weights)
    first = network.forward(built.inputs[:4], dtype="float32")
    second = network.forward(built.inputs[4:], dtype="float32", state=first.state)
    joined = np.concatenate([first.output, second.output])
    assert np.abs(joined - built.outputs).max() < RELATIVE * np.abs(built.outputs).max()
