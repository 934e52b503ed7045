"""How many bits a model's weights and biases take, packed without gaps."""

from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.real_layers import RealBidirectional, RealEmbedding, RealLinear
from fixedsim.layers.reversal import Reversal
from fixedsim.model.layer_kinds import Layer
from fixedsim.model.model import Model

FLOAT_BITS = 32  # of a tensor left in floating point, as it would be stored


def storage_bits(model: Model) -> dict[str, int]:
    """Bits of each weight and bias tensor by name: elements times the bits of its format, 32 where left in float."""
    return {name: bits for layer in model.layers for name, bits in _layer_bits(layer).items()}


def _layer_bits(layer: Layer) -> dict[str, int]:
    match layer:
        case Embedding():
            return {f"{layer.name}.weight": layer.table.size * layer.datapath.table.bits}
        case Linear():
            return {
                f"{layer.name}.weight": layer.matrix.weight.size * layer.datapath.weight.bits,
                f"{layer.name}.bias": layer.bias.raw.size * layer.datapath.bias.bits,
            }
        case Lstm():
            return _lstm_bits(layer)
        case Bidirectional() | RealBidirectional():
            return _layer_bits(layer.forward) | _layer_bits(layer.backward)
        case Reversal():
            return {}
        case RealEmbedding():
            return {f"{layer.name}.weight": layer.weight.size * FLOAT_BITS}
        case RealLinear():
            return {
                f"{layer.name}.weight": layer.weight.size * FLOAT_BITS,
                f"{layer.name}.bias": layer.bias.size * FLOAT_BITS,
            }
        case _:
            return {
                f"{layer.name}.input.weight": layer.input_weight.size * FLOAT_BITS,
                f"{layer.name}.recurrent.weight": layer.recurrent_weight.size * FLOAT_BITS,
                f"{layer.name}.bias": layer.bias.size * FLOAT_BITS,
            }


def _lstm_bits(layer: Lstm) -> dict[str, int]:
    path = layer.datapath
    found = {
        f"{layer.name}.input.weight": layer.input_matrix.weight.size * path.weight.bits,
        f"{layer.name}.recurrent.weight": layer.recurrent_matrix.weight.size * path.recurrent_weight.bits,
        f"{layer.name}.bias": layer.bias.raw.size * path.bias.bits,
    }
    for gate, choices in zip(path.gate_names, path.present, strict=True):
        if choices.peephole is not None:
            found[f"{layer.name}.peephole.{gate}"] = layer.units * choices.peephole.weight.bits
        if choices.norm is not None:
            found[f"{layer.name}.norm.{gate}"] = layer.units * choices.norm.weight.bits
    return found if layer.projection is None else found | _layer_bits(layer.projection)
