"""``fixedsim compile``: the kernels, ahead of their use."""

import click

from fixedsim_cli.options import json_option


@click.command("compile")
@json_option
def command(as_json: bool) -> None:
    """Compile the kernels now, not when they are first used.

    They are compiled for this CPU and kept on disk. It takes minutes the first time, and seconds when all of them are
    there. Meant for images of containers, with NUMBA_CACHE_DIR naming a folder that the image keeps.

    \b
    Example:
      fixedsim compile
    """
    from fixedsim.compiling import compile_kernels
    from fixedsim_cli.output import print_json, progress, say

    with progress("kernels", shown=not as_json) as move:
        folder = compile_kernels(move)
    if folder is None:
        raise click.ClickException(
            "kernels must have a folder to be kept in; name one in NUMBA_CACHE_DIR and unset NUMBA_DISABLE_JIT"
        )
    if as_json:
        print_json({"folder": str(folder)})
    else:
        say(f"{folder}: kernels compiled")
