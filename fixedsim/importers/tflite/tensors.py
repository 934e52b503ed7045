"""Tensors of a TensorFlow Lite file: shape, type, quantization and constants, checked against each other."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim.importers.tflite import checked
from fixedsim.importers.tflite.graph import Tensor

MAX_AXES = 8
MAX_ELEMENTS = 1 << 28  # of one tensor, so of the state and the activations that a run would make
_DTYPES = {
    "INT4": "i1", "INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8",
    "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8",
    "FLOAT16": "f2", "FLOAT32": "f4", "FLOAT64": "f8", "BOOL": "u1",
}  # fmt: skip


class Constants:
    """The buffers of a file as arrays, each decoded once for a type and a shape."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._count = model.BuffersLength()
        self._decoded: dict[tuple[int, str, tuple[int, ...]], NDArray[Any] | None] = {}

    def array(self, subject: str, buffer: int, type_name: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
        """The content of a buffer, read-only and of ``shape``; None for one without content.

        Raises:
            FileError: there is no such buffer, it lies outside the file's tables, or it is of another size.
        """
        if not 0 <= buffer < self._count:
            raise FileError(f"{subject}: buffer must be in 0..{self._count - 1}, not {buffer}")
        key = (buffer, type_name, shape)
        if key not in self._decoded:
            self._decoded[key] = self._decode(subject, buffer, type_name, shape)
        return self._decoded[key]

    def _decode(self, subject: str, buffer: int, type_name: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
        table = checked.nested(self._model, self._model.Buffers(buffer))
        if table.Offset() > 1 or table.Size() > 1:
            raise FileError(f"{subject}: buffer {buffer} must stand in the file's tables, not behind them")
        checked.refuse_newer(f"{subject}: buffer {buffer}", table)
        if table.DataIsNone() or table.DataLength() == 0:
            return None
        data, count = table.DataAsNumpy(), math.prod(shape)
        wanted = (count + 1) // 2 if type_name == "INT4" else count * np.dtype(_DTYPES[type_name]).itemsize
        if data.size != wanted:
            raise FileError(f"{subject}: buffer {buffer} must have {wanted} bytes for {shape}, not {data.size}")
        self._model._tab.source.take_bytes(2 * wanted if type_name == "INT4" else wanted)
        values = _values(data, type_name, count).reshape(shape)
        values.setflags(write=False)
        return values


def _values(data: NDArray[np.uint8], type_name: str, count: int) -> NDArray[Any]:
    """The numbers in ``data``, copied, so that they are aligned and in the machine's byte order."""
    if type_name == "INT4":
        return _nibbles(data)[:count]
    if type_name == "BOOL":
        return np.not_equal(data, 0)
    little = np.dtype(_DTYPES[type_name]).newbyteorder("<")
    return np.frombuffer(data.tobytes(), little).astype(little.newbyteorder("="))


def _nibbles(data: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Two signed numbers to a byte, the low nibble first."""
    pairs = np.empty((data.size, 2), np.int8)
    signed = data.view(np.int8)
    pairs[:, 0] = signed << 4 >> 4
    pairs[:, 1] = signed >> 4
    return pairs.reshape(-1)


def read_tensor(index: int, table: Any, constants: Constants) -> Tensor:
    """Tensor ``index`` of the graph.

    Raises:
        FileError: the type is unknown, or shape, quantization and content do not fit each other.
    """
    name = checked.text(table.Name())
    subject = f"tensor {index} ({name[:60]!r})"
    type_name, shape = _type_name(subject, table.Type()), _shape(subject, checked.numbers(table, "Shape"))
    _refuse_unknown(subject, table)
    variable, data = table.IsVariable(), constants.array(subject, table.Buffer(), type_name, shape)
    if variable and data is not None:
        raise FileError(f"{subject} must be variable or have content, not both")
    scale, zero_point, axis = _quantization(subject, table, type_name, shape)
    return Tensor(index, name, shape, type_name, variable, data, scale, zero_point, axis)


def _type_name(subject: str, value: int) -> str:
    name = checked.names("TensorType").get(value, str(value))
    if name not in _DTYPES:
        raise FileError(f"{subject}: type must be one of {', '.join(_DTYPES)}, not {name}")
    return name


def _shape(subject: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) > MAX_AXES:
        raise FileError(f"{subject} must have at most {MAX_AXES} axes, not {len(shape)}")
    if any(size < 0 for size in shape):
        raise FileError(f"{subject}: sizes of axes must be at least 0, not {shape}")
    if math.prod(shape) > MAX_ELEMENTS:
        raise FileError(f"{subject} must have at most {MAX_ELEMENTS} elements, not {math.prod(shape)}")
    return shape


def _refuse_unknown(subject: str, table: Any) -> None:
    if table.Sparsity() is not None:
        raise FileError(f"{subject} must be dense, not sparse")
    if table.VariantTensorsLength():
        raise FileError(f"{subject} must be of one type, not a variant")
    checked.refuse_newer(subject, table)


def _quantization(
    subject: str, tensor: Any, type_name: str, shape: tuple[int, ...]
) -> tuple[tuple[float, ...], tuple[int, ...], int | None]:
    """Scales, zero points and axis; none of them where there is no scale."""
    table = checked.nested(tensor, tensor.Quantization())
    if table is None:
        return (), (), None
    if table.DetailsType():
        raise FileError(f"{subject}: quantization must be by scale and zero point, not of kind {table.DetailsType()}")
    scale, zero_point = checked.numbers(table, "Scale"), checked.numbers(table, "ZeroPoint")
    axis = table.QuantizedDimension()
    checked.refuse_newer(f"{subject}: quantization", table)
    if not scale:
        return (), (), None
    _check_scale(subject, scale, zero_point, type_name)
    if len(scale) == 1:
        return scale, zero_point, None
    if not 0 <= axis < len(shape):
        raise FileError(f"{subject}: axis of quantization must be in 0..{len(shape) - 1}, not {axis}")
    if len(scale) != shape[axis]:
        raise FileError(f"{subject} must have {shape[axis]} scales, one to a slice of axis {axis}, not {len(scale)}")
    return scale, zero_point, axis


def _check_scale(subject: str, scale: tuple[float, ...], zero_point: tuple[int, ...], type_name: str) -> None:
    for value in scale:
        if not 0 < value < math.inf:
            raise FileError(f"{subject}: scale must be finite and above 0, not {value}")
    if len(zero_point) != len(scale):
        raise FileError(f"{subject} must have {len(scale)} zero points, one to a scale, not {len(zero_point)}")
    low, high = _range(type_name)
    for value in zero_point:
        if not low <= value <= high:
            raise FileError(f"{subject}: zero point must be in {low}..{high} for {type_name}, not {value}")


def _range(type_name: str) -> tuple[int, int]:
    """The codes of a type; of a type that is no integer, zero alone."""
    if type_name == "INT4":
        return -8, 7
    if not type_name.startswith(("INT", "UINT")):
        return 0, 0
    limits = np.iinfo(np.dtype(_DTYPES[type_name]))
    return int(limits.min), int(limits.max)
