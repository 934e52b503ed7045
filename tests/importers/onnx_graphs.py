"""ONNX graphs of LSTMs with every attribute, built with ``onnx.helper`` from a plan."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="needs the package onnx; install the extra 'onnx'")
helper, numpy_helper = onnx.helper, onnx.numpy_helper
Array = NDArray[Any]
FLOAT, INT32, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32, onnx.TensorProto.INT64
TO_THE_END = 2**63 - 1


@dataclass(frozen=True)
class Plan:
    """One LSTM and what stands around it.

    ``ending``: which output goes on and how: ``all`` steps of Y, ``gather`` or ``slice`` the last step of it, ``edges``
    (both directions, each at its own last step), ``hidden`` (Y_h), ``raw`` (Y as it is). ``initial`` and ``lengths``:
    ``none``, ``zero``, ``constant``, ``input``, and ``none``, ``full``, ``input``.
    """

    steps: int = 5
    sequences: int = 2
    inputs: int = 3
    units: int = 4
    direction: str = "forward"
    bias: bool = True
    peephole: bool = False
    clip: float | None = None
    input_forget: bool = False
    functions: tuple[str, str, str] = ("Sigmoid", "Tanh", "Tanh")
    slopes: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    initial: str = "none"
    lengths: str = "none"
    layout: int = 0
    ending: str = "all"
    linear: str = ""  # "Gemm", "MatMul"
    after: str = ""  # an operator behind the linear layer
    vocabulary: int = 0
    sequences_first: bool = False
    turned: bool = False
    dynamic: bool = True
    opset: int = 17

    @property
    def ways(self) -> int:
        """Directions."""
        return 2 if self.direction == "bidirectional" else 1


class Builder:
    """Nodes, initializers, inputs and outputs of a graph as they are added."""

    def __init__(self, opset: int = 17) -> None:
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._count = 0

    def constant(self, name: str, array: Any, dtype: Any = np.float32) -> str:
        """An initializer."""
        self.initializers.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def integers(self, *values: int) -> str:
        """An initializer of integers with a name of its own."""
        self._count += 1
        return self.constant(f"ints_{self._count}", list(values), np.int64)

    def node(self, op: str, inputs: list[str], outputs: int | list[str] = 1, **attributes: Any) -> str:
        """An operator; the name of its first output."""
        self._count += 1
        names = outputs if isinstance(outputs, list) else [f"{op}_{self._count}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{op}_{self._count}", **attributes))
        return names[0]

    def graph_input(self, name: str, shape: Any, kind: int = FLOAT) -> str:
        """An input of the graph."""
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int = FLOAT) -> None:
        """An output of the graph, of any shape."""
        self.outputs.append(helper.make_tensor_value_info(name, kind, None))

    def model(self) -> Any:
        """The whole model."""
        graph = helper.make_graph(self.nodes, "graph", self.inputs, self.outputs, self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)


@dataclass(frozen=True)
class Made:
    """A model as bytes, what it is fed with, and the same for us: inputs time first, lengths and states."""

    content: bytes
    feeds: dict[str, Array]
    inputs: Array
    lengths: Array | None
    state: tuple[Array, Array] | None
    output_axes: str  # letters of the graph's output: t, n, d, f


def made(plan: Plan, rng: np.random.Generator) -> Made:
    """The model of a plan with random weights and inputs."""
    build, feeds = Builder(plan.opset), dict[str, Array]()
    inputs, value = _inputs(plan, build, rng, feeds)
    if plan.sequences_first and not plan.layout:
        value = build.node("Transpose", [value], perm=[1, 0, 2])
    if plan.turned:
        bounds = [build.integers(-1), build.integers(-TO_THE_END), build.integers(0), build.integers(-1)]
        value = build.node("Slice", [value, *bounds])
    lengths = _lengths(plan, build, rng, feeds)
    names, state = _states(plan, build, rng, feeds)
    operands = [value, *_weights(plan, build, rng), lengths, *names, _peephole(plan, build, rng)]
    while not operands[-1]:
        operands.pop()
    outputs = ["Y", "Y_h", "Y_c"]
    build.node("LSTM", operands, outputs, **_attributes(plan))
    result, axes = _ending(plan, build)
    result = _linear(plan, build, rng, result)
    build.output(result)
    given = feeds["lengths"] if plan.lengths == "input" else None
    return Made(build.model().SerializeToString(), feeds, inputs, given, state, axes)


def _inputs(plan: Plan, build: Builder, rng: np.random.Generator, feeds: dict[str, Array]) -> tuple[Array, str]:
    first = plan.sequences_first or plan.layout
    sizes: list[Any] = ["B", "T"] if first else ["T", "B"]
    if not plan.dynamic:
        sizes = [plan.sequences, plan.steps] if first else [plan.steps, plan.sequences]
    if plan.vocabulary:
        ids = rng.integers(0, plan.vocabulary, (plan.steps, plan.sequences))
        feeds["tokens"] = ids.T.copy() if first else ids
        table = build.constant("embedding.weight", rng.normal(size=(plan.vocabulary, plan.inputs)))
        return ids, build.node("Gather", [table, build.graph_input("tokens", sizes, INT64)])
    values = rng.normal(size=(plan.steps, plan.sequences, plan.inputs)).astype(np.float32)
    feeds["x"] = values.transpose(1, 0, 2).copy() if first else values
    return values, build.graph_input("x", [*sizes, plan.inputs])


def _weights(plan: Plan, build: Builder, rng: np.random.Generator) -> list[str]:
    rows, reach = 4 * plan.units, 1.5 / np.sqrt(plan.units)
    weights = [
        build.constant("lstm.W", rng.normal(size=(plan.ways, rows, plan.inputs)) * reach),
        build.constant("lstm.R", rng.normal(size=(plan.ways, rows, plan.units)) * reach),
    ]
    bias = build.constant("lstm.B", rng.normal(size=(plan.ways, 2 * rows))) if plan.bias else ""
    return [*weights, bias]


def _peephole(plan: Plan, build: Builder, rng: np.random.Generator) -> str:
    return build.constant("lstm.P", rng.normal(size=(plan.ways, 3 * plan.units))) if plan.peephole else ""


def _lengths(plan: Plan, build: Builder, rng: np.random.Generator, feeds: dict[str, Array]) -> str:
    if plan.lengths == "input":
        feeds["lengths"] = rng.integers(1, plan.steps + 1, plan.sequences).astype(np.int32)
        return build.graph_input("lengths", ["B"], INT32)
    return build.constant("full", [plan.steps] * plan.sequences, np.int32) if plan.lengths == "full" else ""


def _states(
    plan: Plan, build: Builder, rng: np.random.Generator, feeds: dict[str, Array]
) -> tuple[list[str], tuple[Array, Array] | None]:
    if plan.initial == "none":
        return ["", ""], None
    shape = (plan.ways, plan.sequences, plan.units)
    if plan.initial == "input":
        given = tuple(rng.normal(size=shape).astype(np.float32) for _ in range(2))
        feeds |= {"h0": given[0], "c0": given[1]}
        names = [build.graph_input(name, [plan.ways, "B", plan.units]) for name in ("h0", "c0")]
        return names, (given[0], given[1])
    row = (plan.ways, 1, plan.units)
    values = [np.zeros(row) if plan.initial == "zero" else rng.normal(size=row) for _ in range(2)]
    wide = [np.broadcast_to(value, shape) for value in values]
    if plan.layout:
        wide = [value.swapaxes(0, 1) for value in wide]
    return [build.constant(name, value) for name, value in zip(("h0", "c0"), wide, strict=True)], None


def _attributes(plan: Plan) -> dict[str, Any]:
    attributes: dict[str, Any] = {"hidden_size": plan.units, "direction": plan.direction}
    if plan.functions != ("Sigmoid", "Tanh", "Tanh"):
        attributes["activations"] = list(plan.functions * plan.ways)
    if plan.slopes:
        attributes |= {
            "activation_alpha": list(plan.slopes * plan.ways),
            "activation_beta": list(plan.offsets * plan.ways),
        }
    if plan.clip is not None:
        attributes["clip"] = plan.clip
    if plan.input_forget:
        attributes["input_forget"] = 1
    if plan.layout:
        attributes["layout"] = 1
    return attributes


def _ending(plan: Plan, build: Builder) -> tuple[str, str]:
    """The value that goes on and its axes, with features last."""
    if plan.layout:
        return _layout_ending(plan, build)
    if plan.ending == "raw":
        return "Y", "tdnf"
    if plan.ending == "hidden":
        swapped = build.node("Transpose", ["Y_h"], perm=[1, 0, 2])
        return build.node("Reshape", [swapped, build.integers(0, -1)]), "nf"
    if plan.ending == "edges":
        halves = [build.node("Gather", ["Y", build.constant(f"way_{way}", way, np.int64)], axis=1) for way in (0, 1)]
        picked = [
            build.node("Gather", [half, build.constant(f"step_{way}", step, np.int64)], axis=0)
            for way, (half, step) in enumerate(zip(halves, (-1, 0), strict=True))
        ]
        return build.node("Concat", picked, axis=-1), "nf"
    flat = build.node("Reshape", [build.node("Transpose", ["Y"], perm=[0, 2, 1, 3]), build.integers(0, 0, -1)])
    if plan.turned:
        bounds = [build.integers(-1), build.integers(-TO_THE_END), build.integers(0), build.integers(-1)]
        flat = build.node("Slice", [flat, *bounds])
    return _steps(plan, build, flat)


def _steps(plan: Plan, build: Builder, flat: str) -> tuple[str, str]:
    at = 0 if (plan.direction == "reverse") != plan.turned else -1
    if plan.ending == "gather":
        return build.node("Gather", [flat, build.constant("step", at, np.int64)], axis=0), "nf"
    if plan.ending == "slice":
        end = 1 if at == 0 else TO_THE_END
        one = build.node("Slice", [flat, build.integers(at), build.integers(end), build.integers(0)])
        return build.node("Squeeze", [one, build.integers(0)]), "nf"
    if plan.sequences_first:
        return build.node("Transpose", [flat], perm=[1, 0, 2]), "ntf"
    return flat, "tnf"


def _layout_ending(plan: Plan, build: Builder) -> tuple[str, str]:
    if plan.ending == "hidden":
        return build.node("Reshape", ["Y_h", build.integers(0, -1)]), "nf"
    return build.node("Reshape", ["Y", build.integers(0, 0, -1)]), "ntf"


def _linear(plan: Plan, build: Builder, rng: np.random.Generator, value: str) -> str:
    width, outputs = plan.ways * plan.units, 5
    if plan.linear == "Gemm":
        weight = build.constant("head.weight", rng.normal(size=(outputs, width)))
        bias = build.constant("head.bias", rng.normal(size=outputs))
        value = build.node("Gemm", [value, weight, bias], transB=1, alpha=0.5, beta=2.0)
    if plan.linear == "MatMul":
        weight = build.constant("head.weight_T", rng.normal(size=(width, outputs)))
        value = build.node("MatMul", [value, weight])
        value = build.node("Add", [build.constant("head.bias", rng.normal(size=outputs)), value])
    if plan.after == "Clip":
        return build.node("Clip", [value, build.constant("low", 0.0), build.constant("high", 1.5)])
    return build.node(plan.after, [value]) if plan.after else value
