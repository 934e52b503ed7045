"""The memories of the device: words of weights, constants of rows, biases and tables."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.profiles.datapath import Accumulator, Activation, LookupTable, LstmDatapath

Integers = NDArray[np.int64]
Layer = Linear | Lstm | Bidirectional
Codes = tuple[list[int], int]  # words of a memory and their width
Files = dict[str, Codes]

_SHIFT_BITS = 8
_BIAS_SHIFT_BITS = 6


def hex_words(codes: Iterable[int], bits: int) -> str:
    """Return the words as text: one a line, lower case, exactly as many digits as ``bits`` bits need."""
    return "".join(f"{code:0{-(-bits // 4)}x}\n" for code in codes)


def masked(raws: Iterable[int], bits: int) -> Codes:
    """Raws in two's complement of so many bits."""
    return [int(raw) % (1 << bits) for raw in raws], bits


def coded(raws: NDArray[np.integer], form: Format) -> Codes:
    """The codes of raws, in C order."""
    return [form.code(int(raw)) for raw in raws.reshape(-1)], form.bits


def matrices_of(layer: Lstm | Bidirectional) -> list[Matrix]:
    """The matrices of all directions, of the inputs before the recurrent one."""
    parts = [layer] if isinstance(layer, Lstm) else [layer.forward, layer.backward]
    return [matrix for part in parts for matrix in (part.input_matrix, part.recurrent_matrix)]


def multiplier_bits(matrices: Sequence[Matrix]) -> int:
    """The width that holds every multiplier."""
    return max(int(matrix.multiplier.max()).bit_length() for matrix in matrices)


def matrix_files(prefix: str, matrix: Matrix, form: Format, accumulator: Accumulator, factor_bits: int) -> Files:
    """The weights of a matrix and the constants of its rows."""
    return {
        f"{prefix}weight": coded(matrix.weight, form),
        f"{prefix}product_shift": masked(product_shifts(matrix, accumulator), _SHIFT_BITS),
        f"{prefix}multiplier": masked(matrix.multiplier, factor_bits),
        f"{prefix}shift": masked(matrix.shift, _SHIFT_BITS),
    }


def product_shifts(matrix: Matrix, accumulator: Accumulator) -> Integers:
    """The rows' shifts of products; 0 where products are exact."""
    return matrix.product_shift if accumulator.product else np.zeros_like(matrix.product_shift)


def bias_files(bias: Bias, form: Format) -> Files:
    """The biases and how far each is shifted."""
    return {"bias": coded(bias.raw, form), "bias_shift": masked(bias.shift, _BIAS_SHIFT_BITS)}


def row_files(layer: Lstm, factor_bits: int) -> Files:
    """Matrices and biases of an LSTM."""
    path = layer.datapath
    return {
        **matrix_files("input_", layer.input_matrix, path.weight, path.accumulator, factor_bits),
        **matrix_files("recurrent_", layer.recurrent_matrix, path.recurrent_weight, path.accumulator, factor_bits),
        **bias_files(layer.bias, path.bias),
    }


def table_files(name: str, activation: Activation) -> Files:
    """The values of a table; nothing for another activation."""
    if not isinstance(activation, LookupTable):
        return {}
    return {name: masked(activation.values, activation.format.bits)}


def table_memories(path: LstmDatapath) -> Files:
    """The tables of an LSTM."""
    return {
        **table_files("gate_table", path.gates[1].activation),
        **table_files("candidate_table", path.gates[2].activation),
        **table_files("cell_table", path.cell_activation),
    }
