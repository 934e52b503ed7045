"""What a TensorFlow Lite file may not hold: each refused with a message that names it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import DependencyError, FileError
from fixedsim.importers.tflite import checked, read_tflite
from fixedsim.importers.tflite import file as reader
from fixedsim.importers.tflite import options as options_module
from tests.importers.test_tflite_file import read, small
from tests.importers.tflite_files import FileBuilder


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
