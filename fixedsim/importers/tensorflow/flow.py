"""Follow values backwards through a graph, from what a layer reads to the layer that gives it.

On the way are operations that move steps about without computing: transpositions, loops and their arrays, reversals,
slices of a last step. Any other operation is refused by name.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fixedsim.errors import NetworkError
from fixedsim.importers.tensorflow.graph import Node, Ref
from fixedsim.importers.tensorflow.lstm_ops import Surroundings

MAX_VISITS = 1 << 16  # of all values that are followed
MAX_DEPTH = 300
# Operations that give the value of one of their inputs, and which.
THROUGH: Mapping[str, int] = {
    **dict.fromkeys(("Identity", "Reshape", "Enter", "Switch", "NextIteration", "ExpandDims", "Squeeze", "Cast"), 0),
    **dict.fromkeys(("StopGradient", "CheckNumerics", "EnsureShape", "Snapshot", "PreventGradient", "Print"), 0),
    **dict.fromkeys(("TensorArrayReadV3", "TensorArrayScatterV3", "TensorArrayWriteV3"), 2),
}
_SOURCES = ("Placeholder", "PlaceholderV2", "PlaceholderWithDefault", "IteratorGetNext", "QueueDequeueV2")
_EMPTY = ("Const", "Fill", "ZerosLike", "TensorArrayV3")
_MASK = ("Tile", "ExpandDims", "Transpose", "Cast", "Identity", "Reshape")


class Flow(NamedTuple):
    """Where a value is from: part ``source``, or the network's input for None, and what happened to its steps.

    ``step`` is the one step of an unrolled loop of ``of`` (0 where that is not known); ``turned`` means that sequences
    come first, then time.
    """

    source: int | None
    reverse: bool = False
    last: bool = False
    step: int | None = None
    of: int = 0
    turned: bool = False


Value = tuple[Flow, ...]  # joined along features; empty for a constant


class Tracer:
    """Follows values; ``outputs`` says which values are parts' outputs, and of which step if a part is unrolled."""

    def __init__(self, around: Surroundings, outputs: Mapping[Ref, Flow]) -> None:
        self.around, self.outputs = around, outputs
        self._left = MAX_VISITS
        self._path: set[Ref] = set()  # of values that are being followed

    def value(self, ref: Ref) -> Value:
        """What a value is made of.

        Raises:
            NetworkError: an operation that networks lack, or values that are too deep.
            FileError: an input that is no node.
        """
        self._path.clear()
        return self._value(ref)

    def _value(self, ref: Ref) -> Value:
        self._left -= 1
        if self._left < 0 or len(self._path) > MAX_DEPTH:
            raise NetworkError(f"value {ref.node!r} must be at most {MAX_DEPTH} operations from a layer, not more")
        if ref in self.outputs:
            return (self.outputs[ref],)
        if ref in self._path:
            return ()
        self._path.add(ref)
        value = self._of_node(self.around.graph.node(ref), ref)
        self._path.discard(ref)
        return value

    def _of_node(self, node: Node, ref: Ref) -> Value:
        if node.op in _SOURCES:
            return (Flow(None),)
        if node.op in _EMPTY:
            return ()
        if node.op in THROUGH and len(node.inputs) > THROUGH[node.op]:
            return self._value(node.inputs[THROUGH[node.op]])
        match node.op:
            case "Merge" | "Select" | "SelectV2" | "Pack":
                return self._one_of(node)
            case "ConcatV2" | "Concat":
                return self._joined(node)
            case "Exit":
                return tuple(flow._replace(last=True) for flow in self._first(node))
            case "TensorArrayGatherV3":
                return tuple(flow._replace(last=False, turned=False) for flow in self._value(node.inputs[2]))
            case "ReverseV2" | "ReverseSequence":
                self._check_axis(node)
                return tuple(flow._replace(reverse=not flow.reverse) for flow in self._first(node))
            case "Transpose":
                turn = self._turns(node)
                return tuple(flow._replace(turned=flow.turned ^ turn) for flow in self._first(node))
            case "Unpack":
                of = int(node.number("num", 0))
                return tuple(flow._replace(step=ref.port, of=of) for flow in self._first(node))
            case "StridedSlice":
                return self._sliced(node)
            case "Mul" if (masked := self.masked(node)) is not None:
                return self._value(masked)
        raise NetworkError(
            f"operation {node.name!r} between layers must be one that moves values alone, not {node.op}; "
            "describe the network in a TOML file to go by the variables' names"
        )

    def _first(self, node: Node) -> Value:
        if not node.inputs:
            raise NetworkError(f"operation {node.name!r} ({node.op}) must have an input, not none")
        return self._value(node.inputs[0])

    def _one_of(self, node: Node) -> Value:
        """What all inputs are made of, constants apart; steps of an unrolled loop, packed, are all of them.

        Of a loop's value it is what the loop gives, and not what it starts from.
        """
        places = node.inputs[1:] if node.op.startswith("Select") else node.inputs
        looped = [ref for ref in places if self.around.graph.node(ref).op == "NextIteration"]
        if node.op == "Merge" and looped and (value := self._value(looped[0])):
            return value
        values = [value for ref in places if (value := self._value(ref))]
        return united(values, node)

    def _joined(self, node: Node) -> Value:
        parts = node.inputs[:-1] if node.op == "ConcatV2" else node.inputs[1:]
        places = node.inputs[::-1] if node.op == "ConcatV2" else node.inputs
        axis = self.around.scalar(places[0]) if places else None
        values = [self._value(ref) for ref in parts]
        if any(not value for value in values):
            raise NetworkError(f"operation {node.name!r} must join values of layers, not a constant")
        if axis == 0 and len(values) > 1 and all(flow.step is not None for value in values for flow in value):
            return united(values, node)
        return tuple(flow for value in values for flow in value)

    def _check_axis(self, node: Node) -> None:
        axis = node.number("seq_dim", -1) if node.op == "ReverseSequence" else -1
        if node.op == "ReverseV2" and len(node.inputs) == 2:
            constant = self.around.origin(node.inputs[1])
            axes = self.around.constants.array(constant).reshape(-1).tolist() if constant.op == "Const" else []
            axis = float(axes[0]) if len(axes) == 1 else -1
        if axis not in (0, 1):
            raise NetworkError(f"operation {node.name!r} must reverse time, not axis {axis:g}")

    def _turns(self, node: Node) -> bool:
        """Whether a transposition exchanges the first two axes; the others must stay."""
        order = self.around.origin(node.inputs[1]) if len(node.inputs) == 2 else node
        if order.op == "ConcatV2" and order.inputs:
            order = self.around.origin(order.inputs[0])
        head = self.around.constants.array(order).reshape(-1).tolist() if order.op == "Const" else []
        if head[:2] not in ([0, 1], [1, 0], [0]) or head[2:] != list(range(2, len(head))):
            raise NetworkError(f"operation {node.name!r} must exchange time and sequences, not axes by {head[:8]}")
        return head[:2] == [1, 0]

    def _sliced(self, node: Node) -> Value:
        """A slice of the last step, or of one step in an unrolled loop."""
        place, step = self._slice(node)
        value = self._first(node)
        if step >= 0 and place == 0:
            return tuple(flow._replace(step=step) for flow in value)
        one = value[0] if len(value) == 1 else None
        if step != -1 or one is None or one.source is None or one.reverse or one.step is not None:
            raise NetworkError(f"slice {node.name!r} must take the last step of one LSTM, not another part of a value")
        if place != int(one.turned):
            raise NetworkError(f"slice {node.name!r} must take the last step, not the last sequence (axis {place})")
        return (one._replace(last=True),)

    def _slice(self, node: Node) -> tuple[int, int]:
        """The axis and the index that a slice takes.

        Raises:
            NetworkError: a slice of another kind.
        """
        masks = {
            key: int(node.number(f"{key}_mask", 0)) for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
        }
        begin = self.around.origin(node.inputs[1]) if len(node.inputs) == 4 else node
        starts = self.around.constants.array(begin).reshape(-1).tolist() if begin.op == "Const" else []
        shrunk = masks["shrink_axis"]
        place = shrunk.bit_length() - 1
        rest = (1 << len(starts)) - 1 - shrunk
        whole = masks["begin"] & rest == rest and masks["end"] & rest == rest
        if shrunk.bit_count() != 1 or place >= len(starts) or not whole or masks["ellipsis"] or masks["new_axis"]:
            raise NetworkError(f"slice {node.name!r} must take one step, not another part of a value")
        return place, int(starts[place])

    def masked(self, node: Node) -> Ref | None:
        """The value that a mask of sequence lengths is multiplied with; None where there is none."""
        masks = [ref for ref in node.inputs if self._is_mask(ref)]
        if len(node.inputs) != 2 or len(masks) != 1:
            return None
        return next(ref for ref in node.inputs if ref != masks[0])

    def _is_mask(self, ref: Ref) -> bool:
        node = self.around.graph.node(ref)
        for _ in range(16):
            if node.op in _MASK and node.inputs:
                node = self.around.graph.node(node.inputs[0])
        return node.op in ("Less", "SequenceMask")


def united(values: Iterable[Value], node: Node) -> Value:
    """The one value that all are but for the step, which is then all of them.

    Raises:
        NetworkError: values of different parts.
    """
    distinct = list(dict.fromkeys(values))
    if len(distinct) <= 1:
        return distinct[0] if distinct else ()
    steps = [[flow.step for flow in value] for value in distinct]
    plain = {tuple(flow._replace(step=None, of=0) for flow in value) for value in distinct}
    if len(plain) != 1 or any(step is None for row in steps for step in row):
        raise NetworkError(f"operation {node.name!r} ({node.op}) must take one layer's values, not several layers'")
    return tuple(_all_steps(flows, node) for flows in zip(*distinct, strict=True))


def _all_steps(flows: tuple[Flow, ...], node: Node) -> Flow:
    """One flow of all steps, in the order of time or against it."""
    steps, of = [flow.step for flow in flows], flows[0].of
    ascending = list(range(len(steps)))
    if (of and len(steps) != of) or steps not in (ascending, ascending[::-1]):
        raise NetworkError(f"operation {node.name!r} must take all steps in order, not steps {steps[:8]}")
    reverse = flows[0].reverse ^ (steps != ascending)
    return flows[0]._replace(step=None, of=0, reverse=reverse)
