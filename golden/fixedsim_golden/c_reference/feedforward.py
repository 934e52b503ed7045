"""The embedding and the fully connected layer as C functions ``<symbol>(input, output)``."""

from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.parts import Bias
from fixedsim.profiles.datapath import BiasStage
from fixedsim_golden.c_reference import spans, text
from fixedsim_golden.c_reference.accumulation import Vector, accumulate, products
from fixedsim_golden.c_reference.narrowing import describe, narrow, row_scale
from fixedsim_golden.c_reference.source import Source
from fixedsim_golden.c_reference.spans import Span
from fixedsim_golden.c_reference.stages import Stages, declared, function, less
from fixedsim_golden.c_reference.text import Constant

VECTORS = "(const int64_t *input, int64_t *output)"


def embedding(source: Source, symbol: str, layer: Embedding) -> None:
    """Add the function of an embedding: ``output <- table[token]``, narrowed by the constants of that entry."""
    stage, subject = layer.datapath.output, f"{layer.name}.output"
    table = source.array(f"{symbol}_table", layer.table.tolist(), subject)
    scale = row_scale(source, f"{symbol}_output", stage, layer.multiplier.tolist(), layer.shift.tolist(), subject)
    narrowed = narrow("value", spans.of(layer.table.reshape(-1).tolist()), stage, subject, scale)
    width = layer.table.shape[1]
    body = (
        f"    int unit = (int)input[0], k;\n    int64_t value;\n\n    for (k = 0; k < {width}; k++) {{\n"
        f"{text.comment('output: ' + describe(stage, 'entry', scale), '        ')}\n"
        f"        value = {table}[unit][k];\n        output[k] = {narrowed};\n    }}\n"
        f"    {source.trace(f'{layer.name}.output', 'output', width)}\n"
    )
    source.add(function(source.symbol(symbol) + VECTORS, body, f"{layer.name}: the entry of a token, which is a row."))


def biases(
    source: Source, prefix: str, bias: Bias, rows: slice, stage: BiasStage, folds: list[int], subject: str
) -> tuple[Constant, Constant | None, Constant | None]:
    """What the accumulators of some rows start with, add last, and what is added to the sums; None where nothing is."""
    values = [int(value) for value in bias.value[rows]]
    start = [fold + (value if stage is BiasStage.FIRST else 0) for fold, value in zip(folds, values, strict=True)]

    def added(name: str, wanted: BiasStage) -> Constant | None:
        if stage is not wanted:
            return None
        return source.constant(prefix, name, values, subject)

    first = source.constant(prefix, "start", start, subject)
    return first, added("last", BiasStage.LAST), added("late", BiasStage.PREACTIVATION)


def late_sum(value: str, span: Span, late: Constant | None) -> tuple[str, Span]:
    """A sum with the bias that enters after it, and its range."""
    return (value, span) if late is None else (f"{value} + {late.text}", span.plus(late.span))


def linear(source: Source, symbol: str, layer: Linear) -> None:
    """Add the function of a fully connected layer, which traces its four signals."""
    path, rows = layer.datapath, slice(0, layer.matrix.rows)
    subject = f"sums of {layer.name}"
    zero_point = path.input.zero_point
    read = spans.raws(path.input).less(0 if path.folded_zero_point else zero_point)
    folds = layer.matrix.fold(zero_point if path.folded_zero_point else 0).tolist()
    start, last, late = biases(source, symbol, layer.bias, rows, path.bias_stage, folds, subject)
    part = products(source, symbol, rows, layer.matrix, Vector("read", read, 0, layer.name), path.accumulator)
    call, total = accumulate(source, f"{layer.name}.accumulator", [part], path.accumulator, start, last)
    constants = layer.matrix.multiplier.tolist(), layer.matrix.shift.tolist()
    scale = row_scale(source, f"{symbol}_sum", path.sum, *constants, subject)
    stages = Stages(source, layer.name)
    stages.add(f"accumulator[unit] = {call};")
    span = stages.narrow("sum[unit]", "accumulator[unit]", total, path.sum, scale)
    added, span = late_sum(less("sum[unit]", path.sum.format.zero_point), span, late)
    stages.narrow("preactivation[unit]", added, span, path.preactivation)
    stages.activate(
        "output[unit]", "preactivation[unit]", spans.raws(path.preactivation.format), path.activation, path.output
    )
    _finish_linear(
        source, symbol, layer, part.code, stages, less("input[k]", 0 if path.folded_zero_point else zero_point)
    )


def _finish_linear(source: Source, symbol: str, layer: Linear, code: str, stages: Stages, read: str) -> None:
    rows, inputs = layer.matrix.rows, layer.matrix.inputs
    vectors = declared(["accumulator", "sum", "preactivation"], rows)
    stages.lines.insert(0, code.rstrip("\n"))
    traces = [("accumulator",) * 2, ("sum",) * 2, ("preactivation",) * 2, ("output",) * 2]
    body = (
        f"{vectors}    int64_t read[{inputs}], addends[{inputs}], value;\n    int unit, k;\n\n"
        f"    for (k = 0; k < {inputs}; k++)\n        read[k] = {read};\n{stages.loop(rows)}"
    )
    for name, values in traces:
        body += f"    {source.trace(f'{layer.name}.{name}', values, rows)}\n"
    note = f"{layer.name}: a fully connected layer of {inputs} inputs and {rows} outputs."
    source.add(function(source.symbol(symbol) + VECTORS, body, note))
