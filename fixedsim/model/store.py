"""A model as one safetensors file: integer tensors, and the rest as JSON in the metadata."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from fixedsim.errors import FileError, FixedsimError
from fixedsim.files import read_tensors, write_atomically
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.parts import Bias, Matrix, smallest
from fixedsim.layers.real_layers import RealBidirectional, RealEmbedding, RealLinear, RealLstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model.documents import from_document, to_document
from fixedsim.model.layer_kinds import Layer
from fixedsim.model.model import ARITHMETIC, Model
from fixedsim.profiles.datapath import EmbeddingDatapath, LinearDatapath, LstmDatapath

SCHEMA = 2
EXTENDED = 3  # of a model with what came after schema 2, so that what reads only that refuses it
READABLE = (1, SCHEMA, EXTENDED)  # schema 1 lacks what came later: zero points of weights, peepholes, projections
KEY = "fixedsim.model"
Tensors = dict[str, NDArray[Any]]
Datapath = TypeVar("Datapath")
_CONSTANTS = ("product_shift", "multiplier", "shift", "zero_point", "scale")
_KINDS: dict[str, type] = {
    "name": str,
    "layers": list,
    "last": list,
    "network": dict,
    "profile": dict,
    "quantization": dict,
    "digest": str,
}
_SCALE = re.compile(r"\d{1,700}(/\d{1,700})?\Z")  # every quotient of two floats, and nothing that grows when read
_REAL_LINEAR = ("activation", "clip")
_REAL_LSTM = ("gate", "candidate", "cell_activation", "initial", "hidden_bits", "reverse")
_REAL_LSTM_MORE = ("coupled", "clip", "cell_clip")
_EXTENSIONS = ("start", "more")  # keys of a layer that only a file of schema 3 has


def save_model(model: Model, path: Path | str) -> None:
    """Write a model; atomically: a killed run leaves the old file or none.

    Raises:
        FileError: the file cannot be written.
    """
    tensors: Tensors = {}
    layers = [_write_layer(layer, tensors) for layer in model.layers]
    document = {
        "schema": EXTENDED if any(map(_is_extended, layers)) else SCHEMA,
        "arithmetic": ARITHMETIC,
        "name": model.name,
        "layers": layers,
        "last": sorted(model.last),
        "network": dict(model.network),
        "profile": dict(model.profile),
        "quantization": dict(model.quantization),
    }
    document["digest"] = _content_digest(document, tensors)
    text = json.dumps(document, allow_nan=False, sort_keys=True)
    write_atomically(
        Path(path), save({name: np.ascontiguousarray(raws) for name, raws in tensors.items()}, {KEY: text})
    )


def _is_extended(entry: Mapping[str, Any]) -> bool:
    """Whether a layer, or a direction of it, has what schema 2 lacks."""
    return any(key in entry for key in _EXTENSIONS) or any(map(_is_extended, entry.get("directions", ())))


def load_model(path: Path | str) -> Model:
    """Read a model, every size, digest and choice checked.

    Raises:
        FileError: the file is missing, damaged, of another kind, or of a schema that this version does not know.
    """
    file = read_tensors(Path(path))
    if KEY not in file.metadata:
        raise FileError(
            f"{path} must be a model with metadata {KEY!r}, not another kind of file; make one with quantize"
        )
    try:
        document = json.loads(file.metadata[KEY])
        _check_document(document, file.tensors)
        reader = _Reader(file.tensors)
        layers = tuple(reader.layer(entry) for entry in document["layers"])
        return Model(
            document["name"],
            layers,
            frozenset(document["last"]),
            document["network"],
            document["profile"],
            document["quantization"],
        )
    except FixedsimError as error:
        raise FileError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise FileError(f"{path}: {KEY} must be a model's description, not {error}") from None


def _check_document(document: dict[str, Any], tensors: Tensors) -> None:
    """Refuse another version, another type of a key, and content that has changed since it was written."""
    for key, known in (("schema", READABLE), ("arithmetic", (ARITHMETIC,))):
        if document.get(key) not in known:
            allowed = ", ".join(map(str, known[:-1])) + f" or {known[-1]}" if known[1:] else str(known[0])
            raise FileError(f"{KEY}.{key} must be {allowed}, not {document.get(key)!r}; quantize the network again")
    for key, kind in _KINDS.items():
        if not isinstance(document[key], kind):
            raise FileError(f"{KEY}.{key} must be a {kind.__name__}, not {type(document[key]).__name__}")
    wanted = document.pop("digest")
    found = _content_digest(document, tensors)
    if wanted != found:
        raise FileError(f"{KEY}.digest must be {found}, that of the content, not {wanted!r}: the file is damaged")


def _content_digest(document: Mapping[str, Any], tensors: Tensors) -> str:
    """SHA-256 of the document and of every tensor: name, type, shape and bytes, in the order of the names."""
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode())
    for name, raws in sorted(tensors.items()):
        digest.update(f"\n{json.dumps(name)} {raws.dtype} {raws.shape}\n".encode())
        digest.update(np.ascontiguousarray(raws).tobytes())
    return digest.hexdigest()


def _dump(datapath: Any, tensors: Tensors) -> Any:
    """The datapath as JSON values, the entries of its tables as tensors named by their digest."""
    return _swap(to_document(datapath), lambda table: _store_table(table, tensors))


def _store_table(table: dict[str, Any], tensors: Tensors) -> dict[str, Any]:
    raws = smallest(table["values"])
    digest = _digest(raws)
    tensors[f"table.{digest}"] = raws
    return {**table, "values": digest}


def _digest(raws: NDArray[Any]) -> str:
    return hashlib.sha256(raws.astype("<i8").tobytes()).hexdigest()


def _swap(value: Any, convert: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """``value`` with every table in it converted."""
    if isinstance(value, list):
        return [_swap(item, convert) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "table":
        return convert(value)
    return {key: _swap(item, convert) for key, item in value.items()}


def _check_scales(value: Any) -> None:
    """Refuse scales that are not written as one integer or as a quotient of two."""
    if isinstance(value, dict):
        scale = value.get("scale", "1")
        if not isinstance(scale, str) or not _SCALE.match(scale):
            raise FileError(f"scale must be written as a quotient of two integers, not {str(scale)[:40]!r}")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_scales(part)


def _write_matrix(name: str, matrix: Matrix, tensors: Tensors) -> None:
    tensors[name] = matrix.weight
    for constant in _CONSTANTS:
        tensors[f"{name}.{constant}"] = getattr(matrix, constant)


def _write_bias(name: str, bias: Bias, tensors: Tensors) -> None:
    tensors[name] = bias.raw
    tensors[f"{name}.shift"] = bias.shift


def _write_layer(layer: Layer, tensors: Tensors) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": type(layer).__name__, "name": layer.name}
    match layer:
        case Embedding():
            tensors[f"{layer.name}.weight"] = layer.table
            tensors[f"{layer.name}.weight.multiplier"] = layer.multiplier
            tensors[f"{layer.name}.weight.shift"] = layer.shift
            return entry | {"datapath": _dump(layer.datapath, tensors)}
        case Linear():
            _write_matrix(f"{layer.name}.weight", layer.matrix, tensors)
            _write_bias(f"{layer.name}.bias", layer.bias, tensors)
            return entry | {"datapath": _dump(layer.datapath, tensors)}
        case Lstm():
            _write_matrix(f"{layer.name}.input.weight", layer.input_matrix, tensors)
            _write_matrix(f"{layer.name}.recurrent.weight", layer.recurrent_matrix, tensors)
            _write_bias(f"{layer.name}.bias", layer.bias, tensors)
            for what, vectors in (("peephole", layer.peephole), ("norm", layer.norm)):
                entry |= {what: sorted(vectors)}
                tensors |= {f"{layer.name}.{what}.{gate}": smallest(raws) for gate, raws in vectors.items()}
            if layer.projection is not None:
                entry |= {"projection": _write_layer(layer.projection, tensors)}
            if layer.start:
                entry |= {"start": sorted(layer.start)}
                tensors |= {f"{layer.name}.start.{what}": smallest(raws) for what, raws in layer.start.items()}
            return entry | {"datapath": _dump(layer.datapath, tensors)}
        case Bidirectional() | RealBidirectional():
            both = [_write_layer(part, tensors) for part in (layer.forward, layer.backward)]
            return entry | {"directions": both}
        case Reversal():
            return entry | {"form": to_document(layer.form)}
        case RealEmbedding():
            tensors[f"{layer.name}.weight"] = layer.weight
            return entry
        case RealLinear():
            tensors |= {f"{layer.name}.weight": layer.weight, f"{layer.name}.bias": layer.bias}
            return entry | {key: getattr(layer, key) for key in _REAL_LINEAR}
        case RealLstm():
            tensors |= {
                f"{layer.name}.input.weight": layer.input_weight,
                f"{layer.name}.recurrent.weight": layer.recurrent_weight,
                f"{layer.name}.bias": layer.bias,
            }
            more = _real_lstm_more(layer, tensors)
            return entry | {key: getattr(layer, key) for key in _REAL_LSTM} | ({"more": more} if more else {})


def _real_lstm_more(layer: RealLstm, tensors: Tensors) -> dict[str, Any]:
    """What an LSTM in float64 may have beside four gates: keys where they are set, tensors under the layer's name."""
    more = {key: getattr(layer, key) for key in _REAL_LSTM_MORE if getattr(layer, key)}
    vectors: dict[str, Mapping[str, NDArray[Any]]] = {"peephole": layer.peephole, "start": layer.start}
    for what, named in vectors.items():
        if named:
            more[what] = sorted(named)
            tensors |= {f"{layer.name}.{what}.{part}": values for part, values in named.items()}
    if layer.projection is not None:
        more["projection"] = True
        tensors[f"{layer.name}.projection.weight"] = layer.projection
    return more


class _Reader:
    """Builds layers from a file's tensors."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors

    def tensor(self, name: str, kinds: str = "i", axes: int = 1) -> NDArray[Any]:
        if name not in self.tensors:
            raise FileError(f"tensor {name!r} is missing")
        values = self.tensors[name]
        if values.dtype.kind not in kinds or values.ndim != axes:
            wanted = "integers" if kinds == "i" else "floats"
            raise FileError(f"tensor {name!r} must be {wanted} with {axes} axes, not {values.dtype}{values.shape}")
        return values

    def reals(self, name: str, axes: int = 1) -> NDArray[np.float64]:
        values = self.tensor(name, "f", axes).astype(np.float64)
        if not np.all(np.isfinite(values)):
            raise FileError(f"tensor {name!r} must be finite, not NaN or infinity")
        return values

    def datapath(self, kind: type[Datapath], entry: Mapping[str, Any]) -> Datapath:
        _check_scales(entry["datapath"])
        return from_document(kind, _swap(entry["datapath"], self._table))

    def _table(self, table: dict[str, Any]) -> dict[str, Any]:
        raws = self.tensor(f"table.{table['values']}")
        if _digest(raws) != table["values"]:
            raise FileError(f"tensor 'table.{table['values']}' must have the digest of its name, not {_digest(raws)}")
        return {**table, "values": tuple(raws.tolist())}

    def constants(self, name: str) -> dict[str, Any]:
        return {
            constant: self.reals(f"{name}.scale") if constant == "scale" else self.tensor(f"{name}.{constant}")
            for constant in _CONSTANTS
            if constant != "zero_point" or f"{name}.zero_point" in self.tensors
        }

    def vectors(self, entry: Mapping[str, Any], what: str) -> dict[str, NDArray[Any]]:
        return {gate: self.tensor(f"{entry['name']}.{what}.{gate}") for gate in entry.get(what, ())}

    def projection(self, entry: Mapping[str, Any]) -> Linear | None:
        if "projection" not in entry:
            return None
        layer = self.layer(entry["projection"])
        if not isinstance(layer, Linear):
            raise FileError(f"projection of {entry['name']} must be a Linear, not a {type(layer).__name__}")
        return layer

    def layer(self, entry: Mapping[str, Any]) -> Layer:
        name = entry["name"]
        if not isinstance(name, str):
            raise FileError(f"name of a layer must be a string, not {name!r}")
        match entry["kind"]:
            case "Embedding":
                return Embedding.from_raws(
                    name,
                    self.tensor(f"{name}.weight", axes=2),
                    self.datapath(EmbeddingDatapath, entry),
                    multiplier=self.tensor(f"{name}.weight.multiplier"),
                    shift=self.tensor(f"{name}.weight.shift"),
                )
            case "Linear":
                return Linear.from_raws(
                    name,
                    self.tensor(f"{name}.weight", axes=2),
                    self.tensor(f"{name}.bias"),
                    self.datapath(LinearDatapath, entry),
                    bias_shift=self.tensor(f"{name}.bias.shift"),
                    **self.constants(f"{name}.weight"),
                )
            case "Lstm":
                return Lstm.from_raws(
                    name,
                    self.tensor(f"{name}.input.weight", axes=2),
                    self.tensor(f"{name}.recurrent.weight", axes=2),
                    self.tensor(f"{name}.bias"),
                    self.datapath(LstmDatapath, entry),
                    input_constants=self.constants(f"{name}.input.weight"),
                    recurrent_constants=self.constants(f"{name}.recurrent.weight"),
                    bias_shift=self.tensor(f"{name}.bias.shift"),
                    peephole=self.vectors(entry, "peephole"),
                    norm=self.vectors(entry, "norm"),
                    projection=self.projection(entry),
                    start=self.vectors(entry, "start"),
                )
            case "Bidirectional":
                forward, backward = (self.layer(part) for part in entry["directions"])
                if not isinstance(forward, Lstm) or not isinstance(backward, Lstm):
                    raise FileError(f"directions of {name} must be two Lstm")
                return Bidirectional(name, forward, backward)
            case "Reversal":
                _check_scales(entry["form"])
                return Reversal(name, from_document(Format, entry["form"]))
            case _:
                return self._real_layer(entry)

    def _real_layer(self, entry: Mapping[str, Any]) -> Layer:
        name = entry["name"]
        match entry["kind"]:
            case "RealEmbedding":
                return RealEmbedding(name, self.reals(f"{name}.weight", 2))
            case "RealLinear":
                choices = {key: entry[key] for key in _REAL_LINEAR}
                return RealLinear(name, self.reals(f"{name}.weight", 2), self.reals(f"{name}.bias"), **choices)
            case "RealLstm":
                return RealLstm(
                    name,
                    self.reals(f"{name}.input.weight", 2),
                    self.reals(f"{name}.recurrent.weight", 2),
                    self.reals(f"{name}.bias"),
                    **{key: entry[key] for key in _REAL_LSTM},
                    **self._real_lstm_more(name, entry.get("more", {})),
                )
            case "RealBidirectional":
                forward, backward = (self.layer(part) for part in entry["directions"])
                if not isinstance(forward, RealLstm) or not isinstance(backward, RealLstm):
                    raise FileError(f"directions of {name} must be two RealLstm")
                return RealBidirectional(name, forward, backward)
            case other:
                raise FileError(f"layer {name!r} must be of a known kind, not {other!r}")

    def _real_lstm_more(self, name: str, more: Mapping[str, Any]) -> dict[str, Any]:
        found = {key: more[key] for key in _REAL_LSTM_MORE if key in more}
        for what in ("peephole", "start"):
            found[what] = {part: self.reals(f"{name}.{what}.{part}") for part in more.get(what, ())}
        if "projection" in more:
            found["projection"] = self.reals(f"{name}.projection.weight", 2)
        return found
