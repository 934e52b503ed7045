"""Steps that read a table where it is wanted: inputs and hidden states worked out from the sums that give a raw."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim_golden.exhaustion import Column, Group, columns_of, inputs_for, tried

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Target:
    """A step of one LSTM: inputs and hidden state ``(features,)``, ``(outputs,)``."""

    lstm: str
    inputs: Integers
    hidden: Integers


class Constructor:
    """Works out steps of a model's first layer, an LSTM whose sums are all known; of any other model none."""

    def __init__(self, model: Model) -> None:
        first = model.layers[0]
        parts = [first.forward, first.backward] if isinstance(first, Bidirectional) else [first]
        self._parts = {part.name: part for part in parts if isinstance(part, Lstm) and not part.datapath.joint}
        self._groups = tried(model) if self._parts else []

    def targets(self, readers: Sequence[str], runs: Integers) -> Iterator[Target]:
        """For each run of raws ``(runs, 2)`` a step that gives one of the readers a raw in it, where there is one."""
        for low, high in runs.tolist():
            found = next((each for reader in readers for each in self._one(reader, low, high)), None)
            if found is not None:
                yield found

    def _one(self, reader: str, low: int, high: int) -> Iterator[Target]:
        """Steps that give a gate's pre-activation a raw in ``low .. high``, of each unit that can have it one."""
        lstm, _, rest = reader.partition(".gate.")
        gate = rest.removesuffix(".preactivation")
        group = next((each for each in self._groups if reader in each), None)
        if group is None or lstm not in self._parts:
            return
        part = self._parts[lstm]
        for unit in range(part.units):
            raws = group[reader][:, unit]
            places = np.flatnonzero((raws >= low) & (raws <= high))
            if len(places):
                total = int(group[f"{lstm}.gate.{gate}.input_sum"][places[0], unit])
                found = self._step(part, gate, unit, total)
                if found is not None:
                    yield found

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
        inputs = self._solved(part, "input", row, int(sums["input"][0][held, unit]))
        hidden = self._solved(part, "recurrent", row, int(sums["recurrent"][0][place, unit]))
        return None if inputs is None or hidden is None else Target(part.name, inputs, hidden)

    def _known(self, *names: str) -> tuple[Integers, ...] | None:
        group: Group | None = next((each for each in self._groups if all(name in each for name in names)), None)
        return None if group is None else tuple(group[name] for name in names)

    @staticmethod
    def _solved(part: Lstm, kind: str, row: int, accumulator: int) -> Integers | None:
        """Raws whose products with a row add up to an accumulator."""
        path = part.datapath
        products = part.input_products if kind == "input" else part.recurrent_products
        weights = (part.input_matrix if kind == "input" else part.recurrent_matrix).centred[row]
        form = path.read_input if kind == "input" else part.accumulators.read_hidden
        columns: list[Column] = columns_of(form, len(weights), folded=path.folded_zero_point)
        start = int(np.broadcast_to(products.start.low, (products.rows,))[row])
        last = 0 if products.last is None else int(products.last[row])
        assert products.guard is not None
        found = inputs_for(weights, columns, (accumulator - start - last) >> int(products.guard[row]))
        return None if found is None else found + (0 if path.folded_zero_point else form.zero_point)


def by_lstm(targets: Sequence[Target]) -> Mapping[str, list[Target]]:
    """Targets by the LSTM that they are for."""
    found: dict[str, list[Target]] = {}
    for target in targets:
        found.setdefault(target.lstm, []).append(target)
    return found
