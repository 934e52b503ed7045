"""What a network would store and compute as an integer model, from its description alone.

The widths of everything behind a layer's weights are read off the layer of one unit that quantization makes under the
same profile and bits; sizes come from the description. So no weight is needed, and no rule is written twice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from fixedsim.accounting.activations import Sized
from fixedsim.accounting.products import MatrixProduct, layer_products
from fixedsim.errors import InputError
from fixedsim.model.layer_kinds import Layer as IntegerOrReal
from fixedsim.model.storage import (
    BIAS_SHIFT_BITS,
    FLOAT_BITS,
    Kind,
    StoredTensor,
    layer_tables,
    layer_tensors,
    table_tensors,
)
from fixedsim.network import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer, Network
from fixedsim.profiles.choices import Granularity
from fixedsim.profiles.datapath import LookupTable
from fixedsim.profiles.profile import Profile
from fixedsim.quantization import quantize
from fixedsim.quantization.targets import INPUT, Widths, activation_names, cast_names, edge_name, is_state

_WIDE_BIAS = 32  # biases from this width on need no shift of their own
_TEMPLATE_BITS = 8  # of its weights, which are replaced


@dataclass(frozen=True)
class Choices:
    """How a network is to become integers: the profile, all widths, and the layers left in float."""

    profile: Profile
    widths: Widths
    bias_bits: int | None
    kept: frozenset[str]
    coded: bool = False  # a Bit-RNN: the embedding holds codes of its outputs

    def bias_width(self, name: str) -> int | None:
        """The width that was asked for a bias; None: what the profile says."""
        own = self.widths.override(name)
        return self.bias_bits if own is None else own


@dataclass(frozen=True)
class _Template:
    """What a layer of one unit stores, computes and reads."""

    layer: IntegerOrReal
    tensors: tuple[StoredTensor, ...]
    products: Mapping[str, MatrixProduct]
    tables: tuple[tuple[str, LookupTable | None], ...]


def described(description: Description, choices: Choices) -> tuple[list[StoredTensor], list[MatrixProduct]]:
    """The tensors that a device stores, tables last and each once, and the matrix products of a time step.

    Where rows have scales of their own, a constant of requantization counts for each row, though rows may turn out
    to share it; the shift of products counts once for a matrix, that of biases for each row below 32 bits.
    """
    tensors: list[StoredTensor] = []
    products: list[MatrixProduct] = []
    tables: dict[tuple[str, LookupTable | None], None] = {}
    before: Layer | None = None
    for layer in description.layers:
        if layer.name in choices.kept:
            tensors += _real_tensors(layer)
            products += _real_products(layer)
        else:
            template = _template_of(layer, before, description, choices)
            tensors += _sized(layer, template, choices)
            products += _sized_products(layer, template, choices)
            tables |= dict.fromkeys(template.tables)
        before = layer
    return [*tensors, *table_tensors(list(tables))], products


def described_layers(description: Description, choices: Choices) -> list[Sized]:
    """The layers with the widths of all their signals, and the description's sizes.

    Raises:
        InputError: a layer that stays in float.
    """
    found: list[Sized] = []
    before: Layer | None = None
    for layer in description.layers:
        if layer.name in choices.kept:
            raise InputError(f"layer {layer.name} must not stay in float where activations are scheduled")
        template = _template_of(layer, before, description, choices).layer
        match layer:
            case EmbeddingLayer():
                found.append(Sized(template, layer.vocabulary, layer.features))
            case LinearLayer():
                found.append(Sized(template, layer.inputs, layer.outputs))
            case LstmLayer():
                if layer.reverse:
                    raise InputError(f"layer {layer.name} must not reverse time by itself to be scheduled")
                found.append(
                    Sized(template, layer.inputs, layer.units, layer.steps == "last", outputs=layer.hidden_width)
                )
        before = layer
    return found


def _kind(name: str) -> Kind:
    return Kind.BIAS if name.endswith(".bias") else Kind.WEIGHT


def _real_tensors(layer: Layer) -> Iterator[StoredTensor]:
    for name, shape in layer.tensors().items():
        yield StoredTensor(name, layer.name, _kind(name), shape, FLOAT_BITS)


def _real_products(layer: Layer) -> Iterator[MatrixProduct]:
    for name, shape in layer.tensors().items():
        if not isinstance(layer, EmbeddingLayer) and len(shape) == 2:
            yield MatrixProduct(name, layer.name, shape[0] * shape[1], FLOAT_BITS, FLOAT_BITS)


def _template_of(layer: Layer, before: Layer | None, description: Description, choices: Choices) -> _Template:
    widths = choices.widths
    inputs = None if isinstance(layer, EmbeddingLayer) else widths[INPUT if before is None else edge_name(before)]
    edge = edge_name(layer)
    free = layer is description.layers[-1] and widths.override(edge) is None
    bits = {name: widths[name] for name in activation_names(layer) if not (free and name == edge)}
    casts = set(cast_names(layer)) if isinstance(layer, LstmLayer) else set[str]()
    inner = {name: width for name, width in widths.overridden.items() if name in casts}
    biases = {name: choices.bias_width(name) for name in layer.tensors() if name.endswith(".bias")}
    given = bits | inner | {name: width for name, width in biases.items() if width is not None}
    small = Description("template", (_of_one_unit(layer),), description.bit_rnn)
    return _template(small, choices.profile, inputs, tuple(given.items()))


def _of_one_unit(layer: Layer) -> Layer:
    match layer:
        case EmbeddingLayer():
            return replace(layer, vocabulary=1, features=1)
        case LinearLayer():
            return replace(layer, inputs=1, outputs=1, bias=True)
        case LstmLayer():
            projection = None if layer.projection is None else 1
            return replace(layer, inputs=1, units=1, bias=True, steps="all", projection=projection, reverse=False)


@lru_cache(maxsize=4096)
def _template(small: Description, profile: Profile, inputs: int | None, bits: tuple[tuple[str, int], ...]) -> _Template:
    network = Network(
        small, {name: np.full(shape, 0.0 if is_state(name) else 0.5) for name, shape in small.tensors().items()}
    )
    model = quantize(
        network,
        profile=profile,
        weight_bits=_TEMPLATE_BITS,
        activation_bits=inputs or _TEMPLATE_BITS,
        bits=dict(bits),
        ranges={"*": (-1.0, 1.0)},
    )
    (layer,) = model.layers
    products = {product.weight: product for product in layer_products(layer)}
    return _Template(layer, tuple(layer_tensors(layer)), products, tuple(layer_tables(layer)))


def _sized(layer: Layer, template: _Template, choices: Choices) -> Iterator[StoredTensor]:
    """The template's tensors with the sizes and weight bits of the layer."""
    shapes = layer.tensors()
    by_row = choices.profile.weight.granularity is Granularity.ROW
    for tensor in template.tensors:
        match tensor.kind:
            case Kind.WEIGHT if is_state(tensor.name):
                yield replace(tensor, shape=shapes[tensor.name])
            case Kind.WEIGHT:
                yield replace(
                    tensor, shape=shapes[tensor.name], bits=_weight_bits(tensor.name, tensor.bits, layer, choices)
                )
            case Kind.BIAS:
                yield from _sized_bias(tensor, layer, choices)
            case _ if tensor.name.endswith(".product_shift"):
                yield tensor
            case _ if not tensor.name.endswith(".bias.shift"):  # a bias brings its own
                weight = tensor.name.rpartition(".")[0]
                yield replace(tensor, shape=(shapes[weight][0] if by_row else 1,))


def _sized_bias(tensor: StoredTensor, layer: Layer, choices: Choices) -> Iterator[StoredTensor]:
    shape = layer.tensors().get(tensor.name)
    if shape is None and isinstance(layer, LstmLayer) and layer.forget_bias:
        shape = (len(layer.gates) * layer.units,)
    if shape is not None:
        yield replace(tensor, shape=shape)
        if tensor.bits < _WIDE_BIAS and choices.profile.bias.fixed is None:
            name = f"{tensor.name}.shift"
            yield StoredTensor(name, tensor.layer, Kind.CONSTANT, shape, BIAS_SHIFT_BITS)


def _weight_bits(name: str, template_bits: int, layer: Layer, choices: Choices) -> int:
    """The width asked for, unless the profile's format is fixed or the table holds an embedding's outputs."""
    coded = isinstance(layer, EmbeddingLayer) and choices.coded
    return template_bits if choices.profile.weight.fixed is not None or coded else choices.widths[name]


def _sized_products(layer: Layer, template: _Template, choices: Choices) -> Iterator[MatrixProduct]:
    shapes = layer.tensors()
    for name, product in template.products.items():
        rows, inputs = shapes[name]
        bits = _weight_bits(name, product.weight_bits, layer, choices)
        yield replace(product, macs=rows * inputs, weight_bits=bits)
