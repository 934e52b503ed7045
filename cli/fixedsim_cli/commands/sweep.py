"""``fixedsim sweep``: the perplexity of a network at many widths and under many profiles."""

import math
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fixedsim_cli.options import (
    PATH,
    bits_option,
    check_output,
    json_option,
    numbers,
    processes_option,
    require_few,
)

if TYPE_CHECKING:
    from fixedsim.sweep import Configuration, Result

_AXES = {"profile": "profile", "weight_bits": "weight bits", "activation_bits": "activation bits"}


@click.command("sweep")
@click.argument("network")
@click.option("--weights", type=PATH, help="File of weights, where NETWORK is a preset or a TOML description.")
@click.option("--text", type=PATH, metavar="FILE", required=True, help="Text to predict.")
@click.option("--vocab", type=PATH, metavar="FILE", required=True, help="Vocabulary: symbols in the order of tokens.")
@click.option("--tokens", type=click.IntRange(min=2), metavar="N", help="Only the first N tokens.")
@click.option("--unknown", metavar="SYMBOL", help="Symbol for what is not in the vocabulary.")
@click.option(
    "--profile",
    "profiles",
    metavar="NAME",
    multiple=True,
    default=("fixed-point",),
    show_default=True,
    help="Arithmetic of the hardware: a name or a TOML file; may be repeated.",
)
@click.option(
    "--weight-bits",
    callback=numbers,
    metavar="N",
    help="Widths of all weights: a list 2,4,8 or 1..8.  [default: as trained, else 8]",
)
@click.option(
    "--activation-bits",
    callback=numbers,
    metavar="N",
    help="Widths of all activations, likewise.  [default: as trained, else 8]",
)
@bits_option
@processes_option
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="FILE",
    required=True,
    help="Results, .jsonl: what stands there is not run again.",
)
@json_option
def command(
    network: str,
    weights: Path | None,
    text: Path,
    vocab: Path,
    tokens: int | None,
    unknown: str | None,
    processes: int,
    output: Path,
    as_json: bool,
    **choices: Any,
) -> None:
    """Measure the perplexity of a network at many widths and profiles.

    Quantizes the network in every combination of the lists and evaluates each on the text. A line of JSON is written
    for each as it comes, so that a sweep that was stopped goes on where it was.

    NETWORK is a file of weights, a description in TOML, or a name, as for quantize.

    \b
    Example:
      fixedsim sweep char-lm --text eval.txt --vocab vocab.json \\
        --weight-bits 2,4,8 -o found.jsonl
    """
    check_output(output, ".jsonl", network, weights, text, vocab)
    configurations = _configurations(choices)
    from fixedsim.evaluation import read_tokens, read_vocabulary
    from fixedsim.sweep import Task, sweep
    from fixedsim_cli.output import print_json, progress

    stream = read_tokens(text, read_vocabulary(vocab), limit=tokens, unknown=unknown)
    task = Task(network, stream, None if weights is None else str(weights))
    with progress("configurations", shown=not as_json) as move:
        show = None if move is None else lambda done, total, result: move(done, total)
        found = sweep(task, configurations, output, processes=processes, progress=show)
    if as_json:
        print_json([{**each, "perplexity": _finite(each["perplexity"])} for each in found])
    else:
        _print(configurations, found, output)


def _configurations(choices: dict[str, Any]) -> "list[Configuration]":
    """Every combination of the lists; a profile of a file goes in as it is now, and is named in the label."""
    axes = [choices["profiles"], choices["weight_bits"] or [None], choices["activation_bits"] or [None]]
    require_few(axes)
    from fixedsim.profiles import load_profile
    from fixedsim.sweep import Configuration

    profiles = {name: load_profile(name).to_dict() if name.endswith(".toml") else name for name in axes[0]}
    found = []
    for values in product(*axes):
        given = {name: value for name, value in zip(_AXES, values, strict=True) if value is not None}
        label = ", ".join(f"{_AXES[name]} {value}" for name, value in given.items())
        options = given | {"profile": profiles[values[0]]} | ({"bits": choices["bits"]} if choices["bits"] else {})
        found.append(Configuration(label, options))
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _print(configurations: "list[Configuration]", found: "list[Result]", output: Path) -> None:
    from fixedsim_cli.output import Column, print_table, say

    axes = [name for name in _AXES if name in configurations[0].options]
    columns = [Column(_AXES[name], name != "profile") for name in axes]
    columns += [Column("perplexity", True), Column("stored bytes", True)]
    rows = []
    for result in found:
        options = result["options"]
        profile = options["profile"]
        shown = options | {"profile": profile if isinstance(profile, str) else profile["name"]}
        size = f"{-(-result['storage_bits'] // 8):,}"
        rows.append([*(shown[name] for name in axes), f"{result['perplexity']:,.4f}", size])
    print_table(columns, rows)
    say(f"{output}: {len(found)} configurations over {found[0]['predictions']:,} predictions", apart=True)
