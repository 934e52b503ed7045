"""Write a network's float weights to a plain file, as PyTorch names them or as fixedsim's own."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from safetensors.numpy import save

from fixedsim.errors import FileError, NetworkError, nearest
from fixedsim.files import write_atomically
from fixedsim.layers.real import Real
from fixedsim.network import Description, Layer, LinearLayer, LstmLayer, Network
from fixedsim.network.saving import file_metadata, file_tensors
from fixedsim.network.tensor_names import file_names

Layout = Literal["pytorch", "fixedsim"]
SUFFIXES = (".safetensors", ".npz")
_LEVEL = re.compile(r"(.+)\.l(\d+)\Z")
# What PyTorch's nn.LSTM has no argument for: the key of a layer, and the one value that it has.
_FIXED = {
    "gate": "sigmoid",
    "candidate": "tanh",
    "cell_activation": "tanh",
    "peephole": False,
    "coupled": False,
    "clip": None,
    "cell_clip": None,
    "reverse": False,
    "initial": False,
}
_REMEDY = "export it with the layout fixedsim"
_SAME_IN_A_STACK = ("units", "bidirectional", "projection")


def export_network(
    network: Network, path: str | Path, layout: Layout = "pytorch", *, prefix: str = ""
) -> tuple[str, ...]:
    """Write the weights as a ``.safetensors`` or ``.npz`` file; what the file can't say is returned, one sentence each.

    With the layout ``pytorch`` the tensors are those that ``load_state_dict`` of a module with ``nn.Embedding``,
    ``nn.LSTM`` and ``nn.Linear`` under the layers' names takes: gates stacked i, f, g, o; ``bias_ih`` the bias, with a
    forget bias that is added at run time inside it (in float64, rounded once); ``bias_hh`` zero. With ``fixedsim`` the
    description stands in the metadata, and everything can be said. The weights keep their dtype.

    Args:
        network: the network; layers ``rnn.l0``, ``rnn.l1`` become levels of one ``nn.LSTM`` called ``rnn``.
        path: the file to write, by way of a file beside it.
        layout: ``pytorch`` or ``fixedsim``.
        prefix: the name of the module that holds the layers, put before each tensor's name; of the layout ``pytorch``.

    Raises:
        FileError: another suffix, or a file that cannot be written.
        NetworkError: a layout that is unknown, or something that PyTorch's modules lack, by name.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise FileError(f"{path} must end in {' or '.join(SUFFIXES)}, not {path.suffix!r}")
    if layout not in get_args(Layout):
        raise NetworkError(f"layout must be a known one, not {layout!r}{nearest(layout, get_args(Layout))}")
    if layout == "fixedsim":
        if prefix:
            raise NetworkError(f"prefix must be left out for the layout fixedsim, not {prefix!r}")
        _write(path, file_tensors(network.description, network.weights), file_metadata(network.description))
        return ()
    _check_sayable(network.description)
    before = f"{prefix.removesuffix('.')}." if prefix else ""
    _write(path, {before + name: tensor for name, tensor in _pytorch_tensors(network).items()}, {})
    return tuple(_notes(network.description))


def _write(path: Path, tensors: dict[str, Real], texts: dict[str, str]) -> None:
    if path.suffix == ".safetensors":
        write_atomically(path, save(tensors, texts or None))
        return
    content = io.BytesIO()
    np.savez(content, **tensors, **{name: np.array(text) for name, text in texts.items()})  # type: ignore[arg-type]
    write_atomically(path, content.getvalue())


def _check_sayable(description: Description) -> None:
    """Refuse what PyTorch's modules lack."""
    if description.bit_rnn is not None:
        raise NetworkError(f"bit_rnn must be absent for PyTorch's modules, which do not quantize; {_REMEDY}")
    if description.initial_state != "zero":
        raise NetworkError(
            f"initial_state must be zero for PyTorch's modules, not {description.initial_state!r}; {_REMEDY}"
        )
    for layer in description.lstm_layers:
        for key, value in _FIXED.items():
            _refuse_other(layer, key, value, "absent" if value in (None, False) else value)
        if layer.projection is not None and layer.projection >= layer.units:
            _refuse_other(layer, "projection", None, f"in 1..{layer.units - 1}")
    for name, stack in _stacks(description).items():
        _check_stack(name, stack)


def _refuse_other(layer: LstmLayer, key: str, allowed: object, wanted: object) -> None:
    value = getattr(layer, key)
    if value != allowed:
        raise NetworkError(
            f"layer {layer.name!r}: {key} must be {wanted} for PyTorch's nn.LSTM, not {value!r}; {_REMEDY}"
        )


def _stacks(description: Description) -> dict[str, list[LstmLayer]]:
    """The levels of each ``nn.LSTM`` by its name, in the order of the layers."""
    stacks: dict[str, list[LstmLayer]] = {}
    for layer in description.lstm_layers:
        match = _LEVEL.match(layer.name)
        stacks.setdefault(match[1] if match else layer.name, []).append(layer)
    return stacks


def _check_stack(name: str, stack: list[LstmLayer]) -> None:
    levels = [int(match[2]) if (match := _LEVEL.match(layer.name)) else 0 for layer in stack]
    if levels != list(range(len(stack))):
        raise NetworkError(f"levels of {name!r} must be 0 and on for PyTorch's nn.LSTM, not {levels}; {_REMEDY}")
    for layer in stack[1:]:
        for key in _SAME_IN_A_STACK:
            value = getattr(stack[0], key)
            _refuse_other(layer, key, value, f"{value!r} as of {stack[0].name!r}")


def _pytorch_tensors(network: Network) -> dict[str, Real]:
    """The weights by PyTorch's names; each stack of LSTMs has biases at all levels or at none."""
    biased = {
        layer.name
        for stack in _stacks(network.description).values()
        for layer in stack
        if any(level.bias or level.forget_bias for level in stack)
    }
    tensors: dict[str, Real] = {}
    for layer in network.description.layers:
        with_bias = replace(layer, bias=True) if isinstance(layer, LstmLayer) and layer.name in biased else layer
        for name, (first, *rest) in file_names(with_bias).items():
            tensors[first] = np.ascontiguousarray(_tensor(network, layer, name))
            tensors |= {other: np.zeros_like(tensors[first]) for other in rest}
    return tensors


def _tensor(network: Network, layer: Layer, name: str) -> Real:
    """A weight, or an LSTM's bias with the forget bias on the rows of the forget gate."""
    if not isinstance(layer, LstmLayer) or not name.endswith(".bias"):
        return network.weights[name]
    bias, dtype = network.weights.get(name), network.weights[name.removesuffix("bias") + "input.weight"].dtype
    if bias is not None and not layer.forget_bias:
        return bias
    total = np.zeros(4 * layer.units) if bias is None else bias.astype(np.float64)
    total[layer.units : 2 * layer.units] += layer.forget_bias
    return total.astype(dtype)


def _notes(description: Description) -> Iterator[str]:
    """What a module must do beside loading the tensors."""
    for layer in description.layers:
        if isinstance(layer, LstmLayer):
            if layer.forget_bias:
                yield f"{layer.name}: the forget bias of {layer.forget_bias:g} is inside the bias"
            if layer.projection is not None:
                yield f"{layer.name}: nn.LSTM needs proj_size={layer.projection}"
            if layer.steps == "last":
                yield f"{layer.name}: take h_n of the last level, which is the output after each direction's last step"
        elif isinstance(layer, LinearLayer) and layer.activation != "identity":
            clip = "" if layer.clip is None else f" at {layer.clip:g}"
            yield f"{layer.name}: apply {layer.activation}{clip} after it"
