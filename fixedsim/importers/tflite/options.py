"""Operators of a TensorFlow Lite file: kind, operands and options."""

import math
from functools import cache
from typing import Any

from fixedsim.errors import FileError
from fixedsim.importers.tflite import checked
from fixedsim.importers.tflite.graph import Operator, Option

_ACTIVATION = "fusedActivationFunction"
_CUSTOM = "CUSTOM"
_ABSENT = -1


def read_operator(index: int, table: Any, model: Any, tensor_count: int) -> Operator:
    """Operator ``index`` of the graph.

    Raises:
        FileError: the kind or an option is unknown, or an operand is not a tensor of the graph.
    """
    subject = f"operator {index}"
    kind, version = _kind(subject, model, table.OpcodeIndex())
    subject = f"{subject} ({kind[:60]})"
    return Operator(
        kind,
        version,
        tensor_indices(f"{subject}: inputs", checked.numbers(table, "Inputs"), tensor_count, lowest=_ABSENT),
        tensor_indices(f"{subject}: outputs", checked.numbers(table, "Outputs"), tensor_count),
        tensor_indices(f"{subject}: intermediates", checked.numbers(table, "Intermediates"), tensor_count),
        _options(subject, kind, table),
    )


def tensor_indices(subject: str, indices: tuple[int, ...], count: int, *, lowest: int = 0) -> tuple[int, ...]:
    """``indices``, each a tensor of the graph.

    Raises:
        FileError: one of them is not in ``lowest .. count - 1``.
    """
    for index in indices:
        if not lowest <= index < count:
            raise FileError(f"{subject} must be in {lowest}..{count - 1}, not {index}")
    return indices


def _kind(subject: str, model: Any, index: int) -> tuple[str, int]:
    """Name and version of the operator code ``index``."""
    count = checked.row_count(model, "OperatorCodes")
    if not 0 <= index < count:
        raise FileError(f"{subject}: code must be in 0..{count - 1}, not {index}")
    code = checked.nested(model, model.OperatorCodes(index))
    # Numbers up to 127 stand in the older field, in old files there alone; later ones in the newer field.
    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    kind = checked.names("BuiltinOperator").get(number)
    if kind is None:
        raise FileError(f"{subject} must be one that the schema knows, not number {number}")
    if kind == _CUSTOM:
        kind = f"{_CUSTOM}:{checked.text(code.CustomCode())}"
    return kind, code.Version()


def _options(subject: str, kind: str, table: Any) -> dict[str, Option]:
    """The options by name; those of the schema's table for ``kind`` at their defaults where the file has none."""
    if table.BuiltinOptions2Type():
        raise FileError(f"{subject} must have its options in the first table, not in the second")
    own, number = _own_options(kind), table.BuiltinOptionsType()
    stated = checked.names("BuiltinOptions").get(number, str(number))
    union = table.BuiltinOptions() if number else None
    if union is None:
        return {} if own is None else _values(subject, checked.defaults(own))
    if stated not in checked.names("BuiltinOptions").values() or own not in (None, stated):
        raise FileError(f"{subject} must have options {own or 'of a known kind'}, not {stated}")
    accessor = checked.at(table._tab.source, union.Pos, stated)
    values = _values(subject, accessor)
    checked.refuse_newer(f"{subject}: options", accessor)
    return values


@cache
def _own_options(kind: str) -> str | None:
    """The table of options that has the name of the operator, if one does: ``REVERSE_V2`` has ``ReverseV2Options``."""
    wanted = f"{kind.replace('_', '')}options".lower()
    return next((name for name in checked.names("BuiltinOptions").values() if name.lower() == wanted), None)


def _values(subject: str, accessor: Any) -> dict[str, Option]:
    values = {}
    for field in _fields(type(accessor).__name__):
        name = field[0].lower() + field[1:]
        values[name] = _value(f"{subject}: option {name}", name, accessor, field)
    return values


@cache
def _fields(table: str) -> tuple[str, ...]:
    """The fields of a table, in the order of the schema: the accessors that are not about the table or a vector."""
    methods = [name for name in vars(checked.schema(table)) if not name.startswith(("_", "GetRootAs"))]
    vectors = [name.removesuffix("IsNone") for name in methods if name.endswith("IsNone")]
    about = {f"{vector}{part}" for vector in vectors for part in ("AsNumpy", "Length", "IsNone")}
    about |= {"Init", f"{table}BufferHasIdentifier"}
    return tuple(name for name in methods if name not in about)


def _value(subject: str, name: str, accessor: Any, field: str) -> Option:
    if hasattr(accessor, f"{field}IsNone"):
        return None if getattr(accessor, f"{field}IsNone")() else checked.numbers(accessor, field)
    value = getattr(accessor, field)()
    if name == _ACTIVATION:
        return _activation(subject, value)
    if isinstance(value, float) and not math.isfinite(value):
        raise FileError(f"{subject} must be finite, not {value}")
    return checked.text(value) if isinstance(value, bytes) else value


def _activation(subject: str, value: int) -> str:
    known = checked.names("ActivationFunctionType")
    if value not in known:
        raise FileError(f"{subject} must be one of {', '.join(known.values())}, not number {value}")
    return known[value]
