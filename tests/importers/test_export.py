"""Exported weights come back bit for bit, and what PyTorch lacks is refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from fixedsim import export_network, import_network
from fixedsim.errors import FileError, NetworkError
from fixedsim.network import BitRnnRule, Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer, Network

STACK: tuple[Layer, ...] = (
    EmbeddingLayer("emb", 9, 3),
    LstmLayer("rnn.l0", 3, 2, bidirectional=True),
    LstmLayer("rnn.l1", 4, 2, bidirectional=True),
    LinearLayer("out", 4, 7),
)


def drawn(*layers: Layer, dtype: str = "float64", **more: Any) -> Network:
    rng, description = np.random.default_rng(0), Description("drawn", layers, **more)
    return Network(
        description, {name: rng.normal(size=shape).astype(dtype) for name, shape in description.tensors().items()}
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize("layout", ["pytorch", "fixedsim"])
@pytest.mark.parametrize(
    "layers",
    [
        STACK,
        (LstmLayer("lstm", 3, 2), LinearLayer("fc", 2, 5, bias=False)),
        (LstmLayer("lstm", 3, 2, bias=False),),
        (LstmLayer("lstm", 5, 4, projection=2, bidirectional=True),),
    ],
)
def test_there_and_back(tmp_path: Path, layers: tuple[Layer, ...], layout: Any, suffix: str, dtype: Any) -> None:
    network, path = drawn(*layers, dtype=dtype), tmp_path / f"out{suffix}"
    assert [note for note in export_network(network, path, layout) if "proj_size" not in note] == []
    back = import_network(path, dtype=dtype)
    assert back.kind == layout
    assert back.network.description.layers == layers
    assert back.network.weights.keys() == network.weights.keys()
    for name, weight in network.weights.items():
        assert back.network.weights[name].dtype == weight.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(back.network.weights[name], weight)


def test_the_names_of_a_module(tmp_path: Path) -> None:
    network = drawn(*STACK, dtype="float32")
    export_network(network, tmp_path / "out.safetensors", prefix="model")
    tensors = load_file(tmp_path / "out.safetensors")
    lstm = {
        f"model.rnn.{part}_l{level}{ending}"
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        for level in (0, 1)
        for ending in ("", "_reverse")
    }
    assert tensors.keys() == {"model.emb.weight", "model.out.weight", "model.out.bias", *lstm}
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(
        tensors["model.rnn.weight_ih_l1_reverse"], network.weights["rnn.l1.backward.input.weight"]
    )
    np.testing.assert_array_equal(tensors["model.rnn.bias_ih_l0"], network.weights["rnn.l0.forward.bias"])
    assert not tensors["model.rnn.bias_hh_l0"].any()
    export_network(network, tmp_path / "dot.npz", prefix="model.")
    with np.load(tmp_path / "dot.npz") as archive:
        assert set(archive) == tensors.keys()


@pytest.mark.parametrize("bias", [True, False])
def test_forget_bias_is_folded_in(tmp_path: Path, bias: bool) -> None:
    network = drawn(LstmLayer("lstm", 3, 2, forget_bias=1.0, bias=bias), dtype="float32")
    notes = export_network(network, tmp_path / "out.npz")
    assert notes == ("lstm: the forget bias of 1 is inside the bias",)
    with np.load(tmp_path / "out.npz") as archive:
        own = network.weights["lstm.bias"] if bias else np.zeros(8, np.float32)
        wanted = own + np.array([0, 0, 1, 1, 0, 0, 0, 0], np.float32)
        np.testing.assert_array_equal(archive["lstm.bias_ih_l0"], wanted)
        assert archive["lstm.bias_ih_l0"].dtype == np.float32
    x = np.random.default_rng(1).normal(size=(5, 3))
    back = import_network(tmp_path / "out.npz").network
    np.testing.assert_allclose(back.forward(x).output, network.forward(x).output, rtol=1e-6)


def test_a_level_without_bias_gets_zeros_beside_one_with(tmp_path: Path) -> None:
    layers = (LstmLayer("rnn.l0", 3, 2), LstmLayer("rnn.l1", 2, 2, bias=False))
    export_network(drawn(*layers), tmp_path / "out.safetensors")
    tensors = load_file(tmp_path / "out.safetensors")
    assert not tensors["rnn.bias_ih_l1"].any()
    assert tensors["rnn.bias_ih_l0"].all()


def test_what_a_module_must_do_beside(tmp_path: Path) -> None:
    network = drawn(
        LinearLayer("a", 3, 4, "clipped_relu", clip=20.0),
        LstmLayer("lstm", 4, 3, steps="last", projection=2),
        LinearLayer("b", 2, 2, "hard_tanh"),
    )
    assert export_network(network, tmp_path / "out.npz") == (
        "a: apply clipped_relu at 20 after it",
        "lstm: nn.LSTM needs proj_size=2",
        "lstm: take h_n of the last level, which is the output after each direction's last step",
        "b: apply hard_tanh after it",
    )


LACKING = [
    ({"gate": "hard_sigmoid"}, "gate must be sigmoid for PyTorch's nn.LSTM, not 'hard_sigmoid'"),
    ({"candidate": "sigmoid"}, "candidate must be tanh for PyTorch's nn.LSTM, not 'sigmoid'"),
    ({"cell_activation": "relu"}, "cell_activation must be tanh for PyTorch's nn.LSTM, not 'relu'"),
    ({"peephole": True}, "peephole must be absent for PyTorch's nn.LSTM, not True"),
    ({"coupled": True}, "coupled must be absent for PyTorch's nn.LSTM, not True"),
    ({"clip": 3.0}, "clip must be absent for PyTorch's nn.LSTM, not 3.0"),
    ({"cell_clip": 3.0}, "cell_clip must be absent for PyTorch's nn.LSTM, not 3.0"),
    ({"reverse": True}, "reverse must be absent for PyTorch's nn.LSTM, not True"),
    ({"initial": True}, "initial must be absent for PyTorch's nn.LSTM, not True"),
    ({"projection": 2}, "projection must be in 1..1 for PyTorch's nn.LSTM, not 2"),
]


@pytest.mark.parametrize(("choice", "message"), LACKING)
def test_what_pytorch_lacks(tmp_path: Path, choice: dict[str, Any], message: str) -> None:
    network, path = drawn(LstmLayer("lstm", 3, 2, **choice)), tmp_path / "out.safetensors"
    with pytest.raises(NetworkError) as caught:
        export_network(network, path)
    assert str(caught.value) == f"layer 'lstm': {message}; export it with the layout fixedsim"
    assert not path.exists()
    export_network(network, path, "fixedsim")
    back = import_network(path).network
    assert back.description == network.description
    for name, weight in network.weights.items():
        np.testing.assert_array_equal(back.weights[name], weight)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (drawn(LstmLayer("lstm", 3, 2), bit_rnn=BitRnnRule(2, 2)), "bit_rnn must be absent for PyTorch's modules"),
        (drawn(LstmLayer("lstm", 3, 2), initial_state="half"), "initial_state must be zero for PyTorch's modules, not"),
        (
            drawn(LstmLayer("rnn.l0", 3, 2), LstmLayer("rnn.l1", 2, 3)),
            "layer 'rnn.l1': units must be 2 as of 'rnn.l0' for PyTorch's nn.LSTM, not 3",
        ),
        (
            drawn(LstmLayer("rnn.l0", 3, 2), LstmLayer("rnn.l1", 2, 2, bidirectional=True)),
            "layer 'rnn.l1': bidirectional must be False as of 'rnn.l0'",
        ),
        (drawn(LstmLayer("rnn.l1", 3, 2)), "levels of 'rnn' must be 0 and on for PyTorch's nn.LSTM, not [1]"),
    ],
)
def test_what_a_module_cannot_hold(tmp_path: Path, network: Network, message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        export_network(network, tmp_path / "out.npz")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments(tmp_path: Path) -> None:
    network = drawn(LinearLayer("fc", 3, 2))
    with pytest.raises(FileError, match=r"out.pt must end in .safetensors or .npz, not '.pt'"):
        export_network(network, tmp_path / "out.pt")
    with pytest.raises(NetworkError, match="layout must be a known one, not 'torch'; did you mean 'pytorch'"):
        export_network(network, tmp_path / "out.npz", "torch")  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match="prefix must be left out for the layout fixedsim, not 'm'"):
        export_network(network, tmp_path / "out.npz", "fixedsim", prefix="m")
    with pytest.raises(FileError, match=r"no/out\.npz must be a writable file, not 'no such file or directory'"):
        export_network(network, tmp_path / "no" / "out.npz")
