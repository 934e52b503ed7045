"""The rules of a model over the cases of a set, in the order of execution, and when each of their values is made."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.lstm_stages import gate_format, resting_register
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.profiles.datapath import GATES, Hazard, Narrowing
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.comparing.frames import Frame, Place
from fixedsim_golden.comparing.row_rules import LinearAccumulated, Looked, LstmAccumulated, Normalized
from fixedsim_golden.comparing.rules import (
    Copied,
    Integers,
    Joined,
    Rule,
    Staged,
    Subtracted,
    UnitBefore,
)
from fixedsim_golden.stages import Operand, Product, Stage, Sum, previous, stages


@dataclass
class Program:
    """Every signal of a model with the rule that gives it, and its place in the order of execution.

    ``continued`` is whether each case starts from where the one before ends.
    """

    continued: NDArray[np.bool_]  # (cases,)
    rules: list[Rule] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)  # of signals and of stimuli
    directions: dict[str, str] = field(default_factory=dict)  # of layers that have one
    states: list[str] = field(default_factory=list)  # signals that a later step reads
    carried: dict[str, Copied] = field(default_factory=dict)  # initial states as the case before leaves them

    def rule_of(self, signal: str) -> Rule | None:
        """What gives a signal; None for stimuli."""
        return next((rule for rule in self.rules if signal in rule.gives), None)


def program(model: Model, cases: Sequence[Case]) -> Program:
    """The program of a model for cases."""
    return _Writer(model, cases).written()


class _Writer:
    """Goes through the layers; ``phase``, ``frame`` and ``incoming`` are those of the layer that comes next."""

    def __init__(self, model: Model, cases: Sequence[Case]) -> None:
        self.model, self.cases = model, cases
        self.stages = stages(model)
        self.found = Program(np.array([case.start is Start.CONTINUED for case in cases]))
        self.phase, self.frame, self.incoming = 0, Frame.of([case.steps for case in cases]), "input"
        self.sequences = Frame.of([1] * len(cases))
        self.backward = False

    def written(self) -> Program:
        """Write all rules."""
        for name in ("control", "input"):
            self._place(name)
        for layer in self.model.layers:
            self._layer(layer)
            if layer.name in self.model.last:
                self._last(layer)
        self._put(Copied("output", (self.incoming,), np.arange(self.frame.rows)))
        self.phase, self.frame = self.phase + 1, self.sequences
        for layer in self.model.layers:
            for part, backward in _parts(layer):
                self._final_states(part, backward)
        return self.found

    def _put(self, rule: Rule) -> str:
        self.found.rules.append(rule)
        for name in rule.gives:
            self._place(name)
        return rule.gives[-1]

    def _place(self, name: str) -> None:
        self.found.places[name] = Place(self.phase, len(self.found.places), self.frame, self.backward)

    def _layer(self, layer: Layer) -> None:
        match layer:
            case Embedding():
                self.incoming = self._put(Looked(layer, self.incoming))
            case Linear():
                self.incoming = self._linear(layer, self.incoming)
            case Lstm():
                self.incoming = self._lstm(layer)
            case Bidirectional():
                self._bidirectional(layer)
            case Reversal():
                self.phase += 1
                self.incoming = self._put(Copied(f"{layer.name}@reversed", (self.incoming,), self.frame.reversed()))

    def _bidirectional(self, layer: Bidirectional) -> None:
        outputs = []
        for part, self.backward in _parts(layer):
            self.phase += 1
            self.found.directions[part.name] = "backward" if self.backward else "forward"
            outputs.append(self._lstm(part))
        self.phase, self.backward = self.phase + 1, False
        units = layer.forward.outputs, layer.backward.outputs
        self.incoming = self._put(Joined(f"{layer.name}.output", tuple(outputs), units))

    def _linear(self, layer: Linear, incoming: str) -> str:
        self._put(LinearAccumulated(layer, incoming))
        for name in ("sum", "preactivation"):
            self._staged(f"{layer.name}.{name}")
        return self._staged(f"{layer.name}.output")

    def _staged(self, signal: str) -> str:
        return self._put(Staged(self.stages[signal]))

    def _lstm(self, layer: Lstm) -> str:
        path, name, state = layer.datapath, layer.name, _written(layer)
        self.found.states += [state, f"{name}.cell"]
        self._initial_states(layer)
        hidden = self._before(state, f"{name}.initial_state.hidden", layer.resting.hidden, f"{name}.hidden@-1")
        self._before(f"{name}.cell", f"{name}.initial_state.cell", layer.resting.cell, previous(name))
        inputs = self._rescaled(
            f"{name}.rescaled_input",
            self.incoming,
            path.input.zero_point,
            path.input_rescale,
            layer.input_matrix.inputs,
        )
        read = self._rescaled(
            f"{name}.rescaled_hidden", hidden, layer.state_format.zero_point, path.hidden_rescale, layer.outputs
        )
        form = layer.state_format if path.hidden_rescale is None else path.hidden_rescale.format
        self._put(LstmAccumulated(layer, (inputs, read), (path.read_input.zero_point, form.zero_point)))
        for stage in self._own_stages(layer):
            self._put(self._rule(layer, stage))
            if stage.signal == f"{name}.gate.forget" and path.coupled is not None:
                self._put(Subtracted(f"{name}.gate.input", stage.signal, path.coupled))
        return state if layer.projection is None else self._linear(layer.projection, f"{name}.hidden")

    def _own_stages(self, layer: Lstm) -> Iterable[Stage]:
        """The stages of an LSTM without those of its projection, a stale register as what it reads."""
        own = [
            stage
            for stage in self.stages.values()
            if stage.layer == layer.name and (layer.projection is None or not _is_of(stage, layer.projection))
        ]
        return own if layer.datapath.hazard is Hazard.NONE else self._stale(layer, own)

    def _stale(self, layer: Lstm, own: Iterable[Stage]) -> Iterator[Stage]:
        """The products of the cell with the gates that they are of: the register, and the forget gate."""
        path, name = layer.datapath, layer.name
        zero = {gate: gate_format(path, gate).zero_point for gate in GATES}
        forget, candidate = f"{name}.gate.forget", Operand(f"{name}.gate.candidate", zero["candidate"])
        cell = Operand(previous(name), path.read_cell.zero_point)
        sources = {
            f"{name}.forget_product": Product(Operand(f"{forget}@stale", zero["forget"]), cell),
            f"{name}.input_product": Product(Operand(forget, zero["input"]), candidate),
        }
        for stage in own:
            source = sources.get(stage.signal)
            if stage.signal == f"{name}.forget_product":
                self._register(layer)
            if source is None:
                yield stage
            else:
                reads = tuple(operand.signal for operand in source.operands)
                yield replace(stage, source=source, reads=reads)

    def _register(self, layer: Lstm) -> None:
        """What the stale register holds; every case starts it anew."""
        gate, name = f"{layer.name}.gate.output", f"{layer.name}.gate"
        rows = self._row_before(self.frame.rows, carried=False)
        rows[rows >= self.frame.rows] = self.frame.rows
        rows[self._resets()] = self.frame.rows
        before = self._put(Copied(f"{gate}@-1", (gate,), rows, resting_register(layer.datapath)))
        self._put(UnitBefore(f"{name}.forget@stale", gate, before))

    def _rule(self, layer: Lstm, stage: Stage) -> Rule:
        gate = stage.signal.removeprefix(f"{layer.name}.gate.").removesuffix(".normalized")
        if gate not in layer.norm or not stage.signal.endswith(".normalized"):
            return Staged(stage)
        path = layer.datapath
        choices = path.gates[GATES.index(gate)]
        assert choices is not None
        assert choices.norm is not None
        read = choices.preactivation if choices.peephole is None else choices.peephole.sum
        first = path.gate_names.index(gate) * layer.units
        bias = layer.bias.value[first : first + layer.units].astype(np.int64)
        weight = np.asarray(layer.norm[gate], dtype=np.int64)
        return Normalized(stage, weight, bias, read.format.zero_point, choices.norm.least_variance)

    def _rescaled(self, signal: str, read: str, zero_point: int, narrowing: Narrowing | None, units: int) -> str:
        """A vector as the products read it: itself where nothing rescales it."""
        if narrowing is None:
            return read
        source = Sum((Operand(read, zero_point),), np.zeros(units, np.int64))
        multiplier, shift = (np.full(units, value, dtype=np.int64) for value in (narrowing.multiplier, narrowing.shift))
        return self._put(
            Staged(Stage(signal, signal.rpartition(".")[0], narrowing, multiplier, shift, (read,), source))
        )

    def _before(self, signal: str, start: str, resting: Integers, name: str) -> str:
        """A state before each step."""
        rows = self._row_before(self.frame.rows, carried=True)
        rows[self._resets()] = self.frame.rows + len(self.cases)
        return self._put(Copied(name, (signal, start), rows, resting))

    def _row_before(self, start: int, *, carried: bool) -> Integers:
        """The row made before each row; at the start of case ``c`` it is ``start + c``, if not carried over."""
        if self.backward:
            rows = np.arange(self.frame.rows) + 1
            rows[self.frame.ends] = start + np.arange(len(self.cases))
            return rows
        rows = np.arange(self.frame.rows) - 1
        anew = [not carried or case.start is not Start.CONTINUED for case in self.cases]
        rows[self.frame.first[anew]] = start + np.flatnonzero(anew)
        return rows

    def _resets(self) -> Integers:
        """The rows before which the state is put back in mid-sequence."""
        starts = zip(self.frame.first.tolist(), self.cases, strict=True)
        return np.array([first + step for first, case in starts for step in case.resets], dtype=np.int64)

    def _initial_states(self, layer: Lstm) -> None:
        phase, frame, backward = self.phase, self.frame, self.backward
        self.phase, self.frame, self.backward = -1, self.sequences, False
        rows = np.maximum(frame.first - 1, 0)
        for what, signal in (("hidden", _written(layer)), ("cell", f"{layer.name}.cell")):
            name = f"{layer.name}.initial_state.{what}"
            self._place(name)
            self.found.carried[name] = Copied(name, (signal,), rows)
        self.phase, self.frame, self.backward = phase, frame, backward

    def _final_states(self, layer: Lstm, backward: bool) -> None:
        for what, signal in (("hidden", _written(layer)), ("cell", f"{layer.name}.cell")):
            rows = self.found.places[signal].frame.last_made(backward)
            self._put(Copied(f"{layer.name}.final_state.{what}", (signal,), rows))

    def _last(self, layer: Layer) -> None:
        """What goes on behind a layer that hands on its last step: one row for each case."""
        self.phase += 1
        frame, self.frame = self.frame, self.sequences
        parts = list(_parts(layer))
        names = [
            self._put(Copied(f"{part.name}@last", (_written(part),), frame.last_made(backward)))
            for part, backward in parts
        ]
        units = tuple(part.outputs for part, _ in parts)
        self.incoming = names[0] if len(names) == 1 else self._put(Joined(f"{layer.name}@last", tuple(names), units))


def _parts(layer: Layer) -> Iterator[tuple[Lstm, bool]]:
    """The LSTMs of a layer, and whether each runs backward."""
    match layer:
        case Lstm():
            yield layer, False
        case Bidirectional():
            yield layer.forward, False
            yield layer.backward, True


def _written(layer: Lstm) -> str:
    """The signal that is the hidden state as the step writes it."""
    return f"{layer.name}.hidden" if layer.projection is None else f"{layer.projection.name}.output"


def _is_of(stage: Stage, projection: Linear) -> bool:
    return stage.signal.startswith(f"{projection.name}.")
