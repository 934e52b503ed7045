"""Accounted bits equal those of the tensors packed."""

from typing import Any

import numpy as np
import pytest

import fixedsim
from fixedsim.accounting import memory
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network
from fixedsim.packing import pack


def tensors(layer: Any) -> dict[str, tuple[Any, Format]]:
    """The weights and biases of a layer, and their formats."""
    match layer:
        case Embedding():
            return {f"{layer.name}.weight": (layer.table, layer.datapath.table)}
        case Linear():
            path = layer.datapath
            return {
                f"{layer.name}.weight": (layer.matrix.weight, path.weight),
                f"{layer.name}.bias": (layer.bias.raw, path.bias),
            }
        case Lstm():
            return {
                f"{layer.name}.input.weight": (layer.input_matrix.weight, layer.datapath.weight),
                f"{layer.name}.recurrent.weight": (layer.recurrent_matrix.weight, layer.datapath.recurrent_weight),
                f"{layer.name}.bias": (layer.bias.raw, layer.datapath.bias),
            }
        case Bidirectional():
            return tensors(layer.forward) | tensors(layer.backward)
    raise AssertionError(layer)


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("profile", ["fixed-point", "bit-rnn", "litert"])
def test_every_weight_and_bias_packs_to_what_was_accounted(profile: str, bits: int) -> None:
    layers = (EmbeddingLayer("e", 7, 3), LstmLayer("l", 3, 5, bidirectional=True), LinearLayer("out", 10, 3))
    description = Description("net", layers)
    rng = np.random.default_rng(bits)
    network = Network(description, {name: rng.normal(size=shape) for name, shape in description.tensors().items()})
    model = fixedsim.quantize(network, profile=profile, weight_bits=bits, ranges={"*": (-4.0, 4.0)})
    account = memory(description, profile=profile, weight_bits=bits)
    accounted = {each.stored.name: each.stored.total_bits for each in account.tensors}
    for name, (raws, form) in (item for layer in model.layers for item in tensors(layer).items()):
        packed = pack(raws, form)
        assert packed.padding == 0
        assert packed.bits == accounted[name]
        assert len(packed.data) == -(-accounted[name] // 8)
        if name.endswith(".weight"):
            assert packed.bits == bits * raws.size
