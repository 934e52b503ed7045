"""Corners: what a set must reach in each accumulator, cast and table, and which of it is proven out of reach."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import narrow
from fixedsim.casts import Overflow
from fixedsim.formats import Format
from fixedsim.model import Model
from fixedsim.profiles.datapath import Interpolation, LookupTable
from fixedsim.spec.casts import round_shift
from fixedsim_golden.exhaustion import tried
from fixedsim_golden.reach import Reach, Reaches, least_raw, overflows, reaches, unlimited
from fixedsim_golden.stages import Applied, Product, Signals, Stage, stages
from fixedsim_golden.tensors import named_tables
from fixedsim_golden.ties import Factors, has_ties

Hits = NDArray[np.bool_]
TIES = tuple(f"tie {sign} zero over an {parity} raw" for sign in ("above", "below") for parity in ("even", "odd"))
_WRAPPING = (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE)
_SCANNED_BITS = 20  # formats whose raws are tried one by one, to find those that read an entry of a table


@dataclass(frozen=True, eq=False)
class Site:
    """One accumulator, cast or table, and its corners by name.

    ``possible`` says of each corner whether the bounds leave it open; ``hits`` finds those that signals reach;
    ``reads`` are the signals that it looks at. ``bounds`` is what the proof knows, for people. Corners of a table are
    ``runs`` of raws ``(corners, 2)``, the first and the last of each.
    """

    name: str
    kind: str  # "accumulator", "cast" or "table"
    corners: tuple[str, ...]
    possible: Hits
    hits: Callable[[Signals], Hits]
    reads: tuple[str, ...]
    bounds: str
    runs: NDArray[np.int64] | None = None


def sites(model: Model) -> list[Site]:
    """Every site of a model whose signals its traces hold."""
    reached, found = reaches(model), stages(model)
    accumulators = [name for name in reached.signals if name.endswith("accumulator")]
    made = [_accumulator(name, model.signals[name].format, reached) for name in accumulators]
    made += [_cast(stage, reached) for stage in found.values()]
    tables = named_tables(model)
    for name, table in tables.items():
        readers = [
            stage.source.operand.signal
            for stage in found.values()
            if isinstance(stage.source, Applied) and stage.source.activation == table
        ]
        made.append(_table(name, table, readers, reached))
    groups, factors = tried(model), Factors(model)
    return [_without_ties(_closed(site, groups), found.get(site.name), factors) for site in made]


def _without_ties(site: Site, stage: Stage | None, factors: Factors) -> Site:
    """The site of a product without the ties that no pair of its factors makes, where all factors are known."""
    if stage is None or not isinstance(stage.source, Product) or TIES[0] not in site.corners:
        return site
    made = np.zeros(len(TIES), dtype=np.bool_)
    for unit in range(stage.units):
        pairs = factors.ties(stage, unit)
        if pairs is None:
            return site
        product = pairs[:, :1] * pairs[:, 1:]
        ties = _tied(replace(stage, multiplier=stage.multiplier[[unit]], shift=stage.shift[[unit]]), product)
        made |= [bool(np.any(tied & sign)) for sign in (product > 0, product < 0) for tied in ties]
    possible = site.possible.copy()
    first = site.corners.index(TIES[0])
    possible[first : first + len(TIES)] &= made
    return replace(site, possible=possible, bounds=f"{site.bounds}; every pair of factors was tried for ties")


def _closed(site: Site, groups: Sequence[Signals]) -> Site:
    """The site without the corners that no value of what it reads reaches, where all of them are known."""
    for group in groups:
        if site.reads and all(name in group for name in site.reads) and decides(group, site.name):
            bounds = f"{site.bounds}; every value was tried"
            site = replace(site, possible=site.possible & site.hits(group), bounds=bounds)
    return site


def decides(group: Signals, name: str) -> bool:
    """Whether a group has a signal's own values: beside pre-activations, sums stand for the sum of both."""
    kind = name.rpartition(".")[2]
    return not kind.endswith("sum") or f"{name.removesuffix('sum')}accumulator" in group


def _accumulator(name: str, form: Format, reached: Reaches) -> Site:
    """The lowest and the highest sum that is proven possible, and every bit."""
    rows = reached.signals[name]
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    lows, highs = (np.array([getattr(row, end) for row in rows], dtype=np.int64) for end in ("low", "high"))
    names, possible = ["lowest sum", "highest sum"], [True, True]
    bits = _bits(form, rows)

    def hits(signals: Signals) -> Hits:
        raws = signals[name]
        ends = [np.any(raws == lows), np.any(raws == highs)]
        return np.array([*ends, *bits.hits(raws)], dtype=np.bool_)

    exact = "no sum on the way can overflow" if reached.exact[name] else "a sum on the way may overflow"
    return Site(
        name,
        "accumulator",
        (*names, *bits.names),
        np.array([*possible, *bits.possible]),
        hits,
        (name,),
        f"{low}..{high} of {form.name}; {exact}",
    )


@dataclass(frozen=True)
class _Bits:
    """Each bit of a code, both ways."""

    names: tuple[str, ...]
    possible: tuple[bool, ...]
    form: Format

    def hits(self, raws: Any) -> list[bool]:
        """Which bits were seen 0, and 1."""
        codes = np.asarray(raws).reshape(-1).astype(np.int64)
        if not codes.size:
            return [False] * len(self.names)
        every, some = int(np.bitwise_and.reduce(codes)), int(np.bitwise_or.reduce(codes))
        return [seen for bit in range(self.form.bits) for seen in (not every >> bit & 1, bool(some >> bit & 1))]


def _bits(form: Format, units: Sequence[Reach]) -> _Bits:
    names = tuple(f"bit {bit} {value}" for bit in range(form.bits) for value in (0, 1))
    distinct = set(units)
    possible = tuple(
        any(_bit_possible(each, bit, value) for each in distinct) for bit in range(form.bits) for value in (0, 1)
    )
    return _Bits(names, possible, form)


def _bit_possible(reach: Reach, bit: int, value: int) -> bool:
    """Whether some value has a bit of its two's complement as said."""
    size = 1 << bit
    first, last = reach.low >> (bit + 1), reach.high >> (bit + 1)
    blocks = range(first, last + 1) if last - first < 4 else (first, first + 1, last - 1, last)
    return any(reach.within((2 * block + value) * size, (2 * block + value) * size + size - 1) for block in blocks)


def _cast(stage: Stage, reached: Reaches) -> Site:
    given, form = stage.narrowing, stage.narrowing.format
    units = reached.signals[stage.signal]
    ends = ["minimum", "maximum"]
    possible = [any(unit.within(raw, raw) for unit in set(units)) for raw in (form.raw_min, form.raw_max)]
    bits = _bits(form, units)
    names = [*ends, *bits.names]
    possible += bits.possible
    bounds = f"{min(unit.low for unit in units)}..{max(unit.high for unit in units)} of {form.name}"
    unknown = "what it reads is no single number" if stage.source is None else ""
    if given.primitive is not None:
        unknown = f"where {given.primitive} rounds and overflows is its own"
    if unknown or stage.signal not in reached.sources:
        return Site(
            stage.signal,
            "cast",
            tuple(names),
            np.array(possible),
            lambda signals: np.array([*_ends(signals[stage.signal], form), *bits.hits(signals[stage.signal])]),
            (stage.signal,),
            f"{bounds}; {unknown or 'what it reads is not known'}",
        )
    word = "wraps" if given.overflow in _WRAPPING else "saturates"
    extra = [f"{word} low", f"{word} high", *TIES]
    open_ = [*_overflows_possible(stage, reached), *_ties_possible(stage, reached)]

    def hits(signals: Signals) -> Hits:
        raws = signals[stage.signal]
        return np.array([*_ends(raws, form), *bits.hits(raws), *_events(stage, signals)], dtype=np.bool_)

    return Site(
        stage.signal,
        "cast",
        (*names, *extra),
        np.array([*possible, *open_]),
        hits,
        (stage.signal, *stage.reads),
        bounds,
    )


def _ends(raws: Any, form: Format) -> list[bool]:
    return [bool(np.any(raws == form.raw_min)), bool(np.any(raws == form.raw_max))]


def _overflows_possible(stage: Stage, reached: Reaches) -> tuple[bool, bool]:
    constants = set(zip(reached.sources[stage.signal], stage.multiplier.tolist(), stage.shift.tolist(), strict=True))
    pairs = [overflows(stage.narrowing, source, multiplier, shift) for source, multiplier, shift in constants]
    return any(below for below, _ in pairs), any(above for _, above in pairs)


def _ties_possible(stage: Stage, reached: Reaches) -> list[bool]:
    """Whether a tie can be met above zero and below, over an even raw and over an odd one."""
    found = np.zeros(len(TIES), dtype=np.bool_)
    if has_ties(stage):
        for product, shift in set(zip(reached.products[stage.signal], stage.shift.tolist(), strict=True)):
            if shift > 0:
                signs = product.high > 0, product.low < 0
                found |= [sign and _half_possible(product, shift, parity) for sign in signs for parity in (0, 1)]
    return [bool(each) for each in found]


def _half_possible(product: Reach, shift: int, parity: int) -> bool:
    """Whether ``2**(shift - 1) + parity * 2**shift`` modulo ``2**(shift + 1)`` can be left."""
    period = min(product.period, shift + 1)
    return ((1 << (shift - 1)) + (parity << shift) - product.offset) % (1 << period) == 0


def _events(stage: Stage, signals: Signals) -> list[bool]:
    """Overflows and ties of a run."""
    assert stage.source is not None
    source = stage.source.of(signals)
    wide = _rounded(stage, source)
    form = stage.narrowing.format
    events = [bool(np.any(wide < least_raw(stage.narrowing))), bool(np.any(wide > form.raw_max))]
    if not has_ties(stage):
        return [*events, *(False for _ in TIES)]
    ties = _tied(stage, source)
    signs = source > 0, source < 0
    return [*events, *(bool(np.any(tied & sign)) for sign in signs for tied in ties)]


def _rounded(stage: Stage, source: Any) -> Any:
    """The rounded values as 64 bits hold them, before any overflow."""
    given = stage.narrowing
    if given.primitive is not None:
        return np.clip(source, given.format.raw_min, given.format.raw_max)
    return narrow(source, unlimited(given), stage.multiplier, stage.shift)


def _tied(stage: Stage, source: Any) -> tuple[Hits, Hits]:
    """Where the product lies half-way above an even raw, and above an odd one, in words that wrap: low bits count."""
    with np.errstate(over="ignore"):
        product = (source * stage.multiplier).astype(np.uint64)
    shift = np.clip(stage.shift, 1, 62).astype(np.uint64)
    one = np.uint64(1)
    left = product & ((one << (shift + one)) - one)
    half, right = one << (shift - one), stage.shift > 0
    return np.asarray((left == half) & right), np.asarray((left == half + (one << shift)) & right)


def _table(name: str, table: LookupTable, readers: Sequence[str], reached: Reaches) -> Site:
    """Each entry, and for interpolation the first and the last raw of each segment; both clamps."""
    runs = _runs(table, readers, reached)
    units = {unit for reader in readers for unit in reached.signals[reader]}
    names = [corner for corner, _, _ in runs]
    lows, highs = (np.array([run[place] for run in runs], dtype=np.int64) for place in (1, 2))
    possible = np.array([any(unit.within(low, high) for unit in units) for _, low, high in runs], dtype=np.bool_)

    def hits(signals: Signals) -> Hits:
        seen = np.unique(np.concatenate([signals[reader].reshape(-1) for reader in readers]))
        return np.searchsorted(seen, lows) < np.searchsorted(seen, highs, side="right")

    low, high = min(unit.low for unit in units), max(unit.high for unit in units)
    bounds = f"read at {low}..{high} by {', '.join(readers)}"
    spans = np.stack([lows, highs], axis=1)
    return Site(name, "table", tuple(names), possible, hits, tuple(readers), bounds, spans)


def _runs(table: LookupTable, readers: Sequence[str], reached: Reaches) -> list[tuple[str, int, int]]:
    """Corner names and the raws ``low .. high`` that hit them."""
    last = len(table.values) - 1
    ends = [
        min(unit.low for reader in readers for unit in reached.signals[reader]),
        max(unit.high for reader in readers for unit in reached.signals[reader]),
    ]
    if table.interpolation is Interpolation.LINEAR:
        width = 1 << table.index_shift
        starts = [(entry - table.offset) * width for entry in range(last + 1)]
        runs = [("below the first entry", min(ends[0], starts[0] - 1), starts[0] - 1)]
        for entry in range(last):
            runs.append((f"segment {entry}", starts[entry], starts[entry] + width - 1))
            runs.append((f"segment {entry} first", starts[entry], starts[entry]))
            runs.append((f"segment {entry} last", starts[entry] + width - 1, starts[entry] + width - 1))
        return [*runs, ("at or above the last entry", starts[last], max(ends[1], starts[last]))]
    return _nearest_runs(table, ends)


def _nearest_runs(table: LookupTable, ends: Sequence[int]) -> list[tuple[str, int, int]]:
    """The raws that read each entry, found by bisection: the index never falls."""

    def index(raw: int) -> int:
        return round_shift(raw * table.index_multiplier, table.index_shift, table.index_rounding) + table.offset

    def first(wanted: int) -> int:
        """The lowest raw whose index is at least ``wanted``."""
        low, high = ends[0], ends[1] + 1
        while low < high:
            middle = (low + high) // 2
            if index(middle) >= wanted:
                high = middle
            else:
                low = middle + 1
        return low

    last = len(table.values) - 1
    starts = [first(entry) for entry in range(last + 2)]
    runs = [(f"entry {entry}", starts[entry], starts[entry + 1] - 1) for entry in range(last + 1)]
    below, above = (
        ("below the first entry", ends[0], starts[0] - 1),
        ("above the last entry", starts[last + 1], ends[1]),
    )
    return [below, *runs, above]
