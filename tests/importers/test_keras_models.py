"""Recorded files of Keras 2 and 3 against the outputs that Keras gave, and the conventions as they are stated."""

import importlib.util
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import DependencyError, FileError, NetworkError
from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.keras import read, recognises
from fixedsim.network import Description, LinearLayer, LstmLayer, Network

FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "keras"
NAMES = (
    "tagger2.h5", "tagger2.weights.h5", "tagger3.h5", "tagger3.keras", "tagger3.weights.h5",
    "last2.keras", "last3.keras", "listed2.h5", "cudnn2.h5",
)  # fmt: skip
TOLERANCE = 1e-5
HARD = {"tagger2.weights.h5": "hard_sigmoid_fifth", "tagger3.weights.h5": "hard_sigmoid"}


def recorded(name: str) -> tuple[Any, Any]:
    with np.load(FOLDER / "recorded.npz") as arrays:
        return arrays[f"{name}.input"], arrays[f"{name}.output"]


def outputs(imported: Imported, x: Any) -> Any:
    output = Network(imported.description, imported.weights).forward(np.moveaxis(x, 1, 0), dtype="float32").output
    return np.moveaxis(output, 1, 0) if output.ndim == 3 else output


def stated(name: str) -> Stated:
    """What a file of weights alone has to be told: hard sigmoids, and the last step."""
    if name not in (*HARD, "listed2.h5"):
        return Stated()
    description = read(FOLDER / name, Stated()).description
    change: dict[str, Any] = {"gate": HARD[name]} if name in HARD else {"steps": "last"}
    last = description.lstm_layers[-1].name
    layers = [replace(x, **change) if isinstance(x, LstmLayer) and x.name == last else x for x in description.layers]
    return Stated(replace(description, layers=tuple(layers)))


@pytest.mark.parametrize("name", NAMES)
def test_recorded_outputs(name: str) -> None:
    x, wanted = recorded(name)
    imported = read(FOLDER / name, stated(name))
    found = outputs(imported, x)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


def test_every_file_is_recognised_and_others_are_not(tmp_path: Path) -> None:
    assert all(recognises(FOLDER / name) for name in NAMES)
    copies = [tmp_path / "archive", tmp_path / "hdf5.bin"]
    for copy, name in zip(copies, ("last3.keras", "listed2.h5"), strict=True):
        copy.write_bytes((FOLDER / name).read_bytes())
        assert recognises(copy)
    (tmp_path / "saved").mkdir()
    assert not recognises(tmp_path / "saved")
    (tmp_path / "saved" / "saved_model.pb").touch()
    assert recognises(tmp_path / "saved")
    (tmp_path / "zip").write_bytes(b"PK\3\4 nothing")
    for other in (FOLDER / "recorded.npz", FOLDER / "versions.json", tmp_path / "absent", tmp_path / "zip"):
        assert not recognises(other)


def test_a_saved_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(FileError, match=r"must be a .keras or .h5 file, not the folder of a SavedModel.*save it as"):
        read(tmp_path, Stated())


def test_h5py_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"h5py must be installed .*; pip install 'fixedsim\[keras\]'"):
        read(FOLDER / "listed2.h5", Stated())


@pytest.mark.parametrize(("version", "gate"), [("2", "hard_sigmoid_fifth"), ("3", "hard_sigmoid")])
def test_the_version_decides_which_hard_sigmoid_it_is(version: str, gate: str) -> None:
    imported = read(FOLDER / f"tagger{version}.h5", Stated())
    assert imported.description.lstm_layers[-1].gate == gate
    assert f"hard: hard sigmoid, x / {5 if version == '2' else 6} + 1/2 (Keras {version})" in imported.notes


def without_version(path: Path) -> Path:
    with zipfile.ZipFile(FOLDER / "tagger3.keras") as old, zipfile.ZipFile(path, "w") as new:
        for name in ("config.json", "model.weights.h5"):
            new.writestr(name, old.read(name))
    return path


def test_a_missing_version_is_asked_for_or_taken_from_the_description(tmp_path: Path) -> None:
    path = without_version(tmp_path / "m.keras")
    with pytest.raises(
        NetworkError, match="keras_version must be given for the hard_sigmoid of layer 'hard', not missing"
    ):
        read(path, Stated())
    description = read(FOLDER / "tagger2.h5", Stated()).description
    assert read(path, Stated(description)).description.lstm_layers[-1].gate == "hard_sigmoid_fifth"


def test_notes_say_what_was_understood() -> None:
    notes = read(FOLDER / "cudnn2.h5", Stated()).notes
    assert "gates of LSTMs stand in the order i, f, c, o along the columns of kernels, Keras' order" in notes
    assert "lstm: two biases, summed; kernels as cuDNN has them; the forget bias of 1 stands in it" in notes
    assert (
        "drop: Dropout changes nothing when a network runs and is passed over"
        in read(FOLDER / "last3.keras", Stated()).notes
    )


def test_both_biases_of_cudnn_are_handed_over() -> None:
    imported = read(FOLDER / "cudnn2.h5", Stated())
    first, second = imported.bias_pairs["lstm.bias"]
    np.testing.assert_array_equal(first + second, imported.weights["lstm.bias"])
    assert np.any(first != second)


def test_a_stated_gate_order_moves_the_gates() -> None:
    own, other = (read(FOLDER / "tagger2.h5", Stated(gate_order=order)) for order in (None, "icfo"))
    assert (own.gate_order, other.gate_order) == ("ifgo", "igfo")
    for name, swapped in other.weights.items():
        gates = own.weights[name].reshape(4, -1) if name.startswith(("both", "hard")) else own.weights[name]
        wanted = gates[[0, 2, 1, 3]] if name.startswith(("both", "hard")) else gates
        np.testing.assert_array_equal(swapped.reshape(wanted.shape), wanted)


def test_a_stated_forget_bias_is_added_when_the_network_runs() -> None:
    layers = read(FOLDER / "tagger2.h5", Stated(forget_bias=1.0)).description.lstm_layers
    assert [layer.forget_bias for layer in layers] == [1.0, 1.0]


def named(description: Description, **changes: Any) -> Description:
    """The description with layers ``layer0`` and so on, and the last one changed."""
    layers = [replace(layer, name=f"layer{n}") for n, layer in enumerate(description.layers)]
    return replace(description, layers=(*layers[:-1], replace(layers[-1], **changes)))


@pytest.mark.parametrize("name", ["tagger3.keras", "tagger3.weights.h5", "listed2.h5"])
def test_a_description_gives_the_names(name: str) -> None:
    description = named(read(FOLDER / name, Stated()).description)
    imported = read(FOLDER / name, Stated(description))
    assert imported.description == description
    assert set(imported.weights) == set(description.tensors())


@pytest.mark.parametrize("name", ["tagger3.keras", "tagger3.weights.h5", "listed2.h5"])
def test_a_description_that_does_not_fit_is_refused(name: str) -> None:
    description = read(FOLDER / name, Stated()).description
    with pytest.raises(NetworkError, match="layer"):
        read(FOLDER / name, Stated(named(description, outputs=9)))
    with pytest.raises(NetworkError, match="layers must be"):
        read(FOLDER / name, Stated(replace(description, layers=description.layers[:-1])))


def test_a_function_that_the_file_tells_otherwise_is_refused() -> None:
    description = named(read(FOLDER / "tagger3.keras", Stated()).description, activation="tanh")
    with pytest.raises(NetworkError, match="layer 'layer3' must be as the file has it"):
        read(FOLDER / "tagger3.keras", Stated(description))


def test_weights_alone_take_functions_from_the_description() -> None:
    description = named(read(FOLDER / "listed2.h5", Stated()).description, activation="tanh")
    layer = read(FOLDER / "listed2.h5", Stated(description)).description.layers[-1]
    assert isinstance(layer, LinearLayer)
    assert layer.activation == "tanh"


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "m.h5"
    path.write_bytes((FOLDER / "listed2.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file["out/out/bias:0"][1] = np.nan
    with pytest.raises(NetworkError, match=r"tensor 'out.bias' must be finite"):
        read(path, Stated())


def test_versions_are_recorded() -> None:
    assert set(json.loads((FOLDER / "versions.json").read_text("utf-8"))) == {"keras", "tf_keras", "h5py"}
