"""``fixedsim demo``: the main job on the small trained model that ships."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fixedsim_cli.options import PATH, json_option

if TYPE_CHECKING:
    from fixedsim.demo import DemoRow
    from fixedsim_golden.verify import Verified

GOLDEN = "golden"  # folder of the golden set
_SHOWN = (4, 8)  # widths of the model that it is of


@click.command("demo")
@click.option("-o", "--output", "folder", type=PATH, metavar="FOLDER", default="demo", help="Where the models go.")
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Quantize, check and evaluate a small trained model.

    The model reads and predicts characters (LSTM of 100 units) and ships with fixedsim. Models of several widths, a
    plot, and the golden vectors of one of them, written and verified, go into FOLDER. The first time, the kernels are
    compiled, which takes a while.

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
    chosen = next(row for row in rows if (row.weight_bits, row.activation_bits) == _SHOWN)
    verified = _golden(folder / chosen.file, folder / GOLDEN)
    if as_json:
        print_json({"models": [asdict(row) for row in rows], "golden": asdict(verified)})
        return
    _print(rows)
    _print_memory(folder / chosen.file)
    say(f"{folder / GOLDEN}: {verified.words:,} golden words written, and verified", apart=True)
    say(f"Models are in {folder}. {drawn}")


def _golden(model: Path, folder: Path) -> "Verified":
    """Write and verify the golden set of a model."""
    from fixedsim.model import load_model
    from fixedsim_golden.stimuli import make_cases
    from fixedsim_golden.verify import verify
    from fixedsim_golden.writing import write

    loaded = load_model(model)
    write(loaded, folder, make_cases(loaded, "smoke").cases, level="smoke", force=folder.exists())
    return verify(folder)


def _print_memory(model: Path) -> None:
    import fixedsim
    from fixedsim_cli.memory_tables import layer_table, print_counts
    from fixedsim_cli.output import say

    say(f"What {model.name} stores:", apart=True)
    print_counts(layer_table(fixedsim.memory(fixedsim.load_model(model))), False, False)


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
