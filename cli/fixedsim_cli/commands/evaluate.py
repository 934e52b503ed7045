"""``fixedsim evaluate``: the perplexity of a language model on a text."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fixedsim_cli.options import PATH, json_option

if TYPE_CHECKING:
    from fixedsim.evaluation import Evaluation


@click.command("evaluate")
@click.argument("model", type=PATH)
@click.option("--text", type=PATH, metavar="FILE", required=True, help="Text to predict.")
@click.option("--vocab", type=PATH, metavar="FILE", required=True, help="Vocabulary: symbols in the order of tokens.")
@click.option("--tokens", type=click.IntRange(min=2), metavar="N", help="Only the first N tokens.")
@click.option("--float", "reference", metavar="NETWORK", help="Float network to compare with.")
@click.option("--unknown", metavar="SYMBOL", help="Symbol for what is not in the vocabulary.")
@json_option
def command(
    model: Path, text: Path, vocab: Path, tokens: int | None, reference: str | None, unknown: str | None, as_json: bool
) -> None:
    """Measure the perplexity of MODEL on a text, and what quantization costs.

    MODEL is a model, or a file of float weights.

    \b
    Example:
      fixedsim evaluate model.safetensors --text eval.txt --vocab vocab.json --float network.safetensors
    """
    import fixedsim
    from fixedsim.evaluation import evaluate, read_tokens, read_vocabulary
    from fixedsim_cli.contents import load_either
    from fixedsim_cli.output import print_json, progress

    loaded = load_either(model)
    compared = None if reference is None else fixedsim.load_network(reference)
    found = read_tokens(text, read_vocabulary(vocab), unknown)[:tokens]
    with progress("tokens", shown=not as_json) as move:
        evaluation = evaluate(loaded, found, compared, progress=move)
    if as_json:
        print_json(evaluation.to_dict())
    else:
        _print(evaluation)



