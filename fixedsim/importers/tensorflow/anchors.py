"""The operations of a graph that have weights: matrix products, LSTM operations and look-ups, as parts of a network."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from fixedsim.errors import NetworkError
from fixedsim.importers.tensorflow.flow import Flow, Tracer, Value, united
from fixedsim.importers.tensorflow.graph import Node, Ref
from fixedsim.importers.tensorflow.lstm_ops import ADD, SAME, SPLIT, Surroundings, read_cell
from fixedsim.importers.tensorflow.names import cell_kind
from fixedsim.importers.tensorflow.parts import Array, Cell, Dense, Lookup

_PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2")
_GATHERS = ("Gather", "GatherV2", "ResourceGather")
# Where x, h before, kernel and bias stand among the inputs; forget bias, clip and order that hold without attributes.
_BLOCKS = {
    "LSTMBlockCell": ((0, 2, 3, 7), 1.0, 3.0, "igfo"),
    "BlockLSTM": ((1, 3, 4, 8), 1.0, 3.0, "igfo"),
    "BlockLSTMV2": ((1, 3, 4, 8), 0.0, 0.0, "ifgo"),
}
_HIDDEN_PORT = 6
_PROJECTION = "projection/kernel"
_CUDNN = "CudnnRNN"


@dataclass
class Anchor:
    """One part, and where the graph computes it: several times if a loop over time is unrolled."""

    scope: str
    part: Cell | Dense | Lookup
    inputs: list[Ref] = field(default_factory=list)
    outputs: list[Ref] = field(default_factory=list)
    before: list[Ref] = field(default_factory=list)  # the hidden states that a cell reads
    nodes: set[str] = field(default_factory=set)  # that hold the weights' products

    def flows(self, index: int) -> Iterator[tuple[Ref, Flow]]:
        """Each output as values know it."""
        count = len(self.outputs)
        for step, ref in enumerate(self.outputs):
            yield ref, Flow(index, step=step, of=count) if count > 1 else Flow(index)

    def input_value(self, tracer: Tracer) -> Value:
        """What the part reads, over all steps.

        Raises:
            NetworkError: steps in no order, or a cell that reads another's state.
        """
        node = tracer.around.graph.nodes[min(self.nodes)]
        values = [tracer.value(ref) for ref in self.inputs]
        value = united(values, node) if len(values) > 1 else values[0]
        own = tracer.outputs[self.outputs[0]].source
        for step, ref in enumerate(self.before):
            for flow in tracer.value(ref):
                if flow.source not in (own, None) or flow.step not in (None, step - 1):
                    raise NetworkError(f"cell {self.scope!r} must read its own hidden state, not another's")
        return tuple(self._whole(flow) for flow in value)

    def _whole(self, flow: Flow) -> Flow:
        """A flow of all steps, or of the last one."""
        if flow.step is None:
            return flow
        if flow.of and flow.step == flow.of - 1 and (flow.source is not None or flow.of == 1):
            return flow._replace(step=None, of=0, last=flow.of > 1)
        raise NetworkError(f"input of {self.scope!r} must have all steps or the last, not step {flow.step} alone")


def anchors(around: Surroundings) -> list[Anchor]:
    """The parts of a graph in the order of the file.

    Raises:
        NetworkError: weights that are used in a way that networks lack.
        FileError: a damaged graph.
    """
    found: dict[str, Anchor] = {}
    projections: set[str] = set()
    for node in around.graph.nodes.values():
        if node.op.startswith(_CUDNN):
            raise NetworkError(
                f"operation {node.name!r} must be a cell with a kernel, not {node.op}, whose parameters only CuDNN can "
                "read; export the graph for inference, with LSTMBlockFusedCell or CudnnCompatibleLSTMCell"
            )
        if node.op in _BLOCKS:
            _merge(found, _block(around, node))
        elif node.op in _PRODUCTS and len(node.inputs) == 2:
            _product(around, node, found, projections)
        elif node.op in _GATHERS and node.inputs and (table := _weights(around, node.inputs[0])) is not None:
            scope, array = table
            anchor = Anchor(scope, Lookup(scope, array), [node.inputs[1]], [Ref(node.name)], nodes={node.name})
            _merge(found, anchor)
    return [anchor for anchor in found.values() if not anchor.nodes & projections]


def _merge(found: dict[str, Anchor], anchor: Anchor) -> None:
    """Add one computation of a part to those before it."""
    known = found.setdefault(anchor.scope, anchor)
    if known is anchor:
        return
    if type(known.part) is not type(anchor.part) or not _same_choices(known.part, anchor.part):
        raise NetworkError(f"variables of {anchor.scope!r} must be used in one way, not in several")
    known.inputs += anchor.inputs
    known.outputs += anchor.outputs
    known.before += anchor.before
    known.nodes |= anchor.nodes


def _same_choices(first: Cell | Dense | Lookup, second: Cell | Dense | Lookup) -> bool:
    choices = ("order", "forget_bias", "cell_clip", "gate", "candidate", "cell_activation", "activation", "clip")
    return all(getattr(first, key, None) == getattr(second, key, None) for key in choices)


def _weights(around: Surroundings, ref: Ref) -> tuple[str, Array] | None:
    """The scope and the values of a constant matrix, past identities and a reshaping that keeps it."""
    node = around.graph.node(ref)
    for _ in range(64):
        if node.op not in (*SAME, "Reshape", "Transpose") or not node.inputs:
            break
        if node.op == "Transpose" and not _stays(around, node):
            return None
        node = around.graph.node(node.inputs[0])
    shape = around.constants.shape(node)
    if shape is None or len(shape) != 2:
        return None
    scope, _, last = node.name.rpartition("/")
    plain = last in ("kernel", "weights", "Matrix", "weight") and scope
    return (scope if plain else node.name), around.constants.array(node)


def _stays(around: Surroundings, node: Node) -> bool:
    order = around.origin(node.inputs[1]) if len(node.inputs) == 2 else node
    return order.op == "Const" and around.constants.array(order).reshape(-1).tolist() == [0, 1]


def _product(around: Surroundings, node: Node, found: dict[str, Anchor], projections: set[str]) -> None:
    weights = _weights(around, node.inputs[1])
    if weights is None:
        return
    scope, kernel = weights
    if node.number("transpose_a", 0) or node.number("adj_x", 0) or node.number("adj_y", 0):
        raise NetworkError(f"operation {node.name!r} must multiply plain values with weights, not transposed ones")
    if node.number("transpose_b", 0):
        kernel = kernel.T
    sums, bias = _with_bias(around, Ref(node.name))
    splits = [user for user in around.users(sums) if user.op in SPLIT]
    if splits and (splits[0].op == "SplitV" or splits[0].number("num_split", 0) == 4):
        _merge(found, _cell(around, node, splits[0], scope, kernel, bias, projections))
    else:
        _merge(found, _dense(around, node, sums, scope, kernel, bias))


def _with_bias(around: Surroundings, ref: Ref) -> tuple[Ref, Array | None]:
    """Where a product with its bias is, past reshapings, and the bias if there is one."""
    users = around.users(ref)
    if len(users) == 1 and users[0].op == "Reshape" and users[0].inputs[:1] == (ref,):
        after, bias = _with_bias(around, Ref(users[0].name))
        return (ref, None) if bias is None else (after, bias)
    for user in users:
        if user.op in ("BiasAdd", "BiasAddV1", *ADD) and len(user.inputs) == 2:
            bias = around.constant(around.other(user, ref))
            if bias is not None and bias.ndim == 1 and len(users) == 1:
                return Ref(user.name), bias
    return ref, None


def _cell(
    around: Surroundings, node: Node, split: Node, scope: str, kernel: Array, bias: Array | None, projections: set[str]
) -> Anchor:
    found = read_cell(around, split)
    hidden, projection = Ref(found.hidden.name), None
    for user in around.users(hidden):
        if user.op in _PRODUCTS and around.origin(user.inputs[1]).name.endswith(_PROJECTION):
            projection, hidden = around.constant(user.inputs[1]), Ref(user.name)
            projections.add(user.name)
    joined = around.origin(node.inputs[0])
    if joined.op not in ("ConcatV2", "Concat") or len(joined.inputs) != 3:
        raise NetworkError(f"input of {node.name!r} must join the cell's input and hidden state, not {joined.op}")
    values = joined.inputs[:2] if joined.op == "ConcatV2" else joined.inputs[1:]
    kind = cell_kind(scope) or ("LSTM cell", 1.0)
    cell = Cell(
        scope, kind[0], kernel, bias, found.peepholes, projection, found.order, found.forget_bias, True,
        found.cell_clip, found.gate, found.candidate, found.cell_activation,
    )  # fmt: skip
    return Anchor(scope, cell, [values[0]], [hidden], [values[1]], {node.name})


def _dense(around: Surroundings, node: Node, sums: Ref, scope: str, kernel: Array, bias: Array | None) -> Anchor:
    activation, clip, output = _activation(around, sums)
    dense = Dense(scope, kernel, bias, activation, clip, certain=True)
    return Anchor(scope, dense, [node.inputs[0]], [output], nodes={node.name})


def _activation(around: Surroundings, ref: Ref) -> tuple[str, float | None, Ref]:
    """The function after a sum, the bound of a clipped ReLU, and where the result is."""
    users = around.users(ref)
    if len(users) != 1:
        return "identity", None, ref
    (user,) = users
    output = Ref(user.name)
    if user.op == "Relu6":
        return "clipped_relu", 6.0, output
    if user.op not in ("Relu", "Tanh", "Sigmoid"):
        return "identity", None, ref
    after = around.users(output)
    if user.op == "Relu" and len(after) == 1 and after[0].op == "Minimum":
        clip = around.scalar(around.other(after[0], output))
        if clip is not None:
            return "clipped_relu", clip, Ref(after[0].name)
    return user.op.lower(), None, output


def _block(around: Surroundings, node: Node) -> Anchor:
    places, forget_bias, clip, order = _BLOCKS[node.op]
    if len(node.inputs) != places[-1] + 1:
        raise NetworkError(f"operation {node.name!r} must have {places[-1] + 1} inputs, not {len(node.inputs)}")
    x, before, kernel, bias = (node.inputs[place] for place in places)
    weights, added = _weights(around, kernel), around.constant(bias)
    if weights is None or added is None:
        raise NetworkError(f"kernel and bias of {node.name!r} must be constants, not computed")
    peepholes: dict[str, Array] = {}
    if node.number("use_peephole", 0):
        for gate, place in zip(("input", "forget", "output"), range(places[2] + 1, places[2] + 4), strict=True):
            diagonal = around.constant(node.inputs[place])
            if diagonal is None:
                raise NetworkError(f"peepholes of {node.name!r} must be constants, not computed")
            peepholes[gate] = diagonal
    bound = node.number("cell_clip", clip)
    cell = Cell(
        weights[0], node.op, weights[1], added, peepholes, order=order,
        forget_bias=node.number("forget_bias", forget_bias), certain=True, cell_clip=bound if bound > 0 else None,
    )  # fmt: skip
    return Anchor(weights[0], cell, [x], [Ref(node.name, _HIDDEN_PORT)], [before], {node.name})
