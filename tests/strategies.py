"""Random layers that the kernels can carry out, from a generator of our own; Hypothesis draws the seed.

Half of the weights, inputs and states stand at the ends of their formats, so that roundings, saturations and whole
accumulators really overflow. A Hypothesis draw for each field would run out of entropy half-way through an LSTM, and
leave the rest of it at its simplest: layers whose hidden state never moves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

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

Drawn = TypeVar("Drawn")
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

    def between(self, low: int, high: int) -> int:
        """One integer of ``low .. high``, a range of at most 2**64."""
        return low + int(self.words(1)[0]) % (high - low + 1)

    def choice(self, items: Sequence[Drawn]) -> Drawn:
        """One of the items."""
        return items[self.between(0, len(items) - 1)]

    def chance(self) -> bool:
        """True half of the time."""
        return self.between(0, 1) == 1

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


def drawn_format(words: Words, *, widest: int = 64, odd: bool = False, zero_points: bool = False) -> Format:
    """A format: full, narrow or of any range with zero, of odd raws or with a zero point where that is allowed."""
    bits = words.between(1, widest)
    kinds = ("signed", "unsigned", "narrow", "any", *(("odd",) if odd and bits <= 62 else ()))
    kind = words.choice(kinds)
    if kind == "odd":
        return Format.odd(bits)
    form = Format.integer(bits, signed=kind != "unsigned", narrow=kind == "narrow" and bits > 1)
    if kind == "any" and bits > 1:
        form = Format(bits, words.between(form.raw_min, 0), words.between(1, form.raw_max))
    if not zero_points or bits == 64:
        return form
    return replace(form, zero_point=words.choice((0, form.raw_min, form.raw_max, form.raw_min - 3, 1)))


def overflows(form: Format) -> list[Overflow]:
    """The overflows that a format allows."""
    allowed = [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC]
    if form.full_range:
        allowed.append(Overflow.WRAP)
    if form.raw_step == 1 and form.contains(form.zero_point):
        allowed.append(Overflow.SATURATE_ZERO)
    return allowed


def drawn_table(words: Words) -> LookupTable:
    """A table, read at the nearest entry or on the line between two."""
    form, interpolation = drawn_format(words, widest=20), words.choice(list(Interpolation))
    linear = interpolation is Interpolation.LINEAR
    roundings = list(Rounding)
    count = words.between(2 if linear else 1, 9)
    return LookupTable(
        tuple(words.between(form.raw_min, form.raw_max) for _ in range(count)),
        form,
        words.between(0 if linear else -3, 10),
        words.between(-6, 6),
        interpolation,
        words.choice(roundings),
        words.choice(roundings),
    )


def drawn_line(words: Words) -> PiecewiseLinear:
    """A piecewise linear function, with and without ends of its own."""
    form = drawn_format(words, widest=20)
    low, high = sorted(words.between(form.raw_min, form.raw_max) for _ in range(2))
    lower, upper = words.choice([(None, None), (low, None), (None, high), (low, high)])
    slope, offset = words.between(-300, 300), words.between(-300, 300)
    return PiecewiseLinear(form, slope, words.between(0, 12), offset, lower, upper, words.choice(list(Rounding)))


def drawn_activation(words: Words) -> LookupTable | PiecewiseLinear:
    """A table or a piecewise linear function."""
    return drawn_table(words) if words.between(0, 2) else drawn_line(words)


def drawn_narrowing(
    words: Words,
    form: Format | None = None,
    *,
    incoming: int | None = None,
    shifts: tuple[int, int] = (-2, 6),
    odd: bool = False,
) -> Narrowing:
    """A narrowing inside a layer: few bits and few shifts, so that every rounding and overflow happens.

    Where the width of what comes in is given, the shift is near the one that brings it to the format's width.
    """
    form = drawn_format(words, widest=STAGE_BITS, odd=odd) if form is None else form
    rounding, overflow = words.choice(list(Rounding)), words.choice(overflows(form))
    if incoming is not None:
        shifts = max(incoming - form.bits - 3, -8), max(incoming - form.bits + 1, -6)
    return Narrowing(form, rounding, overflow, words.between(*shifts))


def drawn_activation_format(words: Words) -> Format:
    """A format of what travels between layers: any zero point."""
    return drawn_format(words, widest=STAGE_BITS, zero_points=True)


def drawn_output(words: Words, incoming: int) -> Narrowing:
    """A narrowing to what travels between layers."""
    return drawn_narrowing(words, drawn_activation_format(words), incoming=incoming)


def drawn_requantization(words: Words, form: Format | None = None, *, incoming: int = 14) -> Narrowing:
    """A narrowing of sums: single or doubling, by a shift alone or by a multiplier of up to 32 bits."""
    plain = drawn_narrowing(words, form, incoming=incoming)
    if words.chance():
        return plain
    multiplier = words.choice([1 << 30, (1 << 31) - 1, (1 << 32) - 1, words.between(1, (1 << 32) - 1)])
    return replace(
        plain,
        multiplier=multiplier,
        shift=min(plain.shift + multiplier.bit_length(), 62),
        form=words.choice(list(Form)),
    )


def drawn_accumulator(words: Words, scope: Scope = ANY) -> Accumulator:
    """An accumulator with exact products, with lossless ones at a finer scale, or with lossy ones."""
    kind = words.choice(("exact", "guard", "lossy")) if scope.narrowed_products else "exact"
    product = None
    if kind == "guard":
        product = Narrowing(Format.integer(words.choice((40, 62))), shift=words.between(-8, 0))
    elif kind == "lossy":
        product = drawn_narrowing(words, shifts=(-2, 8), odd=True)
    return Accumulator(
        words.between(*scope.accumulator_bits),
        words.choice(list(Overflow)),
        words.choice(list(Check)),
        product,
    )


def drawn_operands(words: Words, scope: Scope, *, odd: bool = False) -> Format:
    """The format of inputs, with any zero point, or of weights, where ``odd``, at a width of the scope."""
    bits = words.between(*scope.operand_bits)
    kind = words.choice(("signed", "unsigned", "narrow", "odd") if odd else ("signed", "unsigned", "narrow"))
    if kind == "odd":
        return Format.odd(bits)
    form = Format.integer(bits, signed=kind != "unsigned", narrow=kind == "narrow" and bits > 1)
    if odd:
        return form
    corners = (0, 0, form.raw_min, form.raw_max, form.raw_min - 3, form.raw_max + 3)
    return replace(form, zero_point=words.choice(corners))


def sum_bits(scope: Scope, accumulator: Accumulator, weight: Format, given: Format) -> int:
    """About how wide the sums of a few products are."""
    return min(accumulator.bits, weight.bits + given.bits + 1, max(scope.accumulator_bits))


def drawn_linear_datapath(words: Words, scope: Scope = ANY) -> LinearDatapath:
    """A fully connected layer's datapath."""
    given, weight, accumulator = (
        drawn_operands(words, scope),
        drawn_operands(words, scope, odd=True),
        drawn_accumulator(words, scope),
    )
    total = drawn_requantization(words, incoming=sum_bits(scope, accumulator, weight, given))
    activation = drawn_activation(words)
    return LinearDatapath(
        input=given,
        weight=weight,
        bias=Format.integer(STAGE_BITS),
        accumulator=accumulator,
        bias_stage=words.choice(list(BiasStage)),
        sum=total,
        preactivation=drawn_narrowing(words, incoming=total.format.bits),
        activation=activation,
        output=drawn_output(words, activation.format.bits),
    )


def drawn_gate(words: Words, incoming: int = 14) -> GateDatapath:
    """One gate's datapath, whose accumulators hold about ``incoming`` bits."""
    first, second = drawn_requantization(words, incoming=incoming), drawn_requantization(words, incoming=incoming)
    preactivation = drawn_narrowing(words, incoming=max(first.format.bits, second.format.bits))
    activation = drawn_activation(words)
    return GateDatapath(
        first, second, preactivation, activation, drawn_narrowing(words, incoming=activation.format.bits)
    )


def drawn_lstm_datapath(words: Words, scope: Scope = ANY, *, hidden: Format | None = None) -> LstmDatapath:
    """An LSTM's datapath, every narrowing of its own; ``hidden`` fixes the format of its hidden state."""
    given, weight, accumulator = (
        drawn_operands(words, scope),
        drawn_operands(words, scope, odd=True),
        drawn_accumulator(words, scope),
    )
    incoming = sum_bits(scope, accumulator, weight, given)
    first, second, third, fourth = (drawn_gate(words, incoming) for _ in range(4))
    gates = first, second, third, fourth
    bits = [choices.output.format.bits for choices in gates]
    cell_form = drawn_format(words, widest=STAGE_BITS)
    kept, added = (
        drawn_narrowing(words, incoming=bits[1] + cell_form.bits),
        drawn_narrowing(words, incoming=bits[0] + bits[2]),
    )
    cell = drawn_narrowing(words, cell_form, incoming=max(kept.format.bits, added.format.bits))
    function = drawn_activation(words)
    activated = drawn_narrowing(words, incoming=function.format.bits)
    width = bits[3] + activated.format.bits
    last = drawn_output(words, width) if hidden is None else drawn_narrowing(words, hidden, incoming=width)
    return LstmDatapath(
        input=given,
        weight=weight,
        recurrent_weight=drawn_operands(words, scope, odd=True),
        bias=Format.integer(STAGE_BITS),
        accumulator=accumulator,
        joint=words.chance(),
        bias_stage=words.choice(list(BiasStage)),
        gates=gates,
        forget_product=kept,
        input_product=added,
        cell=cell,
        cell_input=drawn_narrowing(words, incoming=cell_form.bits),
        cell_activation=function,
        cell_output=activated,
        hidden=last,
        initial_hidden=words.choice((last.format.raw_min, last.format.raw_max)),
        initial_cell=words.choice((cell.format.raw_min, cell.format.raw_max)),
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


def drawn_linear_case(words: Words, scope: Scope = ANY) -> LinearCase:
    """A fully connected layer with weights, row constants, biases and inputs."""
    datapath = drawn_linear_datapath(words, scope)
    rows, inputs = words.between(1, 5), words.between(0, 9)
    steps, batch = words.choice(((1, 1), (2, 2), (3, 2), (0, 1), (4, 3)))
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


def course(words: Words, steps: int, batch: int) -> tuple[Integers | None, NDArray[np.bool_] | None]:
    """Lengths and resets, or none of them."""
    lengths = words.integers(0, steps, (batch,)) if words.chance() else None
    reset = words.integers(0, 2, (steps, batch)) == 0 if words.chance() else None
    return lengths, reset


def drawn_lstm_case(words: Words, scope: Scope = ANY) -> LstmCase:
    """An LSTM with inputs, and with or without a state of its own, lengths and resets."""
    datapath = drawn_lstm_datapath(words, scope)
    units, inputs = words.between(1, 3), words.between(0, 5)
    steps, batch = words.choice(((1, 1), (3, 2), (4, 1), (2, 6), (0, 2)))
    layer = lstm_layer("lstm", datapath, words, units=units, inputs=inputs, ends=scope.ends)
    state = lstm_state(layer, words, batch) if words.chance() else None
    lengths, reset = course(words, steps, batch)
    raws = words.raws(datapath.input, (steps, batch, inputs), ends=scope.ends)
    return LstmCase(layer, raws, state, lengths, reset)


def drawn_bidirectional_case(words: Words) -> BidirectionalCase:
    """Two LSTMs of datapaths of their own that share the formats of inputs and hidden states."""
    units, inputs = words.between(1, 2), words.between(1, 3)
    ahead = drawn_lstm_datapath(words)
    back = replace(drawn_lstm_datapath(words, hidden=ahead.hidden.format), input=ahead.input)
    pair = [
        lstm_layer(f"lstm.{name}", datapath, words, units=units, inputs=inputs)
        for name, datapath in (("forward", ahead), ("backward", back))
    ]
    steps, batch = words.choice(((1, 1), (4, 2), (3, 5)))
    given = [lstm_state(layer, words, batch) if words.chance() else None for layer in pair]
    lengths, reset = course(words, steps, batch)
    raws = words.raws(ahead.input, (steps, batch, inputs))
    return BidirectionalCase(Bidirectional("lstm", *pair), raws, (given[0], given[1]), lengths, reset)


def drawn_embedding_case(words: Words) -> EmbeddingCase:
    """An embedding with constants for each entry, and tokens."""
    table = drawn_format(words, widest=10, odd=True)
    output = drawn_requantization(words, drawn_activation_format(words), incoming=table.bits)
    vocabulary, features = words.between(1, 6), words.between(1, 5)
    constants = row_constants(words, output, Accumulator(), vocabulary)
    layer = Embedding.from_raws(
        "embedding",
        words.raws(table, (vocabulary, features)),
        EmbeddingDatapath(table, output),
        multiplier=constants["multiplier"],
        shift=constants["shift"],
    )
    return EmbeddingCase(layer, words.integers(0, vocabulary - 1, (4, 3)))


def strategy(make: Callable[..., Drawn], *given: Any, **choices: Any) -> st.SearchStrategy[Drawn]:
    """What ``make`` draws from words of its own for each seed."""
    return SEEDS.map(lambda seed: make(Words(seed), *given, **choices))


def formats(**choices: Any) -> st.SearchStrategy[Format]:
    """See :func:`drawn_format`."""
    return strategy(drawn_format, **choices)


def narrowings(form: Format | None = None, **choices: Any) -> st.SearchStrategy[Narrowing]:
    """See :func:`drawn_narrowing`."""
    return strategy(drawn_narrowing, form, **choices)


def accumulators(scope: Scope = ANY) -> st.SearchStrategy[Accumulator]:
    """See :func:`drawn_accumulator`."""
    return strategy(drawn_accumulator, scope)


def activations() -> st.SearchStrategy[LookupTable | PiecewiseLinear]:
    """See :func:`drawn_activation`."""
    return strategy(drawn_activation)


def lstm_datapaths(scope: Scope = ANY) -> st.SearchStrategy[LstmDatapath]:
    """See :func:`drawn_lstm_datapath`."""
    return strategy(drawn_lstm_datapath, scope)


def linear_datapaths(scope: Scope = ANY) -> st.SearchStrategy[LinearDatapath]:
    """See :func:`drawn_linear_datapath`."""
    return strategy(drawn_linear_datapath, scope)


def linear_cases(scope: Scope = ANY) -> st.SearchStrategy[LinearCase]:
    """See :func:`drawn_linear_case`."""
    return strategy(drawn_linear_case, scope)


def lstm_cases(scope: Scope = ANY) -> st.SearchStrategy[LstmCase]:
    """See :func:`drawn_lstm_case`."""
    return strategy(drawn_lstm_case, scope)


def bidirectional_cases() -> st.SearchStrategy[BidirectionalCase]:
    """See :func:`drawn_bidirectional_case`."""
    return strategy(drawn_bidirectional_case)


def embedding_cases() -> st.SearchStrategy[EmbeddingCase]:
    """See :func:`drawn_embedding_case`."""
    return strategy(drawn_embedding_case)
