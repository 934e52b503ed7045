"""What a graph does after its last layer: nothing, a softmax and the like, which are left out, or what is refused."""

from typing import NamedTuple

from fixedsim.errors import NetworkError
from fixedsim.importers.tensorflow.anchors import Anchor
from fixedsim.importers.tensorflow.flow import THROUGH, Tracer
from fixedsim.importers.tensorflow.graph import Node, Ref
from fixedsim.importers.tensorflow.lstm_ops import Surroundings

_MOVES = (
    *THROUGH, "Merge", "Select", "SelectV2", "Pack", "ConcatV2", "Concat", "Exit", "TensorArrayGatherV3", "ReverseV2",
    "ReverseSequence", "Transpose", "StridedSlice", "Unpack",
)  # fmt: skip
_LEFT_OUT = ("Softmax", "LogSoftmax", "ArgMax", "TopK", "TopKV2", "InTopK", "CTCLoss", "CTCGreedyDecoder")
_UNSEEN = ("Shape", "Size", "Rank", "NoOp", "Assert", "TensorArraySizeV3", "ZerosLike", "GreaterEqual", "Less")
_MAX_NODES = 1 << 16


class Tail(NamedTuple):
    """Whether all that a graph gives is the last step, and sentences about what is left out."""

    last: bool
    notes: list[str]


def tail_of(around: Surroundings, tracer: Tracer, last: list[Anchor]) -> Tail:
    """Follow the last layer's output to the ends of the graph.

    Raises:
        NetworkError: an operation that computes and is no ending that may be left out.
    """
    ends, left_out = _ends(around, tracer, last)
    flows = [tracer.value(ref) for ref in ends]
    lasts = [all(flow.last or flow.step is not None for flow in value) for value in flows if value]
    notes = []
    if left_out:
        names = ", ".join(dict.fromkeys(left_out))
        notes.append(f"left out after the last layer: {names}; outputs are what goes into it")
    return Tail(bool(lasts) and all(lasts), notes)


def _ends(around: Surroundings, tracer: Tracer, last: list[Anchor]) -> tuple[list[Ref], list[str]]:
    weighted = {ref.node for ref in tracer.outputs} | {name for anchor in last for name in anchor.nodes}
    waiting = [around.graph.nodes[ref.node] for anchor in last for ref in anchor.outputs]
    seen = {node.name for node in waiting}
    ends: list[Ref] = []
    left_out: list[str] = []
    outputs = {ref for anchor in last for ref in anchor.outputs}
    while waiting:
        node = waiting.pop()
        readers = _readers(around, node, outputs)
        if not readers:
            ends.append(Ref(node.name) if not _is_output(node, outputs) else _output(node, outputs))
        for reader in readers:
            if reader.op in _LEFT_OUT or reader.op.endswith("CrossEntropyWithLogits"):
                left_out.append(reader.op)
                ends += [ref for ref in reader.inputs if ref.node == node.name][:1]
            elif reader.name not in seen and reader.name not in weighted and reader.op not in _UNSEEN:
                _check(reader, tracer)
                seen.add(reader.name)
                waiting.append(reader)
        if len(seen) > _MAX_NODES:
            raise NetworkError(f"operations after the last layer must be at most {_MAX_NODES}, not more")
    return ends, left_out


def _readers(around: Surroundings, node: Node, outputs: set[Ref]) -> list[Node]:
    """Who reads a node's value: of a layer's own node, its output alone."""
    if not _is_output(node, outputs):
        return around.graph.readers(node.name)
    return [use.node for ref in outputs if ref.node == node.name for use in around.graph.uses(ref)]


def _is_output(node: Node, outputs: set[Ref]) -> bool:
    return any(ref.node == node.name for ref in outputs)


def _output(node: Node, outputs: set[Ref]) -> Ref:
    return next(ref for ref in outputs if ref.node == node.name)


def _check(reader: Node, tracer: Tracer) -> None:
    if reader.op not in _MOVES and not (reader.op == "Mul" and tracer.masked(reader) is not None):
        raise NetworkError(
            f"operation {reader.name!r} after the last layer must be one that moves values alone or a softmax, not "
            f"{reader.op}; describe the network in a TOML file to go by the variables' names"
        )
