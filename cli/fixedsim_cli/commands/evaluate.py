"""``fixedsim evaluate``: the perplexity of a language model on a text."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fixedsim_cli.options import PATH, json_option

if TYPE_CHECKING:
    from fixedsim.evaluation import Evaluation


@click.command("evaluate")
@click.argument("model")
@click.option("--text", type=PATH, metavar="FILE", required=True, help="Text to predict.")
@click.option("--vocab", type=PATH, metavar="FILE", required=True, help="Vocabulary: symbols in the order of tokens.")
@click.option("--tokens", type=click.IntRange(min=2), metavar="N", help="Only the first N tokens.")
@click.option("--float", "reference", metavar="NETWORK", help="Float network to compare with.")
@click.option("--unknown", metavar="SYMBOL", help="Symbol for what is not in the vocabulary.")
@json_option
def command(
    model: str, text: Path, vocab: Path, tokens: int | None, reference: str | None, unknown: str | None, as_json: bool
) -> None:
    """Measure the perplexity of a language model on a text.

    MODEL is a model, or a float network: a file of weights or the name of one that ships.

    \b
    Example:
      fixedsim evaluate model.safetensors --text eval.txt --vocab vocab.json
    """
    import fixedsim
    from fixedsim.evaluation import evaluate, read_tokens, read_vocabulary
    from fixedsim_cli.contents import load_either
    from fixedsim_cli.output import print_json, progress

    loaded = load_either(model)
    compared = None if reference is None else fixedsim.load_network(reference)
    stream = read_tokens(text, read_vocabulary(vocab), limit=tokens, unknown=unknown)
    with progress("tokens", shown=not as_json) as move:
        evaluation = evaluate(loaded, stream, reference=compared, progress=move)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        _print(evaluation)


def _print(evaluation: "Evaluation") -> None:
    from fixedsim_cli.output import Column, decimals, print_table, say
    from fixedsim_cli.overflows import print_overflows

    float_perplexity = evaluation.reference_perplexity
    row = [f"{evaluation.predictions:,}", f"{evaluation.perplexity:,.4f}", f"{evaluation.bits_per_token:.4f}"]
    columns = [Column("predictions", True), Column("perplexity", True), Column("bits per token", True)]
    if float_perplexity is not None:
        row += [f"{float_perplexity:,.4f}", f"{100 * (evaluation.perplexity / float_perplexity - 1):+.2f} %"]
        columns += [Column("float perplexity", True), Column("against float", True)]
    print_table(columns, [row])
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
