"""Write the C99 source of one model's reference step."""

from fixedsim.errors import ModelError
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.lstm_stages import resting_register
from fixedsim.layers.reversal import Reversal
from fixedsim.model.layer_kinds import IntegerLayer, directions
from fixedsim.model.model import Model
from fixedsim_golden.c_reference import text
from fixedsim_golden.c_reference.feedforward import embedding, linear
from fixedsim_golden.c_reference.flow import Flow, run_function, step_function, streams
from fixedsim_golden.c_reference.lstm import is_stale, lstm
from fixedsim_golden.c_reference.source import Source, arithmetic_for


def write_c(model: Model, name: str) -> dict[str, str]:
    """Return the texts of ``<name>.h`` and ``<name>.c``: C99 that computes the model, bit for bit.

    Models whose layers all stream get ``<name>_step``; those with a bidirectional or reversed layer, or with an LSTM
    behind a layer of which only the last output goes on, get ``<name>_run`` over a whole sequence. ``<name>_trace``
    sets what every signal is handed to. The same model gives the same bytes.

    Raises:
        ModelError: a name that is no C identifier, a layer in float64, names that C cannot tell apart, a layer without
            inputs, or a value that 64 bits (before a rounding 2**126) do not hold; with the layer and the construct.
    """
    text.require_identifier(name)
    for layer in model.layers:
        if not isinstance(layer, IntegerLayer):
            raise ModelError(f"{layer.name} must be a layer of integers, not one left in float64")
    source = Source(name)
    members = _signals(model, source)
    flow = Flow(source, model, {})
    for position, layer in enumerate(model.layers):
        _layer(source, flow, layer, f"layer{position}")
    flow_code = step_function(flow) if streams(model) else run_function(flow)
    return {f"{name}.h": _header(flow, members), f"{name}.c": _code(flow, flow_code)}


def _signals(model: Model, source: Source) -> str:
    """Name every signal in the source, and return the members of the enum."""
    for signal in model.signals:
        member = source.symbol(f"{source.name}_signal_{text.identifier(signal)}")
        source.signals[signal] = member
    return ",\n".join(f"    {member}" for member in source.signals.values())


def _layer(source: Source, flow: Flow, layer: object, prefix: str) -> None:
    """Add the functions of one layer."""
    if isinstance(layer, Reversal):
        return
    if isinstance(layer, Embedding | Linear):
        symbol = f"{prefix}_{text.identifier(layer.name)}"
        flow.symbols[layer.name] = symbol
        return embedding(source, symbol, layer) if isinstance(layer, Embedding) else linear(source, symbol, layer)
    assert isinstance(layer, Lstm | Bidirectional)
    for part in directions(layer):
        assert isinstance(part, Lstm)
        symbol = f"{prefix}_{text.identifier(part.name)}"
        flow.symbols[part.name] = symbol
        lstm(source, symbol, part)


def _state(flow: Flow) -> str:
    """The type of the state: hidden and cell of every LSTM direction."""
    lines = []
    for part in flow.lstms:
        field = text.identifier(part.name)
        path = part.datapath
        lines.append(f"    int64_t {field}_hidden[{part.outputs}]; /* {part.state_format.name} */")
        lines.append(f"    int64_t {field}_cell[{part.units}]; /* {path.read_cell.name} */")
        if is_stale(part):
            lines.append(f"    int64_t {field}_register; /* stale sigmoid */")
    if not lines:
        lines = ["    char none; /* no layer has a state */"]
    body = "\n".join(lines)
    note = "Hidden state and cell of every LSTM, raws."
    return f"{text.comment(note)}\ntypedef struct {{\n{body}\n}} {flow.source.name}_state;"


def _reset(flow: Flow) -> str:
    name, lines = flow.source.name, ["    memset(state, 0, sizeof *state);"]
    for part in flow.lstms:
        field, path = text.identifier(part.name), part.datapath
        for what, raws in zip(("hidden", "cell"), part.resting, strict=True):
            lines += _resting(f"state->{field}_{what}", raws.tolist())
        if is_stale(part):
            lines.append(f"    state->{field}_register = {text.integer(resting_register(path))};")
    if any("k++" in line for line in lines):
        lines = ["    int k;\n", *lines]
    body = "\n".join(lines)
    static = "" if streams(flow.model) else "static "
    return f"{static}void {name}_reset({name}_state *state)\n{{\n{body}\n}}"


def _resting(array: str, raws: list[int]) -> list[str]:
    """The lines that put ``raws`` into an array of zeros: one loop where all are the same."""
    if len(set(raws)) > 1:
        return [f"    {array}[{place}] = {text.integer(raw)};" for place, raw in enumerate(raws) if raw]
    return (
        [f"    for (k = 0; k < {len(raws)}; k++)", f"        {array}[k] = {text.integer(raws[0])};"] if raws[0] else []
    )


def _header(flow: Flow, members: str) -> str:
    name, model = flow.source.name, flow.model
    guard = f"{name.upper()}_H"
    about = f"The reference arithmetic of the model {model.name!r}, raws in and raws out; written by fixedsim."
    calls = _step_calls(flow) if streams(model) else _run_calls(flow)
    return f"""{text.comment(about)}
#ifndef {guard}
#define {guard}

#include <stdint.h>
#include <string.h>

/* The signals of the model, by its own names with dots as underscores. */
enum {name}_signal {{
{members}
}};

/* Is handed every signal as it is computed, in causal order; values are valid during the call only. */
typedef void (*{name}_tracer)(void *context, int signal, const int64_t *values, int count);

/* Sets the tracer of all calls from now on; none where it is NULL. Not for several threads at a time. */
void {name}_trace({name}_tracer tracer, void *context);

{calls}
#endif
"""


def _step_calls(flow: Flow) -> str:
    name = flow.source.name
    given = "one token" if flow.model.takes_tokens else f"{flow.input_width} raws of {flow.input_name}"
    return f"""{_state(flow)}

/* Puts the state back to the initial one. */
void {name}_reset({name}_state *state);

/* One step: input is {given}, output {flow.output_width} raws of {flow.output_name}. */
void {name}_step({name}_state *state, const int64_t *input, int64_t *output);
"""


def _run_calls(flow: Flow) -> str:
    name = flow.source.name
    given = "tokens" if flow.model.takes_tokens else f"steps of {flow.input_width} raws of {flow.input_name}"
    outputs = "one step" if flow.model.last else "steps"
    return f"""/* How many words of scratch {name}_run takes for so many steps. */
size_t {name}_scratch(size_t steps);

/* One sequence, from the initial state: inputs are {given}, outputs {outputs} of {flow.output_width} raws of
 * {flow.output_name}. Layers run one after the other; a backward direction traces its signals from the last step to
 * the first. */
void {name}_run(const int64_t *inputs, size_t steps, int64_t *outputs, int64_t *scratch);
"""


def _code(flow: Flow, flow_code: str) -> str:
    name = flow.source.name
    static_state = "" if streams(flow.model) else f"{_state(flow)}\n\n"
    reset = _reset(flow) + "\n\n" if streams(flow.model) or flow.lstms else ""
    own = f"""static {name}_tracer tracer_set;
static void *tracer_context;

void {name}_trace({name}_tracer tracer, void *context)
{{
    tracer_set = tracer;
    tracer_context = context;
}}

/* Hands a signal to the tracer, if one is set. */
static void trace(int signal, const int64_t *values, int count)
{{
    if (tracer_set)
        tracer_set(tracer_context, signal, values, count);
}}
"""
    body = "\n\n".join(flow.source.parts)
    rest = f"{own}\n{body}\n\n{static_state if flow.lstms else ''}{reset}{flow_code}\n"
    about = f"The reference arithmetic of the model {flow.model.name!r}; written by fixedsim, see {name}.h."
    used = arithmetic_for(rest)
    return text.broken(f'{text.comment(about)}\n#include "{name}.h"\n\n{used}\n\n{rest}')
