"""Networks made with TensorFlow 1's interface, as files of variables and frozen graphs, with inputs and outputs.

Run with TensorFlow and tf-keras installed, ``python -m tests.oracle.make_tensorflow_fixtures``: writes the small
fixtures of ``tests/data/trainers/tensorflow``. The tests of the oracles lane draw larger ones from :func:`build`.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
tf: Any = import_module("tensorflow")
legacy_cells: Any = import_module("tf_keras.src.layers.rnn.legacy_cells")
v1 = tf.compat.v1
FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "tensorflow"
BATCH = 2


@dataclass(frozen=True)
class Plan:
    """A network to draw: cells of every layer, and what stands around them."""

    cells: str = "basic"
    inputs: int = 3
    units: tuple[int, ...] = (4,)
    steps: int = 5
    bidirectional: bool = False
    outputs: int = 7
    activation: str = ""
    last: bool = False
    runner: str = "dynamic"  # or static, block, or multi: a MultiRNNCell
    time_major: bool = False
    lengths: bool = False
    forget_bias: float = 1.0
    vocabulary: int = 0
    softmax: bool = False
    peephole: bool = False
    projection: int = 0
    cell_clip: float = 0.0
    function: str = "tanh"
    before: int = 0  # outputs of a clipped ReLU layer before the cells


@dataclass(frozen=True)
class Built:
    """What TensorFlow gives: variables, a serialized frozen graph, inputs and outputs with time first."""

    variables: dict[str, Array]
    graph: bytes
    inputs: Array
    outputs: Array


def cell(plan: Plan, units: int) -> Any:
    """One cell of TensorFlow."""
    function = getattr(tf.nn, plan.function)
    if plan.cells == "basic":
        return legacy_cells.BasicLSTMCell(units, forget_bias=plan.forget_bias, activation=function)
    options: dict[str, Any] = {"forget_bias": plan.forget_bias, "activation": function}
    if plan.cells == "compatible":
        options["name"] = "cudnn_compatible_lstm_cell"
    options |= {"use_peepholes": True} if plan.peephole else {}
    options |= {"num_proj": plan.projection} if plan.projection else {}
    options |= {"cell_clip": plan.cell_clip} if plan.cell_clip else {}
    return legacy_cells.LSTMCell(units, **options)


def block(plan: Plan, x: Any, units: int, name: str, op: str = "BlockLSTM") -> Any:
    """What LSTMBlockFusedCell is: variables and one operation, time first."""
    width = int(x.shape[-1])
    with v1.variable_scope(name):
        kernel = v1.get_variable("kernel", [width + units, 4 * units])
        bias = v1.get_variable("bias", [4 * units])
        names = ("w_i_diag", "w_f_diag", "w_o_diag")
        zeros = tf.zeros([units])
        diagonals = [v1.get_variable(name, [units]) if plan.peephole else zeros for name in names]
    state = tf.zeros([BATCH, units])
    options: dict[str, Any] = {
        "use_peephole": plan.peephole,
        "cell_clip": plan.cell_clip or (-1 if op == "BlockLSTM" else 0),
    }
    if op == "BlockLSTM":
        options["forget_bias"] = plan.forget_bias
    result = getattr(tf.raw_ops, op)(
        seq_len_max=tf.cast(plan.steps, tf.int64), x=x, cs_prev=state, h_prev=state, w=kernel,
        wci=diagonals[0], wcf=diagonals[1], wco=diagonals[2], b=bias, **options,
    )  # fmt: skip
    return result.h


def recurrent(plan: Plan, x: Any) -> Any:
    """The LSTM layers over ``x``, time first or sequences first as the plan says; static ones on a list."""
    if plan.runner == "multi":
        stack = legacy_cells.MultiRNNCell([cell(plan, units) for units in plan.units])
        outputs, state = v1.nn.dynamic_rnn(stack, x, dtype=tf.float32, time_major=plan.time_major)
        return state[-1].h if plan.last else outputs
    for level, units in enumerate(plan.units):
        with v1.variable_scope(f"level{level}"):
            last = plan.last and level == len(plan.units) - 1
            x = _one(plan, x, units, last)
    return x


def _one(plan: Plan, x: Any, units: int, last: bool) -> Any:
    if plan.runner.startswith("Block"):
        h = block(plan, x, units, "lstm_fused_cell", plan.runner)
        return h[-1] if last else h
    if plan.runner == "static":
        pieces = tf.unstack(x, axis=0)
        if plan.bidirectional:
            outputs, *_ = v1.nn.static_bidirectional_rnn(cell(plan, units), cell(plan, units), pieces, dtype=tf.float32)
        else:
            outputs, _ = v1.nn.static_rnn(cell(plan, units), pieces, dtype=tf.float32)
        return outputs[-1] if last else tf.stack(outputs)
    lengths = tf.fill([BATCH], plan.steps) if plan.lengths else None
    options = {"sequence_length": lengths, "dtype": tf.float32, "time_major": plan.time_major}
    if plan.bidirectional:
        both, states = v1.nn.bidirectional_dynamic_rnn(cell(plan, units), cell(plan, units), x, **options)
        return tf.concat([state.h for state in states], 1) if last else tf.concat(both, 2)
    outputs, _ = v1.nn.dynamic_rnn(cell(plan, units), x, **options)
    if not last:
        return outputs
    return outputs[-1] if plan.time_major else outputs[:, -1]


def dense(x: Any, outputs: int, name: str, activation: str) -> Any:
    """A fully connected layer by hand, on the last axis."""
    width = int(x.shape[-1])
    with v1.variable_scope(name):
        kernel = v1.get_variable("kernel", [width, outputs])
        bias = v1.get_variable("bias", [outputs])
    flat = tf.nn.bias_add(tf.matmul(tf.reshape(x, [-1, width]), kernel), bias)
    if activation == "clipped_relu":
        flat = tf.minimum(tf.nn.relu(flat), 0.7)
    elif activation:
        flat = getattr(tf.nn, activation)(flat)
    return tf.reshape(flat, [*(-1 if size is None else size for size in x.shape[:-1]), outputs])


def network(plan: Plan) -> tuple[Any, Any]:
    """The placeholder and the output."""
    axes = [plan.steps, BATCH] if plan.time_major else [BATCH, plan.steps]
    if plan.vocabulary:
        given = x = v1.placeholder(tf.int32, axes, "tokens")
        x = tf.nn.embedding_lookup(v1.get_variable("embedding", [plan.vocabulary, plan.inputs]), x)
    else:
        given = x = v1.placeholder(tf.float32, [*axes, plan.inputs], "input")
    if plan.before:
        x = dense(x, plan.before, "front", "clipped_relu")
    y = recurrent(plan, x)
    if plan.outputs:
        y = dense(y, plan.outputs, "dense", plan.activation)
    return given, y


def deepspeech(plan: Plan) -> tuple[Any, Any]:
    """Mozilla's network: v0.1 for a bidirectional plan, else v0.6 and later; 3 frames of ``inputs`` each."""
    old, hidden = plan.bidirectional, plan.units[0]
    axes = [BATCH, plan.steps, 3 * plan.inputs] if old else [BATCH, plan.steps, 3, plan.inputs]
    given = v1.placeholder(tf.float32, axes, "input_node")
    x = tf.reshape(tf.transpose(given, [1, 0, *range(2, len(axes))]), [-1, 3 * plan.inputs])
    for number in (1, 2, 3):
        x = _deepspeech_dense(x, number, 2 * hidden if number == 3 and old else hidden, old)
    x = tf.reshape(x, [plan.steps, BATCH, x.shape[-1]])
    if old:
        cells = [legacy_cells.BasicLSTMCell(hidden, forget_bias=1.0) for _ in range(2)]
        both, _ = v1.nn.bidirectional_dynamic_rnn(
            *cells, x, dtype=tf.float32, time_major=True, sequence_length=tf.fill([BATCH], plan.steps)
        )
        x = tf.concat(both, 2)
    else:
        masked = Plan(forget_bias=0.0, steps=plan.steps)
        x = block(masked, x, hidden, "cudnn_lstm/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell")
        mask = tf.transpose(tf.sequence_mask(tf.fill([BATCH], plan.steps), plan.steps, tf.float32), [1, 0])
        x *= tf.tile(tf.expand_dims(mask, [-1]), [1, 1, hidden])
    x = _deepspeech_dense(tf.reshape(x, [-1, x.shape[-1]]), 5, hidden, old)
    x = _deepspeech_dense(x, 6, plan.outputs, old)
    return given, tf.reshape(x, [plan.steps, BATCH, plan.outputs], name="raw_logits")


def _deepspeech_dense(x: Any, number: int, outputs: int, old: bool) -> Any:
    shape = [int(x.shape[-1]), outputs]
    if old:
        bias, kernel = v1.get_variable(f"b{number}", [outputs]), v1.get_variable(f"h{number}", shape)
        x = tf.add(tf.matmul(x, kernel), bias)
    else:
        with v1.variable_scope(f"layer_{number}"):
            bias, kernel = v1.get_variable("bias", [outputs]), v1.get_variable("weights", shape)
        x = tf.nn.bias_add(tf.matmul(x, kernel), bias)
    return x if number == 6 else tf.minimum(tf.nn.relu(x), 20.0)


def build(plan: Plan, seed: int, make: Callable[[Plan], tuple[Any, Any]] = network) -> Built:
    """Draw weights and inputs from ``seed``, run the network and freeze it."""
    rng = np.random.default_rng(seed)
    with v1.Session(graph=tf.Graph()) as session:
        given, y = make(plan)
        (tf.nn.softmax if plan.softmax else tf.identity)(y, name="output")
        session.run(v1.global_variables_initializer())
        variables = {}
        for variable in v1.global_variables():
            values = (0.6 * rng.normal(size=variable.shape)).astype(np.float32)
            variable.load(values, session)
            variables[variable.name] = values
        shape = [int(size) for size in given.shape]
        if given.dtype == tf.int32:
            x: Array = rng.integers(0, plan.vocabulary, shape).astype(np.int32)
        else:
            x = rng.normal(size=shape).astype(np.float32)
        outputs = session.run(y, {given: x})
        graph = v1.graph_util.convert_variables_to_constants(session, session.graph_def, ["output"])
    if make is deepspeech:
        x = np.moveaxis(x, 1, 0).reshape(plan.steps, BATCH, -1)
    elif not plan.time_major:
        x = np.moveaxis(x, 1, 0)
        outputs = outputs if plan.last else np.moveaxis(outputs, 1, 0)
    return Built(variables, graph.SerializeToString(), np.ascontiguousarray(x), outputs)


PLANS = {
    "basic": Plan(),
    "peephole_projection_clip": Plan("lstm", peephole=True, projection=3, cell_clip=0.4, time_major=True),
    "bidirectional": Plan(bidirectional=True, units=(4, 3), softmax=True),
    "block": Plan(runner="BlockLSTM", time_major=True, cell_clip=0.5, forget_bias=0.5),
    "multi": Plan(runner="multi", units=(4, 5), vocabulary=9, last=True),
    "compatible": Plan("compatible", forget_bias=0.0, lengths=True, before=4),
    "static": Plan(runner="static", bidirectional=True, time_major=True, steps=3),
    "block_v2": Plan(runner="BlockLSTMV2", peephole=True, time_major=True),
}


DEEPSPEECH = {
    "deepspeech_v0.1": Plan(units=(4,), bidirectional=True, outputs=5, softmax=True),
    "deepspeech_v0.9": Plan(units=(5,), outputs=4, softmax=True),
}


def main() -> None:
    """Write the fixtures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    v1.disable_v2_behavior()
    plans = [(name, plan, network) for name, plan in PLANS.items()]
    plans += [(name, plan, deepspeech) for name, plan in DEEPSPEECH.items()]
    for seed, (name, plan, make) in enumerate(plans):
        built = build(plan, seed, make)
        np.savez(FOLDER / f"{name}.npz", **built.variables)  # type: ignore[arg-type]
        (FOLDER / f"{name}.pb").write_bytes(built.graph)
        np.savez(FOLDER / f"{name}.run.npz", inputs=built.inputs, outputs=built.outputs)
    (FOLDER / "versions.json").write_text(json.dumps({"tensorflow": tf.__version__, "numpy": np.__version__}) + "\n")


if __name__ == "__main__":
    main()
