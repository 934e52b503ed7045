"""``fixedsim golden strength``: which neighbouring models a golden set tells apart."""

from dataclasses import asdict
from pathlib import Path

import click

from fixedsim_cli.options import PATH, json_option


@click.command("strength")
@click.argument("folder", metavar="DIR", type=PATH)
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Show which neighbouring models a set tells apart.

    Neighbours run on the set's stimuli. They have one cast with another rounding or overflow, an accumulator one bit
    below what is safe, one table entry off by one, gates swapped, inputs reversed, or a state that is stale. Those
    that are proven to compute the same are named as equivalent.

    \b
    Example:
      fixedsim golden strength vectors
    """
    from fixedsim_cli.golden_tables import print_strength
    from fixedsim_cli.output import print_json, progress
    from fixedsim_golden.strength import strength

    with progress("neighbours", shown=not as_json) as move:
        found = strength(folder, move)
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        print_strength(found)
