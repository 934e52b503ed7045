"""Operands of operators: tensors as formats, constants, weight matrices and biases."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fixedsim.assembly import RawBias, RawMatrix
from fixedsim.errors import FileError
from fixedsim.formats import Format
from fixedsim.importers.tflite.graph import Graph, Operator, Tensor
from fixedsim.profiles.profile import Profile

_BITS = {"INT4": 4, "INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
_BIAS_BITS = 63  # of a 64-bit bias: one bit is kept for the sum with it


@dataclass(frozen=True, eq=False)
class Source:
    """What layers are made from: the graph and the executor's profile."""

    graph: Graph
    profile: Profile

    def operand(self, operator: Operator, position: int) -> Tensor | None:
        """The tensor at a position of the inputs; None where it is absent."""
        index = operator.inputs[position] if position < len(operator.inputs) else -1
        return None if index < 0 else self.graph.tensors[index]

    def needed(self, operator: Operator, position: int, what: str) -> Tensor:
        """The tensor at a position of the inputs.

        Raises:
            FileError: it is absent.
        """
        tensor = self.operand(operator, position)
        if tensor is None:
            raise FileError(f"{what} of {operator.kind} must be given, not absent")
        return tensor


def tensor_format(tensor: Tensor, what: str) -> Format:
    """The format of a tensor's raws, with its one scale and zero point.

    Raises:
        FileError: not integers of 4 to 64 bits, or several scales.
    """
    bits = integer_bits(tensor, what)
    if len(tensor.scale) > 1:
        raise FileError(f"{what} must have one scale, not {len(tensor.scale)}")
    scale = Fraction(tensor.scale[0]) if tensor.scale else Fraction(1)
    return Format.affine(bits, scale, tensor.zero_point[0] if tensor.zero_point else 0)


def integer_bits(tensor: Tensor, what: str) -> int:
    """The width of a tensor's integers.

    Raises:
        FileError: another type.
    """
    if tensor.type not in _BITS:
        raise FileError(f"{what} must be one of {', '.join(_BITS)}, not {tensor.type}; quantize the model to integers")
    return _BITS[tensor.type]


def constant(tensor: Tensor, shape: tuple[int, ...], what: str) -> NDArray[np.int64]:
    """The integers of a constant of the shape that it must have.

    Raises:
        FileError: no constant, another shape, or no integers.
    """
    integer_bits(tensor, what)
    if tensor.data is None:
        raise FileError(f"{what} must be a constant, not computed")
    if tensor.shape != shape:
        raise FileError(f"{what} must have shape {shape}, not {tensor.shape}")
    return np.asarray(tensor.data, dtype=np.int64)


def matrix_of(tensor: Tensor, what: str) -> RawMatrix:
    if len(tensor.shape) != 2:
        raise FileError(f"{what} must have 2 axes, not shape {tensor.shape}")
    rows = tensor.shape[0]
    raws = constant(tensor, tensor.shape, what)
    by_row = len(tensor.scale) > 1
    if by_row and tensor.axis != 0:
        raise FileError(f"{what} must have a scale for each row, not along axis {tensor.axis}")
    if not tensor.scale:
        raise FileError(f"{what} must be quantized, not without a scale")
    scale = [Fraction(value) for value in tensor.scale] * (1 if by_row else rows)
    zero = 0 if by_row or not tensor.zero_point else int(tensor.zero_point[0])
    form = Format.affine(_BITS[tensor.type], Fraction(1), zero)
    return RawMatrix(raws, form, scale, np.full(rows, zero, dtype=np.int64), by_row)


def bias_of(tensor: Tensor | None, rows: int, absent_bits: int, name: str) -> RawBias:
    """The biases; those of 64 bits keep one bit free."""
    if tensor is None:
        return RawBias(None, Format.integer(min(absent_bits, _BIAS_BITS)))
    bits = min(integer_bits(tensor, f"bias of {name}"), _BIAS_BITS)
    return RawBias(constant(tensor, (rows,), f"bias of {name}"), Format.integer(bits))
