"""The character models that ship: their text, their recorded log-probabilities and the perplexities in the docs."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fixedsim
from fixedsim.evaluation import evaluate, log_probabilities, read_tokens, read_vocabulary
from fixedsim.importers import load_network
from fixedsim.network import Network
from fixedsim.quantization import quantize

PROJECT = Path(__file__).resolve().parents[2]
DATA = Path(fixedsim.__file__).parent / "data" / "char_lm"
# Of eval.txt, in docs/studies/char_lm.md, from a program that shares nothing with the library.
BITS_AND_PERPLEXITY = {"fp32": (2.3907, 5.2441), "w4a4": (2.5741, 5.9549), "w2a2": (2.6907, 6.4564)}


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((PROJECT / "tests" / "data" / "char_lm_check.json").read_text("utf-8"))
    return recorded


@pytest.fixture(scope="module")
def tokens() -> Any:
    return read_tokens(DATA / "eval.txt", read_vocabulary(DATA / "vocab.json"))


def network(name: str) -> Network:
    return load_network(DATA / f"char_lm_{name}.safetensors")


def test_text(tokens: Any, check: dict[str, Any]) -> None:
    assert len(tokens) == 2658
    assert tokens[:101].tolist() == check["symbols"]


def test_figures_are_those_of_the_docs() -> None:
    text = (PROJECT / "docs" / "studies" / "char_lm.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \|(?:[^|]+\|){3} ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    assert {name: (float(bits), float(perplexity)) for name, bits, perplexity in rows} == BITS_AND_PERPLEXITY


@pytest.mark.parametrize("name", BITS_AND_PERPLEXITY)
def test_float_network(name: str, tokens: Any, check: dict[str, Any]) -> None:
    found = log_probabilities(network(name), check["symbols"])
    np.testing.assert_allclose(found, check["log_probabilities"][name], rtol=0, atol=1e-12)
    evaluation = evaluate(network(name), tokens)
    bits, perplexity = BITS_AND_PERPLEXITY[name]
    assert evaluation.predictions == 2657
    assert evaluation.bits_per_token == pytest.approx(bits, abs=5e-5)
    assert evaluation.perplexity == pytest.approx(perplexity, abs=5e-5)


def test_16_bits_come_near_to_the_float_model(tokens: Any, check: dict[str, Any]) -> None:
    model = quantize(network("fp32"), weight_bits=16, activation_bits=16)
    found = log_probabilities(model, check["symbols"])
    np.testing.assert_allclose(found, check["log_probabilities"]["fp32"], rtol=0, atol=0.02)  # found: 0.0114
    assert evaluate(model, tokens).perplexity == pytest.approx(5.2441, rel=1e-3)


@pytest.mark.parametrize("name", ["w4a4", "w2a2"])
def test_bit_rnn_in_integers(name: str, tokens: Any, check: dict[str, Any]) -> None:
    model = quantize(network(name), profile="bit-rnn")
    found = log_probabilities(model, check["symbols"])
    np.testing.assert_allclose(found, check["log_probabilities"][name], rtol=0, atol=1e-4)  # found: 1.1e-5
    evaluation = evaluate(model, tokens, reference=network(name))
    assert evaluation.perplexity == pytest.approx(BITS_AND_PERPLEXITY[name][1], rel=1e-3)
    assert evaluation.snr is not None
    assert evaluation.snr["embedding.output"] == float("inf")  # the codes themselves
    assert evaluation.to_dict()["snr"]["embedding.output"] is None
    assert evaluation.snr["decoder.output"] > 40
