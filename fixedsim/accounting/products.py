"""The multiply-accumulates of a time step, and the bits that go into them."""

from collections.abc import Iterator
from dataclasses import dataclass

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.real_layers import RealBidirectional, RealLinear, RealLstm
from fixedsim.model.layer_kinds import Layer
from fixedsim.model.storage import FLOAT_BITS


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    """One matrix times one vector, once for each time step of a sequence; ``weight`` names the matrix."""

    weight: str
    layer: str
    macs: int
    weight_bits: int
    activation_bits: int

    @property
    def bit_operations(self) -> int:
        """Multiply-accumulates times weight bits times activation bits."""
        return self.macs * self.weight_bits * self.activation_bits


def layer_products(layer: Layer, owner: str | None = None) -> Iterator[MatrixProduct]:
    """The matrix products of a layer, both directions of a bidirectional one and projections included."""
    owner = layer.name if owner is None else owner
    match layer:
        case Linear():
            path = layer.datapath
            yield MatrixProduct(
                f"{layer.name}.weight", owner, layer.matrix.weight.size, path.weight.bits, path.input.bits
            )
        case Lstm():
            yield from _lstm(layer, owner)
        case Bidirectional() | RealBidirectional():
            yield from layer_products(layer.forward, owner)
            yield from layer_products(layer.backward, owner)
        case RealLinear():
            yield MatrixProduct(f"{layer.name}.weight", owner, layer.weight.size, FLOAT_BITS, FLOAT_BITS)
        case RealLstm():
            for source, weight in (("input", layer.input_weight), ("recurrent", layer.recurrent_weight)):
                yield MatrixProduct(f"{layer.name}.{source}.weight", owner, weight.size, FLOAT_BITS, FLOAT_BITS)


def _lstm(layer: Lstm, owner: str) -> Iterator[MatrixProduct]:
    path = layer.datapath
    read = layer.state_format if path.hidden_rescale is None else path.hidden_rescale.format
    matrices = layer.input_matrix, layer.recurrent_matrix
    widths = (path.weight.bits, path.read_input.bits), (path.recurrent_weight.bits, read.bits)
    for source, matrix, (weight_bits, activation_bits) in zip(("input", "recurrent"), matrices, widths, strict=True):
        name = f"{layer.name}.{source}.weight"
        yield MatrixProduct(name, owner, matrix.weight.size, weight_bits, activation_bits)
    if layer.projection is not None:
        yield from layer_products(layer.projection, owner)
