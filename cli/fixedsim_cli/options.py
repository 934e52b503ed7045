"""Options and arguments that several commands have."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from fixedsim.errors import FileError

Value = TypeVar("Value")

PATH: click.Path = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


class PatternBits(click.ParamType):
    """``PATTERN=N``: names by pattern, and a width in bits."""

    name = "pattern=n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """The pattern and the width."""
        pattern, _, bits = str(value).rpartition("=")
        try:
            return _given(pattern), int(bits)
        except ValueError:
            self.fail(f"must be PATTERN=N such as 'lstm.*.weight=4', not {value!r}", param, ctx)


class PatternRange(click.ParamType):
    """``PATTERN=LOW:HIGH``: names by pattern, and a range of reals."""

    name = "pattern=low:high"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[float, float]]:
        """The pattern and the ends of the range."""
        pattern, _, ends = str(value).rpartition("=")
        low, _, high = ends.partition(":")
        try:
            return _given(pattern), (float(low), float(high))
        except ValueError:
            self.fail(f"must be PATTERN=LOW:HIGH such as 'input=-4:4', not {value!r}", param, ctx)


def _given(pattern: str) -> str:
    if not pattern:
        raise ValueError("no pattern")
    return pattern


def by_pattern(pairs: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """The pairs as a mapping in which a pattern stands where it was given last, since the last that matches counts."""
    found: dict[str, Value] = {}
    for pattern, value in pairs:
        found.pop(pattern, None)
        found[pattern] = value
    return found


def check_output(path: Path, suffix: str, *inputs: Path | str | None) -> None:
    """Refuse a file that could not be written in the end, before the work that makes it.

    Raises:
        FileError: another ending than ``suffix``, a folder that is not there, or a file that is also read.
    """
    if path.suffix != suffix:
        raise FileError(f"{path} must end in {suffix}, not {path.suffix!r}")
    if path.is_dir():
        raise FileError(f"{path} must be a file to write, not a folder")
    if not path.parent.is_dir():
        raise FileError(f"{path} must be in a folder that exists, not in {path.parent}; make it first")
    if any(given is not None and path.resolve() == Path(given).resolve() for given in inputs):
        raise FileError(f"{path} must be another file than those that are read, not the same")
