"""Integers, names and comments as C text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from fixedsim.errors import ModelError
from fixedsim_golden.c_reference import spans
from fixedsim_golden.c_reference.spans import INT64_MAX, Span

LINE = 118
_TYPES = (
    ("int8_t", -(1 << 7), (1 << 7) - 1),
    ("uint8_t", 0, (1 << 8) - 1),
    ("int16_t", -(1 << 15), (1 << 15) - 1),
    ("uint16_t", 0, (1 << 16) - 1),
    ("int32_t", -(1 << 31), (1 << 31) - 1),
    ("uint32_t", 0, (1 << 32) - 1),
    ("int64_t", -INT64_MAX - 1, INT64_MAX),
)
_KEYWORDS = frozenset(
    (
        *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern"),
        *("float", "for", "goto", "if", "inline", "int", "long", "main", "register", "restrict", "return", "short"),
        *("signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile"),
        "while",
    )
)


def integer(value: int) -> str:
    """A C expression for a 64-bit integer, which may follow any operator."""
    if value == -INT64_MAX - 1:
        return "INT64_MIN"
    digits = str(abs(value)) if abs(value) < 1 << 31 else f"INT64_C({abs(value)})"
    return f"-{digits}" if value < 0 else digits


def smallest_type(values: Sequence[int], subject: str) -> str:
    """The smallest of the exact-width types that holds the values.

    Raises:
        ModelError: none does.
    """
    low, high = spans.of(list(values)).word(subject)
    return next(name for name, least, most in _TYPES if least <= low and high <= most)


def identifier(name: str) -> str:
    """A name of the project as part of a C name: what is no letter, digit or underscore becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def require_identifier(name: str) -> None:
    """Refuse what cannot name a C file and its functions.

    Raises:
        ModelError: not a C identifier, or a keyword.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in _KEYWORDS:
        raise ModelError(f"name must be a C identifier that starts with a letter, not {name!r}")


def comment(text: str, indent: str = "") -> str:
    """A C comment, on as many lines as it takes."""
    lines = wrap(text.replace("*/", "* /"), LINE - len(indent))
    return f"{indent}/* " + f"\n{indent} * ".join(lines) + " */"


def array(symbol: str, values: Sequence[int] | Sequence[Sequence[int]], subject: str, kind: str | None = None) -> str:
    """A static constant array of one or two axes, of the type ``kind``, or of the smallest."""
    rows = [[value] if isinstance(value, int) else list(value) for value in values]
    flat = [value for row in rows for value in row]
    kind = kind or smallest_type(flat, subject)
    if isinstance(values[0], int):
        return f"static const {kind} {symbol}[{len(flat)}] = {_braces(flat)};"
    inner = ",\n".join(f"    {_braces(row)}" for row in rows)
    return f"static const {kind} {symbol}[{len(rows)}][{len(rows[0])}] = {{\n{inner}\n}};"


def _braces(values: Sequence[int]) -> str:
    return "{" + ", ".join(integer(value) for value in values) + "}"


def broken(code: str) -> str:
    """C code with its long lines broken at spaces, the rest of each four columns further in."""
    return "\n".join(line if len(line) <= LINE else _broken(line) for line in code.split("\n"))


def _broken(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    further = f"{indent} * " if line.lstrip().startswith("*") else f"{indent}    "
    parts = wrap(line.strip(), LINE, initial_indent=indent, subsequent_indent=further, break_long_words=False)
    return "\n".join(parts)


@dataclass(frozen=True)
class Constant:
    """An integer of each row: its C expression, what a comment calls it, and its range."""

    text: str
    name: str
    span: Span

    @property
    def single(self) -> int | None:
        """Its value where all rows share it."""
        return self.span.low if self.span.low == self.span.high else None


def literal(value: int) -> Constant:
    """A constant that all rows share."""
    return Constant(integer(value), str(value), Span(value, value))
