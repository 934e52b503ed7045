"""The layers between a graph's input and its output, as a network, with what was understood on the way."""

from pathlib import Path
from typing import Any

import numpy as np

from fixedsim.errors import NetworkError
from fixedsim.importers.conventions import gate_order
from fixedsim.importers.imported import Imported, Stated, agreeing
from fixedsim.importers.onnx.file import read_onnx
from fixedsim.importers.onnx.found import Embedding, Linear, Lstm
from fixedsim.importers.onnx.graph import Evaluated
from fixedsim.importers.onnx.limits import Budget
from fixedsim.importers.onnx.naming import layer_name, unique_names
from fixedsim.importers.onnx.notes import notes_of
from fixedsim.importers.onnx.outputs import Chain, Link, chain_of
from fixedsim.importers.onnx.weights import LayerWeights, embedding_weights, linear_weights, lstm_weights
from fixedsim.network import Description

ORDER = "iofg"  # ONNX writes i, o, f, c


def read_network(path: Path, stated: Stated) -> Imported:
    """The network in an ONNX file.

    Raises:
        FileError: the file is damaged.
        NetworkError: something in it is not understood, by name.
        DependencyError: the package ``onnx`` is not installed.
    """
    file = read_onnx(path)
    order = ORDER if stated.gate_order is None else gate_order(stated.gate_order)
    chain = chain_of(file.graph, Evaluated(file))
    with np.errstate(all="ignore"):  # weights that are not finite are refused with their names, by the network
        layers = _named_layers(chain, order, stated, file.tensors.budget)
    description = Description(path.stem[:128] or "onnx", tuple(found.layer for found in layers))
    weights = {name: tensor for found in layers for name, tensor in found.tensors.items()}
    pairs = {name: pair for found in layers for name, pair in found.bias_pairs.items()}
    notes = notes_of(chain, layers, order)
    imported = Imported(description, weights, notes, order, pairs)
    return imported if stated.description is None else agreeing(imported, stated.description)


def _named_layers(chain: Chain, order: str, stated: Stated, budget: Budget) -> list[LayerWeights]:
    nodes = [link.node for link in chain.links]
    names = unique_names(
        [layer_name(_kind(node), node.names) for node in nodes], [isinstance(node, Lstm) for node in nodes]
    )
    if stated.description is not None:
        given = [layer.name for layer in stated.description.layers]
        if len(given) != len(names):
            raise NetworkError(
                f"layers must be {len(names)} as the file has them ({', '.join(names)}), not {len(given)}"
            )
        names = given
    last = max((index for index, node in enumerate(nodes) if isinstance(node, Lstm)), default=-1)
    made = []
    for index, (name, link) in enumerate(zip(names, chain.links, strict=True)):
        steps = "last" if index == last and chain.final else "all"
        made.append(_layer(name, link, order, steps, stated, budget))
    return made


def _kind(node: Any) -> str:
    return "embedding" if isinstance(node, Embedding) else "linear" if isinstance(node, Linear) else "lstm"


def _layer(name: str, link: Link, order: str, steps: str, stated: Stated, budget: Budget) -> LayerWeights:
    if isinstance(link.node, Embedding):
        return embedding_weights(name, link.node, budget)
    if isinstance(link.node, Linear):
        return linear_weights(name, link.node, budget)
    return lstm_weights(name, link.directions, order, steps, budget, _forget_bias(name, stated))


def _forget_bias(name: str, stated: Stated) -> float:
    """What the user says: as an option, or in the description of the layer."""
    if stated.forget_bias is not None:
        return stated.forget_bias
    layers = () if stated.description is None else stated.description.lstm_layers
    return next((layer.forget_bias for layer in layers if layer.name == name), 0.0)
