"""What an importer understood of a file, and what a check of it found, as tables and sentences."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from fixedsim.importers import ImportedNetwork
from fixedsim.importers.checking import Alternative, Checked, check_conventions
from fixedsim.network import EmbeddingLayer, Layer, LinearLayer, LstmLayer
from fixedsim_cli.data_files import read_array
from fixedsim_cli.output import Column, print_table, progress, say, shape_text

_LAYER_COLUMNS = (
    Column("layer"),
    Column("kind"),
    Column("inputs", True),
    Column("outputs", True),
    Column("choices"),
    Column("parameters", True),
)
_TENSOR_COLUMNS = (Column("tensor"), Column("shape"), Column("parameters", True))


def print_imported(imported: ImportedNetwork) -> None:
    """Print the layers, the tensors and the conventions of a network that was imported."""
    description = imported.network.description
    counts = description.parameters()
    say(f"{imported.source}: network {description.name} from {imported.kind}, {imported.parameters:,} parameters")
    layers = [
        (layer.name, layer.kind, _inputs(layer), layer.output_width, ", ".join(_choices(layer)), f"{total:,}")
        for layer in description.layers
        for total in [sum(counts[name] for name in layer.tensors())]
    ]
    print_table(_LAYER_COLUMNS, layers, title="layers")
    tensors = [(name, shape_text(shape), f"{counts[name]:,}") for name, shape in description.tensors().items()]
    print_table(_TENSOR_COLUMNS, tensors, title="tensors")
    for number, note in enumerate(imported.notes):
        say(note, apart=number == 0)


def _inputs(layer: Layer) -> int:
    return layer.vocabulary if isinstance(layer, EmbeddingLayer) else layer.inputs


def _choices(layer: Layer) -> Iterator[str]:
    """What a layer does that its sizes don't tell."""
    if isinstance(layer, LinearLayer):
        yield layer.activation if layer.clip is None else f"{layer.activation} at {layer.clip:g}"
    if isinstance(layer, LstmLayer):
        yield from _lstm_choices(layer)
    if not isinstance(layer, EmbeddingLayer) and not layer.bias:
        yield "no bias"


def _lstm_choices(layer: LstmLayer) -> Iterator[str]:
    functions = (layer.gate, layer.candidate, layer.cell_activation)
    yield f"gates {functions[0]}, candidate {functions[1]}, cell {functions[2]}"
    yield "both directions" if layer.bidirectional else "time backwards" if layer.reverse else "time forwards"
    if layer.forget_bias:
        yield f"forget bias {layer.forget_bias:g} at run time"
    if layer.steps == "last":
        yield "last step only"
    if layer.projection is not None:
        yield f"{layer.units} units projected"
    yield from (key for key in ("peephole", "coupled") if getattr(layer, key))
    for key in ("clip", "cell_clip"):
        if getattr(layer, key) is not None:
            yield f"{key} {getattr(layer, key):g}"
    if layer.initial:
        yield "initial state in the file"


def checked_file(imported: ImportedNetwork, choices: Mapping[str, Any], *, shown: bool) -> Checked:
    """The network checked with the recorded arrays that ``choices`` name."""
    inputs, outputs = (read_array(path) for path in choices["check"])
    with progress("conventions", shown=shown) as move:
        return check_conventions(
            imported,
            inputs,
            outputs,
            tolerance=choices["tolerance"],
            batch_first=True if choices["batch_first"] else None,
            progress=move,
        )


def print_checked(checked: Checked) -> None:
    """Print whether the network agrees with what was recorded, and under which other conventions it does."""
    verdict = "agrees with" if checked.agrees else "differs from"
    limit = f"{'at most' if checked.agrees else 'more than'} {checked.tolerance:g}"
    say(
        f"check: the network {verdict} the recorded outputs by {checked.difference:.2g} of the largest, {limit}, "
        f"over {checked.values:,} values",
        apart=True,
    )
    say(f"read as {'; '.join(checked.reading)}")
    if checked.agrees:
        if checked.agreeing:
            say("these inputs can't tell it from other conventions, which agree as well:", apart=True)
            _print_alternatives(checked.agreeing)
        return
    tried = f"{checked.tried:,} conventions, at most {checked.changes_at_once} changes at a time"
    if not checked.agreeing:
        say(f"none of {tried}, agrees; the closest:", apart=True)
        _print_alternatives(checked.closest)
        return
    several = (
        "one agrees"
        if len(checked.agreeing) == 1
        else f"{len(checked.agreeing)} agree, which these inputs can't tell apart"
    )
    say(f"of {tried}, {several}:", apart=True)
    _print_alternatives(checked.agreeing)
    for alternative in checked.agreeing:
        if alternative.options is not None:
            say(shlex.join(_command_line(alternative.options)), apart=True)


def _print_alternatives(alternatives: Sequence[Alternative]) -> None:
    rows = [
        (
            "; ".join(alternative.changes),
            "no option says it" if alternative.options is None else shlex.join(alternative.options),
            f"{alternative.difference:.2g}",
        )
        for alternative in alternatives
    ]
    print_table((Column("convention"), Column("stated by"), Column("difference", True)), rows)


def _command_line(options: Sequence[str]) -> Iterator[str]:
    """The running command with ``options`` in place of those of the same name; repeated ones are kept."""
    ctx = click.get_current_context()
    yield from ("fixedsim", "import", str(ctx.params["source"]))
    left_out = {option.partition("=")[0] for option in options} - {"--convention"} | {"-o"}
    if ctx.params["output"] is not None:
        left_out |= {"--check", "--tolerance", "--batch-first"}
    for option in ctx.command.params:
        given = ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if isinstance(option, click.Option) and given and option.opts[0] not in left_out:
            yield from _written(option, ctx.params[option.name or ""])
    yield from options
    if ctx.params["output"] is not None:
        yield from ("-o", str(ctx.params["output"]))


def _written(option: click.Option, value: Any) -> Iterator[str]:
    """An option and its value or values as they are written on a command line."""
    if option.is_flag:
        yield option.opts[0]
    elif option.nargs > 1:
        yield from (option.opts[0], *map(str, value))
    else:
        yield from (f"{option.opts[0]}={each}" for each in (value if option.multiple else [value]))
