"""Networks from PyTorch's and Bit-RNN's files: names, gate orders, biases, and what is refused."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fixedsim.errors import FileError, NetworkError
from fixedsim.importers import load_network
from fixedsim.network import BitRnnRule, Description, EmbeddingLayer, LinearLayer, LstmLayer

Tensors = dict[str, NDArray[Any]]


def zeros(**shapes: tuple[int, ...]) -> Tensors:
    """Float32 tensors by name; ``__`` stands for a dot."""
    return {name.replace("__", "."): np.zeros(shape, np.float32) for name, shape in shapes.items()}


def lstm(prefix: str, inputs: int, units: int, *, levels: int = 1, both: bool = False) -> Tensors:
    """What ``nn.LSTM(inputs, units, levels, bidirectional=both)`` has in its state dictionary, random."""
    rng, tensors = np.random.default_rng(inputs), {}
    for level in range(levels):
        width = inputs if level == 0 else units * (1 + both)
        for side in ("", "_reverse")[: 1 + both]:
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (4 * units, width), "weight_hh": (4 * units, units)}
            shapes |= {"bias_ih": (4 * units,), "bias_hh": (4 * units,)}
            for part, shape in shapes.items():
                tensors[f"{prefix}{part}_l{level}{side}"] = rng.normal(size=shape).astype(np.float32)
    return tensors


def saved(folder: Path, tensors: Tensors, **metadata: str) -> Path:
    save_file(tensors, folder / "w.safetensors", metadata or None)
    return folder / "w.safetensors"


def test_a_stack_of_everything_in_any_order_of_the_file(tmp_path: Path) -> None:
    parts = [zeros(emb__weight=(9, 3)), lstm("rnn.", 3, 2, levels=2, both=True), zeros(z__weight=(5, 4), z__bias=(5,))]
    wanted = (
        EmbeddingLayer("emb", 9, 3),
        LstmLayer("rnn.l0", 3, 2, bidirectional=True),
        LstmLayer("rnn.l1", 4, 2, bidirectional=True),
        LinearLayer("z", 4, 5),
    )
    for order in permutations(parts):
        path = tmp_path / "w.npz"
        np.savez(path, **{name: tensor for part in order for name, tensor in part.items()})  # type: ignore[arg-type]
        assert load_network(path).description.layers == wanted


def test_two_biases_are_summed_in_float64(tmp_path: Path) -> None:
    tensors = lstm("a.", 3, 2)
    tensors["a.bias_ih_l0"][:], tensors["a.bias_hh_l0"][:] = 1, 2.0**-30
    network = load_network(saved(tmp_path, tensors))
    assert (network.weights["a.bias"] == 1 + 2.0**-30).all()
    np.testing.assert_array_equal(network.weights["a.input.weight"], tensors["a.weight_ih_l0"])
    np.testing.assert_array_equal(network.weights["a.recurrent.weight"], tensors["a.weight_hh_l0"])
    single = load_network(saved(tmp_path, tensors), dtype="float32")
    assert single.weights["a.bias"].dtype == np.float32
    assert (single.weights["a.bias"] == 1).all()


@pytest.mark.parametrize("kept", ["bias_ih", "bias_hh"])
def test_one_bias_alone(tmp_path: Path, kept: str) -> None:
    tensors = {name: tensor for name, tensor in lstm("a.", 3, 2).items() if "bias" not in name or kept in name}
    network = load_network(saved(tmp_path, tensors))
    np.testing.assert_array_equal(network.weights["a.bias"], tensors[f"a.{kept}_l0"])


def test_no_biases(tmp_path: Path) -> None:
    tensors = {name: tensor for name, tensor in lstm("a.", 3, 2).items() if "bias" not in name}
    assert load_network(saved(tmp_path, tensors)).description.layers == (LstmLayer("a", 3, 2, bias=False),)


def test_modules_without_a_name_and_a_cell(tmp_path: Path) -> None:
    cell = {name.replace("_l0", ""): tensor for name, tensor in lstm("", 3, 2).items()}
    for tensors in (lstm("", 3, 2), cell):
        network = load_network(saved(tmp_path, tensors))
        assert network.description.layers == (LstmLayer("lstm", 3, 2),)
        np.testing.assert_array_equal(network.weights["lstm.recurrent.weight"], lstm("", 3, 2)["weight_hh_l0"])
    assert load_network(saved(tmp_path, zeros(weight=(2, 3), bias=(2,)))).description.layers == (
        LinearLayer("linear", 3, 2),
    )


def test_a_module_whose_name_looks_like_a_level(tmp_path: Path) -> None:
    network = load_network(saved(tmp_path, lstm("net.l1.", 3, 2)))
    assert network.description.layers == (LstmLayer("net.l1.l0", 3, 2),)


def test_matrix_without_bias_is_linear_where_it_cannot_be_an_embedding(tmp_path: Path) -> None:
    network = load_network(saved(tmp_path, {**lstm("a.", 3, 2), **zeros(out__weight=(5, 2))}))
    assert network.description.layers == (LstmLayer("a", 3, 2), LinearLayer("out", 2, 5, bias=False))


def test_half_precision_becomes_the_dtype_asked_for(tmp_path: Path) -> None:
    network = load_network(saved(tmp_path, {"fc.weight": np.ones((2, 3), np.float16), "fc.bias": np.ones(2)}))
    assert {tensor.dtype for tensor in network.weights.values()} == {np.dtype(np.float64)}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (zeros(bn__running_mean=(3,)), "tensor 'bn.running_mean' must be a weight or bias of a known layer"),
        ({**lstm("a.", 3, 2), **zeros(a__weight_hr_l0=(1, 2))},
         "tensor 'a.weight_hh_l0' must be of shape (8, 1), not (8, 2)"),
        (zeros(g__weight_ih_l0=(6, 3), g__weight_hh_l0=(6, 2)),
         "tensor 'g.weight_ih_l0' must have 8 rows as an LSTM's, not 6"),
        (zeros(g__weight_ih_l0=(8, 3)), "tensor 'g.weight_hh_l0' must be given, not missing"),
        (zeros(g__weight_ih_l0=(8, 3), g__weight_hh_l0=(6, 2)),
         "tensor 'g.weight_hh_l0' must be of shape (8, 2), not (6, 2)"),
        (zeros(g__weight_ih_l1=(8, 3), g__weight_hh_l1=(8, 2)), "levels of 'g' must be 0 and on, not [1]"),
        (zeros(fc__bias=(2,)), "tensor 'fc.weight' must be given, not missing"),
        (zeros(conv__weight=(2, 3, 3), conv__bias=(2,)), "'conv.weight' must be a matrix, not of shape (2, 3, 3)"),
        (zeros(a__weight=(2, 3), a__bias=(2,), b__weight=(4, 5), b__bias=(4,)),
         "layers must follow each other in width in some order, not a, b; describe the network in a TOML file"),
        (zeros(a__weight=(3, 3), a__bias=(3,), b__weight=(3, 3), b__bias=(3,)),
         "order of layers must follow from their widths, not be a (linear) -> b (linear) or b (linear) -> a (linear)"),
        (zeros(a__weight=(2, 3)), "not be a (embedding) or a (linear); describe"),
        (zeros(a__weight=(2, 3), a__bias=(2,), b__weight=(4, 2), b__bias=(4,)),
         "layer 'a' must be the last layer, not followed by another, because the file does not tell its activation"),
        ({f"l{i}.weight": np.zeros((2, 2)) for i in range(11)}, "modules without a description must be 1..10, not 11"),
        ({**zeros(fc__weight=(2, 3)), "fc.bias": np.zeros(2, np.int32)},
         "tensor 'fc.bias' must be floating point, not int32"),
        ({**zeros(fc__weight=(2, 3)), "fc.bias": np.full(2, np.nan)}, "'fc.bias' must be finite, not nan at [0]"),
        ({**zeros(emb__weight=(4, 3)), **lstm("a.", 3, 2), **zeros(a__bias_ih_l0_reverse=(8,))},
         "tensor 'a.bias_ih_l0_reverse' must be one of the network's, not unknown; did you mean 'a.bias_ih_l0'?"),
    ],
)  # fmt: skip
def test_what_is_not_understood(tmp_path: Path, tensors: Tensors, message: str) -> None:
    path = saved(tmp_path, tensors)
    with pytest.raises(NetworkError) as caught:
        load_network(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


TOML = """
name = "n"
{weights}
[[layers]]
kind = "linear"
name = "a"
inputs = 3
outputs = 2
activation = "relu"
[[layers]]
kind = "linear"
name = "b"
outputs = 4
"""


def test_description_beside_the_weights(tmp_path: Path) -> None:
    tensors = zeros(a__weight=(2, 3), a__bias=(2,), b__weight=(4, 2), b__bias=(4,))
    saved(tmp_path, tensors)
    toml = tmp_path / "n.toml"
    toml.write_text(TOML.format(weights='weights = "w.safetensors"'))
    network = load_network(toml)
    assert network.description.layers[0] == LinearLayer("a", 3, 2, "relu")
    toml.write_text(TOML.format(weights=""))
    assert load_network(str(toml), str(tmp_path / "w.safetensors")).description == network.description
    with pytest.raises(NetworkError) as caught:
        load_network(toml)
    assert str(caught.value) == f"weights must be given for the description {toml}, not missing; name a file of weights"


def test_described_tensor_that_is_missing(tmp_path: Path) -> None:
    saved(tmp_path, zeros(a__weight=(2, 3), a__bias=(2,), b__wieght=(4, 2), b__bias=(4,)))
    (tmp_path / "n.toml").write_text(TOML.format(weights='weights = "w.safetensors"'))
    with pytest.raises(NetworkError, match=r"w.safetensors: tensor 'b.weight' must be given, not missing; did you"):
        load_network(tmp_path / "n.toml")


def test_canonical_names(tmp_path: Path) -> None:
    tensors = zeros(lstm__input__weight=(8, 3), lstm__recurrent__weight=(8, 2), lstm__bias=(8,))
    saved(tmp_path, tensors)
    toml = tmp_path / "n.toml"
    toml.write_text('name="n"\nweights="w.safetensors"\n[[layers]]\nkind="lstm"\nname="lstm"\ninputs=3\nunits=2\n')
    assert load_network(toml).description.layers == (LstmLayer("lstm", 3, 2),)


def test_preset_needs_weights_of_its_sizes(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="weights must be given for the description ptb-lm, not missing"):
        load_network("ptb-lm")
    path = saved(tmp_path, zeros(embedding__weight=(3, 3)))
    with pytest.raises(NetworkError, match=r"'embedding.weight' must be of shape \(10000, 300\), not \(3, 3\)"):
        load_network("ptb-lm", path)
    with pytest.raises(NetworkError, match=r"file or a known name, not 'ptb'; did you mean 'ptb-lm'"):
        load_network("ptb", path)


def test_arguments_that_do_not_fit(tmp_path: Path) -> None:
    path = saved(tmp_path, zeros(fc__weight=(2, 3), fc__bias=(2,)))
    with pytest.raises(NetworkError, match=r"weights must be absent where the network is the file .*, not x"):
        load_network(path, "x")
    with pytest.raises(NetworkError, match="dtype must be float64 or float32, not 'float16'"):
        load_network(path, dtype="float16")  # type: ignore[arg-type]
    with pytest.raises(FileError, match=r"w.pt must be a readable file, not 'no such file or directory'"):
        load_network("ptb-lm", "w.pt")
    path = path.rename(path.with_suffix(".weights"))
    with pytest.raises(FileError, match=r"w.weights must be recognised by one kind of file, not by none; looked for"):
        load_network("ptb-lm", path)


BIT_METADATA = {
    "arch": "Bit-RNN LSTM LM", "gate_order": "i,j,f,o", "w_bit": "4", "a_bit": "2", "forget_bias": "1.0",
    "initial_state": "c=h=2/3",
}  # fmt: skip


def bit_tensors() -> Tensors:
    """Rows 0, 1 are the input gate's, 2, 3 the candidate's, 4, 5 the forget gate's, 6, 7 the output gate's."""
    row = np.arange(8, dtype=np.float32)
    weights = {"lstm.weight_ih_l0": np.repeat(row[:, None], 3, 1), "lstm.weight_hh_l0": np.repeat(row[:, None], 2, 1)}
    return {**weights, "lstm.bias_l0": row, **zeros(embedding__weight=(5, 3), fc__weight=(5, 2), fc__bias=(5,))}


def test_bit_rnn_rows_and_rule(tmp_path: Path) -> None:
    network = load_network(saved(tmp_path, bit_tensors(), **BIT_METADATA))
    wanted = [0, 1, 4, 5, 2, 3, 6, 7]
    assert network.weights["lstm.bias"].tolist() == wanted
    assert network.weights["lstm.input.weight"][:, 2].tolist() == wanted
    assert network.weights["lstm.recurrent.weight"][:, 1].tolist() == wanted
    assert network.description == Description(
        "bit-rnn",
        (
            EmbeddingLayer("embedding", 5, 3),
            LstmLayer("lstm", 3, 2, candidate="sigmoid", cell_activation="sigmoid", forget_bias=1.0),
            LinearLayer("fc", 2, 5),
        ),
        BitRnnRule(4, 2),
        "half",
    )


def test_bit_rnn_saved_and_loaded_runs_the_same(tmp_path: Path) -> None:
    network = load_network(saved(tmp_path, bit_tensors(), **BIT_METADATA))
    network.save(tmp_path / "again.safetensors")
    again = load_network(tmp_path / "again.safetensors")
    assert again.description == network.description
    np.testing.assert_array_equal(again.forward([0, 1]).output, network.forward([0, 1]).output)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gate_order": "i,f,j,o"}, "metadata 'gate_order' must be 'i,j,f,o', not 'i,f,j,o'"),
        ({"w_bit": "four"}, "metadata 'w_bit' must be a number, not 'four'"),
        ({"w_bit": "4.5"}, "metadata 'w_bit' must be a whole number, not '4.5'"),
        ({"w_bit": "99"}, "bit_rnn: weight_bits must be in 1..16, not 99"),
        ({"a_bit": None}, "metadata 'a_bit' must be given, not missing"),
        ({"forget_bias": None}, "metadata 'forget_bias' must be given, not missing"),
        ({"forget_bias": "1/0"}, "metadata 'forget_bias' must be a number, not '1/0'"),
        ({"initial_state": "c=h=1/3"}, "metadata 'initial_state' must be 'c=h=2/3', not 'c=h=1/3'"),
    ],
)
def test_bit_rnn_metadata(tmp_path: Path, change: dict[str, str | None], message: str) -> None:
    metadata = {key: value for key, value in {**BIT_METADATA, **change}.items() if value is not None}
    path = saved(tmp_path, bit_tensors(), **metadata)
    with pytest.raises(NetworkError) as caught:
        load_network(path)
    assert str(caught.value) == f"{path}: {message}"


def test_bit_rnn_weights_do_not_fit_a_plain_description(tmp_path: Path) -> None:
    saved(tmp_path, bit_tensors(), **BIT_METADATA)
    toml = tmp_path / "n.toml"
    layers = '[[layers]]\nkind="embedding"\nname="embedding"\nvocabulary=5\nfeatures=3\n'
    layers += '[[layers]]\nkind="lstm"\nname="lstm"\nunits=2\n{more}\n[[layers]]\nkind="linear"\nname="fc"\noutputs=5\n'
    toml.write_text('name="n"\nweights="w.safetensors"\n' + layers.format(more=""))
    with pytest.raises(NetworkError, match="layer 'lstm' must be as the file describes it, LstmLayer"):
        load_network(toml)
    same = 'candidate="sigmoid"\ncell_activation="sigmoid"\nforget_bias=1.0'
    toml.write_text('name="n"\nweights="w.safetensors"\n' + layers.format(more=same))
    assert load_network(toml).description.bit_rnn is None


def test_embedding_alone_does_not_fit_a_longer_description(tmp_path: Path) -> None:
    path = saved(tmp_path, zeros(emb__weight=(5, 3)))
    load_network(path).save(tmp_path / "own.safetensors")
    toml = tmp_path / "n.toml"
    toml.write_text(
        'name="n"\nweights="own.safetensors"\n[[layers]]\nkind="embedding"\nname="emb"\nvocabulary=5\nfeatures=3\n'
        '[[layers]]\nkind="linear"\nname="fc"\noutputs=5\n'
    )
    with pytest.raises(NetworkError, match="layers must be 1 as the file describes them, not 2"):
        load_network(toml)


def test_archive_with_its_description(tmp_path: Path) -> None:
    description = Description("n", (LinearLayer("fc", 3, 2, "relu"),))
    members: dict[str, Any] = {**zeros(fc__weight=(2, 3), fc__bias=(2,))}
    members["fixedsim.network"] = json.dumps(description.to_dict())
    np.savez(tmp_path / "w.npz", **members)
    assert load_network(tmp_path / "w.npz").description == description
