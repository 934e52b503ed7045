"""Recognise and read TensorFlow's files."""

import re
from pathlib import Path

from fixedsim.errors import FileError, FixedsimError, NetworkError
from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.tensorflow.constants import Constants
from fixedsim.importers.tensorflow.graph import Graph, node_messages, node_name, read_graph
from fixedsim.importers.tensorflow.names import modules_by_name
from fixedsim.importers.tensorflow.network import network_of_modules, network_of_parts
from fixedsim.importers.tensorflow.structure import read_structure
from fixedsim.importers.tensorflow.variables import (
    GRAPH_SUFFIX,
    Variables,
    constant_variables,
    is_training,
    member_names,
    stored_variables,
)

_OTHER_FORMS = {
    ".pbmm": "a memory-mapped graph; give the .pb that it was made of",
    ".meta": "a graph without values; freeze it, or save the variables with numpy.savez",
    ".index": "the index of a checkpoint; save its variables with numpy.savez",
    ".data-00000-of-00001": "the data of a checkpoint; save its variables with numpy.savez",
}
_OWN = re.compile(r"(^|/)(kernel|weights|biases|Matrix|opaque_kernel)\Z|/(bias|W|b|w)\Z|(^|/)\w+_[wb]\Z|^[hbWw]\d\Z")
_OTHERS = re.compile(r"weight_(ih|hh|hr)_l\d|\.(weight|bias)\Z|/recurrent_kernel\Z|^arch\Z|^fixedsim\.network\Z")


def recognises(path: Path) -> bool:
    """Whether a file holds TensorFlow 1 variables or a graph, by its ending, first bytes and the names inside."""
    if path.suffix in _OTHER_FORMS or path.name == "saved_model.pb":
        return path.is_file()
    if path.suffix == GRAPH_SUFFIX:
        return bool(graph_names(path, 1))
    names = [name for name in member_names(path) if not is_training(name)] if path.suffix == ".npz" else []
    return any(map(_OWN.search, names)) and not any(map(_OTHERS.search, names))


def graph_names(path: Path, most: int) -> list[str]:
    """The names of the first nodes of a graph, none for another file; never raises."""
    try:
        names: list[str] = []
        for message in node_messages(path.read_bytes()):
            names.append(node_name(message))
            if len(names) == most:
                break
        return names
    except (OSError, FixedsimError, MemoryError):
        return []


def read(path: Path, stated: Stated) -> Imported:
    """The network in the file.

    Where a graph has operations that networks lack and the user describes the network, the variables' names decide.

    Raises:
        FileError: the file is damaged, too large or of another form.
        NetworkError: a variable or an operation is not understood, or does not fit the description.
    """
    if path.suffix in _OTHER_FORMS:
        raise FileError(
            f"{path} must be a frozen graph (.pb) or a file of variables (.npz), not {_OTHER_FORMS[path.suffix]}"
        )
    if path.suffix != GRAPH_SUFFIX:
        return _by_names(stored_variables(path), stated, [])
    graph = read_graph(path)
    return _read_graph(graph, stated)


def _read_graph(graph: Graph, stated: Stated) -> Imported:
    constants = Constants(graph)
    try:
        structure = read_structure(graph, constants)
    except NetworkError as error:
        if stated.description is None:
            raise
        notes = [f"layers by the names of their variables, because {error}"]
        return _by_names(constant_variables(graph, constants), stated, notes)
    imported = network_of_parts(structure.parts, stated)
    return imported._replace(notes=(*imported.notes, *structure.notes))


def _by_names(variables: Variables, stated: Stated, notes: list[str]) -> Imported:
    imported = network_of_modules(modules_by_name(variables.arrays), stated)
    return imported._replace(notes=(*notes, *imported.notes, *variables.notes()))
