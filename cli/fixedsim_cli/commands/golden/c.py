"""``fixedsim golden c``: C source that computes a model's reference step."""

from pathlib import Path

import click

import fixedsim
from fixedsim.errors import FileError
from fixedsim_cli.options import PATH


@click.command("c")
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, metavar="DIR", required=True, help="Folder for NAME.h and NAME.c.")
@click.option("--name", default="reference", show_default=True, help="Prefix of all names, a C identifier.")
def command(model: Path, output: Path, name: str) -> None:
    """Write C source of a model's reference step.

    C99 source and header, weights and tables included, for a host build or DPI-C. The code is exact: it gives the
    integers of the scalar specification.

    \b
    Example:
      fixedsim golden c model.safetensors -o reference
    """
    from fixedsim.files import write_atomically
    from fixedsim_cli.output import say
    from fixedsim_golden.c_reference import write_c

    texts = write_c(fixedsim.load_model(model), name)
    if output.exists() and not output.is_dir():
        raise FileError(f"{output} must be a folder, not a file")
    output.mkdir(exist_ok=True)
    for file, text in texts.items():
        write_atomically(output / file, text.encode())
        say(f"{output / file}: {len(text):,} bytes")
