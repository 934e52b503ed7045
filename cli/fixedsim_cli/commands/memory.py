"""``fixedsim memory``: what a network or a model stores at each bit width, and in which blocks of memory."""

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fixedsim
from fixedsim_cli.options import (
    PATH,
    arrangement,
    arrangement_options,
    bits_option,
    check_output,
    factor_lists_by_pattern,
    numbers,
    profile_option,
    refuse_given,
    require_few,
    require_one_form,
    table_options,
)

if TYPE_CHECKING:
    from fixedsim.accounting import ActivationMemory, Memory
    from fixedsim.model import Model
    from fixedsim.network import Description, Network

_OF_STORAGE = ("bias_bits", "keep_float", "target", "lanes", "pad_rows", "align", "ecc", "rule")
_OF_ACTIVATIONS = ("batch", "order")


@click.command("memory")
@click.argument("network")
@profile_option
@click.option(
    "--weight-bits",
    callback=numbers,
    metavar="N",
    help="Width of every weight; 1,2,4 or 1..8 gives one row for each.  [default: as trained, else 8]",
)
@click.option(
    "--activation-bits",
    callback=numbers,
    metavar="N",
    help="Width of every activation, likewise.  [default: as trained, else 8]",
)
@click.option("--bias-bits", type=int, metavar="N", help="Width of every bias.  [default: the profile's]")
@bits_option
@click.option("--keep-float", metavar="PATTERN", multiple=True, help="Layers that stay in float: 32 bits a parameter.")
@click.option(
    "--widen",
    callback=factor_lists_by_pattern,
    metavar="PATTERN=FACTOR",
    multiple=True,
    help="Layers to widen; 1,1.5,2 gives one row for each.",
)
@arrangement_options
@click.option("--steps", type=int, metavar="T", help="Show the memory of activations over T time steps instead.")
@click.option(
    "--batch", type=int, default=1, show_default=True, metavar="N", help="Sequences in lock step, with --steps."
)
@click.option(
    "--order",
    type=click.Choice(["sequence", "streaming"]),
    default="sequence",
    show_default=True,
    help="With --steps: each layer over the sequence, or each step through the layers.",
)
@click.option("--per", type=click.Choice(["layer", "tensor"]), default="layer", show_default=True, help="Rows to show.")
@click.option(
    "--plot", type=PATH, metavar="FILE", help="Also draw the layers, or with --steps the live bytes: .png, .svg."
)
@table_options
def command(
    network: str,
    per: str,
    steps: int | None,
    plot: Path | None,
    as_csv: bool,
    as_markdown: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Count what a network stores, at any bit widths, in any memory.

    Three counts side by side: the paper's law (a parameter takes its layer's weight bits), the exact bits of weights,
    biases, constants and tables, and the blocks of a memory. With --steps, the peak of the activations instead: per
    layer, or per tensor that is live at it.

    NETWORK is a preset (ptb-lm, deep-speech), a description in TOML, a file of weights, a model, or the name of a
    network that ships. No weights are needed.

    \b
    Example:
      fixedsim memory deep-speech --weight-bits 4 --widen 'fc[125]=1.25'
    """
    from fixedsim_cli.contents import load_source

    require_one_form(as_json, as_csv, as_markdown)
    if steps is None:
        refuse_given(_OF_ACTIVATIONS, "needs --steps: it is of the memory of activations")
    else:
        refuse_given(_OF_STORAGE, "must be left out with --steps: it is of storage, not of activations")
    if plot is not None:
        check_output(plot, (".png", ".svg"), network)
    source = load_source(network)
    grid = _grid(choices)
    if plot is not None and len(grid) > 1:
        raise click.UsageError("--plot needs one configuration, not several")
    if steps is None:
        found: Any = [(label, _storage(source, choices, each)) for label, each in grid]
    else:
        found = [(label, _activations(source, choices, each, steps)) for label, each in grid]
    _show(found, per, as_json, as_csv, as_markdown)
    if plot is not None:
        from fixedsim.accounting import plot as draw

        draw(found[0][1], plot)
    if steps is None:
        for _, account in found:
            account.require_fit()


def _show(found: "list[tuple[dict[str, Any], Any]]", per: str, as_json: bool, as_csv: bool, as_markdown: bool) -> None:
    from fixedsim_cli.memory_tables import print_counts, table_of
    from fixedsim_cli.output import print_json

    if not as_json:
        print_counts(table_of(found, per), as_csv, as_markdown)
        return
    documents = [{"choices": label, **account.to_dict()} for label, account in found]
    print_json(documents[0] if len(documents) == 1 else documents)


def _grid(choices: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The label and the arguments of each configuration."""
    axes: dict[str, list[Any]] = {
        "weight_bits": choices.pop("weight_bits") or [None],
        "activation_bits": choices.pop("activation_bits") or [None],
    }
    widen = choices.pop("widen")
    axes |= {f"widen {pattern}": listed for pattern, listed in widen.items()}
    require_few(axes.values())
    found = []
    for values in product(*axes.values()):
        label = {name: value for name, value in zip(axes, values, strict=True) if value is not None}
        grid = {
            "weight_bits": values[0],
            "activation_bits": values[1],
            "widen": dict(zip(widen, values[2:], strict=True)),
        }
        found.append((label, grid))
    return found


def _storage(source: "Description | Network | Model", choices: dict[str, Any], grid: dict[str, Any]) -> "Memory":
    rest = {name: choices[name] for name in ("profile", "bias_bits", "bits", "keep_float", "target")}
    return fixedsim.memory(source, arrangement=arrangement(choices), **rest, **grid)


def _activations(
    source: "Description | Network | Model", choices: dict[str, Any], grid: dict[str, Any], steps: int
) -> "ActivationMemory":
    rest = {name: choices[name] for name in ("profile", "bits", "batch", "order")}
    return fixedsim.activations(source, steps=steps, **rest, **grid)
