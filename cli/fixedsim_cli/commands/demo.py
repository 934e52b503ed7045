"""``fixedsim demo``: the main job on the small trained model that ships."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fixedsim_cli.options import PATH, json_option

if TYPE_CHECKING:
    from fixedsim.demo import DemoRow


@click.command("demo")
@click.option("-o", "--output", "folder", type=PATH, metavar="FOLDER", default="demo", help="Where the models go.")
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Quantize, check and evaluate a small trained model.

    The model reads and predicts characters (LSTM of 100 units) and ships with fixedsim. Models of several widths and a
    plot go into FOLDER. The first time, the kernels are compiled, which takes a while.

    \b
    Example:
      fixedsim demo -o demo
    """
    from dataclasses import asdict

    from fixedsim.demo import PLOT, demo, draw
    from fixedsim.errors import DependencyError
    from fixedsim_cli.output import print_json, progress, say

    with progress("models", shown=not as_json) as move:
        rows = demo(folder, move)
    try:
        draw(rows, folder / PLOT)
        drawn = f"{folder / PLOT} shows perplexity over storage."
    except DependencyError as error:
        drawn = f"No plot: {error}"
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    _print(rows)
    say(f"Models are in {folder}. {drawn}")


def _print(rows: "list[DemoRow]") -> None:
    from fixedsim_cli.output import Column, print_table, say

    columns = [
        Column("trained as"),
        Column("profile"),
        Column("weight bits", True),
        Column("activation bits", True),
        Column("storage, bytes", True),
        Column("of fp32", True),
        Column("perplexity", True),
        Column("against real", True),
    ]
    cells = [
        (
            row.training,
            row.profile,
            row.weight_bits,
            row.activation_bits,
            f"{row.storage_bytes:,}",
            f"{100 * row.share:.1f} %",
            f"{row.perplexity:.3f}",
            f"{100 * (row.perplexity / row.reference - 1):+.2f} %",
        )
        for row in rows
    ]
    print_table(columns, cells, "A character language model, quantized")
    compared = sum(row.compared for row in rows)
    say("Perplexity is per character; it stands against the same network's in real numbers.", apart=True)
    say(f"{compared:,} integers computed by the kernels and by the scalar specification: all equal.")
