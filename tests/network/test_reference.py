"""The float reference against log-probabilities, codes and perplexities recorded from other programs."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax

from fixedsim.files.tensors import read_tensors
from fixedsim.importers import load_network
from fixedsim.network import Network
from fixedsim.network.bit_rnn import weight_scale

MODELS = {"ptb_lstm300_fp32": None, "ptb_bitlstm300_w4a4": 4, "ptb_bitlstm300_w2a2": 2}
DType = Literal["float64", "float32"]


@pytest.fixture(scope="module", params=list(MODELS))
def model(request: pytest.FixtureRequest, shared: Path) -> tuple[str, Network]:
    return request.param, load_network(shared / "weights" / f"{request.param}.safetensors")


def recorded(shared: Path, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Input ids, target ids, and the log-probabilities by dtype, whose columns come last."""
    lines = (shared / "weights" / f"{name}.check200.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    inputs, targets = (np.array([int(row[column]) for row in rows]) for column in (1, 2))
    double, single = (np.array([float(row[column]) for row in rows]) for column in (-2, -1))
    return inputs, targets, {"float64": double, "float32": single}


def log_probabilities(logits: NDArray[Any], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(targets)), targets])


# The records have six decimals; logits reach 40, where one float32 unit is 3.8e-6 and both programs round.
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-6), ("float32", 2e-5)])
def test_log_probabilities(shared: Path, model: tuple[str, Network], dtype: DType, tolerance: float) -> None:
    name, network = model
    inputs, targets, wanted = recorded(shared, name)
    got = log_probabilities(network.forward(inputs, dtype=dtype).output, targets)
    assert len(got) == 200
    np.testing.assert_allclose(got, wanted[dtype], atol=tolerance, rtol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_hidden_codes(shared: Path, model: tuple[str, Network], dtype: DType) -> None:
    name, network = model
    bits = MODELS[name]
    if bits is None:
        pytest.skip("the float model has no codes")
    wanted = np.load(shared / "weights" / f"{name}.hcodes_first200_f64.npy")
    inputs = recorded(shared, name)[0]
    hidden = network.forward(inputs, dtype=dtype, trace=["lstm.hidden"]).trace["lstm.hidden"][:, 0]
    codes = hidden * (2**bits - 1)
    np.testing.assert_array_equal(np.rint(codes), wanted)
    np.testing.assert_allclose(codes, wanted, atol=1e-5)


def test_weight_scales(shared: Path, model: tuple[str, Network]) -> None:
    name, network = model
    if MODELS[name] is None:
        pytest.skip("the float model has no scales")
    metadata = read_tensors(shared / "weights" / f"{name}.safetensors").metadata
    lstm = [network.weights["lstm.input.weight"], network.weights["lstm.recurrent.weight"]]
    assert weight_scale(lstm) == pytest.approx(float(metadata["lstm_scale"]), rel=1e-6)
    assert weight_scale([network.weights["decoder.weight"]]) == pytest.approx(
        float(metadata["decoder_scale"]), rel=1e-6
    )


def test_the_preset_takes_the_float_model(shared: Path) -> None:
    path = shared / "weights" / "ptb_lstm300_fp32.safetensors"
    by_preset, inferred = load_network("ptb-lm", path), load_network(path)
    assert by_preset.description.layers == inferred.description.layers
    np.testing.assert_array_equal(by_preset.forward([1, 2]).output, inferred.forward([1, 2]).output)


def tokens(shared: Path, part: str) -> NDArray[np.int64]:
    """Token ids of a part of Penn Treebank, ``<eos>`` at the end of each line."""
    words = (shared / "weights" / "vocab.txt").read_text("utf-8").split()
    index = {word: position for position, word in enumerate(words)}
    text = (shared / "data" / "ptb" / f"ptb.{part}.txt").read_text("utf-8")
    return np.array([index[word] for line in text.splitlines() for word in (*line.split(), "<eos>")])


def perplexity(network: Network, stream: NDArray[np.int64]) -> tuple[float, int]:
    total, state, size = 0.0, None, 1000
    for start in range(0, len(stream) - 1, size):
        targets = stream[start + 1 : start + 1 + size]
        result = network.forward(stream[start : start + len(targets)], state=state)
        total += float(log_probabilities(result.output, targets).sum())
        state = result.state
    return float(np.exp(-total / (len(stream) - 1))), len(stream) - 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part", "wanted", "predictions", "tolerance"),
    [
        ("ptb_lstm300_fp32", "valid", 116.9579, 73_759, 6e-5),
        ("ptb_lstm300_fp32", "test", 110.2908, 82_429, 6e-5),
        ("ptb_bitlstm300_w4a4", "valid", 149.408, 73_759, 6e-4),
        ("ptb_bitlstm300_w4a4", "test", 138.8935, 82_429, 6e-5),
        ("ptb_bitlstm300_w2a2", "valid", 173.69, 73_759, 6e-3),
        ("ptb_bitlstm300_w2a2", "test", 162.95, 82_429, 6e-3),
    ],
)
def test_perplexity(shared: Path, name: str, part: str, wanted: float, predictions: int, tolerance: float) -> None:
    network = load_network(shared / "weights" / f"{name}.safetensors")
    got, count = perplexity(network, tokens(shared, part))
    assert count == predictions
    assert got == pytest.approx(wanted, abs=tolerance)
