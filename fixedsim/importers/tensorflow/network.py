"""Make a network of parts: names, order, forget bias, and a description that the user states."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fixedsim.errors import NetworkError
from fixedsim.importers.conventions import gate_order
from fixedsim.importers.imported import Imported, Stated, WeightsFound
from fixedsim.importers.ordering import only_order
from fixedsim.importers.tensorflow.matching import matched
from fixedsim.importers.tensorflow.names import Reading
from fixedsim.importers.tensorflow.parts import CELL_ORDER, Cell, Part, Placed, Recurrent, layer_names
from fixedsim.network import Description, Layer, LinearLayer, LstmLayer

_NAME = "tensorflow"
_REMEDY = "describe the network in a TOML file"


def network_of_modules(modules: list[list[Reading]], stated: Stated) -> Imported:
    """The network of modules whose order no graph tells.

    Raises:
        NetworkError: layers that can be read in no way or in several, or that are not those of the description.
    """
    if stated.description is not None:
        return _imported(matched(modules, stated.description), stated)
    first = [part for readings in modules for part in readings[0]]
    names = dict(zip((part.scope for part in first), layer_names(first), strict=True))
    parts: dict[Layer, Part] = {}
    forms: list[list[tuple[Layer, ...]]] = []
    for readings in modules:
        made = [[(part.layer(names[part.scope]), part) for part in reading] for reading in readings]
        parts |= {layer: part for pairs in made for layer, part in pairs}
        forms.append([tuple(layer for layer, _ in pairs) for pairs in made])
    layers = only_order(forms)
    for layer in layers[:-1]:
        if isinstance(layer, LinearLayer):
            raise NetworkError(
                f"layer {layer.name!r} must be the last layer, not followed by another, because the file does not "
                f"tell its activation; {_REMEDY}"
            )
    return _imported([Placed(parts[layer], layer) for layer in layers], stated)


def network_of_parts(
    parts: list[Part], stated: Stated, *, name: str = _NAME, names: Sequence[str] | None = None
) -> Imported:
    """The network called ``name`` of parts whose order a graph tells; their scopes name the layers, or ``names``.

    Raises:
        NetworkError: layers that don't follow each other, or that are not those of the description.
    """
    if stated.description is not None:
        return _imported(matched([[(part,)] for part in parts], stated.description, ordered=True), stated)
    named = zip(parts, names or layer_names(parts), strict=True)
    return _imported([Placed(part, part.layer(own)) for part, own in named], stated, name)


def _imported(placed: list[Placed], stated: Stated, name: str = _NAME) -> Imported:
    order = None if stated.gate_order is None else gate_order(stated.gate_order)
    layers, weights, notes = [], WeightsFound(), list[str]()
    orders = {cell.order for part, _ in placed if isinstance(part, Recurrent) for cell in part.cells}
    for part, layer in placed:
        if isinstance(part, Recurrent) and isinstance(layer, LstmLayer):
            layer, said = _with_forget_bias(part, layer, stated)
            notes += [_lstm_note(part, layer, order), said]
        elif isinstance(layer, LinearLayer):
            notes.append(f"{layer.name}: kernel (inputs, outputs) of {part.scope}, transposed; {layer.activation}")
        layers.append(layer)
        weights |= part.tensors(layer, order)  # type: ignore[arg-type]
    _refuse_not_finite(weights)
    given = stated.description
    description = Description(name, tuple(layers)) if given is None else replace(given, layers=tuple(layers))
    read_in = order or (orders.pop() if len(orders) == 1 else CELL_ORDER)
    return Imported(description, weights, tuple(notes), read_in)


def _with_forget_bias(part: Recurrent, layer: LstmLayer, stated: Stated) -> tuple[LstmLayer, str]:
    """The layer with the forget bias that holds at run time, and where it is from.

    What the user states goes before what a graph says, a description's that is not 0, and the kind's default.
    """
    cell = part.cells[0]
    described = layer.forget_bias if stated.description is not None else 0.0
    value, source = cell.forget_bias, f"the default of {cell.kind}"
    if cell.certain:
        source = "as the graph adds it"
    if stated.forget_bias is not None:
        value, source = stated.forget_bias, "as stated"
    elif described and cell.certain and described != value:
        raise NetworkError(
            f"layer {layer.name!r}: forget_bias must be {value:g}, as the graph adds it, not {described:g}"
        )
    elif described:
        value, source = described, "as described"
    note = f"{layer.name}: forget bias {value:g} is added at run time, {source}"
    return replace(layer, forget_bias=value), note if cell.certain else f"{note}; a file of variables does not hold it"


def _lstm_note(part: Recurrent, layer: LstmLayer, order: str | None) -> str:
    cell: Cell = part.cells[0]
    stacked = ", ".join(order or cell.order)
    both = "; forward and backward" if layer.bidirectional else ""
    biases = "one bias" if layer.bias else "no bias"
    return (
        f"{layer.name}: {cell.kind}, gates stacked {stacked} in columns; input rows first, then hidden; {biases}{both}"
    )


def _refuse_not_finite(weights: WeightsFound) -> None:
    for name, tensor in weights.items():
        if not np.isfinite(tensor).all():
            raise NetworkError(f"tensor {name!r} must be finite, not with NaN or infinity")
