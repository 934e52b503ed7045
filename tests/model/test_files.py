"""Model files: exact round trips, atomic writes, and refusal of everything that was damaged or made to harm."""

import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FileError, FixedsimError
from fixedsim.model import Model, load_model
from fixedsim.model.store import KEY, _content_digest
from tests.layers.comparison import COMPARED
from tests.model.networks import LANGUAGE, SPEECH, digest, inputs, model
from tests.strategies import Words

Document = dict[str, Any]
Tensors = dict[str, Any]
MEMORY = 64 << 20  # no damaged small file may make the reader allocate more


def everything(value: Any) -> Any:
    """Plain values of a model, arrays as type, shape and bytes."""
    if is_dataclass(value) and not isinstance(value, type):
        return type(value).__name__, {field.name: everything(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, tuple | list):
        return [everything(item) for item in value]
    if isinstance(value, dict):
        return {key: everything(item) for key, item in value.items()}
    return value


@pytest.fixture(scope="module")
def made() -> Model:
    """A model with tables, biases and row constants."""
    return model(SPEECH, weight_bits=4)


@pytest.fixture(scope="module")
def content(made: Model, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of the model."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    made.save(path)
    return path.read_bytes()


CHOICES: list[dict[str, Any]] = [
    {},
    {"profile": "bit-rnn", "weight_bits": 2, "activation_bits": 2},
    {"keep_float": ["both", "out"]},
    {"bits": {"low.gate.*.preactivation": 9, "out.output": 6}, "ranges": {"*": (-1.0, 2.0)}},
]


@pytest.mark.parametrize("choices", CHOICES)
def test_round_trip(tmp_path: Path, choices: dict[str, Any]) -> None:
    made, path = model(SPEECH, **choices), tmp_path / "model.safetensors"
    made.save(path)
    read = load_model(path)
    assert everything(read) == everything(made)
    if not made.real_layers:
        given = inputs(made, 3, 2)
        assert digest(read.run(given, trace="*")) == digest(made.run(given, trace="*"))
    again = tmp_path / "again.safetensors"
    read.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, made: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    made.save(path)
    old = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="must be a writable file, not 'no space left on device'"):
        model(LANGUAGE).save(path)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def refuse(path: Path, data: bytes) -> str:
    """The message with which a file is refused, in little memory."""
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(FixedsimError) as caught:
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()
    return str(caught.value)


def test_truncated_anywhere(tmp_path: Path, content: bytes) -> None:
    header = 8 + struct.unpack("<Q", content[:8])[0]
    places = {0, 1, 7, 8, 9, header - 1, header, header + 1, len(content) - 1}
    for end in sorted(places | set(range(0, len(content), len(content) // 150))):
        refuse(tmp_path / "model.safetensors", content[:end])
        COMPARED["model"] += 1


def test_appended(tmp_path: Path, content: bytes) -> None:
    refuse(tmp_path / "model.safetensors", content + b"\0")


@pytest.mark.parametrize("length", [0, 1, 2, 7, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_lying_header_length(tmp_path: Path, content: bytes, length: int) -> None:
    assert "header" in refuse(tmp_path / "model.safetensors", struct.pack("<Q", length) + content[8:])


def parts(content: bytes) -> tuple[Document, Document, bytes]:
    """The header, the model's document in it, and the data."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"][KEY]), content[8 + length :]


def whole(header: Document, document: Document, data: bytes) -> bytes:
    """The file, its digest that of its content: only what the content says is wrong."""
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        kind = {"I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "F64": "<f8", "U8": "u1"}[entry["dtype"]]
        first, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[first:end], kind).reshape(entry["shape"])
    document.pop("digest", None)
    document["digest"] = _content_digest(document, tensors)
    header["__metadata__"][KEY] = json.dumps(document)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry_of(header: Document, name: str) -> Document:
    found: Document = header[name]
    return found


@pytest.mark.parametrize(
    "shape", [[-1, 5], [1 << 40, 1 << 40], [1 << 62], [], [5, 6, 1], [[5], 6], ["5", 6], [5.0, 6], 7]
)
def test_absurd_shape(tmp_path: Path, content: bytes, shape: Any) -> None:
    header, _, data = parts(content)
    entry_of(header, "fc1.weight")["shape"] = shape
    text = json.dumps(header).encode()
    refuse(tmp_path / "model.safetensors", struct.pack("<Q", len(text)) + text + data)


def edited(edit: Callable[[Document, Document], object]) -> Callable[[bytes], bytes]:
    """The file after an edit of its header and document."""

    def apply(content: bytes) -> bytes:
        header, document, data = parts(content)
        edit(header, document)
        return whole(header, document, data)

    return apply


def at(value: Any, *path: Any, put: Any) -> None:
    """Put a value where a path of keys leads."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = put


def swap_type(header: Document, name: str, dtype: str, size: int) -> None:
    entry = entry_of(header, name)
    first, end = entry["data_offsets"]
    entry |= {"dtype": dtype, "shape": [(end - first) // size]}


def rename(header: Document, name: str, to: str) -> None:
    header[to] = header.pop(name)


HOSTILE: list[tuple[str, Callable[[Document, Document], object], str]] = [
    ("schema", lambda h, d: at(d, "schema", put=99), "fixedsim.model.schema must be 1, 2 or 3, not 99; quantize"),
    ("arithmetic", lambda h, d: at(d, "arithmetic", put=0), "fixedsim.model.arithmetic must be 1, not 0; quantize"),
    ("no schema", lambda h, d: d.pop("schema"), "fixedsim.model.schema must be 1, 2 or 3, not None"),
    ("missing tensor", lambda h, d: h.pop("fc1.bias"), "must be a safetensors file"),  # it leaves a hole
    ("renamed tensor", lambda h, d: rename(h, "fc1.bias", "x"), "tensor 'fc1.bias' is missing"),
    ("float weight", lambda h, d: swap_type(h, "fc1.weight.shift", "F64", 8), "must be integers with 1 axes"),
    ("narrow constants", lambda h, d: swap_type(h, "fc1.weight.shift", "I8", 1), "shift of fc1.weight must be one"),
    ("integer scale", lambda h, d: swap_type(h, "fc1.weight.scale", "I64", 8), "must be floats with 1 axes"),
    ("name", lambda h, d: at(d, "name", put=3), "fixedsim.model.name must be a str, not int"),
    ("no layers", lambda h, d: at(d, "layers", put=[]), "layers of a model must not be empty"),
    ("layers", lambda h, d: at(d, "layers", put={}), "fixedsim.model.layers must be a list, not dict"),
    ("layer", lambda h, d: at(d, "layers", 0, put=7), "must be a model's description"),
    ("kind", lambda h, d: at(d, "layers", 0, "kind", put="Pickle"), "must be of a known kind, not 'Pickle'"),
    ("layer name", lambda h, d: at(d, "layers", 0, "name", put=None), "name of a layer must be a string, not None"),
    ("last", lambda h, d: at(d, "last", put=[[]]), "must be a model's description"),
    ("profile", lambda h, d: at(d, "profile", put=[]), "fixedsim.model.profile must be a dict, not list"),
    ("bits", lambda h, d: at(d, "layers", 0, "datapath", "input", "bits", put=99), "bits must be in 1..64, not 99"),
    (
        "huge bits",
        lambda h, d: at(d, "layers", 0, "datapath", "input", "bits", put=10**400),
        "bits must be in 1..64, not 1000",
    ),
    ("rounding", lambda h, d: at(d, "layers", 0, "datapath", "sum", "rounding", put="up"), "sum.rounding: must be"),
    ("shift", lambda h, d: at(d, "layers", 0, "datapath", "sum", "shift", put=63), "shift must be in -62..62, not 63"),
    ("multiplier", lambda h, d: at(d, "layers", 0, "datapath", "sum", "multiplier", put=0), "multiplier must be in"),
    (
        "scale",
        lambda h, d: at(d, "layers", 0, "datapath", "input", "scale", put="1e999999999"),
        "scale must be written",
    ),
    (
        "long scale",
        lambda h, d: at(d, "layers", 0, "datapath", "input", "scale", put="1/" + "9" * 999),
        "scale must be",
    ),
    ("no scale", lambda h, d: at(d, "layers", 0, "datapath", "input", "scale", put="1/0"), "input.scale"),
    (
        "negative scale",
        lambda h, d: at(d, "layers", 0, "datapath", "input", "scale", put="-1"),
        "scale must be written",
    ),
    ("gates", lambda h, d: at(d, "layers", 1, "datapath", "gates", put=[]), "gates"),
    (
        "initial",
        lambda h, d: at(d, "layers", 1, "datapath", "initial_cell", put=1 << 70),
        "initial cell of low must be",
    ),
    ("directions", lambda h, d: at(d, "layers", 2, "directions", put=[]), "must be a model's description"),
    ("deep", lambda h, d: at(d, "layers", 2, "directions", 0, put={"kind": "Linear", "name": "x"}), "is missing"),
    (
        "table kind",
        lambda h, d: at(d, "layers", 1, "datapath", "cell_activation", "kind", put="poly"),
        "cell_activation",
    ),
    (
        "table digest",
        lambda h, d: at(d, "layers", 1, "datapath", "cell_activation", "values", put="0" * 64),
        "is missing",
    ),
]


@pytest.mark.parametrize(("edit", "message"), [case[1:] for case in HOSTILE])
def test_hostile_content(
    tmp_path: Path, content: bytes, edit: Callable[[Document, Document], object], message: str
) -> None:
    assert message in refuse(tmp_path / "model.safetensors", edited(edit)(content))


def test_layers_must_follow_each_other(tmp_path: Path, content: bytes) -> None:
    data = edited(lambda h, d: d["layers"].insert(0, d["layers"][3]))(content)
    assert "input format of fc1 must be" in refuse(tmp_path / "model.safetensors", data)


def test_a_table_under_a_wrong_digest(tmp_path: Path, content: bytes) -> None:
    """Two tables under each other's names."""
    header, document, data = parts(content)
    first, second = [name for name in header if name.startswith("table.")][:2]
    header[first], header[second] = header[second], header[first]
    message = refuse(tmp_path / "model.safetensors", whole(header, document, data))
    assert "must have the digest of its name" in message


def test_a_changed_weight_is_noticed(tmp_path: Path, content: bytes) -> None:
    assert "the file is damaged" in refuse(tmp_path / "model.safetensors", content[:-1] + bytes([content[-1] ^ 1]))


def test_another_kind_of_file(tmp_path: Path, content: bytes) -> None:
    header, _, data = parts(content)
    header["__metadata__"] = {"other": "1"}
    text = json.dumps(header).encode()
    message = refuse(tmp_path / "model.safetensors", struct.pack("<Q", len(text)) + text + data)
    assert "must be a model with metadata 'fixedsim.model', not another kind of file; make one with quantize" in message


def flips(path: Path, content: bytes, made: Model, count: int) -> None:
    """Up to 4 bytes changed at once, header and data alike: refused, or the same model."""
    words, wanted = Words(count), everything(made)
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for trial in range(count):
        damaged = bytearray(content)
        last = (8, header, len(content))[trial % 3] - 1
        for place in words.integers(0, last, (int(words.integers(1, 4, ()).item()),)).tolist():
            damaged[place] ^= int(words.integers(1, 255, ()).item())
        path.write_bytes(damaged)
        try:
            read = load_model(path)
        except FixedsimError:
            continue
        finally:
            COMPARED["model"] += 1
        assert everything(read) == wanted


def test_flipped_bytes(tmp_path: Path, content: bytes, made: Model) -> None:
    flips(tmp_path / "model.safetensors", content, made, 300)


@pytest.mark.slow
def test_many_flipped_bytes(tmp_path: Path, content: bytes, made: Model) -> None:
    flips(tmp_path / "model.safetensors", content, made, 10_000)


MUTANTS: list[Any] = [None, -1, 0, 1, 63, 1 << 40, 1 << 63, 1 << 70, 0.5, 1e308, "", "wrap", "1/3", [], {}, [1], True]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value that holds no others."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in leaves(item, (*path, index))]
    return [path]


def mutate(path: Path, content: bytes, count: int, choices: Words) -> None:
    """Values of the document replaced, digest and all: refused, or a model that runs the same on both engines."""
    header, document, data = parts(content)
    places = leaves(document["layers"])
    for _ in range(count):
        changed = json.loads(json.dumps(document))
        place = places[int(choices.integers(0, len(places) - 1, ()).item())]
        at(changed["layers"], *place, put=MUTANTS[int(choices.integers(0, len(MUTANTS) - 1, ()).item())])
        path.write_bytes(whole(json.loads(json.dumps(header)), changed, data))
        try:
            made = load_model(path)
            given = inputs(made, 2, 1)
            found = [digest(made.run(given, trace="*", engine=engine)) for engine in ("kernels", "spec")]
        except FixedsimError:
            continue
        finally:
            COMPARED["model"] += 1
        assert found[0] == found[1], place


@pytest.mark.parametrize("choices", CHOICES[:2])
def test_replaced_values(tmp_path: Path, choices: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    model(SPEECH, **choices).save(path)
    mutate(path, path.read_bytes(), 150, Words(11))


@pytest.mark.slow
@pytest.mark.parametrize("choices", CHOICES[:2])
def test_many_replaced_values(tmp_path: Path, choices: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    model(SPEECH, **choices).save(path)
    mutate(path, path.read_bytes(), 2_000, Words(12))


def test_replaced_values_of_real_layers(tmp_path: Path) -> None:
    """Layers left in float64 are read with the same care."""
    path = tmp_path / "model.safetensors"
    model(SPEECH, keep_float=["low", "both", "fc2"]).save(path)
    content, words = path.read_bytes(), Words(13)
    header, document, data = parts(content)
    places = [place for place in leaves(document["layers"]) if "datapath" not in place]
    for place in places:
        for value in MUTANTS:
            changed = json.loads(json.dumps(document))
            at(changed["layers"], *place, put=value)
            path.write_bytes(whole(json.loads(json.dumps(header)), changed, data))
            try:
                load_model(path).run(words.uniform(-1, 1, (2, 1, 6)))
            except FixedsimError:
                continue
            finally:
                COMPARED["model"] += 1
