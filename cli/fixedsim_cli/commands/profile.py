"""``fixedsim profile``: the profiles that ship."""

from pathlib import Path

import click

from fixedsim_cli.options import PATH, check_output, json_option


@click.group("profile")
def command() -> None:
    """List, show, copy and compare the profiles that ship.

    A profile is every arithmetic choice of one hardware target, as a TOML file.

    \b
    Example:
      fixedsim profile copy fixed-point mine.toml
    """


@command.command("list")
@json_option
def list_profiles(as_json: bool) -> None:
    """List the profiles with a summary of each.

    \b
    Example:
      fixedsim profile list
    """
    from fixedsim.profiles import load_profile, profile_names
    from fixedsim_cli.output import Column, print_json, print_table

    found = [(name, load_profile(name).summary) for name in profile_names()]
    if as_json:
        print_json([{"name": name, "summary": text} for name, text in found])
    else:
        print_table((Column("profile"), Column("summary")), found)


@command.command("show")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Print the profile NAME as TOML, comments included.

    \b
    Example:
      fixedsim profile show fixed-point
    """
    from fixedsim.profiles import load_profile, profile_text
    from fixedsim_cli.output import print_json

    text = profile_text(name)
    if as_json:
        print_json(load_profile(name).to_dict())
    else:
        click.echo(text, nl=False)


@command.command("copy")
@click.argument("name")
@click.argument("path", type=PATH)
@click.option("--force", is_flag=True, help="Replace PATH if it exists.")
def copy(name: str, path: Path, force: bool) -> None:
    """Copy the profile NAME to PATH, a TOML file to edit.

    \b
    Example:
      fixedsim profile copy fixed-point mine.toml
    """
    from fixedsim.errors import FileError
    from fixedsim.files import write_atomically
    from fixedsim.profiles import profile_text

    text = profile_text(name)
    check_output(path, ".toml")
    if path.exists() and not force:
        raise FileError(f"{path} must be a new file, not one that exists; --force replaces it")
    write_atomically(path, text.encode())
    click.echo(f"{path}: edit it, then use it with --profile {path}")


@command.command("diff")
@click.argument("first")
@click.argument("second")
@click.option("--model", metavar="FILE", help="Also find where this model or network parts under the two.")
@click.option("--inputs", type=PATH, metavar="FILE", help="Inputs for it, .npy; drawn if left out.")
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of drawn inputs.")
@json_option
def diff(first: str, second: str, model: str | None, inputs: Path | None, seed: int, as_json: bool) -> None:
    """Show the choices in which two profiles differ.

    FIRST and SECOND are names of profiles or executors, or TOML files. With --model, a model, a network or a .tflite
    file is brought under both, and the first signal, step and unit whose integers differ is shown.

    \b
    Example:
      fixedsim profile diff litert tflm --model lstm.tflite
    """
    from fixedsim_cli.data_files import read_array
    from fixedsim_cli.output import print_json
    from fixedsim_cli.profile_differences import differences, print_differences

    values = None if inputs is None else read_array(inputs)
    found = differences(first, second, model, values, seed)
    if as_json:
        print_json(found)
    else:
        print_differences(found)
