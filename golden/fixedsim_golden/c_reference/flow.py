"""How the layers follow each other: the step of a model that streams, or the run over a whole sequence."""

from dataclasses import dataclass
from itertools import pairwise

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model.layer_kinds import Layer, directions
from fixedsim.model.model import Model
from fixedsim_golden.c_reference import text
from fixedsim_golden.c_reference.lstm import is_stale
from fixedsim_golden.c_reference.source import Source


@dataclass
class Flow:
    """A model, its source, and the C functions of its layers and directions by their names."""

    source: Source
    model: Model
    symbols: dict[str, str]

    @property
    def lstms(self) -> list[Lstm]:
        """Every LSTM, both directions of a bidirectional one."""
        return [part for layer in self.model.layers for part in directions(layer) if isinstance(part, Lstm)]

    @property
    def input_width(self) -> int:
        """The count of words of one step of inputs."""
        return widths(self.model)[0]

    @property
    def output_width(self) -> int:
        """The count of words of one step of outputs."""
        return widths(self.model)[-1]

    @property
    def input_name(self) -> str:
        """The name of the inputs' format."""
        return "" if self.model.input_format is None else self.model.input_format.name

    @property
    def output_name(self) -> str:
        """The name of the outputs' format."""
        return "" if self.model.output_format is None else self.model.output_format.name


def streams(model: Model) -> bool:
    """Whether every layer reads one step at a time, in the order of time, and gives its output of that step."""
    if any(isinstance(layer, Bidirectional | Reversal) for layer in model.layers):
        return False
    ended = [position for position, layer in enumerate(model.layers) if layer.name in model.last]
    return not ended or not any(isinstance(layer, Lstm) for layer in model.layers[ended[0] + 1 :])


def widths(model: Model) -> list[int]:
    """The widths of the inputs and of the outputs of every layer."""
    found = [1 if model.takes_tokens else _inputs(model)]
    for layer in model.layers:
        found.append(_width(layer, found[-1]))
    return found


def _inputs(model: Model) -> int:
    """The width of the inputs, from the first layer that has a matrix."""
    layer = next(layer for layer in model.layers if not isinstance(layer, Reversal))
    if isinstance(layer, Linear):
        return layer.matrix.inputs
    part = directions(layer)[0]
    assert isinstance(part, Lstm)
    return part.input_matrix.inputs


def _width(layer: Layer, before: int) -> int:
    match layer:
        case Embedding():
            return int(layer.table.shape[1])
        case Linear():
            return layer.matrix.rows
        case Lstm():
            return layer.outputs
        case Bidirectional():
            return layer.forward.outputs + layer.backward.outputs
        case _:
            return before


def _call(flow: Flow, layer: Layer | Lstm, state: str, given: str, to: str) -> str:
    """The call of one step of a layer or a direction."""
    symbol = flow.symbols[layer.name]
    if not isinstance(layer, Lstm):
        return f"{symbol}({given}, {to});"
    field = f"{state}{text.identifier(layer.name)}"
    register = f"&{field}_register, " if is_stale(layer) else ""
    return f"{symbol}({field}_hidden, {field}_cell, {register}{given}, {to});"


def step_function(flow: Flow) -> str:
    """The function of one step of every layer."""
    name, model = flow.source.name, flow.model
    buffers, calls, given = [], [], "input"
    for position, (layer, width) in enumerate(zip(model.layers, widths(model)[1:], strict=True)):
        to = "output" if layer is model.layers[-1] else f"between{position}"
        if to != "output":
            buffers.append(f"{to}[{width}]")
        calls.append(f"    {_call(flow, layer, 'state->', given, to)}")
        given = to
    declared = f"    int64_t {', '.join(buffers)};\n\n" if buffers else ""
    unused = "" if flow.lstms else "    (void)state;\n"
    body = "\n".join(calls)
    head = f"void {name}_step({name}_state *state, const int64_t *input, int64_t *output)"
    return f"{head}\n{{\n{declared}{unused}{body}\n}}"


def run_function(flow: Flow) -> str:
    """The function of a whole sequence, layer by layer, and that of its scratch memory: two vectors of each step."""
    name, model = flow.source.name, flow.model
    between = widths(model)
    widest = max(between)
    state = f"    {name}_state state;\n" if flow.lstms else ""
    reset = f"    {name}_reset(&state);\n" if flow.lstms else ""
    body, given = "", "inputs"
    for position, (layer, pair) in enumerate(zip(model.layers, pairwise(between), strict=True)):
        to = "outputs" if layer is model.layers[-1] else ("first", "second")[position % 2]
        body += f"{text.comment(layer.name, '    ')}\n{_over_steps(flow, layer, given, to, *pair)}"
        if layer.name in model.last:
            body += _last(layer, to)
        given = to
    return f"""size_t {name}_scratch(size_t steps)
{{
    return 2 * {widest} * (steps > 0 ? steps : 1);
}}

void {name}_run(const int64_t *inputs, size_t steps, int64_t *outputs, int64_t *scratch)
{{
    int64_t *first = scratch, *second = scratch + {name}_scratch(steps) / 2;
{state}    size_t t;

    (void)first;
    (void)second;
{reset}{body}}}"""


def _over_steps(flow: Flow, layer: Layer, given: str, to: str, read: int, written: int) -> str:
    """The loops over the steps of one layer."""
    ahead, back = "    for (t = 0; t < steps; t++)\n        ", "    for (t = steps; t-- > 0;)\n        "
    source, target = f"{given} + t * {read}", f"{to} + t * {written}"
    if isinstance(layer, Reversal):
        return f"{ahead}memcpy({target}, {given} + (steps - 1 - t) * {read}, {read} * sizeof(int64_t));\n"
    if not isinstance(layer, Bidirectional):
        return f"{ahead}{_call(flow, layer, 'state.', source, target)}\n"
    behind = f"{target} + {layer.forward.outputs}"
    traced = flow.source.trace(f"{layer.name}.output", target, written)
    return (
        f"{ahead}{_call(flow, layer.forward, 'state.', source, target)}\n"
        f"{back}{_call(flow, layer.backward, 'state.', source, behind)}\n{ahead}{traced}\n"
    )


def _last(layer: Layer, to: str) -> str:
    """What keeps the hidden states after the last step alone."""
    code, first = "", 0
    for part in directions(layer):
        assert isinstance(part, Lstm)
        place = to if first == 0 else f"{to} + {first}"
        code += f"    memcpy({place}, state.{text.identifier(part.name)}_hidden, {part.outputs} * sizeof(int64_t));\n"
        first += part.outputs
    return code + "    steps = 1;\n"
