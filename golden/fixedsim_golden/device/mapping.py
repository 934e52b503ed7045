"""A layer as the device: the module that it is, its memory files, and where the sources are."""

from pathlib import Path

from fixedsim.errors import FileError
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim_golden.device.memories import (
    Files,
    Layer,
    bias_files,
    matrices_of,
    matrix_files,
    multiplier_bits,
    row_files,
    table_files,
    table_memories,
)
from fixedsim_golden.device.parameters import device_parameters


def device_sources() -> list[Path]:
    """The Verilog files of the device: in the package as it is installed, or beside it in a checkout.

    Raises:
        FileError: there are none.
    """
    package = Path(__file__).parents[1]
    for folder in (package / "rtl", package.parent / "rtl"):
        found = sorted(folder.glob("fixedsim_*.v"))
        if found:
            return found
    raise FileError(f"{package / 'rtl'} must hold the sources of the device, not none; install the package again")


def device_module(layer: Layer) -> str:
    """Return the name of the module that is the layer."""
    return {Linear: "fixedsim_linear", Lstm: "fixedsim_lstm", Bidirectional: "fixedsim_bilstm"}[type(layer)]


def device_files(layer: Layer) -> Files:
    """Return the words of each memory and their width, by name; ``<NAME>_FILE`` is the parameter for its path.

    Raises:
        ModelError: arithmetic that the device does not have.
    """
    device_parameters(layer)  # refuses what the device does not have
    match layer:
        case Linear():
            path, bits = layer.datapath, multiplier_bits([layer.matrix])
            files = matrix_files("", layer.matrix, path.weight, path.accumulator, bits)
            return files | bias_files(layer.bias, path.bias) | table_files("table", path.activation)
        case Lstm():
            return row_files(layer, multiplier_bits(matrices_of(layer))) | table_memories(layer.datapath)
        case _:
            bits = multiplier_bits(matrices_of(layer))
            files = {}
            for direction, part in (("forward", layer.forward), ("backward", layer.backward)):
                files |= {f"{direction}_{name}": codes for name, codes in row_files(part, bits).items()}
            return files | table_memories(layer.forward.datapath)
