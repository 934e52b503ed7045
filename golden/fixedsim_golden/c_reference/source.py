"""The C file under construction: its arrays, functions and signals, each once."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from fixedsim.errors import ModelError
from fixedsim.spec.functions import CMSIS_TABLE
from fixedsim_golden.c_reference import spans, text
from fixedsim_golden.c_reference.text import Constant, literal

_DEFINITION = re.compile(r"^(?:static[^(=\[]*?(\w+)[(\[]|enum (\w+) \{|\} (\w+);$)", re.MULTILINE)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@cache
def _arithmetic() -> dict[str, str]:
    """The blocks of ``arithmetic.c`` by the names that they define, in order."""
    whole = files("fixedsim_golden.c_reference").joinpath("arithmetic.c").read_text(encoding="utf-8")
    whole = whole.replace("@CMSIS_TABLE@", ", ".join(map(str, CMSIS_TABLE)))
    blocks = re.split(r"\n\n(?=/\*)", whole.rstrip("\n"))[1:]
    return {_defined(block): block for block in blocks}


def _defined(block: str) -> str:
    found = _DEFINITION.search(_COMMENT.sub("", block))
    assert found is not None
    return next(name for name in found.groups() if name)


def _words(code: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", _COMMENT.sub("", code)))


def arithmetic_for(code: str) -> str:
    """The blocks of ``arithmetic.c`` that the code uses, and those that they use."""
    blocks, wanted, seen = _arithmetic(), _words(code), set[str]()
    while new := (wanted & blocks.keys()) - seen:
        seen |= new
        wanted |= {word for name in new for word in _words(blocks[name])}
    return "\n\n".join(block for name, block in blocks.items() if name in seen)


@dataclass
class Source:
    """What the parts of a model add to its C file; ``name`` begins every name in the header."""

    name: str
    parts: list[str] = field(default_factory=list)
    signals: dict[str, str] = field(default_factory=dict)  # by the project's names: members of the enum
    functions: dict[object, str] = field(default_factory=dict)  # shared ones, by what they compute
    symbols: set[str] = field(default_factory=set)

    def add(self, *parts: str) -> None:
        """Append definitions."""
        self.parts.extend(parts)

    def symbol(self, name: str) -> str:
        """A name at file level.

        Raises:
            ModelError: there is one of that name.
        """
        if name in self.symbols:
            raise ModelError(f"names of layers must differ in their letters, digits and underscores, not {name} twice")
        self.symbols.add(name)
        return name

    def shared(self, kind: str, key: object, text_of: Callable[[str], str]) -> str:
        """The name ``<kind><number>`` of a function that all that computes ``key`` shares; added where it is new."""
        if key not in self.functions:
            count = sum(name.rstrip("0123456789") == kind for name in self.functions.values())
            self.functions[key] = self.symbol(f"{kind}{count}")
            self.add(text_of(self.functions[key]))
        return self.functions[key]

    def array(self, name: str, values: list[int] | list[list[int]], subject: str, kind: str | None = None) -> str:
        """Add an array and return its symbol; its type is ``kind``, or the smallest."""
        symbol = self.symbol(name)
        self.add(text.array(symbol, values, subject, kind))
        return symbol

    def constant(self, prefix: str, name: str, values: list[int], subject: str) -> Constant:
        """One constant for each row: a number where all share it, else an array, read at ``[unit]``."""
        span = spans.of(values)
        if span.low == span.high:
            return literal(values[0])
        return Constant(f"{self.array(f'{prefix}_{name}', values, subject)}[unit]", name, span)

    def trace(self, signal: str, values: str, count: int) -> str:
        """The statement that hands a signal to the tracer."""
        return f"trace({self.signals[signal]}, {values}, {count});"
