"""``fixedsim inspect``: what is in a file."""

import click

from fixedsim_cli.options import json_option


@click.command("inspect")
@click.argument("file")
@click.option("--kernels", is_flag=True, help="Also show the kernel that each matrix of a model is computed with.")
@json_option
def command(file: str, kernels: bool, as_json: bool) -> None:
    """Say what a file is and what it holds.

    FILE is a model, a file of weights, a description or a profile in TOML, or the name of a network or a profile.

    \b
    Example:
      fixedsim inspect model.safetensors --kernels
    """
    from fixedsim_cli.contents import contents, print_contents
    from fixedsim_cli.output import print_json

    found = contents(file, kernels=kernels)
    if as_json:
        print_json(found)
    else:
        print_contents(found)
