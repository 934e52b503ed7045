"""Tell an LSTM cell from the operations around its kernel: gate order, forget bias, functions, clip, peepholes.

BasicLSTMCell and LSTMCell are a MatMul, a BiasAdd, a Split in four and a few element-wise operations. The order of the
gates is told by what happens to each quarter, not assumed.
"""

from dataclasses import dataclass, field

from fixedsim.errors import NetworkError
from fixedsim.importers.tensorflow.constants import Constants
from fixedsim.importers.tensorflow.graph import Graph, Node, Ref
from fixedsim.importers.tensorflow.parts import CELL_ORDER, Array

ADD, MULTIPLY = ("Add", "AddV2"), ("Mul",)
SPLIT = ("Split", "SplitV")
SAME = ("Identity", "Enter", "ReadVariableOp", "Switch", "Snapshot")  # whose output is their first input
FUNCTIONS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Relu": "relu"}
_GATES = 4
_PEEPHOLE_LETTERS = (("input", "i"), ("forget", "f"), ("output", "o"))
_MAX_STEPS = 64  # of a chain of such operations


class Surroundings:
    """A graph with its constants, and the few ways in which structure is looked up."""

    def __init__(self, graph: Graph, constants: Constants) -> None:
        self.graph, self.constants = graph, constants

    def origin(self, ref: Ref) -> Node:
        """The node that a value is from, past identities and into loops.

        Raises:
            FileError: an input that is no node.
        """
        node = self.graph.node(ref)
        for _ in range(_MAX_STEPS):
            if node.op not in SAME or not node.inputs:
                break
            node = self.graph.node(node.inputs[0])
        return node

    def constant(self, ref: Ref) -> Array | None:
        """The constant that a value is, or None."""
        node = self.origin(ref)
        return self.constants.array(node) if self.constants.shape(node) is not None else None

    def scalar(self, ref: Ref) -> float | None:
        """The number that a value is, or None."""
        node = self.origin(ref)
        if node.op != "Const" or self.constants.shape(node) != ():
            return None
        return float(self.constants.array(node))

    def users(self, ref: Ref) -> list[Node]:
        """The nodes that compute with a value, past identities; summaries and shapes are none."""
        found: list[Node] = []
        for use in self.graph.uses(ref):
            if use.node.op == "Identity":
                found += [inner.node for inner in self.graph.uses(Ref(use.node.name))] or [use.node]
            else:
                found.append(use.node)
        return [node for node in found if node.op != "Shape" and not node.op.endswith("Summary")]

    def only_user(self, ref: Ref, ops: tuple[str, ...], what: str) -> Node:
        """The one node among ``ops`` that computes with a value.

        Raises:
            NetworkError: none, or several.
        """
        users = self.users(ref)
        found = [node for node in users if node.op in ops]
        if len(found) != 1:
            names = ", ".join(f"{node.name} ({node.op})" for node in users[:4]) or "nothing"
            raise NetworkError(f"{what} must go into one {' or '.join(ops)}, not into {names}")
        return found[0]

    def other(self, node: Node, ref: Ref) -> Ref:
        """The other input of a node of two."""
        if len(node.inputs) != 2:
            raise NetworkError(f"operation {node.name!r} ({node.op}) must have two inputs, not {len(node.inputs)}")
        first = node.inputs[0]
        return node.inputs[1] if self.same(first, ref) else first

    def same(self, ref: Ref, wanted: Ref) -> bool:
        """Whether a value is another, past identities."""
        for _ in range(_MAX_STEPS):
            if ref == wanted:
                return True
            node = self.graph.node(ref)
            if node.op != "Identity" or not node.inputs:
                return False
            ref = node.inputs[0]
        return False


@dataclass
class Found:
    """What the operations of one cell say; ``hidden`` is the node that gives the new hidden state."""

    order: str
    forget_bias: float
    hidden: Node
    gate: str = "sigmoid"
    candidate: str = "tanh"
    cell_activation: str = "tanh"
    cell_clip: float | None = None
    peepholes: dict[str, Array] = field(default_factory=dict)
    projection: Array | None = None


@dataclass
class _Quarter:
    """One output of the split: what is added to it, the function, and where that gives its value."""

    bias: float
    peephole: Array | None
    function: str
    value: Node | None  # None where there is no function
    ref: Ref


def read_cell(around: Surroundings, split: Node) -> Found:
    """The cell whose pre-activations a Split of four divides.

    Raises:
        NetworkError: operations that are not those of an LSTM cell, the first of them named.
    """
    quarters = [_quarter(around, Ref(split.name, port)) for port in range(_GATES)]
    letters, cell = _letters(around, quarters, split)
    of = dict(zip(letters, quarters, strict=True))
    _check_quarters(split, of)
    bound, cell = _clipped(around, cell)
    activation, hidden = _hidden(around, cell, of["o"])
    peepholes = {gate: part for gate, letter in _PEEPHOLE_LETTERS if (part := of[letter].peephole) is not None}
    found = Found(letters, of["f"].bias, hidden, candidate=of["g"].function, cell_activation=activation)
    found.cell_clip, found.peepholes, found.gate = bound, peepholes, of["i"].function
    return found


def _quarter(around: Surroundings, ref: Ref) -> _Quarter:
    bias, peephole, place = 0.0, None, ref
    for _ in range(_MAX_STEPS):
        users = around.users(place)
        if len(users) != 1:
            names = ", ".join(node.name for node in users[:4]) or "nothing"
            raise NetworkError(f"gate {ref.node}:{ref.port} must go into one operation, not into {names}")
        (user,) = users
        if user.op not in ADD:
            break
        addend = around.other(user, place)
        number = around.scalar(addend)
        if number is not None:
            bias += number
        else:
            peephole = _peephole(around, addend)
        place = Ref(user.name)
    if user.op in FUNCTIONS:
        return _Quarter(bias, peephole, FUNCTIONS[user.op], user, Ref(user.name))
    if user.op in MULTIPLY:
        return _Quarter(bias, peephole, "identity", None, place)
    raise NetworkError(f"operation {user.name!r} must be one of {', '.join(FUNCTIONS)} of a gate, not {user.op}")


def _peephole(around: Surroundings, ref: Ref) -> Array:
    node = around.origin(ref)
    if node.op in MULTIPLY and len(node.inputs) == 2:
        for operand in node.inputs:
            weights = around.constant(operand)
            if weights is not None and weights.ndim == 1:
                return weights
    raise NetworkError(f"addend {node.name!r} of a gate must be a constant or a peephole, not {node.op}")


def _letters(around: Surroundings, quarters: list[_Quarter], split: Node) -> tuple[str, Node]:
    """The order of the gates as letters, and the sum that is the new cell.

    The two quarters that are multiplied with each other are the input gate and the candidate; what is added to their
    product is the forget gate times the old cell.
    """
    product, pair = _pair(around, quarters, split)
    total = around.only_user(Ref(product.name), ADD, f"product {product.name!r}")
    kept = around.origin(around.other(total, Ref(product.name)))
    forget = [index for index, quarter in enumerate(quarters) if index not in pair and _reads(around, kept, quarter)]
    if kept.op not in MULTIPLY or len(forget) != 1:
        raise NetworkError(f"addend {kept.name!r} of a cell must be a forget gate times the old cell, not {kept.op}")
    candidates = [index for index in pair if quarters[index].function != "sigmoid"]
    letters = ["o"] * _GATES
    letters[forget[0]] = "f"
    if len(candidates) == 1:
        candidate = candidates[0]
    elif CELL_ORDER.index("g") in pair and CELL_ORDER.index("i") in pair:
        candidate = CELL_ORDER.index("g")
    else:
        raise NetworkError(f"gates of {split.name!r} must tell the candidate by its function, not two of one kind")
    for index in pair:
        letters[index] = "g" if index == candidate else "i"
    return "".join(letters), total


def _pair(around: Surroundings, quarters: list[_Quarter], split: Node) -> tuple[Node, tuple[int, int]]:
    for first in range(_GATES):
        for user in around.users(quarters[first].ref):
            if user.op in MULTIPLY:
                for second in range(first + 1, _GATES):
                    if _reads(around, user, quarters[second]) and _reads(around, user, quarters[first]):
                        return user, (first, second)
    raise NetworkError(f"split {split.name!r} must divide an LSTM's gates, of which two are multiplied, not otherwise")


def _reads(around: Surroundings, node: Node, quarter: _Quarter) -> bool:
    return any(around.same(ref, quarter.ref) for ref in node.inputs)


def _check_quarters(split: Node, of: dict[str, _Quarter]) -> None:
    for letter in "io":
        if of[letter].bias:
            raise NetworkError(f"gate {letter} of {split.name!r} must have no bias of its own, not {of[letter].bias:g}")
    if of["g"].bias or of["g"].peephole is not None:
        raise NetworkError(f"candidate of {split.name!r} must have no bias or peephole of its own, not one")
    functions = {of[letter].function for letter in "ifo"}
    if functions != {"sigmoid"}:
        raise NetworkError(f"gates of {split.name!r} must be sigmoids, not {', '.join(sorted(functions))}")


def _clipped(around: Surroundings, cell: Node) -> tuple[float | None, Node]:
    """The bound of a clip after ``cell``, if there is one, and the node that gives the clipped value."""
    bounds: list[float] = []
    for wanted in ("Minimum", "Maximum"):
        users = [node for node in around.users(Ref(cell.name)) if node.op == wanted]
        if not users:
            break
        number = around.scalar(around.other(users[0], Ref(cell.name)))
        if number is None:
            raise NetworkError(f"bound of {users[0].name!r} must be a constant, not computed")
        bounds.append(number)
        cell = users[0]
    if not bounds:
        return None, cell
    if len(bounds) != 2 or bounds[0] != -bounds[1]:
        raise NetworkError(f"clip of the cell at {cell.name!r} must be from -c to c, not {bounds}")
    return bounds[0], cell


def _hidden(around: Surroundings, cell: Node, output: _Quarter) -> tuple[str, Node]:
    """The function of the cell, and the product with the output gate."""
    for user in around.users(Ref(cell.name)):
        if user.op in FUNCTIONS:
            for product in around.users(Ref(user.name)):
                if product.op in MULTIPLY and _reads(around, product, output):
                    return FUNCTIONS[user.op], product
        elif user.op in MULTIPLY and _reads(around, user, output):
            return "identity", user
    raise NetworkError(f"cell {cell.name!r} must go through a known function to the output gate, not otherwise")
