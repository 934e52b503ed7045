"""Mozilla DeepSpeech by its variables' names, of any size: checkpoints as ``.npz``, and exported graphs (``.pb``).

Two generations of names: ``h1``, ``b1`` .. ``h6``, ``b6`` with the cells of a bidirectional_rnn (v0.1) or one fused
cell, and ``layer_1/weights``, ``layer_1/bias`` .. with ``cudnn_compatible_lstm_cell`` (v0.6 and later). The layers are
those of the preset ``deep-speech``: ReLU clipped at 20, in a graph at what the graph says.
"""

from pathlib import Path
from typing import Final

from fixedsim.errors import NetworkError
from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.tensorflow.constants import Constants
from fixedsim.importers.tensorflow.graph import MAX_NODES, read_graph
from fixedsim.importers.tensorflow.names import modules_by_name
from fixedsim.importers.tensorflow.network import network_of_parts
from fixedsim.importers.tensorflow.parts import Array, Dense, Part, Recurrent
from fixedsim.importers.tensorflow.reading import graph_names
from fixedsim.importers.tensorflow.structure import Structure, read_structure
from fixedsim.importers.tensorflow.variables import (
    GRAPH_SUFFIX,
    Variables,
    constant_variables,
    member_names,
    stored_variables,
)
from fixedsim.network import LinearLayer, preset

PRESET: Final = "deep-speech"
_NUMBERS = (1, 2, 3, 5, 6)  # of the fully connected layers; the fourth is recurrent
_BEFORE = 3  # of them before the LSTM
_GENERATIONS = (("h{}", "b{}"), ("layer_{}/weights", "layer_{}/bias"))


def recognises(path: Path) -> bool:
    """Whether a file has the variables of one generation of DeepSpeech."""
    names = set(graph_names(path, MAX_NODES) if path.suffix == GRAPH_SUFFIX else _stored_names(path))
    return any(all(kernel.format(number) in names for number in _NUMBERS) for kernel, _ in _GENERATIONS)


def read(path: Path, stated: Stated) -> Imported:
    """The network in the file, its layers called as the preset calls them.

    Raises:
        FileError: the file is damaged.
        NetworkError: a variable is missing, of another shape, or of another network.
    """
    if path.suffix != GRAPH_SUFFIX:
        return _by_names(stored_variables(path), stated)
    graph = read_graph(path)
    constants = Constants(graph)
    try:
        structure = read_structure(graph, constants)
        _check_row(structure)
    except NetworkError as error:
        imported = _by_names(constant_variables(graph, constants), stated)
        return imported._replace(notes=(f"layers by the names of their variables, because {error}", *imported.notes))
    imported = network_of_parts(structure.parts, stated, name=PRESET, names=_layer_names())
    return imported._replace(notes=(*imported.notes, *structure.notes))


def _stored_names(path: Path) -> tuple[str, ...]:
    return member_names(path) if path.suffix == ".npz" else ()


def _layer_names() -> list[str]:
    return [layer.name for layer in preset(PRESET).layers]


def _check_row(structure: Structure) -> None:
    kinds = [type(part) for part in structure.parts]
    if kinds != [Dense, Dense, Dense, Recurrent, Dense, Dense]:
        names = ", ".join(part.scope for part in structure.parts)
        raise NetworkError(f"layers must be three fully connected ones, an LSTM and two more, not {names}")


def _by_names(variables: Variables, stated: Stated) -> Imported:
    arrays = dict(variables.arrays)
    kernel, bias = next(
        (pair for pair in _GENERATIONS if pair[0].format(1) in arrays), _GENERATIONS[-1]
    )  # the generation whose first variable is there
    dense = [_dense(number, _taken(arrays, kernel, number), _taken(arrays, bias, number)) for number in _NUMBERS]
    recurrent = [part for readings in modules_by_name(arrays) for reading in readings for part in reading]
    if len(recurrent) != 1 or not isinstance(recurrent[0], Recurrent):
        names = ", ".join(part.scope for part in recurrent) or "none"
        raise NetworkError(f"variables beside the fully connected layers must be one LSTM's, not of {names}")
    parts: list[Part] = [*dense[:_BEFORE], recurrent[0], *dense[_BEFORE:]]
    imported = network_of_parts(parts, stated, name=PRESET, names=_layer_names())
    clip = next(layer.clip for layer in preset(PRESET).layers if isinstance(layer, LinearLayer))
    note = (
        f"layers and functions of the preset {PRESET}, ReLU clipped at {clip:g}; softmax left out: outputs are logits"
    )
    return imported._replace(notes=(note, *imported.notes, *variables.notes()))


def _taken(arrays: dict[str, Array], form: str, number: int) -> Array:
    name = form.format(number)
    if name not in arrays:
        raise NetworkError(f"variable {name!r} must be given, not missing")
    return arrays.pop(name)


def _dense(number: int, kernel: Array, bias: Array) -> Dense:
    """The layer of that number, with the function that it has in the preset."""
    if kernel.ndim != 2:
        raise NetworkError(f"weights of layer {number} must be a matrix, not of shape {kernel.shape}")
    layer = preset(PRESET).layers[number - 1]
    assert isinstance(layer, LinearLayer)
    return Dense(layer.name, kernel, bias, layer.activation, layer.clip)
