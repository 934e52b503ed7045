"""TensorFlow Lite files: equal to their recorded descriptions, and every damage or oddity refused by name."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import DependencyError, FileError
from fixedsim.importers.tflite import Graph, checked, read_tflite
from fixedsim.importers.tflite import file as reader
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
    assert (weights.data.dtype, weights.data.flags.writeable) == (np.int8, False)
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
    assert (data.dtype, data.tolist(), data.flags.aligned) == (np.dtype(dtype), values, True)


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


def tensor_change(index: int, **change: Any) -> Any:
    def apply(file: FileBuilder) -> None:
        for name, value in change.items():
            setattr(file.tensors[index], name, value)

    return apply


def operator_change(**change: Any) -> Any:
    def apply(file: FileBuilder) -> None:
        for name, value in change.items():
            setattr(file.operators[0], name, value)

    return apply


def file_change(**change: Any) -> Any:
    def apply(file: FileBuilder) -> None:
        for name, value in change.items():
            setattr(file, name, value)

    return apply


X, W, B = 0, 1, 2
REFUSALS = [
    (file_change(identifier=b"ABCD"), r"must be a TensorFlow Lite file with b'TFL3' at byte 4, not b'ABCD'"),
    (file_change(schema_version=2), "version of the schema must be 3, not 2"),
    (file_change(subgraphs=2), "subgraphs must be 1, not 2; convert the model without control flow"),
    (file_change(subgraphs=0), "subgraphs must be 1, not 0"),
    (file_change(inputs=(4,)), r"inputs of the graph must be in 0\.\.3, not 4"),
    (file_change(outputs=(-1,)), r"outputs of the graph must be in 0\.\.3, not -1"),
    (tensor_change(X, type="STRING"), r"tensor 0 \('x'\): type must be one of .*, not STRING"),
    (tensor_change(X, type="BFLOAT16"), r"tensor 0 \('x'\): type must be one of .*, not BFLOAT16"),
    (tensor_change(X, type=99), r"type must be one of INT4, INT8, .*, not 99"),
    (tensor_change(X, shape=(1,) * 9), r"tensor 0 \('x'\) must have at most 8 axes, not 9"),
    (tensor_change(X, shape=(2, -4)), r"sizes of axes must be at least 0, not \(2, -4\)"),
    (tensor_change(X, shape=(1 << 14, 1 << 15)), "must have at most 268435456 elements, not 536870912"),
    (tensor_change(X, shape=(0x7FFFFFFF,) * 8), "must have at most 268435456 elements, not"),
    (tensor_change(X, sparse=True), r"tensor 0 \('x'\) must be dense, not sparse"),
    (tensor_change(X, variants=1), "must be of one type, not a variant"),
    (tensor_change(X, details=1), "quantization must be by scale and zero point, not of kind 1"),
    (tensor_change(X, buffer=77), r"buffer must be in 0\.\.4, not 77"),
    (tensor_change(W, outside=4096), "buffer 2 must stand in the file's tables, not behind them"),
    (tensor_change(W, shape=(3, 5)), r"tensor 1 \('w'\): buffer 2 must have 15 bytes for \(3, 5\), not 12"),
    (tensor_change(W, type="INT16", data=bytes(23)), r"buffer 2 must have 24 bytes for \(3, 4\), not 23"),
    (tensor_change(W, type="INT4", data=bytes(7)), r"buffer 2 must have 6 bytes for \(3, 4\), not 7"),
    (tensor_change(W, variable=True), r"tensor 1 \('w'\) must be variable or have content, not both"),
    (tensor_change(X, scale=[0.0]), r"tensor 0 \('x'\): scale must be finite and above 0, not 0.0"),
    (tensor_change(X, scale=[-1.0]), "scale must be finite and above 0, not -1.0"),
    (tensor_change(X, scale=[np.inf]), "scale must be finite and above 0, not inf"),
    (tensor_change(X, scale=[np.nan]), "scale must be finite and above 0, not nan"),
    (tensor_change(X, zero_point=[0, 0]), "must have 1 zero points, one to a scale, not 2"),
    (tensor_change(X, zero_point=[]), "must have 1 zero points, one to a scale, not 0"),
    (tensor_change(X, zero_point=[128]), r"zero point must be in -128\.\.127 for INT8, not 128"),
    (tensor_change(W, type="INT4", data=bytes(6), zero_point=[0, 8, 0]), r"must be in -8\.\.7 for INT4, not 8"),
    (tensor_change(X, type="FLOAT32", zero_point=[1]), r"must be in 0\.\.0 for FLOAT32, not 1"),
    (tensor_change(W, axis=2), r"tensor 1 \('w'\): axis of quantization must be in 0\.\.1, not 2"),
    (tensor_change(W, axis=-1), r"axis of quantization must be in 0\.\.1, not -1"),
    (tensor_change(W, axis=1), r"must have 4 scales, one to a slice of axis 1, not 3"),
    (operator_change(kind=9999, options=None), "operator 0 must be one that the schema knows, not number 9999"),
    (operator_change(code=1), r"operator 0: code must be in 0\.\.0, not 1"),
    (operator_change(inputs=(0, 1, 4)), r"operator 0 \(FULLY_CONNECTED\): inputs must be in -1\.\.3, not 4"),
    (operator_change(inputs=(0, -2)), r"inputs must be in -1\.\.3, not -2"),
    (operator_change(outputs=(-1,)), r"outputs must be in 0\.\.3, not -1"),
    (operator_change(intermediates=(9,)), r"intermediates must be in 0\.\.3, not 9"),
    (operator_change(second_options=1), "must have its options in the first table, not in the second"),
    (operator_change(table="SubOptions", options={}), "must have options FullyConnectedOptions, not SubOptions"),
    (
        operator_change(options={"fusedActivationFunction": 77}),
        "option fusedActivationFunction must be one of NONE, RELU, .*, not number 77",
    ),
    (
        operator_change(kind="UNIDIRECTIONAL_SEQUENCE_LSTM", options={"cellClip": np.inf}),
        r"operator 0 \(UNIDIRECTIONAL_SEQUENCE_LSTM\): option cellClip must be finite, not inf",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSALS)
def test_what_is_not_understood_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    file = small()
    read(tmp_path, file.content())
    change(file)
    with pytest.raises(FileError, match=rf"model\.tflite:? .*{message}"):
        read(tmp_path, file.content())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no\.tflite must be a readable file, not 'no such file or directory'"):
        read_tflite(tmp_path / "no.tflite")


def test_a_large_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 100)
    with pytest.raises(FileError, match=r"must have at most 100 bytes, not \d+"):
        read(tmp_path, small().content())


@pytest.mark.parametrize("size", [0, 4, 7])
def test_a_file_without_identifier_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(FileError, match="must be a TensorFlow Lite file with b'TFL3' at byte 4, not b'"):
        read(tmp_path, small().content()[:size])


def test_an_option_of_a_newer_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = small()
    file.operators[0].options = {"quantizedBiasType": 2}
    content = file.content()
    assert read(tmp_path, content).operators[0].options["quantizedBiasType"] == 2
    monkeypatch.delattr(checked.schema("FullyConnectedOptions"), "QuantizedBiasType")
    options_module._fields.cache_clear()
    try:
        with pytest.raises(FileError, match="options must have the known fields alone, not field 4 of a newer schema"):
            read(tmp_path, content)
    finally:
        options_module._fields.cache_clear()


def test_a_tensor_of_a_newer_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["tflite.Tensor"]
    monkeypatch.setattr(module, "Start", lambda out: out.StartObject(11))
    monkeypatch.setattr(module, "AddHasRank", lambda out, _: out.PrependInt32Slot(10, 7, 0))
    content = small().content()
    with pytest.raises(FileError, match=r"tensor 0 \('x'\) must have the known fields alone, not field 10 of a newer"):
        read(tmp_path, content)


@pytest.fixture
def without_tflite(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "tflite.Model", None)
    checked.schema.cache_clear()
    yield
    checked.schema.cache_clear()


@pytest.mark.usefixtures("without_tflite")
def test_the_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match=r"tflite must be installed .*; pip install 'fixedsim\[tflite\]'"):
        read_tflite(tmp_path / "model.tflite")


def test_an_error_of_the_accessors_is_the_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise IndexError("beyond")

    monkeypatch.setattr(reader, "read_tensor", fail)
    with pytest.raises(FileError, match=r"model\.tflite must be an undamaged TensorFlow Lite file, not one with 'beyo"):
        read(tmp_path, small().content())


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
