"""Mozilla DeepSpeech's two generations of names, at any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.importers import deepspeech, tensorflow
from fixedsim.importers.imported import Stated
from fixedsim.network import Description, LinearLayer, LstmLayer, Network, preset

FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "tensorflow"
RELATIVE = 1e-5
CELL = "cudnn_lstm/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell"
Tensors = dict[str, NDArray[Any]]


def variables(name: str) -> Tensors:
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


def saved(folder: Path, tensors: Tensors) -> Path:
    np.savez(folder / "variables.npz", **tensors)  # type: ignore[arg-type]
    return folder / "variables.npz"


@pytest.mark.parametrize("suffix", [".pb", ".npz"])
@pytest.mark.parametrize("name", ["deepspeech_v0.1", "deepspeech_v0.9"])
def test_recorded(name: str, suffix: str) -> None:
    path = FOLDER / f"{name}{suffix}"
    assert deepspeech.recognises(path)
    assert tensorflow.recognises(path)
    imported = deepspeech.read(path, Stated())
    assert [layer.name for layer in imported.description.layers] == [
        layer.name for layer in preset("deep-speech").layers
    ]
    with np.load(FOLDER / f"{name}.run.npz") as run:
        output = Network(imported.description, imported.weights).forward(run["inputs"], dtype="float32").output
        assert np.abs(output - run["outputs"]).max() < RELATIVE * np.abs(run["outputs"]).max()


@pytest.mark.parametrize(
    ("name", "forget_bias", "both"), [("deepspeech_v0.1", 1.0, True), ("deepspeech_v0.9", 0.0, False)]
)
def test_layers(name: str, forget_bias: float, both: bool) -> None:
    for suffix in (".pb", ".npz"):
        layers = deepspeech.read(FOLDER / f"{name}{suffix}", Stated()).description.layers
        lstm = layers[3]
        assert isinstance(lstm, LstmLayer)
        assert (lstm.forget_bias, lstm.bidirectional, lstm.steps) == (forget_bias, both, "all")
        dense = [(layer.activation, layer.clip) for layer in layers if isinstance(layer, LinearLayer)]
        assert dense == [("clipped_relu", 20.0)] * 4 + [("identity", None)]


def test_stated_conventions() -> None:
    path = FOLDER / "deepspeech_v0.9.npz"
    imported = deepspeech.read(path, Stated(forget_bias=1.5, gate_order="ifgo"))
    assert imported.description.lstm_layers[0].forget_bias == 1.5
    bias = variables("deepspeech_v0.9")[f"{CELL}/bias:0"]
    np.testing.assert_array_equal(imported.weights["lstm.bias"], bias)
    described = Description("mine", deepspeech.read(path, Stated()).description.layers)
    assert deepspeech.read(path, Stated(described)).description == described


def test_slots_are_passed_over(tmp_path: Path) -> None:
    tensors = variables("deepspeech_v0.9")
    extra = {f"{name.removesuffix(':0')}/Adam": array for name, array in tensors.items()}
    extra |= {
        "cudnn_lstm/opaque_kernel/Adam": np.ones(9),
        "cond_1/beta1_power": np.ones(()),
        "global_step": np.ones((), int),
    }
    path = saved(tmp_path, tensors | extra)
    assert deepspeech.recognises(path)
    assert deepspeech.read(path, Stated()).notes[-1].startswith("passed over, being of the training alone: layer_1/")


def test_a_fused_cell_with_the_older_names(tmp_path: Path) -> None:
    """v0.2 to v0.5: h1 and on, and LSTMBlockFusedCell, whose forget bias is 1."""
    new, old = variables("deepspeech_v0.9"), {}
    for name, array in new.items():
        renamed = name.replace(f"{CELL}/", "lstm_fused_cell/")
        for number in (1, 2, 3, 5, 6):
            renamed = renamed.replace(f"layer_{number}/weights", f"h{number}").replace(
                f"layer_{number}/bias", f"b{number}"
            )
        old[renamed] = array
    path = saved(tmp_path, old)
    assert deepspeech.recognises(path)
    assert deepspeech.read(path, Stated()).description.lstm_layers[0].forget_bias == 1


REFUSED = {
    "layer_5/bias:0": "variable 'layer_5/bias' must be given, not missing",
    f"{CELL}/bias:0": "",
    f"{CELL}/kernel:0": f"variable '{CELL}/kernel' must be given, not missing",
}


@pytest.mark.parametrize("name", REFUSED)
def test_missing_variables(name: str, tmp_path: Path) -> None:
    tensors = variables("deepspeech_v0.9")
    del tensors[name]
    if not REFUSED[name]:
        assert not deepspeech.read(saved(tmp_path, tensors), Stated()).description.lstm_layers[0].bias
        return
    with pytest.raises(NetworkError, match=REFUSED[name]):
        deepspeech.read(saved(tmp_path, tensors), Stated())


def test_another_variable_and_another_size(tmp_path: Path) -> None:
    tensors = variables("deepspeech_v0.9")
    with pytest.raises(NetworkError, match="must be one LSTM's, not of"):
        deepspeech.read(saved(tmp_path, tensors | {"extra/kernel": np.ones((2, 2))}), Stated())
    with pytest.raises(NetworkError, match="must be a weight or a bias, not of a normalization"):
        deepspeech.read(saved(tmp_path, tensors | {"layer_1/LayerNorm/gamma": np.ones(2)}), Stated())
    tensors["layer_5/weights:0"] = np.ones((9, 9), np.float32)
    with pytest.raises(NetworkError, match=r"bias of 'fc5' must be of shape \(9,\), not \(5,\)"):
        deepspeech.read(saved(tmp_path, tensors), Stated())
    with pytest.raises(NetworkError, match="layer 'fc1' must have its variables in the file"):
        deepspeech.read(FOLDER / "deepspeech_v0.1.npz", Stated(preset("deep-speech")))


def test_operations_that_are_not_understood_leave_the_names(tmp_path: Path) -> None:
    """A note says which operation it was."""
    content = (FOLDER / "deepspeech_v0.9.pb").read_bytes().replace(b"\x12\x07Minimum", b"\x12\x07Maximum", 1)
    (tmp_path / "g.pb").write_bytes(content)
    imported = deepspeech.read(tmp_path / "g.pb", Stated())
    assert imported.notes[0].startswith("layers by the names of their variables, because operation ")


def test_others_are_not_recognised(tmp_path: Path) -> None:
    assert not deepspeech.recognises(FOLDER / "basic.npz")
    assert not deepspeech.recognises(FOLDER / "basic.pb")
    assert not deepspeech.recognises(tmp_path / "missing.npz")
