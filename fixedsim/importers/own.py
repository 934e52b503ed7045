"""fixedsim's own networks: a weights file with the description in its metadata."""

import json

from fixedsim.errors import FileError
from fixedsim.files.tensors import TensorFile
from fixedsim.importers.imported import Imported, matched_weights
from fixedsim.network import Description
from fixedsim.network.tensor_names import DESCRIPTION_KEY


def recognises(file: TensorFile) -> bool:
    """Whether the metadata hold a description."""
    return DESCRIPTION_KEY in file.metadata


def import_network(file: TensorFile) -> Imported:
    """The network that was saved.

    Raises:
        FileError: the description is not JSON.
        NetworkError: the description or a tensor is not usable.
    """
    try:
        data = json.loads(file.metadata[DESCRIPTION_KEY])
    except (ValueError, RecursionError) as error:
        raise FileError(f"metadata {DESCRIPTION_KEY!r} must be JSON, not {str(error)!r}") from None
    if not isinstance(data, dict):
        raise FileError(f"metadata {DESCRIPTION_KEY!r} must be a JSON object, not {type(data).__name__}")
    description = Description.from_dict(data, f"metadata {DESCRIPTION_KEY!r}")
    return Imported(description, matched_weights(description, file.tensors))
