"""What a person or a program sees: tables, progress, JSON."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 10_000  # columns: what is no terminal takes tables at their own width


class Column(NamedTuple):
    """A column of a table: its header, whether it holds numbers, and whether its text must not be broken."""

    header: str
    number: bool = False
    whole: bool = False


def print_json(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print rows under headers; None is an empty cell. Two spaces stand between columns, one where space is short."""
    console = terminal()
    made = list(rows)
    table = _table(columns, made, gap=2)
    if Measurement.get(console, console.options, table).maximum > console.width or _squeezed(console, table):
        table = _table(columns, made, gap=1)
    with console.capture() as capture:
        if title:
            console.print(Text(f"\n{title}", style="bold"))
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip(" "))


def _squeezed(console: Console, table: Table) -> bool:
    natural = console.options.update(width=PIPED_WIDTH)
    return Measurement.get(console, natural, table).maximum > console.width


def _table(columns: Sequence[Column], rows: Iterable[Sequence[object]], gap: int) -> Table:
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
    for column in columns:
        justify = "right" if column.number else "left"
        table.add_column(column.header, justify=justify, overflow="fold", no_wrap=column.number or column.whole)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: object) -> str:
    """A value as text without control characters, which a name in a file could hold."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else "?" for character in text)


def say(text: str, *, apart: bool = False) -> None:
    """Print a line, after an empty one if it stands apart from what is above it."""
    click.echo(("\n" if apart else "") + _cell(text))


def terminal(*, stderr: bool = False) -> Console:
    """Standard output (or error) as it is now: a terminal of its width, or as wide as need be."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


@contextmanager
def progress(what: str, *, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A function ``(done, total)`` that moves a bar on standard error; None where there is no terminal to show it."""
    console = terminal(stderr=True)
    if not shown or not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def shape_text(shape: Iterable[int]) -> str:
    """A shape as ``400x100``."""
    return "x".join(str(size) for size in shape)


def decimals(value: float | None, places: int) -> str:
    """A number with so many decimals, or nothing."""
    return "" if value is None else f"{value:.{places}f}"
