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
    FixedFunction,
    Form,
    GateDatapath,
    Grouping,
    LayerNorm,
    LinearDatapath,
    LookupTable,
    LstmDatapath,
    Narrowing,
    PartialSums,
    Peephole,
    PiecewiseLinear,
)

Datapath = EmbeddingDatapath | LinearDatapath | LstmDatapath
Row = dict[str, str]


def stages(layer: str, datapath: Datapath) -> Iterator[Row]:
    """A row ``{layer, stage, format, rounding, overflow, note}`` for each field of a datapath, in its order."""
    for field in fields(datapath):
        value = getattr(datapath, field.name)
        if value is None:
            continue
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
            note = str(value.primitive or ("doubling" if value.form is Form.DOUBLING else ""))
            return [_row(stage, value.format, str(value.rounding), str(value.overflow), note)]
        case Peephole():
            return [
                row for field in fields(value) for row in _rows(f"{stage}.{field.name}", getattr(value, field.name))
            ]
        case LayerNorm():
            return [*_rows(f"{stage}.weight", value.weight), *_rows(f"{stage}.output", value.output)]
        case Accumulator():
            note = f"at each {value.check}" if value.check == "step" else f"at the {value.check}"
            held = _row(stage, value.format, "", str(value.overflow), note)
            product = [] if value.product is None else _rows(f"{stage}.product", value.product)
            return [*product, *(_partial(stage, level) for level in value.partial), held]
        case LookupTable() | PiecewiseLinear():
            return [_row(stage, value.format, str(value.rounding), "", _function(value))]
        case FixedFunction():
            return [_row(stage, value.format, note=_function(value))]
        case _:
            return [_row(stage, note=str(value).lower())]


def _partial(stage: str, level: PartialSums) -> Row:
    count = level.count or "all"
    note = f"{level.grouping} of {count}" if level.grouping is Grouping.TILES else f"{count} {level.grouping}"
    return _row(f"{stage}.partial", level.format, "", str(level.overflow), f"{note}, {level.order}")


def _function(activation: Activation) -> str:
    if isinstance(activation, FixedFunction):
        return f"{activation.primitive}({activation.argument})"
    if isinstance(activation, LookupTable):
        return f"{activation.function or 'table'}, {len(activation.values)} values, {activation.interpolation}"
    line = f"{activation.slope} * raw / 2**{activation.shift} + {activation.offset}"
    return activation.function or f"{line} in {activation.low}..{activation.high}"


def _gate_rows(gates: tuple[GateDatapath | None, ...]) -> list[Row]:
    """The stages of the gates, those of several gates together where they are the same."""
    rows = []
    for field in fields(GateDatapath):
        groups: dict[Any, list[str]] = {}
        for gate, datapath in zip(GATES, gates, strict=True):
            value = getattr(datapath, field.name, None)
            if value is not None:
                groups.setdefault(value, []).append(gate)
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
            present = zip(datapath.gate_names, datapath.present, strict=True)
            gates = [(f"gate.{name}", gate.activation) for name, gate in present]
            return [*gates, ("cell_activation", datapath.cell_activation)]
        case LinearDatapath():
            return [("activation", datapath.activation)]
        case _:
            return []
