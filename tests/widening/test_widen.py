"""Wider networks compute the same function, state included; wrong factors are refused."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixedsim
from fixedsim.errors import FixedsimError
from fixedsim.network import BitRnnRule, Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer, Network, preset
from fixedsim.widening import Widened, widen, widened_description

FACTORS = st.sampled_from([1.0, 1.25, 1.1, 4 / 3, 1.5, 2.0, 2.7, 3.0])


def random_network(description: Description, seed: int) -> Network:
    rng = np.random.default_rng(seed)
    return Network(description, {name: rng.normal(size=shape) for name, shape in description.tensors().items()})


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """An embedding or an input, then one to three layers of any kind, then a last one."""
    size = st.integers(1, 5)
    layers: list[Layer] = []
    if draw(st.booleans()):
        layers.append(EmbeddingLayer("embedding", draw(size), draw(size)))
    for index in range(draw(st.integers(1, 3))):
        inputs = layers[-1].output_width if layers else draw(size)
        if draw(st.booleans()):
            both, bias = draw(st.booleans()), draw(st.booleans())
            forget = draw(st.sampled_from([0.0, 1.0]))
            more: dict[str, Any] = {
                key: True for key in ("peephole", "coupled", "initial") if draw(st.integers(0, 3)) == 0
            }
            more |= {"projection": draw(size)} if draw(st.integers(0, 2)) == 0 else {}
            more |= {"clip": 2.5} if draw(st.integers(0, 3)) == 0 else {"reverse": not both and draw(st.booleans())}
            layers.append(
                LstmLayer(f"lstm{index}", inputs, draw(size), bidirectional=both, bias=bias, forget_bias=forget, **more)
            )
        else:
            layers.append(LinearLayer(f"fc{index}", inputs, draw(size), draw(st.sampled_from(["relu", "tanh"]))))
    last = LinearLayer("last", layers[-1].output_width, draw(size), bias=draw(st.booleans()))
    return Description("net", (*layers, last), initial_state=draw(st.sampled_from(["zero", "half"])))


def inputs_of(description: Description, steps: int, seed: int) -> Any:
    rng, first = np.random.default_rng(seed), description.layers[0]
    if isinstance(first, EmbeddingLayer):
        return rng.integers(0, first.vocabulary, size=(steps, 2))
    return rng.normal(size=(steps, 2, first.inputs))


def wide_and_narrow(network: Network, data: st.DataObject) -> Widened:
    factors = {layer.name: data.draw(FACTORS, layer.name) for layer in network.description.layers[:-1]}
    return widen(network, factors)


@given(descriptions(), st.data(), st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_the_function_stays_the_same_from_any_state(description: Description, data: st.DataObject, seed: int) -> None:
    narrow = random_network(description, seed)
    wide = wide_and_narrow(narrow, data)
    inputs = inputs_of(description, 4, seed)
    rng = np.random.default_rng(seed)
    state = {
        direction: (rng.normal(size=(2, layer.hidden_width)), rng.normal(size=(2, layer.units)))
        for layer in description.lstm_layers
        for direction in layer.directions
    }
    for start in ({}, state):
        wanted = narrow.forward(inputs, state=start)
        found = wide.network.forward(inputs, state=wide.state(start))
        np.testing.assert_allclose(found.output, wanted.output, rtol=1e-9, atol=1e-12)
        for name, pair in wide.state(wanted.state).items():
            for expected, value in zip(pair, found.state[name], strict=True):
                np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


@given(descriptions(), st.data())
@settings(max_examples=30, deadline=None)
def test_widths_are_the_nearest_integers_and_inputs_follow(description: Description, data: st.DataObject) -> None:
    factors = {layer.name: data.draw(FACTORS, layer.name) for layer in description.layers[:-1]}
    wide = widened_description(description, factors)
    for before, after in zip(description.layers[:-1], wide.layers[:-1], strict=True):
        exact = Fraction(factors[before.name]) * before.output_width
        assert isinstance(before, LstmLayer) or abs(after.output_width - exact) <= Fraction(1, 2)
    assert wide.output_width == description.output_width
    weights = widen(random_network(description, 0), factors).network.weights
    assert {name: tensor.shape for name, tensor in weights.items()} == wide.tensors()


def test_a_half_is_rounded_up() -> None:
    description = Description("net", (LinearLayer("a", 3, 2), LinearLayer("b", 2, 3)))
    assert widened_description(description, {"a": 1.25}).layers[0].output_width == 3  # 2.5
    assert widened_description(description, {"a": 1.2}).layers[0].output_width == 2


@pytest.mark.parametrize(("factor", "total", "growth"), [(1.25, 129_555_485, 5.56), (1.5, 136_902_685, 11.55)])
def test_layers_1_2_and_5_of_deep_speech(factor: float, total: int, growth: float) -> None:
    wide = widened_description(preset("deep-speech"), {"fc[125]": factor})
    n = int(2048 * factor)
    lstm = 2 * (4 * 2048 * (4096 + 2048) + 4 * 2048)
    by_hand = 495 * n + (n + 1) * n + (n + 1) * 4096 + lstm + (4096 + 1) * n + (n + 1) * 29
    assert sum(wide.parameters().values()) == by_hand == total
    assert round(100 * (total / 122_732_573 - 1), 2) == growth


def test_noise_moves_only_the_rows_of_added_units_and_is_seeded() -> None:
    layers = (EmbeddingLayer("e", 6, 2), LstmLayer("l", 2, 3), LinearLayer("out", 3, 2))
    narrow = random_network(Description("net", layers), 1)
    plain, noisy, again, other = (
        widen(narrow, {"e": 2, "l": 5 / 3}, noise=noise, seed=seed).network.weights
        for noise, seed in ((0.0, 0), (0.5, 7), (0.5, 7), (0.5, 8))
    )
    lstm_rows = np.tile(np.arange(5) >= 3, 4)
    for name, moved in (
        ("e.weight", np.broadcast_to(np.arange(4) >= 2, (6, 4))),
        ("l.input.weight", np.broadcast_to(lstm_rows[:, None], (20, 4))),
        ("l.recurrent.weight", np.broadcast_to(lstm_rows[:, None], (20, 5))),
        ("out.weight", np.zeros((2, 5), dtype=bool)),
    ):
        assert np.array_equal(noisy[name] != plain[name], moved)
        size = 0.5 * math.sqrt(float(np.mean(plain[name] ** 2)))
        assert np.abs(noisy[name] - plain[name]).max() <= size
        assert np.array_equal(noisy[name], again[name])
        assert np.array_equal(noisy[name], other[name]) == (not moved.any())


def test_weights_keep_their_dtype() -> None:
    description = Description("net", (LinearLayer("a", 3, 2), LinearLayer("b", 2, 3)))
    weights = {name: np.ones(shape, dtype=np.float32) for name, shape in description.tensors().items()}
    wide = widen(Network(description, weights), {"a": 1.5}, noise=0.1).network
    assert {tensor.dtype for tensor in wide.weights.values()} == {np.dtype(np.float32)}


def test_the_integer_model_of_a_wider_network_runs() -> None:
    description = Description(
        "net", (EmbeddingLayer("e", 6, 3), LstmLayer("l", 3, 3, bidirectional=True), LinearLayer("out", 6, 6))
    )
    wide = widen(random_network(description, 3), {"l": 1.4, "e": 2}).network
    model = fixedsim.quantize(wide, weight_bits=8, activation_bits=8)
    raw = model.run(np.arange(6)).raw
    assert raw is not None
    assert raw.shape == (6, 6)
    specified = model.run(np.arange(6), engine="spec").raw
    assert specified is not None
    assert np.array_equal(raw, specified)


TWO = Description("net", (LinearLayer("fc1", 3, 2), LinearLayer("fc2", 2, 2), LinearLayer("last", 2, 3)))


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"fc9": 1.5}, "widen pattern must match a name, not 'fc9'; did you mean 'fc2'?"),
        ({"fc1": 0.9}, "factor of 'fc1' must be at least 1 and finite, not 0.9"),
        ({"fc1": math.nan}, "factor of 'fc1' must be at least 1 and finite, not nan"),
        (
            {"last": 2.0},
            "widen pattern must name a layer before the last, not 'last'; the outputs of 'last' are the network's",
        ),
        ({"fc*": 1.5, "fc2": 2.0}, "factor of layer 'fc2' must be one, not both 1.5 and 2.0"),
        ({"fc1": 1e9}, "widened by 1000000000.0: layer 'fc1': outputs must be in 1..16777216, not 2000000000"),
    ],
)
def test_wrong_factors_are_refused(factors: dict[str, float], message: str) -> None:
    with pytest.raises(FixedsimError) as caught:
        widened_description(TWO, factors)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": -1.0}, "noise must be at least 0 and finite, not -1.0"),
        ({"seed": -1}, "seed must be in 0..2**64 - 1"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FixedsimError) as caught:
        widen(random_network(TWO, 0), {"fc1": 1.5}, **options)
    assert str(caught.value).startswith(message)


def test_a_bit_rnn_network_is_refused() -> None:
    layers = (EmbeddingLayer("e", 4, 2), LstmLayer("l", 2, 2), LinearLayer("out", 2, 4))
    network = random_network(Description("bits", layers, bit_rnn=BitRnnRule(4, 4)), 0)
    with pytest.raises(
        FixedsimError, match="must be in floating point to be widened, not 'bits' with its Bit-RNN rule"
    ):
        widen(network, {"l": 2})


def test_states_of_another_network_are_refused() -> None:
    description = Description("net", (LstmLayer("l", 2, 3), LinearLayer("out", 3, 1)))
    wide = widen(random_network(description, 0), {"l": 2})
    with pytest.raises(FixedsimError, match=r"state 'l' must have shape \(N, 3\), not \(1, 6\)"):
        wide.state({"l": (np.zeros((1, 6)), np.zeros((1, 6)))})
    with pytest.raises(FixedsimError, match="state 'x' must be of one of l, not of another layer"):
        wide.state({"x": (np.zeros((1, 3)), np.zeros((1, 3)))})
