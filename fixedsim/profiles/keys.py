"""Every key of a profile with what it allows, for the reference page."""

from collections.abc import Iterator
from enum import Enum
from fractions import Fraction
from typing import Annotated, Any, NamedTuple, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.choices import CastChoices
from fixedsim.profiles.profile import Profile

_NAMED: dict[Any, str] = {Rounding: "a rounding", Overflow: "an overflow"}


class ProfileKey(NamedTuple):
    """A key by its path in the TOML file, what it allows, its default (None: it must be given) and its meaning."""

    path: str
    allowed: str
    default: str | None
    meaning: str


def profile_keys() -> list[ProfileKey]:
    """Every key in the order of the file; a table of its own choices stands before its keys."""
    return list(_keys(Profile, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[ProfileKey]:
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        inner = _inner(field)
        if inner is None or inner is CastChoices:
            yield ProfileKey(path, "cast" if inner else _allowed(field), _default(field), field.description or "")
            continue
        if prefix:
            allowed = "a list of tables" if get_origin(field.annotation) is tuple else "a table"
            yield ProfileKey(path, allowed, _default(field), field.description or "")
        yield from _keys(inner, f"{path}.")


def _inner(field: FieldInfo) -> type[BaseModel] | None:
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _allowed(field: FieldInfo) -> str:
    kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
    kinds += [kind.__origin__ for kind in kinds if get_origin(kind) is Annotated]
    for kind in kinds:
        if kind in _NAMED:
            return _NAMED[kind]
        if isinstance(kind, type) and issubclass(kind, Enum):
            return ", ".join(member.value for member in kind)
    if Format in kinds:
        return "a format's name"
    if bool in kinds:
        return "true, false"
    limits = {type(limit): limit for limit in field.metadata}
    if Ge in limits:
        top = f"..{limits[Le].le}" if Le in limits else " and up"
        return f"{limits[Ge].ge}{top}"
    plain = {int: "an integer", str: "text", Fraction: "a number"}
    return next((plain[kind] for kind in kinds if kind in plain), "a list of integers")


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.default
    if isinstance(value, bool):
        return str(value).lower()
    return "left out" if value in (None, (), "") else str(value)
