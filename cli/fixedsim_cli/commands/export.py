"""``fixedsim export``: a network's float weights as a plain file."""

from pathlib import Path

import click

import fixedsim
from fixedsim_cli.options import PATH, check_output, json_option


@click.command("export")
@click.argument("network")
@click.option("--weights", type=PATH, help="File of weights, where NETWORK is a preset or a TOML description.")
@click.option(
    "--layout",
    type=click.Choice(["pytorch", "fixedsim"]),
    default="pytorch",
    show_default=True,
    help="Tensors for load_state_dict, or with the description in the metadata.",
)
@click.option("--prefix", default="", metavar="NAME", help="Of the layout pytorch: the module that holds the layers.")
@click.option("-o", "--output", type=PATH, metavar="OUT", required=True, help="File to write, .safetensors or .npz.")
@json_option
def command(network: str, weights: Path | None, layout: str, prefix: str, output: Path, as_json: bool) -> None:
    """Write a network's float weights for PyTorch, or as fixedsim's own.

    With the layout pytorch, load_state_dict of a module with nn.Embedding, nn.LSTM and nn.Linear under the layers'
    names takes the tensors. What PyTorch's modules lack is refused by name, and what a module must do beside is said.

    NETWORK is a file of weights, a description in TOML, or a name, as for quantize.

    \b
    Example:
      fixedsim export network.safetensors -o state.safetensors
    """
    from fixedsim.files import read_tensors
    from fixedsim_cli.output import Column, print_json, print_table, say, shape_text

    check_output(output, (".safetensors", ".npz"), network, weights)
    loaded = fixedsim.load_network(network, weights)
    notes = fixedsim.export_network(loaded, output, layout, prefix=prefix)  # type: ignore[arg-type]
    tensors = read_tensors(output).tensors
    if as_json:
        shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
        print_json({"output": str(output), "layout": layout, "tensors": shapes, "notes": notes})
        return
    rows = [(name, shape_text(tensor.shape), tensor.dtype) for name, tensor in tensors.items()]
    print_table((Column("tensor"), Column("shape"), Column("dtype")), rows)
    for number, note in enumerate(notes):
        say(note, apart=number == 0)
    say(f"{output}: written", apart=True)
