"""Which of a graph's outputs is the network's, and the chain of layers from it back to the graph's input."""

from typing import Any, NamedTuple

from fixedsim.errors import NetworkError
from fixedsim.importers.onnx.found import Linear, Lstm, LstmDirection, Source, depth_of
from fixedsim.importers.onnx.graph import Evaluated
from fixedsim.importers.onnx.values import Opaque, Part, Refused, Stream, Value

_FINAL_SIDES = {False: "last", True: "first"}  # in time, where a direction's last step stands


class Link(NamedTuple):
    """One layer; of an LSTM, its directions, which may stand in two operators."""

    node: Any
    directions: tuple[tuple[Lstm, LstmDirection], ...] = ()


class Chain(NamedTuple):
    """Layers from the input on, the output, whether only the last step of each direction goes on, and other outputs."""

    source: Source
    links: list[Link]
    output: Stream
    final: bool
    left_out: tuple[str, ...]
    inputs: tuple[str, ...]  # of the graph, beside the network's

    @property
    def lstms(self) -> list[Lstm]:
        """The LSTM operators."""
        return [node for link in self.links for node, _ in link.directions]


def chain_of(graph: Any, values: Evaluated) -> Chain:
    """The layers that make the graph's output.

    Raises:
        NetworkError: an output that is not understood, several that are no states, or layers that are no chain.
    """
    outputs = [(value.name, _understood(values[value.name])) for value in graph.output]
    streams = [(name, value) for name, value in outputs if isinstance(value, Stream)]
    if not streams:
        raise NetworkError("outputs of the graph must have one that a layer makes, not none")
    depth = max(depth_of(value) for _, value in streams)
    name, output = next((name, value) for name, value in streams if depth_of(value) == depth)
    if depth == 0:
        raise NetworkError(f"output {name!r} must come from a layer, not from the graph's input alone")
    source, links, final = _links(name, output)
    others = tuple((other, value) for other, value in outputs if other != name)
    _check_others(name, links, others)
    inputs = tuple(value.name for value in graph.input if value.name != source.name)
    chain = Chain(source, links, output, final, tuple(other for other, _ in others), inputs)
    _check_source(chain)
    return chain


def _understood(value: Value) -> Value:
    if isinstance(value, Refused):
        raise NetworkError(value.reason)
    return value


def _links(name: str, output: Stream) -> tuple[Source, list[Link], bool]:
    if output.turned is not None:
        raise NetworkError(f"output {name!r} must stand in the order of time, not the other way round")
    missing = [atom for atom in output.features if not any(atom in axis for axis in output.axes)]
    if missing:
        raise NetworkError(f"output {name!r} must have all features of the layer that makes it, not some")
    links: list[Link] = []
    final, data = False, output
    while not isinstance(data.parts[0].node, Source):
        link, selected = _link(data)
        final = final or (selected and not any(isinstance(after.node, Lstm) for after in links))
        links.append(link)
        data = link.node.input
    return data.parts[0].node, links[::-1], final


def _link(data: Stream) -> tuple[Link, bool]:
    """The layer that makes the data, and whether of its steps only the last that each direction takes go on."""
    nodes = [part.node for part in data.parts]
    selected = [_is_final(part) for part in data.parts]
    if len(set(selected)) > 1:
        raise NetworkError(f"{_title(nodes[0])}: all steps or the last must go on of both directions, not either")
    if not isinstance(nodes[0], Lstm):
        if len(nodes) > 1:
            raise NetworkError(f"{_title(nodes[0])} must go on alone, not side by side with {_title(nodes[1])}")
        return Link(nodes[0]), selected[0]
    return Link(nodes[0], _directions(data.parts)), selected[0]


def _is_final(part: Part) -> bool:
    """Whether one step alone goes on, which is then the last that each direction of the LSTM takes."""
    if part.step in ("all", "final"):
        return part.step == "final"
    beneath = part.node.beneath if isinstance(part.node, Linear) else (part,)
    for each in beneath:
        node, direction = each.node, each.node.directions[each.direction]
        if part.step != _FINAL_SIDES[direction.backward]:
            raise NetworkError(
                f"{_title(node)}: the step that goes on must be the last that each direction takes, "
                f"not the {part.step} in time of a {'backward' if direction.backward else 'forward'} one"
            )
        if node.choices.lengths and not direction.backward:
            raise NetworkError(
                f"{_title(node)}: with sequence_lens the last step must be taken from Y_h, not from the end of Y"
            )
    return True


def _directions(parts: tuple[Part, ...]) -> tuple[tuple[Lstm, LstmDirection], ...]:
    """One direction, or a forward and a backward one that read the same data."""
    first, *others = parts
    for part in others:
        if not isinstance(part.node, Lstm):
            raise NetworkError(f"{_title(first.node)} must not go on side by side with {_title(part.node)}")
    found = tuple((part.node, part.node.directions[part.direction]) for part in parts)
    if len(found) == 1:
        return found
    if len(found) > 2 or [direction.backward for _, direction in found] != [False, True]:
        ways = ", ".join("backward" if direction.backward else "forward" for _, direction in found)
        raise NetworkError(f"{_title(first.node)}: outputs side by side must be forward, backward, not {ways}")
    one, other = (node.input for node, _ in found)
    if (one.parts, one.features) != (other.parts, other.features) or found[0][0].time is not found[1][0].time:
        raise NetworkError(
            f"{_title(first.node)} and {_title(found[1][0])} must read the same data, not different ones"
        )
    return found


def _title(node: Any) -> str:
    if isinstance(node, Source):
        return f"input {node.name!r}"
    return f"{type(node).__name__} {node.names[0][:80]!r}"


def _check_others(name: str, links: list[Link], others: tuple[tuple[str, Value], ...]) -> None:
    """Other outputs must be states, or outputs of layers on the way."""
    known = {link.node for link in links} | {node for link in links for node, _ in link.directions}
    for other, value in others:
        if isinstance(value, Stream):
            nodes = {part.node for part in value.parts}
        else:
            nodes = set(value.cells) if isinstance(value, Opaque) else {None}
        if not nodes or not nodes <= known:
            raise NetworkError(
                f"output {other!r} must be a state or a layer's on the way to {name!r}, not of a branch of its own"
            )


def _check_source(chain: Chain) -> None:
    source = chain.source
    embedded = bool(chain.links) and type(chain.links[0].node).__name__ == "Embedding"
    if source.tokens_only and not embedded:
        raise NetworkError(f"input {source.name!r} must be token ids where {source.tokens_only}, not features")
    lengths = {node.choices.lengths for node in chain.lstms}
    if len(lengths) > 1:
        raise NetworkError("sequence_lens must be the same input for all LSTMs, not given for some")
    for node in chain.lstms:
        if source.name in node.states or source.name in node.choices.lengths.split(", "):
            raise NetworkError(f"input {source.name!r} must be data alone, not a state or lengths too")
