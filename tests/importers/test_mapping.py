"""Mapping files: where each tensor is, how it lies, and what is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fixedsim.errors import NetworkError
from fixedsim.importers import mapping
from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.mapping import reading
from fixedsim.network import Description, LinearLayer, LstmLayer

HEAD = """
name = "mine"

[[layers]]
kind = "lstm"
name = "lstm"
inputs = 3
units = 2

[[layers]]
kind = "linear"
name = "fc"
outputs = 4

[tensors]
"""
PLAIN = {
    "lstm.input.weight": '{ file = "w.npy" }',
    "lstm.recurrent.weight": '{ file = "r.npy" }',
    "lstm.bias": '{ file = "b.npy" }',
    "fc.weight": '{ file = "f.npy" }',
    "fc.bias": '{ file = "fb.csv" }',
}
NONE: Mapping[str, str] = {}
NOTHING = Stated()
RNG = np.random.default_rng(0)
W, R, B, F = (RNG.normal(size=shape) for shape in ((8, 3), (8, 2), 8, (4, 2)))


def written(folder: Path, entries: Mapping[str, str] = NONE, head: str = HEAD) -> Path:
    """A mapping file whose tensors are plain but for ``entries``, beside the files of all."""
    for name, array in {"w": W, "r": R, "b": B, "f": F}.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "fb.csv").write_text("# biases\n1, 2,\t3e0,-.5\n")
    lines = (f'"{name}" = {value}' for name, value in (PLAIN | dict(entries)).items() if value)
    (folder / "net.toml").write_text(head + "\n".join(lines) + "\n")
    return folder / "net.toml"


def imported(folder: Path, entries: Mapping[str, str] = NONE, stated: Stated = NOTHING) -> Imported:
    return mapping.read(written(folder, entries), stated)


def test_plain_files(tmp_path: Path) -> None:
    network = imported(tmp_path)
    assert network.description == Description("mine", (LstmLayer("lstm", 3, 2), LinearLayer("fc", 2, 4)))
    wanted = {
        "lstm.input.weight": W,
        "lstm.recurrent.weight": R,
        "lstm.bias": B,
        "fc.weight": F,
        "fc.bias": [1, 2, 3, -0.5],
    }
    assert list(network.weights) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(network.weights[name], array)
        assert network.weights[name].dtype == np.float64
    assert network.gate_order == "ifgo"
    assert mapping.recognises(tmp_path / "net.toml")


ROWS = [0, 1, 4, 5, 2, 3, 6, 7]  # i, g, f, o to i, f, g, o and back


def test_a_stacked_kernel(tmp_path: Path) -> None:
    """One kernel as TensorFlow's cells have it: (inputs + units, 4 * units), gates i, j, f, o."""
    np.save(tmp_path / "k.npy", np.concatenate([W[ROWS].T, R[ROWS].T]).astype(np.float32, order="F"))
    network = imported(
        tmp_path,
        {
            "lstm.input.weight": '{ file = "k.npy", rows = [0, 3], transpose = true, order = "ijfo" }',
            "lstm.recurrent.weight": '{ file = "k.npy", rows = [3, 5], transpose = true, order = "ijfo" }',
        },
    )
    np.testing.assert_array_equal(network.weights["lstm.input.weight"], W.astype(np.float32))
    np.testing.assert_array_equal(network.weights["lstm.recurrent.weight"], R.astype(np.float32))
    assert "lstm.input.weight: gates stacked i, g, f, o; transposed" in network.notes
    assert "lstm.bias: gates stacked i, f, g, o" in network.notes


def test_columns_and_scale(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.concatenate([F, W[:4]], axis=1))
    network = imported(tmp_path, {"fc.weight": '{ file = "wide.npy", columns = [0, 2], scale = 0.5 }'})
    np.testing.assert_array_equal(network.weights["fc.weight"], 0.5 * F)


def test_two_biases(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", B[ROWS] + 1)
    network = imported(tmp_path, {"lstm.bias": '[{ file = "b.npy" }, { file = "c.npy", order = "igfo" }]'})
    np.testing.assert_array_equal(network.weights["lstm.bias"], B + (B + 1))
    np.testing.assert_array_equal(network.bias_pairs["lstm.bias"], (B, B + 1))
    assert "lstm.bias: gates stacked i, f, g, o and i, g, f, o; 2 arrays, summed" in network.notes


def test_a_file_to_each_gate(tmp_path: Path) -> None:
    for gate, rows in zip("oifc", (B[6:], B[:2], B[2:4], B[4:6]), strict=True):
        (tmp_path / f"{gate}.csv").write_text("".join(f"{value!r}\n" for value in rows.tolist()))
    parts = ", ".join(f'{{ file = "{gate}.csv" }}' for gate in "oifc")
    network = imported(tmp_path, {"lstm.bias": f'{{ stack = [{parts}], order = "oifc" }}'})
    np.testing.assert_array_equal(network.weights["lstm.bias"], B)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_archives(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "sub").mkdir()
    tensors = {"a/b:0": F.astype(np.float32), "c": np.zeros(4, np.float32)}
    if suffix == "npz":
        np.savez(tmp_path / "sub" / "t.npz", **tensors)  # type: ignore[arg-type]
    else:
        save_file(tensors, tmp_path / "sub" / "t.safetensors")
    network = imported(
        tmp_path,
        {
            "fc.weight": f'{{ file = "sub/t.{suffix}", tensor = "a/b:0" }}',
            "fc.bias": f'{{ file = "sub/t.{suffix}", tensor = "c" }}',
        },
    )
    np.testing.assert_array_equal(network.weights["fc.weight"], F.astype(np.float32))


def test_integers(tmp_path: Path) -> None:
    np.save(tmp_path / "q.npy", np.arange(8, dtype=">i2").reshape(4, 2))
    network = imported(tmp_path, {"fc.weight": '{ file = "q.npy", scale = 0.25 }'})
    np.testing.assert_array_equal(network.weights["fc.weight"], np.arange(8).reshape(4, 2) / 4)


def test_stated_conventions(tmp_path: Path) -> None:
    """A stated order holds where the file names none, a stated forget bias for every LSTM."""
    entries = {"lstm.recurrent.weight": '{ file = "r.npy", order = "ifgo" }'}
    network = imported(tmp_path, entries, Stated(gate_order="ijfo", forget_bias=1.0))
    np.testing.assert_array_equal(network.weights["lstm.input.weight"], W[ROWS])
    np.testing.assert_array_equal(network.weights["lstm.recurrent.weight"], R)
    assert network.description.lstm_layers[0].forget_bias == 1
    assert network.gate_order == "igfo"


def test_a_stated_description(tmp_path: Path) -> None:
    described = Description("mine", (LstmLayer("lstm", 3, 2), LinearLayer("fc", 2, 4, "relu")))
    path = written(tmp_path, head="[tensors]\n")
    assert mapping.read(path, Stated(described)).description == described
    with pytest.raises(NetworkError, match="layers must be those of the description that is stated, or left out"):
        mapping.read(written(tmp_path), Stated(described))
    with pytest.raises(NetworkError, match="name must be given, not missing"):
        mapping.read(written(tmp_path, head="[tensors]\n"), Stated())


def test_coupled_gates_and_every_part(tmp_path: Path) -> None:
    """Three gates are taken as they are; peepholes, projections and initial states have names too."""
    head = HEAD.replace("units = 2", "units = 2\ncoupled = true\npeephole = true\nprojection = 2\ninitial = true")
    arrays: dict[str, NDArray[Any]] = {
        "input.weight": W[:6], "recurrent.weight": R[:6], "bias": B[:6], "projection.weight": F[:2],
        **{f"peephole.{gate}": B[:2] for gate in ("forget", "output")},
        "initial.hidden": B[2:4], "initial.cell": B[4:6],
    }  # fmt: skip
    entries = {}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
        entries[f"lstm.{name}"] = f'{{ file = "{name}.npy" }}'
    network = mapping.read(written(tmp_path, entries, head), Stated())
    np.testing.assert_array_equal(network.weights["lstm.input.weight"], W[:6])
    entries["lstm.bias"] = '{ file = "bias.npy", order = "ifgo" }'
    with pytest.raises(NetworkError, match="order must be left out, not 'ifgo', for it has not four gates"):
        mapping.read(written(tmp_path, entries, head), Stated())


KEYS = {
    "unknown key": ('{ file = "f.npy", transposed = true }', "must be a known key, not 'transposed'; did you mean"),
    "no file": ("{ transpose = true }", r"tensors.'fc.weight': file must be given, not missing"),
    "a string": ('"f.npy"', "must be a table with the key 'file' or 'stack', not 'f.npy'"),
    "a number": ('{ file = "f.npy", transpose = 1 }', "transpose must be true or false, not 1"),
    "one bound": ('{ file = "f.npy", rows = [1] }', r"rows must be first and end in 0..4, not \[1\]"),
    "no parts": ("[]", r"must have 1..64 parts, not 0"),
    "many parts": ("[" + '{ file = "f.npy" },' * 65 + "]", r"must have 1..64 parts, not 65"),
    "an order in a stack": ('{ stack = [{ file = "f.npy", order = "ifgo" }] }', "order must stand beside 'stack'"),
    "a stack and a file": ('{ stack = [{ file = "f.npy" }], file = "f.npy" }', "file must be a known key"),
    "a shape": ('{ file = "r.npy" }', r"tensor 'fc.weight' must be of shape \(4, 2\), not \(8, 2\)"),
    "turned": ('{ file = "f.npy", transpose = true }', r"must be of shape \(4, 2\), not \(2, 4\); transpose = true\?"),
    "rows beyond": ('{ file = "f.npy", rows = [2, 9] }', r"rows must be first and end in 0..4, not \[2, 9\]"),
    "order of no gates": ('{ file = "f.npy", order = "ifgo" }', "order must be left out, not 'ifgo'"),
    "columns of a vector": ('{ file = "b.npy", columns = [0, 1] }', r"columns must be first and end in 0..0"),
    "scale": ('{ file = "f.npy", scale = inf }', "tensor 'fc.weight' must be finite"),
    "member": ('{ file = "f.npy", tensor = "x" }', "f.npy: tensor must be left out for a .npy file, not 'x'"),
    "left out": ("", "tensors.'fc.weight' must be given, not missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_keys_and_shapes(name: str, tmp_path: Path) -> None:
    value, message = KEYS[name]
    with pytest.raises(NetworkError, match=message):
        imported(tmp_path, {"fc.weight": value})


def test_a_tensor_that_no_layer_has(tmp_path: Path) -> None:
    with pytest.raises(
        NetworkError, match=r"tensors.'fc.wieght' must be one of the network's; did you mean 'fc.weight'"
    ):
        imported(tmp_path, {"fc.wieght": '{ file = "f.npy" }'})
    with pytest.raises(NetworkError, match="gate order must be i, f, o and one of g, c, j, z"):
        imported(tmp_path, {"lstm.bias": '{ file = "b.npy", order = "ifff" }'})


def test_other_toml_files_are_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "description.toml").write_text('name = "x"\nlayers = []\n')
    (tmp_path / "damaged.toml").write_text("[tensors")
    for name in ("description.toml", "damaged.toml", "missing.toml"):
        assert not mapping.recognises(tmp_path / name)
    with pytest.raises(NetworkError, match=r"weights must be left out beside \[tensors\], not given"):
        mapping.read(written(tmp_path, head='weights = "w.npz"\n' + HEAD), Stated())


def test_few_files_do_not_become_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "QUIET_BYTES", 100)
    monkeypatch.setattr(reading, "MAX_EXPANSION", 0)
    with pytest.raises(NetworkError, match="weights must take at most 100 bytes, 0 times the files, not 192"):
        imported(tmp_path)
