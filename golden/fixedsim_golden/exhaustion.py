"""Every value that sums of products can have, found exactly where that is little work.

The values of a row are a set of integers, held as the bits of one long integer; each input adds an arithmetic
progression, which a few shifts do. Inputs and hidden states may be any raws, each for itself.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import activate, narrow
from fixedsim.execution import Products
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.recorder import Recorder
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.profiles.datapath import BiasStage, GateDatapath, Narrowing

Integers = NDArray[np.int64]
Group = dict[str, Integers]
_MOST_BITS = 1 << 24  # the span of a set
_MOST_WORK = 1 << 30  # 64-bit words of all shifts together
_MOST_VALUES = 1 << 23  # of all units of a group together


@lru_cache(maxsize=2)
def tried(model: Model) -> list[Group]:
    """Groups of signals with every raw that they can have, ``(values, units)`` and in step within a group.

    A group holds accumulators and the sums that they are narrowed to, or pre-activations and gates and the sums that
    they come from, or the signals of the layer behind an embedding, whose inputs are its tokens.
    """
    groups: list[Group] = []
    vectors = _embedded(model)
    late: Group = {}
    for layer in model.layers:
        for part in _parts(layer):
            if vectors is not None:
                groups.append(_of_vectors(part, vectors))
            if isinstance(part, Linear):
                groups += _linear(part)
            else:
                sums, gates = _lstm(part)
                groups += sums
                late |= gates
        if not isinstance(layer, Embedding):
            vectors = None
    return [*groups, _in_step(late)] if late else groups


def _parts(layer: Layer) -> Iterator[Linear | Lstm]:
    match layer:
        case Linear() | Lstm():
            yield layer
        case Bidirectional():
            yield layer.forward
            yield layer.backward


def _embedded(model: Model) -> Integers | None:
    """The vectors that an embedding gives ``(tokens, features)``; None where the model begins with something else."""
    first = model.layers[0]
    if not isinstance(first, Embedding):
        return None
    raws = first.run(np.arange(first.table.shape[0])[None], Recorder()).astype(np.int64)
    return np.ascontiguousarray(raws[0])


def _of_vectors(layer: Linear | Lstm, vectors: Integers) -> Group:
    """The signals that depend on the inputs alone, for each input that there is."""
    names = [signal.name for signal in layer.signals()]
    if isinstance(layer, Lstm):
        names = [name for name in names if name.endswith((".input_accumulator", ".input_sum"))]
    recorder = Recorder(frozenset(names))
    layer.run(vectors[None], recorder)
    return {name: trace[0] for name, trace in recorder.traces.items()}


def _linear(layer: Linear) -> list[Group]:
    path = layer.datapath
    columns = columns_of(path.input, layer.matrix.inputs, folded=path.folded_zero_point)
    found = _rows(layer.products, layer.matrix.centred, columns)
    if found is None:
        return []
    name = layer.name
    group = {f"{name}.accumulator": found}
    group[f"{name}.sum"] = total = _narrow(found, path.sum, layer.matrix.multiplier, layer.matrix.shift)
    late = np.asarray(layer.bias.at(path.bias_stage, BiasStage.PREACTIVATION), dtype=np.int64)
    before = _narrow(total - path.sum.format.zero_point + late, path.preactivation)
    group[f"{name}.preactivation"] = before
    activated = np.asarray(activate(before, path.activation), dtype=np.int64) - path.activation.format.zero_point
    group[f"{name}.output"] = _narrow(activated, path.output)
    return [group]


def _lstm(layer: Lstm) -> tuple[list[Group], Group]:
    """Accumulators and sums; and pre-activations and gates, where both accumulators are known and read no cell."""
    path = layer.datapath
    folded = path.folded_zero_point
    inputs = columns_of(path.read_input, layer.input_matrix.inputs, folded=folded)
    hidden = columns_of(layer.accumulators.read_hidden, layer.outputs, folded=folded)
    if path.joint and np.any(layer.input_matrix.product_shift != layer.recurrent_matrix.product_shift):
        return [], {}  # one guard for a row of both matrices would not do
    if path.joint:
        weights = np.concatenate([layer.input_matrix.centred, layer.recurrent_matrix.centred], axis=1)
        kinds = {
            "": (_rows(layer.recurrent_products, weights, inputs + hidden, layer.input_products), layer.input_matrix)
        }
    else:
        kinds = {
            "input_": (_rows(layer.input_products, layer.input_matrix.centred, inputs), layer.input_matrix),
            "recurrent_": (
                _rows(layer.recurrent_products, layer.recurrent_matrix.centred, hidden),
                layer.recurrent_matrix,
            ),
        }
    groups, gates = [], Group()
    for place, (gate, choices) in enumerate(zip(path.gate_names, path.present, strict=True)):
        rows = slice(place * layer.units, (place + 1) * layer.units)
        sums: Group = {}
        for kind, (accumulators, matrix) in kinds.items():
            if accumulators is None:
                continue
            narrowing = choices.recurrent_sum if kind == "recurrent_" else choices.input_sum
            total = _narrow(accumulators[:, rows], narrowing, matrix.multiplier[rows], matrix.shift[rows])
            groups.append(
                {
                    f"{layer.name}.gate.{gate}.{kind}accumulator": accumulators[:, rows],
                    f"{layer.name}.gate.{gate}.{kind}sum": total,
                }
            )
            sums[f"{kind}sum"] = total
        if len(sums) == len(kinds) and choices.peephole is None and choices.norm is None:
            gates |= _gate(layer, gate, choices, rows, sums)
    return groups, gates


def _gate(layer: Lstm, gate: str, choices: GateDatapath, rows: slice, sums: Group) -> Group:
    """Pre-activation and gate for every sum of both parts; the parts stand for their sum, the second one at rest."""
    path, name = layer.datapath, f"{layer.name}.gate.{gate}"
    zeros = {"sum": choices.input_sum, "input_sum": choices.input_sum, "recurrent_sum": choices.recurrent_sum}
    parts = [(kind, values - zeros[kind].format.zero_point) for kind, values in sums.items()]
    totals = parts[0][1] if len(parts) == 1 else _sumsets(parts[0][1], parts[1][1])
    if totals is None:
        return {}
    late = np.asarray(layer.bias.at(path.bias_stage, BiasStage.PREACTIVATION), dtype=np.int64)[rows]
    before = _narrow(totals + late, choices.preactivation)
    activated = np.asarray(activate(before, choices.activation), dtype=np.int64) - choices.activation.format.zero_point
    group = {f"{name}.preactivation": before, name: _narrow(activated, choices.output)}
    for place, (kind, _) in enumerate(parts):
        zero = zeros[kind].format.zero_point
        group[f"{name}.{kind}"] = totals + zero if place == 0 else np.full_like(totals, zero)
    return group


def _narrow(values: Any, narrowing: Narrowing, multiplier: Any = None, shift: Any = None) -> Integers:
    return np.asarray(narrow(values, narrowing, multiplier, shift), dtype=np.int64)


class Column(NamedTuple):
    """The values of one input: the lowest as it is multiplied, the step to the next, and how many there are."""

    low: int
    step: int
    levels: int

    def lowest(self, weight: int) -> int:
        """The lowest product with a weight."""
        return weight * (self.low if weight >= 0 else self.low + self.step * (self.levels - 1))


def columns_of(form: Format, columns: int, *, folded: bool) -> list[Column]:
    """The columns of a matrix that reads raws of a format, less its zero point unless that is folded."""
    return [Column(form.raw_min - (0 if folded else form.zero_point), form.raw_step, form.levels)] * columns


def _rows(
    products: Products, weights: NDArray[Any], columns: Sequence[Column], first: Products | None = None
) -> Integers | None:
    """Every sum of each row ``(values, rows)``, the sets filled up to one length; None where that is much work.

    ``first`` is what the sums continue, where inputs and hidden state have one accumulator.
    """
    start = (first or products).start
    lows, highs = (np.broadcast_to(end, (products.rows,)).tolist() for end in (start.low, start.high))
    guard = products.guard
    if not products.proven or guard is None or lows != highs:
        return None
    spans = [_span(row, columns) for row in weights]
    shifts = sum(column.levels.bit_length() for column in columns)
    work = sum(span // 64 + 1 for span in spans) * shifts
    if max(spans) > _MOST_BITS or work > _MOST_WORK or (max(spans) + 1) * len(spans) > 8 * _MOST_VALUES:
        return None
    last = np.zeros(products.rows, np.int64) if products.last is None else products.last
    sets = [
        (_values(row, columns) << int(guard[place])) + lows[place] + int(last[place])
        for place, row in enumerate(weights)
    ]
    return _filled(sets)


def _span(row: NDArray[Any], columns: Sequence[Column]) -> int:
    return sum(
        abs(int(weight)) * column.step * (column.levels - 1) for weight, column in zip(row, columns, strict=True)
    )


def _values(weights: NDArray[Any], columns: Sequence[Column]) -> Integers:
    """Every sum of weights times inputs, ascending."""
    low, found = 0, 1
    for weight, column in zip(weights.tolist(), columns, strict=True):
        low += column.lowest(weight)
        found = _progression(found, abs(weight) * column.step, column.levels)
    return low + _set_bits(found)


def inputs_for(weights: NDArray[Any], columns: Sequence[Column], wanted: int) -> Integers | None:
    """Inputs whose sum with the weights is ``wanted``, None where there are none: column by column from the last."""
    low, sets = 0, [1]
    for weight, column in zip(weights.tolist(), columns, strict=True):
        low += column.lowest(weight)
        sets.append(_progression(sets[-1], abs(weight) * column.step, column.levels))
    left = wanted - low
    if left < 0 or not sets[-1] >> left & 1:
        return None
    found = []
    for weight, column, before in zip(weights.tolist()[::-1], columns[::-1], sets[-2::-1], strict=True):
        stride = abs(weight) * column.step
        taken = next(
            place for place in range(column.levels) if left >= place * stride and before >> (left - place * stride) & 1
        )
        left -= taken * stride
        found.append(column.low + column.step * (taken if weight >= 0 else column.levels - 1 - taken))
    return np.array(found[::-1], dtype=np.int64)


def _progression(bits: int, step: int, count: int) -> int:
    """The set plus each of ``0, step, .. (count - 1) * step``."""
    if step == 0:
        return bits
    done = 1
    while 2 * done <= count:
        bits |= bits << (done * step)
        done *= 2
    return bits | bits << ((count - done) * step)


def _set_bits(bits: int) -> Integers:
    octets = np.frombuffer(bits.to_bytes(bits.bit_length() // 8 + 1, "little"), np.uint8)
    return np.flatnonzero(np.unpackbits(octets, bitorder="little")).astype(np.int64)


def _sumsets(first: Integers, second: Integers) -> Integers | None:
    """For each unit every sum of one of its values in each ``(values, units)``; None where that is much work."""
    sets, work = [], 0
    for one, other in zip(first.T, second.T, strict=True):
        many, few = sorted((np.unique(one), np.unique(other)), key=len, reverse=True)
        span = int(many[-1] - many[0])
        work += len(few) * (span // 64 + 1)
        if span > _MOST_BITS or work > _MOST_WORK:
            return None
        bits = np.zeros(span + 1, np.uint8)
        bits[many - many[0]] = 1
        held = int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
        total = 0
        for shift in (few - few[0]).tolist():
            total |= held << shift
        sets.append(_set_bits(total) + int(many[0] + few[0]))
    return _filled(sets)


def _filled(sets: Sequence[Integers]) -> Integers | None:
    """Sets side by side, each filled up with its first value."""
    longest = max(map(len, sets))
    if longest * len(sets) > _MOST_VALUES:
        return None
    return np.stack([np.concatenate([each, np.full(longest - len(each), each[0])]) for each in sets], axis=1)


def _in_step(group: Group) -> Group:
    """Signals filled up to one length."""
    longest = max(map(len, group.values()))
    return {
        name: np.concatenate([raws, np.broadcast_to(raws[:1], (longest - len(raws), raws.shape[1]))])
        for name, raws in group.items()
    }
