"""The layers that a model is made of, and what is asked of all of them."""

from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.real_layers import RealBidirectional, RealEmbedding, RealLinear, RealLstm
from fixedsim.layers.reversal import Reversal

IntegerLayer = Embedding | Linear | Lstm | Bidirectional | Reversal
RealLayer = RealEmbedding | RealLinear | RealLstm | RealBidirectional
Layer = IntegerLayer | RealLayer


def input_format(layer: Layer) -> Format | None:
    """The format of the raws that the layer reads; None for tokens and reals."""
    return layer.input_format if isinstance(layer, Linear | Lstm | Bidirectional | Reversal) else None


def output_format(layer: Layer) -> Format | None:
    """The format of the raws that the layer gives; None for reals."""
    return layer.output_format if isinstance(layer, IntegerLayer) else None


def directions(layer: Layer) -> list[Lstm | RealLstm]:
    """The LSTMs in a layer, each with a state of its own; empty for other layers."""
    match layer:
        case Bidirectional() | RealBidirectional():
            return [layer.forward, layer.backward]
        case Lstm() | RealLstm():
            return [layer]
        case _:
            return []
