"""Datapaths as JSON values and back, against a validation library."""

import json
from fractions import Fraction
from typing import Any

import pytest
from pydantic import TypeAdapter

from fixedsim.errors import FileError
from fixedsim.formats import Format
from fixedsim.importers import load_network
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model.documents import from_document, to_document
from fixedsim.profiles import profile_names
from fixedsim.profiles.datapath import Accumulator, EmbeddingDatapath, LinearDatapath, Narrowing
from fixedsim.quantization import quantize

FORM = Format(8, -128, 127, scale=Fraction(1, 64))
NARROWING = {"format": to_document(FORM), "rounding": "floor", "overflow": "saturate"}


@pytest.mark.parametrize("profile", profile_names())
def test_every_profile_is_written_as_the_library_writes_it_and_read_back(profile: str) -> None:
    model = quantize(load_network("char-lm"), profile=profile, ranges={"decoder.output": (-16.0, 16.0)})
    for layer in model.layers:
        assert isinstance(layer, Embedding | Linear | Lstm)
        datapath = layer.datapath
        document = to_document(datapath)
        library = TypeAdapter(type(datapath))
        assert json.dumps(document) == json.dumps(library.dump_python(datapath, mode="json"))
        read = from_document(type(datapath), json.loads(json.dumps(document)))
        assert read == datapath == library.validate_python(document)


@pytest.mark.parametrize(
    ("kind", "document", "message"),
    [
        (Format, 3, ": must be a table, not '3'"),
        (Format, {"bits": 8, "raw_min": 0}, "raw_max must be given"),
        (Format, to_document(FORM) | {"bits": "8"}, "bits: must be of type int, not '8'"),
        (Format, to_document(FORM) | {"bits": True}, "bits: must be of type int, not 'True'"),
        (Format, to_document(FORM) | {"scale": "1/0"}, "scale: must be a quotient of two integers, not '1/0'"),
        (Format, to_document(FORM) | {"scale": "x"}, "scale: must be a quotient of two integers, not 'x'"),
        (Narrowing, NARROWING | {"rounding": "up"}, "rounding: must be floor or "),
        (Narrowing, NARROWING | {"format": {}}, "format: bits must be given"),
        (Narrowing, NARROWING | {"primitive": "round"}, "primitive: must be repair_sign or "),
        (Accumulator, {"partial": {}}, "partial: must be a list, not '{}'"),
        (Accumulator, {"partial": [7]}, "partial.0: must be a table, not '7'"),
        (EmbeddingDatapath, {"table": None, "output": NARROWING}, "table: must be a table, not 'None'"),
    ],
)
def test_refuses_by_place(kind: type, document: Any, message: str) -> None:
    with pytest.raises(FileError) as refusal:
        from_document(kind, document)
    assert message in str(refusal.value)


@pytest.mark.parametrize("activation", [None, [], {}, {"kind": "spline"}])
def test_refuses_another_kind_of_function(activation: Any) -> None:
    document: dict[str, Any] = dict.fromkeys(("sum", "preactivation", "output"), NARROWING)
    document |= dict.fromkeys(("input", "weight", "bias"), to_document(FORM))
    document |= {"accumulator": {}, "bias_stage": "first", "activation": activation}
    with pytest.raises(FileError, match=r"activation\.kind: must be table or piecewise_linear or primitive, not"):
        from_document(LinearDatapath, document)


def test_passes_over_keys_that_the_type_lacks() -> None:
    assert from_document(Format, to_document(FORM) | {"later": 1}) == FORM
