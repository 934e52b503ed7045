"""Options and arguments that several commands have."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import click
from click.core import ParameterSource

from fixedsim.errors import FileError

Value = TypeVar("Value")
MAX_NUMBERS = 1000  # in one list

PATH: click.Path = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def bits_by_pattern(ctx: click.Context, parameter: click.Parameter, given: Iterable[str]) -> dict[str, int]:
    """Widths by pattern, from texts ``PATTERN=N``."""
    return _by_pattern(given, int, "PATTERN=N such as 'lstm.*.weight=4'")


profile_option = click.option(
    "--profile", default="fixed-point", show_default=True, help="Arithmetic of the hardware: a name or a TOML file."
)
bits_option = click.option(
    "--bits",
    callback=bits_by_pattern,
    metavar="PATTERN=N",
    multiple=True,
    help="Width of tensors, activations or casts; the last that matches counts.",
)


def factors_by_pattern(ctx: click.Context, parameter: click.Parameter, given: Iterable[str]) -> dict[str, float]:
    """Factors by pattern, from texts ``PATTERN=FACTOR``."""
    return _by_pattern(given, float, "PATTERN=FACTOR such as 'fc1=1.25'", once=True)


def factor_lists_by_pattern(
    ctx: click.Context, parameter: click.Parameter, given: Iterable[str]
) -> dict[str, list[float]]:
    """Lists of factors by pattern, from texts ``PATTERN=FACTOR,FACTOR``."""
    return _by_pattern(given, _factors, "PATTERN=FACTOR such as 'fc1=1.25', or 'fc1=1,1.5'", once=True)


def _factors(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def numbers(ctx: click.Context, parameter: click.Parameter, given: str | None) -> list[int] | None:
    """Whole numbers from a text such as ``4``, ``1,2,4`` or ``1..8``."""
    if given is None:
        return None
    found: list[int] = []
    try:
        for part in given.split(","):
            first, _, last = part.partition("..")
            found += range(int(first), min(int(last or first), int(first) + MAX_NUMBERS) + 1)
    except ValueError:
        found = []
    if not found or len(found) > MAX_NUMBERS:
        raise click.BadParameter(
            f"must be 1 to {MAX_NUMBERS} whole numbers such as 4, '1,2,4' or '1..8', not {given[:60]!r}"
        )
    return found


def ranges_by_pattern(
    ctx: click.Context, parameter: click.Parameter, given: Iterable[str]
) -> dict[str, tuple[float, float]]:
    """Ranges by pattern, from texts ``PATTERN=LOW:HIGH``."""
    return _by_pattern(given, _ends, "PATTERN=LOW:HIGH such as 'input=-4:4'")


def _ends(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    return float(low), float(high)


def _by_pattern(
    given: Iterable[str], parsed: Callable[[str], Value], wanted: str, *, once: bool = False
) -> dict[str, Value]:
    """Values by pattern, each pattern where it was given last, or ``once``: two values for a pattern are refused."""
    found: dict[str, Value] = {}
    for text in given:
        pattern, _, written = text.rpartition("=")
        try:
            value = parsed(written)
        except ValueError:
            pattern = ""
        if not pattern:
            raise click.BadParameter(f"must be {wanted}, not {text!r}")
        if once and found.get(pattern, value) != value:
            raise click.BadParameter(f"must have one value for {pattern!r}, not both {found[pattern]} and {value}")
        found.pop(pattern, None)
        found[pattern] = value
    return found


def refuse_given(names: Iterable[str], why: str) -> None:
    """Refuse the options of the running command that were given on its command line.

    Raises:
        UsageError: one of the parameters ``names`` was given, with ``why`` it must not be.
    """
    ctx = click.get_current_context()
    for option in ctx.command.params:
        if option.name in names and ctx.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} {why}")


def check_output(path: Path, suffix: str | tuple[str, ...], *inputs: Path | str | None) -> None:
    """Refuse a file that could not be written in the end, before the work that makes it.

    Raises:
        FileError: another ending than those of ``suffix``, a folder that is not there, or a file that is read too.
    """
    allowed = (suffix,) if isinstance(suffix, str) else suffix
    if path.suffix not in allowed:
        raise FileError(f"{path} must end in {' or '.join(allowed)}, not {path.suffix!r}")
    if path.is_dir():
        raise FileError(f"{path} must be a file to write, not a folder")
    if not path.parent.is_dir():
        raise FileError(f"{path} must be in a folder that exists, not in {path.parent}; make it first")
    if any(given is not None and path.resolve() == Path(given).resolve() for given in inputs):
        raise FileError(f"{path} must be another file than those that are read, not the same")
