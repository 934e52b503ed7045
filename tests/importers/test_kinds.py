"""Which kind a file is: by its content, the more special kind first, and what is said where none or several fit."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from fixedsim import import_network
from fixedsim.errors import FileError, FixedsimError
from fixedsim.importers import kinds
from fixedsim.importers.kinds import KINDS, Kind, kind_named, kind_of
from tests.importers.planted import Direction

LSTM = Direction.drawn(3, 2, 0).tensors("lstm", "l0")
BIT_RNN = {"arch": "Bit-RNN LSTM LM", "w_bit": "2", "a_bit": "2", "forget_bias": "1.0"}


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.gives == "network"], ids=lambda kind: kind.name
)
def test_every_kind_has_a_reader(kind: Kind, tmp_path: Path) -> None:
    """It exists, and says of odd content that it is not its own instead of raising."""
    assert callable(kind.reader.read)
    assert kind.summary
    for suffix in kind.suffixes:
        for content in (
            b"",
            b"\x00" * 64,
            b"PK\x03\x04broken",
            b"\x89HDF\r\n\x1a\n" + b"\xff" * 99,
            b"[[[",
            b"\x08" * 9,
        ):
            path = tmp_path / f"odd{suffix}"
            path.write_bytes(content)
            assert kind.recognises(path) in (True, False)
        assert kind.recognises(tmp_path / f"absent{suffix}") in (True, False)
    assert not kind.recognises(tmp_path)


def test_own_and_bit_rnn_go_before_pytorch(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(LSTM, path)
    assert kind_of(path).name == "pytorch"
    import_network(path).network.save(tmp_path / "own.safetensors")
    assert kind_of(tmp_path / "own.safetensors").name == "fixedsim"
    save_file(LSTM, path, BIT_RNN)
    assert kind_of(path).name == "bit-rnn"
    np.savez(tmp_path / "w.npz", **LSTM)  # type: ignore[arg-type]
    assert kind_of(tmp_path / "w.npz").name == "pytorch"


def test_by_content_where_the_ending_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, **LSTM)  # type: ignore[arg-type]
    with pytest.raises(FileError, match="must be recognised by one kind of file, not by none"):
        kind_of(path.rename(tmp_path / "w.weights"))  # arrays are read by their endings
    recorded = Path(__file__).parents[1] / "data" / "recorded" / "litert" / "tflite" / "lstm_i8_h6_t5_b1.tflite"
    assert kind_of(recorded).name == "tflite"


def test_none_says_what_was_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "w.pb"
    path.write_bytes(b"nothing")
    with pytest.raises(FileError) as caught:
        kind_of(path)
    assert str(caught.value) == (
        f"{path} must be recognised by one kind of file, not by none; looked for tensorflow (TensorFlow 1 "
        "variables and frozen graphs), deepspeech (Mozilla DeepSpeech checkpoints and graphs); state the kind (--from "
        "KIND, in Python kind=)"
    )
    odd = path.rename(tmp_path / "w.odd")
    with pytest.raises(FileError) as caught:
        kind_of(odd)
    for kind in KINDS.values():
        assert f"{kind.name} ({', '.join(kind.suffixes)})" in str(caught.value)


def test_several_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = SimpleNamespace(recognises=lambda path: True)
    monkeypatch.setattr(kinds, "import_module", lambda name: everything)
    path = tmp_path / "w.npz"
    path.write_bytes(b"")
    with pytest.raises(
        FileError, match=r"not by fixedsim and bit-rnn and deepspeech; looked for fixedsim \(fixedsim's"
    ):
        kind_of(path)


def test_missing_and_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"absent.npz must be a readable file, not 'no such file or directory'"):
        kind_of(tmp_path / "absent.npz")
    for suffix, message in (
        (".npz", "must be an .npz archive, not"),
        (".safetensors", "header length must be in 2..2"),
    ):
        path = tmp_path / f"w{suffix}"
        path.write_bytes(b"12345678")
        with pytest.raises(FileError, match=message):
            kind_of(path)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"not by none; looked for .*hls4ml \(hls4ml projects\)"):
        kind_of(tmp_path)
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "parameters.h").write_text("")
    assert kind_of(tmp_path).name == "hls4ml"


def test_kinds_by_name() -> None:
    assert kind_named("onnx") is KINDS["onnx"]
    with pytest.raises(FileError, match="kind must be a known one, not 'torch'; did you mean 'pytorch'"):
        kind_named("torch")


def test_kinds_within_others_exist() -> None:
    for kind in KINDS.values():
        assert set(kind.within) <= KINDS.keys()
        if kind.gives == "network":
            import_module(f"fixedsim.importers.{kind.module}")


TRAINERS = Path(__file__).parents[1] / "data" / "trainers"
FIXTURES = [
    ("pytorch/plain.pt", "pytorch"),
    ("pytorch/plain.safetensors", "pytorch"),
    ("pytorch/plain_weights.npz", "pytorch"),
    ("pytorch/protocol4.bin", "pytorch"),
    ("keras/tagger2.h5", "keras"),
    ("keras/tagger3.weights.h5", "keras"),
    ("keras/tagger3.keras", "keras"),
    ("onnx/torch_both_first.onnx", "onnx"),
    ("onnx/peephole.onnx", "onnx"),
    ("tensorflow/basic.npz", "tensorflow"),
    ("tensorflow/basic.pb", "tensorflow"),
    ("tensorflow/deepspeech_v0.9.npz", "deepspeech"),
    ("tensorflow/deepspeech_v0.9.pb", "deepspeech"),
]


def test_a_saved_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert kind_of(tmp_path).name == "keras"
    with pytest.raises(FixedsimError, match=r"\.keras"):
        import_network(tmp_path)


@pytest.mark.parametrize(("name", "kind"), FIXTURES)
def test_what_trainers_wrote(name: str, kind: str) -> None:
    assert kind_of(TRAINERS / name).name == kind
