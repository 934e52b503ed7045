"""The integers that a device stores, by the names that models have for them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from fixedsim.errors import InputError
from fixedsim.formats import Format, bits_for
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Bias, Matrix
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.model.storage import SHIFT_BITS
from fixedsim.profiles.datapath import Accumulator, Activation, LookupTable
from fixedsim_golden.encodings import append_bias
from fixedsim_golden.playing import Entry

GATE_ROWS = (
    "gate_unit"  # rows of an LSTM: the units of one gate after those of the other, input, forget, candidate, output
)


def stored(model: Model) -> list[Entry]:
    """Weights, biases and row constants of every layer, and each distinct table once.

    Constants have one value for each row: ``multiplier`` and ``shift`` requantize its accumulator, ``product_shift``
    shifts its products (negative: to the left), a bias enters as ``raw * 2**shift``. Tables are called
    ``table.<function>``, numbered where two differ.
    """
    found = [entry for layer in model.layers for entry in _layer(layer, layer.name)]
    return [*found, *_tables(model)]


def _layer(layer: Layer, owner: str) -> Iterator[Entry]:
    match layer:
        case Embedding():
            axes = ("token", "unit")
            name = f"{layer.name}.weight"
            yield Entry(name, "weight", owner, axes, layer.datapath.table, layer.table)
            yield _constant(f"{name}.multiplier", owner, layer.multiplier, 1)
            yield _constant(f"{name}.shift", owner, layer.shift, SHIFT_BITS)
        case Linear():
            yield from _matrix(
                f"{layer.name}.weight", owner, layer.matrix, layer.datapath.weight, layer.datapath.accumulator
            )
            yield from _bias(layer.name, owner, layer.bias, layer.datapath.bias)
        case Lstm():
            path = layer.datapath
            held = path.accumulator
            for entry in (
                *_matrix(f"{layer.name}.input.weight", owner, layer.input_matrix, path.weight, held),
                *_matrix(f"{layer.name}.recurrent.weight", owner, layer.recurrent_matrix, path.recurrent_weight, held),
                *_bias(layer.name, owner, layer.bias, path.bias),
            ):
                yield replace(entry, axes=(GATE_ROWS, *entry.axes[1:]))
            for gate, choices in zip(path.gate_names, path.present, strict=True):
                for what, vectors in (("peephole", layer.peephole), ("norm", layer.norm)):
                    part = getattr(choices, what)
                    if part is not None:
                        yield Entry(
                            f"{layer.name}.{what}.{gate}", "weight", owner, ("unit",), part.weight, vectors[gate]
                        )
            for what, form in (("hidden", layer.state_format), ("cell", path.read_cell)):
                if what in layer.start:
                    yield Entry(f"{layer.name}.initial.{what}", "constant", owner, ("unit",), form, layer.start[what])
            if layer.projection is not None:
                yield from _layer(layer.projection, owner)
        case Bidirectional():
            yield from _layer(layer.forward, owner)
            yield from _layer(layer.backward, owner)


def _matrix(name: str, owner: str, matrix: Matrix, form: Format, accumulator: Accumulator) -> Iterator[Entry]:
    yield Entry(name, "weight", owner, ("row", "column"), form, matrix.weight)
    if accumulator.product is not None:
        yield _constant(f"{name}.product_shift", owner, matrix.product_shift, SHIFT_BITS)
    yield _constant(f"{name}.multiplier", owner, matrix.multiplier, 1)
    yield _constant(f"{name}.shift", owner, matrix.shift, SHIFT_BITS)
    if np.any(matrix.zero_point):
        yield _constant(f"{name}.zero_point", owner, matrix.zero_point, 1)


def with_bias(entries: Iterable[Entry]) -> Iterator[Entry]:
    """For each layer with a bias its weight matrix, of an LSTM that of the inputs, with the bias as the last column.

    Raises:
        InputError: weights whose raws are not consecutive integers, for they would need codes of their own.
    """
    by_name = {entry.name: entry for entry in entries}
    for bias in [entry for entry in by_name.values() if entry.role == "bias"]:
        layer = bias.name.removesuffix(".bias")
        weight = by_name.get(f"{layer}.input.weight") or by_name[f"{layer}.weight"]
        if weight.format.raw_step != 1:
            raise InputError(f"bias must stand apart from {weight.name}, whose format is {weight.format.name}")
        form = Format.integer(max(bias.format.bits, weight.format.bits + (not weight.format.signed)))
        raws = append_bias(weight.raws.astype(np.int64), bias.raws.astype(np.int64))
        yield Entry(f"{weight.name}_and_bias", "weight", weight.layer, weight.axes, form, raws)


def _bias(name: str, owner: str, bias: Bias, form: Format) -> Iterator[Entry]:
    yield Entry(f"{name}.bias", "bias", owner, ("row",), form, bias.raw)
    yield _constant(f"{name}.bias.shift", owner, bias.shift, SHIFT_BITS)


def _constant(name: str, owner: str, values: ArrayLike, least: int) -> Entry:
    """Integers in two's complement, as wide as they need; multipliers are unsigned."""
    raws = np.asarray(values)
    low, high = int(raws.min()), int(raws.max())
    if name.endswith(".multiplier"):
        form = Format.integer(max(least, high.bit_length()), signed=False)
    else:
        form = Format.integer(max(least, bits_for(low, high)))
    return Entry(name, "constant", owner, ("row",), form, raws)


def _tables(model: Model) -> Iterator[Entry]:
    return (
        Entry(name, "table", "", ("entry",), table.format, np.array(table.values))
        for name, table in named_tables(model).items()
    )


def named_tables(model: Model) -> dict[str, LookupTable]:
    """Each distinct look-up table of a model under its name."""
    distinct = list(dict.fromkeys(found for layer in model.layers for found in _functions(layer)))
    functions = [table.function or "function" for table in distinct]
    numbers = [
        f".{functions[:place].count(name)}" if functions.count(name) > 1 else "" for place, name in enumerate(functions)
    ]
    return {f"table.{name}{number}": table for name, number, table in zip(functions, numbers, distinct, strict=True)}


def _functions(layer: Layer) -> Iterator[LookupTable]:
    activations: list[Activation] = []
    match layer:
        case Linear():
            activations = [layer.datapath.activation]
        case Lstm():
            activations = [*(gate.activation for gate in layer.datapath.present), layer.datapath.cell_activation]
            if layer.projection is not None:
                yield from _functions(layer.projection)
        case Bidirectional():
            yield from _functions(layer.forward)
            yield from _functions(layer.backward)
    yield from (activation for activation in activations if isinstance(activation, LookupTable))
