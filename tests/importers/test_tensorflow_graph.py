"""What a graph's operations say, on graphs by hand: layers, the order of gates, the last step, and what is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest

from fixedsim.errors import FileError, FixedsimError, NetworkError
from fixedsim.importers import tensorflow
from fixedsim.importers.imported import Stated
from tests.importers.test_tensorflow_wire import FLOAT, INT32, attribute, chunk, constant, node, number, tensor, varint


def product(kernel: str = "w", before: bytes = b"") -> bytes:
    """An input times a constant of shape (2, 3), called ``y``."""
    weights = tensor(FLOAT, (2, 3), chunk(5, struct.pack("<f", 1)))
    return node("x", "Placeholder") + before + constant(kernel, weights) + node("y", "MatMul", ("x", kernel))


AFTER = {
    "a sum of squares": (
        node("z", "Square", ("y",)),
        "operation 'z' after the last layer must be one that moves values",
    ),
    "a missing input": (
        node("z", "Identity", ("gone",)) + node("q", "MatMul", ("z", "w")),
        "input 'gone' must be a node",
    ),
    "CuDNN": (node("z", "CudnnRNN", ("x",)), "operation 'z' must be a cell with a kernel, not CudnnRNN"),
    "a branch": (
        constant("v", tensor(FLOAT, (2, 4), b"")) + node("z", "MatMul", ("x", "v")),
        "must be a forward and a backward LSTM, not",
    ),
    "a convolution between": (
        node("u", "Conv2D", ("y",)) + constant("v", tensor(FLOAT, (3, 4), b"")) + node("z", "MatMul", ("u", "v")),
        "operation 'u' between layers must be one that moves values alone, not Conv2D",
    ),
    "a softmax between": (
        node("u", "Softmax", ("y",)) + constant("v", tensor(FLOAT, (3, 4), b"")) + node("z", "MatMul", ("u", "v")),
        "operation 'u' between layers must be one that moves values alone, not Softmax",
    ),
}


def written(folder: Path, content: bytes) -> Path:
    (folder / "g.pb").write_bytes(content)
    return folder / "g.pb"


def test_the_smallest_graph(tmp_path: Path) -> None:
    imported = tensorflow.read(written(tmp_path, product("a b/kernel")), Stated())
    assert imported.weights["a_b.weight"].shape == (3, 2)


@pytest.mark.parametrize("name", AFTER)
def test_operations_that_networks_lack(name: str, tmp_path: Path) -> None:
    content, message = AFTER[name]
    with pytest.raises((NetworkError, FileError), match=message):
        tensorflow.read(written(tmp_path, product() + content), Stated())


def test_no_layers(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="graph must hold layers, not none; are its variables frozen"):
        tensorflow.read(written(tmp_path, node("x", "Placeholder")), Stated())


def test_a_ring_and_a_long_chain_end(tmp_path: Path) -> None:
    """Values that go round, and chains and lattices without end, are given up in time."""
    ring = node("p", "Identity", ("q",)) + node("q", "Identity", ("p",))
    chain = b"".join(node(f"n{place + 1}", "Identity", (f"n{place}",)) for place in range(20_000)) + node(
        "n0", "Placeholder"
    )
    lattice = b"".join(node(f"n{place + 1}", "Merge", (f"n{place}",) * 2) for place in range(200)) + node(
        "n0", "Placeholder"
    )
    for before, name in ((ring, "p"), (chain, "n20000"), (lattice, "n200")):
        content = product(before=before) + node("z", "MatMul", (name, "w"))
        with pytest.raises(FixedsimError):
            tensorflow.read(written(tmp_path, content), Stated())


WEIGHTS = np.arange(3 * 8, dtype="<f4").reshape(3, 8)


def hand_written_cell() -> bytes:
    """A cell that splits its gates f, i, o, j, with a forget bias of 0.5 on the right one; ``h`` is its output."""
    parts = [
        node("x", "Placeholder"), node("h0", "Placeholder"), node("c0", "Placeholder"),
        constant("rnn/kernel", tensor(FLOAT, (3, 8), chunk(4, WEIGHTS.tobytes()))),
        constant("axis", tensor(INT32, (), chunk(7, varint(1)))),
        constant("half", tensor(FLOAT, (), chunk(5, struct.pack("<f", 0.5)))),
        node("xh", "ConcatV2", ("x", "h0", "axis")), node("y", "MatMul", ("xh", "rnn/kernel")),
        node("s", "Split", ("axis", "y"), attribute("num_split", number(3, 4))),
        node("fb", "Add", ("half", "s:0")), node("f", "Sigmoid", ("fb",)), node("i", "Sigmoid", ("s:1",)),
        node("o", "Sigmoid", ("s:2",)), node("j", "Tanh", ("s:3",)), node("fc", "Mul", ("c0", "f")),
        node("ij", "Mul", ("j", "i")), node("c", "AddV2", ("ij", "fc")), node("t", "Tanh", ("c",)),
        node("h", "Mul", ("o", "t")),
    ]  # fmt: skip
    return b"".join(parts)


def test_the_order_of_gates_follows_from_the_operations(tmp_path: Path) -> None:
    imported = tensorflow.read(written(tmp_path, hand_written_cell()), Stated())
    assert imported.gate_order == "fiog"
    assert imported.description.lstm_layers[0].forget_bias == 0.5
    columns = [2, 3, 0, 1, 6, 7, 4, 5]  # input, forget, candidate, output
    np.testing.assert_array_equal(imported.weights["rnn.input.weight"][:, 0], WEIGHTS[0, columns])


def integers(name: str, *values: int) -> bytes:
    return constant(name, tensor(INT32, (len(values),), chunk(7, b"".join(map(varint, values)))))


def last_of(value: str, axis: int) -> bytes:
    """A slice of the last place of axis 0 or 1 of three."""
    rest = number(3, 0b111 - (1 << axis))
    masks = (
        attribute("begin_mask", rest)
        + attribute("end_mask", rest)
        + attribute("shrink_axis_mask", number(3, 1 << axis))
    )
    begin = [-1 if place == axis else 0 for place in range(3)]
    bounds = integers("begin", *begin) + integers("end", 0, 0, 0) + integers("ones", 1, 1, 1)
    return bounds + node("slice", "StridedSlice", (value, "begin", "end", "ones"), masks)


def test_the_last_step_and_the_last_sequence(tmp_path: Path) -> None:
    """Outputs have time first until they are turned; a slice of the other axis is of sequences."""
    turned = integers("order", 1, 0, 2) + node("turned", "Transpose", ("h", "order"))
    for before, value, axis in ((b"", "h", 0), (turned, "turned", 1)):
        graph = hand_written_cell() + before + last_of(value, axis)
        (layer,) = tensorflow.read(written(tmp_path, graph), Stated()).description.lstm_layers
        assert layer.steps == "last"
        wrong = hand_written_cell() + before + last_of(value, 1 - axis)
        with pytest.raises(NetworkError, match="slice 'slice' must take the last step, not the last sequence"):
            tensorflow.read(written(tmp_path, wrong), Stated())
