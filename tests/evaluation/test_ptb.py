"""Perplexity per word on Penn Treebank, of models that were trained with another program."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.evaluation import evaluate, log_probabilities, read_tokens, read_vocabulary
from fixedsim.importers import load_network
from fixedsim.network import Network
from fixedsim.quantization import quantize

QUICK_TOKENS = 2001
NETWORKS = ("ptb_lstm300_fp32", "ptb_bitlstm300_w4a4", "ptb_bitlstm300_w2a2")
# network, options of quantize, perplexity of the float program over the test set, how far the model's may be from it
CASES = [
    ("ptb_lstm300_fp32", {"weight_bits": 16, "activation_bits": 16}, 110.2908, 0.001),
    ("ptb_lstm300_fp32", {"weight_bits": 8, "activation_bits": 8}, 110.2908, 0.01),
    ("ptb_lstm300_fp32", {"weight_bits": 4, "activation_bits": 8}, 110.2908, 0.08),
    ("ptb_bitlstm300_w4a4", {"profile": "bit-rnn"}, 138.8935, 0.01),
    ("ptb_bitlstm300_w2a2", {"profile": "bit-rnn"}, 162.95, 0.01),
]
NAMES = ["16/16", "8/8", "4/8", "bit-rnn 4/4", "bit-rnn 2/2"]


@pytest.fixture(scope="module")
def tokens(shared: Path) -> Any:
    vocabulary = read_vocabulary(shared / "weights" / "vocab.txt")
    return read_tokens(shared / "data" / "ptb" / "ptb.test.txt", vocabulary)


@pytest.fixture(scope="module")
def networks(shared: Path) -> dict[str, Network]:
    return {name: load_network(shared / "weights" / f"{name}.safetensors") for name in NETWORKS}


@pytest.fixture(scope="module")
def quick_references(networks: dict[str, Network], tokens: Any) -> dict[str, float]:
    return {name: evaluate(each, tokens[:QUICK_TOKENS]).perplexity for name, each in networks.items()}


def test_size_of_the_test_set(tokens: Any) -> None:
    assert tokens.shape == (82430,)
    assert len(set(tokens.tolist())) <= 10000


@pytest.mark.parametrize("name", NETWORKS)
def test_first_log_probabilities_of_the_float_networks(
    name: str, shared: Path, networks: dict[str, Network], tokens: Any
) -> None:
    lines = (shared / "weights" / f"{name}.check200.tsv").read_text("utf-8").splitlines()
    header = lines[0].lstrip("# ").split(" ;")[0].split("\t")
    rows = list(csv.DictReader(lines[1:], header, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert [int(row["target_id"]) for row in rows] == tokens[1:201].tolist()
    found = log_probabilities(networks[name], tokens[:201])
    wanted = [float(row["logprob_float64"]) for row in rows]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)  # recorded to six decimals


@pytest.mark.parametrize(("name", "options", "perplexity", "nearness"), CASES, ids=NAMES)
def test_first_tokens(
    name: str,
    options: dict[str, Any],
    perplexity: float,
    nearness: float,
    networks: dict[str, Network],
    quick_references: dict[str, float],
    tokens: Any,
) -> None:
    evaluation = evaluate(quantize(networks[name], **options), tokens[:QUICK_TOKENS])
    assert evaluation.predictions == 2000
    assert evaluation.perplexity == pytest.approx(quick_references[name], rel=nearness)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_float_networks_on_the_test_set(name: str, networks: dict[str, Network], tokens: Any) -> None:
    wanted = next(perplexity for network, _, perplexity, _ in CASES if network == name)
    evaluation = evaluate(networks[name], tokens)
    print(f"{name}: {evaluation.perplexity:.4f} in {evaluation.seconds:.1f} s")
    assert evaluation.perplexity == pytest.approx(wanted, abs=0.005 if wanted == 162.95 else 1e-4)  # recorded digits


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "perplexity", "nearness"), CASES, ids=NAMES)
def test_models_on_the_test_set(
    name: str, options: dict[str, Any], perplexity: float, nearness: float, networks: dict[str, Network], tokens: Any
) -> None:
    evaluation = evaluate(quantize(networks[name], **options), tokens)
    print(f"{name} {options}: {evaluation.perplexity:.4f} in {evaluation.seconds:.1f} s")
    assert evaluation.predictions == 82429
    assert evaluation.bit_exact
    assert evaluation.perplexity == pytest.approx(perplexity, rel=nearness)
