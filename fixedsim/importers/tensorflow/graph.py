"""A TensorFlow GraphDef, read without TensorFlow: nodes, what they read, and the attributes that matter here.

Nothing is computed and nothing is copied: constants stay views of the file until they are asked for. Functions of the
graph's library are not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fixedsim.errors import FileError
from fixedsim.files import read_content
from fixedsim.importers.tensorflow import wire

MAX_FILE_BYTES = 1 << 31  # a protocol buffer is never larger
MAX_NODES = 1 << 18
MAX_INPUTS = 1 << 20  # of all nodes together
_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
_TRANSPOSED = ("transpose_a", "transpose_b", "adj_x", "adj_y")
_OF_CELLS = ("forget_bias", "cell_clip", "use_peephole")
WANTED = frozenset(("value", "num", "num_split", "seq_dim", *_OF_CELLS, *_TRANSPOSED, *_MASKS))  # attributes kept
MAX_NAME = 1 << 10
_NODE, _NAME, _OP, _INPUT, _ATTRIBUTE = 1, 1, 2, 3, 5  # GraphDef.node; NodeDef.name, op, input, attr
_KEY, _VALUE = 1, 2  # of a map's entry
_STRING, _INTEGER, _FLOAT, _BOOL, _TYPE, _TENSOR = 2, 3, 4, 5, 6, 8  # AttrValue
Attribute = int | float | bytes | memoryview


class Ref(NamedTuple):
    """One output of a node."""

    node: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One operation; ``inputs`` are those that carry values, in order."""

    name: str
    op: str
    inputs: tuple[Ref, ...] = ()
    attributes: dict[str, Attribute] = field(default_factory=dict)

    def number(self, name: str, default: float) -> float:
        """A numeric attribute, or what it is where the file leaves it out."""
        value = self.attributes.get(name, default)
        return float(value) if isinstance(value, int | float) else default


class Use(NamedTuple):
    """A node that reads a value, and at which of its inputs."""

    node: Node
    place: int


class Graph:
    """Nodes by name in the order of the file, and who reads what."""

    def __init__(self, nodes: dict[str, Node], size: int) -> None:
        self.nodes, self.size = nodes, size
        self._uses: dict[Ref, list[Use]] = {}
        self._readers: dict[str, list[Node]] = {}
        for node in nodes.values():
            for place, ref in enumerate(node.inputs):
                self._uses.setdefault(ref, []).append(Use(node, place))
                self._readers.setdefault(ref.node, []).append(node)

    def uses(self, ref: Ref) -> list[Use]:
        """Who reads a value."""
        return self._uses.get(ref, [])

    def readers(self, name: str) -> list[Node]:
        """The nodes that read any output of a node."""
        return self._readers.get(name, [])

    def node(self, ref: Ref) -> Node:
        """The node that gives a value.

        Raises:
            FileError: there is none.
        """
        if ref.node not in self.nodes:
            raise FileError(f"input {ref.node[:200]!r} must be a node of the graph, not unknown")
        return self.nodes[ref.node]


def read_graph(path: Path) -> Graph:
    """The graph in a ``.pb`` file.

    Raises:
        FileError: the file is missing, too large, damaged or another kind of protocol buffer.
    """
    return parsed_graph(read_content(path, MAX_FILE_BYTES))


def parsed_graph(content: bytes) -> Graph:
    """The graph of a serialized GraphDef.

    Raises:
        FileError: damaged bytes, another message, or more than the limits of this module allow.
    """
    if content[:1] == b"\x08":
        raise FileError("file must be a frozen graph, not a SavedModel; freeze its variables into one graph first")
    nodes: dict[str, Node] = {}
    inputs = 0
    for message in node_messages(content):
        node = _node(message)
        if node.name in nodes:
            raise FileError(f"node {node.name[:200]!r} must be named once, not twice")
        nodes[node.name] = node
        inputs += len(node.inputs)
        if inputs > MAX_INPUTS:
            raise FileError(f"nodes must have at most {MAX_INPUTS} inputs together, not more")
    if not nodes:
        raise FileError("graph must have nodes, not none")
    return Graph(nodes, len(content))


def node_messages(content: bytes) -> Iterator[memoryview]:
    """Each node as it stands in the file.

    Raises:
        FileError: damaged bytes or too many nodes.
    """
    count = 0
    for entry in wire.fields(memoryview(content)):
        if entry.number == _NODE:
            count += 1
            if count > MAX_NODES:
                raise FileError(f"graph must have at most {MAX_NODES} nodes, not more")
            yield wire.message_of(entry, "node")


def node_name(message: memoryview) -> str:
    """The name of a node alone.

    Raises:
        FileError: damaged bytes.
    """
    names = (entry for entry in wire.fields(message) if entry.number == _NAME)
    return next((wire.text_of(entry, "name of a node", MAX_NAME) for entry in names), "")


def _node(message: memoryview) -> Node:
    name, op = "", ""
    inputs: list[Ref] = []
    attributes: dict[str, Attribute] = {}
    for entry in wire.fields(message):
        if entry.number == _NAME:
            name = wire.text_of(entry, "name of a node", MAX_NAME)
        elif entry.number == _OP:
            op = wire.text_of(entry, f"op of node {name[:80]!r}", MAX_NAME)
        elif entry.number == _INPUT:
            text = wire.text_of(entry, f"input of node {name[:80]!r}", MAX_NAME)
            if not text.startswith("^"):  # which is an order of execution, not a value
                inputs.append(_ref(text))
        elif entry.number == _ATTRIBUTE:
            attributes |= _attribute(wire.message_of(entry, f"attribute of node {name[:80]!r}"))
    if not name or not op:
        raise FileError(f"node must have a name and an op, not {name[:80]!r} and {op[:80]!r}")
    return Node(name, op, tuple(inputs), attributes)


def _ref(text: str) -> Ref:
    name, colon, port = text.rpartition(":")
    if not colon:
        return Ref(text)
    if not port.isascii() or not port.isdigit() or len(port) > 4:
        raise FileError(f"input {text[:80]!r} must be a node and a port, not otherwise")
    return Ref(name, int(port))


def _attribute(entry: memoryview) -> dict[str, Attribute]:
    """One entry of the map of attributes, if it is one of :data:`WANTED`."""
    name = ""
    value: Attribute | None = None
    for part in wire.fields(entry):
        if part.number == _KEY:
            name = wire.text_of(part, "name of an attribute", MAX_NAME)
        elif part.number == _VALUE:
            value = _value(wire.message_of(part, f"attribute {name[:80]!r}"))
    return {} if value is None or name not in WANTED else {name: value}


def _value(message: memoryview) -> Attribute | None:
    value: Attribute | None = None
    for part in wire.fields(message):
        what = "value of an attribute"
        if part.number in (_INTEGER, _BOOL, _TYPE):
            value = wire.integer_of(part, what)
        elif part.number == _FLOAT:
            value = wire.float_of(part, what)
        elif part.number == _TENSOR:
            value = wire.message_of(part, what)
        elif part.number == _STRING:
            value = bytes(wire.message_of(part, what)[:MAX_NAME])
    return value
