"""Keys of a mapping file: those of a network description, and ``[tensors]``."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from fixedsim.errors import NetworkError
from fixedsim.network.schema import validated

MAX_PARTS = 64  # of one tensor: summed or stacked


class Source(BaseModel):
    """Where one array is, and what is done to it, in this order: slice, transpose, reorder gates, scale."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    file: str
    tensor: str | None = None  # of an archive
    rows: list[int] | None = None  # first and one past the last, as the file has them
    columns: list[int] | None = None
    transpose: bool = False
    order: str | None = None  # of the gates in the rows, after transposing
    scale: float | int = 1


class Stack(BaseModel):
    """Arrays one below the other, such as one for each gate; then gates are reordered and the whole is scaled."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    stack: list[dict[str, Any]]
    order: str | None = None
    scale: float | int = 1


class Stacked(BaseModel):
    """A stack whose parts have been checked."""

    parts: tuple[Source, ...]
    order: str | None
    scale: float


Model = TypeVar("Model", bound=BaseModel)
Entry = tuple[Source | Stacked, ...]  # whose sum a tensor is


def entries(tensors: Any, source: str) -> dict[str, Entry]:
    """What ``[tensors]`` says for each canonical name.

    Raises:
        NetworkError: a key that is unknown, missing or of another type.
    """
    if not isinstance(tensors, dict) or not tensors:
        raise NetworkError(f"{source}: tensors must be a table of at least one tensor, not {str(tensors)[:80]}")
    return {name: _entry(value, f"{source}: tensors.{name!r}") for name, value in tensors.items()}


def _entry(value: Any, source: str) -> Entry:
    parts = _listed(value if isinstance(value, list) else [value], source)
    return tuple(_term(part, f"{source}[{place}]" if len(parts) > 1 else source) for place, part in enumerate(parts))


def _term(value: Any, source: str) -> Source | Stacked:
    if not isinstance(value, Mapping):
        raise NetworkError(f"{source} must be a table with the key 'file' or 'stack', not {str(value)[:80]!r}")
    if "stack" not in value:
        return _checked(Source, value, source)
    stack = _checked(Stack, value, source)
    parts = [
        _checked(Source, part, f"{source}: stack[{place}]") for place, part in enumerate(_listed(stack.stack, source))
    ]
    for place, part in enumerate(parts):
        if part.order is not None:
            raise NetworkError(f"{source}: stack[{place}].order must stand beside 'stack', not in a part of it")
    return Stacked(parts=tuple(parts), order=stack.order, scale=float(stack.scale))


def _checked(schema: type[Model], value: Mapping[str, Any], source: str) -> Model:
    return validated(schema, value, source)


def _listed(values: list[Any], source: str) -> list[Any]:
    if not 1 <= len(values) <= MAX_PARTS:
        raise NetworkError(f"{source} must have 1..{MAX_PARTS} parts, not {len(values)}")
    return values
