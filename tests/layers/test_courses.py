"""The course of a run against the oracle's step in plain loops: states, lengths, resets, and the backward direction."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm, State
from fixedsim.layers.parts import Matrix
from fixedsim.layers.recorder import Recorder
from fixedsim.network import Description, LstmLayer, Network
from fixedsim.profiles import Profile, load_profile
from fixedsim.profiles.datapath import Hazard
from fixedsim.quantization import quantize
from tests.layers.comparison import require_equal
from tests.spec import layer_oracle as oracle
from tests.strategies import (
    BidirectionalCase,
    LinearCase,
    LstmCase,
    Scope,
    Words,
    bidirectional_cases,
    linear_cases,
    lstm_cases,
)

pytestmark = pytest.mark.kernels
GROUP = "layers"
Vector = list[int]
KNOWN = Scope(algorithms=False)  # the oracle has none of the registered algorithms
LEAST_MOVING = 3  # of the drawn layers, most of which saturate: else the course would not matter


def rows(matrix: Matrix) -> oracle.Rows:
    """The matrix as the oracle takes it."""
    constants = (matrix.product_shift, matrix.multiplier, matrix.shift, matrix.zero_point)
    return oracle.Rows(matrix.weight.tolist(), *(values.tolist() for values in constants))


def entering(layer: Linear | Lstm) -> Vector:
    """The biases as they enter."""
    return oracle.entering(layer.bias.raw.tolist(), layer.bias.shift.tolist(), layer.datapath.bias_cast)


def scalar(layer: Lstm) -> oracle.LstmOracle:
    """The layer as the oracle takes it."""
    projection = layer.projection
    return oracle.LstmOracle(
        rows(layer.input_matrix),
        rows(layer.recurrent_matrix),
        entering(layer),
        layer.datapath,
        peephole={gate: raws.tolist() for gate, raws in layer.peephole.items()},
        projection=None if projection is None else (rows(projection.matrix), entering(projection), projection.datapath),
    )


def sequence(
    layer: Lstm, inputs: list[Vector], state: tuple[Vector, Vector] | None, resets: list[bool]
) -> tuple[list[Vector], tuple[Vector, Vector]]:
    """The hidden states of one sequence in the order of its steps, and the state after the last."""
    path, step = layer.datapath, scalar(layer).step
    fresh = [path.initial_hidden] * layer.outputs, [path.initial_cell] * layer.units
    hidden, cell = fresh if state is None else state
    written = "hidden" if layer.projection is None else "projection.output"
    outputs, stale = [], None
    for vector, reset in zip(inputs, resets, strict=True):
        (hidden, cell), stale = (fresh, None) if reset else ((hidden, cell), stale)
        signals = step(vector, hidden, cell, stale)
        hidden, cell, stale = signals[written], signals["cell"], signals["gate.output"][-1]
        outputs.append(hidden)
    return outputs, (hidden, cell)


def check(
    layer: Lstm,
    case: LstmCase | BidirectionalCase,
    state: State | None,
    *,
    output: NDArray[np.integer[Any]],
    after: State,
    back: bool,
) -> None:
    """Each sequence of a batch, in the order in which the direction reads it."""
    steps, batch = case.inputs.shape[:2]
    for n in range(batch):
        length = steps if case.lengths is None else int(case.lengths[n])
        order = list(range(length))[::-1] if back else list(range(length))
        resets = [False if case.reset is None else bool(case.reset[t, n]) for t in order]
        start = None if state is None else (state.hidden[n].tolist(), state.cell[n].tolist())
        vectors = [case.inputs[t, n].tolist() for t in order]
        wanted, last = sequence(layer, vectors, start, resets)
        found = output[order, n] if order else output[:0, n]
        require_equal(found, np.array(wanted, dtype=np.int64).reshape(found.shape), "hidden", GROUP)
        assert (after.hidden[n].tolist(), after.cell[n].tolist()) == last
        assert (output[length:, n] == layer.output_format.zero_point).all()


def test_lstm() -> None:
    moving: Counter[bool] = Counter()

    @settings(max_examples=60)
    @given(lstm_cases(KNOWN))
    def each(case: LstmCase) -> None:
        course: dict[str, Any] = {"state": case.state, "lengths": case.lengths, "reset": case.reset}
        output, after = case.layer.run(case.inputs, Recorder(), **course)
        check(case.layer, case, case.state, output=output, after=after, back=False)
        moving[bool((output != output[:1]).any())] += 1

    each()
    assert moving[True] >= LEAST_MOVING


def test_a_reset_puts_a_stale_register_back() -> None:
    """What comes after a reset is as if nothing had come before it; the register acts on the initial cell."""
    plain = load_profile("elastic-ai-fixed").to_dict()
    stale = Profile.from_dict(plain | {"lstm": plain["lstm"] | {"hazard": Hazard.STALE_SIGMOID}})
    description = Description("stale", (LstmLayer("lstm", 3, 4, initial=True),))
    words = Words(5)
    weights = {name: words.uniform(-1, 1, shape).astype(np.float32) for name, shape in description.tensors().items()}
    model = quantize(Network(description, weights), profile=stale, weight_bits=8, activation_bits=8)
    inputs = words.uniform(-1, 1, (6, 2, 3))
    reset = np.zeros((6, 2), dtype=np.bool_)
    reset[1, 0] = True
    found, alone, on = (run.raw for run in (model.run(inputs, reset=reset), model.run(inputs[1:]), model.run(inputs)))
    assert found is not None
    assert alone is not None
    assert on is not None
    require_equal(found[1:, 0], alone[:, 0], "hidden", GROUP)
    require_equal(found[:, 1], on[:, 1], "hidden", GROUP)


def test_bidirectional() -> None:
    moving: Counter[bool] = Counter()

    @settings(max_examples=35)
    @given(bidirectional_cases(KNOWN))
    def each(case: BidirectionalCase) -> None:
        course: dict[str, Any] = {"state": case.state, "lengths": case.lengths, "reset": case.reset}
        output, after = case.layer.run(case.inputs, Recorder(), **course)
        units = case.layer.forward.units
        halves = output[:, :, :units], output[:, :, units:]
        for position, layer in enumerate((case.layer.forward, case.layer.backward)):
            begin = case.state[position]
            check(layer, case, begin, output=halves[position], after=after[position], back=position == 1)
        moving[bool((output != output[:1]).any())] += 1

    each()
    assert moving[True] >= LEAST_MOVING


@settings(max_examples=35)
@given(linear_cases(KNOWN))
def test_linear(case: LinearCase) -> None:
    layer = case.layer
    output = layer.run(case.inputs, Recorder())
    for t, n in np.ndindex(*case.inputs.shape[:2]):
        signals = oracle.linear(case.inputs[t, n].tolist(), rows(layer.matrix), entering(layer), layer.datapath)
        require_equal(output[t, n], np.array(signals["output"]), "output", GROUP)
