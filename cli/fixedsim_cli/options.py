"""Options and arguments that several commands have."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from fixedsim.errors import FileError

if TYPE_CHECKING:
    from fixedsim.accounting import Arrangement

Value = TypeVar("Value")
Command = TypeVar("Command", bound=Callable[..., Any])
MAX_NUMBERS = 1000  # in one list
MAX_CONFIGURATIONS = 10_000  # of several lists

PATH: click.Path = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
processes_option = click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Evaluations side by side, each in a process of one thread.",
)


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


ARRANGEMENT = ("lanes", "pad_rows", "align", "ecc", "rule")  # the parameters of an arrangement
_ARRANGEMENT_OPTIONS = (
    click.option(
        "--memory",
        "target",
        default="ramb36",
        show_default=True,
        metavar="NAME",
        help="ideal, ramb18, ramb36, uram, m20k, m10k, sram:WORDSxBITS or a TOML file.",
    ),
    click.option("--lanes", type=int, default=1, show_default=True, metavar="N", help="Values read at once: one word."),
    click.option("--pad-rows", is_flag=True, help="Begin each row of a matrix in a word of its own."),
    click.option(
        "--align", type=int, default=1, show_default=True, metavar="N", help="Each value takes a multiple of N bits."
    ),
    click.option("--ecc", is_flag=True, help="Add SECDED check bits to each word."),
    click.option(
        "--rule",
        type=click.Choice(["least", "single", "bits", "estimate"]),
        default="least",
        show_default=True,
        help="How blocks are counted.",
    ),
)
_FORMS = (
    click.option("--csv", "as_csv", is_flag=True, help="Print the table as comma-separated values."),
    click.option("--markdown", "as_markdown", is_flag=True, help="Print the table as Markdown."),
    json_option,
)


def arrangement_options(command: Command) -> Command:
    """The memory, as ``target``, and how values stand in its words."""
    return _all(_ARRANGEMENT_OPTIONS, command)


def table_options(command: Command) -> Command:
    """The forms of a table: ``as_csv``, ``as_markdown``, ``as_json``."""
    return _all(_FORMS, command)


def _all(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def arrangement(choices: Mapping[str, Any]) -> "Arrangement":
    """How values stand in words, from the parameters of :func:`arrangement_options`."""
    from fixedsim.accounting import Arrangement

    return Arrangement(**{name: choices[name] for name in ARRANGEMENT})


def require_one_form(as_json: bool, as_csv: bool, as_markdown: bool) -> None:
    """Refuse two forms of one table.

    Raises:
        UsageError: more than one is asked for.
    """
    if as_json + as_csv + as_markdown > 1:
        raise click.UsageError("--json, --csv and --markdown must be given one at a time")


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


def require_few(axes: Iterable[Sequence[Any]]) -> None:
    """Refuse lists with too many combinations.

    Raises:
        UsageError: more than ``MAX_CONFIGURATIONS``.
    """
    count = math.prod(map(len, axes))
    if count > MAX_CONFIGURATIONS:
        raise click.UsageError(f"lists must give at most {MAX_CONFIGURATIONS} configurations, not {count}")


def reasons_by_pattern(ctx: click.Context, parameter: click.Parameter, given: Iterable[str]) -> dict[str, str]:
    """Reasons by pattern over corners, from texts ``SITE: CORNER=REASON``."""
    return _by_pattern(
        given, str, "'SITE: CORNER=REASON' such as 'lstm.cell: tie*=the cell is exact'", once=True, first=True
    )


waive_option = click.option(
    "--waive",
    callback=reasons_by_pattern,
    metavar="CORNER=WHY",
    multiple=True,
    help="Corners that need not be hit, and the reason.",
)


def ranges_by_pattern(
    ctx: click.Context, parameter: click.Parameter, given: Iterable[str]
) -> dict[str, tuple[float, float]]:
    """Ranges by pattern, from texts ``PATTERN=LOW:HIGH``."""
    return _by_pattern(given, _ends, "PATTERN=LOW:HIGH such as 'input=-4:4'")


def _ends(text: str) -> tuple[float, float]:
    low, _, high = text.partition(":")
    return float(low), float(high)


def _by_pattern(
    given: Iterable[str], parsed: Callable[[str], Value], wanted: str, *, once: bool = False, first: bool = False
) -> dict[str, Value]:
    """Values by pattern, each pattern where it was given last, or ``once``: two values for a pattern are refused.

    A pattern ends at the last equals sign, or at the ``first``.
    """
    found: dict[str, Value] = {}
    for text in given:
        pattern, _, written = text.partition("=") if first else text.rpartition("=")
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
