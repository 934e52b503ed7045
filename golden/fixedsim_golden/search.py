"""A search for corners: many steps at once from states put in, of which those that hit something new are kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.construction import Constructor, Target, by_layer
from fixedsim_golden.corners import TIES, Site
from fixedsim_golden.drawing import Draw, Inputs, State, input_rows, matched, shrunk, snapped
from fixedsim_golden.playing import lstms
from fixedsim_golden.stages import previous, stages
from fixedsim_golden.ties import Factors

Integers = NDArray[np.int64]
Hits = NDArray[np.bool_]
Progress = Callable[[int, int], None]
_BATCH = 4096  # steps of a round
_SWEEP = 1 << 16  # of a round that tries every cell
_PROMISING = 16  # steps of a pool, of which one is swept
_TIED_UNITS, _TIED_FACTORS = 16, 64  # whose ties are worked out
_GIVE_UP = 24  # rounds without a new corner


@dataclass(frozen=True, eq=False)
class Covered:
    """Cases, and which corners of each site they hit."""

    cases: list[Case]
    sites: list[Site]
    hits: list[Hits]

    @property
    def open(self) -> int:
        """How many corners are neither hit nor proven out of reach."""
        return sum(int(np.sum(site.possible & ~seen)) for site, seen in zip(self.sites, self.hits, strict=True))


@dataclass(frozen=True, eq=False)
class _Batch:
    """One step of many sequences: inputs ``(N, features)`` or tokens ``(N,)``, and states ``(N, units)``."""

    inputs: Integers
    states: Mapping[str, tuple[Integers, Integers]]

    def signals(self, model: Model) -> dict[str, Integers]:
        """The signals of the step, ``(N, units)``."""
        result = model.run(self.inputs[None], state=self.states, trace="*")
        found = {name: trace[0] for name, trace in result.trace.items()}
        return found | {previous(name): cell for name, (_, cell) in self.states.items()}

    def case(self, place: int, name: str, flag: str) -> Case:
        """One of the sequences."""
        state: State = {each: (h[place], c[place]) for each, (h, c) in self.states.items()}
        flags = (flag, "injected") if state else (flag,)
        start = Start.INJECTED if state else Start.RESET
        return Case(name, flags, self.inputs[place : place + 1], start, state)


def searched(model: Model, covered: Covered, seed: int, rounds: int, progress: Progress | None = None) -> Covered:
    """Add one-step sequences until no corner is open, ``rounds`` are over, or too many rounds find nothing."""
    found = _Found(model, list(covered.cases), list(covered.sites), [each.copy() for each in covered.hits])
    maker, idle = _Maker(model, Draw(seed)), 0
    constructor = Constructor(model)
    for layer, targets in by_layer(list(constructor.multipliers())).items():
        found.keep(maker.steps(layer, targets), "multiplier")
    for batch in _constructed(maker, found, constructor):
        found.add(batch)
    for turn in range(rounds):
        if not found.covered.open or idle == _GIVE_UP:
            break
        before = len(found.cases)
        found.add(maker.batch(turn))
        idle = 0 if len(found.cases) > before else idle + 1
        if progress is not None:
            progress(turn + 1, rounds)
    return found.covered


def _constructed(maker: "_Maker", found: "_Found", constructor: Constructor) -> Iterator[_Batch]:
    """Steps that are worked out for the corners of tables, and for ties, that are open."""
    for site, seen in zip(found.sites, found.hits, strict=True):
        if site.runs is not None:
            open_ = site.runs[site.possible & ~seen]
            for layer, targets in by_layer(list(constructor.targets(site.reads, open_))).items():
                yield maker.steps(layer, targets)
    yield from _tied(maker, found, constructor)


def _tied(maker: "_Maker", found: "_Found", constructor: Constructor) -> Iterator[_Batch]:
    """Every cell beside an output gate that makes a tie with some cell activation, as long as such ties are open."""
    factors, made = Factors(maker.model), stages(maker.model)
    for place, site in enumerate(found.sites):
        if not site.name.endswith(".hidden") or TIES[0] not in site.corners:
            continue
        first = site.corners.index(TIES[0])
        stage = made[site.name]
        for unit in range(min(stage.units, _TIED_UNITS)):
            pairs = factors.ties(stage, unit)
            for raw in _most_frequent(pairs):
                if not np.any((site.possible & ~found.hits[place])[first : first + len(TIES)]):
                    break
                reader, raws = factors.sources(stage.reads[0], unit, raw)
                runs = np.stack([raws[[0, -1]]] * 2, axis=1) if len(raws) else np.empty((0, 2), np.int64)
                for target in constructor.targets([reader], runs):
                    yield maker.swept(target)


def _most_frequent(pairs: Integers | None) -> list[int]:
    """The first factors that have the most partners."""
    if pairs is None:
        return []
    raws, counts = np.unique(pairs[:, 0], return_counts=True)
    return [int(raw) for raw in raws[np.argsort(-counts, kind="stable")][:_TIED_FACTORS]]


class _Found:
    """What has been found so far."""

    def __init__(self, model: Model, cases: list[Case], sites: list[Site], hits: list[Hits]) -> None:
        self.model, self.cases, self.sites, self.hits = model, cases, sites, hits

    @property
    def covered(self) -> Covered:
        return Covered(self.cases, self.sites, self.hits)

    def add(self, batch: _Batch) -> None:
        """Keep the sequences of a batch that hit open corners which none before has hit."""
        signals = batch.signals(self.model)
        self._keep(batch, signals, self._readers(signals))
        places = [place for place, site in enumerate(self.sites) if site.runs is None]
        self._split(batch, signals, 0, len(batch.inputs), places)

    def _readers(self, signals: Mapping[str, Integers]) -> list[int]:
        """For each open corner of a table a sequence that reads there, where there is one."""
        found: set[int] = set()
        for site, seen in zip(self.sites, self.hits, strict=True):
            open_ = np.flatnonzero(site.possible & ~seen)
            if site.runs is None or not len(open_):
                continue
            raws = np.concatenate([signals[name] for name in site.reads], axis=1)
            order = np.argsort(raws, axis=None, kind="stable")
            ascending = raws.reshape(-1)[order]
            first = np.searchsorted(ascending, site.runs[open_, 0])
            end = np.searchsorted(ascending, site.runs[open_, 1], side="right")
            found.update((order[first[first < end]] // raws.shape[1]).tolist())
        return sorted(found)

    def keep(self, batch: _Batch, flag: str) -> None:
        """Keep all sequences of a batch."""
        self._keep(batch, batch.signals(self.model), list(range(len(batch.inputs))), flag)

    def _keep(self, batch: _Batch, signals: Mapping[str, Integers], places: list[int], flag: str = "search") -> None:
        if not places:
            return
        kept = {name: raws[places] for name, raws in signals.items()}
        for place, site in enumerate(self.sites):
            self.hits[place] |= site.hits(kept)
        first = len(self.cases)
        self.cases += [batch.case(place, f"{flag}-{first + order}", flag) for order, place in enumerate(places)]

    def _split(self, batch: _Batch, signals: Mapping[str, Integers], low: int, high: int, places: list[int]) -> None:
        """Halve until single sequences are left, following only halves and sites with something new."""
        new = []
        for place in places:
            site = self.sites[place]
            open_ = site.possible & ~self.hits[place]
            if np.any(open_) and np.any(site.hits({name: signals[name][low:high] for name in site.reads}) & open_):
                new.append(place)
        if not new:
            return
        if high - low == 1:
            self._keep(batch, signals, [low])
            return
        middle = (low + high) // 2
        self._split(batch, signals, low, middle, new)
        self._split(batch, signals, middle, high, new)


class _Maker:
    """Draws batches."""

    def __init__(self, model: Model, draw: Draw) -> None:
        self.model, self.draw = model, draw
        self.inputs, self.weights, self.parts = Inputs.of(model), input_rows(model), lstms(model)

    def steps(self, layer: str, targets: Sequence[Target]) -> _Batch:
        """The steps of targets, other states and cells drawn."""
        made = self._even(len(targets))
        inputs, states = made.inputs.copy(), dict(made.states)
        for place, target in enumerate(targets):
            if target.inputs is not None:
                inputs[place] = target.inputs
            if target.hidden is not None:
                states[layer][0][place] = target.hidden
        return _Batch(inputs, states)

    def batch(self, turn: int) -> _Batch:
        """Rows driven part of the way to their extremes; even raws; small ones; and one step with every cell."""
        kinds = (self._graded, self._even, self._sweep, self._graded, self._small, self._sweep)
        return kinds[turn % len(kinds)]()

    def _even(self, count: int = _BATCH) -> _Batch:
        states = {}
        for name, part in self.parts.items():
            hidden = self.draw.raws(part.state_format, (count, part.outputs))
            states[name] = hidden, self._cells(part, count)
        return _Batch(self._raws(count), states)

    def _raws(self, count: int) -> Integers:
        return self.inputs.draw(self.draw, count)

    def _cells(self, part: Lstm, count: int) -> Integers:
        """Cells: a quarter at extremes, a quarter small, the others even."""
        form = part.datapath.read_cell
        cells = self.draw.raws(form, (count, part.units))
        quarter = count // 4
        ends = self.draw.below(2, (quarter, part.units))
        cells[:quarter] = np.where(ends > 0, form.raw_max, form.raw_min)
        cells[quarter : 2 * quarter] >>= self.draw.below(form.bits, (quarter, 1))
        return snapped(cells, form)

    def _small(self) -> _Batch:
        made = self._even()
        if self.inputs.width is None:
            return made
        form, shifts = self.inputs.form, self.draw.below(self.inputs.form.bits, (len(made.inputs), 1))
        return replace(made, inputs=shrunk(made.inputs, form, 1, 1 << shifts))

    def _graded(self, count: int = _BATCH) -> _Batch:
        """Each sequence drives one row, through inputs and hidden state, a random part of the way to an extreme."""
        made = self._even(count)
        rows, high = self.draw.below(1 << 30, (count,)), self.draw.below(2, (count,))
        inputs = made.inputs
        if len(self.weights):
            inputs = self._towards(self.weights, self.inputs.form, rows, high)
        states = {}
        for name, part in self.parts.items():
            hidden = self._towards(part.recurrent_matrix.centred, part.state_format, rows, high)
            states[name] = hidden, made.states[name][1]
        return _Batch(inputs, states)

    def _towards(self, weights: NDArray[Any], form: Format, rows: Integers, high: Integers) -> Integers:
        chosen = weights[rows % len(weights)]
        ends = np.where(high[:, None] > 0, matched(chosen, form, high=True), matched(chosen, form, high=False))
        shares = self.draw.below(1025, (len(rows), 1))
        spread = self.draw.below(1 << 30, ends.shape) % (1 << self.draw.below(form.bits, (len(rows), 1)))
        near = self.draw.below(2, (len(rows), 1)) > 0  # half of them: the extreme, less a little in each place
        inside = np.where(ends == form.raw_max, ends - spread, ends + spread)
        jitter = self.draw.below(5, ends.shape) - 2
        return snapped(np.where(near, inside, shrunk(ends, form, shares, 1024) + jitter), form)

    def _promising(self) -> _Batch:
        """One step of many whose gates have a raw with many zeros at the end: products with it land on ties."""
        pool = (self._graded, self._even, self._small)[self.draw.below(3)]()
        signals = pool.signals(self.model)
        names = [f"{name}.gate.{gate}" for name in self.parts for gate in ("output", "forget")]
        gates = np.concatenate([signals[name] for name in names], axis=1)
        zeros = np.where(gates == 0, 0, gates & -gates)
        best = np.argsort(-np.max(zeros, axis=1), kind="stable")[self.draw.below(_PROMISING)]
        states = {name: (h[best : best + 1], c[best : best + 1]) for name, (h, c) in pool.states.items()}
        return _Batch(pool.inputs[best : best + 1], states)

    def _sweep(self) -> _Batch:
        """One input and hidden state, and every cell: each unit in an order of its own."""
        return self._every_cell(self._promising()) if self.parts else self._even()

    def swept(self, target: Target) -> _Batch:
        """The step of a target with every cell."""
        return self._every_cell(self.steps(target.layer, [target]))

    def _every_cell(self, few: _Batch) -> _Batch:
        """The first step of a batch with every cell."""
        levels = [part.datapath.read_cell.levels for part in self.parts.values()]
        most = max(_BATCH, min(_SWEEP, 4_000_000 // sum(part.units for part in self.parts.values())))
        count = min(max(levels), most)
        states = {}
        for name, part in self.parts.items():
            form = part.datapath.read_cell
            first = self.draw.below(form.levels, (1, part.units))
            places = (np.arange(count)[:, None] + first) % form.levels
            hidden = np.broadcast_to(few.states[name][0][:1], (count, part.outputs))
            states[name] = np.ascontiguousarray(hidden), form.raw_min + form.raw_step * places
        inputs = np.broadcast_to(few.inputs[:1], (count, *few.inputs.shape[1:]))
        return _Batch(np.ascontiguousarray(inputs), states)
