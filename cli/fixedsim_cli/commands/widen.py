"""``fixedsim widen``: a wider network that computes the same function."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

import fixedsim
from fixedsim_cli.options import PATH, check_output, factors_by_pattern, json_option

if TYPE_CHECKING:
    from fixedsim.network import Description

_NUMBERS = ("width", "wider", "parameters", "wider_parameters")


@click.command("widen")
@click.argument("network")
@click.option("--weights", type=PATH, help="File of weights, where NETWORK is a preset or a TOML description.")
@click.option(
    "--widen",
    "factors",
    callback=factors_by_pattern,
    metavar="PATTERN=FACTOR",
    multiple=True,
    required=True,
    help="Layers to widen, and by how much: 1.25 is a quarter more.",
)
@click.option(
    "--noise",
    type=float,
    default=0.0,
    show_default=True,
    metavar="X",
    help="Noise on added units, as a share of the root mean square of each tensor.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of the noise.")
@click.option("-o", "--output", type=PATH, metavar="WIDER", required=True, help="Network to write, .safetensors.")
@json_option
def command(
    network: str,
    weights: Path | None,
    factors: dict[str, float],
    noise: float,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Write a wider network that computes the same function, to be trained on.

    Units are copied, and the weights that read them are shared among the copies. Noise makes the copies differ, so
    that training can use them.

    NETWORK is a file of weights that fixedsim import reads, a description in TOML, or a name, as for quantize.

    \b
    Example:
      fixedsim widen network.safetensors --widen lstm=1.5 -o wider.safetensors
    """
    check_output(output, ".safetensors", network, weights)
    narrow = fixedsim.load_network(network, weights)
    widened = fixedsim.widen(narrow, factors, noise=noise, seed=seed)
    widened.network.save(output)
    _report(narrow.description, widened.network.description, output, as_json)


def _parameters(tensors: Mapping[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in tensors.values())


def _report(narrow: "Description", wide: "Description", output: Path, as_json: bool) -> None:
    from fixedsim_cli.output import Column, print_json, print_table, say

    rows = [
        {
            "layer": before.name,
            "width": before.output_width,
            "wider": after.output_width,
            "parameters": _parameters(before.tensors()),
            "wider_parameters": _parameters(after.tensors()),
        }
        for before, after in zip(narrow.layers, wide.layers, strict=True)
    ]
    totals = [sum(description.parameters().values()) for description in (narrow, wide)]
    if as_json:
        print_json({"network": str(output), "parameters": totals[0], "wider_parameters": totals[1], "layers": rows})
        return
    columns = (
        Column("layer"),
        Column("outputs", True),
        Column("wider", True),
        Column("parameters", True),
        Column("wider", True),
    )
    print_table(columns, [(row["layer"], *(f"{row[key]:,}" for key in _NUMBERS)) for row in rows])
    growth = 100 * (totals[1] / totals[0] - 1)
    say(f"{output}: {totals[1]:,} parameters, {growth:+.2f} % of the {totals[0]:,} before", apart=True)
