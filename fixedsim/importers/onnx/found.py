"""The layers that a graph is made of, each with the data that it reads; weights are still as the file has them."""

from dataclasses import dataclass, field
from typing import Any

from fixedsim.importers.onnx.values import Array, Atom, Axis, Part, Stream


@dataclass(eq=False, slots=True)
class Source:
    """An input of the graph. ``tokens_only``: what was left out because it does nothing to token ids."""

    name: str
    axes: tuple[Axis, ...]
    tokens_only: str = ""
    depth: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Embedding:
    """``weight[token]``, ``(vocabulary, features)``."""

    names: tuple[str, ...]
    weight: Array
    input: Stream
    depth: int


@dataclass(frozen=True, eq=False, slots=True)
class Linear:
    """``activation(scale * weight @ x + bias)``, weight ``(outputs, inputs)``.

    ``beneath`` are the parts of the LSTM whose output comes here through fully connected layers alone.
    """

    names: tuple[str, ...]
    weight: Array
    input: Stream
    depth: int
    scale: float = 1.0
    bias: Array | None = None
    bias_scale: float = 1.0
    activation: str = "identity"
    clip: float | None = None
    beneath: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class LstmChoices:
    """What all directions of an LSTM have in common."""

    units: int
    gate: str
    candidate: str
    cell_activation: str
    clip: float | None
    coupled: bool
    lengths: str  # the input of the graph that holds them


@dataclass(frozen=True, eq=False, slots=True)
class LstmDirection:
    """One direction: weights ``(4H, I)`` and ``(4H, H)``, both halves of the bias, peepholes ``(3H,)``, the state."""

    backward: bool
    input: Array
    recurrent: Array
    bias: tuple[Array, Array] | None
    peephole: Array | None
    initial: tuple[Array | None, Array | None] = (None, None)  # hidden and cell, (H,), None for zero


@dataclass(frozen=True, eq=False, slots=True)
class Lstm:
    """One LSTM operator: its directions in the order of the file, over ``time`` and ``batch`` of ``input``."""

    names: tuple[str, ...]
    choices: LstmChoices
    directions: tuple[LstmDirection, ...]
    input: Stream
    time: Atom | None
    batch: Atom | None
    depth: int
    states: tuple[str, ...] = field(default=())  # inputs of the graph that hold initial states


def depth_of(stream: Stream) -> int:
    """How many layers the data have gone through."""
    return max((int(part.node.depth) for part in stream.parts), default=0)


def lstm_beneath(stream: Stream) -> tuple[Part, ...]:
    """The parts of the LSTM that the data come from through fully connected layers alone; none without one."""
    found: list[Part] = []
    for part in stream.parts:
        node: Any = part.node
        if isinstance(node, Lstm):
            found.append(part)
        elif isinstance(node, Linear):
            found += node.beneath
    return tuple(dict.fromkeys(found))
