"""TensorFlow Lite files: equal to their recorded descriptions, and every damage or oddity refused by name."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.importers.tflite import Graph, checked, read_tflite
from fixedsim.importers.tflite import options as options_module
from tests.importers import tflite_files
from tests.importers.tflite_files import FileBuilder
from tests.importers.tflite_layers import LstmPlan, add_fully_connected, add_input, lstm, run_litert

COPIED = Path(__file__).parents[1] / "data" / "oracle" / "tflite"
NEWER_THAN_THE_SCHEMA = {"quantSpec"}


def read(tmp_path: Path, content: bytes) -> Graph:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return read_tflite(path)


def small() -> FileBuilder:
    """One FULLY_CONNECTED: tensors x, w, b and y."""
    file, rng = FileBuilder(), np.random.default_rng(3)
    file.outputs = (add_fully_connected(file, rng, add_input(file, rng, (2, 4)), 3, per_channel=True),)
    return file


def check_twin(model: Path, description: Path) -> dict[str, Any]:
    """Compare tensors and operators with the recorded description, and return it."""
    twin: dict[str, Any] = json.loads(description.read_text())
    assert hashlib.sha256(model.read_bytes()).hexdigest() == twin["tflite_sha256"]
    graph = read_tflite(model)
    assert (graph.inputs, graph.outputs) == ((twin["input_tensor"],), (twin["output_tensor"],))
    assert len(graph.tensors) == len(twin["tensors"])
    for tensor, wanted in zip(graph.tensors, twin["tensors"], strict=True):
        scale = tuple(float.fromhex(text) for text in wanted.get("scale_hex", []))
        assert (tensor.index, tensor.name, tensor.type) == (wanted["index"], wanted["name"], wanted["type"])
        assert (list(tensor.shape), tensor.variable) == (wanted["shape"], wanted["is_variable"])
        assert (tensor.scale, list(tensor.zero_point)) == (scale, wanted.get("zero_point", []))
        assert tensor.axis == (wanted["quantized_dimension"] if len(scale) > 1 else None)
        assert (tensor.data is not None) == (wanted["npz_key"] is not None)
    assert len(graph.operators) == len(twin["ops"])
    for operator, wanted in zip(graph.operators, twin["ops"], strict=True):
        options = {name: value for name, value in wanted["options"].items() if name not in NEWER_THAN_THE_SCHEMA}
        assert (operator.kind, operator.version, operator.options) == (wanted["op"], wanted["version"], options)
        for field in ("inputs", "outputs", "intermediates"):
            assert list(getattr(operator, field)) == wanted[field]
    return twin


@pytest.mark.parametrize("name", sorted(path.stem for path in COPIED.glob("*.tflite")))
def test_a_copied_model_is_as_recorded(name: str) -> None:
    check_twin(COPIED / f"{name}.tflite", COPIED / f"{name}.json")


def test_three_models_are_copied() -> None:
    assert len(list(COPIED.glob("*.tflite"))) == 3


def test_all_recorded_models_are_as_recorded(shared: Path) -> None:
    folder = shared / "oracle" / "litert"
    models = sorted((folder / "tflite").glob("*.tflite"))
    assert models
    for model in models:
        twin = check_twin(model, folder / f"{model.stem}.json")
        with np.load(folder / f"{model.stem}.npz") as arrays:
            constants = [(t["index"], arrays[t["npz_key"]]) for t in twin["tensors"] if t["npz_key"]]
        tensors = read_tflite(model).tensors
        for index, values in constants:
            data = tensors[index].data
            assert data is not None
            assert data.dtype == values.dtype
            np.testing.assert_array_equal(data, values, strict=True)


def test_what_was_built_is_read(tmp_path: Path) -> None:
    file = FileBuilder(inputs=(0,), outputs=(2,))
    x = file.tensor("x", (1, 5), "INT8", scale=[0.5], zero_point=[-128])
    w = file.constant("w", np.array([[-8, 7, 1], [0, -1, 5]]), "INT4", scale=[0.25, 2.0], zero_point=[0, 0])
    y = file.tensor("y", (), "FLOAT32")
    state = file.tensor("state", (1, 1 << 28), "INT16", variable=True, scale=[2.0**-11], zero_point=[0])
    file.operator("RESHAPE", (x, -1), (y,), options={"newShape": (5, 1)}, version=7)
    file.operator("CUSTOM", (y,), (y,), intermediates=(w,), custom="Strange")
    graph = read(tmp_path, file.content())
    assert [tensor.shape for tensor in graph.tensors] == [(1, 5), (2, 3), (), (1, 1 << 28)]
    weights, cell = graph.tensors[w], graph.tensors[state]
    assert weights.data is not None
    assert weights.data.tolist() == [[-8, 7, 1], [0, -1, 5]]
    assert weights.data.dtype == np.int8
    assert not weights.data.flags.writeable
    assert (weights.scale, weights.zero_point, weights.axis) == ((0.25, 2.0), (0, 0), 0)
    assert (cell.variable, cell.data, cell.axis) == (True, None, None)
    reshape, custom = graph.operators
    assert (reshape.kind, reshape.version, reshape.inputs) == ("RESHAPE", 7, (0, -1))
    assert reshape.options == {"newShape": (5, 1)}
    assert (custom.kind, custom.intermediates, custom.options) == ("CUSTOM:Strange", (1,), {})


def test_low_nibbles_come_first(tmp_path: Path) -> None:
    file = FileBuilder()
    file.tensor("w", (3,), "INT4", data=bytes([0x8F, 0x07]))
    data = read(tmp_path, file.content()).tensors[0].data
    assert data is not None
    assert data.tolist() == [-1, -8, 7]


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("INT8", [-128, 127]),
        ("INT16", [-32768, 32767]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("UINT8", [0, 255]),
        ("FLOAT32", [0.5, -3.0]),
        ("BOOL", [True, False]),
    ],
)
def test_constants_have_the_dtype_of_their_type(tmp_path: Path, type_name: str, values: list[Any]) -> None:
    file, dtype = FileBuilder(), tflite_files.DTYPES[type_name]
    file.constant("c", np.array(values, dtype), type_name)
    data = read(tmp_path, file.content()).tensors[0].data
    assert data is not None
    assert data.dtype == np.dtype(dtype)
    assert data.flags.aligned
    assert data.tolist() == values


def test_a_shared_buffer_is_decoded_once(tmp_path: Path) -> None:
    file = FileBuilder()
    file.constant("one", np.arange(4), "INT8")
    file.tensor("two", (4,), "INT8", buffer=1)
    one, two = read(tmp_path, file.content()).tensors
    assert one.data is two.data


def test_absent_options_are_at_their_defaults(tmp_path: Path) -> None:
    file = small()
    file.operators[0].options = None
    options = read(tmp_path, file.content()).operators[0].options
    assert options["fusedActivationFunction"] == "NONE"
    assert options["keepNumDims"] is False
    file.operators[0].kind = "TANH"  # has no table of options
    assert read(tmp_path, file.content()).operators[0].options == {}


def test_options_of_every_known_table_can_be_read() -> None:
    tables = [name for name in checked.names("BuiltinOptions").values() if name != "NONE"]
    values = {name: options_module._values(name, checked.defaults(name)) for name in tables}
    assert len(values) > 100
    assert values["StridedSliceOptions"] == {
        "beginMask": 0, "endMask": 0, "ellipsisMask": 0, "newAxisMask": 0, "shrinkAxisMask": 0, "offset": False,
    }  # fmt: skip
    assert values["ReshapeOptions"] == {"newShape": None}
    kinds = (bool, int, float, str, tuple, type(None))
    assert all(isinstance(value, kinds) for table in values.values() for value in table.values())


@pytest.mark.oracles
@pytest.mark.parametrize(
    "plan",
    [
        LstmPlan(5),
        LstmPlan(5, coupled=True, peephole=True, projection=3, layer_norm=True, cell_power=-11),
        LstmPlan(5, projection=4, projection_bias=False, projection_clip=0.5, time_major=True),
        LstmPlan(5, own_state_scale=True, cell_clip=0.0, peephole=True),
    ],
)
def test_built_models_run_in_litert(tmp_path: Path, plan: LstmPlan) -> None:
    pytest.importorskip("ai_edge_litert")
    rng = np.random.default_rng(11)
    content = lstm(rng, (2, 6, 7), plan)
    graph = read(tmp_path, content)
    states = tuple(tensor.index for tensor in graph.tensors if tensor.variable)
    x = rng.integers(-128, 128, (2, 6, 7)).astype(np.int8)
    run = run_litert(content, x, variables=states)
    assert run.outputs[0].shape == graph.tensors[graph.outputs[0]].shape
    assert run.outputs[0].std() > 5
    assert run.states[states[0]].shape == graph.tensors[states[0]].shape
