"""The rules that read whole rows: embeddings, accumulators and layer normalizations."""

from dataclasses import dataclass, field

import numpy as np

from fixedsim.kernels.functions import normalize_row
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Matrix
from fixedsim.layers.recorder import Recorder
from fixedsim_golden.comparing.rules import Constants, Flags, Integers, Seen, Staged, Unknown, Values, any_of, row_flags


@dataclass(frozen=True, eq=False)
class Looked:
    """The entries of an embedding."""

    layer: Embedding
    tokens: str

    @property
    def gives(self) -> tuple[str, ...]:
        """The output."""
        return (f"{self.layer.name}.output",)

    @property
    def reads(self) -> tuple[str, ...]:
        """The tokens."""
        return (self.tokens,)

    def of(self, values: Values) -> dict[str, Integers]:
        """The narrowed entries."""
        raws = self.layer.run(values[self.tokens][:, None], Recorder())[:, 0]
        return {self.gives[0]: raws.astype(np.int64)}

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """Where the token is not known."""
        return {self.gives[0]: row_flags(flags[self.tokens], self.layer.table.shape[1])}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """All units of what it reads."""
        return [(name, row, None) for name in self.reads]

    def constants(self, signal: str, unit: int) -> Constants:
        """None: the entry depends on the token."""
        return {}


@dataclass(frozen=True, eq=False)
class LinearAccumulated:
    """The accumulators of a fully connected layer."""

    layer: Linear
    incoming: str

    @property
    def gives(self) -> tuple[str, ...]:
        """The accumulators."""
        return (f"{self.layer.name}.accumulator",)

    @property
    def reads(self) -> tuple[str, ...]:
        """The inputs."""
        return (self.incoming,)

    def of(self, values: Values) -> dict[str, Integers]:
        """The sums of products, as the accumulators hold them."""
        recorder = Recorder(frozenset(self.gives))
        self.layer.run(values[self.incoming][:, None], recorder)
        return {self.gives[0]: recorder.traces[self.gives[0]][:, 0]}

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """Where any input is not known."""
        return {self.gives[0]: row_flags(flags[self.incoming], self.layer.matrix.rows)}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """All units of what it reads."""
        return [(name, row, None) for name in self.reads]

    def constants(self, signal: str, unit: int) -> Constants:
        """The weights of the row, and its bias as it enters."""
        return {**_weights("weight", self.layer.matrix, unit), "bias": [int(self.layer.bias.value[unit])]}


def _weights(name: str, matrix: Matrix, row: int) -> Constants:
    found = {name: [int(raw) for raw in matrix.weight[row]]}
    if np.any(matrix.zero_point):
        found[f"{name} zero point"] = [int(matrix.zero_point[row])]
    return found


@dataclass(frozen=True, eq=False)
class LstmAccumulated:
    """The accumulators of all gates; ``zero_points`` are those of what they read."""

    layer: Lstm
    reads: tuple[str, str]  # inputs and hidden state, as the products read them
    zero_points: tuple[int, int]

    @property
    def gives(self) -> tuple[str, ...]:
        """The accumulators, gate by gate."""
        kinds = ("accumulator",) if self.layer.datapath.joint else ("input_accumulator", "recurrent_accumulator")
        return tuple(
            f"{self.layer.name}.gate.{gate}.{kind}" for gate in self.layer.datapath.gate_names for kind in kinds
        )

    def of(self, values: Values) -> dict[str, Integers]:
        """The sums of products, as the accumulators hold them."""
        centred = self.zero_points if not self.layer.datapath.folded_zero_point else (0, 0)
        inputs, hidden = (
            np.ascontiguousarray(values[name] - zero) for name, zero in zip(self.reads, centred, strict=True)
        )
        counts = np.zeros(2, np.int64)
        sums = self.layer.accumulators
        both = sums.finish(sums.begin(inputs, counts), hidden, counts)
        return {name: both["recurrent" in name][:, self._rows(name)] for name in self.gives}

    def _rows(self, signal: str) -> slice:
        gate = signal.removeprefix(f"{self.layer.name}.gate.").partition(".")[0]
        first = self.layer.datapath.gate_names.index(gate) * self.layer.units
        return slice(first, first + self.layer.units)

    def _read_by(self, signal: str) -> tuple[int, ...]:
        return (0, 1) if self.layer.datapath.joint else (int("recurrent" in signal),)

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """Where any input, or any of the hidden state, is not known."""
        rows = [row_flags(flags[name], self.layer.units) for name in self.reads]
        return {name: any_of([rows[place] for place in self._read_by(name)]) for name in self.gives}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """All inputs, or all of the hidden state, or both."""
        return [(self.reads[place], row, None) for place in self._read_by(signal)]

    def constants(self, signal: str, unit: int) -> Constants:
        """The weights of the row, and its bias as it enters."""
        row = self._rows(signal).start + unit
        matrices = (self.layer.input_matrix, self.layer.recurrent_matrix)
        names = ("input weight", "recurrent weight")
        found: Constants = {}
        for place in self._read_by(signal):
            found |= _weights(names[place], matrices[place], row)
        if 0 in self._read_by(signal):
            found["bias"] = [int(self.layer.bias.value[row])]
        return found


@dataclass(frozen=True, eq=False)
class Normalized(Staged):
    """A layer normalization, which reads all units of its gate."""

    weight: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    bias: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    zero_point: int = 0  # of what it reads
    least_variance: int = 1

    def of(self, values: Values) -> dict[str, Integers]:
        """The normalization of each row, narrowed."""
        source = np.ascontiguousarray(values[self.reads[0]] - self.zero_point)
        for row in source:
            normalize_row(row, self.weight, self.bias, self.least_variance, row)
        return {self.stage.signal: self.narrowed(source)}

    def unknown(self, flags: Unknown) -> dict[str, Flags]:
        """Where any unit of the row is not known."""
        read = flags[self.reads[0]]
        return {self.stage.signal: row_flags(read, read.shape[1])}

    def seen(self, signal: str, row: int, unit: int) -> list[Seen]:
        """All units of what it reads."""
        return [(name, row, None) for name in self.reads]

    def constants(self, signal: str, unit: int) -> Constants:
        """Weight and bias of the unit."""
        return super().constants(signal, unit) | {"weight": [int(self.weight[unit])], "bias": [int(self.bias[unit])]}
