"""Layers of a frozen graph in their order, from its operations."""

from dataclasses import replace
from typing import NamedTuple

from fixedsim.errors import NetworkError
from fixedsim.importers.tensorflow.anchors import Anchor, anchors
from fixedsim.importers.tensorflow.constants import Constants
from fixedsim.importers.tensorflow.flow import Tracer, Value
from fixedsim.importers.tensorflow.graph import Graph
from fixedsim.importers.tensorflow.lstm_ops import Surroundings
from fixedsim.importers.tensorflow.parts import Cell, Part, Recurrent
from fixedsim.importers.tensorflow.tail import tail_of


class Structure(NamedTuple):
    """Parts in order, and sentences about what follows the last."""

    parts: list[Part]
    notes: list[str]


class _Link(NamedTuple):
    """One anchor of the graph, and what its input is made of."""

    anchor: Anchor
    value: Value


def read_structure(graph: Graph, constants: Constants) -> Structure:
    """The layers of a graph.

    Raises:
        NetworkError: an operation that networks lack, by name, or layers that are not one row.
        FileError: a damaged graph.
    """
    around = Surroundings(graph, constants)
    found = anchors(around)
    if not found:
        raise NetworkError("graph must hold layers, not none; are its variables frozen into constants?")
    outputs = {ref: flow for index, anchor in enumerate(found) for ref, flow in anchor.flows(index)}
    tracer = Tracer(around, outputs)
    links = [_Link(anchor, anchor.input_value(tracer)) for anchor in found]
    return _in_order(links, around, tracer)


def _in_order(links: list[_Link], around: Surroundings, tracer: Tracer) -> Structure:
    parts: list[Part] = []
    before: tuple[int, ...] = ()
    waiting = set(range(len(links)))
    while waiting:
        following = [index for index in sorted(waiting) if _sources(links[index].value) == (before or (None,))]
        if not following:
            names = ", ".join(links[index].anchor.scope for index in sorted(waiting))
            raise NetworkError(f"layers must follow each other in one row, not otherwise: {names} have other inputs")
        if any(_reads_last(links[index], parts) for index in following):
            _take_steps(parts)
        runs = [_Run(index, links[index].anchor, _runs_backwards(links[index], parts)) for index in following]
        part, before = _layer(runs)
        parts.append(part)
        waiting -= set(following)
    tail = tail_of(around, tracer, [links[index].anchor for index in before])
    if tail.last:
        _take_steps(parts)
    return Structure(parts, tail.notes)


class _Run(NamedTuple):
    """One anchor that reads the layer before it, forwards or backwards."""

    place: int
    anchor: Anchor
    backwards: bool


def _sources(value: Value) -> tuple[int | None, ...]:
    return tuple(flow.source for flow in value)


def _layer(runs: list[_Run]) -> tuple[Part, tuple[int, ...]]:
    """The layer of one anchor, or of two cells in both directions, and the anchors in the order of the output."""
    runs = sorted(runs, key=lambda run: run.backwards)
    names = ", ".join(run.anchor.scope for run in runs)
    if len(runs) == 1:
        (run,) = runs
        if isinstance(run.anchor.part, Cell):
            return Recurrent(run.anchor.scope, (run.anchor.part,), reverse=run.backwards), (run.place,)
        if run.backwards:
            raise NetworkError(f"layer {names!r} must read time forwards, not backwards")
        return run.anchor.part, (run.place,)
    cells = tuple(cell for run in runs if isinstance(cell := run.anchor.part, Cell))
    if len(cells) != 2 or len(runs) != 2 or [run.backwards for run in runs] != [False, True]:
        raise NetworkError(f"layers that read the same must be a forward and a backward LSTM, not {names}")
    return Recurrent(_shared(cells), cells), tuple(run.place for run in runs)


def _shared(cells: tuple[Cell, ...]) -> str:
    """The scope of both cells, without what differs."""
    first, second = (cell.scope.split("/") for cell in cells)
    shared = [piece for piece, other in zip(first, second, strict=False) if piece == other]
    return "/".join(shared) or cells[0].scope


def _reads_last(link: _Link, parts: list[Part]) -> bool:
    """Whether a layer reads the last step alone."""
    lasts = {flow.last for flow in link.value}
    if len(lasts) != 1:
        raise NetworkError(f"steps that {link.anchor.scope!r} reads must be all or the last, not both")
    last = lasts == {True}
    if last and isinstance(link.anchor.part, Cell):
        raise NetworkError(f"steps that {link.anchor.scope!r} reads must be all, not the last")
    if last and not parts:
        raise NetworkError(f"steps that {link.anchor.scope!r} reads must be all, not the last one of the input")
    return last


def _runs_backwards(link: _Link, parts: list[Part]) -> bool:
    """Whether a layer takes time backwards: its input is turned around once more than puts it in order."""
    if all(flow.last for flow in link.value):
        return False
    part = parts[-1] if parts else None
    ordered: tuple[bool, ...] = (False,)
    if isinstance(part, Recurrent):
        ordered = (False, True) if len(part.cells) == 2 else (part.reverse,)
    turned = {flow.reverse ^ order for flow, order in zip(link.value, ordered, strict=True)}
    if len(turned) != 1:
        raise NetworkError(f"what {link.anchor.scope!r} reads must have its steps in one order, not in both")
    return turned.pop()


def _take_steps(parts: list[Part]) -> None:
    last = parts[-1]
    if not isinstance(last, Recurrent):
        raise NetworkError(f"last step after {last.scope!r} must be taken before that layer, not after it")
    parts[-1] = replace(last, steps="last")
