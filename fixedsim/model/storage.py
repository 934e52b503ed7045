"""What a model's integers take: every tensor that a device stores, with its shape and bits, packed without gaps."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.layers.real_layers import RealBidirectional, RealEmbedding, RealLinear
from fixedsim.layers.reversal import Reversal
from fixedsim.model.layer_kinds import Layer
from fixedsim.model.model import Model
from fixedsim.profiles.datapath import (
    Accumulator,
    Activation,
    FixedFunction,
    Function,
    LookupTable,
    LstmDatapath,
    Narrowing,
    Primitive,
)
from fixedsim.spec.functions import CMSIS_TABLE

FLOAT_BITS = 32  # of a tensor left in floating point, as it would be stored
SHIFT_BITS = 7  # of a shift of -62..62 in two's complement
BIAS_SHIFT_BITS = 6  # of a shift of 0..62
_SCALE_BITS = {Primitive.FLOAT32: 32, Primitive.FLOAT64: 64}
_CMSIS = (Function.CMSIS_SIGMOID, Function.CMSIS_TANH)
_CMSIS_BITS = 16

Integers = NDArray[np.int64]


class Kind(StrEnum):
    """What a stored tensor is."""

    WEIGHT = "weight"
    BIAS = "bias"
    CONSTANT = "constant"  # of requantization: multipliers, shifts, zero points of weights
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that a device stores: ``shape`` values of ``bits`` bits each; tables belong to no single layer."""

    name: str
    layer: str
    kind: Kind
    shape: tuple[int, ...]
    bits: int

    @property
    def values(self) -> int:
        """How many values it holds."""
        return math.prod(self.shape)

    @property
    def total_bits(self) -> int:
        """Its bits, packed without gaps."""
        return self.values * self.bits


def storage_bits(model: Model) -> dict[str, int]:
    """Bits of each weight and bias tensor by name: elements times the bits of its format, 32 where left in float."""
    parameters = (Kind.WEIGHT, Kind.BIAS)
    return {tensor.name: tensor.total_bits for tensor in stored_tensors(model) if tensor.kind in parameters}


def stored_tensors(model: Model) -> list[StoredTensor]:
    """Every tensor that a device stores to run the model, tables last and each once.

    A constant that all rows of a matrix share counts once; a multiplier of 1 and a product shift that the datapath
    does not have count nothing, nor does a bias of zeros. Constants of the stages behind the accumulators are wires.
    """
    found = [tensor for layer in model.layers for tensor in layer_tensors(layer)]
    tables = dict.fromkeys(table for layer in model.layers for table in layer_tables(layer))
    return [*found, *table_tensors(list(tables))]


def layer_tensors(layer: Layer, owner: str | None = None) -> list[StoredTensor]:
    """The weights, biases and constants of a layer, which belong to the layer called ``owner``."""
    owner = layer.name if owner is None else owner
    match layer:
        case Embedding():
            name = f"{layer.name}.weight"
            table = StoredTensor(name, owner, Kind.WEIGHT, layer.table.shape, layer.datapath.table.bits)
            constants = _scaling(name, owner, layer.datapath.output, layer.multiplier, layer.shift)
            return [table, *constants]
        case Linear():
            path = layer.datapath
            weight = _matrix(f"{layer.name}.weight", owner, layer.matrix, path.weight.bits, path.accumulator, path.sum)
            return [*weight, *_bias(layer.name, owner, layer.bias, path.bias.bits)]
        case Lstm():
            return _lstm(layer, owner)
        case Bidirectional() | RealBidirectional():
            return [*layer_tensors(layer.forward, owner), *layer_tensors(layer.backward, owner)]
        case Reversal():
            return []
        case RealEmbedding():
            return _reals(layer.name, owner, {"weight": layer.weight})
        case RealLinear():
            return _reals(layer.name, owner, {"weight": layer.weight, "bias": layer.bias})
        case _:
            tensors = {"input.weight": layer.input_weight, "recurrent.weight": layer.recurrent_weight}
            tensors |= {"bias": layer.bias} | {f"peephole.{gate}": part for gate, part in layer.peephole.items()}
            if layer.projection is not None:
                tensors["projection.weight"] = layer.projection
            return _reals(layer.name, owner, tensors | {f"initial.{what}": part for what, part in layer.start.items()})


def _lstm(layer: Lstm, owner: str) -> list[StoredTensor]:
    path, held = layer.datapath, layer.datapath.accumulator
    sums = path.gates[1].input_sum, path.gates[1].recurrent_sum
    names = f"{layer.name}.input.weight", f"{layer.name}.recurrent.weight"
    found = [
        *_matrix(names[0], owner, layer.input_matrix, path.weight.bits, held, sums[0]),
        *_matrix(names[1], owner, layer.recurrent_matrix, path.recurrent_weight.bits, held, sums[1]),
        *_bias(layer.name, owner, layer.bias, path.bias.bits),
    ]
    for gate, choices in zip(path.gate_names, path.present, strict=True):
        for what, part in (("peephole", choices.peephole), ("norm", choices.norm)):
            if part is not None:
                name = f"{layer.name}.{what}.{gate}"
                found.append(StoredTensor(name, owner, Kind.WEIGHT, (layer.units,), part.weight.bits))
    for what, form in (("hidden", layer.state_format), ("cell", path.read_cell)):
        if what in layer.start:
            name = f"{layer.name}.initial.{what}"
            found.append(StoredTensor(name, owner, Kind.WEIGHT, layer.start[what].shape, form.bits))
    return found if layer.projection is None else [*found, *layer_tensors(layer.projection, owner)]


def _reals(name: str, owner: str, tensors: dict[str, NDArray[np.float64]]) -> list[StoredTensor]:
    return [
        StoredTensor(f"{name}.{what}", owner, Kind.BIAS if what == "bias" else Kind.WEIGHT, values.shape, FLOAT_BITS)
        for what, values in tensors.items()
    ]


def _matrix(
    name: str, owner: str, matrix: Matrix, bits: int, accumulator: Accumulator, total: Narrowing
) -> list[StoredTensor]:
    found = [StoredTensor(name, owner, Kind.WEIGHT, matrix.weight.shape, bits)]
    if np.any(matrix.zero_point):
        found += _constant(f"{name}.zero_point", owner, matrix.zero_point, bits)
    if accumulator.product is not None:
        found += _constant(f"{name}.product_shift", owner, matrix.product_shift, SHIFT_BITS)
    return [*found, *_scaling(name, owner, total, matrix.multiplier, matrix.shift)]


def _scaling(name: str, owner: str, stage: Narrowing, multiplier: Integers, shift: Integers) -> list[StoredTensor]:
    """Multiplier and shift of the rows, or their floating-point scale where the stage takes one."""
    if stage.primitive in _SCALE_BITS:
        scales = np.stack([multiplier, shift], axis=1)
        varies = len(np.unique(scales, axis=0)) > 1
        shape = (len(scales),) if varies else (1,)
        return [StoredTensor(f"{name}.scale", owner, Kind.CONSTANT, shape, _SCALE_BITS[stage.primitive])]
    found = []
    if np.any(multiplier != 1):
        found = _constant(f"{name}.multiplier", owner, multiplier, int(multiplier.max()).bit_length())
    return [*found, *_constant(f"{name}.shift", owner, shift, SHIFT_BITS)]


def _bias(name: str, owner: str, bias: Bias, bits: int) -> list[StoredTensor]:
    if not np.any(bias.raw):
        return []
    found = [StoredTensor(f"{name}.bias", owner, Kind.BIAS, bias.raw.shape, bits)]
    if bias.cast is None and np.any(bias.shift):
        found += _constant(f"{name}.bias.shift", owner, bias.shift, BIAS_SHIFT_BITS)
    return found


def _constant(name: str, owner: str, values: Integers, bits: int) -> list[StoredTensor]:
    shape = (len(values),) if np.any(values != values[0]) else (1,)
    return [StoredTensor(name, owner, Kind.CONSTANT, shape, bits)]


def layer_tables(layer: Layer) -> Iterator[tuple[str, LookupTable | None]]:
    """The tables that a layer reads, called by their functions; None for the one table of CMSIS-NN's functions."""
    for activation in _activations(layer):
        match activation:
            case LookupTable():
                yield activation.function or "function", activation
            case FixedFunction() if activation.primitive in _CMSIS:
                yield "cmsis", None


def table_tensors(tables: list[tuple[str, LookupTable | None]]) -> list[StoredTensor]:
    """Distinct tables as stored tensors, numbered where two have one name."""
    names = [name for name, _ in tables]
    found = []
    for index, (name, table) in enumerate(tables):
        number = f".{names[:index].count(name)}" if names.count(name) > 1 else ""
        values, bits = (len(CMSIS_TABLE), _CMSIS_BITS) if table is None else (len(table.values), table.format.bits)
        found.append(StoredTensor(f"table.{name}{number}", "tables", Kind.TABLE, (values,), bits))
    return found


def _activations(layer: Layer) -> Iterator[Activation]:
    match layer:
        case Linear():
            yield layer.datapath.activation
        case Lstm():
            yield from _lstm_activations(layer.datapath)
        case Bidirectional():
            yield from _lstm_activations(layer.forward.datapath)
            yield from _lstm_activations(layer.backward.datapath)


def _lstm_activations(path: LstmDatapath) -> Iterator[Activation]:
    yield from (gate.activation for gate in path.present)
    yield path.cell_activation
