"""Read the folder of an hls4ml project: its types, layers and weights as plain data, no code being run."""

from pathlib import Path

from fixedsim.errors import FileError
from fixedsim.importers.hls4ml.declarations import read_names, read_structs
from fixedsim.importers.hls4ml.description import HlsLayer as HlsLayer
from fixedsim.importers.hls4ml.description import Project as Project
from fixedsim.importers.hls4ml.description import Variable as Variable
from fixedsim.importers.hls4ml.function import Function, read_function
from fixedsim.importers.hls4ml.operators import Reader
from fixedsim.importers.hls4ml.source import inside, read_source
from fixedsim.importers.hls4ml.weights import Weights

MAX_FILES = 1000  # in the folder firmware
_FIRMWARE = "firmware"


def read_project(folder: Path) -> Project:
    """The project in a folder that hls4ml wrote: ``firmware/`` with defines.h, parameters.h, one .cpp file and weights.

    Read are chains of dense layers, LSTMs and activations of io_type io_parallel and strategy Latency, with weights
    as text files. Every size is checked against the others. The limits are ``MAX_FILES`` and the constants of the
    modules :mod:`source`, :mod:`declarations`, :mod:`function` and :mod:`weights`.

    Raises:
        FileError: a file is missing, too large, damaged or outside the folder, or says something that is not read;
            the message names the file and the line.
    """
    names = read_names(read_source(inside(folder, _FIRMWARE, "defines.h")))
    structs = read_structs(read_source(inside(folder, _FIRMWARE, "parameters.h")), names)
    function = read_function(read_source(inside(folder, _FIRMWARE, _function_file(folder))), names)
    return _chain(function, Reader(function, structs, Weights(folder)))


def _function_file(folder: Path) -> str:
    """The name of the only .cpp file."""
    try:
        names = [entry.name for entry, _ in zip((folder / _FIRMWARE).iterdir(), range(MAX_FILES), strict=False)]
    except OSError as error:
        reason = str(error.strerror).lower()
        raise FileError(f"{folder / _FIRMWARE} must be a readable folder, not {reason!r}") from None
    found = sorted(name for name in names if name.endswith(".cpp"))
    if len(found) != 1:
        raise FileError(f"{folder / _FIRMWARE} must have one .cpp file, not {len(found)}")
    return found[0]


def _chain(function: Function, reader: Reader) -> Project:
    """The layers from the function's first parameter to its second."""
    if len(function.parameters) != 2 or not function.calls:
        count = len(function.parameters)
        raise function.source.error(1, f"{function.name} must have an input, an output and layers, not {count} arrays")
    first, last = (function.variables[name] for name in function.parameters)
    layers, variable = [], first
    for call in function.calls:
        layer, variable = reader.layer(call, variable)
        layers.append(layer)
    if variable.name != last.name:
        line = function.calls[-1].line
        raise function.source.error(line, f"output of {layers[-1].name} must be {last.name}, not {variable.name}")
    return Project(function.name, first, last, tuple(layers))
