"""Names of tensors in files: PyTorch's, which a network is saved under and most files use.

An LSTM called ``lstm`` has ``lstm.weight_ih_l0``; one called ``lstm.l1`` is level 1 of ``lstm``. Linear and embedding
layers have the same names here and there, and so do peepholes and initial states, which PyTorch has not.
"""

import re

from fixedsim.network.layer_types import Layer, LstmLayer

DESCRIPTION_KEY = "fixedsim.network"  # of a weights file's metadata: the description as JSON
_LEVEL = re.compile(r"(.+)\.l(\d+)\Z")


def file_names(layer: Layer) -> dict[str, tuple[str, ...]]:
    """Canonical tensor name to the names in a file whose sum it is, for the tensors that ``layer`` has."""
    if not isinstance(layer, LstmLayer):
        return {name: (name,) for name in layer.tensors()}
    named = _lstm_file_names(layer)
    return {name: named.get(name, (name,)) for name in layer.tensors()}


def _lstm_file_names(layer: LstmLayer) -> dict[str, tuple[str, ...]]:
    match = _LEVEL.match(layer.name)
    prefix, level = (match[1], match[2]) if match else (layer.name, "0")
    names: dict[str, tuple[str, ...]] = {}
    for direction, reverse in zip(layer.directions, ("", "_reverse"), strict=False):
        ending = f"l{level}{reverse}"
        names[f"{direction}.input.weight"] = (f"{prefix}.weight_ih_{ending}",)
        names[f"{direction}.recurrent.weight"] = (f"{prefix}.weight_hh_{ending}",)
        names[f"{direction}.projection.weight"] = (f"{prefix}.weight_hr_{ending}",)
        names[f"{direction}.bias"] = (f"{prefix}.bias_ih_{ending}", f"{prefix}.bias_hh_{ending}")
    return names
