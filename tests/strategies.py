"""What Hypothesis draws for layers: datapaths that the kernels can carry out, and raws from integer generators of ours.

A datapath is drawn field by field. Weights, inputs and states come from a seed, half of them at the ends of their
format, so that roundings, saturations and whole accumulators really overflow.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm, State
from fixedsim.profiles.datapath import (
    Accumulator,
    BiasStage,
    Check,
    EmbeddingDatapath,
    Form,
    GateDatapath,
    Interpolation,
    LinearDatapath,
    LookupTable,
    LstmDatapath,
    Narrowing,
    PiecewiseLinear,
)

Integers = NDArray[np.int64]
SEEDS = st.integers(0, (1 << 64) - 1)
STAGE_BITS = 12  # of the casts inside a layer, where nothing else is asked for


class Words:
    """64-bit words of SplitMix64 from a seed: the same on every machine and under every NumPy."""

    def __init__(self, seed: int) -> None:
        self.state = np.uint64(seed)

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next words."""
        with np.errstate(over="ignore"):
            steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            mixed = self.state + steps
            self.state = mixed[-1] if count else self.state
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Integers:
        """Integers of ``low .. high``, a range of less than 2**63."""
        places = self.words(int(np.prod(shape))) % np.uint64(high - low + 1)
        return low + places.astype(np.int64).reshape(shape)

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Reals of ``low .. high``, multiples of ``(high - low) / 2**53``."""
        shares = (self.words(int(np.prod(shape))) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
        return low + (high - low) * shares.reshape(shape)

    def raws(self, form: Format, shape: tuple[int, ...], *, ends: bool = False) -> Integers:
        """Raws of a format; one half, or all of them with ``ends``, at an end of it."""
        last = form.levels - 1
        places = self.integers(0, last, shape)
        at_end = np.where(self.integers(0, 1, shape) == 1, last, 0)
        chosen = np.where(self.integers(0, 1, shape) == 1, at_end, places)
        return form.raw_min + form.raw_step * (at_end if ends else chosen)


@dataclass(frozen=True)
class Scope:
    """What is asked of drawn layers: widths of operands and of the accumulator, and whether all raws are ends."""

    operand_bits: tuple[int, int] = (1, 8)
    accumulator_bits: tuple[int, int] = (2, 24)
    narrowed_products: bool = True
    ends: bool = False


ANY = Scope()


@dataclass(frozen=True)
class LinearCase:
    """A fully connected layer and its inputs ``(steps, batch, inputs)``."""

    layer: Linear
    inputs: Integers


@dataclass(frozen=True)
class LstmCase:
    """An LSTM, its inputs ``(steps, batch, inputs)``, and the course of its run."""

    layer: Lstm
    inputs: Integers
    state: State | None
    lengths: Integers | None
    reset: NDArray[np.bool_] | None


@dataclass(frozen=True)
class BidirectionalCase:
    """Both directions of an LSTM, their inputs, and the course of their run."""

    layer: Bidirectional
    inputs: Integers
    state: tuple[State | None, State | None]
    lengths: Integers | None
    reset: NDArray[np.bool_] | None


@dataclass(frozen=True)
class EmbeddingCase:
    """An embedding and its tokens ``(steps, batch)``."""

    layer: Embedding
    tokens: Integers


@st.composite
def formats(draw: st.DrawFn, *, widest: int = 64, odd: bool = False, zero_points: bool = False) -> Format:
    """A format: full, narrow or of any range with zero, of odd raws or with a zero point where that is allowed."""
    bits = draw(st.integers(1, widest))
    kinds = ("signed", "unsigned", "narrow", "any", *(("odd",) if odd and bits <= 62 else ()))
    kind = draw(st.sampled_from(kinds))
    if kind == "odd":
        return Format.odd(bits)
    form = Format.integer(bits, signed=kind != "unsigned", narrow=kind == "narrow" and bits > 1)
    if kind == "any" and bits > 1:
        form = Format(bits, draw(st.integers(form.raw_min, 0)), draw(st.integers(1, form.raw_max)))
    if not zero_points or bits == 64:
        return form
    return replace(form, zero_point=draw(st.sampled_from((0, form.raw_min, form.raw_max, form.raw_min - 3, 1))))


def overflows(form: Format) -> list[Overflow]:
    """The overflows that a format allows."""
    allowed = [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC]
    if form.full_range:
        allowed.append(Overflow.WRAP)
    if form.raw_step == 1 and form.contains(form.zero_point):
        allowed.append(Overflow.SATURATE_ZERO)
    return allowed


@st.composite
def tables(draw: st.DrawFn) -> LookupTable:
    """A table, read at the nearest entry or on the line between two."""
    form, interpolation = draw(formats(widest=20)), draw(st.sampled_from(list(Interpolation)))
    linear = interpolation is Interpolation.LINEAR
    roundings = st.sampled_from(list(Rounding))
    return LookupTable(
        tuple(draw(st.lists(st.integers(form.raw_min, form.raw_max), min_size=2 if linear else 1, max_size=9))),
        form,
        draw(st.integers(0 if linear else -3, 10)),
        draw(st.integers(-6, 6)),
        interpolation,
        draw(roundings),
        draw(roundings),
    )


@st.composite
def lines(draw: st.DrawFn) -> PiecewiseLinear:
    """A piecewise linear function, with and without ends of its own."""
    form = draw(formats(widest=20))
    low, high = sorted(draw(st.tuples(*[st.integers(form.raw_min, form.raw_max)] * 2)))
    lower, upper = draw(st.sampled_from([(None, None), (low, None), (None, high), (low, high)]))
    slope, offset = draw(st.integers(-300, 300)), draw(st.integers(-300, 300))
    return PiecewiseLinear(
        form, slope, draw(st.integers(0, 12)), offset, lower, upper, draw(st.sampled_from(list(Rounding)))
    )


def activations() -> st.SearchStrategy[LookupTable | PiecewiseLinear]:
    """A table or a piecewise linear function."""
    return tables() | lines()


@st.composite
def narrowings(
    draw: st.DrawFn, form: Format | None = None, *, shifts: tuple[int, int] = (-2, 6), odd: bool = False
) -> Narrowing:
    """A narrowing inside a layer: few bits and few shifts, so that every rounding and overflow happens."""
    form = draw(formats(widest=STAGE_BITS, odd=odd)) if form is None else form
    rounding, overflow = draw(st.sampled_from(list(Rounding))), draw(st.sampled_from(overflows(form)))
    return Narrowing(form, rounding, overflow, draw(st.integers(*shifts)))


def activation_formats() -> st.SearchStrategy[Format]:
    """Formats of what travels between layers: any zero point."""
    return formats(widest=STAGE_BITS, zero_points=True)


def outputs() -> st.SearchStrategy[Narrowing]:
    """Narrowings to what travels between layers."""
    return activation_formats().flatmap(narrowings)


@st.composite
def requantizations(draw: st.DrawFn, form: Format | None = None) -> Narrowing:
    """A narrowing of sums: single or doubling, by a shift alone or by a multiplier of up to 32 bits."""
    plain = draw(narrowings(form))
    if draw(st.booleans()):
        return plain
    multiplier = draw(st.sampled_from([1 << 30, (1 << 31) - 1, (1 << 32) - 1]) | st.integers(1, (1 << 32) - 1))
    return replace(
        plain,
        multiplier=multiplier,
        shift=min(plain.shift + multiplier.bit_length(), 62),
        form=draw(st.sampled_from(list(Form))),
    )


@st.composite
def accumulators(draw: st.DrawFn, scope: Scope = ANY) -> Accumulator:
    """An accumulator with exact products, with lossless ones at a finer scale, or with lossy ones."""
    kind = draw(st.sampled_from(("exact", "guard", "lossy"))) if scope.narrowed_products else "exact"
    product = None
    if kind == "guard":
        product = Narrowing(Format.integer(draw(st.sampled_from((40, 62)))), shift=draw(st.integers(-8, 0)))
    elif kind == "lossy":
        product = draw(narrowings(shifts=(-2, 8), odd=True))
    return Accumulator(
        draw(st.integers(*scope.accumulator_bits)),
        draw(st.sampled_from(list(Overflow))),
        draw(st.sampled_from(list(Check))),
        product,
    )


@st.composite
def operands(draw: st.DrawFn, scope: Scope, *, odd: bool = False) -> Format:
    """The format of inputs, with any zero point, or of weights, where ``odd``, at a width of the scope."""
    bits = draw(st.integers(*scope.operand_bits))
    kind = draw(st.sampled_from(("signed", "unsigned", "narrow", "odd") if odd else ("signed", "unsigned", "narrow")))
    if kind == "odd":
        return Format.odd(bits)
    form = Format.integer(bits, signed=kind != "unsigned", narrow=kind == "narrow" and bits > 1)
    if odd:
        return form
    corners = (0, 0, form.raw_min, form.raw_max, form.raw_min - 3, form.raw_max + 3)
    return replace(form, zero_point=draw(st.sampled_from(corners)))


@st.composite
def linear_datapaths(draw: st.DrawFn, scope: Scope = ANY) -> LinearDatapath:
    """A fully connected layer's datapath."""
    return LinearDatapath(
        input=draw(operands(scope)),
        weight=draw(operands(scope, odd=True)),
        bias=Format.integer(STAGE_BITS),
        accumulator=draw(accumulators(scope)),
        bias_stage=draw(st.sampled_from(list(BiasStage))),
        sum=draw(requantizations()),
        preactivation=draw(narrowings()),
        activation=draw(activations()),
        output=draw(outputs()),
    )


@st.composite
def gate_datapaths(draw: st.DrawFn) -> GateDatapath:
    """One gate's datapath."""
    sums = draw(requantizations()), draw(requantizations())
    return GateDatapath(*sums, draw(narrowings()), draw(activations()), draw(narrowings()))


@st.composite
def lstm_datapaths(draw: st.DrawFn, scope: Scope = ANY, *, hidden: Format | None = None) -> LstmDatapath:
    """An LSTM's datapath, every narrowing of its own; ``hidden`` fixes the format of its hidden state."""
    gates = draw(gate_datapaths()), draw(gate_datapaths()), draw(gate_datapaths()), draw(gate_datapaths())
    cell, last = draw(narrowings()), draw(outputs() if hidden is None else narrowings(hidden))
    return LstmDatapath(
        input=draw(operands(scope)),
        weight=draw(operands(scope, odd=True)),
        recurrent_weight=draw(operands(scope, odd=True)),
        bias=Format.integer(STAGE_BITS),
        accumulator=draw(accumulators(scope)),
        joint=draw(st.booleans()),
        bias_stage=draw(st.sampled_from(list(BiasStage))),
        gates=gates,
        forget_product=draw(narrowings()),
        input_product=draw(narrowings()),
        cell=cell,
        cell_input=draw(narrowings()),
        cell_activation=draw(activations()),
        cell_output=draw(narrowings()),
        hidden=last,
        initial_hidden=draw(st.sampled_from((last.format.raw_min, last.format.raw_max))),
        initial_cell=draw(st.sampled_from((cell.format.raw_min, cell.format.raw_max))),
    )


def row_constants(words: Words, requantize: Narrowing, accumulator: Accumulator, rows: int) -> dict[str, Any]:
    """Constants for each row, near those of the datapath's narrowings; no product shift makes a guard lossy."""
    product = accumulator.product
    own = 0 if product is None else product.shift
    guarded = product is None or product.format.bits >= 40
    shifts = words.integers(own - 2, min(own + 2, 0) if guarded else own + 2, (rows,))
    multipliers = np.full(rows, 1)
    if requantize.multiplier > 1:
        multipliers = words.integers(max(1, requantize.multiplier // 2), requantize.multiplier, (rows,))
    return {
        "product_shift": shifts,
        "multiplier": multipliers,
        "shift": np.minimum(words.integers(requantize.shift, requantize.shift + 4, (rows,)), 62),
    }


def biases(words: Words, datapath: LinearDatapath | LstmDatapath, rows: int) -> tuple[Integers, Integers]:
    """Stored biases and their shifts, such that every accumulator can hold its own."""
    room = datapath.accumulator.bits - 1
    shift = words.integers(0, min(3, room), (rows,))
    raw = words.raws(datapath.bias, (rows,))
    half = np.int64(1) << np.minimum(room, 40) >> shift
    return np.clip(raw, -half, half - 1), shift


@st.composite
def linear_cases(draw: st.DrawFn, scope: Scope = ANY) -> LinearCase:
    """A fully connected layer with weights, row constants, biases and inputs."""
    datapath, words = draw(linear_datapaths(scope)), Words(draw(SEEDS))
    rows, inputs = draw(st.integers(1, 5)), draw(st.integers(0, 9))
    steps, batch = draw(st.sampled_from(((1, 1), (2, 2), (3, 2), (0, 1), (4, 3))))
    bias, bias_shift = biases(words, datapath, rows)
    layer = Linear.from_raws(
        "fc",
        words.raws(datapath.weight, (rows, inputs), ends=scope.ends),
        bias,
        datapath,
        bias_shift=bias_shift,
        **row_constants(words, datapath.sum, datapath.accumulator, rows),
    )
    return LinearCase(layer, words.raws(datapath.input, (steps, batch, inputs), ends=scope.ends))


def lstm_layer(name: str, datapath: LstmDatapath, words: Words, *, units: int, inputs: int, ends: bool = False) -> Lstm:
    """An LSTM with weights, row constants and biases."""
    rows = 4 * units
    bias, bias_shift = biases(words, datapath, rows)
    gate = datapath.gates[0]
    return Lstm.from_raws(
        name,
        words.raws(datapath.weight, (rows, inputs), ends=ends),
        words.raws(datapath.recurrent_weight, (rows, units), ends=ends),
        bias,
        datapath,
        input_constants=row_constants(words, gate.input_sum, datapath.accumulator, rows),
        recurrent_constants=row_constants(words, gate.recurrent_sum, datapath.accumulator, rows),
        bias_shift=bias_shift,
    )


def lstm_state(layer: Lstm, words: Words, batch: int) -> State:
    """A state of raws of the layer's formats."""
    shape = (batch, layer.units)
    return State(words.raws(layer.datapath.hidden.format, shape), words.raws(layer.datapath.cell.format, shape))


def course(draw: st.DrawFn, words: Words, steps: int, batch: int) -> tuple[Integers | None, NDArray[np.bool_] | None]:
    """Lengths and resets, or none of them."""
    lengths = words.integers(0, steps, (batch,)) if draw(st.booleans()) else None
    reset = words.integers(0, 2, (steps, batch)) == 0 if draw(st.booleans()) else None
    return lengths, reset


@st.composite
def lstm_cases(draw: st.DrawFn, scope: Scope = ANY) -> LstmCase:
    """An LSTM with inputs, and with or without a state of its own, lengths and resets."""
    datapath, words = draw(lstm_datapaths(scope)), Words(draw(SEEDS))
    units, inputs = draw(st.integers(1, 3)), draw(st.integers(0, 5))
    steps, batch = draw(st.sampled_from(((1, 1), (3, 2), (4, 1), (2, 6), (0, 2))))
    layer = lstm_layer("lstm", datapath, words, units=units, inputs=inputs, ends=scope.ends)
    state = lstm_state(layer, words, batch) if draw(st.booleans()) else None
    lengths, reset = course(draw, words, steps, batch)
    raws = words.raws(datapath.input, (steps, batch, inputs), ends=scope.ends)
    return LstmCase(layer, raws, state, lengths, reset)


@st.composite
def bidirectional_cases(draw: st.DrawFn) -> BidirectionalCase:
    """Two LSTMs of datapaths of their own that share the formats of inputs and hidden states."""
    words, units, inputs = Words(draw(SEEDS)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    ahead = draw(lstm_datapaths())
    back = replace(draw(lstm_datapaths(hidden=ahead.hidden.format)), input=ahead.input)
    pair = [
        lstm_layer(f"lstm.{name}", datapath, words, units=units, inputs=inputs)
        for name, datapath in (("forward", ahead), ("backward", back))
    ]
    steps, batch = draw(st.sampled_from(((1, 1), (4, 2), (3, 5))))
    given = [lstm_state(layer, words, batch) if draw(st.booleans()) else None for layer in pair]
    lengths, reset = course(draw, words, steps, batch)
    raws = words.raws(ahead.input, (steps, batch, inputs))
    return BidirectionalCase(Bidirectional("lstm", *pair), raws, (given[0], given[1]), lengths, reset)


@st.composite
def embedding_cases(draw: st.DrawFn) -> EmbeddingCase:
    """An embedding with constants for each entry, and tokens."""
    table, output, words = (
        draw(formats(widest=10, odd=True)),
        draw(requantizations(draw(activation_formats()))),
        Words(draw(SEEDS)),
    )
    vocabulary, features = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    constants = row_constants(words, output, Accumulator(), vocabulary)
    layer = Embedding.from_raws(
        "embedding",
        words.raws(table, (vocabulary, features)),
        EmbeddingDatapath(table, output),
        multiplier=constants["multiplier"],
        shift=constants["shift"],
    )
    return EmbeddingCase(layer, words.integers(0, vocabulary - 1, (4, 3)))
