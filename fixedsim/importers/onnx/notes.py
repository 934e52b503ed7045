"""What was understood of a graph, one sentence for each convention."""

from fixedsim.importers.onnx.found import Embedding, Lstm
from fixedsim.importers.onnx.outputs import Chain, Link
from fixedsim.importers.onnx.values import Atom, Axis
from fixedsim.importers.onnx.weights import LayerWeights
from fixedsim.network import LstmLayer


def notes_of(chain: Chain, layers: list[LayerWeights], order: str) -> tuple[str, ...]:
    """The notes on a network's layers, its input, states and outputs."""
    notes: list[str] = []
    for link, found in zip(chain.links, layers, strict=True):
        if isinstance(found.layer, LstmLayer):
            notes += _lstm_notes(link, found.layer, order)
    notes += _input_notes(chain)
    notes += _state_notes(chain)
    if chain.output.ending:
        notes.append(f"{chain.output.ending} at the end of the graph is left out: outputs are logits")
    notes += _output_notes(chain)
    return tuple(notes)


def _lstm_notes(link: Link, layer: LstmLayer, order: str) -> list[str]:
    biases = "two biases, summed" if layer.bias else "no bias"
    notes = [f"{layer.name}: gates stacked {', '.join(order)}; {biases}"]
    if layer.coupled:
        notes.append(
            f"{layer.name}: input_forget; the forget gate is one minus the input gate, so its rows are negated"
        )
    if layer.peephole:
        notes.append(f"{layer.name}: peepholes stacked i, o, f")
    operators = {id(node): node for node, _ in link.directions}
    if len(operators) == 2:
        notes.append(f"{layer.name}: two operators, forward and backward, are one bidirectional layer")
    unused = [node for node in operators.values() if len(node.directions) > len(link.directions)]
    if unused:
        way = "backward" if layer.reverse else "forward"
        notes.append(f"{layer.name}: of both directions only {way} goes on; the other is left out")
    return notes


def _input_notes(chain: Chain) -> list[str]:
    axes, lstms = chain.source.axes, chain.lstms
    notes = []
    if lstms:
        time, batch = _place(axes, lstms[0].time), _place(axes, lstms[0].batch)
        if time is not None and batch is not None and batch < time:
            notes.append(f"input {chain.source.name!r} has sequences first in the graph; here time comes first")
    else:
        notes.append("no LSTM: all axes of the input before the features count as steps and sequences")
    first = chain.links[0].node
    features = () if isinstance(first, Embedding) else first.input.features
    if len(features) > 1:
        sizes = " x ".join(str(atom.size) for atom in features)
        notes.append(
            f"input {chain.source.name!r} has features of {sizes} in the graph; here they are one axis, row-major"
        )
    if chain.source.tokens_only == "" and isinstance(first, Embedding):
        notes.append(f"input {chain.source.name!r} holds token ids, counted from 0")
    return notes


def _place(axes: tuple[Axis, ...], atom: Atom | None) -> int | None:
    return next((index for index, axis in enumerate(axes) if atom is not None and atom in axis), None)


def _state_notes(chain: Chain) -> list[str]:
    notes = []
    states = sorted({name for node in chain.lstms for name in node.states})
    if states:
        notes.append(
            f"initial states are inputs of the graph ({', '.join(states)}); "
            "here they are zero unless a run is given a state"
        )
    lengths = sorted({node.choices.lengths for node in chain.lstms} - {""})
    if lengths:
        notes.append(f"lengths of sequences are an input of the graph ({', '.join(lengths)}); here they are `lengths`")
    known = {*states, *(name for text in lengths for name in text.split(", "))}
    unused = [name for name in chain.inputs if name not in known]
    if unused:
        notes.append(f"inputs of the graph that no layer reads are left out: {', '.join(unused)}")
    return notes


def _output_notes(chain: Chain) -> list[str]:
    notes = []
    if chain.final:
        notes.append("only the last step that each direction takes goes on, so outputs have no axis of time")
    if chain.left_out:
        notes.append(f"outputs of states and inner layers are left out: {', '.join(chain.left_out)}")
    lstms = [node for node in chain.lstms if isinstance(node, Lstm)]
    if lstms:
        own = [(atom,) for atom in (lstms[-1].time, lstms[-1].batch) if atom is not None]
        wanted = [*own[1 if chain.final and lstms[-1].time is not None else 0 :], chain.output.features]
        if [axis for axis in chain.output.axes if axis] != wanted:
            notes.append(
                "the graph's output has its axes in another order or joined; here they are time, sequence, features"
            )
    return notes
