"""fixedsim's own networks: a weights file with the description in its metadata."""

import json
from pathlib import Path

from fixedsim.errors import FileError, NetworkError
from fixedsim.files import read_metadata, read_tensors
from fixedsim.importers.imported import Imported, Stated, agreeing, matched_weights
from fixedsim.network import Description
from fixedsim.network.tensor_names import DESCRIPTION_KEY


def recognises(path: Path) -> bool:
    """Whether the metadata hold a description."""
    try:
        return DESCRIPTION_KEY in read_metadata(path)
    except FileError:
        return False


def read(path: Path, stated: Stated) -> Imported:
    """The network that was saved.

    Raises:
        FileError: the file is damaged, or the description is not JSON.
        NetworkError: the description or a tensor is not usable, or conventions are stated, which are the file's own.
    """
    for key in ("gate_order", "forget_bias"):
        if getattr(stated, key) is not None:
            raise NetworkError(f"{key} must be left out for fixedsim's own networks, not {getattr(stated, key)!r}")
    file = read_tensors(path)
    description = _description(file.metadata.get(DESCRIPTION_KEY))
    imported = Imported(
        description,
        matched_weights(description, file.tensors),
        ("description in the file's metadata: nothing had to be inferred",),
    )
    return imported if stated.description is None else agreeing(imported, stated.description)


def _description(text: str | None) -> Description:
    if text is None:
        raise NetworkError(f"metadata {DESCRIPTION_KEY!r} must be given, not missing")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"metadata {DESCRIPTION_KEY!r} must be JSON, not {str(error)!r}") from None
    if not isinstance(data, dict):
        raise FileError(f"metadata {DESCRIPTION_KEY!r} must be a JSON object, not {type(data).__name__}")
    return Description.from_dict(data, f"metadata {DESCRIPTION_KEY!r}")
