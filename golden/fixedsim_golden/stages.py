"""Every narrowing of a model as a stage: the signal that it gives, the signals that it reads, and what it narrows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import activate
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.lstm_stages import gate_format
from fixedsim.layers.parts import Matrix
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.profiles.datapath import GATES, Activation, BiasStage, GateDatapath, Hazard, Narrowing
from fixedsim_golden.cases import Case
from fixedsim_golden.playing import Entry, lstms

Integers = NDArray[np.int64]
Signals = Mapping[str, Integers]  # raws (steps, units) by signal


@dataclass(frozen=True)
class Operand:
    """A signal less the zero point that it is read with."""

    signal: str
    zero_point: int = 0

    def of(self, signals: Signals) -> Integers:
        """The values ``(steps, units)``."""
        return signals[self.signal] - self.zero_point


@dataclass(frozen=True, eq=False)
class Sum:
    """Operands and a constant for each unit, added."""

    operands: tuple[Operand, ...]
    constant: Integers  # (units,)

    def of(self, signals: Signals) -> Integers:
        """The sums ``(steps, units)``."""
        total: Integers = sum((operand.of(signals) for operand in self.operands), start=self.constant)
        return total


@dataclass(frozen=True, eq=False)
class Product:
    """Two operands multiplied."""

    first: Operand
    second: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Both."""
        return self.first, self.second

    def of(self, signals: Signals) -> Integers:
        """The products ``(steps, units)``."""
        return self.first.of(signals) * self.second.of(signals)


@dataclass(frozen=True, eq=False)
class Weighted:
    """An operand times a weight for each unit."""

    operand: Operand
    weight: Integers  # (units,)

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The one there is."""
        return (self.operand,)

    def of(self, signals: Signals) -> Integers:
        """The products ``(steps, units)``."""
        return self.operand.of(signals) * self.weight


@dataclass(frozen=True, eq=False)
class Applied:
    """An activation at the raws of a signal, less the zero point of its values."""

    activation: Activation
    operand: Operand

    @property
    def operands(self) -> tuple[Operand, ...]:
        """The one there is."""
        return (self.operand,)

    def of(self, signals: Signals) -> Integers:
        """The values ``(steps, units)``."""
        values = activate(signals[self.operand.signal], self.activation)
        return np.asarray(values, dtype=np.int64) - self.activation.format.zero_point


Source = Sum | Product | Weighted | Applied


@dataclass(frozen=True, eq=False)
class Stage:
    """``signal = narrow(source * multiplier / 2**shift)``.

    ``multiplier`` and ``shift`` are ``(units,)``. ``reads`` are the signals in the source, which is None where it is no
    single number of them: of layer normalization, and where a stale register is read. ``<lstm>.cell@-1`` is the cell
    before the step.
    """

    signal: str
    layer: str
    narrowing: Narrowing
    multiplier: Integers
    shift: Integers
    reads: tuple[str, ...]
    source: Source | None

    @property
    def units(self) -> int:
        """The width of the signal."""
        return len(self.shift)


def previous(lstm: str) -> str:
    """The name of the cell before each step."""
    return f"{lstm}.cell@-1"


def stages(model: Model) -> dict[str, Stage]:
    """The stages of a model by the signals that they give, in the order of execution."""
    return {stage.signal: stage for layer in model.layers for stage in _of_layer(layer)}


def _of_layer(layer: Layer) -> Iterator[Stage]:
    match layer:
        case Linear():
            yield from _linear(layer)
        case Lstm():
            yield from _lstm(layer)
        case Bidirectional():
            yield from _lstm(layer.forward)
            yield from _lstm(layer.backward)


def _linear(layer: Linear) -> Iterator[Stage]:
    path, name, matrix = layer.datapath, layer.name, layer.matrix
    late = np.asarray(layer.bias.at(path.bias_stage, BiasStage.PREACTIVATION), dtype=np.int64)
    total, before = f"{name}.sum", f"{name}.preactivation"
    added = Sum((Operand(f"{name}.accumulator"),), np.zeros(matrix.rows, np.int64))
    yield Stage(total, name, path.sum, matrix.multiplier, matrix.shift, _reads(added), added)
    yield _own(before, name, path.preactivation, Sum((Operand(total, path.sum.format.zero_point),), late), matrix.rows)
    yield _own(f"{name}.output", name, path.output, Applied(path.activation, Operand(before)), matrix.rows)


def _own(signal: str, layer: str, narrowing: Narrowing, source: Source, units: int, *, known: bool = True) -> Stage:
    """A stage with the narrowing's own multiplier and shift."""
    multiplier, shift = (np.full(units, value, dtype=np.int64) for value in (narrowing.multiplier, narrowing.shift))
    return Stage(signal, layer, narrowing, multiplier, shift, _reads(source), source if known else None)


def _reads(source: Source) -> tuple[str, ...]:
    return tuple(operand.signal for operand in source.operands)


def _lstm(layer: Lstm) -> Iterator[Stage]:
    path, name = layer.datapath, layer.name
    late = path.gates[3].peephole is not None
    for position, (gate, choices) in enumerate(zip(path.gate_names, path.present, strict=True)):
        if not (late and gate == "output"):
            seen = Operand(previous(name), path.read_cell.zero_point)
            yield from _gate(layer, gate, choices, position, seen)
    yield from _cell(layer)
    if late:
        seen = Operand(f"{name}.cell", path.cell.format.zero_point)
        yield from _gate(layer, "output", path.gates[3], len(path.gate_names) - 1, seen)
    product = Product(
        Operand(f"{name}.gate.output", path.gates[3].output.format.zero_point),
        Operand(f"{name}.cell_activation", path.cell_output.format.zero_point),
    )
    yield _own(f"{name}.hidden", name, path.hidden, product, layer.units)
    if layer.projection is not None:
        yield from _linear(layer.projection)


def _gate(layer: Lstm, gate: str, choices: GateDatapath, position: int, cell: Operand) -> Iterator[Stage]:
    path, units = layer.datapath, layer.units
    name = f"{layer.name}.gate.{gate}"
    rows = slice(position * units, (position + 1) * units)
    nothing = np.zeros(units, np.int64)
    totals = []
    for kind, matrix, narrowing in _sums(layer, choices):
        added = Sum((Operand(f"{name}.{kind.replace('sum', 'accumulator')}"),), nothing)
        constants = matrix.multiplier[rows], matrix.shift[rows]
        yield Stage(f"{name}.{kind}", layer.name, narrowing, *constants, _reads(added), added)
        totals.append(Operand(f"{name}.{kind}", narrowing.format.zero_point))
    late = np.asarray(layer.bias.at(path.bias_stage, BiasStage.PREACTIVATION), dtype=np.int64)[rows]
    read, zero = f"{name}.preactivation", choices.preactivation.format.zero_point
    yield _own(read, layer.name, choices.preactivation, Sum(tuple(totals), late), units)
    if choices.peephole is not None:
        product, narrowing = f"{name}.peephole_product", choices.peephole.product
        weight = layer.peephole[gate] - choices.peephole.weight.zero_point
        yield _own(product, layer.name, narrowing, Weighted(cell, weight), units)
        both = Operand(read, zero), Operand(product, narrowing.format.zero_point)
        read, zero = f"{name}.peephole_sum", choices.peephole.sum.format.zero_point
        yield _own(read, layer.name, choices.peephole.sum, Sum(both, nothing), units)
    if choices.norm is not None:
        source = Sum((Operand(read, zero),), nothing)
        read = f"{name}.normalized"
        yield _own(read, layer.name, choices.norm.output, source, units, known=False)
    yield _own(name, layer.name, choices.output, Applied(choices.activation, Operand(read)), units)


def _sums(layer: Lstm, choices: GateDatapath) -> list[tuple[str, Matrix, Narrowing]]:
    if layer.datapath.joint:
        return [("sum", layer.input_matrix, choices.input_sum)]
    return [
        ("input_sum", layer.input_matrix, choices.input_sum),
        ("recurrent_sum", layer.recurrent_matrix, choices.recurrent_sum),
    ]


def _cell(layer: Lstm) -> Iterator[Stage]:
    path, name, units = layer.datapath, layer.name, layer.units
    known = path.hazard is Hazard.NONE  # else the cell reads gates of the evaluation before
    nothing = np.zeros(units, np.int64)
    gate = {each: Operand(f"{name}.gate.{each}", gate_format(path, each).zero_point) for each in GATES}
    products = {
        "forget": Product(gate["forget"], Operand(previous(name), path.read_cell.zero_point)),
        "input": Product(gate["input"], gate["candidate"]),
    }
    addends = []
    for what, product in products.items():
        narrowing, rescale = getattr(path, f"{what}_product"), getattr(path, f"{what}_addend")
        yield _own(f"{name}.{what}_product", name, narrowing, product, units, known=known)
        addend = Operand(f"{name}.{what}_product", narrowing.format.zero_point)
        if rescale is not None:
            yield _own(f"{name}.{what}_addend", name, rescale, Sum((addend,), nothing), units)
            addend = Operand(f"{name}.{what}_addend", rescale.format.zero_point)
        addends.append(addend)
    cell = Operand(f"{name}.cell", path.cell.format.zero_point)
    yield _own(cell.signal, name, path.cell, Sum(tuple(addends), nothing), units)
    yield _own(f"{name}.cell_input", name, path.cell_input, Sum((cell,), nothing), units)
    applied = Applied(path.cell_activation, Operand(f"{name}.cell_input"))
    yield _own(f"{name}.cell_activation", name, path.cell_output, applied, units)


def signals_of(model: Model, cases: Sequence[Case], entries: Iterable[Entry]) -> dict[str, Integers]:
    """The traced signals of cases by name, and for each LSTM the cell before each step, ``<lstm>.cell@-1``."""
    by_name = {entry.name: entry for entry in entries}
    found = {name: entry.raws for name, entry in by_name.items() if entry.role == "signal"}
    for name, part in lstms(model).items():
        if f"{name}.cell" in found:
            starts = by_name[f"{name}.initial_state.cell"].raws
            backward = any(isinstance(layer, Bidirectional) and layer.backward is part for layer in model.layers)
            resting = part.resting.cell
            found[previous(name)] = _previous(found[f"{name}.cell"], starts, cases, resting, backward=backward)
    return found


def _previous(
    cell: Integers, starts: Integers, cases: Sequence[Case], resting: Integers, *, backward: bool
) -> Integers:
    before = np.empty_like(cell)
    first = 0
    for case, start in zip(cases, starts, strict=True):
        own, here = cell[first : first + case.steps], before[first : first + case.steps]
        if backward:
            here[:-1], here[-1] = own[1:], start
        else:
            here[1:], here[0] = own[:-1], start
        here[list(case.resets)] = resting
        first += case.steps
    return before
