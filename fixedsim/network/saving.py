"""Write a network to one safetensors file."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from fixedsim.files import write_atomically
from fixedsim.layers.real import Real
from fixedsim.network.description import Description
from fixedsim.network.tensor_names import DESCRIPTION_KEY, file_names


def save_network(description: Description, weights: Mapping[str, Real], path: Path) -> None:
    """Write ``weights`` under PyTorch's names with the description as JSON, by way of a file beside it.

    An LSTM's one bias goes into ``bias_ih``; ``bias_hh`` is zero.

    Raises:
        FileError: the file cannot be written.
    """
    write_atomically(path, save(file_tensors(description, weights), file_metadata(description)))


def file_metadata(description: Description) -> dict[str, str]:
    """The description as JSON, by its key in a file's metadata."""
    return {DESCRIPTION_KEY: json.dumps(description.to_dict(), allow_nan=False)}


def file_tensors(description: Description, weights: Mapping[str, Real]) -> dict[str, Real]:
    """The weights by their names in a file: PyTorch's where it has one."""
    tensors: dict[str, Real] = {}
    for layer in description.layers:
        for name, (first, *rest) in file_names(layer).items():
            tensors[first] = np.ascontiguousarray(weights[name])
            tensors |= {other: np.zeros_like(tensors[first]) for other in rest}
    return tensors
