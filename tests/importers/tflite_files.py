"""Small TensorFlow Lite files of random content, written with the generated code of the package ``tflite``.

:class:`FileBuilder` writes what it is told, whether or not it makes sense; the functions below it add operators that
LiteRT runs. Each takes the index of its input and returns that of its output.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

Generator = np.random.Generator
GATES = ("i", "f", "c", "o")
DTYPES = {
    "INT4": np.int8, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "UINT8": np.uint8, "FLOAT32": np.float32, "BOOL": np.bool_,
}  # fmt: skip


@dataclass
class PlannedTensor:
    """A tensor as it is to stand in the file; ``type`` may be a number that no schema knows."""

    name: str
    shape: tuple[int, ...]
    type: str | int
    scale: Sequence[float] = ()
    zero_point: Sequence[int] = ()
    axis: int = 0
    data: NDArray[Any] | bytes | None = None
    variable: bool = False
    buffer: int | None = None  # instead of the tensor's own
    outside: int = 0  # where the buffer stands behind the tables
    sparse: bool = False
    details: int = 0  # kind of another quantization
    variants: int = 0


@dataclass
class PlannedOperator:
    """An operator as it is to stand in the file; ``table`` names its options, and is found by ``kind`` if empty."""

    kind: str | int
    inputs: Sequence[int]
    outputs: Sequence[int]
    intermediates: Sequence[int] = ()
    options: Mapping[str, Any] | None = None
    version: int = 1
    table: str = ""
    custom: str | None = None
    code: int | None = None  # an index instead of that of the operator's own code
    second_options: int = 0


@dataclass
class FileBuilder:
    """Tensors and operators, and the bytes of the file that has them."""

    schema_version: int = 3
    identifier: bytes = b"TFL3"
    subgraphs: int = 1
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    tensors: list[PlannedTensor] = field(default_factory=list)
    operators: list[PlannedOperator] = field(default_factory=list)

    def tensor(self, name: str, shape: Sequence[int], type_name: str | int, **more: Any) -> int:
        """Add a tensor (see :class:`PlannedTensor`) and return its index."""
        self.tensors.append(PlannedTensor(name, tuple(shape), type_name, **more))
        return len(self.tensors) - 1

    def constant(self, name: str, values: NDArray[Any], type_name: str, **more: Any) -> int:
        """Add a constant tensor of the shape of ``values``."""
        return self.tensor(name, values.shape, type_name, data=values, **more)

    def like(self, index: int, name: str, shape: Sequence[int]) -> int:
        """Add a tensor with the type and quantization of another."""
        one = self.tensors[index]
        return self.tensor(name, shape, one.type, scale=one.scale, zero_point=one.zero_point)

    def operator(self, kind: str | int, inputs: Sequence[int], outputs: Sequence[int], **more: Any) -> None:
        """Add an operator (see :class:`PlannedOperator`)."""
        self.operators.append(PlannedOperator(kind, inputs, outputs, **more))

    def content(self) -> bytes:
        """The file."""
        out = flatbuffers.Builder(1024)
        buffers = [_buffer(out, None, 0), *(_buffer(out, _packed(one), one.outside) for one in self.tensors)]
        codes = [_code(out, one) for one in self.operators]
        subgraphs = [_subgraph(out, self) for _ in range(self.subgraphs)]
        fields = {
            "Version": self.schema_version,
            "OperatorCodes": _offsets(out, codes),
            "Subgraphs": _offsets(out, subgraphs),
            "Buffers": _offsets(out, buffers),
        }
        out.Finish(_table(out, "Model", fields), self.identifier)
        return bytes(out.Output())


def _table(out: Any, name: str, fields: Mapping[str, Any]) -> int:
    module = importlib.import_module(f"tflite.{name}")
    module.Start(out)
    for key, value in fields.items():
        if value is not None:
            getattr(module, f"Add{key}")(out, value)
    end: int = getattr(module, f"{name}End")(out)
    return end


def _offsets(out: Any, entries: Sequence[int]) -> int:
    out.StartVector(4, len(entries), 4)
    for entry in reversed(entries):
        out.PrependUOffsetTRelative(entry)
    end: int = out.EndVector()
    return end


def _vector(out: Any, values: Sequence[float], dtype: type[np.generic]) -> int | None:
    return out.CreateNumpyVector(np.array(values, dtype)) if len(values) else None


def _packed(tensor: PlannedTensor) -> bytes | None:
    if tensor.data is None or isinstance(tensor.data, bytes):
        return tensor.data
    if tensor.type != "INT4":
        return tensor.data.astype(DTYPES[str(tensor.type)]).tobytes()
    codes = [int(code) & 15 for code in tensor.data.reshape(-1)] + [0]
    return bytes(low | high << 4 for low, high in zip(codes[:-1:2], codes[1::2], strict=True))


def _buffer(out: Any, data: bytes | None, outside: int) -> int:
    where = {"Offset": outside, "Size": outside} if outside else {}
    if data is None:
        return _table(out, "Buffer", where)
    out.StartVector(1, len(data), 16)  # kernels want constants aligned
    out.head = out.Head() - len(data)
    out.Bytes[out.Head() : out.Head() + len(data)] = data
    return _table(out, "Buffer", {"Data": out.EndVector(), **where})


def _code(out: Any, operator: PlannedOperator) -> int:
    number = getattr(tflite.BuiltinOperator, operator.kind) if isinstance(operator.kind, str) else operator.kind
    fields = {
        "DeprecatedBuiltinCode": min(number, 127),
        "CustomCode": None if operator.custom is None else out.CreateString(operator.custom),
        "Version": operator.version,
        "BuiltinCode": number,
    }
    return _table(out, "OperatorCode", fields)


def _subgraph(out: Any, plan: FileBuilder) -> int:
    tensors = [_tensor(out, index, one) for index, one in enumerate(plan.tensors)]
    operators = [_operator(out, index, one) for index, one in enumerate(plan.operators)]
    fields = {
        "Tensors": _offsets(out, tensors),
        "Inputs": _vector(out, plan.inputs, np.int32),
        "Outputs": _vector(out, plan.outputs, np.int32),
        "Operators": _offsets(out, operators),
    }
    return _table(out, "SubGraph", fields)


def _tensor(out: Any, index: int, tensor: PlannedTensor) -> int:
    type_number = getattr(tflite.TensorType, tensor.type) if isinstance(tensor.type, str) else tensor.type
    own = index + 1 if tensor.data is not None or tensor.outside else 0
    fields = {
        "Shape": _vector(out, tensor.shape, np.int32),
        "Type": type_number,
        "Buffer": own if tensor.buffer is None else tensor.buffer,
        "Name": out.CreateString(tensor.name),
        "Quantization": _quantization(out, tensor),
        "IsVariable": tensor.variable,
        "Sparsity": _table(out, "SparsityParameters", {}) if tensor.sparse else None,
        "VariantTensors": _offsets(out, [_table(out, "VariantSubType", {})] * tensor.variants)
        if tensor.variants
        else None,
        "HasRank": True,
    }
    return _table(out, "Tensor", fields)


def _quantization(out: Any, tensor: PlannedTensor) -> int | None:
    if not len(tensor.scale) and not tensor.details:
        return None
    fields = {
        "Scale": _vector(out, tensor.scale, np.float32),
        "ZeroPoint": _vector(out, tensor.zero_point, np.int64),
        "DetailsType": tensor.details,
        "Details": _table(out, "CustomQuantization", {}) if tensor.details else None,
        "QuantizedDimension": tensor.axis,
    }
    return _table(out, "QuantizationParameters", fields)


def _operator(out: Any, index: int, operator: PlannedOperator) -> int:
    fields = {
        "OpcodeIndex": index if operator.code is None else operator.code,
        "Inputs": _vector(out, operator.inputs, np.int32),
        "Outputs": _vector(out, operator.outputs, np.int32),
        "Intermediates": _vector(out, operator.intermediates, np.int32),
        "BuiltinOptions2Type": operator.second_options,
    }
    if operator.options is not None:
        table = operator.table or _options_table(str(operator.kind))
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, table)
        fields["BuiltinOptions"] = _options(out, table, operator.options)
    return _table(out, "Operator", fields)


def _options_table(kind: str) -> str:
    squeezed = kind.replace("_", "").lower()
    names: list[str] = [name for name in vars(tflite.BuiltinOptions) if name.endswith("Options")]
    return next(name for name in names if name.removesuffix("Options").lower() == squeezed)


def _options(out: Any, table: str, options: Mapping[str, Any]) -> int:
    fields = {}
    for name, value in options.items():
        if name == "fusedActivationFunction" and isinstance(value, str):
            value = getattr(tflite.ActivationFunctionType, value)
        fields[name[0].upper() + name[1:]] = _vector(out, value, np.int32) if isinstance(value, tuple) else value
    return _table(out, table, fields)
