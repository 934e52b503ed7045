"""Statements of a C function: narrowings of named values, each under a comment that states it."""

from dataclasses import dataclass, field

from fixedsim.profiles.datapath import Activation, Narrowing
from fixedsim_golden.c_reference import spans, text
from fixedsim_golden.c_reference.activation import activate, values_span
from fixedsim_golden.c_reference.narrowing import Scale, describe, narrow, own_scale
from fixedsim_golden.c_reference.source import Source
from fixedsim_golden.c_reference.spans import Span
from fixedsim_golden.c_reference.text import integer


def less(value: str, zero_point: int) -> str:
    """The C expression of a raw less a zero point."""
    return value if zero_point == 0 else f"{value} - {integer(zero_point)}"


def factor(value: str, zero_point: int) -> str:
    """The same as a factor of a product."""
    return value if zero_point == 0 else f"({less(value, zero_point)})"


@dataclass
class Stages:
    """Statements in a loop over the rows or units of ``layer``; messages begin with its name."""

    source: Source
    layer: str
    lines: list[str] = field(default_factory=list)
    indent: str = "        "

    def add(self, *lines: str) -> None:
        """Append statements."""
        self.lines.extend(self.indent + line for line in lines)

    def narrow(
        self, target: str, value: str, span: Span, stage: Narrowing, scale: Scale | None = None, what: str = ""
    ) -> Span:
        """Add ``target <- narrowed value`` and return the range of the narrowing's raws less their zero point."""
        name = target.removesuffix("[unit]")
        note = describe(stage, what or value.replace("[unit]", ""), own_scale(stage) if scale is None else scale)
        self.lines.append(text.comment(f"{name}: {note}", self.indent))
        self.add(f"value = {value};", f"{target} = {narrow('value', span, stage, f'{self.layer}.{name}', scale)};")
        return spans.centred(stage.format)

    def activate(self, target: str, value: str, read: Span, activation: Activation, output: Narrowing) -> Span:
        """Add ``target <- narrowed activation`` of the raw ``value`` and return the range of its raws, centred."""
        called = activate(value, read, activation, self.source, f"{self.layer}.{target.removesuffix('[unit]')}")
        what = f"activation({value.replace('[unit]', '')})"
        return self.narrow(target, called, values_span(activation), output, what=what)

    def loop(self, count: int, index: str = "unit") -> str:
        """The statements so far, in a loop; those to come begin a new one."""
        body, self.lines = "\n".join(self.lines), []
        return f"    for ({index} = 0; {index} < {count}; {index}++) {{\n{body}\n    }}\n"


def declared(names: list[str], count: int) -> str:
    """The declaration of vectors."""
    vectors = ", ".join(f"{name}[{count}]" for name in names)
    return f"    int64_t {vectors};\n"


def function(head: str, body: str, note: str) -> str:
    """A static function without a result."""
    return f"{text.comment(note)}\nstatic void {head}\n{{\n{body}}}"
