"""What an import says that it understood, and what is stated beside the file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fixedsim
from fixedsim.errors import FileError, NetworkError
from fixedsim.network import Description, LinearLayer, LstmLayer
from tests.importers.planted import Direction, Linear, written

TOML = """
name = "described"
[[layers]]
kind = "lstm"
name = "lstm"
inputs = 3
units = 2
steps = "last"
[[layers]]
kind = "linear"
name = "fc"
outputs = 5
activation = "relu"
"""
LSTM, FC = Direction.drawn(3, 2, 0), Linear.drawn(2, 5, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PyTorch file of an LSTM with two biases and a fully connected layer."""
    (tmp_path / "n.toml").write_text(TOML)
    return written(tmp_path, LSTM.tensors("lstm", "l0"), FC.tensors())


def test_what_was_understood(path: Path) -> None:
    imported = fixedsim.import_network(path)
    assert (imported.kind, imported.gate_order, imported.source) == ("pytorch", "ifgo", path)
    assert imported.parameters == 8 * 3 + 8 * 2 + 8 + 5 * 2 + 5
    np.testing.assert_array_equal(imported.network.weights["lstm.bias"], LSTM.first_bias + LSTM.second_bias)
    np.testing.assert_array_equal(imported.bias_pairs["lstm.bias"], (LSTM.first_bias, LSTM.second_bias))
    assert any("two biases, summed" in note for note in imported.notes)
    values = imported.to_dict()
    assert (values["kind"], values["name"], values["parameters"]) == ("pytorch", "pytorch", 63)
    assert [layer["name"] for layer in values["layers"]] == ["lstm", "fc"]
    assert values["layers"][0]["kind"] == "lstm"
    assert values["layers"][0]["tensors"] == {
        "lstm.input.weight": [8, 3],
        "lstm.recurrent.weight": [8, 2],
        "lstm.bias": [8],
    }
    assert (values["layers"][0]["parameters"], values["layers"][1]["output_width"]) == (48, 5)
    assert values["notes"] == list(imported.notes)


def test_load_network_gives_the_same(path: Path) -> None:
    imported, loaded = fixedsim.import_network(path).network, fixedsim.load_network(path)
    assert loaded.description == imported.description
    for name, weight in imported.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], weight)


@pytest.mark.parametrize("form", ["path", "text", "description"])
def test_layers_that_are_stated(path: Path, form: str) -> None:
    toml = path.parent / "n.toml"
    description = Description("described", (LstmLayer("lstm", 3, 2, steps="last"), LinearLayer("fc", 2, 5, "relu")))
    given: Any = {"path": toml, "text": str(toml), "description": description}[form]
    imported = fixedsim.import_network(path, network=given, dtype="float32")
    assert imported.network.description == description
    assert {weight.dtype for weight in imported.network.weights.values()} == {np.dtype(np.float32)}
    assert fixedsim.load_network(toml, path).description == description


def test_a_preset_must_fit(path: Path) -> None:
    with pytest.raises(NetworkError, match=r"planted.safetensors: tensor 'embedding.weight' must be given"):
        fixedsim.import_network(path, network="ptb-lm")


@pytest.mark.parametrize("order", ["icfo", "ijfo", "IZFO", "igfo"])
def test_gate_order_and_forget_bias_that_are_stated(tmp_path: Path, order: str) -> None:
    path = written(tmp_path, LSTM.tensors("lstm", "l0", "igfo"))
    imported = fixedsim.import_network(path, gate_order=order, forget_bias=1.0)
    assert imported.gate_order == "igfo"
    np.testing.assert_array_equal(imported.network.weights["lstm.input.weight"], LSTM.input)
    np.testing.assert_array_equal(imported.bias_pairs["lstm.bias"][1], LSTM.second_bias)
    assert imported.network.description.lstm_layers[0].forget_bias == 1.0


def test_conventions_that_are_stated(tmp_path: Path) -> None:
    path = written(tmp_path, LSTM.tensors("lstm", "l0", interleaved=True))
    imported = fixedsim.import_network(path, conventions=["interleaved", "second-bias"])
    np.testing.assert_array_equal(imported.network.weights["lstm.recurrent.weight"], LSTM.recurrent)
    np.testing.assert_array_equal(imported.network.weights["lstm.bias"], LSTM.second_bias)
    assert imported.notes[-2:] == (
        "stated: only the second of two biases counts",
        "stated: gates stand unit by unit",
    )
    assert imported.bias_pairs == {}
    other = fixedsim.import_network(path, conventions=["gate-order-ogfi", "forget-bias-1"])
    assert other.network.description.lstm_layers[0].forget_bias == -1


@pytest.mark.parametrize(
    ("choices", "error", "message"),
    [
        ({"kind": "torch"}, FileError, "kind must be a known one, not 'torch'; did you mean 'pytorch'?"),
        ({"kind": "tflite"}, FileError, "must be a network with float weights, not an integer model; use import_model"),
        ({"dtype": "float16"}, NetworkError, "dtype must be float64 or float32, not 'float16'"),
        ({"gate_order": "iffo"}, NetworkError, "gate order must be i, f, o and one of g, c, j, z"),
        ({"network": "absent.toml"}, FileError, "absent.toml must be a readable file, not 'no such file or directory'"),
        ({"conventions": ["interleave"]}, NetworkError, "not 'interleave'; did you mean 'interleaved'?"),
        ({"conventions": ["directions-swapped"]}, NetworkError, "that makes a difference to this network, not 'dire"),
        ({"forget_bias": float("nan")}, NetworkError, "forget_bias must be finite, not nan"),
    ],
)
def test_what_is_refused(path: Path, choices: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        fixedsim.import_network(path, **choices)
    assert message in str(caught.value)
    assert str(caught.value).count(str(path)) <= 1


def test_missing_files(tmp_path: Path) -> None:
    for kind in (None, "pytorch", "fixedsim", "onnx"):
        with pytest.raises(FileError, match=r"absent.onnx must be a readable file, not 'no such file or directory'"):
            fixedsim.import_network(tmp_path / "absent.onnx", kind=kind)


@pytest.mark.parametrize(("key", "value"), [("gate_order", "ifgo"), ("forget_bias", 1.0)])
def test_own_networks_state_their_conventions(path: Path, key: str, value: Any) -> None:
    own = path.parent / "own.safetensors"
    fixedsim.import_network(path).network.save(own)
    with pytest.raises(NetworkError, match=f"{key} must be left out for fixedsim's own networks, not {value!r}"):
        fixedsim.import_network(own, **{key: value})
    assert fixedsim.import_network(own, network=fixedsim.import_network(own).network.description).kind == "fixedsim"
    with pytest.raises(NetworkError, match=r"metadata 'fixedsim.network' must be given, not missing"):
        fixedsim.import_network(path, kind="fixedsim")


def test_a_mapping_file_is_loaded_by_its_name(tmp_path: Path) -> None:
    arrays = {"lstm.input.weight": LSTM.input, "lstm.recurrent.weight": LSTM.recurrent, "lstm.bias": LSTM.first_bias}
    arrays |= {"fc.weight": FC.weight, "fc.bias": FC.bias}
    lines = [TOML, "[tensors]"]
    for index, (name, array) in enumerate(arrays.items()):
        np.save(tmp_path / f"{index}.npy", array)
        lines.append(f'"{name}" = {{ file = "{index}.npy" }}')
    (tmp_path / "m.toml").write_text("\n".join(lines))
    network = fixedsim.load_network(tmp_path / "m.toml")
    assert fixedsim.import_network(tmp_path / "m.toml").kind == "mapping"
    np.testing.assert_array_equal(network.weights["lstm.bias"], LSTM.first_bias)
    (tmp_path / "plain.toml").write_text(TOML)
    with pytest.raises(NetworkError, match=r"weights must be given for the description .*plain.toml, not missing"):
        fixedsim.load_network(tmp_path / "plain.toml")
