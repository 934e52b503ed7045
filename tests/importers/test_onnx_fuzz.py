"""Damaged ONNX files and graphs: a network with finite weights, or an error of ours, within bounds."""

import random
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixedsim.importers.imported import Stated
from fixedsim.importers.onnx import read
from fixedsim.importers.onnx.graph import OPERATORS
from tests.importers.bounds import bounded, gives_network
from tests.importers.mutating import BOUNDARIES, mutated
from tests.importers.test_onnx_models import FOLDER, NAMES

onnx = pytest.importorskip("onnx")

SECONDS = 10.0  # of one small file, on a busy machine
BYTES = 64 << 20


def within_bounds(path: Path) -> bool:
    """Whether the file gave a network."""
    with bounded(SECONDS, BYTES):
        return gives_network(lambda: read(path, Stated()))


def changed_graph(content: bytes, seed: int) -> bytes:
    """A model after 1 to 4 changes of its operators, attributes, names, shapes and tensors."""
    model, chooser = onnx.load_from_string(content), random.Random(seed)
    for _ in range(chooser.randint(1, 4)):
        chooser.choice(CHANGES)(model.graph, chooser)
    return bytes(model.SerializeToString())


def names_of(graph: Any) -> list[str]:
    made = [name for node in graph.node for name in node.output]
    return ["", *made, *(tensor.name for tensor in graph.initializer), *(value.name for value in graph.input)]


def another_operand(graph: Any, chooser: random.Random) -> None:
    node = chooser.choice(graph.node)
    if node.input:
        node.input[chooser.randrange(len(node.input))] = chooser.choice(names_of(graph))


def another_operator(graph: Any, chooser: random.Random) -> None:
    chooser.choice(graph.node).op_type = chooser.choice([*OPERATORS, "If", "Softplus", "QLinearMatMul"])


def without_operator(graph: Any, chooser: random.Random) -> None:
    if len(graph.node) > 1:
        del graph.node[chooser.randrange(len(graph.node))]


def another_attribute(graph: Any, chooser: random.Random) -> None:
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    if not attributes:
        return
    attribute = chooser.choice(attributes)
    value = chooser.choice(BOUNDARIES[:12])
    match chooser.randrange(4):
        case 0:
            attribute.i = chooser.choice((-1, 0, 1, 2, 3, value))
        case 1 if attribute.ints:
            attribute.ints[chooser.randrange(len(attribute.ints))] = chooser.choice((-1, 0, 1, 2, value))
        case 2:
            attribute.type = chooser.randrange(15)
        case _:
            attribute.f, attribute.s = float(value), chooser.randbytes(4)


def another_shape(graph: Any, chooser: random.Random) -> None:
    dimensions = [dimension for value in graph.input for dimension in value.type.tensor_type.shape.dim]
    if dimensions:
        chooser.choice(dimensions).dim_value = chooser.choice((0, 1, 2, 3, 4, 5, -1, 2**40))


def another_tensor(graph: Any, chooser: random.Random) -> None:
    if not graph.initializer:
        return
    tensor = chooser.choice(graph.initializer)
    match chooser.randrange(4):
        case 0 if tensor.dims:
            tensor.dims[chooser.randrange(len(tensor.dims))] = chooser.choice((0, 1, 2, 4, -1, 2**62))
        case 1:
            tensor.data_type = chooser.randrange(24)
        case 2 if tensor.raw_data:
            tensor.raw_data = mutated(tensor.raw_data, chooser.randrange(1 << 30))
        case _:
            dims = list(tensor.dims)
            chooser.shuffle(dims)
            del tensor.dims[:]
            tensor.dims.extend(dims)


def another_output(graph: Any, chooser: random.Random) -> None:
    chooser.choice(graph.output).name = chooser.choice(names_of(graph))


CHANGES: tuple[Callable[[Any, random.Random], None], ...] = (
    another_operand,
    another_operator,
    without_operator,
    another_attribute,
    another_shape,
    another_tensor,
    another_output,
)


def fuzz(folder: Path, seed: int, count: int) -> None:
    """Half of the files with bytes changed, half with changed graphs."""
    shutil.copy(FOLDER / "torch_newer.onnx.data", folder)
    contents = [(FOLDER / f"{name}.onnx").read_bytes() for name in NAMES]
    path, networks = folder / "model.onnx", [0, 0]
    tracemalloc.start()
    try:
        for number in range(count):
            content, change = contents[number // 2 % len(contents)], (mutated, changed_graph)[number % 2]
            path.write_bytes(change(content, seed + number))
            networks[number % 2] += within_bounds(path)
    finally:
        tracemalloc.stop()
    assert all(count / 50 < found < count / 2 for found in networks), networks


def test_damaged_files(tmp_path: Path) -> None:
    fuzz(tmp_path, 7, 120)


@pytest.mark.slow
def test_many_damaged_files(tmp_path: Path) -> None:
    fuzz(tmp_path, 1_000, 10_000)
