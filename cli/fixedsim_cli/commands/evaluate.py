"""``fixedsim evaluate``: the perplexity of language models on a text."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fixedsim_cli.options import PATH, json_option, processes_option

if TYPE_CHECKING:
    from fixedsim.evaluation import Evaluation
    from fixedsim_cli.output import Column


@click.command("evaluate")
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option("--text", type=PATH, metavar="FILE", required=True, help="Text to predict.")
@click.option("--vocab", type=PATH, metavar="FILE", required=True, help="Vocabulary: symbols in the order of tokens.")
@click.option("--tokens", type=click.IntRange(min=2), metavar="N", help="Only the first N tokens.")
@click.option("--float", "reference", metavar="NETWORK", help="Float network to compare with.")
@click.option("--unknown", metavar="SYMBOL", help="Symbol for what is not in the vocabulary.")
@processes_option
@json_option
def command(
    models: tuple[str, ...],
    text: Path,
    vocab: Path,
    tokens: int | None,
    reference: str | None,
    unknown: str | None,
    processes: int,
    as_json: bool,
) -> None:
    """Measure the perplexity of language models on a text.

    MODEL is a model, or a float network: a file of weights or the name of one that ships. Of several, the table has a
    row for each.

    \b
    Example:
      fixedsim evaluate model.safetensors --text eval.txt --vocab vocab.json
    """
    import fixedsim
    from fixedsim.evaluation import evaluate, read_tokens, read_vocabulary
    from fixedsim.evaluation.several import evaluate_several, load_either
    from fixedsim_cli.output import print_json, progress

    if len(models) > 1:
        stream = read_tokens(text, read_vocabulary(vocab), limit=tokens, unknown=unknown)
        with progress("models", shown=not as_json) as move:
            found = evaluate_several(models, stream, reference=reference, processes=processes, progress=move)
        if as_json:
            print_json([{"model": name, **each.to_dict()} for name, each in zip(models, found, strict=True)])
        else:
            _print_several(models, found)
        return
    loaded = load_either(models[0])
    compared = None if reference is None else fixedsim.load_network(reference)
    stream = read_tokens(text, read_vocabulary(vocab), limit=tokens, unknown=unknown)
    with progress("tokens", shown=not as_json) as move:
        evaluation = evaluate(loaded, stream, reference=compared, progress=move)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        _print(evaluation)


def _columns(compared: bool) -> "list[Column]":
    from fixedsim_cli.output import Column

    names = ["predictions", "perplexity", "bits per token"] + ["float perplexity", "against float"] * compared
    return [Column(name, True) for name in names]


def _row(evaluation: "Evaluation") -> list[str]:
    row = [f"{evaluation.predictions:,}", f"{evaluation.perplexity:,.4f}", f"{evaluation.bits_per_token:.4f}"]
    wanted = evaluation.reference_perplexity
    return row if wanted is None else [*row, f"{wanted:,.4f}", f"{100 * (evaluation.perplexity / wanted - 1):+.2f} %"]


def _print_several(models: Sequence[str], found: "Sequence[Evaluation]") -> None:
    from fixedsim_cli.output import Column, print_table, say

    compared = found[0].reference_perplexity is not None
    rows = [(name, *_row(each)) for name, each in zip(models, found, strict=True)]
    print_table([Column("model"), *_columns(compared)], rows)
    inexact = [name for name, each in zip(models, found, strict=True) if each.real_layers]
    if inexact:
        say(f"not bit-exact: {', '.join(inexact)} in floating point, whole or in part", apart=True)


def _print(evaluation: "Evaluation") -> None:
    from fixedsim_cli.output import Column, decimals, print_table, say
    from fixedsim_cli.overflows import print_overflows

    print_table(_columns(evaluation.reference_perplexity is not None), [_row(evaluation)])
    if evaluation.snr:
        signals = [
            (name, "exact" if math.isinf(ratio) and ratio > 0 else decimals(ratio, 1))
            for name, ratio in evaluation.snr.items()
        ]
        print_table((Column("signal"), Column("SNR dB", True)), signals, title="signals against float")
    if evaluation.overflows:
        print_overflows({name: asdict(count) for name, count in evaluation.overflows.items()})
    if evaluation.real_layers:
        say(f"not bit-exact: {', '.join(evaluation.real_layers)} in floating point", apart=True)
