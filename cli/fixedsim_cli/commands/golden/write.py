"""``fixedsim golden write``: the golden set of a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fixedsim
from fixedsim_cli.options import PATH, json_option, waive_option

if TYPE_CHECKING:
    from fixedsim.model import Model
    from fixedsim_golden.coverage import SiteCoverage
    from fixedsim_golden.encodings import Layout

_ENCODINGS = ("hex", "bin", "mem", "coe", "mif", "ihex", "c", "sv", "vhdl")


@click.command("write")
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, metavar="DIR", required=True, help="Folder to write.")
@click.option(
    "--level",
    type=click.Choice(["smoke", "full", "user"]),
    default="smoke",
    show_default=True,
    help="Directed corners; or also a search for all that are open; or --inputs alone.",
)
@click.option(
    "--inputs",
    type=PATH,
    metavar="FILE",
    multiple=True,
    help="Your sequences, .npy as run takes them; they come first.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Seed of all that is drawn.")
@click.option("--signals", metavar="PATTERN", multiple=True, help="Signals to keep.  [default: all]")
@click.option(
    "--encoding",
    "encodings",
    type=click.Choice(_ENCODINGS),
    multiple=True,
    help="Files beside .npy.  [default: hex]",
)
@click.option("--lanes", type=int, default=1, show_default=True, metavar="N", help="Weights in one word.")
@click.option(
    "--signal-lanes", type=int, default=1, show_default=True, metavar="N", help="Units of a signal in one word."
)
@click.option(
    "--lane-order", type=click.Choice(["lsb", "msb"]), default="lsb", show_default=True, help="Where element 0 stands."
)
@click.option(
    "--align", type=int, default=1, show_default=True, metavar="N", help="A value takes a multiple of N bits."
)
@click.option(
    "--extend", type=click.Choice(["zero", "sign"]), default="zero", show_default=True, help="What fills them."
)
@click.option("--pad-rows", is_flag=True, help="Begin each row of a matrix in a word of its own.")
@click.option("--word-bits", type=int, metavar="N", help="Fill words of weights to N bits.")
@click.option(
    "--order", type=click.Choice(["out_in", "in_out"]), default="out_in", show_default=True, help="Axes of matrices."
)
@click.option("--gate-order", metavar="ORDER", help="Gates of an LSTM as letters.  [default: ifgo]")
@click.option("--append-bias", is_flag=True, help="Also write matrices with the bias as the last column.")
@waive_option
@click.option("--force", is_flag=True, help="Replace a set that is there.")
@json_option
def command(
    model: Path,
    output: Path,
    level: str,
    inputs: tuple[Path, ...],
    seed: int,
    signals: tuple[str, ...],
    encodings: tuple[str, ...],
    append_bias: bool,
    waive: dict[str, str],
    force: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Write the golden set of a model.

    A set holds the model's integers, stimuli, every signal, and a manifest with digests. Stimuli are directed corners
    first, then seeded random ones; --level full also drives every row to its extremes and searches for the corners of
    casts and tables that are still open. The same command gives the same bytes everywhere, and a run that is stopped
    leaves the old set or none.

    \b
    Example:
      fixedsim golden write model.safetensors -o vectors --level full
    """
    from fixedsim_cli.golden_tables import print_written
    from fixedsim_cli.output import print_json, progress
    from fixedsim_golden.coverage import summarize
    from fixedsim_golden.stimuli import make_cases
    from fixedsim_golden.writing import Files, write

    loaded = fixedsim.load_model(model)
    tensors, units = _layouts(choices)
    files = Files(encodings or ("hex",), tensors, units, with_bias=append_bias)
    sequences = [sequence for path in inputs for sequence in _sequences(loaded, path)]
    with progress("search", shown=not as_json) as move:
        covered = make_cases(loaded, level, seed=seed, inputs=sequences, progress=move)
    coverage = summarize(covered, waive)
    with progress("entries", shown=not as_json) as move:
        write(
            loaded,
            output,
            covered.cases,
            signals=signals or ("*",),
            files=files,
            level=level,
            seed=seed,
            coverage=[site.to_dict() for site in coverage],
            force=force,
            progress=move,
        )
    if as_json:
        print_json(_document(output, coverage))
    else:
        print_written(output, coverage)


def _layouts(choices: dict[str, Any]) -> "tuple[Layout, Layout]":
    from fixedsim_golden.encodings import Layout

    shared = {name: choices[name] for name in ("lane_order", "align", "extend")}
    own = {name: choices[name] for name in ("lanes", "pad_rows", "word_bits", "order", "gate_order")}
    return Layout(**shared, **own), Layout(**shared, lanes=choices["signal_lanes"], pad_rows=True)


def _sequences(model: "Model", path: Path) -> list[Any]:
    """The sequences of a file: one, or one for each of its batch."""
    from fixedsim_cli.data_files import read_array
    from fixedsim_golden.sequences import sequences_of

    return sequences_of(model, read_array(path), str(path))


def _document(output: Path, coverage: "list[SiteCoverage]") -> dict[str, Any]:
    from fixedsim_golden.sets import GoldenSet

    manifest = GoldenSet.open(output).manifest
    return {
        "set": str(output),
        "digest": manifest.digest,
        "cases": len(manifest.cases),
        "steps": sum(case.steps for case in manifest.cases),
        "files": len(manifest.files) + 1,
        "words": sum(entry.words for entry in manifest.entries),
        "coverage": [site.to_dict() for site in coverage],
    }
