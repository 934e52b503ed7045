"""TensorFlow 1's variables and frozen graphs: recorded networks, conventions, names, and what is refused by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fixedsim.errors import FileError, NetworkError
from fixedsim.importers import tensorflow
from fixedsim.importers.imported import Imported, Stated
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network

FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "tensorflow"
NAMES = (
    "basic",
    "peephole_projection_clip",
    "bidirectional",
    "block",
    "multi",
    "compatible",
    "static",
    "block_v2",
)
UNTOLD = {"block": Stated(forget_bias=0.5), "block_v2": Stated(forget_bias=0.0, gate_order="ifco")}  # by variables
RELATIVE = 1e-5
Tensors = dict[str, NDArray[Any]]


def run(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The recorded inputs and outputs."""
    with np.load(FOLDER / f"{name}.run.npz") as arrays:
        return arrays["inputs"], arrays["outputs"]


def require_outputs(imported: Imported, name: str) -> None:
    inputs, wanted = run(name)
    output = Network(imported.description, imported.weights).forward(inputs, dtype="float32").output
    assert output.shape == wanted.shape
    assert np.abs(output - wanted).max() < RELATIVE * np.abs(wanted).max()


def saved(folder: Path, tensors: Tensors) -> Path:
    np.savez(folder / "variables.npz", **tensors)  # type: ignore[arg-type]
    return folder / "variables.npz"


def cell(scope: str, inputs: int, units: int, **others: Any) -> Tensors:
    """A cell's kernel and bias, random."""
    rng = np.random.default_rng(inputs)
    tensors = {f"{scope}/kernel": rng.normal(size=(inputs + units, 4 * units)).astype(np.float32)}
    tensors[f"{scope}/bias"] = rng.normal(size=4 * units).astype(np.float32)
    return tensors | {f"{scope}/{name}": np.asarray(value, np.float32) for name, value in others.items()}


@pytest.mark.parametrize("name", NAMES)
def test_recorded_graphs(name: str) -> None:
    path = FOLDER / f"{name}.pb"
    assert tensorflow.recognises(path)
    require_outputs(tensorflow.read(path, Stated()), name)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_variables_under_a_description(name: str) -> None:
    """The layers are stated, as a graph tells them; every variable is found by its name and shape."""
    path = FOLDER / f"{name}.npz"
    assert tensorflow.recognises(path)
    described = tensorflow.read(FOLDER / f"{name}.pb", Stated()).description
    without = tuple(
        replace(layer, forget_bias=0.0) if isinstance(layer, LstmLayer) else layer for layer in described.layers
    )
    stated = UNTOLD.get(name, Stated())._replace(description=replace(described, layers=without))
    require_outputs(tensorflow.read(path, stated), name)


@pytest.mark.parametrize("name", ["basic", "bidirectional", "static"])
def test_recorded_variables_alone(name: str) -> None:
    imported = tensorflow.read(FOLDER / f"{name}.npz", Stated())
    require_outputs(imported, name)
    assert any("forget bias 1 is added at run time, the default of BasicLSTMCell" in note for note in imported.notes)


def test_a_graph_tells_what_is_around_the_kernels() -> None:
    layers = tensorflow.read(FOLDER / "peephole_projection_clip.pb", Stated()).description.layers
    assert layers[0] == LstmLayer(
        "level0.rnn.lstm_cell", 3, 4, forget_bias=1.0, projection=3, peephole=True, cell_clip=0.4000000059604645
    )
    layers = tensorflow.read(FOLDER / "multi.pb", Stated()).description.layers
    assert layers[0] == EmbeddingLayer("embedding", 9, 3)
    assert [getattr(layer, "steps", "") for layer in layers] == ["", "all", "last", ""]
    layers = tensorflow.read(FOLDER / "compatible.pb", Stated()).description.layers
    assert layers[0] == LinearLayer("front", 3, 4, "clipped_relu", 0.699999988079071)
    assert isinstance(layers[1], LstmLayer)
    assert layers[1].forget_bias == 0
    imported = tensorflow.read(FOLDER / "bidirectional.pb", Stated())
    assert imported.notes[-1] == "left out after the last layer: Softmax; outputs are what goes into it"


def test_gates_and_rows_of_a_kernel(tmp_path: Path) -> None:
    """Columns i, j, f, o of a kernel become rows input, forget, candidate, output."""
    kernel = np.arange(3 * 8, dtype=np.float32).reshape(3, 8)  # two inputs or one, and units 1 or 2
    tensors = {"rnn/basic_lstm_cell/kernel:0": kernel, "rnn/basic_lstm_cell/bias:0": np.arange(8, dtype=np.float32)}
    imported = tensorflow.read(saved(tmp_path, tensors), Stated())
    weights, order = imported.weights, [0, 1, 4, 5, 2, 3, 6, 7]
    np.testing.assert_array_equal(weights["rnn.basic_lstm_cell.input.weight"], kernel[:1].T[order])
    np.testing.assert_array_equal(weights["rnn.basic_lstm_cell.recurrent.weight"], kernel[1:].T[order])
    np.testing.assert_array_equal(weights["rnn.basic_lstm_cell.bias"], order)
    assert imported.gate_order == "igfo"
    imported = tensorflow.read(saved(tmp_path, tensors), Stated(gate_order="ifco"))
    np.testing.assert_array_equal(imported.weights["rnn.basic_lstm_cell.bias"], range(8))
    assert imported.gate_order == "ifgo"


@pytest.mark.parametrize(
    ("scope", "value"),
    [
        ("rnn/basic_lstm_cell", 1.0),
        ("rnn/lstm_cell_1", 1.0),
        ("lstm_fused_cell", 1.0),
        ("cudnn_lstm/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell", 0.0),
    ],
)
def test_forget_bias_by_the_kind_of_cell(tmp_path: Path, scope: str, value: float) -> None:
    path = saved(tmp_path, cell(scope, 3, 2))
    (layer,) = tensorflow.read(path, Stated()).description.layers
    assert isinstance(layer, LstmLayer)
    assert layer.forget_bias == value
    imported = tensorflow.read(path, Stated(forget_bias=0.25))
    assert imported.description.lstm_layers[0].forget_bias == 0.25
    assert "forget bias 0.25 is added at run time, as stated" in imported.notes[1]
    described = Description("d", (LstmLayer("a", 3, 2, forget_bias=2.0),))
    assert tensorflow.read(path, Stated(described)).description == described


def test_a_forget_bias_that_contradicts_a_graph() -> None:
    path = FOLDER / "basic.pb"
    layers = tensorflow.read(path, Stated()).description.layers
    assert isinstance(layers[0], LstmLayer)
    other = Description("d", (replace(layers[0], forget_bias=0.5), *layers[1:]))
    with pytest.raises(NetworkError, match=r"forget_bias must be 1, as the graph adds it, not 0\.5"):
        tensorflow.read(path, Stated(other))
    assert tensorflow.read(path, Stated(other, forget_bias=0.5)).description == other


def test_a_description_that_contradicts_a_graph() -> None:
    path = FOLDER / "compatible.pb"
    layers = tensorflow.read(path, Stated()).description.layers
    for index, key, value in ((0, "activation", "identity"), (1, "candidate", "sigmoid"), (1, "steps", "last")):
        changed = list(layers)
        clip = {"clip": None} if key == "activation" else {}
        layer: Any = layers[index]
        changed[index] = replace(layer, **{key: value}, **clip)
        with pytest.raises(NetworkError, match=f"must be as the graph has it: {key} is .*, not {value} as described"):
            tensorflow.read(path, Stated(Description("d", tuple(changed))))


def test_variables_of_the_training_are_passed_over(tmp_path: Path) -> None:
    tensors = cell("rnn/basic_lstm_cell", 3, 2)
    extra: Tensors = {
        f"{name}/{slot}:0": array for name, array in tensors.items() for slot in ("Adam", "Adam_1", "Momentum")
    }
    extra["rnn/basic_lstm_cell/kernel/ExponentialMovingAverage"] = tensors["rnn/basic_lstm_cell/kernel"]
    extra |= {
        name: np.asarray(value)
        for name, value in {"global_step:0": 7, "beta1_power": 0.9, "learning_rate": 0.1}.items()
    }
    imported = tensorflow.read(saved(tmp_path, extra | tensors), Stated())
    assert list(imported.weights) == [
        f"rnn.basic_lstm_cell.{part}" for part in ("input.weight", "recurrent.weight", "bias")
    ]
    assert imported.notes[-1].startswith("passed over, being of the training alone: rnn/basic_lstm_cell/kernel/Adam")
    assert imported.notes[-1].endswith(" and 6 more")


def test_safetensors(tmp_path: Path) -> None:
    save_file(cell("rnn/lstm_cell", 3, 2), tmp_path / "w.safetensors")
    assert tensorflow.read(tmp_path / "w.safetensors", Stated()).description.layers[0].inputs == 3  # type: ignore[union-attr]


def test_the_first_versions_names(tmp_path: Path) -> None:
    """Words in a table, a cell of TensorFlow 0.x and a softmax by hand, as the Penn Treebank tutorial had them."""
    arrays = list(cell("x", 3, 2).values())
    tensors = dict(zip(("m/RNN/BasicLSTMCell/Linear/Matrix", "m/RNN/BasicLSTMCell/Linear/Bias"), arrays, strict=True))
    tensors |= {"m/embedding": np.ones((9, 3)), "m/softmax_w": np.ones((2, 9)), "m/softmax_b": np.ones(9)}
    imported = tensorflow.read(saved(tmp_path, tensors), Stated())
    assert [layer.name for layer in imported.description.layers] == ["m.embedding", "m.RNN.BasicLSTMCell", "m.softmax"]
    assert imported.description.layers[1] == LstmLayer("m.RNN.BasicLSTMCell", 3, 2, forget_bias=1.0)


def test_plain_pairs(tmp_path: Path) -> None:
    tensors = cell("rnn/basic_lstm_cell", 3, 2) | {
        "W1": np.ones((2, 5)),
        "b1": np.ones(5),
        "out/W": np.ones((5, 4)),
        "out/b": np.zeros(4),
    }
    layers = (LstmLayer("rnn", 3, 2), LinearLayer("a", 2, 5, "relu"), LinearLayer("b", 5, 4))
    imported = tensorflow.read(saved(tmp_path, tensors), Stated(Description("d", layers)))
    assert imported.weights["a.weight"].shape == (5, 2)
    assert (imported.weights["b.bias"] == 0).all()


def test_layers_of_one_shape_go_by_name_or_number(tmp_path: Path) -> None:
    tensors: Tensors = {}
    for scope, value in (("dense_1", 1.0), ("dense", 0.0), ("dense_2", 2.0)):
        tensors |= {f"{scope}/kernel": np.full((2, 2), value), f"{scope}/bias": np.full(2, value)}
    path = saved(tmp_path, tensors)
    layers = tuple(LinearLayer(name, 2, 2, "relu") for name in ("one", "two", "three"))
    imported = tensorflow.read(path, Stated(Description("d", layers)))
    assert [imported.weights[f"{name}.bias"][0] for name in ("one", "two", "three")] == [0, 1, 2]
    layers = tuple(LinearLayer(name, 2, 2, "relu") for name in ("dense_2", "dense", "dense_1"))
    imported = tensorflow.read(path, Stated(Description("d", layers)))
    assert [imported.weights[f"{layer.name}.bias"][0] for layer in layers] == [2, 0, 1]
    tensors = {name.replace("dense_1", "other"): array for name, array in tensors.items()}
    with pytest.raises(NetworkError, match="layer 'x' must be one part of the file, not other or dense or dense_2"):
        tensorflow.read(saved(tmp_path, tensors), Stated(Description("d", (LinearLayer("x", 2, 2),))))


REFUSED: dict[str, tuple[Tensors, str]] = {
    "opaque": ({"cudnn_lstm/opaque_kernel": np.ones(99)}, "not CuDNN's opaque parameters"),
    "keras": ({"lstm/kernel": np.ones((3, 8)), "lstm/recurrent_kernel": np.ones((2, 8))}, "not of Keras; import its"),
    "gru": (cell("rnn/gru_cell", 3, 2), "cell 'rnn/gru_cell' must be an LSTM of a known kind, not gru_cell"),
    "norm": ({"layer_norm/gamma": np.ones(3)}, "not of a normalization, which networks lack"),
    "columns": ({"lstm_cell/kernel": np.ones((5, 7))}, r"must be of shape \(inputs \+ 1, 4 \* units\), not \(5, 7\)"),
    "bias": (cell("lstm_cell", 3, 2, bias=np.ones(7)), r"bias of 'lstm_cell' must be of shape \(8,\), not \(7,\)"),
    "alone": ({"dense/bias": np.ones(3)}, "variable 'dense/kernel' must be given, not missing beside the bias"),
    "peepholes": (cell("lstm_cell", 3, 2, w_f_diag=np.ones(2)), "of 'lstm_cell' must be three, not forget alone"),
    "one side": (cell("rnn/fw/lstm_cell", 3, 2), "must have one partner in the other direction, not 0"),
    "nothing finite": (cell("lstm_cell", 3, 2, bias=np.full(8, np.nan)), "bias' must be finite, not with NaN"),
    "levels": (cell("cell_0/lstm_cell", 3, 2) | cell("cell_2/lstm_cell", 2, 2), r"numbered 0 and on, not \[0, 2\]"),
    "inner stack": (
        {
            name: array
            for side in ("fw", "bw")
            for level in range(2)
            for name, array in cell(f"rnn/{side}/multi_rnn_cell/cell_{level}/lstm_cell", 3 - level, 2).items()
        },
        "not of a stack inside one direction, which networks lack",
    ),
    "twice": ({"dense/kernel": np.ones((2, 3)), "dense/kernel:0": np.ones((2, 3))}, "must be named once each"),
    "axes": ({"conv/kernel": np.ones((3, 3, 2, 2))}, r"must be a matrix of a known layer, not of shape \(3, 3, 2, 2\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str, tmp_path: Path) -> None:
    tensors, message = REFUSED[name]
    with pytest.raises(NetworkError, match=message):
        tensorflow.read(saved(tmp_path, tensors), Stated())


@pytest.mark.parametrize("name", ["model.pbmm", "model.meta", "model.index", "model.data-00000-of-00001"])
def test_other_forms_are_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert tensorflow.recognises(tmp_path / name)
    with pytest.raises(FileError, match=r"must be a frozen graph \(.pb\) or a file of variables \(.npz\), not"):
        tensorflow.read(tmp_path / name, Stated())


def test_other_files_are_not_recognised(tmp_path: Path) -> None:
    np.savez(tmp_path / "torch.npz", **{"lstm.weight_ih_l0": np.ones((8, 3)), "fc.weight": np.ones((2, 2))})  # type: ignore[arg-type]
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "text.pb").write_text("no graph")
    for name in ("torch.npz", "text.npz", "text.pb", "missing.npz"):
        assert not tensorflow.recognises(tmp_path / name)
