"""What users write: keys and types of a network description, refused with the key's name and the nearest right one."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from fixedsim.errors import NetworkError, nearest
from fixedsim.network.layer_types import EmbeddingLayer, Layer, LinearLayer, LstmLayer

MAX_LAYERS = 1024
MAX_DEPTH = 64


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class EmbeddingSchema(_Strict):
    """Keys of an embedding."""

    kind: Literal["embedding"]
    name: str
    vocabulary: int
    features: int

    def layers(self, width: int | None) -> Iterator[Layer]:
        """The one layer."""
        yield EmbeddingLayer(**self.model_dump(exclude={"kind"}))


class LinearSchema(_Strict):
    """Keys of a fully connected layer; ``inputs`` may be left out after another layer."""

    kind: Literal["linear"]
    name: str
    inputs: int | None = None
    outputs: int
    activation: str = "identity"
    clip: float | None = None
    bias: bool = True

    def layers(self, width: int | None) -> Iterator[Layer]:
        """The one layer, with the width before it where ``inputs`` is left out."""
        inputs = _inputs(self.name, self.inputs, width)
        yield LinearLayer(inputs=inputs, **self.model_dump(exclude={"kind", "inputs"}))


class LstmSchema(_Strict):
    """Keys of an LSTM, or of a stack of ``depth``; ``inputs`` may be left out after another layer."""

    kind: Literal["lstm"]
    name: str
    inputs: int | None = None
    units: int
    depth: Annotated[int, Field(ge=1, le=MAX_DEPTH)] = 1
    bidirectional: bool = False
    gate: str = "sigmoid"
    candidate: str = "tanh"
    cell_activation: str = "tanh"
    forget_bias: float = 0.0
    bias: bool = True
    steps: str = "all"
    projection: int | None = None
    peephole: bool = False
    coupled: bool = False
    clip: float | None = None
    cell_clip: float | None = None
    reverse: bool = False
    initial: bool = False

    def layers(self, width: int | None) -> Iterator[Layer]:
        """One layer, or ``<name>.l0`` and on; all but the last hand every step to the next."""
        inputs = _inputs(self.name, self.inputs, width)
        common = self.model_dump(exclude={"kind", "name", "inputs", "depth", "steps"})
        for level in range(self.depth):
            layer = LstmLayer(
                name=self.name if self.depth == 1 else f"{self.name}.l{level}",
                inputs=inputs,
                steps=self.steps if level == self.depth - 1 else "all",
                **common,
            )
            inputs = layer.output_width
            yield layer


class BitRnnSchema(_Strict):
    """Keys of the Bit-RNN rule."""

    weight_bits: int
    activation_bits: int


LayerSchema = Annotated[EmbeddingSchema | LinearSchema | LstmSchema, Field(discriminator="kind")]


class DescriptionSchema(_Strict):
    """Keys of a network description."""

    name: str
    layers: Annotated[list[LayerSchema], Field(max_length=MAX_LAYERS)]
    bit_rnn: BitRnnSchema | None = None
    initial_state: Literal["zero", "half"] = "zero"

    def expanded_layers(self) -> tuple[Layer, ...]:
        """The layers with inputs filled in and stacks expanded.

        Raises:
            NetworkError: a layer that is not possible.
        """
        layers: list[Layer] = []
        for schema in self.layers:
            layers.extend(schema.layers(layers[-1].output_width if layers else None))
        return tuple(layers)


class DescriptionFileSchema(DescriptionSchema):
    """Keys of a description file: a description and, where it has one, the file of its weights."""

    weights: str | None = None


SchemaType = TypeVar("SchemaType", bound=BaseModel)
_LAYERS: dict[str, type[BaseModel]] = {"embedding": EmbeddingSchema, "linear": LinearSchema, "lstm": LstmSchema}
_CONSTRAINTS = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "an array of tables",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def validated(schema: type[SchemaType], data: Mapping[str, Any], source: str) -> SchemaType:
    """``data`` with its keys and types checked.

    Raises:
        NetworkError: the first key that is wrong, named with ``source``.
    """
    try:
        return schema.model_validate(dict(data))
    except ValidationError as error:
        raise NetworkError(f"{source}: {_message(schema, error.errors()[0])}") from None


def _message(schema: type[BaseModel], error: ErrorDetails) -> str:
    path = [part for index, part in enumerate(error["loc"]) if not (index == 2 and error["loc"][0] == "layers")]
    subject, value = _dotted(path), repr(error["input"])[:200]
    match error["type"]:
        case "extra_forbidden":
            known = _model_at(schema, error["loc"]).model_fields
            return f"{subject} must be a known key, not {path[-1]!r}{nearest(str(path[-1]), known)}"
        case "missing":
            return f"{subject} must be given, not missing"
        case "union_tag_not_found":
            return f"{subject}.kind must be given, not missing; known: {', '.join(_LAYERS)}"
        case "union_tag_invalid":
            kind = str(error["input"].get("kind"))
            return f"{subject}.kind must be a known kind, not {kind!r}{nearest(kind, _LAYERS)}"
        case "literal_error":
            return f"{subject} must be {error['ctx']['expected']}, not {value}"
        case "greater_than_equal" | "less_than_equal":
            return f"{subject} must be in 1..{MAX_DEPTH}, not {value}"
        case "too_long":
            return f"{subject} must hold at most {MAX_LAYERS} layers, not {error['ctx']['actual_length']}"
        case kind:
            return f"{subject} must be {_CONSTRAINTS.get(kind, error['msg'])}, not {value}"


def _model_at(schema: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """The schema whose key the location names: a layer's, the Bit-RNN rule's or the description's."""
    if location[0] == "layers" and len(location) > 2:
        return _LAYERS[str(location[2])]
    return BitRnnSchema if location[0] == "bit_rnn" and len(location) > 1 else schema


def _dotted(path: list[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _inputs(name: str, given: int | None, width: int | None) -> int:
    """The width that a layer reads: the one given, else that of the layer before."""
    inputs = width if given is None else given
    if inputs is None:
        raise NetworkError(f"layer {name!r}: inputs must be given on the first layer, not missing")
    return inputs
