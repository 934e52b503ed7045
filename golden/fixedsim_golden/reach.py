"""What each signal of a model can reach: an interval and a congruence for each unit, proven from its integers.

A value is in ``low .. high`` and is ``offset`` modulo ``2**period``. Inputs and states may be any raws of their format,
so what is proven holds for injected states too. All numbers are Python integers.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from fixedsim.arrays import activate
from fixedsim.casts import Overflow
from fixedsim.execution import Products, activation_range
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.profiles.datapath import Activation, Form, Narrowing, PiecewiseLinear
from fixedsim.spec.activations import piecewise_linear
from fixedsim.spec.casts import narrow
from fixedsim_golden.playing import lstms
from fixedsim_golden.stages import Applied, Product, Source, Stage, Sum, Weighted, previous, stages

MAX_PERIOD = 64
_WIDE = Format.integer(64)
_FEW_RAWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Reach:
    """The values that one unit can take, at most."""

    low: int
    high: int
    offset: int = 0
    period: int = 0  # values are ``offset`` modulo ``2**period``

    def within(self, low: int, high: int) -> bool:
        """Whether some value in ``low .. high`` is possible."""
        low, high = max(low, self.low), min(high, self.high)
        step = 1 << self.period
        return low <= high and low + (self.offset - low) % step <= high

    def plus(self, other: "Reach") -> "Reach":
        """The sums."""
        period = min(self.period, other.period)
        return Reach(self.low + other.low, self.high + other.high, (self.offset + other.offset) % (1 << period), period)

    def shifted(self, constant: int) -> "Reach":
        """The values plus a constant."""
        offset = (self.offset + constant) % (1 << self.period)
        return Reach(self.low + constant, self.high + constant, offset, self.period)

    def times(self, other: "Reach") -> "Reach":
        """The products."""
        ends = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Reach(min(ends), max(ends), 0, min(self.zeros + other.zeros, MAX_PERIOD))

    def scaled(self, factor: int) -> "Reach":
        """The values times a constant."""
        if factor == 0:
            return Reach(0, 0)
        ends = sorted((self.low * factor, self.high * factor))
        period = min(self.period + _zeros(factor), MAX_PERIOD)
        return Reach(ends[0], ends[1], self.offset * factor % (1 << period), period)

    @property
    def zeros(self) -> int:
        """How many of the lowest bits are zero in every value."""
        return self.period if self.offset == 0 else min(_zeros(self.offset), self.period)


def _zeros(value: int) -> int:
    return (value & -value).bit_length() - 1 if value else MAX_PERIOD


def of_format(form: Format) -> Reach:
    """All raws of a format."""
    return Reach(form.raw_min, form.raw_max, form.raw_min % form.raw_step, form.raw_step - 1)


@dataclass(frozen=True)
class Reaches:
    """What the signals of a model can reach, by name, a value for each unit; and what their casts take in."""

    signals: dict[str, list[Reach]]
    products: dict[str, list[Reach]]  # source times multiplier, before the shift, by the signal that is given
    sources: dict[str, list[Reach]]
    exact: dict[str, bool]  # of accumulators: whether no sum on the way can overflow


def reaches(model: Model) -> Reaches:
    """What every signal of a model can reach."""
    found = Reaches({}, {}, {}, {})
    for name, part in lstms(model).items():
        found.signals[previous(name)] = [of_format(part.datapath.read_cell)] * part.units
    for layer in model.layers:
        for name, products in _accumulators(layer):
            split = _split(name, _rows(products), layer)
            found.signals.update(split)
            found.exact.update(dict.fromkeys(split, products.proven))
    for stage in stages(model).values():
        _add(stage, found)
    return found


def _accumulators(layer: Layer) -> Iterator[tuple[str, Products]]:
    """Name and bound of each accumulator; one that goes over two matrices has the bound at its end."""
    match layer:
        case Linear():
            yield f"{layer.name}.accumulator", layer.products
        case Lstm():
            if layer.datapath.joint:
                yield f"{layer.name}.accumulator", layer.recurrent_products
            else:
                yield f"{layer.name}.input_accumulator", layer.input_products
                yield f"{layer.name}.recurrent_accumulator", layer.recurrent_products
            if layer.projection is not None:
                yield from _accumulators(layer.projection)
        case Bidirectional():
            yield from _accumulators(layer.forward)
            yield from _accumulators(layer.backward)


def _rows(products: Products) -> list[Reach]:
    """The accumulators of each row; any raw where a sum on the way may overflow."""
    if not products.proven:
        return [of_format(products.accumulator.format)] * products.rows
    ends = (products.total.low, products.total.high, products.start.low, products.start.high)
    lows, highs, first, last = (np.broadcast_to(end, (products.rows,)).tolist() for end in ends)
    found = []
    for row in range(products.rows):
        offset, period = 0, 0
        if first[row] == last[row] and products.guard is not None and products.last is None:
            common = math.gcd(*products.weight[row].tolist())
            period = min(_zeros(common) + int(products.guard[row]), MAX_PERIOD)
            offset = first[row] % (1 << period)
        found.append(Reach(lows[row], highs[row], offset, period))
    return found


def _split(name: str, rows: list[Reach], layer: Layer) -> dict[str, list[Reach]]:
    """Rows by the signals that hold them: gate by gate in an LSTM."""
    owner, _, kind = name.rpartition(".")
    parts = [layer.forward, layer.backward] if isinstance(layer, Bidirectional) else [layer]
    for part in parts:
        if isinstance(part, Lstm) and part.name == owner:
            units = part.units
            return {
                f"{owner}.gate.{gate}.{kind}": rows[place * units : (place + 1) * units]
                for place, gate in enumerate(part.datapath.gate_names)
            }
    return {name: rows}


def _add(stage: Stage, found: Reaches) -> None:
    form = stage.narrowing.format
    if stage.source is None or any(name not in found.signals for name in stage.reads):
        found.signals[stage.signal] = [of_format(form)] * stage.units
        return
    sources = [_of_source(stage.source, unit, found) for unit in range(stage.units)]
    products = [source.scaled(int(multiplier)) for source, multiplier in zip(sources, stage.multiplier, strict=True)]
    found.sources[stage.signal], found.products[stage.signal] = sources, products
    found.signals[stage.signal] = [
        _narrowed(stage.narrowing, source, product, int(multiplier), int(shift))
        for source, product, multiplier, shift in zip(sources, products, stage.multiplier, stage.shift, strict=True)
    ]


def _of_source(source: Source, unit: int, found: Reaches) -> Reach:
    read = [found.signals[operand.signal][unit].shifted(-operand.zero_point) for operand in source.operands]
    match source:
        case Sum():
            total = Reach(
                int(source.constant[unit]), int(source.constant[unit]), int(source.constant[unit]), MAX_PERIOD
            )
            total = replace(total, offset=total.offset % (1 << MAX_PERIOD))
            for each in read:
                total = total.plus(each)
            return total
        case Product():
            return read[0].times(read[1])
        case Weighted():
            return read[0].scaled(int(source.weight[unit]))
        case Applied():
            return _applied(source.activation, read[0])


@lru_cache(maxsize=1 << 14)
def _applied(activation: Activation, read: Reach) -> Reach:
    """The values of an activation over what it reads, less their zero point."""
    zero = activation.format.zero_point
    if (read.high - read.low) >> read.period < _FEW_RAWS:
        first = read.low + (read.offset - read.low) % (1 << read.period)
        values = np.asarray(activate(np.arange(first, read.high + 1, 1 << read.period, dtype=np.int64), activation))
        return Reach(int(values.min()) - zero, int(values.max()) - zero)
    if isinstance(activation, PiecewiseLinear) and activation.low_input is None and activation.high_input is None:
        ends = sorted(piecewise_linear(raw, activation) for raw in (read.low, read.high))
        return Reach(ends[0] - zero, ends[1] - zero)
    reached = activation_range(activation)
    return Reach(int(reached.low) - zero, int(reached.high) - zero)


def overflows(narrowing: Narrowing, source: Reach, multiplier: int, shift: int) -> tuple[bool, bool]:
    """Whether the rounded value can be below the format's raws, and above them; a primitive may always."""
    if narrowing.primitive is not None:
        return True, True
    wide = unlimited(narrowing)
    low, high = (narrow(end, wide, multiplier, shift) for end in (source.low, source.high))
    return low < least_raw(narrowing), high > narrowing.format.raw_max


def unlimited(narrowing: Narrowing) -> Narrowing:
    """The narrowing to 64 bits, its zero point kept: what is there before the overflow."""
    form = replace(_WIDE, zero_point=narrowing.format.zero_point)
    return replace(narrowing, format=form, overflow=Overflow.SATURATE, saturated_bits=0)


def least_raw(narrowing: Narrowing) -> int:
    """The lowest raw that does not overflow."""
    form = narrowing.format
    symmetric = narrowing.overflow is Overflow.SATURATE_SYMMETRIC and form.signed and form.bits > 1
    return max(form.raw_min, -form.raw_max) if symmetric and form.raw_max >= 0 else form.raw_min


def _narrowed(narrowing: Narrowing, source: Reach, product: Reach, multiplier: int, shift: int) -> Reach:
    form = narrowing.format
    if narrowing.primitive is not None or form.raw_step != 1 or form.zero_point:
        return of_format(form)
    below, above = overflows(narrowing, source, multiplier, shift)
    saturating = narrowing.overflow in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
    if (below or above) and not saturating:
        return of_format(form)
    low, high = (narrow(end, narrowing, multiplier, shift) for end in (source.low, source.high))
    offset, period = 0, 0
    if not (below or above) and narrowing.form is Form.SINGLE:
        offset, period = _shifted(narrowing, product, shift)
    return Reach(low, high, offset, period)


def _shifted(narrowing: Narrowing, product: Reach, shift: int) -> tuple[int, int]:
    """The congruence of what a shift leaves: exact to the left, one rounding to the right where the bits are known."""
    if shift <= 0:
        period = min(product.period - shift, MAX_PERIOD)
        return (product.offset << -shift) % (1 << period), period
    if product.period < shift or product.offset % (1 << shift):
        return 0, 0
    period = product.period - shift
    return (product.offset >> shift) % (1 << period), period


def any_within(given: Iterable[Reach], low: int, high: int) -> bool:
    """Whether some unit can have a value in ``low .. high``."""
    return any(reach.within(low, high) for reach in given)
