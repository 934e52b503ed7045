"""``fixedsim golden mutate``: altered copies of a golden set that a test bench must reject."""

from dataclasses import asdict
from pathlib import Path

import click

from fixedsim_cli.options import PATH, json_option


@click.command("mutate")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("-o", "--output", type=PATH, metavar="FOLDER", required=True, help="Folder for the copies, new or empty.")
@click.option("--count", type=int, default=22, show_default=True, metavar="N", help="Copies; the kinds come in turn.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of what is altered.")
@click.option("--entries", metavar="PATTERN", multiple=True, help="Expectations to alter.  [default: all]")
@json_option
def command(folder: Path, output: Path, count: int, seed: int, entries: tuple[str, ...], as_json: bool) -> None:
    """Write altered expectations that a test bench must reject.

    Each copy differs from the set in one place: a bit, a word, a step late, units or steps swapped, a file that is
    short, long or missing, a digit too many or an x. A bench that passes one of them does not check.

    \b
    Example:
      fixedsim golden mutate vectors -o mutations
    """
    from fixedsim_cli.output import Column, print_json, print_table
    from fixedsim_golden.mutation import mutate

    found = mutate(folder, output, seed=seed, count=count, entries=entries or ("*",))
    if as_json:
        print_json([asdict(each) for each in found])
    else:
        print_table((Column("copy"), Column("what was altered")), [(each.folder, each.text) for each in found])
