"""Find the part of a file for each layer of a description."""

import re
from collections.abc import Sequence
from dataclasses import fields

from fixedsim.errors import NetworkError
from fixedsim.importers.tensorflow.names import Reading
from fixedsim.importers.tensorflow.parts import Dense, Part, Placed, Recurrent, kind_of
from fixedsim.network import Description, Layer, LinearLayer, LstmLayer

_NUMBER = re.compile(r"\d+")
_SERIAL = re.compile(r"_?\d+")
_FUNCTIONS = ("gate", "candidate", "cell_activation")
_CERTAIN_ALONE = ("forget_bias", "steps", "clip", "activation", *_FUNCTIONS, "cell_clip", "reverse")
_UNKNOWN = frozenset(("forget_bias", "clip", "initial", "coupled"))  # which are settled elsewhere


def matched(modules: list[list[Reading]], description: Description, *, ordered: bool = False) -> list[Placed]:
    """A part for each layer of ``description``, and none left over.

    ``ordered`` parts stand in the order of the layers. Otherwise a layer takes the part that fits in kind and shape;
    of several, the one whose scope has the layer's name in it, else the first by number if their scopes differ in
    numbers alone.

    Raises:
        NetworkError: parts that are missing, left over, of another shape, or several for one layer.
    """
    taken: list[Placed] = []
    waiting = _flattened(modules)
    for layer in description.layers:
        choices = waiting[:1] if ordered else waiting
        part = _chosen(layer, choices)
        waiting = [readings for readings in waiting if part not in readings]
        _check(layer, part)
        taken.append(Placed(part, layer))
    for readings in waiting:
        raise NetworkError(f"variables of {readings[0].scope!r} must be a layer's of the description, not left over")
    return taken


def _flattened(modules: Sequence[Sequence[Reading]]) -> list[list[Part]]:
    """The readings of single layers; a stack's layers stand for themselves."""
    flat: list[list[Part]] = []
    for readings in modules:
        if len(readings[0]) > 1:
            flat += [[part] for part in readings[0]]
        else:
            flat.append([reading[0] for reading in readings])
    return flat


def _chosen(layer: Layer, waiting: list[list[Part]]) -> Part:
    fitting = [part for readings in waiting for part in readings if _difference(layer, part, certain=True) is None]
    if not fitting:
        raise NetworkError(f"layer {layer.name!r} must have its variables in the file, not {_nearest(layer, waiting)}")
    named = [
        part for part in fitting if layer.name in part.scope.split("/") or part.scope.replace("/", ".") == layer.name
    ]
    choice = named if len(named) == 1 else fitting
    if len(choice) > 1 and len({_SERIAL.sub("", part.scope) for part in choice}) > 1:
        several = " or ".join(part.scope for part in choice)
        raise NetworkError(
            f"layer {layer.name!r} must be one part of the file, not {several}; give the layer that name"
        )
    return min(choice, key=lambda part: [int(number) for number in _NUMBER.findall(part.scope)])


def _nearest(layer: Layer, waiting: list[list[Part]]) -> str:
    same = [part for readings in waiting for part in readings if kind_of(part) == layer.kind]
    if not same:
        return f"no {layer.kind} at all"
    return f"{same[0].scope}, whose {_difference(layer, same[0], certain=True)}"


def _difference(layer: Layer, part: Part, *, certain: bool) -> str | None:
    """The first key in which a part differs from a layer, with both values; with ``certain`` of shapes alone."""
    if kind_of(part) != layer.kind:
        return f"kind is {kind_of(part)}"
    made = part.layer(layer.name)
    for key in (entry.name for entry in fields(made)):
        own, wanted = getattr(made, key), getattr(layer, key)
        if own != wanted and not (certain and key in _CERTAIN_ALONE) and key not in _UNKNOWN:
            return f"{key} is {own}, not {wanted}"
    return None


def _check(layer: Layer, part: Part) -> None:
    """Raise NetworkError where a description contradicts what a graph tells, or asks for what the cells lack."""
    if isinstance(layer, LstmLayer) and isinstance(part, Recurrent):
        if layer.coupled or layer.initial or layer.clip is not None:
            raise NetworkError(f"layer {layer.name!r} must be without coupled, initial and clip, which cells here lack")
        certain = part.cells[0].certain
    else:
        certain = isinstance(part, Dense) and part.certain
    difference = _difference(layer, part, certain=False) if certain else None
    if difference is None and certain and isinstance(layer, LinearLayer) and isinstance(part, Dense):
        difference = None if layer.clip == part.clip else f"clip is {part.clip}, not {layer.clip}"
    if difference is not None:
        raise NetworkError(f"layer {layer.name!r} must be as the graph has it: {difference} as described")
