"""``fixedsim plan``: which layers to widen, and what bits and widths a budget of storage buys."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fixedsim
from fixedsim.errors import InputError
from fixedsim_cli.options import (
    ARRANGEMENT,
    PATH,
    arrangement,
    arrangement_options,
    check_output,
    numbers,
    processes_option,
    profile_option,
    refuse_given,
    require_one_form,
    table_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixedsim.network import Description, Network
    from fixedsim.planning import Evaluate

_OF_TRIALS = ("text", "vocab", "unknown", "tokens", "results", "processes")


@click.command("plan")
@click.argument("network")
@click.option(
    "--weight-bits",
    callback=numbers,
    default="1,2,3,4,6,8",
    show_default=True,
    metavar="N",
    help="Widths of weights to choose from: a list or 1..8.",
)
@click.option(
    "--activation-bits", type=int, metavar="N", help="Width of every activation.  [default: as trained, else 8]"
)
@profile_option
@click.option(
    "--layers", metavar="PATTERN", multiple=True, help="Layers to widen, in place of those that are ranked first."
)
@click.option("--budget", type=int, metavar="N", help="Bytes, or blocks with --by blocks, that the plan may take.")
@click.option(
    "--max-perplexity", type=float, metavar="X", help="Perplexity that the plan must not exceed; needs --text."
)
@click.option(
    "--by",
    "measure",
    type=click.Choice(["exact", "law", "blocks"]),
    default="exact",
    show_default=True,
    help="What counts: exact bytes, those of the paper's law, or blocks.",
)
@click.option(
    "--count", "tensors", metavar="PATTERN", multiple=True, help="Only these stored tensors count.  [default: all]"
)
@arrangement_options
@click.option("--weights", type=PATH, help="File of weights, where NETWORK is a preset or a TOML description.")
@click.option("--text", type=PATH, metavar="FILE", help="Text to predict, layer by layer at few bits.")
@click.option("--vocab", type=PATH, metavar="FILE", help="Vocabulary of the text.")
@click.option("--unknown", metavar="SYMBOL", help="Symbol for what is not in the vocabulary.")
@click.option("--tokens", type=click.IntRange(min=2), metavar="N", help="Only the first N tokens.")
@click.option(
    "--results", type=PATH, metavar="FILE", help="Results of evaluations, .jsonl: what stands there is not run again."
)
@processes_option
@click.option("--plot", type=PATH, metavar="FILE", help="Also draw the frontier: .png, .svg.")
@table_options
def command(
    network: str,
    weights: Path | None,
    plot: Path | None,
    as_csv: bool,
    as_markdown: bool,
    as_json: bool,
    **choices: Any,
) -> None:
    """Plan a neuron increase: fewer bits, wider layers, within the same storage.

    Ranks the layers by size, compute and, with --text, by what few bits in each alone do to perplexity; shows how wide
    the chosen ones can be at each width of the weights; and with --budget or --max-perplexity gives the cheapest plan.

    NETWORK is a preset (ptb-lm, deep-speech), a description in TOML, a file of weights, or the name of a network that
    ships. Weights are read only with --text. --csv prints the frontier alone.

    \b
    Example:
      fixedsim plan deep-speech --weight-bits 2,4,8 --by law
    """
    require_one_form(as_json, as_csv, as_markdown)
    trial = {name: choices.pop(name) for name in _OF_TRIALS}
    _check_trial(trial, weights, choices["max_perplexity"])
    if plot is not None:
        check_output(plot, (".png", ".svg"), network, weights, trial["text"], trial["vocab"], trial["results"])
    from fixedsim_cli.output import print_json, progress
    from fixedsim_cli.plan_tables import print_plan

    source = _source(network)
    how = arrangement(choices)
    for name in ARRANGEMENT:
        del choices[name]
    with progress("evaluations", shown=not as_json) as move:
        evaluate = None if trial["text"] is None else _evaluator(network, weights, trial, move)
        found = fixedsim.plan(source, arrangement=how, evaluate=evaluate, **choices)
    if as_json:
        print_json(found.to_dict())
    else:
        print_plan(found, as_csv, as_markdown)
    if plot is not None:
        from fixedsim.planning import plot as draw

        draw(found, plot)


def _check_trial(trial: dict[str, Any], weights: Path | None, max_perplexity: float | None) -> None:
    if trial["text"] is None:
        refuse_given([name for name in _OF_TRIALS if name != "text"] + ["weights"], "needs --text")
        if max_perplexity is not None:
            raise click.UsageError("--max-perplexity needs --text to evaluate")
    elif trial["vocab"] is None:
        raise click.UsageError("--text needs --vocab: it turns the text into tokens")


def _source(name: str) -> "Description | Network":
    from fixedsim.model import Model
    from fixedsim_cli.contents import load_source

    source = load_source(name)
    if isinstance(source, Model):
        raise InputError(f"{name} must be a network or its description, not a model: its widths are chosen already")
    return source


def _evaluator(
    network: str, weights: Path | None, trial: dict[str, Any], move: "Callable[[int, int], None] | None"
) -> "Evaluate":
    from fixedsim.evaluation import read_tokens, read_vocabulary
    from fixedsim.planning import evaluator
    from fixedsim.sweep import Task

    vocabulary = read_vocabulary(trial["vocab"])
    tokens = read_tokens(trial["text"], vocabulary, limit=trial["tokens"], unknown=trial["unknown"])
    task = Task(network, tokens, None if weights is None else str(weights))
    show = None if move is None else lambda done, total, result: move(done, total)
    return evaluator(task, trial["results"], processes=trial["processes"], progress=show)
