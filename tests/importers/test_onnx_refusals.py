"""What ONNX graphs can say and networks can't is refused by name, never ignored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import DependencyError, FileError, FixedsimError, NetworkError
from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.onnx import read, recognises
from fixedsim.network import Network
from tests.importers.onnx_graphs import INT64, Builder, Plan, made, onnx


def imported(folder: Path, content: bytes) -> Imported:
    path = folder / "model.onnx"
    path.write_bytes(content)
    return read(path, Stated())


def changed(change: Callable[[Any], None], **plan: Any) -> bytes:
    """A graph of a plan after a change of its model."""
    content = made(Plan(**plan), np.random.default_rng(0)).content
    model = onnx.load_from_string(content)
    change(model)
    return bytes(model.SerializeToString())


def lstm_node(model: Any) -> Any:
    return next(node for node in model.graph.node if node.op_type == "LSTM")


def with_attribute(name: str, value: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        node = lstm_node(model)
        kept = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])

    return change


ATTRIBUTES = [
    (
        "activations",
        ["Sigmoid", "Affine", "Tanh"],
        "activations must be Sigmoid, Tanh, Relu or HardSigmoid, not 'Affine'",
    ),
    ("activations", ["Tanh", "Tanh", "Tanh"], "gate must be a known choice, not 'tanh'"),
    ("activations", ["Sigmoid", "Tanh"], "activations must be 3, not 2"),
    ("clip", 0.0, "clip must be above 0, not 0"),
    ("clip", float("nan"), "attribute 'clip' must be finite, not nan"),
    ("clip", 3, "attribute 'clip' must be a number, not of type 2"),
    ("direction", "sideways", "direction must be forward, reverse or bidirectional, not 'sideways'"),
    ("hidden_size", 7, "hidden_size must be 4 as R has it, not 7"),
    ("layout", 2, "layout must be 0 or 1, not 3 and 2"),
]


@pytest.mark.parametrize(("name", "value", "message"), ATTRIBUTES)
def test_attributes_of_an_lstm(name: str, value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=message):
        imported(tmp_path, changed(with_attribute(name, value)))


def test_directions_with_different_functions(tmp_path: Path) -> None:
    functions = ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Relu", "Tanh"]
    content = changed(with_attribute("activations", functions), direction="bidirectional")
    with pytest.raises(NetworkError, match="activations must be the same for both directions, not Sigmoid, Tanh, Tanh"):
        imported(tmp_path, content)


def test_a_hard_sigmoid_of_another_slope(tmp_path: Path) -> None:
    plan = Plan(functions=("HardSigmoid", "Tanh", "Tanh"), slopes=(0.25,), offsets=(0.5,))
    content = made(plan, np.random.default_rng(0)).content
    with pytest.raises(NetworkError, match=r"must have slope 1/5 or 1/6 and offset 1/2, not 0\.25 and 0\.5"):
        imported(tmp_path, content)


def test_initial_states_that_differ_between_sequences(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "h0")
        values = np.random.default_rng(1).normal(size=(1, 2, 4)).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, "h0"))

    with pytest.raises(NetworkError, match="initial_h must be the same for all sequences, not one for each"):
        imported(tmp_path, changed(change, initial="constant"))


def test_lengths_that_are_not_the_full_one(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "full")
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([5, 4], np.int32), "full"))

    with pytest.raises(NetworkError, match="sequence_lens must be the full length for all, or an input of the graph"):
        imported(tmp_path, changed(change, lengths="full", dynamic=False))


def test_the_last_step_in_time_of_a_backward_direction(tmp_path: Path) -> None:
    content = made(Plan(direction="bidirectional", ending="gather"), np.random.default_rng(0)).content
    with pytest.raises(
        NetworkError, match="must be the last that each direction takes, not the last in time of a backw"
    ):
        imported(tmp_path, content)


def test_the_end_of_y_where_lengths_differ(tmp_path: Path) -> None:
    content = made(Plan(lengths="input", ending="gather"), np.random.default_rng(0)).content
    with pytest.raises(
        NetworkError, match="with sequence_lens the last step must be taken from Y_h, not from the end of"
    ):
        imported(tmp_path, content)


Ending = Callable[[Builder, str], str]


def with_ending(ending: Ending, **plan: Any) -> bytes:
    """An LSTM whose output ``(T, N, H)`` goes through operators of one's own."""
    content = made(Plan(**plan), np.random.default_rng(0)).content
    model, build = onnx.load_from_string(content), Builder()
    build._count = 100
    result = ending(build, model.graph.output[0].name)
    model.graph.node.extend(build.nodes)
    model.graph.initializer.extend(build.initializers)
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info(result, 1, None))
    return bytes(model.SerializeToString())


def linear(build: Builder, value: str, inputs: int = 4, outputs: int = 4) -> str:
    weight = build.constant(f"w{build._count}", np.ones((inputs, outputs)))
    return build.node("MatMul", [value, weight])


ENDINGS: dict[str, tuple[Ending, str]] = {
    "unknown": (lambda b, y: b.node("Softsign", [y]), "Softsign 'Softsign_101': operator must be one of Add, Cast, "),
    "loop": (lambda b, y: b.node("Loop", ["", "", y]), "operator must not be Loop: networks have no control flow"),
    "quantized": (
        lambda b, y: b.node("DynamicQuantizeLinear", [y], 3),
        "must not be DynamicQuantizeLinear: import the float graph .* integer networks come from .tflite",
    ),
    "vendor": (
        lambda b, y: b.node("DynamicQuantizeLSTM", [y], domain="com.microsoft"),
        "operator must not be com.microsoft.DynamicQuantizeLSTM",
    ),
    "function of an LSTM": (lambda b, y: b.node("Relu", [y]), "must follow a fully connected layer, not Lstm"),
    "two functions": (
        lambda b, y: b.node("Tanh", [b.node("Sigmoid", [linear(b, y)])]),
        "must follow a layer without a function, not one with sigmoid",
    ),
    "residual": (
        lambda b, y: b.node("Add", [linear(b, y), linear(b, y)]),
        "one of the two must be a constant bias, not both data",
    ),
    "two biases": (
        lambda b, y: b.node("Add", [b.node("Add", [linear(b, y), b.constant("b", [1.0] * 4)]), "b"]),
        "a bias must follow a matrix product directly",
    ),
    "bias of another size": (
        lambda b, y: b.node("Add", [linear(b, y), b.constant("b", [1.0] * 3)]),
        "bias must be 4 real numbers, not float32 of shape .3,.",
    ),
    "weight of another size": (lambda b, y: linear(b, y, 5), "weight must be for 4 features, not 5"),
    "features not last": (
        lambda b, y: linear(b, b.node("Transpose", [y], perm=[0, 2, 1]), 2),
        "features must be the whole last axis, not another",
    ),
    "time in the features": (
        lambda b, y: linear(b, b.node("Flatten", [y], axis=1), 8),
        "features must be the whole last axis, not another",
    ),
    "features taken apart": (
        lambda b, y: b.node("Reshape", [y, b.integers(0, 0, 2, 2)]),
        "axes of sizes .* must not be taken apart",
    ),
    "half of the features": (
        lambda b, y: b.node("Slice", [y, b.integers(0), b.integers(2), b.integers(2)]),
        "features 0..1 must be those of whole directions, not others",
    ),
    "a step in the middle": (
        lambda b, y: b.node("Gather", [y, b.constant("at", 2, np.int64)], axis=0),
        "step that goes on must be the first or the last after an LSTM, not step 2",
    ),
    "the first step": (
        lambda b, y: b.node("Gather", [y, b.constant("at", 0, np.int64)], axis=0),
        "must be the last that each direction takes, not the first in time of a forward one",
    ),
    "softmax in the middle": (
        lambda b, y: linear(b, b.node("Softmax", [y], axis=-1)),
        "Softmax must stand at the end, not in the middle of the network",
    ),
    "softmax over time": (
        lambda b, y: b.node("Softmax", [linear(b, y)], axis=0),
        "must be over the features, the last axis, not over axis 0 of 3",
    ),
    "clip": (
        lambda b, y: b.node("Clip", [linear(b, y), b.constant("lo", -2.0), b.constant("hi", 2.0)]),
        "bounds must be 0 and a number above, or -1 and 1, not -2 and 2",
    ),
    "turned round": (
        lambda b, y: b.node("Slice", [y, b.integers(-1), b.integers(-(2**63) + 1), b.integers(0), b.integers(-1)]),
        "must stand in the order of time, not the other way round",
    ),
    "cells": (lambda b, y: linear(b, b.node("Squeeze", ["Y_c", b.integers(0)])), "not the cells of LSTM 'LSTM_"),
    "both halves swapped": (
        lambda b, y: b.node("Concat", [b.node("Squeeze", ["Y", b.integers(1)])] * 2, axis=2),
        "outputs side by side must be forward, backward, not forward, forward",
    ),
    "cast": (lambda b, y: b.node("Cast", [y], to=7), "data must stay real numbers, not be cast to integers"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDINGS)
def test_what_follows_an_lstm(name: str, tmp_path: Path) -> None:
    ending, message = ENDINGS[name]
    with pytest.raises(NetworkError, match=message):
        imported(tmp_path, with_ending(ending, dynamic=False))


def test_several_heads(tmp_path: Path) -> None:
    def change(model: Any) -> None:
        build = Builder()
        second = linear(build, model.graph.node[-3].output[0])
        model.graph.node.extend(build.nodes)
        model.graph.initializer.extend(build.initializers)
        model.graph.output.append(onnx.helper.make_tensor_value_info(second, 1, None))

    with pytest.raises(
        NetworkError, match=r"must be a state or a layer's on the way to .*, not of a branch of its own"
    ):
        imported(tmp_path, changed(change, linear="MatMul"))


def test_a_state_that_is_computed(tmp_path: Path) -> None:
    build = Builder()
    x = build.graph_input("x", ["T", "B", 3])
    state = build.node("ReduceMean", [x])
    weights = [build.constant("w", np.ones((1, 16, 3))), build.constant("r", np.ones((1, 16, 4)))]
    build.output(build.node("LSTM", [x, *weights, "", "", state]))
    with pytest.raises(NetworkError, match="ReduceMean 'ReduceMean_1': operator must be one of"):
        imported(tmp_path, build.model().SerializeToString())


def test_time_and_sequences_exchanged_between_lstms(tmp_path: Path) -> None:
    def ending(build: Builder, value: str) -> str:
        turned = build.node("Transpose", [value], perm=[1, 0, 2])
        weights = [build.constant("w", np.ones((1, 8, 4))), build.constant("r", np.ones((1, 8, 2)))]
        return build.node("LSTM", [turned, *weights])

    with pytest.raises(NetworkError, match="time must be the axis that the LSTM before runs over, not another"):
        imported(tmp_path, with_ending(ending))


def test_features_that_are_cast_as_if_they_were_tokens(tmp_path: Path) -> None:
    build = Builder()
    x = build.node("Cast", [build.graph_input("x", ["T", "B", 3])], to=INT64)
    build.output(linear(build, build.node("Cast", [x], to=1), 3))
    with pytest.raises(NetworkError, match="input 'x' must be token ids where they are cast to integers, not features"):
        imported(tmp_path, build.model().SerializeToString())


def test_weights_that_are_not_constant(tmp_path: Path) -> None:
    build = Builder()
    x, weight = build.graph_input("x", ["T", "B", 3]), build.graph_input("w", [3, 2])
    build.output(build.node("MatMul", [x, weight]))
    with pytest.raises(NetworkError, match=r"input 1 \('w'\) must be a constant, not computed"):
        imported(tmp_path, build.model().SerializeToString())


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    build = Builder()
    build.output(build.node("MatMul", [build.graph_input("x", ["T", "B", 2]), build.constant("w", [[np.nan], [1]])]))
    found = imported(tmp_path, build.model().SerializeToString())
    with pytest.raises(FixedsimError, match="must be finite, not nan"):
        Network(found.description, found.weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.functions.add(name="f", domain="d"), "functions must be inlined"),
        (lambda model: model.graph.ClearField("node"), "graph must have operators, not none"),
        (lambda model: model.ClearField("opset_import"), "must be 7 or above, given once, not"),
        (lambda model: setattr(model.opset_import[0], "version", 1), r"must be 7 or above, given once, not \[1\]"),
        (lambda model: model.graph.initializer.append(model.graph.initializer[0]), "names of their own, not one twice"),
        (lambda model: model.graph.node.append(model.graph.node[0]), "must be made once, not twice"),
        (lambda model: model.graph.node.reverse(), "must be made before it is read, not after it or never"),
        (lambda model: model.graph.sparse_initializer.add(), "must be dense, not sparse"),
        (lambda model: model.graph.output.add(name="nowhere"), "value 'nowhere' must be made before it is read"),
    ],
)
def test_files_that_are_not_whole(change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=message):
        imported(tmp_path, changed(change))


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(
        DependencyError, match=r"onnx must be installed to read ONNX files; pip install 'fixedsim\[onnx\]'"
    ):
        imported(tmp_path, b"")


def test_recognises_by_the_name_alone(tmp_path: Path) -> None:
    named = {"a.onnx": True, "b.ONNX": True, "c.ort": False}
    for name, expected in named.items():
        (tmp_path / name).write_bytes(b"anything")
        assert recognises(tmp_path / name) == expected
    assert not recognises(tmp_path / "missing.onnx")
