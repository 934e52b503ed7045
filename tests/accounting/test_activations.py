"""The schedule of activations against a record of first writes and last reads in a run of the general step.

The scalar specification runs on integers that know their storage: reading one in arithmetic notes the time.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixedsim
from fixedsim.accounting import activations
from fixedsim.accounting.activations import activation_schedule, sized_layers
from fixedsim.errors import FixedsimError, InputError
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.network import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer, Network, preset
from fixedsim.spec import layers as spec
from fixedsim.spec.accumulators import accumulate, products
from fixedsim.spec.casts import narrow


class Cell:
    """The storage of one integer: when it was written and last read."""

    clock = 0

    def __init__(self) -> None:
        Cell.clock += 1
        self.written = self.read = Cell.clock

    def note(self) -> None:
        Cell.clock += 1
        self.read = Cell.clock


class Stored(int):
    """An integer in storage. Less or plus a constant it is the same storage; other arithmetic reads it."""

    cell: Cell

    def __new__(cls, value: int, cell: Cell | None = None) -> "Stored":
        made = super().__new__(cls, value)
        made.cell = cell or Cell()
        return made

    def _with(self, other: Any, result: int) -> int:
        if isinstance(other, Stored):
            self.cell.note()
            other.cell.note()
            return result
        return Stored(result, self.cell)

    def __add__(self, other: Any) -> int:
        return self._with(other, int(self) + int(other))

    def __sub__(self, other: Any) -> int:
        return self._with(other, int(self) - int(other))

    def __mul__(self, other: Any) -> int:
        self.cell.note()
        if isinstance(other, Stored):
            other.cell.note()
        return int(self) * int(other)


def noted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its arguments read, its result stored."""

    def run(value: Any, *rest: Any) -> Any:
        read(value)
        return Stored(function(value, *rest))

    return run


def read(value: Any) -> None:
    if isinstance(value, Stored):
        value.cell.note()


def noted_products(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(weights: Any, inputs: Sequence[int], *rest: Any) -> Any:
        for value in inputs:
            read(value)
        return function(weights, [int(value) for value in inputs], *rest)

    return run


@contextmanager
def recording() -> Iterator[None]:
    with (
        patch.object(spec, "narrow", noted(narrow)),
        patch.object(spec, "accumulate", noted(accumulate)),
        patch.object(spec, "products", noted_products(products)),
    ):
        yield


class Record:
    """Which cells make one tensor, and the bits of each."""

    def __init__(self) -> None:
        self.tensors: list[tuple[list[Stored], int]] = []

    def add(self, values: Sequence[int], bits: int) -> list[Stored]:
        stored = [value if isinstance(value, Stored) else Stored(value) for value in values]
        self.tensors.append((stored, bits))
        return stored

    def peak(self) -> int:
        """The most bits that are live at once: each tensor whole, from its first write to its last read."""
        changes: dict[int, int] = {}
        for values, bits in self.tensors:
            first, last = min(each.cell.written for each in values), max(each.cell.read for each in values)
            size = len(values) * bits
            changes[2 * first] = changes.get(2 * first, 0) + size
            changes[2 * last + 1] = changes.get(2 * last + 1, 0) - size
        live = most = 0
        for time in sorted(changes):
            live += changes[time]
            most = max(most, live)
        return most


def copied(value: Stored) -> Stored:
    value.cell.note()
    return Stored(int(value))


Vectors = list[list[Stored]]


class Run:
    """A model's general step over one sequence, layer by layer or streaming, every integer recorded."""

    def __init__(self, model: Model, inputs: Any) -> None:
        self.model, self.inputs, self.record = model, inputs, Record()
        self.state: dict[str, tuple[list[Stored], list[Stored]]] = {}

    def input(self) -> Vectors:
        return [self._input(step) for step in range(len(self.inputs))]

    def _input(self, step: int) -> list[Stored]:
        value = self.inputs[step]
        return [Stored(int(value))] if np.ndim(value) == 0 else [Stored(int(each)) for each in value]

    def input_bits(self) -> int:
        first = self.model.layers[0]
        if isinstance(first, Embedding):
            return max(1, int(first.table.shape[0] - 1).bit_length())
        assert isinstance(first, Linear | Lstm | Bidirectional)
        return int(first.input_format.bits)

    def step(self, layer: Any, vector: list[Stored], kept: bool) -> list[Stored]:
        """One step; ``kept``: the output goes into a sequence, which the caller records."""
        if isinstance(layer, Embedding):
            token = int(vector[0])
            signals = spec.embed(
                layer.table[token].tolist(), int(layer.multiplier[token]), int(layer.shift[token]), layer.datapath
            )
            vector[0].cell.note()  # the address stands until the last entry is read
        elif isinstance(layer, Linear):
            signals = spec.linear(vector, layer.scalar)
        else:
            hidden, cell = self.state.get(layer.name) or self._reset(layer)
            signals = spec.lstm_step(vector, hidden, cell, layer.scalar, layer.datapath)
        forms = {signal.name: signal.format.bits for signal in layer.signals()}
        output = "hidden" if isinstance(layer, Lstm) else "output"
        found = {}
        for name, values in signals.items():
            if name == output and kept and not isinstance(layer, Lstm):
                found[name] = [value if isinstance(value, Stored) else Stored(value) for value in values]
            else:
                found[name] = self.record.add(values, forms[f"{layer.name}.{name}"])
        if isinstance(layer, Lstm):
            self.state[layer.name] = found["hidden"], found["cell"]
            if kept:
                return [copied(value) for value in found["hidden"]]
        return found[output]

    def _reset(self, layer: Lstm) -> tuple[list[Stored], list[Stored]]:
        state = layer.initial_state(1)
        return (
            self.record.add(state.hidden[0].tolist(), layer.state_format.bits),
            self.record.add(state.cell[0].tolist(), layer.datapath.read_cell.bits),
        )

    def sequence(self, vectors: Vectors, bits: int) -> Vectors:
        self.record.add([value for vector in vectors for value in vector], bits)
        return vectors

    def whole(self, layer: Any, vectors: Vectors) -> Vectors:
        """A layer over a whole sequence, its outputs kept."""
        if isinstance(layer, Bidirectional):
            ahead = [self.step(layer.forward, vector, True) for vector in vectors]
            back = [self.step(layer.backward, vector, True) for vector in vectors[::-1]][::-1]
            joined = [first + second for first, second in zip(ahead, back, strict=True)]
            return self.sequence(joined, layer.output_format.bits)
        return self.sequence([self.step(layer, vector, True) for vector in vectors], layer.output_format.bits)

    def layer_by_layer(self) -> int:
        vectors = self.sequence(self.input(), self.input_bits())
        for layer in self.model.layers:
            vectors = self.whole(layer, vectors)
        return self._end(vectors)

    def streaming(self) -> int:
        rest = list(self.model.layers)
        vectors: Vectors | None = None
        if isinstance(rest[0], Bidirectional):
            vectors = self.sequence(self.input(), self.input_bits())
        while rest:
            if isinstance(rest[0], Bidirectional):
                assert vectors is not None
                vectors = self.whole(rest.pop(0), vectors)
                continue
            group = []
            while rest and not isinstance(rest[0], Bidirectional):
                group.append(rest.pop(0))
            vectors = self._stream(group, vectors, kept=bool(rest))
        return self._end(vectors or [])

    def _stream(self, group: list[Any], vectors: Vectors | None, kept: bool) -> Vectors | None:
        outputs = []
        for step in range(len(self.inputs)):
            vector = self.record.add(self._input(step), self.input_bits()) if vectors is None else vectors[step]
            for layer in group:
                vector = self.step(layer, vector, kept and layer is group[-1])
            outputs.append(vector)
            if not kept:
                self._end([vector])
        return self.sequence(outputs, group[-1].output_format.bits) if kept else None

    def _end(self, vectors: Vectors) -> int:
        for vector in vectors:
            for value in vector:
                value.cell.note()
        return self.record.peak()


@st.composite
def models(draw: st.DrawFn) -> tuple[Model, Any]:
    """A model with LSTMs in one or both directions, stacked, and inputs of a few steps.

    Layers have two units or more: the rows of a longer vector overlap in time, as the schedule has it for all.
    """
    size = st.integers(2, 5)
    layers: list[Layer] = []
    if draw(st.booleans()):
        layers.append(EmbeddingLayer("e", draw(st.integers(2, 6)), draw(size)))
    for index in range(draw(st.integers(1, 3))):
        inputs = layers[-1].output_width if layers else draw(size)
        kind = draw(st.sampled_from(["lstm", "both", "fc"]))
        if kind == "fc":
            layers.append(LinearLayer(f"fc{index}", inputs, draw(size), "relu"))
        else:
            layers.append(LstmLayer(f"lstm{index}", inputs, draw(size), bidirectional=kind == "both"))
    if draw(st.booleans()):
        layers.append(LinearLayer("last", layers[-1].output_width, draw(size)))
    description = Description("net", tuple(layers))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    network = Network(description, {name: rng.normal(size=shape) for name, shape in description.tensors().items()})
    profile = draw(st.sampled_from(["fixed-point", "litert", "hls4ml"]))
    model = fixedsim.quantize(network, profile=profile, ranges={"*": (-4.0, 4.0)})
    steps = draw(st.integers(1, 6))
    first = layers[0]
    if isinstance(first, EmbeddingLayer):
        return model, rng.integers(0, first.vocabulary, size=steps)
    return model, rng.integers(-4, 4, size=(steps, first.inputs))


@pytest.mark.parametrize("order", ["sequence", "streaming"])
@given(models(), st.sampled_from([1, 8]))
@settings(max_examples=40, deadline=None)
def test_the_peak_is_that_of_a_recorded_run(order: str, case: tuple[Model, Any], batch: int) -> None:
    model, inputs = case
    schedule = activation_schedule(sized_layers(model), steps=len(inputs), batch=batch, order=order)
    with recording():
        run = Run(model, inputs)
        wanted = run.layer_by_layer() if order == "sequence" else run.streaming()
    assert max(schedule.live_bits) == batch * wanted


@given(models(), st.sampled_from(["sequence", "streaming"]))
@settings(max_examples=20, deadline=None)
def test_a_description_has_the_schedule_of_its_model(case: tuple[Model, Any], order: str) -> None:
    model, _ = case
    assert model.network is not None
    description, profile = Description.from_dict(model.network), model.profile["name"]
    foretold = activations(description, profile=profile, steps=5, batch=2, order=order)
    found = activations(model, steps=5, batch=2, order=order)
    assert foretold.schedule == found.schedule
    assert foretold.peak_bits == max(found.schedule.live_bits)


@pytest.mark.parametrize(
    "features",
    [
        {"projection": 3},
        {"projection": 5, "bidirectional": True},
        {"peephole": True, "coupled": True},
        {"initial": True, "clip": 1.0, "cell_clip": 4.0},
    ],
)
@pytest.mark.parametrize("profile", ["fixed-point", "litert", "elastic-ai-fixed"])
def test_a_description_of_an_lstm_s_features_has_the_schedule_of_its_model(
    features: dict[str, Any], profile: str
) -> None:
    layer = LstmLayer("lstm", 4, 6, **features)
    description = Description("net", (layer, LinearLayer("last", layer.output_width, 2)))
    network = Network(description, {name: np.full(shape, 0.25) for name, shape in description.tensors().items()})
    model = fixedsim.quantize(network, profile=profile, ranges={"*": (-4.0, 4.0)})
    for order in ("sequence", "streaming"):
        foretold = activations(description, profile=profile, steps=5, batch=2, order=order)
        assert foretold.schedule == activations(model, steps=5, batch=2, order=order).schedule


def test_a_reverse_layer_is_refused_as_its_model_is() -> None:
    description = Description("net", (LstmLayer("lstm", 4, 6, reverse=True), LinearLayer("last", 6, 2)))
    network = Network(description, {name: np.full(shape, 0.25) for name, shape in description.tensors().items()})
    model = fixedsim.quantize(network, ranges={"*": (-4.0, 4.0)})
    for source, name in ((description, "lstm"), (model, "lstm.reversed")):
        with pytest.raises(InputError) as caught:
            activations(source, steps=5)
        assert str(caught.value) == f"layer {name} must not reverse time by itself to be scheduled"


def test_the_sequence_around_the_bidirectional_layer_of_deep_speech() -> None:
    found = activations(preset("deep-speech"), steps=500, activation_bits=8)
    live = found.schedule.live_at(found.schedule.peak_position)
    kept, output = 500 * 4096 * 8, 500 * 2 * 2048 * 8
    assert kept == output == 8 * 2_048_000
    assert live["fc3.sequence"] == kept
    assert live["lstm.sequence"] == output
    assert kept + output < found.peak_bits < kept + output + 8 * 500_000
    streamed = activations(preset("deep-speech"), steps=500, order="streaming", activation_bits=8)
    assert streamed.peak_bits == found.peak_bits


def test_the_language_model_streams_with_the_signals_of_its_decoder() -> None:
    decoder = 4 * 10_000 * 48  # accumulator, sum, pre-activation and output, all at accumulator width
    state = 300 * 8 + 300 * 16
    found = activations(preset("ptb-lm"), steps=500, order="streaming")
    assert found.peak_bits == decoder + state
    assert found.layers["decoder"] == found.peak_bits > found.layers["lstm"]


def test_by_the_law_every_value_takes_the_bits_that_its_layer_reads() -> None:
    """4 steps of 3 inputs and of 2 outputs, and three scratch vectors of 2: 26 values live together in the first."""
    layers = (LinearLayer("fc", 3, 2, activation="relu"), LinearLayer("out", 2, 2))
    found = activations(Description("two", layers), steps=4, activation_bits=5)
    assert found.law_peak_bits == (4 * 3 + 4 * 2 + 3 * 2) * 5
    assert found.law_layers == {"input": 60, "fc": 130, "out": (4 * 2 + 4 * 2 + 3 * 2) * 5, "output": 40}


@pytest.mark.parametrize("order", ["sequence", "streaming"])
def test_the_law_is_linear_in_the_bits(order: str) -> None:
    peaks = [
        activations(preset("deep-speech"), steps=50, activation_bits=bits, order=order).law_peak_bits
        for bits in (1, 4, 8, 16)
    ]
    assert [peak // peaks[0] for peak in peaks] == [1, 4, 8, 16]
    assert not any(peak % peaks[0] for peak in peaks)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"steps": 2, "batch": 0}, "batch must be at least 1, not 0"),
        ({"steps": 2, "order": "random"}, "order must be one of sequence, streaming, not 'random'"),
    ],
)
def test_wrong_choices_are_refused(choices: dict[str, Any], message: str) -> None:
    model = fixedsim.quantize(fixedsim.load_network("char-lm"))
    with pytest.raises(FixedsimError) as caught:
        activation_schedule(sized_layers(model), **choices)
    assert str(caught.value) == message
