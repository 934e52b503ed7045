"""``fixedsim quantize``: a network's float weights to an integer model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fixedsim
from fixedsim.errors import InputError
from fixedsim_cli.options import PATH, bits_option, check_output, json_option, profile_option, ranges_by_pattern

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fixedsim.model import Model


@click.command("quantize")
@click.argument("network")
@click.option("--weights", type=PATH, help="File of weights, where NETWORK is a preset or a TOML description.")
@profile_option
@click.option(
    "--weight-bits", type=int, metavar="N", help="Width of every weight, 1..16.  [default: as trained, else 8]"
)
@click.option(
    "--activation-bits", type=int, metavar="N", help="Width of every activation, 1..16.  [default: as trained, else 8]"
)
@bits_option
@click.option(
    "--range",
    "ranges",
    callback=ranges_by_pattern,
    metavar="PATTERN=LOW:HIGH",
    multiple=True,
    help="Range of activations, instead of calibration.",
)
@click.option("--calibrate", type=PATH, metavar="FILE", help="Inputs of a float run: .npy, or a text with --vocab.")
@click.option(
    "--range-method",
    type=click.Choice(["min_max", "percentile", "least_squares"]),
    default="min_max",
    show_default=True,
    help="How the calibration becomes ranges.",
)
@click.option(
    "--percentile",
    type=float,
    default=99.99,
    show_default=True,
    metavar="X",
    help="Share of samples that a range keeps, in per cent.",
)
@click.option("--keep-float", metavar="PATTERN", multiple=True, help="Layers to leave in float64 (not bit-exact).")
@click.option("--vocab", type=PATH, metavar="FILE", help="Vocabulary of a text to calibrate with.")
@click.option("--unknown", metavar="SYMBOL", help="Symbol for what that vocabulary lacks.")
@click.option("-o", "--output", type=PATH, metavar="MODEL", required=True, help="Model to write, .safetensors.")
@json_option
def command(
    network: str,
    weights: Path | None,
    calibrate: Path | None,
    vocab: Path | None,
    unknown: str | None,
    output: Path,
    as_json: bool,
    **choices: Any,
) -> None:
    """Turn a network's float weights into an integer model.

    Prints what became of each tensor: its format, how many weights were clipped, the signal-to-noise ratio, and the
    least accumulator width that no input can overflow ("safe bits").

    NETWORK is a file of weights that fixedsim import reads, a description in TOML, or a name: of a network that ships
    (char-lm), or of a preset (ptb-lm, which needs --weights).

    \b
    Example:
      fixedsim quantize network.safetensors --weight-bits 4 -o model.safetensors
    """

    check_output(output, ".safetensors", network, weights, calibrate)
    if vocab is not None and calibrate is None:
        raise click.UsageError("--vocab needs --calibrate: it turns the text into tokens")
    model = fixedsim.quantize(
        fixedsim.load_network(network, weights),
        calibration=None if calibrate is None else _calibration(calibrate, vocab, unknown),
        **choices,
    )
    model.save(output)
    _report(model, output, as_json)


def _calibration(path: Path, vocab: Path | None, unknown: str | None) -> "ArrayLike":
    from fixedsim_cli.data_files import read_array

    if path.suffix == ".npy":
        return read_array(path)
    if vocab is None:
        raise InputError(f"calibration inputs must be a .npy file, not {path}; give --vocab to read a text")
    from fixedsim.evaluation import read_tokens, read_vocabulary

    return read_tokens(path, read_vocabulary(vocab), unknown=unknown)


def _report(model: "Model", output: Path, as_json: bool) -> None:
    from fixedsim.model import storage_bits
    from fixedsim_cli.model_contents import print_tensors
    from fixedsim_cli.output import print_json, say

    stored = (sum(storage_bits(model).values()) + 7) // 8
    if as_json:
        document = {"model": str(output), "bytes": stored, "real_layers": model.real_layers, **model.quantization}
        print_json(document)
        return
    print_tensors(model.quantization["tensors"])
    for name in model.real_layers:
        say(f"layer {name} stays in float64: the model is not bit-exact")
    made = f"{model.name} with profile {model.profile['name']}, weights and biases in {stored:,} bytes"
    say(f"{output}: {made}", apart=True)
