"""The layers that a state dictionary's names and shapes tell, where one reading alone is possible.

``nn.Embedding``, ``nn.LSTM``, ``nn.LSTMCell`` and ``nn.Linear``. Cells that are numbered (``cells.0``, ``cells.1``)
follow each other by their numbers where their widths allow it.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.files.tensors import Tensors
from fixedsim.importers.ordering import Form, only_order
from fixedsim.network import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer

_LSTM_TENSOR = re.compile(r"(?:(.+)\.)?((?:weight|bias)_(?:ih|hh|hr))(?:_l(\d+))?(_reverse)?\Z")
_PLAIN_TENSOR = re.compile(r"(?:(.+)\.)?(weight|bias)\Z")
_LEVEL_ENDING = re.compile(r"\.l\d+\Z")
_NUMBERED = re.compile(r"(?:(.+)\.)?\d+\Z")
_Module = dict[str, NDArray[Any]]


def with_levels(tensors: Tensors) -> Tensors:
    """The tensors with a layer name and a level throughout: ``weight_ih`` of a cell is ``lstm.weight_ih_l0``."""
    return {_with_level(name): tensor for name, tensor in tensors.items()}


def _with_level(name: str) -> str:
    if match := _LSTM_TENSOR.match(name):
        return f"{match[1] or 'lstm'}.{match[2]}_l{match[3] or 0}{match[4] or ''}"
    if match := _PLAIN_TENSOR.match(name):
        return f"{match[1] or 'linear'}.{match[2]}"
    return name


def inferred_description(tensors: Tensors, name: str) -> Description:
    """The one description that names and shapes allow.

    Raises:
        NetworkError: a tensor that is not understood, or layers that can be read in no way or in several.
    """
    forms = {prefix: _forms(prefix, module) for prefix, module in _modules(tensors).items()}
    layers = only_order(_numbered_together(forms))
    for layer in layers[:-1]:
        if isinstance(layer, LinearLayer):
            raise NetworkError(
                f"layer {layer.name!r} must be the last layer, not followed by another, because the file does not "
                "tell its activation; describe the network in a TOML file"
            )
    return Description(name, layers)


def _modules(tensors: Tensors) -> dict[str, _Module]:
    """Tensors by module, in the order of the file; each under its name without the module's."""
    modules: dict[str, _Module] = {}
    for name, tensor in tensors.items():
        prefix, _, part = name.rpartition(".")
        if not _LSTM_TENSOR.match(part) and not _PLAIN_TENSOR.match(part):
            raise NetworkError(f"tensor {name!r} must be a weight or bias of a known layer, not of another kind")
        modules.setdefault(prefix, {})[part] = tensor
    return modules


def _numbered_together(forms: Mapping[str, list[Form]]) -> list[list[Form]]:
    """The forms of all modules; LSTMs whose names end in 0, 1 and on are one module where each fits the next."""
    siblings: dict[str, list[str]] = {}
    for prefix in forms:
        if match := _NUMBERED.match(prefix):
            siblings.setdefault(match[1] or "", []).append(prefix)
    joined: dict[str, list[Form]] = dict(forms)
    for prefixes in siblings.values():
        first, *rest = sorted(prefixes, key=lambda prefix: int(prefix.rpartition(".")[2]))
        if chain := _chain([forms[prefix][0] for prefix in (first, *rest)]):
            joined[first] = [chain]
            for prefix in rest:
                del joined[prefix]
    return list(joined.values())


def _chain(parts: list[Form]) -> Form:
    """The LSTMs of all parts, if there is nothing else in them and each reads what the one before gives."""
    layers = tuple(layer for form in parts for layer in form)
    lstms = [layer for layer in layers if isinstance(layer, LstmLayer)]
    fits = all(layer.inputs == before.output_width for before, layer in pairwise(lstms))
    return layers if fits and len(lstms) == len(layers) else ()


def _forms(prefix: str, module: _Module) -> list[tuple[Layer, ...]]:
    """The layers that a module can be: one reading, or two for a matrix without bias."""
    if any(_LSTM_TENSOR.match(part) for part in module):
        return [_lstm_stack(prefix, module)]
    weight = _part(module, prefix, "weight")
    embedding, linear = EmbeddingLayer(prefix, *weight), LinearLayer(prefix, weight[1], weight[0], bias=False)
    if "bias" in module:
        return [(LinearLayer(prefix, weight[1], weight[0]),)]
    return [(embedding,)] if "emb" in prefix.lower() else [(embedding,), (linear,)]


def _lstm_stack(prefix: str, module: _Module) -> tuple[Layer, ...]:
    levels = sorted({int(match[3]) for part in module if (match := _LSTM_TENSOR.match(part)) and match[3]})
    if levels != list(range(len(levels))):
        raise NetworkError(f"levels of {prefix!r} must be 0 and on, not {levels}")
    single = len(levels) == 1 and not _LEVEL_ENDING.search(prefix)
    names = [prefix] if single else [f"{prefix}.l{level}" for level in levels]
    return tuple(_lstm_layer(name, level, prefix, module) for level, name in enumerate(names))


def _lstm_layer(name: str, level: int, prefix: str, module: _Module) -> LstmLayer:
    rows, inputs = _part(module, prefix, f"weight_ih_l{level}")
    _, units = _part(module, prefix, f"weight_hh_l{level}")
    projection = None
    if f"weight_hr_l{level}" in module:
        projection, units = _part(module, prefix, f"weight_hr_l{level}")
    if rows != 4 * units:
        raise NetworkError(f"tensor '{prefix}.weight_ih_l{level}' must have {4 * units} rows as an LSTM's, not {rows}")
    biased = any(f"bias_{side}_l{level}" in module for side in ("ih", "hh"))
    both = f"weight_ih_l{level}_reverse" in module
    return LstmLayer(name, inputs, units, bidirectional=both, bias=biased, projection=projection)


def _part(module: Mapping[str, NDArray[Any]], prefix: str, part: str) -> tuple[int, int]:
    if part not in module:
        raise NetworkError(f"tensor '{prefix}.{part}' must be given, not missing")
    return _matrix(f"{prefix}.{part}", module[part])


def _matrix(name: str, tensor: NDArray[Any]) -> tuple[int, int]:
    if tensor.ndim != 2:
        raise NetworkError(f"tensor {name!r} must be a matrix, not of shape {tensor.shape}")
    return tensor.shape[0], tensor.shape[1]
