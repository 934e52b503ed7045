"""Steps that read a table where it is wanted: inputs and hidden states worked out from the sums that give a raw."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import narrow
from fixedsim.execution import Products
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Matrix
from fixedsim.model import Model
from fixedsim.profiles.datapath import Narrowing
from fixedsim_golden.exhaustion import Column, Group, columns_of, inputs_for, tried

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Target:
    """A step of one layer: inputs ``(features,)`` and the hidden state ``(outputs,)`` of an LSTM; None for any."""

    layer: str
    inputs: Integers | None
    hidden: Integers | None


class Constructor:
    """Works out steps of a model's first layer whose sums are all known; of one that reads tokens none."""

    def __init__(self, model: Model) -> None:
        first = model.layers[0]
        parts = [first.forward, first.backward] if isinstance(first, Bidirectional) else [first]
        self._parts: dict[str, Linear | Lstm] = {
            part.name: part
            for part in parts
            if isinstance(part, Linear) or (isinstance(part, Lstm) and not part.datapath.joint)
        }
        self._groups = tried(model) if self._parts else []

    def targets(self, readers: Sequence[str], runs: Integers) -> Iterator[Target]:
        """For each run of raws ``(runs, 2)`` a step that gives one of the readers a raw in it, where there is one."""
        for low, high in runs.tolist():
            found = next((each for reader in readers for each in self._one(reader, low, high)), None)
            if found is not None:
                yield found

    def _one(self, reader: str, low: int, high: int) -> Iterator[Target]:
        """Steps that give a pre-activation a raw in ``low .. high``, of each unit that can have it one."""
        layer, _, rest = reader.removesuffix(".preactivation").partition(".gate.")
        group = next((each for each in self._groups if reader in each), None)
        part = self._parts.get(layer)
        if group is None or part is None:
            return
        for unit in range(group[reader].shape[1]):
            raws = group[reader][:, unit]
            places = np.flatnonzero((raws >= low) & (raws <= high))
            if not len(places):
                continue
            if isinstance(part, Linear):
                found = self._of_linear(part, unit, int(group[f"{layer}.accumulator"][places[0], unit]))
            else:
                found = self._step(part, rest, unit, int(group[f"{layer}.gate.{rest}.input_sum"][places[0], unit]))
            if found is not None:
                yield found

    @staticmethod
    def _of_linear(layer: Linear, row: int, accumulator: int) -> Target | None:
        path = layer.datapath
        found = _solved(layer.products, layer.matrix, path.input, row, accumulator, folded=path.folded_zero_point)
        return None if found is None else Target(layer.name, found, None)

    def _step(self, part: Lstm, gate: str, unit: int, total: int) -> Target | None:
        """Inputs and hidden state whose sums make ``total``, as the input sum alone would, the other being at zero."""
        path, name = part.datapath, f"{part.name}.gate.{gate}"
        sums = {
            kind: self._known(f"{name}.{kind}_accumulator", f"{name}.{kind}_sum") for kind in ("input", "recurrent")
        }
        if sums["input"] is None or sums["recurrent"] is None:
            return None
        choices = path.present[path.gate_names.index(gate)]
        zero = choices.recurrent_sum.format.zero_point
        own, other = (sums[kind][1][:, unit] for kind in ("input", "recurrent"))  # type: ignore[index]
        wanted = total - (other - zero)
        places = np.flatnonzero(np.isin(wanted, own))
        if not len(places):
            return None
        place = int(places[len(places) // 2])
        held = int(np.flatnonzero(own == wanted[place])[0])
        row = path.gate_names.index(gate) * part.units + unit
        inputs, hidden = (
            _solved(products, matrix, form, row, accumulator, folded=path.folded_zero_point)
            for products, matrix, form, accumulator in (
                (part.input_products, part.input_matrix, path.read_input, int(sums["input"][0][held, unit])),
                (
                    part.recurrent_products,
                    part.recurrent_matrix,
                    part.accumulators.read_hidden,
                    int(sums["recurrent"][0][place, unit]),
                ),
            )
        )
        return None if inputs is None or hidden is None else Target(part.name, inputs, hidden)

    def multipliers(self) -> Iterator[Target]:
        """For each row that is multiplied, a step that tells its multiplier from one more, and from one less."""
        for part in self._parts.values():
            for given in _rows_of(part):
                known = self._known(given.signal)
                for change in (1, -1) if known is not None else ():
                    for row, accumulator in _telling(given, known[0], change):  # type: ignore[index]
                        found = _solved(given.products, given.matrix, given.form, row, accumulator, folded=given.folded)
                        if found is not None:
                            yield Target(given.layer, *((None, found) if given.recurrent else (found, None)))

    def _known(self, *names: str) -> tuple[Integers, ...] | None:
        group: Group | None = next((each for each in self._groups if all(name in each for name in names)), None)
        return None if group is None else tuple(group[name] for name in names)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some rows of a matrix: what they multiply, and how their accumulators are narrowed."""

    layer: str
    signal: str
    products: Products
    matrix: Matrix
    form: Format
    narrowing: Narrowing
    rows: slice
    folded: bool

    @property
    def recurrent(self) -> bool:
        """Whether they read the hidden state."""
        return self.signal.endswith("recurrent_accumulator")


def _rows_of(part: Linear | Lstm) -> Iterator[_Rows]:
    path = part.datapath
    folded = path.folded_zero_point
    if isinstance(part, Linear):
        signal = f"{part.name}.accumulator"
        yield _Rows(
            part.name, signal, part.products, part.matrix, part.datapath.input, part.datapath.sum, slice(None), folded
        )
        return
    for place, (gate, choices) in enumerate(zip(part.datapath.gate_names, part.datapath.present, strict=True)):
        rows = slice(place * part.units, (place + 1) * part.units)
        for kind, products, matrix, form, narrowing in (
            ("input", part.input_products, part.input_matrix, part.datapath.read_input, choices.input_sum),
            (
                "recurrent",
                part.recurrent_products,
                part.recurrent_matrix,
                part.accumulators.read_hidden,
                choices.recurrent_sum,
            ),
        ):
            signal = f"{part.name}.gate.{gate}.{kind}_accumulator"
            yield _Rows(part.name, signal, products, matrix, form, narrowing, rows, folded)


def _telling(given: _Rows, accumulators: Integers, change: int) -> Iterator[tuple[int, int]]:
    """Of each row whose multiplier can be one more or less an accumulator that is then narrowed otherwise."""
    multiplier, shift = given.matrix.multiplier[given.rows], given.matrix.shift[given.rows]
    other = np.clip(multiplier + change, 1, given.narrowing.max_multiplier)
    differs = narrow(accumulators, given.narrowing, multiplier, shift) != narrow(
        accumulators, given.narrowing, other, shift
    )
    first = given.rows.start or 0
    for row in np.flatnonzero(np.any(differs, axis=0) & (multiplier > 1)).tolist():
        yield first + row, int(accumulators[np.argmax(differs[:, row]), row])


def _solved(
    products: Products, matrix: Matrix, form: Format, row: int, accumulator: int, *, folded: bool
) -> Integers | None:
    """Raws whose products with a row add up to an accumulator."""
    weights = matrix.centred[row]
    columns: list[Column] = columns_of(form, len(weights), folded=folded)
    start = int(np.broadcast_to(products.start.low, (products.rows,))[row])
    last = 0 if products.last is None else int(products.last[row])
    assert products.guard is not None
    found = inputs_for(weights, columns, (accumulator - start - last) >> int(products.guard[row]))
    return None if found is None else found + (0 if folded else form.zero_point)


def by_layer(targets: Sequence[Target]) -> Mapping[str, list[Target]]:
    """Targets by the layer that they are for."""
    found: dict[str, list[Target]] = {}
    for target in targets:
        found.setdefault(target.layer, []).append(target)
    return found
