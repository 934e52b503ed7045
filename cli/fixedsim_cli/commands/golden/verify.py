"""``fixedsim golden verify``: digests, encodings and all results of a golden set."""

from dataclasses import asdict
from pathlib import Path

import click

from fixedsim_cli.options import PATH, json_option


@click.command("verify")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option(
    "--engine",
    type=click.Choice(["kernels", "spec"]),
    default="kernels",
    show_default=True,
    help="What computes the results again; spec is very slow.",
)
@json_option
def command(folder: Path, engine: str, as_json: bool) -> None:
    """Check a golden set and compute it again.

    Ends with status 1 at the first thing that is wrong: a file that is missing, changed or not of the set, or an
    integer that the set's own model does not give.

    \b
    Example:
      fixedsim golden verify vectors
    """
    from fixedsim_cli.output import print_json, progress, say
    from fixedsim_golden.verify import verify

    with progress("entries", shown=not as_json) as move:
        found = verify(folder, engine=engine, progress=move)
    if as_json:
        print_json({"set": str(folder), **asdict(found)})
        return
    say(f"{folder}: PASS, {found.words:,} words of {found.cases:,} cases in {found.files:,} files")
    say(f"digest {found.digest}")
