"""The datapath of a layer as rows for people: one for each stage."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from fixedsim.formats import Format
from fixedsim.profiles.datapath import (
    GATES,
    Accumulator,
    Activation,
    EmbeddingDatapath,
    Form,
    GateDatapath,
    LinearDatapath,
    LookupTable,
    LstmDatapath,
    Narrowing,
    PiecewiseLinear,
)

Datapath = EmbeddingDatapath | LinearDatapath | LstmDatapath
Row = dict[str, str]


def stages(layer: str, datapath: Datapath) -> Iterator[Row]:
    """A row ``{layer, stage, format, rounding, overflow, note}`` for each field of a datapath, in its order."""
    for field in fields(datapath):
        value = getattr(datapath, field.name)
        found = _gate_rows(value) if field.name == "gates" else _rows(field.name, value)
        yield from ({"layer": layer, **row} for row in found)


def _row(stage: str, form: Format | None = None, rounding: str = "", overflow: str = "", note: str = "") -> Row:
    name = "" if form is None else form.name
    return {"stage": stage, "format": name, "rounding": rounding, "overflow": overflow, "note": note}


def _rows(stage: str, value: Any) -> list[Row]:
    match value:
        case Format():
            return [_row(stage, value)]
        case Narrowing():
            note = "doubling" if value.form is Form.DOUBLING else ""
            return [_row(stage, value.format, str(value.rounding), str(value.overflow), note)]
        case Accumulator():
            note = f"at each {value.check}" if value.check == "step" else f"at the {value.check}"
            held = _row(stage, value.format, "", str(value.overflow), note)
            return [held] if value.product is None else [*_rows(f"{stage}.product", value.product), held]
        case LookupTable() | PiecewiseLinear():
            return [_row(stage, value.format, str(value.rounding), "", _function(value))]
        case _:
            return [_row(stage, note=str(value).lower())]


def _function(activation: Activation) -> str:
    if isinstance(activation, LookupTable):
        return f"{activation.function or 'table'}, {len(activation.values)} values, {activation.interpolation}"
    line = f"{activation.slope} * raw / 2**{activation.shift} + {activation.offset}"
    return activation.function or f"{line} in {activation.low}..{activation.high}"


def _gate_rows(gates: tuple[GateDatapath, ...]) -> list[Row]:
    """The stages of the gates, those of several gates together where they are the same."""
    rows = []
    for field in fields(GateDatapath):
        groups: dict[Any, list[str]] = {}
        for gate, datapath in zip(GATES, gates, strict=True):
            groups.setdefault(getattr(datapath, field.name), []).append(gate)
        for value, names in groups.items():
            which = "*" if len(names) == len(GATES) else ",".join(names)
            rows += _rows(f"gate.{which}.{field.name}", value)
    return rows


def tables(datapaths: Mapping[str, Datapath]) -> list[dict[str, Any]]:
    """The look-up tables of all layers, each once, with the stages that read it."""
    users: dict[LookupTable, list[str]] = {}
    for layer, datapath in datapaths.items():
        for stage, activation in _activations(datapath):
            if isinstance(activation, LookupTable):
                users.setdefault(activation, []).append(f"{layer}.{stage}")
    return [
        {
            "function": table.function or "table",
            "values": len(table.values),
            "format": table.format.name,
            "interpolation": str(table.interpolation),
            "used_by": stages,
        }
        for table, stages in users.items()
    ]


def _activations(datapath: Datapath) -> list[tuple[str, Activation]]:
    match datapath:
        case LstmDatapath():
            gates = [(f"gate.{name}", gate.activation) for name, gate in zip(GATES, datapath.gates, strict=True)]
            return [*gates, ("cell_activation", datapath.cell_activation)]
        case LinearDatapath():
            return [("activation", datapath.activation)]
        case _:
            return []
