"""How strong a set is: neighbouring models on its stimuli, and which of them it tells apart from its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FixedsimError, ModelError
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Matrix
from fixedsim.model import Model
from fixedsim.profiles.datapath import Accumulator, Check, GateDatapath, Interpolation, LookupTable, Narrowing
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.corners import Site, sites
from fixedsim_golden.equivalence import Values, same_overflow, same_rounding
from fixedsim_golden.playing import Entry, play, streams
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.stages import signals_of
from fixedsim_golden.tensors import named_tables

Progress = Callable[[int, int], None]
Layer = Linear | Lstm
_GATES_SWAPPED = (("input", "forget"), ("candidate", "output"), ("forget", "output"))


@dataclass(frozen=True)
class Neighbour:
    """A model that differs from the set's in one thing, on the cases that can show it, or cases started otherwise."""

    name: str
    model: Model
    cases: Sequence[Case]
    own: Sequence[Case]  # the same cases as the set has them
    equivalent: str = ""  # why nothing can tell it apart, where that is proven


@dataclass(frozen=True)
class Verdict:
    """What became of a neighbour.

    ``outcome`` is ``told apart`` by outputs or final states, ``told apart inside`` only by the set's signals,
    ``equivalent`` or ``missed``; ``where`` is the first entry that differs, or why.
    """

    neighbour: str
    outcome: str
    where: str


OUTCOMES = ("told apart", "told apart inside", "equivalent", "missed")


def strength(folder: Path | str, progress: Progress | None = None) -> list[Verdict]:
    """Run each neighbour of a set's model on the set's stimuli, and say what tells it apart.

    Neighbours have one cast with another rounding or overflow, one accumulator a bit narrower than is safe, one table
    entry off by one, two gates swapped, inputs in reverse order, or a state that is stale or cleared at the wrong time.

    Raises:
        FileError: a set that is damaged.
    """
    opened = GoldenSet.open(folder)
    signals = [entry.name for entry in opened.manifest.entries if entry.role == "signal"]
    judge = _Judge(opened.model, signals)
    neighbours = list(_Neighbours(opened.model, opened.cases).all())
    found = []
    for place, neighbour in enumerate(neighbours):
        found.append(judge.verdict(neighbour))
        if progress is not None:
            progress(place + 1, len(neighbours))
    return found


class _Judge:
    """Compares neighbours with the model; what the model gives is kept for the cases that come again."""

    def __init__(self, model: Model, signals: Sequence[str]) -> None:
        self.model, self.signals = model, signals
        self._last: tuple[Sequence[Case], list[Entry]] = ((), [])

    def verdict(self, neighbour: Neighbour) -> Verdict:
        """What becomes of one."""
        if neighbour.equivalent:
            return Verdict(neighbour.name, "equivalent", neighbour.equivalent)
        if not neighbour.cases:
            return Verdict(neighbour.name, "missed", "no case gets there")
        try:
            found = play(neighbour.model, neighbour.cases, self.signals)
        except FixedsimError as error:
            return Verdict(neighbour.name, "told apart", f"it cannot run: {error}")
        by_role: dict[bool, str] = {}
        for entry, wanted in zip(found, self._wanted(neighbour.own), strict=True):
            outside = entry.role in ("output", "final_state")
            if outside not in by_role and (outside or entry.role == "signal"):
                wrong = np.argwhere(entry.raws != wanted.raws)
                if len(wrong):
                    by_role[outside] = f"{entry.name}{[int(index) for index in wrong[0]]}"
        if True in by_role:
            return Verdict(neighbour.name, "told apart", by_role[True])
        if False in by_role:
            return Verdict(neighbour.name, "told apart inside", by_role[False])
        return Verdict(neighbour.name, "missed", "every signal, output and final state is the same")

    def _wanted(self, cases: Sequence[Case]) -> list[Entry]:
        if self._last[0] is not cases:
            self._last = cases, play(self.model, cases, self.signals)
        return self._last[1]


class _Neighbours:
    """All neighbours of a model, on the cases of a set."""

    def __init__(self, model: Model, cases: Sequence[Case]) -> None:
        self.model, self.cases = model, cases
        self.sites = {site.name: site for site in sites(model)}
        self.values = Values(model)

    def all(self) -> Iterator[Neighbour]:
        """Layer by layer, then tables and states."""
        for place, layer in enumerate(self.model.layers):
            for part, put in _parts(layer, self.model, place):
                yield from self._casts(part, put)
                yield from self._accumulators(part, put)
                for name, model in _orders(part, put):
                    yield self._of(name, model)
        yield from self._tables()
        yield from self._states()

    def _of(self, name: str, model: Model, why: str = "") -> Neighbour:
        return Neighbour(name, model, self.cases, self.cases, why)

    def _casts(self, part: Layer, put: Callable[[Any], Model]) -> Iterator[Neighbour]:
        for signal, narrowing, changed in _narrowings(part):
            site = self.sites[signal]
            for rounding in Rounding:
                if rounding is not narrowing.rounding and narrowing.primitive is None:
                    other = replace(narrowing, rounding=rounding)
                    why = same_rounding(site, narrowing, rounding, part) or self.values.same_narrowing(signal, other)
                    yield self._of(f"{signal} rounds {rounding}", put(_with(part, changed(other))), why)
            for overflow in (Overflow.WRAP, Overflow.SATURATE):
                if overflow is not narrowing.overflow and narrowing.format.full_range and narrowing.reads_overflow:
                    other = replace(narrowing, overflow=overflow, saturated_bits=0)
                    why = same_overflow(site) or self.values.same_narrowing(signal, other)
                    yield self._of(f"{signal} on overflow {overflow}", put(_with(part, changed(other))), why)

    def _accumulators(self, part: Layer, put: Callable[[Any], Model]) -> Iterator[Neighbour]:
        """One bit below the least width that is proven safe."""
        products = [part.products] if isinstance(part, Linear) else [part.input_products, part.recurrent_products]
        safe = max(int(np.max(each.prefixes.bits(each.accumulator.overflow))) for each in products)
        held = part.datapath.accumulator
        if not 1 <= safe - 1 < held.bits:
            return
        for overflow in (Overflow.WRAP, Overflow.SATURATE):
            narrower = Accumulator(safe - 1, overflow, Check.STEP, held.product, held.partial)
            name = f"{part.name} accumulators {overflow} at {safe - 1} bits, one below what is safe"
            with suppress(ModelError):  # a bias alone can need the width that is safe
                yield self._of(name, put(_with(part, replace(part.datapath, accumulator=narrower))))

    def _tables(self) -> Iterator[Neighbour]:
        """Each entry of each table one too high, or one too low where it is the highest raw."""
        signals = signals_of(self.model, self.cases, play(self.model, self.cases))
        owners = np.repeat(np.arange(len(self.cases)), [case.steps for case in self.cases])
        for name, table in named_tables(self.model).items():
            site = self.sites[name]
            raws = [signals[reader] for reader in site.reads]
            for entry in range(len(table.values)):
                corners = [place for place, corner in enumerate(site.corners) if corner in _reading(table, entry)]
                values = list(table.values)
                values[entry] += 1 if values[entry] < table.format.raw_max else -1
                changed = replace(table, values=tuple(values))
                other = _with_table(self.model, table, changed)
                why = self.values.same_table(table, changed) if np.any(site.possible[corners]) else "it is never read"
                cases = [] if why else self._reading_cases(site, corners, raws, owners)
                yield Neighbour(f"{name} entry {entry} off by one", other, cases, cases, why)

    def _reading_cases(self, site: Site, corners: list[int], raws: Sequence[Any], owners: Any) -> list[Case]:
        """The cases that read between the raws of corners, each with those that it continues."""
        assert site.runs is not None
        wanted: set[int] = set()
        for each in raws:
            read = np.zeros(len(each), dtype=np.bool_)
            for low, high in site.runs[corners]:
                read |= np.any((each >= low) & (each <= high), axis=1)
            by_step = len(each) == len(owners)  # else once a sequence
            wanted |= set((owners[read] if by_step else np.flatnonzero(read)).tolist())
        for place in sorted(wanted):
            while self.cases[place].start is Start.CONTINUED:
                place -= 1
                wanted.add(place)
        return [self.cases[place] for place in sorted(wanted)]

    def _states(self) -> Iterator[Neighbour]:
        """States that are cleared or kept at the wrong time."""
        starts = {
            "a state that is cleared where it should be carried over": (Start.CONTINUED, Start.RESET),
            "a state that is carried over where it should be reset": (Start.RESET, Start.CONTINUED),
        }
        if not streams(self.model) or not any(case.start is Start.CONTINUED for case in self.cases):
            return
        for name, (old, new) in starts.items():
            changed = [
                replace(case, start=new) if case.start is old and (place or new is Start.RESET) else case
                for place, case in enumerate(self.cases)
            ]
            yield Neighbour(name, self.model, changed, self.cases)
        if any(case.resets for case in self.cases):
            without = [replace(case, resets=()) for case in self.cases]
            yield Neighbour("a reset in mid-sequence that does nothing", self.model, without, self.cases)


def _parts(layer: Any, model: Model, place: int) -> Iterator[tuple[Layer, Callable[[Any], Model]]]:
    """Layers with a datapath, and how a changed one goes into a model."""

    def put(changed: Any) -> Model:
        layers = list(model.layers)
        layers[place] = changed
        return replace(model, layers=tuple(layers))

    match layer:
        case Linear() | Lstm():
            yield layer, put
        case Bidirectional():
            yield layer.forward, lambda part: put(replace(layer, forward=part))
            yield layer.backward, lambda part: put(replace(layer, backward=part))


def _narrowings(part: Layer) -> Iterator[tuple[str, Narrowing, Callable[[Narrowing], Any]]]:
    """The signal that each narrowing gives, and the datapath with another in its place."""
    path = part.datapath
    if isinstance(part, Linear):
        for name in ("sum", "preactivation", "output"):
            yield f"{part.name}.{name}", getattr(path, name), _setting(path, name)
        return
    for gate, choices in zip(path.gate_names, path.present, strict=True):  # type: ignore[union-attr]
        for field, suffix in _gate_fields(part):
            signal = f"{part.name}.gate.{gate}{suffix}"
            yield signal, getattr(choices, field), _setting_gate(path, choices, field)
    for name in ("forget_product", "input_product", "forget_addend", "input_addend", "cell", "cell_input", "hidden"):
        if getattr(path, name) is not None:
            yield f"{part.name}.{name}", getattr(path, name), _setting(path, name)
    yield f"{part.name}.cell_activation", path.cell_output, _setting(path, "cell_output")  # type: ignore[union-attr]


def _gate_fields(part: Lstm) -> tuple[tuple[str, str], ...]:
    sums = (
        (("input_sum", ".sum"),)
        if part.datapath.joint
        else (("input_sum", ".input_sum"), ("recurrent_sum", ".recurrent_sum"))
    )
    return (*sums, ("preactivation", ".preactivation"), ("output", ""))


def _setting(path: Any, field: str) -> Callable[[Narrowing], Any]:
    return lambda narrowing: replace(path, **{field: narrowing})


def _setting_gate(path: Any, choices: GateDatapath, field: str) -> Callable[[Narrowing], Any]:
    def changed(narrowing: Narrowing) -> Any:
        other: Any = {field: narrowing}
        gates = tuple(replace(gate, **other) if gate is choices else gate for gate in path.gates)
        return replace(path, gates=gates)

    return changed


def _with(part: Layer, datapath: Any) -> Layer:
    """The layer with another datapath."""
    return replace(part, datapath=datapath)


def _orders(part: Layer, put: Callable[[Any], Model]) -> Iterator[tuple[str, Model]]:
    """Inputs or hidden state in reverse order, and gates swapped."""
    if isinstance(part, Linear):
        yield f"{part.name} inputs reversed", put(replace(part, matrix=_reversed(part.matrix)))
        return
    yield f"{part.name} inputs reversed", put(replace(part, input_matrix=_reversed(part.input_matrix)))
    yield f"{part.name} hidden state reversed", put(replace(part, recurrent_matrix=_reversed(part.recurrent_matrix)))
    names = part.datapath.gate_names
    for first, second in _GATES_SWAPPED:
        if first in names and second in names:
            yield f"{part.name} {first} and {second} gates swapped", put(_swapped(part, first, second))


def _reversed(matrix: Matrix) -> Matrix:
    return replace(matrix, weight=np.ascontiguousarray(matrix.weight[:, ::-1]))


def _swapped(part: Lstm, first: str, second: str) -> Lstm:
    """The layer with the rows of two gates in each other's place."""
    names, units = part.datapath.gate_names, part.units
    order = np.arange(len(names) * units)
    places = [slice(names.index(gate) * units, (names.index(gate) + 1) * units) for gate in (first, second)]
    order[places[0]], order[places[1]] = order[places[1]].copy(), order[places[0]].copy()
    bias = replace(part.bias, raw=part.bias.raw[order], shift=part.bias.shift[order])
    return replace(
        part,
        input_matrix=_rows(part.input_matrix, order),
        recurrent_matrix=_rows(part.recurrent_matrix, order),
        bias=bias,
    )


def _rows(matrix: Matrix, order: Any) -> Matrix:
    fields = ("weight", "product_shift", "multiplier", "shift", "zero_point", "scale")
    return replace(matrix, **{field: np.ascontiguousarray(getattr(matrix, field)[order]) for field in fields})


def _reading(table: LookupTable, entry: int) -> set[str]:
    """The corners at which an entry has a part in the value."""
    last = len(table.values) - 1
    names = {f"entry {entry}", f"segment {entry}"}
    if entry and table.interpolation is Interpolation.LINEAR:
        names.add(f"segment {entry - 1}")
    if entry == 0:
        names.add("below the first entry")
    if entry == last:
        names |= {"at or above the last entry", "above the last entry"}
    return names


def _with_table(model: Model, old: LookupTable, new: LookupTable) -> Model:
    def changed(value: Any) -> Any:
        match value:
            case LookupTable():
                return new if value == old else value
            case Linear():
                return replace(value, datapath=replace(value.datapath, activation=changed(value.datapath.activation)))
            case Lstm():
                path: Any = value.datapath
                gates = tuple(gate and replace(gate, activation=changed(gate.activation)) for gate in path.gates)
                return replace(
                    value, datapath=replace(path, gates=gates, cell_activation=changed(path.cell_activation))
                )
            case Bidirectional():
                return replace(value, forward=changed(value.forward), backward=changed(value.backward))
            case _:
                return value

    return replace(model, layers=tuple(changed(layer) for layer in model.layers))
