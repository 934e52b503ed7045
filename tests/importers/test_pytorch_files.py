"""PyTorch's own files against PyTorch's recorded outputs, and how each convention is read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fixedsim.errors import FixedsimError, NetworkError
from fixedsim.importers import load_network, pytorch
from fixedsim.importers.imported import Imported, Stated
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network
from tests.importers.pytorch_files import Raw, Tensor, archived, members_of, streamed, tensors_of, zipped

RECORDED = Path(__file__).parents[1] / "data" / "trainers" / "pytorch"
FILES = {
    "plain.pt": "plain", "stream.pth": "plain", "protocol4.bin": "plain", "plain.safetensors": "plain",
    "plain_weights.npz": "plain", "checkpoint.pt": "checkpoint", "bfloat16.pt": "bfloat16", "float16.pt": "float16",
    "float64.pt": "float64", "cells.pt": "cells",
}  # fmt: skip
Arrays = dict[str, NDArray[Any]]


def read(path: Path, **stated: Any) -> Imported:
    assert pytorch.recognises(path)
    return pytorch.read(path, Stated(**stated))


@pytest.mark.parametrize(("file", "recorded"), FILES.items())
def test_outputs_are_pytorchs(file: str, recorded: str) -> None:
    imported = read(RECORDED / file)
    with np.load(RECORDED / f"{recorded}.npz") as arrays:
        found = Network(imported.description, imported.weights).forward(arrays["input"], dtype="float32").output
        np.testing.assert_allclose(found, arrays["output"], rtol=0, atol=1e-5 * np.abs(arrays["output"]).max())


@pytest.mark.parametrize("file", FILES)
def test_load_network_takes_every_file(file: str) -> None:
    loaded, imported = load_network(RECORDED / file), read(RECORDED / file)
    assert loaded.description == imported.description
    for name, weight in imported.weights.items():
        np.testing.assert_array_equal(loaded.weights[name], weight)


def test_layers_and_notes_of_a_checkpoint() -> None:
    imported = read(RECORDED / "checkpoint.pt")
    assert imported.description.layers == (
        EmbeddingLayer("embedding", 9, 5),
        LstmLayer("lstm.l0", 5, 6, bidirectional=True, projection=3),
        LstmLayer("lstm.l1", 6, 6, bidirectional=True, projection=3),
        LinearLayer("fc", 6, 9),
    )
    lstm = "gates stacked i, f, g, o; two biases, summed; projected to 3; forward before backward, outputs in the order"
    assert imported.notes == (
        "state dictionary under 'state_dict'",
        "passed over beside it: epoch, optimizer, path, s",
        "prefix '_orig_mod.' taken off the names",
        "prefix 'module.' taken off the names",
        f"lstm.l0: {lstm} of the input",
        f"lstm.l1: {lstm} of the input",
        "layers in the one order that their names and widths allow: embedding, lstm.l0, lstm.l1, fc",
    )


def test_numbered_cells_follow_their_numbers() -> None:
    imported = read(RECORDED / "cells.pt")
    assert imported.description.layers == (LstmLayer("cells.0", 3, 4), LstmLayer("cells.1", 4, 4, bias=False))
    assert "cells.1: gates stacked i, f, g, o; no bias" in imported.notes


def numbered(*numbers: int) -> Arrays:
    """Cells of equal widths under those numbers, in an order of the file that is not theirs."""
    cell = lstm(inputs=2, units=2)
    return {name.replace("lstm.", f"cells.{n}."): array for n in reversed(numbers) for name, array in cell.items()}


def test_equal_cells_follow_their_numbers(tmp_path: Path) -> None:
    imported = read(saved(tmp_path, archived(tensors_of(numbered(2, 9, 10)))))
    assert [layer.name for layer in imported.description.layers] == ["cells.2", "cells.9", "cells.10"]


def test_equal_cells_with_something_else_among_their_numbers(tmp_path: Path) -> None:
    arrays = numbered(0, 2) | linear(2, 2, "cells.1")
    with pytest.raises(NetworkError, match="order of layers must follow from their widths, not be cells"):
        read(saved(tmp_path, archived(tensors_of(arrays))))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("whole_module.pt", "must be one that a state dictionary needs, not another, and is not imported; in the "
         "trainer, save model.state_dict()"),
        ("script.pt", "must be a state dictionary, not a TorchScript module, whose code is not run; in the trainer, "
         "save torch.jit.load(path).state_dict()"),
        ("quantized.pt", "must be floating point, not quantized by 'torch._utils._rebuild_qtensor'; save the float"),
        ("parametrized.pt", "tensor 'parametrizations.weight_hh_l0.original0' must be a plain weight, not a "
         "parametrized or pruned one; in the trainer, call torch.nn.utils.parametrize.remove_parametrizations"),
    ],
)  # fmt: skip
def test_what_is_no_plain_state_dictionary(file: str, message: str) -> None:
    with pytest.raises(FixedsimError) as caught:
        read(RECORDED / file)
    assert message in str(caught.value)


def lstm(seed: int = 3, *, inputs: int = 3, units: int = 2) -> Arrays:
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {"weight_ih_l0": (4 * units, inputs), "weight_hh_l0": (4 * units, units)}
    shapes |= {"bias_ih_l0": (4 * units,), "bias_hh_l0": (4 * units,)}
    return {f"lstm.{name}": rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def linear(outputs: int = 4, inputs: int = 2, name: str = "fc") -> Arrays:
    weight = np.arange(outputs * inputs, dtype=np.float32).reshape(outputs, inputs)
    return {f"{name}.weight": weight, f"{name}.bias": np.ones(outputs, np.float32)}


def saved(folder: Path, content: bytes, name: str = "w.pt") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("form", [archived, streamed])
def test_both_forms_give_the_numbers(tmp_path: Path, form: Callable[[Any], bytes]) -> None:
    arrays = lstm() | linear()
    imported = read(saved(tmp_path, form(tensors_of(arrays))))
    bias = arrays["lstm.bias_ih_l0"].astype(float) + arrays["lstm.bias_hh_l0"].astype(float)
    np.testing.assert_array_equal(imported.weights["lstm.bias"], bias)
    np.testing.assert_array_equal(imported.weights["lstm.input.weight"], arrays["lstm.weight_ih_l0"])
    np.testing.assert_array_equal(imported.weights["fc.weight"], arrays["fc.weight"])
    first, second = imported.bias_pairs["lstm.bias"]
    np.testing.assert_array_equal(first, arrays["lstm.bias_ih_l0"])
    np.testing.assert_array_equal(second, arrays["lstm.bias_hh_l0"])
    assert imported.gate_order == "ifgo"


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_half_precision_of_numpy(tmp_path: Path, suffix: str) -> None:
    path, arrays = tmp_path / f"w{suffix}", {name: array.astype(np.float16) for name, array in linear().items()}
    np.savez(path, **arrays) if suffix == ".npz" else save_file(arrays, path)  # type: ignore[arg-type]
    np.testing.assert_array_equal(read(path).weights["fc.weight"], arrays["fc.weight"])


def test_a_stated_order_of_gates(tmp_path: Path) -> None:
    arrays = lstm(units=1) | linear(4, 1)
    arrays["lstm.bias_ih_l0"] = np.array([1, 2, 3, 4], np.float32)  # i, o, f, g
    arrays["lstm.bias_hh_l0"] = np.zeros(4, np.float32)
    imported = read(saved(tmp_path, archived(tensors_of(arrays))), gate_order="iofc")
    assert imported.weights["lstm.bias"].tolist() == [1, 3, 4, 2]
    assert imported.bias_pairs["lstm.bias"][0].tolist() == [1, 3, 4, 2]
    for part, name in (("input", "ih"), ("recurrent", "hh")):
        expected = arrays[f"lstm.weight_{name}_l0"][[0, 2, 3, 1]]
        np.testing.assert_array_equal(imported.weights[f"lstm.{part}.weight"], expected)
    np.testing.assert_array_equal(imported.weights["fc.bias"], arrays["fc.bias"])
    np.testing.assert_array_equal(imported.weights["fc.weight"], arrays["fc.weight"])
    assert imported.gate_order == "iofg"
    assert imported.notes[0] == "lstm: gates stacked i, o, f, g; two biases, summed"


def test_a_stated_forget_bias(tmp_path: Path) -> None:
    imported = read(saved(tmp_path, archived(tensors_of(lstm()))), forget_bias=1.0)
    assert imported.description.layers == (LstmLayer("lstm", 3, 2, forget_bias=1.0),)
    assert imported.notes[0].endswith("; 1 added to the forget gate at run time")


def test_a_description_gives_activations(tmp_path: Path) -> None:
    path = saved(tmp_path, archived(tensors_of(linear(3, 2, "module.a") | linear(2, 3, "module.b"))))
    with pytest.raises(NetworkError, match=r"order of layers must follow|'a' must be the last layer"):
        read(path)
    description = Description("n", (LinearLayer("a", 2, 3, "relu"), LinearLayer("b", 3, 2)))
    assert read(path, description=description).description == description
    wrapped = Description("n", (LinearLayer("module.a", 2, 3, "relu"), LinearLayer("module.b", 3, 2)))
    assert read(path, description=wrapped).description == wrapped


def test_a_description_that_does_not_fit(tmp_path: Path) -> None:
    path = saved(tmp_path, archived(tensors_of(linear())))
    with pytest.raises(NetworkError, match=r"tensor 'fc.weight' must be of shape \(5, 2\), not \(4, 2\)"):
        read(path, description=Description("n", (LinearLayer("fc", 2, 5),)))


def test_views_of_a_shared_storage(tmp_path: Path) -> None:
    numbers = np.arange(12, dtype=np.float32)
    turned = Tensor(numbers, "0", (2, 3), (1, 2), offset=2)  # element i, j is number 2 + i + 2 j
    repeated = Tensor(numbers, "0", (2,), (0,), offset=5)
    imported = read(saved(tmp_path, archived({"fc.weight": turned, "fc.bias": repeated})))
    assert imported.weights["fc.weight"].tolist() == [[2, 4, 6], [3, 5, 7]]
    assert imported.weights["fc.bias"].tolist() == [5, 5]


def test_numbers_of_a_big_endian_machine(tmp_path: Path) -> None:
    arrays = linear()
    members = members_of(tensors_of(arrays)) | {"byteorder": b"big"}
    for name in members:
        if name.startswith("data/"):
            members[name] = np.frombuffer(members[name], "<f4").astype(">f4").tobytes()
    imported = read(saved(tmp_path, zipped(members)))
    np.testing.assert_array_equal(imported.weights["fc.weight"], arrays["fc.weight"])


def test_bfloat16(tmp_path: Path) -> None:
    bits = np.array([0x3F80, 0xC000, 0x3F81], np.uint16)  # 1, -2, 1 + 2**-7
    weight = Tensor(bits, "0", (1, 3), (3, 1), kind="BFloat16Storage")
    bias = Tensor(np.zeros(1, np.float32), "1", (1,), (1,))
    imported = read(saved(tmp_path, archived({"fc.weight": weight, "fc.bias": bias})))
    assert imported.weights["fc.weight"].tolist() == [[1, -2, 1 + 2**-7]]


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net"])
def test_where_a_checkpoint_has_its_state(tmp_path: Path, key: str) -> None:
    path = saved(tmp_path, archived({"epoch": 3, key: tensors_of(linear())}))
    imported = read(path)
    assert imported.description.layers == (LinearLayer("fc", 2, 4),)
    assert imported.notes == (f"state dictionary under {key!r}", "passed over beside it: epoch")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"model": tensors_of(linear()), "net": tensors_of(linear())},
         "checkpoint must hold one state dictionary, not model, net; save the one to import"),
        ({"epoch": 3}, "file must hold a state dictionary, or a dictionary with one under state_dict or model, not one "
         "of epoch"),
        (3, "or a dictionary with one under state_dict or model, not 3"),
        ({**tensors_of(linear()), "fc._extra_state": None},
         "value 'fc._extra_state' of the state dictionary must be a tensor, not None"),
        ({**tensors_of(linear()), "fc._packed_params.dtype": Raw(b"ctorch\nqint8\n")},
         "tensor 'fc._packed_params.dtype' must be a float weight, not quantized and packed; save the float model"),
        (tensors_of({**linear(), "bn.num_batches_tracked": np.array([4], np.int64)}),
         "tensor 'bn.num_batches_tracked' must be a weight or bias of a known layer, not of another kind"),
        (tensors_of({**linear(), "fc.bias": np.ones(4, np.int64)}), "'fc.bias' must be floating point, not int64"),
        (tensors_of({"fc.weight_g": np.ones((4, 1), np.float32), "fc.weight_v": np.ones((4, 2), np.float32)}),
         "tensor 'fc.weight_g' must be a plain weight, not a weight-normalised one; in the trainer, call "
         "torch.nn.utils.remove_weight_norm before saving"),
        (tensors_of({"lstm.weight_hh_l0_v": np.ones((4, 2), np.float32)}), "not a weight-normalised one"),
        (tensors_of({"fc.weight_orig": np.ones((4, 2), np.float32)}), "not a parametrized or pruned one"),
        (tensors_of({"fc.weight": np.full((4, 2), np.inf, np.float32), "fc.bias": np.ones(4, np.float32)}),
         "tensor 'fc.weight' must be finite, not inf at [0, 0]"),
        (tensors_of({"fc.weight": np.ones((0, 2), np.float32)}), "tensor 'fc.weight' must have elements, not shape"),
        (tensors_of({"a b.weight": np.ones((2, 2), np.float32), "a_b.weight": np.ones((2, 2), np.float32)}),
         "tensor 'a_b.weight' must have a name of its own, not become a second 'a_b.weight'"),
    ],
)  # fmt: skip
def test_what_is_refused_by_name(tmp_path: Path, value: Any, message: str) -> None:
    path = saved(tmp_path, archived(value))
    with pytest.raises(NetworkError) as caught:
        read(path)
    assert message in str(caught.value)


def test_names_that_layers_may_not_have(tmp_path: Path) -> None:
    imported = read(saved(tmp_path, archived(tensors_of(linear(name="head/out:a b")))))
    assert imported.description.layers == (LinearLayer("head.out.a_b", 2, 4),)
    assert imported.notes[0].startswith("names changed to what layers may have: 'head/out:a b.weight' is 'head.out.a_b")


def test_what_is_not_recognised(tmp_path: Path) -> None:
    np.savez(tmp_path / "tf.npz", **{"rnn/kernel": np.ones((2, 2)), "h1": np.ones(2)})  # type: ignore[arg-type]
    for name, content in (
        ("a.bin", b"\0" * 64),
        ("b.bin", zipped({"x": b""})),
        ("c.bin", b"PK\x03\x04"),
        ("d.bin", b""),
    ):
        assert not pytorch.recognises(saved(tmp_path, content, name))
    assert not pytorch.recognises(saved(tmp_path, b"PK\x03\x04 damaged", "d.npz"))
    assert not pytorch.recognises(saved(tmp_path, b"\xff" * 20, "d.safetensors"))
    assert not pytorch.recognises(tmp_path / "tf.npz")
    assert not pytorch.recognises(tmp_path / "missing.bin")
