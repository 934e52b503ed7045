"""Datapaths and formats as JSON values, by the types of their fields.

Written for what :mod:`fixedsim.profiles.datapath` and :mod:`fixedsim.formats` hold: dataclasses, enumerations,
integers, texts, fractions as text, tuples, and unions of these with None or of dataclasses that a field ``kind`` tells
apart. Their own checks stay with them. Importing a validation library would take longer than reading a small model.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from fixedsim.errors import FileError

Made = TypeVar("Made")


def to_document(value: Any) -> Any:
    """Return a value as JSON values, its fields in their order."""
    if is_dataclass(value):
        return {each.name: to_document(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple):
        return [to_document(item) for item in value]
    return str(value) if isinstance(value, StrEnum | Fraction) else value


def from_document(kind: type[Made], document: Any, where: str = "") -> Made:
    """Return the value of a type that :func:`to_document` wrote; keys that the type lacks are passed over.

    Raises:
        FileError: a key is missing or a value is of another type, with its place.
        FixedsimError: what the value itself refuses.
    """
    made: Made = _read(kind, document, where)
    return made


def _read(kind: Any, document: Any, where: str) -> Any:
    if is_dataclass(kind):
        return _read_fields(kind, document, where)
    if isinstance(kind, UnionType):
        return _read_union(get_args(kind), document, where)
    if get_origin(kind) is tuple:
        return _read_items(get_args(kind), document, where)
    if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, StrEnum)):
        return _read_choice(kind, document, where)
    if kind is Fraction:
        return _read_fraction(document, where)
    if type(document) is not kind:
        raise _wrong(where, f"of type {kind.__name__}", document)
    return document


def _read_fields(kind: Any, document: Any, where: str) -> Any:
    if not isinstance(document, Mapping):
        raise _wrong(where, "a table", document)
    found = {}
    for name, (field_kind, required) in _fields(kind).items():
        if name in document:
            found[name] = _read(field_kind, document[name], f"{where}.{name}" if where else name)
        elif required:
            raise FileError(f"{where}: {name} must be given" if where else f"{name} must be given")
    return kind(**found)


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The type of each field, and whether it must be given."""
    hints = get_type_hints(kind)
    return {each.name: (hints[each.name], each.default is MISSING) for each in fields(kind)}


def _read_union(kinds: tuple[Any, ...], document: Any, where: str) -> Any:
    if document is None and NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) == 1:
        return _read(others[0], document, where)
    named = {get_args(_fields(kind)["kind"][0])[0]: kind for kind in others}
    given = document.get("kind") if isinstance(document, Mapping) else None
    if given not in named:
        raise _wrong(f"{where}.kind", " or ".join(named), given)
    return _read(named[given], document, where)


def _read_items(kinds: tuple[Any, ...], document: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(document, list | tuple):
        raise _wrong(where, "a list", document)
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(document)
    if len(kinds) != len(document):
        raise _wrong(where, f"a list of {len(kinds)}", len(document))
    if set(kinds) == {int} and set(map(type, document)) == {int}:  # a table's values are many
        return tuple(document)
    items = enumerate(zip(kinds, document, strict=True))
    return tuple(_read(kind, item, f"{where}.{index}") for index, (kind, item) in items)


def _read_fraction(document: Any, where: str) -> Fraction:
    try:
        return Fraction(_read(str, document, where))
    except (ValueError, ZeroDivisionError):
        raise _wrong(where, "a quotient of two integers", document) from None


def _read_choice(kind: Any, document: Any, where: str) -> Any:
    """A member of an enumeration, or one of the values of a Literal."""
    choices = get_args(kind) or tuple(kind)
    if not isinstance(document, str) or document not in choices:
        raise _wrong(where, " or ".join(choices), document)
    return document if get_args(kind) else kind(document)


def _wrong(where: str, wanted: str, given: object) -> FileError:
    return FileError(f"{where}: must be {wanted}, not {str(given)[:40]!r}")
