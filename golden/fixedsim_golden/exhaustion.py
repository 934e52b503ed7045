"""Layers of few inputs, tried with every input and hidden state that there is: what they never give is out of reach."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm, State
from fixedsim.layers.recorder import Recorder
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer

Integers = NDArray[np.int64]
MOST = 1 << 18  # combinations that are tried


def tried(model: Model) -> dict[str, Integers]:
    """Every raw ``(combinations, units)`` that a signal can have, where the layer's inputs have few combinations.

    Of a fully connected layer these are all signals; of an LSTM those of the gates, which do not read the cell where
    there is no peephole. Behind an embedding there are as many inputs as tokens; of an LSTM they decide the input sums.
    """
    found: dict[str, Integers] = {}
    vectors = _embedded(model)
    for layer in model.layers:
        for part in _parts(layer):
            if isinstance(part, Linear):
                found |= _linear(part, vectors)
            else:
                found |= _gates(part) if vectors is None else _input_sums(part, vectors)
        if not isinstance(layer, Embedding):
            vectors = None
    return found


def _embedded(model: Model) -> Integers | None:
    """The vectors that an embedding gives ``(tokens, features)``; None where the model begins with something else."""
    first = model.layers[0]
    if not isinstance(first, Embedding):
        return None
    raws = first.run(np.arange(first.table.shape[0])[None], Recorder())
    return np.ascontiguousarray(raws[0])


def _parts(layer: Layer) -> Iterator[Linear | Lstm]:
    match layer:
        case Linear() | Lstm():
            yield layer
        case Bidirectional():
            yield layer.forward
            yield layer.backward


def _linear(layer: Linear, vectors: Integers | None) -> dict[str, Integers]:
    raws = _combinations([layer.input_format] * layer.matrix.inputs) if vectors is None else vectors
    if raws is None:
        return {}
    recorder = Recorder(frozenset(signal.name for signal in layer.signals()))
    layer.run(raws[None], recorder)
    return {name: trace[0] for name, trace in recorder.traces.items()}


def _gates(layer: Lstm) -> dict[str, Integers]:
    inputs = layer.input_matrix.inputs
    raws = _combinations([layer.input_format] * inputs + [layer.state_format] * layer.outputs)
    if raws is None or any(gate.peephole for gate in layer.datapath.present):
        return {}
    recorder = Recorder(frozenset(signal.name for signal in layer.signals() if ".gate." in signal.name))
    state = State(np.ascontiguousarray(raws[:, inputs:]), layer.initial_state(len(raws)).cell)
    layer.run(np.ascontiguousarray(raws[None, :, :inputs]), recorder, state=state)
    return {name: trace[0] for name, trace in recorder.traces.items()}


def _input_sums(layer: Lstm, vectors: Integers) -> dict[str, Integers]:
    """What does not depend on the hidden state, where inputs have an accumulator of their own."""
    wanted = frozenset(
        signal.name for signal in layer.signals() if signal.name.endswith((".input_accumulator", ".input_sum"))
    )
    recorder = Recorder(wanted)
    layer.run(vectors[None], recorder)
    return {name: trace[0] for name, trace in recorder.traces.items()}


def _combinations(forms: list[Format]) -> Integers | None:
    """All vectors of raws of the formats ``(combinations, len(forms))``; None where there are too many."""
    levels = [form.levels for form in forms]
    if sum(float(np.log2(each)) for each in levels) > np.log2(MOST):
        return None
    grids = np.unravel_index(np.arange(int(np.prod(levels))), levels)
    raws = [form.raw_min + form.raw_step * grid for form, grid in zip(forms, grids, strict=True)]
    return np.stack(raws, axis=1).astype(np.int64)
