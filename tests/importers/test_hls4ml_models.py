"""Models from hls4ml projects give what hls4ml's C simulation gave, integer by integer; and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FileError
from fixedsim.importers.hls4ml import HlsLayer, Project, Variable
from fixedsim.importers.hls4ml.network import project_model
from fixedsim.model import load_model

RECORDED = Path(__file__).parents[1] / "data" / "hls4ml_projects"
NAMES = sorted(path.stem for path in RECORDED.glob("*.json"))


def project(name: str) -> tuple[Project, dict[str, Any]]:
    """The project as the reader gives it, and the recorded raws."""
    description = json.loads((RECORDED / f"{name}.json").read_text())
    with np.load(RECORDED / f"{name}.npz") as recorded:
        arrays = dict(recorded)
    layers = tuple(_layer(entry, arrays) for entry in description["layers"])
    first, last = (
        Variable(end["name"], end["type"], tuple(end["shape"])) for end in (description["input"], description["output"])
    )
    return Project(name, first, last, layers), arrays


def _layer(entry: dict[str, Any], arrays: dict[str, Any]) -> HlsLayer:
    prefix = f"{entry['name']}."
    weights = {key.removeprefix(prefix): values for key, values in arrays.items() if key.startswith(prefix)}
    shapes = {key: tuple(entry[key]) for key in ("input_shape", "output_shape")}
    return HlsLayer(**{**entry, **shapes, "weights": weights})


def test_the_cases() -> None:
    assert len(NAMES) == 12


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_outputs(name: str, tmp_path: Path) -> None:
    described, arrays = project(name)
    model = project_model(described)
    x = arrays["x"]
    inputs = x if x.ndim == 2 else np.moveaxis(x, 0, 1)  # samples are steps of a perceptron, sequences of an LSTM
    raw = model.run(inputs).raw
    assert raw is not None
    found = raw if raw.ndim == 2 else np.moveaxis(raw, 0, 1)
    np.testing.assert_array_equal(found.reshape(arrays["y"].shape), arrays["y"])
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(load_model(tmp_path / "model.safetensors").run(inputs).raw, raw)
    few = inputs[:2] if x.ndim == 2 else inputs[:, :2]
    np.testing.assert_array_equal(model.run(few, engine="spec").raw, model.run(few).raw)


def changed(name: str, position: int, **own: Any) -> Project:
    described, _ = project(name)
    layers = list(described.layers)
    layers[position] = replace(layers[position], **own)
    return replace(described, layers=tuple(layers))


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (
            lambda: changed("lstm_dense", 0, activation="relu"),
            "must be sigmoid and tanh, not .* relu",
        ),
        (lambda: changed("lstm_dense", 0, kind="gru"), "layer 'lstm' must be dense, lstm or an activation, not gru"),
        (lambda: changed("mlp", 0, kind="relu"), "relu layer 'fc1' must follow a dense layer, not another"),
        (lambda: replace(project("mlp")[0], layers=()), "project must have a layer, not none"),
    ],
)
def test_what_is_refused(described: Any, message: str) -> None:
    with pytest.raises(FileError, match=message):
        project_model(described())


def test_a_recurrent_bias_is_refused() -> None:
    described, _ = project("lstm_dense")
    weights = dict(described.layers[0].weights)
    weights["recurrent_bias"] = weights["recurrent_bias"] + 0.5
    with pytest.raises(FileError, match=r"recurrent bias of lstm must be zero, not 0\.5"):
        project_model(changed("lstm_dense", 0, weights=weights))
