"""From .tflite files to models: what graphs are understood, and what is refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FileError, ModelError, ProfileError
from fixedsim.importers import import_model
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model import load_model
from tests.importers.tflite_files import FileBuilder
from tests.importers.tflite_layers import (
    LstmPlan,
    add_concatenation,
    add_fully_connected,
    add_input,
    add_last_step,
    add_lstm,
    add_reshape,
    add_reverse,
)

Build = Callable[[FileBuilder, np.random.Generator], int]
RECORDED = Path(__file__).parents[1] / "data" / "recorded" / "litert"


def written(folder: Path, build: Build) -> Path:
    """A file of the graph that ``build`` adds, ending at the tensor that it returns."""
    file = FileBuilder()
    file.outputs = (build(file, np.random.default_rng(3)),)
    path = folder / "model.tflite"
    path.write_bytes(file.content())
    return path


def sequence(file: FileBuilder, rng: np.random.Generator) -> int:
    return add_input(file, rng, (1, 5, 4))


def test_layers_and_last_step(tmp_path: Path) -> None:
    def build(file: FileBuilder, rng: np.random.Generator) -> int:
        lstm = add_lstm(file, rng, sequence(file, rng), LstmPlan(3))
        return add_fully_connected(file, rng, add_last_step(file, lstm), 2)

    model = import_model(written(tmp_path, build))
    assert [layer.name for layer in model.layers] == ["lstm", "fc"]
    assert model.last == {"lstm"}
    assert model.profile["name"] == "litert-reference"
    raw = model.run(np.zeros((5, 2, 4), np.int64)).raw
    assert raw is not None
    assert raw.shape == (2, 2)


def both(last: bool) -> Build:
    def build(file: FileBuilder, rng: np.random.Generator) -> int:
        x, plan = sequence(file, rng), LstmPlan(3, output=(0.01, 4))
        ahead = add_lstm(file, rng, x, plan)
        back = add_lstm(file, rng, add_reverse(file, x), plan)
        if last:
            return add_concatenation(file, (add_last_step(file, ahead), add_last_step(file, back)), axis=1)
        return add_concatenation(file, (ahead, add_reverse(file, back)))

    return build


@pytest.mark.parametrize("last", [False, True])
def test_both_directions(tmp_path: Path, last: bool) -> None:
    model = import_model(written(tmp_path, both(last)))
    (layer,) = model.layers
    assert isinstance(layer, Bidirectional)
    assert (layer.name, layer.forward.name, layer.backward.name) == ("bilstm", "bilstm.forward", "bilstm.backward")
    assert model.last == ({"bilstm"} if last else set())


def test_a_reversed_lstm_alone(tmp_path: Path) -> None:
    """Keras' ``go_backwards``: the input is reversed, the output stays in the order of processing."""

    def build(file: FileBuilder, rng: np.random.Generator) -> int:
        return add_lstm(file, rng, add_reverse(file, sequence(file, rng)), LstmPlan(3))

    def plain(file: FileBuilder, rng: np.random.Generator) -> int:
        return add_lstm(file, rng, sequence(file, rng), LstmPlan(3))

    model, straight = import_model(written(tmp_path, build)), import_model(written(tmp_path, plain))
    assert [type(layer) for layer in model.layers] == [Reversal, Lstm]
    x = np.arange(20).reshape(5, 1, 4)
    found, wanted = model.run(x).raw, straight.run(x[::-1]).raw
    np.testing.assert_array_equal(found, wanted)
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load_model(tmp_path / "model.safetensors").run(x).raw, wanted)


def test_reshapes_between_layers(tmp_path: Path) -> None:
    def build(file: FileBuilder, rng: np.random.Generator) -> int:
        lstm = add_lstm(file, rng, sequence(file, rng), LstmPlan(3))
        fc = add_fully_connected(file, rng, add_reshape(file, lstm, (5, 3)), 2)
        return add_reshape(file, fc, (1, 5, 2))

    model = import_model(written(tmp_path, build))
    assert [layer.name for layer in model.layers] == ["lstm", "fc"]


def softmax(file: FileBuilder, rng: np.random.Generator) -> int:
    fc = add_fully_connected(file, rng, add_input(file, rng, (2, 4)), 3)
    after = file.like(fc, "p", (2, 3))
    file.operator("SOFTMAX", (fc,), (after,))
    return after


def mixing_reshape(file: FileBuilder, rng: np.random.Generator) -> int:
    lstm = add_lstm(file, rng, sequence(file, rng), LstmPlan(4))
    return add_fully_connected(file, rng, add_reshape(file, lstm, (1, 20)), 2)


def reverse_of_features(file: FileBuilder, rng: np.random.Generator) -> int:
    return add_lstm(file, rng, add_reverse(file, sequence(file, rng), axis=2), LstmPlan(3))


def not_reversed_again(file: FileBuilder, rng: np.random.Generator) -> int:
    x, plan = sequence(file, rng), LstmPlan(3, output=(0.01, 4))
    return add_concatenation(file, (add_lstm(file, rng, x, plan), add_lstm(file, rng, add_reverse(file, x), plan)))


def two_forward(file: FileBuilder, rng: np.random.Generator) -> int:
    x, plan = sequence(file, rng), LstmPlan(3, output=(0.01, 4))
    return add_concatenation(file, (add_lstm(file, rng, x, plan), add_lstm(file, rng, x, plan)))


def floats(file: FileBuilder, rng: np.random.Generator) -> int:
    x = file.tensor("x", (2, 4), "FLOAT32")
    file.inputs = (x,)
    w = file.constant("w", np.zeros((3, 4), np.float32), "FLOAT32")
    y = file.tensor("y", (2, 3), "FLOAT32")
    file.operator("FULLY_CONNECTED", (x, w, -1), (y,))
    return y


def no_layer(file: FileBuilder, rng: np.random.Generator) -> int:
    return add_reshape(file, add_input(file, rng, (2, 4)), (1, 2, 4))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (softmax, "operators must be of FULLY_CONNECTED, UNIDIRECTIONAL_SEQUENCE_LSTM, .*, not SOFTMAX"),
        (mixing_reshape, r"RESHAPE must keep the last axis \(4,\), not make it \(1, 20\)"),
        (reverse_of_features, r"REVERSE_V2 must reverse the steps of a sequence, not axis 2 of \(1, 5, 4\)"),
        (not_reversed_again, "CONCATENATION must join an LSTM and one that reads the same input reversed"),
        (two_forward, "CONCATENATION must join an LSTM and one that reads the same input reversed"),
        (floats, "input of fc must be one of INT4, .*, not FLOAT32; quantize the model to integers"),
        (no_layer, "graph must have a layer, not only operators that move data"),
    ],
)
def test_what_is_refused(tmp_path: Path, build: Build, message: str) -> None:
    path = written(tmp_path, build)
    with pytest.raises(FileError, match=f"{path}: .*{message}"):
        import_model(path)


@pytest.mark.parametrize(
    ("plan", "what"),
    [
        ({"coupled": True}, "coupled gates"),
        ({"peephole": True}, "peepholes"),
        ({"projection": 2}, "a projection"),
        ({"layer_norm": True}, "layer norm"),
    ],
)
def test_what_the_micro_executor_refuses(tmp_path: Path, plan: dict[str, Any], what: str) -> None:
    path = written(tmp_path, lambda file, rng: add_lstm(file, rng, sequence(file, rng), LstmPlan(3, **plan)))
    assert import_model(path).layers
    with pytest.raises(FileError, match=f"lstm must not have {what}: tflm refuses such models"):
        import_model(path, executor="tflm")


def test_every_operand_survives_saving(tmp_path: Path) -> None:
    plan = LstmPlan(4, coupled=True, peephole=True, projection=3, layer_norm=True)
    path = written(tmp_path, lambda file, rng: add_lstm(file, rng, sequence(file, rng), plan))
    model = import_model(path)
    model.save(tmp_path / "model.safetensors")
    x = np.random.default_rng(5).integers(-128, 128, (5, 3, 4))
    first = model.run(x, trace="*")
    for other in (load_model(tmp_path / "model.safetensors").run(x, trace="*"), model.run(x, trace="*", engine="spec")):
        assert set(first.trace) == set(other.trace)
        for name, values in first.trace.items():
            np.testing.assert_array_equal(values, other.trace[name], err_msg=name)


def test_other_sources(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"must be a .tflite file or the folder of an hls4ml project, not another file"):
        import_model(tmp_path / "model.onnx")
    with pytest.raises(ProfileError, match="executor 'tflmm' is unknown; did you mean 'tflm'"):
        import_model(RECORDED / "tflite" / "craft_cifg.tflite", executor="tflmm")
    with pytest.raises(ModelError, match="executor must be left out for the hls4ml project"):
        import_model(tmp_path, executor="tflm")
