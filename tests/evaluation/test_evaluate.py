"""Perplexity of small models against an independent computation, and what an evaluation says besides."""

import json
import math
import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

from fixedsim.errors import InputError
from fixedsim.evaluation import evaluate, log_probabilities
from fixedsim.evaluation.signals import decibels
from fixedsim.layers.recorder import OverflowCount
from fixedsim.model import Model
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network
from fixedsim.quantization import quantize
from tests.evaluation.conftest import VOCABULARY, weighted

Tokens = NDArray[np.int64]


def wanted_log_probabilities(logits: NDArray[Any], tokens: Tokens) -> list[float]:
    pairs = zip(logits.tolist(), tokens[1:].tolist(), strict=True)
    return [row[target] - float(logsumexp(row)) for row, target in pairs]


def wanted_perplexity(log_probabilities: list[float]) -> float:
    return math.exp(-math.fsum(log_probabilities) / len(log_probabilities))


def test_model_against_an_independent_computation(model: Model, tokens: Tokens) -> None:
    wanted = wanted_log_probabilities(model.run(tokens[:-1]).real, tokens)
    np.testing.assert_allclose(log_probabilities(model, tokens), wanted, rtol=0, atol=1e-12)
    evaluation = evaluate(model, tokens)
    assert evaluation.predictions == 300
    assert evaluation.perplexity == pytest.approx(wanted_perplexity(wanted), rel=1e-13)
    assert evaluation.bits_per_token == pytest.approx(-math.fsum(wanted) / 300 / math.log(2), rel=1e-13)
    assert evaluation.bit_exact
    assert evaluation.real_layers == ()
    assert evaluation.reference_perplexity is None
    assert evaluation.snr is None
    assert evaluation.seconds > 0


def test_float_network_against_an_independent_computation(network: Network, tokens: Tokens) -> None:
    wanted = wanted_log_probabilities(network.forward(tokens[:-1]).output, tokens)
    np.testing.assert_allclose(log_probabilities(network, tokens, chunk=7), wanted, rtol=0, atol=1e-12)
    evaluation = evaluate(network, tokens)
    assert evaluation.perplexity == pytest.approx(wanted_perplexity(wanted), rel=1e-12)
    assert not evaluation.bit_exact
    assert evaluation.real_layers == ("embedding", "lstm", "decoder")
    assert evaluation.overflows == {}


def test_a_decoder_of_biases_alone_gives_their_softmax() -> None:
    layers = (EmbeddingLayer("embedding", 3, 2), LinearLayer("decoder", 2, 3))
    weights = {"embedding.weight": np.ones((3, 2)), "decoder.weight": np.zeros((3, 2))}
    network = Network(Description("n", layers), {**weights, "decoder.bias": np.log([2.0, 5.0, 1.0])})
    evaluation = evaluate(network, [0, 1, 0, 2])  # predicts 1, 0, 2 with 5/8, 2/8, 1/8
    assert evaluation.perplexity == pytest.approx((8 / 5 * 8 / 2 * 8) ** (1 / 3), rel=1e-14)
    assert evaluation.bits_per_token == pytest.approx((math.log2(8 / 5) + 2 + 3) / 3, rel=1e-14)


def test_logits_of_any_size_stay_exact() -> None:
    layers = (EmbeddingLayer("embedding", 2, 1), LinearLayer("decoder", 1, 2))
    weights = {"embedding.weight": np.ones((2, 1)), "decoder.weight": np.zeros((2, 1))}
    network = Network(Description("n", layers), {**weights, "decoder.bias": np.array([5000.0, -5000.0])})
    assert log_probabilities(network, [0, 0, 1]).tolist() == [0, -10000]
    assert evaluate(network, [0, 1]).perplexity == math.inf
    assert evaluate(network, [0, 1]).to_dict()["perplexity"] is None


@pytest.mark.parametrize("chunk", [1, 2, 3, 37, 129, 300, 10**9])
def test_any_chunk_gives_the_same_bits(model: Model, tokens: Tokens, chunk: int) -> None:
    whole = log_probabilities(model, tokens)
    assert log_probabilities(model, tokens, chunk=chunk).tobytes() == whole.tobytes()
    assert evaluate(model, tokens, chunk=chunk).perplexity == evaluate(model, tokens).perplexity


def test_overflows_are_those_of_the_whole_stream(model: Model, tokens: Tokens) -> None:
    wanted = model.run(tokens[:-1]).overflows
    assert any(count.low or count.high for count in wanted.values())
    assert evaluate(model, tokens, chunk=40).overflows == wanted


def test_reference_and_signals(model: Model, network: Network, tokens: Tokens) -> None:
    evaluation = evaluate(model, tokens, reference=network, snr_tokens=50, chunk=7)
    wanted = wanted_log_probabilities(network.forward(tokens[:-1]).output, tokens)
    assert evaluation.reference_perplexity == pytest.approx(wanted_perplexity(wanted), rel=1e-12)
    assert evaluation.snr is not None
    assert set(evaluation.snr) == set(network.description.signals())
    traced = model.run(tokens[:50], trace="*").trace
    reals = network.forward(tokens[:50], trace=["*"]).trace
    for name in ("embedding.output", "lstm.cell", "lstm.hidden", "lstm.gate.forget", "decoder.output"):
        form = model.signals[name].format
        quantized = [float(form.scale * (raw - form.zero_point)) for raw in traced[name].ravel().tolist()]
        real = reals[name].ravel().tolist()
        power = math.fsum(r * r for r in real)
        noise = math.fsum((r - q) ** 2 for r, q in zip(real, quantized, strict=True))
        assert evaluation.snr[name] == pytest.approx(10 * math.log10(power / noise), abs=1e-9), name


def test_signals_are_compared_on_no_more_tokens_than_there_are(model: Model, network: Network, tokens: Tokens) -> None:
    few = evaluate(model, tokens[:10], reference=network)
    assert few.snr == evaluate(model, tokens[:10], reference=network, snr_tokens=10).snr
    assert few.snr != evaluate(model, tokens[:10], reference=network, snr_tokens=9).snr


@pytest.mark.parametrize(
    ("power", "noise", "wanted"),
    [(100.0, 1.0, 20.0), (1.0, 0.0, math.inf), (0.0, 0.0, math.inf), (0.0, 1.0, -math.inf)],
)
def test_decibels(power: float, noise: float, wanted: float) -> None:
    assert decibels(power, noise) == wanted


def test_layers_left_in_float_are_named(network: Network, tokens: Tokens) -> None:
    evaluation = evaluate(quantize(network, keep_float=["decoder"]), tokens, reference=network)
    assert evaluation.real_layers == ("decoder",)
    assert not evaluation.bit_exact
    assert evaluation.snr is not None
    assert "lstm.hidden" in evaluation.snr
    assert "decoder.output" not in evaluation.snr


def test_plain_values_for_json(model: Model, network: Network, tokens: Tokens) -> None:
    values = evaluate(model, tokens, reference=network).to_dict()
    again = json.loads(json.dumps(values, allow_nan=False))
    assert again == values
    assert again["overflows"]["lstm.hidden"]["values"] == 300 * 7
    assert again["predictions"] == 300
    assert json.loads(json.dumps(evaluate(network, tokens).to_dict(), allow_nan=False))["snr"] is None


def test_progress(model: Model, network: Network, tokens: Tokens) -> None:
    alone: list[tuple[int, int]] = []
    evaluate(model, tokens, chunk=100, progress=lambda done, total: alone.append((done, total)))
    assert alone == [(100, 300), (200, 300), (300, 300)]
    both: list[tuple[int, int]] = []
    evaluate(model, tokens, reference=network, chunk=200, progress=lambda done, total: both.append((done, total)))
    assert both == [(200, 600), (300, 600), (500, 600), (600, 600)]


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        ([3], {}, "tokens must be at least 2, not 1"),
        ([], {}, "tokens must be integers (N,), not float64(0,)"),
        ([[1, 2]], {}, "tokens must be integers (N,), not int64(1, 2)"),
        ([1.0, 2.0], {}, "tokens must be integers (N,), not float64(2,)"),
        ([1, 2, 11, 12], {}, "tokens must be in 0..10, not 11 at position 2; read the text with the vocabulary of the"),
        ([1, -1], {}, "tokens must be in 0..10, not -1 at position 1"),
        ([1, 2], {"chunk": 0}, "chunk must be at least 1 token, not 0"),
    ],
)
def test_what_does_not_fit(model: Model, tokens: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        evaluate(model, tokens, **options)
    with pytest.raises(InputError, match=re.escape(message)):
        log_probabilities(model, tokens, **options)


EMBEDDING = EmbeddingLayer("embedding", 4, 3)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((LstmLayer("lstm", 3, 4),), "first layer of a language model must be an embedding"),
        ((EMBEDDING, LinearLayer("decoder", 3, 5)), "outputs of a language model must be 4, one for each token, not 5"),
        ((EMBEDDING, LstmLayer("lstm", 3, 2, bidirectional=True)), "language model must read forwards"),
        ((EMBEDDING, LstmLayer("lstm", 3, 4, steps="last")), "language model must read forwards"),
    ],
)
def test_what_is_no_language_model(layers: tuple[Any, ...], message: str) -> None:
    network = weighted(Description("n", layers), seed=3)
    for each in (network, quantize(network, ranges={"*": (-1.0, 1.0)})):
        with pytest.raises(InputError, match=message):
            evaluate(each, [0, 1, 2])


def test_references_that_do_not_fit(model: Model, network: Network, tokens: Tokens) -> None:
    other = weighted(Description("n", (EmbeddingLayer("e", 12, 2), LinearLayer("d", 2, 12))), seed=4)
    with pytest.raises(
        InputError, match=f"vocabulary of the reference must be the model's {VOCABULARY} tokens, not 12"
    ):
        evaluate(model, tokens, reference=other)
    with pytest.raises(InputError, match="reference must be given for a model only"):
        evaluate(network, tokens, reference=network)
    with pytest.raises(InputError, match="snr_tokens must be at least 1, not 0"):
        evaluate(model, tokens, reference=network, snr_tokens=0)


def test_counts_of_overflows_stay_those_of_their_type(model: Model, tokens: Tokens) -> None:
    assert all(isinstance(count, OverflowCount) for count in evaluate(model, tokens).overflows.values())
