"""The generated C equals the scalar specification: models of every profile, random layers, casts and functions."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FixedsimError, FormatError, ModelError
from fixedsim.formats import Format
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.network.description import Description, EmbeddingLayer, LinearLayer, LstmLayer
from fixedsim.profiles.datapath import (
    ARGUMENTS,
    Accumulator,
    BiasStage,
    FixedFunction,
    Form,
    Function,
    LinearDatapath,
    Narrowing,
    PiecewiseLinear,
    Primitive,
)
from fixedsim.spec.casts import narrow as specified
from fixedsim.spec.functions import FUNCTIONS
from fixedsim.testing import Scope, bidirectional_layers, embedding_layers, linear_layers, lstm_layers, models
from fixedsim_golden.c_reference import write_c
from fixedsim_golden.c_reference.activation import activate
from fixedsim_golden.c_reference.narrowing import narrow
from fixedsim_golden.c_reference.source import Source
from fixedsim_golden.c_reference.spans import Span
from tests.golden.c_models import NAME, Integers, assert_equal, evaluate, input_width, needs_compiler
from tests.model.networks import LANGUAGE, RANGES, SPEECH, model, network
from tests.strategies import SEEDS, Words

PROFILES = {
    "fixed-point": {},
    "bit-rnn": {},
    "litert": {"out.output": (-4.0, 4.0)},
    "tflm": {"out.output": (-4.0, 4.0)},
    "cmsis-nn": {"out.output": (-4.0, 4.0)},
    "cmsis-nn-s16": {"out.output": (-4.0, 4.0)},
    "hls4ml": {},
    "elastic-ai-fixed": {},
    "elastic-ai-integer": {"out.output": (-4.0, 4.0)},
}
LENGTHS = 4, 1
WIDTHS = list(product(("fixed-point", "bit-rnn"), (1, 2, 4, 16)))
QUICK = settings(max_examples=4, suppress_health_check=list(HealthCheck))
FULL = settings(max_examples=250, suppress_health_check=list(HealthCheck))
EVERY_LAYER = {
    "linear": linear_layers(),
    "wide": linear_layers(Scope((14, 16), (48, 62), narrowed_products=False)),
    "lstm": lstm_layers(),
    "bidirectional": bidirectional_layers(),
}


def sequences(made: Model, seed: int = 5) -> list[Integers]:
    """Tokens or raws of several lengths."""
    words, form = Words(seed), made.input_format
    if isinstance(made.layers[0], Embedding):
        return [words.integers(0, made.layers[0].table.shape[0] - 1, (steps, 1)) for steps in LENGTHS]
    assert form is not None
    return [words.raws(form, (steps, input_width(made))) for steps in LENGTHS]


def check(made: Model, seed: int = 5) -> None:
    """Compare the C reference with the specification, in a folder of its own."""
    with TemporaryDirectory() as folder:
        assert_equal(made, sequences(made, seed), Path(folder))


def check_layer(layer: Any, seed: int) -> None:
    """The same for a layer alone, unless the project or the generator refuses it."""
    made = Model("alone", (layer,))
    try:
        write_c(made, NAME)
        made.run(sequences(made)[0][:, None])
    except FixedsimError:
        assume(False)
    check(made, seed)


@needs_compiler
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    "description", [LANGUAGE, pytest.param(SPEECH, marks=pytest.mark.slow)], ids=lambda each: each.name
)
def test_profiles(description: Description, profile: str) -> None:
    """A streaming and a bidirectional network, by every shipped profile."""
    check(model(description, profile=profile, ranges=(RANGES if description is SPEECH else {}) | PROFILES[profile]))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(("profile", "bits"), WIDTHS)
@pytest.mark.parametrize("description", [LANGUAGE, SPEECH], ids=lambda each: each.name)
def test_widths(description: Description, profile: str, bits: int) -> None:
    """From one bit to sixteen."""
    check(model(description, profile=profile, weight_bits=bits, activation_bits=bits))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("profile", ["litert", "cmsis-nn", "cmsis-nn-s16"])
def test_sixteen_bit_activations(profile: str) -> None:
    """Linear layers of 16-bit activations: accumulators of 64 bits, two limbs or IEEE arithmetic behind them."""
    layers = LinearLayer("first", 6, 5, "relu"), LinearLayer("out", 5, 3)
    ranges = RANGES | {"first.output": (0.0, 4.0), "out.output": (-4.0, 4.0)}
    check(model(Description("wide", layers), profile=profile, activation_bits=16, ranges=ranges))


@needs_compiler
@pytest.mark.parametrize("bidirectional", [False, True])
def test_last_output(bidirectional: bool) -> None:
    """Only the last output of an LSTM goes on; a model that streams gives it at every step."""
    last = LstmLayer("low", 5, 4, bidirectional=bidirectional, steps="last")
    layers = EmbeddingLayer("words", 11, 5), last, LinearLayer("out", last.output_width, 3)
    check(model(Description("last", layers)))


@needs_compiler
@pytest.mark.parametrize(
    "features",
    [
        {"projection": 2, "peephole": True, "initial": True},
        {"coupled": True, "clip": 0.5, "cell_clip": 2.0},
        {"reverse": True, "initial": True, "gate": "hard_sigmoid_fifth"},
        {"reverse": True, "steps": "last"},
    ],
)
def test_what_an_lstm_may_have(features: dict[str, Any]) -> None:
    """Projections, peepholes, coupled gates, clips, initial states of each unit, time backwards."""
    low = LstmLayer("low", 5, 4, **features)
    layers = EmbeddingLayer("words", 11, 5), low, LinearLayer("out", low.output_width, 3)
    check(model(Description("features", layers), ranges={"low.*": (-2.0, 2.0)}))


@needs_compiler
@pytest.mark.parametrize("kind", EVERY_LAYER)
@given(data=st.data(), seed=SEEDS)
@QUICK
def test_random_layers(kind: str, data: st.DataObject, seed: int) -> None:
    """Layers of which every cast, accumulator and function is drawn."""
    check_layer(data.draw(EVERY_LAYER[kind]), seed)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY_LAYER)
@given(data=st.data(), seed=SEEDS)
@FULL
def test_many_random_layers(kind: str, data: st.DataObject, seed: int) -> None:
    """The same, longer."""
    check_layer(data.draw(EVERY_LAYER[kind]), seed)


@needs_compiler
@pytest.mark.slow
@given(layer=embedding_layers(), seed=SEEDS)
@settings(FULL, max_examples=100)
def test_random_embeddings(layer: Embedding, seed: int) -> None:
    """Tables of which every constant is drawn."""
    check(Model("alone", (layer,)), seed)


@needs_compiler
@pytest.mark.slow
@given(made=models(), seed=SEEDS)
@FULL
def test_random_models(made: Model, seed: int) -> None:
    """Networks of several layers quantized by drawn profiles."""
    check(made, seed)


@needs_compiler
@given(layer=lstm_layers(), data=st.data(), seed=SEEDS)
@QUICK
def test_projections(layer: Lstm, data: st.DataObject, seed: int) -> None:
    """A projection between the hidden output and the recurrence."""
    form, units = layer.datapath.hidden.format, layer.units
    weight = Words(seed).integers(-2, 1, (units, units))
    projection = Linear.from_raws("lstm.projection", weight, None, identity(form, Format.integer(2), form))
    check_layer(replace(layer, projection=projection), seed)


def identity(read: Format, weight: Format, written: Format, **changes: Any) -> LinearDatapath:
    """A fully connected layer that saturates its sums to the output."""
    whole = Narrowing(Format.integer(40))
    path = LinearDatapath(
        read,
        weight,
        Format.integer(8),
        Accumulator(40),
        BiasStage.FIRST,
        whole,
        whole,
        PiecewiseLinear(Format.integer(40)),
        Narrowing(written),
    )
    return replace(path, **changes)


FORMATS = (
    Format.integer(8),
    Format.integer(8, signed=False),
    replace(Format.integer(8, narrow=True), zero_point=-3),
    replace(Format.integer(7), zero_point=70),
    Format.integer(1),
    Format.integer(40),
    Format.integer(63),
    Format.integer(64),
    Format.odd(4),
)
SCALES = ((1, 0), (1, 5), (1, -2), (3, 1), ((1 << 31) - 1, 33), ((1 << 32) - 1, 62), (1 << 30, 31), ((1 << 31) + 1, 20))
PRIMITIVES = (None, None, *Primitive)


def stages() -> list[Narrowing]:
    """Narrowings of every rounding, overflow, form and primitive; impossible ones left out."""
    found = []
    grid = product(Rounding, Overflow, Form, FORMATS, SCALES, PRIMITIVES[1:], (0, 2))
    for rounding, overflow, form, target, (multiplier, shift), primitive, count in grid:
        saturated = count if overflow in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE) else 0
        if saturated != count:
            continue
        extra = {"guard_bits": 1} if primitive is Primitive.VHDL_RESIZE else {}
        try:
            found.append(Narrowing(target, rounding, overflow, shift, multiplier, form, primitive, saturated, **extra))
        except FormatError:
            continue
    return found


def corners(stage: Narrowing, words: Words, *, wide: bool) -> list[int]:
    """Values about the ends, zero and ties of a narrowing; with ``wide`` about the ends of 64 bits too."""
    form, room = stage.format, 1 << (63 if wide else 30)
    raws = (form.raw_min - 1, form.raw_min, form.zero_point, form.raw_max, form.raw_max + 1, 2 * form.raw_max)
    halves = [2 * (raw - form.zero_point) + half for raw in raws for half in (0, 1)]
    moved = [(half << 62) >> (63 - stage.shift) if stage.shift <= 63 else half for half in halves]
    values = [value // stage.multiplier + beside for value in moved for beside in (-1, 0, 1)]
    values += words.integers(-(1 << 30), 1 << 30, (8,)).tolist()
    values += [room - 1, -room, room - 2, room // 3, -room // 7] if wide else []
    return [min(max(value, -room), room - 1) for value in values]


def check_stages(chosen: list[Narrowing], folder: Path) -> int:
    """Compare narrowings, each with and without values of 64 bits; return how many the generator refuses."""
    expressions, values, wanted, refused, words = [], [], [], 0, Words(3)
    for stage, wide in product(chosen, (False, True)):
        given = corners(stage, words, wide=wide)
        try:
            expressions.append(narrow("value", Span(min(given), max(given)), stage, "stage"))
        except ModelError:
            refused += 1
            continue
        values.append(given)
        wanted.append([specified(value, stage) for value in given])
    found = evaluate(Source(NAME), expressions, values, folder)
    for expression, given, got, expected in zip(expressions, values, found, wanted, strict=True):
        assert got == expected, (expression, given)
    assert expressions
    return refused


@needs_compiler
def test_narrowings(tmp_path: Path) -> None:
    """A share of every rounding, overflow, form and primitive, at values of one and of two limbs."""
    every = stages()
    chosen = [every[place] for place in Words(7).integers(0, len(every) - 1, (300,)).tolist()]
    assert check_stages(chosen, tmp_path) < len(chosen)


@needs_compiler
@pytest.mark.slow
def test_every_narrowing(tmp_path: Path) -> None:
    """All of them."""
    every = stages()
    for first in range(0, len(every), 2000):
        check_stages(every[first : first + 2000], tmp_path)


def check_functions(raws: list[int], folder: Path) -> None:
    source, expressions, wanted = Source(NAME), [], []
    read = Span(-(1 << 15), (1 << 15) - 1)
    for function in Function:
        low, high = ARGUMENTS[function]
        for argument in range(low, high + 1):
            chosen = FixedFunction(Format.integer(16), function, argument)
            expressions.append(activate("value", read, chosen, source, "function"))
            wanted.append([FUNCTIONS[function](raw, argument) for raw in raws])
    found = evaluate(source, expressions, [raws] * len(expressions), folder)
    for expression, got, expected in zip(expressions, found, wanted, strict=True):
        assert got == expected, expression


@needs_compiler
def test_functions(tmp_path: Path) -> None:
    """Registered functions with every argument, at a share of their raws and at the ends."""
    check_functions([*range(-(1 << 15), 1 << 15, 229), -1, 0, 1, (1 << 15) - 1], tmp_path)


@needs_compiler
@pytest.mark.slow
def test_functions_everywhere(tmp_path: Path) -> None:
    """The same at all 65536 raws."""
    check_functions(list(range(-(1 << 15), 1 << 15)), tmp_path)


def plain(name: str, columns: int = 1, **changes: Any) -> Linear:
    """A fully connected layer of one row of ones."""
    path = identity(Format.integer(8), Format.integer(8), Format.integer(8), **changes)
    return Linear.from_raws(name, np.ones((1, columns), dtype=np.int64), None, path)


def test_bytes_repeat() -> None:
    """The same model gives the same bytes, in lines of at most 120 characters."""
    made = model(LANGUAGE)
    assert write_c(made, NAME) == write_c(model(LANGUAGE), NAME)
    assert max(len(line) for text in write_c(made, NAME).values() for line in text.splitlines()) <= 120


def test_signals_are_named() -> None:
    """The enum names every signal of the model, dots as underscores, in the model's order."""
    made = model(LANGUAGE)
    header = write_c(made, "net")["net.h"]
    members = [line.strip(" ,") for line in header.splitlines() if line.startswith("    net_signal_")]
    assert members == [f"net_signal_{name.replace('.', '_')}" for name in made.signals]


@pytest.mark.parametrize("name", ["", "int", "2nd", "a-b", "_x"])
def test_names_that_are_refused(name: str) -> None:
    """A name of the generated functions must be one in C."""
    with pytest.raises(ModelError, match=r"name must be a C identifier that starts with a letter, not '.*'"):
        write_c(model(LANGUAGE), name)


def test_layers_in_floating_point_are_refused() -> None:
    """A layer left in float64 has no integers."""
    from fixedsim.quantization import quantize

    made = quantize(network(LANGUAGE), keep_float=["high"])
    with pytest.raises(ModelError, match=r"high must be a layer of integers, not one left in float64"):
        write_c(made, NAME)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([plain("fc", 0)], r"inputs of fc must be at least 1, not 0"),
        ([plain("a.b"), plain("a_b")], r"names of layers must differ in their letters, digits and underscores, not .*"),
        ([plain("fc", 4, accumulator=Accumulator(64, Overflow.SATURATE))], None),
        (
            [plain("fc", output=Narrowing(Format.integer(64, signed=False)))],
            r"fc.output must fit 64 bits, not 0..18446744073709551615",
        ),
        (
            [plain("fc", sum=Narrowing(Format.integer(8), primitive=Primitive.REPAIR_SIGN, shift=-60))],
            r"fc.sum must be at most 2\*\*62 before its rounding, not \d+",
        ),
        (
            [plain("fc", sum=Narrowing(Format.integer(8), primitive=Primitive.FLOAT32, shift=130))],
            r"scale of fc.sum must be at least 2\*\*-126, not 1 / 2\*\*130",
        ),
    ],
)
def test_constructs_that_are_refused(layers: list[Linear], message: str | None) -> None:
    """What the arithmetic in C does not hold is named with its layer; what is proven to fit is not refused."""
    made = Model("refused", tuple(layers))
    if message is None:
        write_c(made, NAME)
        return
    with pytest.raises(ModelError, match=message):
        write_c(made, NAME)
