"""Types, numbers and layer configurations from a project's defines.h and parameters.h."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from fixedsim.importers.hls4ml.source import Cursor, Source, Token, spelled

MAX_SIZE = 1 << 22  # of a number in a configuration: every size of a layer
MAX_FACTORS = 8  # of a product
_DECIMAL = re.compile(r"[0-9]{1,9}")
_REAL = re.compile(r"[0-9]{1,30}(\.[0-9]{0,30})?(e[0-9]{1,2})?")


@dataclass
class Names:
    """What defines.h names: types by their spelling, and whole numbers."""

    source: Source
    types: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def type(self, name: str) -> str:
        """How defines.h spells the type of this name.

        Raises:
            FileError: it names no such type, or spells it by another name.
        """
        spelling = self.types.get(name)
        if spelling is None:
            raise self.source.error(1, f"type {name[:80]} must be named here, not missing")
        if spelling in self.types:
            raise self.source.error(1, f"type {name} must be spelled out, not as {spelling}")
        return spelling

    def number(self, source: Source, tokens: list[Token]) -> int:
        """The product of whole numbers and names of whole numbers: ``6*4``, ``N_LAYER_2 * 4``."""
        line = tokens[0].line if tokens else 1
        values = [self._factor(token) for token in tokens[::2]]
        known = [value for value in values if value is not None]
        product = len(tokens) % 2 and len(tokens) < 2 * MAX_FACTORS and all(one.text == "*" for one in tokens[1::2])
        if not product or len(known) < len(values) or math.prod(known) > MAX_SIZE:
            text = spelled(tokens[:40])[:80]
            raise source.error(line, f"number must be a product of whole numbers in 0..{MAX_SIZE}, not {text!r}")
        return math.prod(known)

    def _factor(self, token: Token) -> int | None:
        if token.kind == "number" and _DECIMAL.fullmatch(token.text):
            return int(token.text)
        return self.numbers.get(token.text)


@dataclass
class Struct:
    """The configuration of a layer: members by name."""

    source: Source
    names: Names
    name: str
    base: str  # nnet::dense_config; empty where there is none
    line: int
    members: dict[str, list[Token]] = field(default_factory=dict)  # values of constants
    types: dict[str, str] = field(default_factory=dict)

    def refuse(self, message: str) -> NoReturn:
        """Raise the FileError of this configuration."""
        raise self.source.error(self.line, message)

    def number(self, member: str) -> int:
        """A constant that is a whole number."""
        return self.names.number(self.source, self._member(member))

    def text(self, member: str) -> str:
        """A constant as it is spelled."""
        return spelled(self._member(member))

    def real(self, member: str) -> float:
        """A constant that is a decimal number."""
        text = self.text(member)
        if not _REAL.fullmatch(text):
            self.refuse(f"{member} of {self.name} must be a decimal number, not {text[:80]!r}")
        return float(text)

    def type(self, member: str) -> str:
        """A type, as defines.h spells it."""
        return self.names.type(self._type(member))

    def _type(self, member: str) -> str:
        if member not in self.types:
            self.refuse(f"{self.name} must have the type {member}, not be without")
        return self.types[member]

    def template(self, member: str) -> str:
        """What a template stands for, without its arguments: ``nnet::product::mult``."""
        return self._type(member).split("<", 1)[0]

    def _member(self, member: str) -> list[Token]:
        if member not in self.members:
            self.refuse(f"{self.name} must have {member}, not be without")
        return self.members[member]

    def add(self, token: Token, kind: str, name: str, value: list[Token]) -> None:
        """Note a constant (``kind`` number) or a type.

        Raises:
            FileError: there is one of this name.
        """
        if name in self.members or name in self.types:
            raise self.source.error(token.line, f"{name} of {self.name} must stand once, not twice")
        if kind == "number":
            self.members[name] = value
        else:
            self.types[name] = spelled(value)


def read_names(source: Source) -> Names:
    """The types and numbers of defines.h.

    Raises:
        FileError: anything but ``#define`` and ``typedef``, or one name twice.
    """
    names = Names(source)
    for cursor in statements(source):
        token = cursor.token
        if token.kind == "directive":
            _define(names, cursor.take())
        elif cursor.accept("typedef"):
            name, spelling = _typedef(cursor)
            if name in names.types:
                raise source.error(token.line, f"type {name} must be named once, not twice")
            names.types[name] = spelling
        else:
            cursor.refuse("'typedef' or a directive")
    return names


def statements(source: Source) -> Iterator[Cursor]:
    """The cursor at each statement of a file, inside the namespace that may surround all."""
    cursor = Cursor(source)
    depth = 0
    while cursor.token.kind != "end":
        if cursor.accept("namespace"):
            cursor.word()
            cursor.expect("{")
            depth += 1
        elif depth and cursor.accept("}"):
            depth -= 1
        else:
            yield cursor
    if depth:
        cursor.refuse("'}'")


def _define(names: Names, token: Token) -> None:
    """Note ``#define NAME 123``; other directives say nothing about layers."""
    words = token.text[1:].split("//")[0].split()
    if len(words) != 3 or words[0] != "define" or not _DECIMAL.fullmatch(words[2]):
        return
    if names.numbers.setdefault(words[1], int(words[2])) != int(words[2]):
        raise names.source.error(token.line, f"{words[1][:80]} must have one value, not two")


def _typedef(cursor: Cursor) -> tuple[str, str]:
    """The name and the spelling of ``TYPE NAME;``."""
    tokens = cursor.until(";")
    if len(tokens) < 2 or tokens[-1].kind != "name":
        cursor.refuse("'typedef TYPE NAME;' before it")
    return tokens[-1].text, spelled(tokens[:-1])


def read_structs(source: Source, names: Names) -> dict[str, Struct]:
    """The layer configurations of parameters.h by their names.

    Raises:
        FileError: a configuration or a member that is not of the form that hls4ml writes.
    """
    structs: dict[str, Struct] = {}
    for cursor in statements(source):
        token = cursor.token
        if token.kind == "directive":
            cursor.take()
        elif cursor.accept("struct"):
            struct = _struct(cursor, names, token.line)
            if struct.name in structs:
                raise source.error(token.line, f"{struct.name} must stand once, not twice")
            structs[struct.name] = struct
        else:
            _outside(cursor, structs)
    return structs


def _struct(cursor: Cursor, names: Names, line: int) -> Struct:
    """``NAME : BASE { members };`` behind ``struct``."""
    name = cursor.word()
    base = spelled(cursor.until("{")) if cursor.accept(":") else ""
    if not base:
        cursor.expect("{")
    struct = Struct(cursor.source, names, name, base, line)
    while not cursor.accept("}"):
        _add_member(cursor, struct)
    cursor.expect(";")
    return struct


def _add_member(cursor: Cursor, struct: Struct) -> None:
    token = cursor.token
    if cursor.accept("typedef"):
        tokens = cursor.until(";")
        if len(tokens) < 2 or tokens[-1].kind != "name":
            cursor.refuse("'typedef TYPE NAME;' before it")
        struct.add(token, "type", tokens[-1].text, tokens[:-1])
    elif cursor.accept("template"):
        cursor.expect("<")
        cursor.until(">")
        cursor.expect("using")
        name = cursor.word()
        cursor.expect("=")
        struct.add(token, "type", name, cursor.until(";"))
    elif cursor.accept("static"):
        _add_constant(cursor, struct)
    else:
        cursor.refuse("'static', 'typedef' or 'template'")


def _add_constant(cursor: Cursor, struct: Struct) -> None:
    """``const TYPE NAME = VALUE;``, whose value may also follow behind the configuration."""
    if not cursor.accept("constexpr"):
        cursor.expect("const")
    token = cursor.token
    tokens = cursor.until(";")
    equals = next((place for place, one in enumerate(tokens) if one.text == "="), 0)
    if not equals:
        if tokens and tokens[-1].kind == "name":
            struct.add(token, "type", f"{tokens[-1].text}_type", tokens[:-1])
    elif tokens[equals - 1].kind != "name":
        cursor.refuse("'static const TYPE NAME = VALUE;' before it")
    else:
        struct.add(token, "number", tokens[equals - 1].text, tokens[equals + 1 :])


def _outside(cursor: Cursor, structs: dict[str, Struct]) -> None:
    """``const TYPE CONFIG::NAME = VALUE;`` is a member's value; what else stands outside is code of convolutions."""
    token = cursor.token
    cursor.expect("const")
    tokens = cursor.until(";")
    for place in range(len(tokens) - 4):
        owner, scope, member, equals = tokens[place : place + 4]
        if owner.text in structs and (scope.text, equals.text) == ("::", "="):
            structs[owner.text].add(token, "number", member.text, tokens[place + 4 :])
