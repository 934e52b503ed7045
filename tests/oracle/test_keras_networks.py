"""Random networks of Keras 2 and Keras 3, saved and read here without Keras, against Keras' own outputs."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.keras import read
from fixedsim.network import Description, EmbeddingLayer, Network

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
h5py = pytest.importorskip("h5py", reason="needs h5py; install the extra 'oracles'")
keras2 = pytest.importorskip("tf_keras", reason="needs Keras 2; install the extra 'oracles'")
keras3 = pytest.importorskip("keras", reason="needs Keras 3; install the extra 'oracles'")
pytestmark = [pytest.mark.oracles, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-5  # of the largest absolute output
KERAS = {"2": keras2, "3": keras3}
WHOLE = ("m.h5", "m.keras")
WEIGHTS = (("2", "m.h5"), ("2", "m.weights.h5"), ("3", "m.weights.h5"))  # versions and the files that they save


def same(found: NDArray[Any], wanted: NDArray[Any]) -> None:
    """The outputs agree within the tolerance."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape
    largest = max(float(np.abs(wanted).max()), 1e-3)
    difference = float(np.abs(found - wanted).max()) / largest
    print(f"relative difference {difference:.2e}")
    assert difference < TOLERANCE


def run(imported: Imported, x: NDArray[Any], **options: Any) -> NDArray[Any]:
    """Outputs with the batch first, as Keras has them."""
    network = Network(imported.description, imported.weights)
    output = network.forward(np.moveaxis(x, 1, 0), dtype="float32", **options).output
    return np.moveaxis(output, 1, 0) if output.ndim == 3 else output


def softmax(values: NDArray[Any]) -> NDArray[Any]:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def outputs(model: Any, x: NDArray[Any]) -> NDArray[Any]:
    """What Keras gives when a network runs."""
    return np.asarray(model(x, training=False))


def randomize(model: Any, rng: np.random.Generator) -> None:
    model.set_weights([rng.normal(0, 0.6 / np.sqrt(w.shape[0]) + 0.1, w.shape) for w in model.get_weights()])


def lstm_options(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "recurrent_activation": str(rng.choice(["sigmoid", "hard_sigmoid"])),
        "activation": str(rng.choice(["tanh", "tanh", "sigmoid", "relu"])),
        "use_bias": bool(rng.random() < 0.8),
        "unit_forget_bias": bool(rng.integers(2)),
        "dropout": float(rng.choice([0.0, 0.3])),
    }


def size(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 13))


def recurrent(L: Any, rng: np.random.Generator, sequences: bool, kind: str) -> Any:
    """A layer of one of the kinds that become LSTMs."""
    options, units = lstm_options(rng), size(rng)
    end = {"return_sequences": sequences}
    match kind:
        case "bidirectional":
            return L.Bidirectional(L.LSTM(units, **end, **options))
        case "both":
            backward = L.LSTM(units, go_backwards=True, **end, **options)
            return L.Bidirectional(L.LSTM(units, **end, **options), backward_layer=backward)
        case "cell":
            return L.RNN(L.LSTMCell(units, **options), **end)
        case "cells":
            return L.RNN([L.LSTMCell(size(rng), **lstm_options(rng)) for _ in range(int(rng.integers(1, 4)))], **end)
        case "both-cell":
            return L.Bidirectional(L.RNN(L.LSTMCell(units, **options), **end))
        case "backwards":
            return L.LSTM(units, go_backwards=not sequences, **end, **options)
        case _:
            return L.LSTM(units, **end, **options)


KINDS = ("lstm", "bidirectional", "both", "cell", "cells", "both-cell", "backwards")


def layers(K: Any, rng: np.random.Generator, seed: int, sequences: bool) -> list[Any]:
    """What stands between the input and the output; LSTMs of each kind in turn."""
    L, found = K.layers, []
    depth = 1 + seed % 3
    for level in range(depth):
        last = level == depth - 1
        found.append(recurrent(L, rng, sequences or not last, KINDS[(seed + level) % len(KINDS)]))
        if rng.random() < 0.3:
            found.append(L.Dropout(0.5))
    if sequences and rng.random() < 0.5:
        found.append(L.TimeDistributed(L.Dense(size(rng), activation="relu")))
    if rng.random() < 0.3:
        inner = [L.Dense(size(rng), use_bias=False), L.Activation(str(rng.choice(["tanh", "relu", "hard_sigmoid"])))]
        found.append(K.Sequential(inner))
    if rng.random() < 0.3:
        found += [L.Dense(size(rng)), L.ReLU(max_value=0.5)]
    found.append(L.Dense(size(rng), activation=str(rng.choice(["linear", "softmax", "sigmoid", "relu6"]))))
    return found


def network(K: Any, rng: np.random.Generator, seed: int) -> tuple[Any, NDArray[Any]]:
    """A model with random weights, Sequential or Functional, and an input."""
    sequences, embedded = bool(rng.random() < 0.6), bool(rng.random() < 0.4)
    steps, batch, features = size(rng), int(rng.integers(1, 4)), size(rng)
    start = [K.layers.Embedding(20, features)] if embedded else []
    body = [*start, *layers(K, rng, seed, sequences)]
    source = K.Input((None,) if embedded else (None, features))
    if seed % 2:
        value = source
        for layer in body:
            value = layer(value)
        model = K.Model(source, value)
    else:
        model = K.Sequential([source, *body])
    randomize(model, rng)
    x = rng.integers(0, 20, (batch, steps)) if embedded else rng.normal(size=(batch, steps, features))
    return model, x if embedded else x.astype(np.float32)


def ends_in_softmax(imported: Imported) -> bool:
    return any("softmax" in note for note in imported.notes)


def compare(imported: Imported, model: Any, x: NDArray[Any]) -> None:
    output = run(imported, x)
    same(softmax(output) if ends_in_softmax(imported) else output, outputs(model, x))


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("seed", range(42))
def test_whole_models(seed: int, version: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    model, x = network(KERAS[version], rng, seed)
    path = tmp_path / WHOLE[seed % 4 // 2]
    model.save(path)
    compare(read(path, Stated()), model, x)


@pytest.mark.parametrize(("version", "name"), WEIGHTS)
@pytest.mark.parametrize("seed", range(10))
def test_weights_alone(seed: int, name: str, version: str, tmp_path: Path) -> None:
    """The description that the whole model tells goes with the weights."""
    rng = np.random.default_rng(seed + 100)
    model, x = network(KERAS[version], rng, seed)
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / name)
    whole = read(tmp_path / "m.keras", Stated())
    imported = read(tmp_path / name, Stated(whole.description))
    compare(imported._replace(notes=whole.notes), model, x)


@pytest.mark.parametrize(("version", "name"), WEIGHTS)
@pytest.mark.parametrize("seed", range(5))
def test_weights_alone_without_a_description(seed: int, name: str, version: str, tmp_path: Path) -> None:
    K, rng = KERAS[version], np.random.default_rng(seed)
    L = K.layers
    body = [L.LSTM(5, return_sequences=True), L.Bidirectional(L.LSTM(4, return_sequences=True)), L.Dense(3)]
    model = K.Sequential([K.Input((None,)), L.Embedding(20, 6), *body[seed % 2 :]])
    randomize(model, rng)
    model.save_weights(tmp_path / name)
    compare(read(tmp_path / name, Stated()), model, rng.integers(0, 20, (2, 7)))


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("seed", range(6))
def test_stateful_models_over_two_calls(seed: int, version: str, tmp_path: Path) -> None:
    K, rng = KERAS[version], np.random.default_rng(seed)
    L = K.layers
    batch, steps, features = 2, 5, size(rng)
    body = [
        L.LSTM(size(rng), stateful=True, return_sequences=True),
        L.RNN([L.LSTMCell(size(rng)), L.LSTMCell(size(rng))], stateful=True, return_sequences=bool(seed % 2)),
        L.Dense(size(rng)),
    ]
    shape = {"batch_shape": (batch, steps, features)}
    model = K.Sequential([K.layers.InputLayer(**shape) if version == "3" else K.Input(**shape), *body])
    randomize(model, rng)
    model.save(tmp_path / "m.keras")
    imported = read(tmp_path / "m.keras", Stated())
    ours, state = Network(imported.description, imported.weights), None
    for _ in range(2):
        x = rng.normal(size=(batch, steps, features)).astype(np.float32)
        wanted = outputs(model, x)
        result = ours.forward(np.moveaxis(x, 1, 0), dtype="float32", state=state)
        state = result.state
        same(np.moveaxis(result.output, 1, 0) if wanted.ndim == 3 else result.output, wanted)


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("form", ["sequential", "functional"])
@pytest.mark.parametrize("sequences", [False, True])
def test_masked_steps_are_lengths(sequences: bool, form: str, both: bool, version: str, tmp_path: Path) -> None:
    K, rng = KERAS[version], np.random.default_rng(1)
    L = K.layers
    lstm = L.LSTM(4, return_sequences=sequences)
    body = [L.Embedding(9, 3, mask_zero=True), L.Bidirectional(lstm) if both else lstm]
    source = K.Input((6,))
    functional = form == "functional"
    model = K.Model(source, body[1](body[0](source))) if functional else K.Sequential([source, *body])
    randomize(model, rng)
    model.save(tmp_path / "m.keras")
    lengths = np.array([6, 4, 1])
    x = np.where(np.arange(6) < lengths[:, None], rng.integers(1, 9, (3, 6)), 0)
    found = run(read(tmp_path / "m.keras", Stated()), x, lengths=lengths)
    wanted = outputs(model, x)
    for sequence, length in enumerate(lengths):
        part = slice(length) if sequences else slice(None)
        same(found[sequence][part], wanted[sequence][part])


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("form", ["sequential", "functional"])
def test_a_masking_layer(form: str, version: str, tmp_path: Path) -> None:
    K, rng = KERAS[version], np.random.default_rng(2)
    L, source, lengths = K.layers, K.Input((6, 3)), np.array([6, 4, 1])
    body = [L.Masking(-1.0), L.LSTM(4, return_sequences=True), L.LSTM(3)]
    functional = form == "functional"
    model = K.Model(source, body[2](body[1](body[0](source)))) if functional else K.Sequential([source, *body])
    randomize(model, rng)
    model.save(tmp_path / "m.keras")
    x = np.where((np.arange(6) < lengths[:, None])[..., None], rng.normal(size=(3, 6, 3)), -1).astype(np.float32)
    same(run(read(tmp_path / "m.keras", Stated()), x, lengths=lengths), outputs(model, x))


def change_class(config: Any) -> None:
    """Make each LSTM of a configuration a CuDNNLSTM."""
    if isinstance(config, dict):
        if config.get("class_name") == "LSTM":
            config["class_name"] = "CuDNNLSTM"
            for key in ("activation", "recurrent_activation"):
                del config["config"][key]
        for value in config.values():
            change_class(value)
    elif isinstance(config, list):
        for value in config:
            change_class(value)


def to_cudnn(path: Path, rng: np.random.Generator) -> None:
    """Make a saved model of LSTMs one of CuDNNLSTMs, with weights of its own in cuDNN's shapes."""
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        change_class(config)
        file.attrs["model_config"] = json.dumps(config)
        biases: list[str] = []
        file["model_weights"].visit(
            lambda name: biases.append(name) if "lstm" in name and name.endswith("bias:0") else None
        )
        for name in biases:
            old = file["model_weights"][name]
            weights = rng.normal(0, 0.4, 2 * old.shape[0]).astype(np.float32)
            del file["model_weights"][name]
            file["model_weights"][name] = weights


@pytest.mark.parametrize("seed", range(10))
def test_cudnn_layers(seed: int, tmp_path: Path) -> None:
    """Keras itself turns the weights of CuDNNLSTM layers into those of LSTM layers where it loads them."""
    rng = np.random.default_rng(seed)
    L, features = keras2.layers, size(rng)
    lstm = L.LSTM(size(rng), return_sequences=True)
    first = L.Bidirectional(lstm) if seed % 2 else lstm
    model = keras2.Sequential([keras2.Input((None, features)), first, L.LSTM(size(rng)), L.Dense(size(rng))])
    randomize(model, rng)
    path = tmp_path / "m.h5"
    model.save(path)
    to_cudnn(path, rng)
    model.load_weights(path)
    imported = read(path, Stated())
    assert len(imported.bias_pairs) == 2 + seed % 2
    compare(imported, model, rng.normal(size=(3, 7, features)).astype(np.float32))


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("dtype", ["mixed_float16", "float64", "mixed_bfloat16"])
def test_dtypes_of_weights(dtype: str, version: str, tmp_path: Path) -> None:
    K, rng = KERAS[version], np.random.default_rng(3)
    L = K.layers
    plain, other = (
        K.Sequential([K.Input((None, 3)), L.LSTM(4, dtype=kind), L.Dense(2, dtype=kind)]) for kind in ("float32", dtype)
    )
    randomize(other, rng)
    plain.set_weights(other.get_weights())
    other.save(tmp_path / "m.keras")
    compare(read(tmp_path / "m.keras", Stated()), plain, rng.normal(size=(2, 5, 3)).astype(np.float32))


def test_bfloat16_weights(tmp_path: Path) -> None:
    L, rng = keras3.layers, np.random.default_rng(3)
    plain, other = (
        keras3.Sequential(
            [keras3.Input((None, 3)), L.LSTM(4, dtype=kind, recurrent_initializer="zeros"), L.Dense(2, dtype=kind)]
        )
        for kind in ("float32", "bfloat16")
    )
    randomize(other, rng)
    plain.set_weights([np.asarray(w, np.float32) for w in other.get_weights()])
    other.save(tmp_path / "m.keras")
    compare(read(tmp_path / "m.keras", Stated()), plain, rng.normal(size=(2, 5, 3)).astype(np.float32))


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("frozen", [(0,), (1,), (0, 1), (2,)])
def test_frozen_layers_of_a_nested_model(frozen: tuple[int, ...], version: str, tmp_path: Path) -> None:
    """Keras lists the weights that are trained before those that are not."""
    K, rng = KERAS[version], np.random.default_rng(4)
    L = K.layers
    inner = K.Sequential([L.Dense(4), L.LSTM(4, return_sequences=True), L.Dense(4)])
    model = K.Sequential([K.Input((None, 4)), inner, L.Dense(2)])
    randomize(model, rng)
    for index in frozen:
        inner.layers[index].trainable = False
    model.save(tmp_path / "m.h5")
    compare(read(tmp_path / "m.h5", Stated()), model, rng.normal(size=(2, 5, 4)).astype(np.float32))


def test_a_described_network_has_the_names_of_its_description(tmp_path: Path) -> None:
    model, x = network(keras3, np.random.default_rng(0), 0)
    model.save(tmp_path / "m.keras")
    own = read(tmp_path / "m.keras", Stated()).description
    data = own.to_dict()
    for number, layer in enumerate(data["layers"]):
        layer["name"] = f"named{number}"
    imported = read(tmp_path / "m.keras", Stated(Description.from_dict(data)))
    assert [layer.name for layer in imported.description.layers] == [f"named{n}" for n in range(len(own.layers))]
    assert isinstance(own.layers[0], EmbeddingLayer) == (x.ndim == 2)
    compare(imported, model, x)
