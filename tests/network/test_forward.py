"""The float reference against a plain-Python LSTM: shapes, directions, stacks, lengths, resets, pieces of a stream."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.errors import InputError, NetworkError
from fixedsim.network import BitRnnRule, Description, EmbeddingLayer, LinearLayer, LstmLayer, Network
from tests.network.scalar_oracle import dot, lstm_stream

Array = NDArray[Any]
CLOSE = 1e-12


def random_weights(description: Description, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.8, shape) for name, shape in description.tensors().items()}


def network(*layers: Any, seed: int = 1, **more: Any) -> Network:
    description = Description("n", layers, **more)
    return Network(description, random_weights(description, seed))


def oracle_weights(net: Network, name: str) -> dict[str, Any]:
    """What the oracle takes of one direction."""
    layer = next(layer for layer in net.description.lstm_layers if name in layer.directions)
    weights: dict[str, Any] = {part: net.weights[f"{name}.{part}.weight"].tolist() for part in ("input", "recurrent")}
    weights |= {"bias": net.weights[f"{name}.bias"].tolist(), "gate": layer.gate}
    weights |= {"coupled": layer.coupled, "clip": layer.clip, "cell_clip": layer.cell_clip}
    if layer.peephole:
        gates = ("forget", "output") if layer.coupled else ("input", "forget", "output")
        weights["peephole"] = {gate: net.weights[f"{name}.peephole.{gate}"].tolist() for gate in gates}
    if layer.projection:
        weights["projection"] = net.weights[f"{name}.projection.weight"].tolist()
    if layer.initial:
        weights["initial"] = tuple(net.weights[f"{name}.initial.{part}"].tolist() for part in ("hidden", "cell"))
    return weights


def oracle_direction(
    net: Network, name: str, x: Array, lengths: Array, reset: Array, *, backward: bool
) -> tuple[dict[str, Array], Array, Array]:
    """Signals (T, N, H) by name, and the last h and c (N, H)."""
    streams = [
        lstm_stream(
            x[:, n].tolist(),
            oracle_weights(net, name),
            length=int(lengths[n]),
            resets=reset[:, n].tolist(),
            backward=backward,
        )
        for n in range(x.shape[1])
    ]
    signals = {key: np.stack([np.array(s[0][key]) for s in streams], axis=1) for key in streams[0][0]}
    return signals, np.array([s[1][0] for s in streams]), np.array([s[1][1] for s in streams])


FEATURES: dict[str, dict[str, Any]] = {
    "projection": {"projection": 2},
    "wide projection": {"projection": 7},
    "peephole": {"peephole": True},
    "coupled": {"coupled": True},
    "clip": {"clip": 0.4},
    "cell_clip": {"cell_clip": 0.3},
    "reverse": {"reverse": True},
    "initial": {"initial": True},
    "hard_sigmoid_fifth": {"gate": "hard_sigmoid_fifth"},
}


def features(names: frozenset[str], *, bidirectional: bool) -> dict[str, Any]:
    """The keys of the features, those of the last in the order of the names where two are the same."""
    chosen = {key: value for name in sorted(names) for key, value in FEATURES[name].items()}
    return {key: value for key, value in chosen.items() if not (bidirectional and key == "reverse")}


@pytest.mark.parametrize("deterministic", [False, True])
@given(
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 99),
    st.booleans(),
    st.frozensets(st.sampled_from(sorted(FEATURES)), max_size=4),
)
def test_lstm_equals_the_scalar_loop(
    deterministic: bool,
    steps: int,
    streams: int,
    inputs: int,
    units: int,
    seed: int,
    bidirectional: bool,
    names: frozenset[str],
) -> None:
    layer = LstmLayer("a", inputs, units, bidirectional, **features(names, bidirectional=bidirectional))
    net = network(layer, seed=seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, streams, inputs))
    lengths = rng.integers(0, steps + 1, streams)
    reset = rng.random((steps, streams)) < 0.3
    result = net.forward(x, lengths=lengths, reset=reset, trace=["*"], deterministic=deterministic)
    ways = ("a.forward", "a.backward") if bidirectional else ("a",)
    hidden = []
    for name in ways:
        backward = name == "a.backward" or layer.reverse
        signals, h, c = oracle_direction(net, name, x, lengths, reset, backward=backward)
        for signal, wanted in signals.items():
            np.testing.assert_allclose(result.trace[f"{name}.{signal}"], wanted, atol=CLOSE, rtol=0)
        np.testing.assert_allclose(result.state[name][0], h, atol=CLOSE, rtol=0)
        np.testing.assert_allclose(result.state[name][1], c, atol=CLOSE, rtol=0)
        hidden.append(signals["projection.output" if layer.projection else "hidden"])
    np.testing.assert_allclose(result.output, np.concatenate(hidden, axis=2), atol=CLOSE, rtol=0)
    assert set(result.trace) == set(net.description.signals())


def test_stack_of_both_directions_and_a_linear_layer() -> None:
    net = network(LstmLayer("a.l0", 3, 2, bidirectional=True), LstmLayer("a.l1", 4, 3), LinearLayer("fc", 3, 2, "relu"))
    x, lengths, reset = np.random.default_rng(5).normal(size=(4, 2, 3)), np.array([4, 2]), np.zeros((4, 2), np.bool_)
    parts = [
        oracle_direction(net, f"a.l0.{side}", x, lengths, reset, backward=side == "backward")[0]["hidden"]
        for side in ("forward", "backward")
    ]
    top, h, _ = oracle_direction(net, "a.l1", np.concatenate(parts, 2), lengths, reset, backward=False)
    weight, bias = net.weights["fc.weight"].tolist(), net.weights["fc.bias"].tolist()
    wanted = np.zeros((4, 2, 2))
    for t, n in ((0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1)):
        wanted[t, n] = [max(dot(weight[j], top["hidden"][t, n].tolist()) + bias[j], 0) for j in range(2)]
    result = net.forward(x, lengths=lengths, trace=["a.l0.output", "fc.*"])
    np.testing.assert_allclose(result.output, wanted, atol=CLOSE, rtol=0)
    np.testing.assert_allclose(result.trace["a.l0.output"], np.concatenate(parts, 2), atol=CLOSE, rtol=0)
    np.testing.assert_allclose(result.state["a.l1"][0], h, atol=CLOSE, rtol=0)
    assert (result.trace["fc.preactivation"][2:, 1] == 0).all()
    assert set(result.trace) == {"a.l0.output", "fc.preactivation", "fc.output"}


def test_pieces_of_a_stream_equal_one_call() -> None:
    net = network(EmbeddingLayer("e", 9, 3), LstmLayer("a", 3, 4), LinearLayer("fc", 4, 9))
    tokens = np.random.default_rng(2).integers(0, 9, 20)
    whole = net.forward(tokens)
    state, pieces = None, []
    for piece in (tokens[:7], tokens[7:8], tokens[8:8], tokens[8:]):
        result = net.forward(piece, state=state)
        state = result.state
        pieces.append(result.output)
    np.testing.assert_allclose(np.concatenate(pieces), whole.output, atol=CLOSE, rtol=0)
    assert state is not None
    np.testing.assert_allclose(state["a"].cell, whole.state["a"].cell, atol=CLOSE, rtol=0)


def test_given_state_is_where_the_run_starts_and_reset_the_initial_one() -> None:
    description = Description("n", (LstmLayer("a", 1, 1),), initial_state="half")
    net = Network(description, random_weights(description, 1))
    x = np.zeros((1, 1, 1))
    fresh = net.forward(x)
    started = net.forward(x, state={"a": (np.full((1, 1), 0.9), np.full((1, 1), 2.0))})
    again = net.forward(x, state={"a": (np.full((1, 1), 0.9), np.full((1, 1), 2.0))}, reset=np.ones((1, 1), np.bool_))
    z = net.weights["a.recurrent.weight"][:, 0] * 0.5 + net.weights["a.bias"]
    i, f, o = 1 / (1 + np.exp(-z[[0, 1, 3]]))
    np.testing.assert_allclose(fresh.output[0, 0, 0], o * np.tanh(f * 0.5 + i * np.tanh(z[2])), atol=CLOSE, rtol=0)
    assert started.output != fresh.output
    assert again.output == fresh.output


def test_last_steps_are_those_that_each_direction_takes_last() -> None:
    every = network(LstmLayer("a", 2, 3, bidirectional=True))
    last = network(LstmLayer("a", 2, 3, bidirectional=True, steps="last"))
    x, lengths = np.random.default_rng(3).normal(size=(5, 2, 2)), np.array([5, 2])
    outputs = every.forward(x, lengths=lengths).output
    wanted = np.stack([np.concatenate([outputs[lengths[n] - 1, n, :3], outputs[0, n, 3:]]) for n in range(2)])
    result = last.forward(x, lengths=lengths, trace=["a.forward.hidden"])
    np.testing.assert_array_equal(result.output, wanted)
    assert result.trace["a.forward.hidden"].shape == (5, 2, 3)


def test_the_last_step_of_a_reverse_layer_is_the_first_of_the_input() -> None:
    every, last = (network(LstmLayer("a", 2, 3, reverse=True, steps=steps)) for steps in ("all", "last"))
    x, lengths = np.random.default_rng(3).normal(size=(5, 2, 2)), np.array([5, 2])
    np.testing.assert_array_equal(last.forward(x, lengths=lengths).output, every.forward(x, lengths=lengths).output[0])


def test_a_reverse_layer_is_the_backward_direction_alone() -> None:
    both = network(LstmLayer("a", 2, 3, bidirectional=True))
    alone = Description("n", (LstmLayer("a", 2, 3, reverse=True),))
    net = Network(alone, {name: both.weights[name.replace("a.", "a.backward.")] for name in alone.tensors()})
    x, lengths = np.random.default_rng(3).normal(size=(5, 2, 2)), np.array([5, 2])
    np.testing.assert_array_equal(
        net.forward(x, lengths=lengths).output, both.forward(x, lengths=lengths).output[:, :, 3:]
    )


def test_states_of_a_projection_have_two_widths() -> None:
    net = network(LstmLayer("a", 2, 3, projection=1))
    x = np.random.default_rng(3).normal(size=(5, 2))
    whole, first = net.forward(x), net.forward(x[:2])
    assert [part.shape for part in first.state["a"]] == [(1, 1), (1, 3)]
    np.testing.assert_allclose(net.forward(x[2:], state=first.state).output, whole.output[2:], atol=CLOSE, rtol=0)
    with pytest.raises(InputError) as caught:
        net.forward(x, state={"a": (np.zeros((1, 3)), np.zeros((1, 3)))})
    assert str(caught.value) == "state of 'a' must be h and c of shapes (1, 1) and (1, 3), not (1, 3)"


def test_a_forget_bias_of_coupled_gates_is_of_the_forget_gate() -> None:
    plain, added = (Description("n", (LstmLayer("a", 2, 3, coupled=True, forget_bias=b),)) for b in (0.0, 1.5))
    weights = random_weights(plain, 4)
    x = np.random.default_rng(0).normal(size=(4, 2))
    more = weights["a.bias"] + np.array([1.5] * 3 + [0.0] * 6)
    np.testing.assert_array_equal(
        Network(added, weights).forward(x).output, Network(plain, {**weights, "a.bias": more}).forward(x).output
    )


def test_an_own_initial_state_stands_before_the_description_s() -> None:
    description = Description("n", (LstmLayer("a", 1, 2, initial=True), LstmLayer("b", 2, 1)), initial_state="half")
    net = Network(description, random_weights(description, 1))
    state = net.forward(np.zeros((0, 1))).state
    np.testing.assert_array_equal(state["a"].hidden, net.weights["a.initial.hidden"][None])
    np.testing.assert_array_equal(state["a"].cell, net.weights["a.initial.cell"][None])
    np.testing.assert_array_equal(state["b"].cell, [[0.5]])


def test_a_linear_layer_after_the_last_step_is_not_cut_by_lengths() -> None:
    net = network(LstmLayer("a", 2, 3, steps="last"), LinearLayer("fc", 3, 4))
    x = np.random.default_rng(3).normal(size=(5, 2, 2))
    result = net.forward(x, lengths=[1, 5])
    alone = net.forward(x[:1, 0])
    assert result.output.shape == (2, 4)
    assert alone.output.shape == (4,)
    np.testing.assert_allclose(result.output[0], alone.output, atol=CLOSE, rtol=0)


def test_ranks_follow_the_inputs() -> None:
    net, real = network(EmbeddingLayer("e", 9, 3)), network(LinearLayer("fc", 3, 2))
    assert net.forward([1, 2]).output.shape == (2, 3)
    assert net.forward([[1], [2]]).output.shape == (2, 1, 3)
    assert real.forward(np.zeros((4, 3))).output.shape == (4, 2)
    assert real.forward(np.zeros((4, 1, 3))).output.shape == (4, 1, 2)


def test_float32_stays_float32_and_near_float64() -> None:
    layers = (EmbeddingLayer("e", 9, 3), LstmLayer("a", 3, 4, forget_bias=1.0), LinearLayer("fc", 4, 9, "sigmoid"))
    tokens = np.arange(9)
    for rule in (None, BitRnnRule(8, 8)):
        net = network(*layers, bit_rnn=rule, initial_state="half")
        single, double = (net.forward(tokens, dtype=dtype, trace=["*"]) for dtype in (np.float32, np.float64))
        assert {array.dtype for array in (single.output, *single.trace.values(), *single.state["a"])} == {
            np.dtype(np.float32)
        }
        np.testing.assert_allclose(single.output, double.output, atol=1e-5, rtol=0)
        assert double.output.dtype == np.float64


def test_forget_bias_and_lack_of_biases() -> None:
    plain = Description("n", (LstmLayer("a", 2, 3, bias=False),))
    with_bias = Description("n", (LstmLayer("a", 2, 3),))
    weights = random_weights(plain, 4)
    x = np.random.default_rng(0).normal(size=(4, 2))
    zero = np.zeros(12)
    forget = np.array([0.0] * 3 + [1.5] * 3 + [0.0] * 6)
    added = Description("n", (LstmLayer("a", 2, 3, forget_bias=1.5),))
    alone = Description("n", (LstmLayer("a", 2, 3, forget_bias=1.5, bias=False),))
    nothing = Network(with_bias, {**weights, "a.bias": zero}).forward(x).output
    something = Network(with_bias, {**weights, "a.bias": forget}).forward(x).output
    np.testing.assert_array_equal(Network(plain, weights).forward(x).output, nothing)
    np.testing.assert_array_equal(Network(alone, weights).forward(x).output, something)
    np.testing.assert_array_equal(Network(added, {**weights, "a.bias": zero}).forward(x).output, something)
    assert (nothing[1:] != something[1:]).all()  # the first step has no cell to forget


@pytest.mark.parametrize(
    ("activation", "x", "wanted"),
    [
        ("identity", [-2.0, 3.0], [-2.0, 3.0]),
        ("relu", [-2.0, 3.0], [0.0, 3.0]),
        ("clipped_relu", [-2.0, 1.5, 3.0], [0.0, 1.5, 2.0]),
        ("hard_tanh", [-2.0, 0.25, 3.0], [-1.0, 0.25, 1.0]),
        ("hard_sigmoid", [-4.0, -1.5, 0.0, 3.0, 9.0], [0.0, 0.25, 0.5, 1.0, 1.0]),
        ("hard_sigmoid_fifth", [-4.0, -1.25, 0.0, 2.5, 9.0], [0.0, 0.25, 0.5, 1.0, 1.0]),
        ("sigmoid", [-1e4, 0.0, float(np.log(3)), 1e4], [0.0, 0.5, 0.75, 1.0]),
        ("tanh", [-1e4, 0.0, float(np.log(2)), 1e4], [-1.0, 0.0, 0.6, 1.0]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_activations(activation: str, x: list[float], wanted: list[float], dtype: Any) -> None:
    clip = 2.0 if activation == "clipped_relu" else None
    net = Network(
        Description("n", (LinearLayer("fc", 1, 1, activation, clip, bias=False),)), {"fc.weight": np.ones((1, 1))}
    )
    output = net.forward(np.array(x)[:, None], dtype=dtype).output[:, 0]
    np.testing.assert_allclose(output, wanted, atol=4 * np.finfo(dtype).eps, rtol=0)


def test_gates_use_the_activations_of_the_description() -> None:
    net = network(LstmLayer("a", 2, 3, gate="hard_sigmoid", candidate="sigmoid", cell_activation="hard_tanh"))
    trace = net.forward(np.random.default_rng(9).normal(0, 3, (5, 2)), trace=["*"]).trace
    for gate in ("input", "forget", "output"):
        z = trace[f"a.gate.{gate}.preactivation"]
        np.testing.assert_allclose(trace[f"a.gate.{gate}"], np.minimum(np.maximum(z / 6 + 0.5, 0), 1), atol=CLOSE)
    z = trace["a.gate.candidate.preactivation"]
    np.testing.assert_allclose(trace["a.gate.candidate"], 1 / (1 + np.exp(-z)), atol=CLOSE)
    np.testing.assert_allclose(trace["a.cell_activation"], np.minimum(np.maximum(trace["a.cell"], -1), 1), atol=CLOSE)


def test_bit_rnn_rule_by_hand() -> None:
    """Two bits: levels 0, 1/3, 2/3, 1 of activations; -1/2, -1/6, 1/6, 1/2 of the scale for weights."""
    description = Description("n", (EmbeddingLayer("e", 3, 2), LinearLayer("fc", 2, 2)), BitRnnRule(2, 2), "half")
    weight = np.arctanh([[0.9, -0.2], [0.05, -0.45]])  # tanh gives mean |v| = 0.4, so the scale is 1
    embedding = np.array([[-1.0, 0.4], [0.5, 0.51], [7.0, 0.1]])  # 0.5 * 3 is a tie, to the even code 2
    net = Network(description, {"e.weight": embedding, "fc.weight": weight, "fc.bias": np.array([0.25, 0.0])})
    result = net.forward([0, 1, 2], trace=["e.output"])
    x = np.array([[0, 1 / 3], [2 / 3, 2 / 3], [1, 0]])
    quantized = np.array([[0.5, -1 / 6], [1 / 6, -0.5]])
    np.testing.assert_allclose(result.trace["e.output"][:, 0], x, atol=CLOSE)
    np.testing.assert_allclose(result.output, x @ quantized.T + [0.25, 0], atol=CLOSE)


def test_bit_rnn_lstm_shares_one_scale_and_rounds_hidden_not_cell() -> None:
    description = Description("n", (LstmLayer("a", 1, 1, bidirectional=True),), BitRnnRule(1, 1), "half")
    weights = random_weights(description, 8)
    weights["a.forward.input.weight"][:] = np.arctanh(0.1)
    weights["a.forward.recurrent.weight"][:] = np.arctanh(0.7)  # mean 0.4: the scale is 1, levels are -1/2 and 1/2
    weights["a.forward.bias"][:] = [3, 3, 3, 3]
    trace = Network(description, weights).forward(np.ones((1, 1)), trace=["a.forward.*"])
    assert trace.trace["a.forward.gate.input.preactivation"].item() == pytest.approx(3.5)
    assert trace.trace["a.forward.hidden"].item() == 1.0  # sigmoid(3.5) * tanh(0.97 * tanh(3.5)) = 0.72
    assert 0.9 < trace.trace["a.forward.cell"].item() < 1.0  # initial h and c are round_1(1/2) = 0, to even


def test_zero_weights_under_the_rule_stay_zero() -> None:
    description = Description("n", (LinearLayer("fc", 2, 1, bias=False),), BitRnnRule(2, 2))
    assert Network(description, {"fc.weight": np.zeros((1, 2))}).forward(np.ones((1, 2))).output.item() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": [0, 9]}, "inputs must be token ids in 0..8, not 9 at [1]"),
        ({"inputs": [[0], [-1]]}, "inputs must be token ids in 0..8, not -1 at [1, 0]"),
        ({"inputs": [0.5]}, "inputs must be integer token ids, not float64"),
        ({"inputs": 3}, "inputs must be token ids of shape (T, N) or (T,), not ()"),
        ({"dtype": np.float16}, "dtype must be float64 or float32, not float16"),
        ({"lengths": [4]}, "lengths must be in 0..3, not 4..4"),
        ({"lengths": [-1]}, "lengths must be in 0..3, not -1..-1"),
        ({"lengths": [1, 2]}, "lengths must be 1 integers, not int64 of shape (2,)"),
        ({"lengths": [1.0]}, "lengths must be 1 integers, not float64 of shape (1,)"),
        ({"reset": np.zeros((3, 2), bool)}, "reset must be bool of shape (3, 1), not bool of shape (3, 2)"),
        ({"reset": np.zeros((3, 1))}, "reset must be bool of shape (3, 1), not float64 of shape (3, 1)"),
        ({"trace": ["a.cel"]}, "trace pattern must match a name, not 'a.cel'; did you mean 'a.cell'?"),
        ({"state": {"b": (0, 0)}}, "state must be of an LSTM of the network, not 'b'; known: a"),
        ({"state": {"a": (np.zeros((1, 4)), np.zeros(4))}}, "state of 'a' must be h and c of shape (1, 4), not (4,)"),
        ({"state": {"a": (np.zeros((1, 4)),)}}, "state of 'a' must be h and c of shape (1, 4), not 1 arrays"),
        ({"state": {"a": (np.full((1, 4), np.nan), np.zeros((1, 4)))}},
         "state of 'a' must be finite real numbers, not float64 with NaN or infinity"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    net = network(EmbeddingLayer("e", 9, 3), LstmLayer("a", 3, 4))
    with pytest.raises(InputError) as caught:
        net.forward(**{"inputs": [0, 1, 2], **arguments})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((2, 4)), "inputs must be of shape (T, N, 3) or (T, 3), not (2, 4)"),
        (np.zeros(3), "inputs must be of shape (T, N, 3) or (T, 3), not (3,)"),
        (np.array([[0, 1, np.inf]]), "inputs must be finite, not inf at [0, 2]"),
        (np.array([["a", "b", "c"]]), "inputs must be real numbers, not <U1"),
    ],
)
def test_bad_features(inputs: Array, message: str) -> None:
    with pytest.raises(InputError) as caught:
        network(LinearLayer("fc", 3, 1)).forward(inputs)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.weight": None}, "tensor 'fc.weight' must be given, not missing"),
        ({"fc.wieght": np.zeros(1)}, "tensor 'fc.wieght' must be one of the network's, not unknown; "
         "did you mean 'fc.weight'?"),
        ({"fc.weight": np.zeros((3, 2))}, "tensor 'fc.weight' must be of shape (2, 3), not (3, 2)"),
        ({"fc.weight": np.zeros((2, 3), np.int32)}, "tensor 'fc.weight' must be float64 or float32, not int32"),
        ({"fc.weight": np.array([[0, 0, np.nan], [0, np.inf, 0]])},
         "tensor 'fc.weight' must be finite, not nan at [0, 2]; 2 of 6 elements are NaN or infinite"),
    ],
)  # fmt: skip
def test_bad_weights(change: dict[str, Array | None], message: str) -> None:
    weights = {"fc.weight": np.zeros((2, 3)), "fc.bias": np.zeros(2), **change}
    with pytest.raises(NetworkError) as caught:
        Network(Description("n", (LinearLayer("fc", 3, 2),)), {k: v for k, v in weights.items() if v is not None})
    assert str(caught.value) == message
