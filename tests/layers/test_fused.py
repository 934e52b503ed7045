"""Runs without traces, which fused kernels carry out where they can: the same integers and counts as with traces."""

from collections import Counter
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import InputError, ModelError
from fixedsim.formats import Format
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Matrix, smallest
from fixedsim.layers.recorder import Recorder
from fixedsim.model import Model
from fixedsim.network import Description, LinearLayer, LstmLayer
from fixedsim.profiles.datapath import Check, LstmDatapath, Narrowing
from fixedsim.quantization import quantize
from tests.layers.comparison import require_equal
from tests.model.networks import LANGUAGE, SPEECH, inputs, network
from tests.strategies import LinearCase, Scope, Words, linear_cases

pytestmark = pytest.mark.kernels
GROUP = "layers"
PLAIN = Scope((1, 8), (30, 40), algorithms=False, narrowed_products=False)
PROFILES = (
    "fixed-point",
    "bit-rnn",
    "litert",
    "tflm",
    "cmsis-nn",
    "cmsis-nn-s16",
    "hls4ml",
    "elastic-ai-fixed",
    "elastic-ai-integer",
)


def made(profile: str, bits: int) -> Lstm:
    choices: dict[str, Any] = (
        {"weight_bits": bits, "activation_bits": max(bits, 2)} if profile in ("fixed-point", "bit-rnn") else {}
    )
    description = Description("one", (LstmLayer("lstm", 9, 19),))
    model = quantize(network(description), profile=profile, ranges={"input": (-1.0, 1.0)}, **choices)
    return cast(Lstm, model.layers[0])


LAYERS = {
    f"{profile} {bits}": made(profile, bits)
    for profile in PROFILES
    for bits in ((1, 3, 8, 12) if profile in ("fixed-point", "bit-rnn") else (8,))
}


def traced(layer: Linear | Lstm) -> Recorder:
    return Recorder(frozenset(signal.name for signal in layer.signals()))


def check_linear(layer: Linear, raws: Any) -> None:
    plain, full = Recorder(), traced(layer)
    require_equal(layer.run(smallest(raws), plain), layer.run(raws, full), "output", GROUP)
    assert plain.counts == full.counts


def check_lstm(layer: Lstm, raws: Any, **course: Any) -> None:
    plain, full = Recorder(), traced(layer)
    output, state = layer.run(smallest(raws), plain, **course)
    wanted, wanted_state = layer.run(raws, full, **course)
    require_equal(output, wanted, "output", GROUP)
    for part, given_raws, wanted_raws in zip(("hidden", "cell"), state, wanted_state, strict=True):
        require_equal(given_raws, wanted_raws, part, GROUP)
    assert plain.counts == full.counts


def test_random_linear_layers() -> None:
    fused: Counter[bool] = Counter()

    @settings(max_examples=80)
    @given(linear_cases(PLAIN))
    def check(case: LinearCase) -> None:
        check_linear(case.layer, case.inputs)
        fused[case.layer.fused is not None] += 1

    check()
    assert fused[True] >= 10, fused


@st.composite
def changed(draw: st.DrawFn, stage: Narrowing, wider: int = 0) -> Narrowing:
    """The stage with another rounding, overflow and shift, and a format that overflows more often."""
    mode = draw(
        st.sampled_from([Overflow.SATURATE, Overflow.WRAP, Overflow.SATURATE_SYMMETRIC, Overflow.SATURATE_ZERO])
    )
    form = stage.format
    bits = draw(st.integers(max(2, form.bits - 3), form.bits + wider))
    zero_point = 0 if mode is Overflow.WRAP else draw(st.integers(-2, 2))
    scaled = Format.integer(bits)
    made = replace(scaled, scale=form.scale, zero_point=zero_point)
    multiplier = draw(st.sampled_from([1, 1, 3]))
    shift = stage.shift + draw(st.integers(-1, 2)) if stage.multiplier == 1 else stage.shift
    rounding = draw(st.sampled_from(Rounding))
    multiplier = multiplier if stage.multiplier == 1 else stage.multiplier
    return replace(stage, format=made, rounding=rounding, overflow=mode, shift=shift, multiplier=multiplier)


@st.composite
def lstms(draw: st.DrawFn) -> Lstm:
    """An LSTM of a shipped profile whose stages are changed."""
    layer = LAYERS[draw(st.sampled_from(sorted(LAYERS)))]
    path = layer.datapath
    gates: Any = tuple(
        replace(gate, preactivation=draw(changed(gate.preactivation))) if gate and draw(st.booleans()) else gate
        for gate in path.gates
    )
    accumulator = path.accumulator
    if draw(st.booleans()):
        overflow, check = draw(st.sampled_from([(Overflow.WRAP, Check.STEP), (Overflow.SATURATE, Check.END)]))
        accumulator = replace(accumulator, bits=draw(st.integers(14, 40)), overflow=overflow, check=check)
    names = draw(st.sets(st.sampled_from(["forget_product", "input_product", "cell_input"])))
    cell: dict[str, Any] = {
        name: draw(changed(getattr(path, name), 0 if name == "cell_input" else 2)) for name in sorted(names)
    }
    if draw(st.booleans()):
        coupled = draw(st.integers(0, 200))
        layer = coupled_layer(layer)
        gates = (None, *gates[1:])
        cell["coupled"] = coupled
    for name in ("input_rescale", "hidden_rescale"):
        if getattr(path, name) is not None:
            stage = getattr(path, name)
            cell[name] = replace(
                stage, shift=stage.shift - draw(st.integers(0, 3)), rounding=draw(st.sampled_from(Rounding))
            )
    cell["folded_zero_point"] = path.folded_zero_point and draw(st.booleans())
    made = replace(path, gates=gates, accumulator=accumulator, joint=draw(st.booleans()), **cell)
    try:
        return replace(layer, datapath=made)
    except ModelError:  # an accumulator too narrow for the bias
        reject()


def coupled_layer(layer: Lstm) -> Lstm:
    """The rows of the other three gates."""
    rows = slice(layer.units, None)

    def cut(matrix: Matrix) -> Matrix:
        return Matrix(*(getattr(matrix, each.name)[rows] for each in fields(matrix)))

    bias = replace(layer.bias, raw=layer.bias.raw[rows], shift=layer.bias.shift[rows])
    path = replace(layer.datapath, gates=(None, *layer.datapath.gates[1:]), coupled=0)
    return replace(
        layer,
        input_matrix=cut(layer.input_matrix),
        recurrent_matrix=cut(layer.recurrent_matrix),
        bias=bias,
        datapath=path,
    )


def test_changed_lstms() -> None:
    fused: Counter[bool] = Counter()

    @settings(max_examples=60)
    @given(lstms(), st.integers(0, 2**32))
    def check(layer: Lstm, seed: int) -> None:
        words = Words(seed)
        raws = words.raws(layer.input_format, (5, 3, layer.input_matrix.inputs))
        reset = words.integers(0, 3, (5, 3)) == 0
        check_lstm(layer, raws, lengths=np.array([5, 0, 3]), reset=reset)
        fused[layer.fused is not None] += 1

    check()
    assert fused[True] >= 30, fused


@pytest.mark.parametrize("profile", PROFILES)
def test_shipped_profiles(profile: str) -> None:
    """Every LSTM of these profiles is fused."""
    layer = LAYERS[f"{profile} 8"]
    assert layer.fused is not None
    words = Words(3)
    check_lstm(layer, words.raws(layer.input_format, (6, 5, layer.input_matrix.inputs)))


CHOICES: list[dict[str, Any]] = [
    {"weight_bits": 4, "activation_bits": 6},
    {"profile": "elastic-ai-integer", "ranges": {"out.output": (-4.0, 4.0)}},  # inputs and hidden states rescaled
    {"profile": "hls4ml"},  # accumulators that step
]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("choices", CHOICES)
def test_stream(choices: dict[str, Any], batch: int) -> None:
    model = quantize(network(LANGUAGE), **choices)
    given_tokens = inputs(model, 7, batch)
    stream = model.stream(batch)
    for _ in range(2):
        steps = np.stack([stream.step(tokens) for tokens in given_tokens])
        expected = model.run(given_tokens)
        assert expected.raw is not None
        require_equal(steps, expected.raw, "output", GROUP)
        assert set(stream.state) == set(expected.state)
        for name, (hidden, cell) in stream.state.items():
            require_equal(hidden, expected.state[name][0], f"{name}.hidden", GROUP)
            require_equal(cell, expected.state[name][1], f"{name}.cell", GROUP)
        stream.reset()


def louder(model: Model) -> Model:
    """The model with hidden states, and vectors that are rescaled, 64 times as large: many of them overflow."""

    def scaled(stage: Narrowing | None) -> Narrowing | None:
        return None if stage is None else replace(stage, shift=stage.shift - 6)

    def changed(path: LstmDatapath) -> LstmDatapath:
        stages: dict[str, Any] = {
            name: scaled(getattr(path, name)) for name in ("hidden", "input_rescale", "hidden_rescale")
        }
        return replace(path, **stages)

    layers = [
        replace(layer, datapath=changed(layer.datapath)) if isinstance(layer, Lstm) else layer for layer in model.layers
    ]
    return Model("louder", tuple(layers))


@pytest.mark.parametrize("choices", CHOICES)
def test_tokens(choices: dict[str, Any]) -> None:
    """An embedding that is read from a table of sums, or is not, changes no raw and no count."""
    model = louder(quantize(network(LANGUAGE), **choices))
    given_tokens = inputs(model, 9, 4)
    for _ in range(2):
        plain, traced_run = model.run(given_tokens), model.run(given_tokens, trace="*")
        assert plain.raw is not None
        require_equal(plain.raw, cast(Any, traced_run.raw), "output", GROUP)
        assert plain.overflows == traced_run.overflows
        assert any(count.low or count.high for count in plain.overflows.values())


def test_stream_refuses() -> None:
    model = quantize(network(LANGUAGE), weight_bits=4, activation_bits=6)
    with pytest.raises(InputError, match=r"inputs of a step must be \(2,\), not of shape \(3,\)"):
        model.stream(2).step(np.zeros(3, dtype=int))
    with pytest.raises(InputError, match="batch must be at least 1, not 0"):
        model.stream(0)
    speech = quantize(network(SPEECH), ranges={"input": (-1.0, 1.0)})
    with pytest.raises(ModelError, match="both must be an integer layer that reads forwards"):
        speech.stream()
    with pytest.raises(ModelError, match="low must give an output for each step"):
        Model("last", model.layers[:2], last=frozenset({"low"})).stream()


@pytest.mark.parametrize("zero_point", [-128, -7, 100, 127])
@pytest.mark.parametrize("folded", [True, False])
def test_inputs_with_zero_points(zero_point: int, folded: bool) -> None:
    """Bytes less a zero point need nine bits."""
    layer = made("litert", 8)
    form = replace(layer.datapath.input, zero_point=zero_point)
    layer = replace(layer, datapath=replace(layer.datapath, input=form, folded_zero_point=folded))
    raws = Words(zero_point + 200).raws(form, (4, 18, layer.input_matrix.inputs))
    assert layer.fused is not None
    check_lstm(layer, raws)
    fc = quantize(network(Description("fc", (LinearLayer("fc", 9, 21),))), ranges={"input": (-1.0, 1.0)}).layers[0]
    assert isinstance(fc, Linear)
    form = replace(fc.datapath.input, zero_point=zero_point)
    fc = replace(fc, datapath=replace(fc.datapath, input=form, folded_zero_point=folded))
    assert fc.fused is not None
    check_linear(fc, Words(zero_point + 200).raws(form, (4, 18, 9)))
