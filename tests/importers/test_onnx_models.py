"""Recorded graphs of every exporter against recorded outputs, and how each convention is read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import NetworkError
from fixedsim.importers import load_network
from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.onnx import read, recognises
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network

pytest.importorskip("onnx")

FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "onnx"
NAMES = sorted(path.stem for path in FOLDER.glob("*.onnx"))
TOLERANCE = 1e-5


def imported(name: str, **stated: Any) -> Imported:
    path = FOLDER / f"{name}.onnx"
    assert recognises(path)
    return read(path, Stated(**stated))


def test_every_kind_is_recorded() -> None:
    assert len(NAMES) == 16


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_the_recorded_ones(name: str) -> None:
    found = imported(name)
    with np.load(FOLDER / f"{name}.npz") as arrays:
        recorded = dict(arrays)
    layer = found.description.lstm_layers[0]
    state = None
    if "hidden" in recorded:
        state = {way: (recorded["hidden"][i], recorded["cell"][i]) for i, way in enumerate(layer.directions)}
    network = Network(found.description, found.weights)
    result = network.forward(recorded["input"], dtype="float32", lengths=recorded.get("lengths"), state=state).output
    wanted = recorded["output"]
    assert result.shape == wanted.shape
    assert np.abs(result - wanted).max() <= TOLERANCE * np.abs(wanted).max()


LAYERS = {
    "peephole": (
        LstmLayer("lstm", 3, 4, bidirectional=True, peephole=True),
        LinearLayer("head", 8, 5, activation="relu"),
    ),
    "coupled": (
        LstmLayer("lstm", 3, 4, peephole=True, coupled=True, clip=float(np.float32(0.7)), reverse=True, steps="last"),
        LinearLayer("head", 4, 5),
    ),
    "hard": (
        LstmLayer(
            "lstm", 3, 4, bidirectional=True, gate="hard_sigmoid", cell_activation="hard_sigmoid_fifth", steps="last",
            initial=True,
        ),
        LinearLayer("head", 8, 5, activation="hard_sigmoid_fifth"),
    ),
    "turned": (
        LstmLayer("lstm", 3, 4, reverse=True, bias=False),
        LinearLayer("head", 4, 5, activation="clipped_relu", clip=1.5),
    ),
    "padded": (EmbeddingLayer("embedding", 7, 3), LstmLayer("lstm", 3, 4, bidirectional=True)),
    "keras_tokens": (
        EmbeddingLayer("embedding_1", 9, 4),
        LstmLayer("lstm.l0", 4, 3, bidirectional=True),
        LstmLayer("lstm.l1", 6, 4, reverse=True, steps="last"),
        LinearLayer("dense_1", 4, 3, bias=False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    assert imported(name).description.layers == LAYERS[name]


NOTES = {
    "peephole": ("lstm: gates stacked i, o, f, g; two biases, summed", "lstm: peepholes stacked i, o, f"),
    "coupled": (
        "lstm: input_forget; the forget gate is one minus the input gate, so its rows are negated",
        "only the last step that each direction takes goes on, so outputs have no axis of time",
    ),
    "lengths": (
        "initial states are inputs of the graph (c0, h0); here they are zero unless a run is given a state",
        "lengths of sequences are an input of the graph (lengths); here they are `lengths`",
    ),
    "padded": ("input 'tokens' holds token ids, counted from 0",),
    "turned": (
        "lstm: gates stacked i, o, f, g; no bias",
        "input 'x' has sequences first in the graph; here time comes first",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_notes(name: str) -> None:
    found = imported(name).notes
    assert set(NOTES[name]) <= set(found), found


def test_both_biases_are_given() -> None:
    found = imported("peephole")
    assert set(found.bias_pairs) == {"lstm.forward.bias", "lstm.backward.bias"}
    for name, (first, second) in found.bias_pairs.items():
        np.testing.assert_array_equal(first + second, found.weights[name])
        assert np.abs(first).max() > 0
        assert np.abs(second).max() > 0


def test_another_gate_order_moves_the_rows() -> None:
    usual, other = imported("peephole"), imported("peephole", gate_order="ifco")
    assert (usual.gate_order, other.gate_order) == ("iofg", "ifgo")
    blocks = dict(zip("ifgo", np.split(usual.weights["lstm.forward.input.weight"], 4), strict=True))
    in_file = np.concatenate([blocks[gate] for gate in "iofg"])
    np.testing.assert_array_equal(other.weights["lstm.forward.input.weight"], in_file)


def test_a_forget_bias_is_taken_from_the_user() -> None:
    assert imported("peephole", forget_bias=1.0).description.lstm_layers[0].forget_bias == 1.0


def test_a_description_names_the_layers() -> None:
    layers = (LstmLayer("memory", 3, 4, bidirectional=True, peephole=True), LinearLayer("out", 8, 5, activation="relu"))
    found = imported("peephole", description=Description("mine", layers))
    assert found.description == Description("mine", layers)
    assert "memory.backward.peephole.output" in found.weights
    assert found.notes[0].startswith("memory: gates stacked")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((LstmLayer("m", 3, 5), LinearLayer("out", 5, 5)), "layer 'm' must be as the file describes it"),
        ((LstmLayer("m", 3, 4),), r"layers must be 2 as the file has them \(lstm, head\), not 1"),
    ],
)
def test_a_description_must_fit(layers: tuple[Any, ...], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        imported("peephole", description=Description("mine", layers))


def test_the_language_model_is_that_of_its_safetensors(shared: Path) -> None:
    weights = shared / "weights"
    found = read(weights / "ptb_lstm300_fp32.onnx", Stated())
    wanted = load_network(weights / "ptb_lstm300_fp32.safetensors")
    assert found.description.layers == wanted.description.layers
    for name, tensor in wanted.weights.items():
        np.testing.assert_array_equal(found.weights[name], tensor)
