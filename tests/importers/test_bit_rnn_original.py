"""Bit-RNN weights as the original's TensorFlow variables: one kernel, one bias, and a rule that is stated."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.importers import bit_rnn
from fixedsim.importers.imported import Stated
from fixedsim.network import BitRnnRule, Description, EmbeddingLayer, LinearLayer, LstmLayer, Network

VOCABULARY, UNITS, BITS = 7, 3, 2
RNG = np.random.default_rng(4)
TENSORS: dict[str, NDArray[Any]] = {
    "model/embedding:0": RNG.normal(size=(VOCABULARY, UNITS)),
    "model/rnn/bit_lstm_cell/kernel:0": RNG.normal(size=(2 * UNITS, 4 * UNITS)),
    "model/rnn/bit_lstm_cell/bias:0": RNG.normal(size=4 * UNITS),
    "model/softmax_w:0": RNG.normal(size=(UNITS, VOCABULARY)),
    "model/softmax_b:0": RNG.normal(size=VOCABULARY),
    "global_step:0": np.array(3),
}
LAYERS = (
    EmbeddingLayer("embedding", VOCABULARY, UNITS),
    LstmLayer("lstm", UNITS, UNITS, candidate="sigmoid", cell_activation="sigmoid"),
    LinearLayer("softmax", UNITS, VOCABULARY),
)
RULE = BitRnnRule(BITS, BITS)


def saved(folder: Path, **texts: str) -> Path:
    np.savez(folder / "v.npz", **TENSORS, **{key: np.array(text) for key, text in texts.items()})  # type: ignore[arg-type]
    return folder / "v.npz"


def round_k(x: NDArray[Any]) -> NDArray[Any]:
    """``round(x * (2**k - 1)) / (2**k - 1)``, ties to even, on [0, 1]."""
    return np.asarray(np.rint(np.clip(x, 0, 1) * (2**BITS - 1)) / (2**BITS - 1))


def quantized(w: NDArray[Any]) -> NDArray[Any]:
    """The rule for weights as the paper gives it, on ``v = tanh(w)`` of a whole kernel."""
    v = np.tanh(w)
    s = 2.5 * np.abs(v).mean()
    return np.asarray(s * (round_k(np.clip(v / s, -0.5, 0.5) + 0.5) - 0.5))


def reference(tokens: list[int], forget_bias: float) -> NDArray[Any]:
    """The network by the paper's formulas, on the variables as they lie."""
    embedding, kernel, bias, softmax, offset, _ = TENSORS.values()
    kernel, softmax = quantized(kernel), quantized(softmax)
    h, c = (np.full(UNITS, round_k(np.array(0.5))) for _ in range(2))
    rows = []
    for token in tokens:
        i, j, f, o = np.split(np.concatenate([round_k(embedding[token]), h]) @ kernel + bias, 4)
        i, j, f, o = (1 / (1 + np.exp(-z)) for z in (i, j, f + forget_bias, o))
        c = f * c + i * j
        h = round_k(o / (1 + np.exp(-c)))
        rows.append(h @ softmax + offset)
    return np.array(rows)


@pytest.mark.parametrize("stated_bias", [None, 0.0, 0.5])
def test_the_papers_formulas(tmp_path: Path, stated_bias: float | None) -> None:
    stated = Stated(Description("ptb", LAYERS, RULE, "half"), forget_bias=stated_bias)
    imported = bit_rnn.read(saved(tmp_path), stated)
    tokens = [0, 3, 6, 6, 1, 2, 5, 4, 3, 3, 0, 1]
    output = Network(imported.description, imported.weights).forward(np.array(tokens)).output
    np.testing.assert_allclose(
        output, reference(tokens, 1.0 if stated_bias is None else stated_bias), rtol=1e-12, atol=1e-12
    )
    assert imported.gate_order == "igfo"
    assert any("weights are latent" in note for note in imported.notes)


def test_metadata_instead_of_a_description(tmp_path: Path) -> None:
    path = saved(tmp_path, arch="Bit-RNN LSTM", w_bit="2", a_bit="2", forget_bias="1")
    assert bit_rnn.recognises(path)
    imported = bit_rnn.read(path, Stated())
    assert imported.description.bit_rnn == RULE
    assert imported.description.initial_state == "half"
    lstm = imported.description.lstm_layers[0]
    assert (lstm.candidate, lstm.cell_activation, lstm.forget_bias) == ("sigmoid", "sigmoid", 1.0)


def test_a_rule_must_be_stated(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="bit_rnn must be given for Bit-RNN's TensorFlow variables, not missing"):
        bit_rnn.read(saved(tmp_path), Stated())
    with pytest.raises(NetworkError, match="bit_rnn must be given in the description of Bit-RNN weights, not missing"):
        bit_rnn.read(saved(tmp_path), Stated(Description("ptb", LAYERS)))
