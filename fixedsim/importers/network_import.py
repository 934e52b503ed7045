"""Import a network from a file of any trainer, and say what was understood."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixedsim.errors import FileError, NetworkError
from fixedsim.importers.alternatives import under
from fixedsim.importers.conventions import gate_order as checked_order
from fixedsim.importers.imported import DType, Stated
from fixedsim.importers.kinds import Kind, check_readable, kind_named, kind_of
from fixedsim.importers.rereading import BiasPairs, Reread
from fixedsim.network import Description, Layer, Network, preset, preset_names, read_description
from fixedsim.network.layer_types import layer_dict


@dataclass(frozen=True, slots=True)
class ImportedNetwork:
    """A network from a file of another program, and the conventions as they were understood.

    ``notes`` are sentences, one for each convention. ``gate_order`` is the order in which gates are stacked in the
    file, as it was read. ``bias_pairs`` has both parts of each bias that the file holds in two, by the canonical name
    of the sum.
    """

    network: Network
    kind: str
    notes: tuple[str, ...]
    gate_order: str
    source: Path
    bias_pairs: BiasPairs

    @property
    def parameters(self) -> int:
        """The count of all parameters; an LSTM has one bias vector to a direction."""
        return sum(self.network.description.parameters().values())

    def to_dict(self) -> dict[str, Any]:
        """What was understood, as JSON values: kind, layers with their shapes and choices, notes, parameters."""
        description = self.network.description
        counts = description.parameters()
        return {
            "source": str(self.source),
            "kind": self.kind,
            "name": description.name,
            "gate_order": self.gate_order if description.lstm_layers else None,
            "notes": list(self.notes),
            "parameters": self.parameters,
            "layers": [_layer_values(layer, counts) for layer in description.layers],
            "bit_rnn": description.to_dict()["bit_rnn"],
            "initial_state": description.initial_state,
        }


def _layer_values(layer: Layer, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        **layer_dict(layer),
        "output_width": layer.output_width,
        "tensors": {name: list(shape) for name, shape in layer.tensors().items()},
        "parameters": sum(counts[name] for name in layer.tensors()),
    }


def import_network(
    source: str | Path,
    *,
    kind: str | None = None,
    network: str | Path | Description | None = None,
    gate_order: str | None = None,
    forget_bias: float | None = None,
    conventions: Iterable[str] = (),
    dtype: DType = "float64",
) -> ImportedNetwork:
    """The float network in a file of another program, and what was understood of it.

    Args:
        source: the file; its kind follows from its content, see :data:`fixedsim.importers.kinds.KINDS`.
        kind: the kind, where the file does not tell.
        network: the layers, where the file does not tell them: a ``.toml`` description, the name of a preset, or a
            :class:`~fixedsim.network.Description`.
        gate_order: the order in which the file stacks gates, such as ``ifgo``, in place of the kind's own.
        forget_bias: what is added to the forget gate at run time, in place of what the kind or the file says.
        conventions: others under which the file was written, by name, as
            :func:`~fixedsim.importers.checking.check_conventions` finds them: ``interleaved``, ``first-bias``,
            ``directions-swapped`` and so on.
        dtype: float64 or float32, to which the weights are rounded (half to even) after biases are summed in float64.

    Raises:
        FileError: the file is missing, damaged, of no known kind, or holds an integer model.
        NetworkError: a description or a tensor is not usable, or something in the file is not understood, by name.
    """
    path = Path(source)
    stated = _stated(network, gate_order, forget_bias)
    found = kind_of(path) if kind is None else kind_named(kind)
    return imported_network(path, found, stated, conventions=conventions, dtype=dtype)


def imported_network(
    path: Path, kind: Kind, stated: Stated, *, conventions: Iterable[str] = (), dtype: DType = "float64"
) -> ImportedNetwork:
    """The network in a file of ``kind``; see :func:`import_network`."""
    if dtype not in ("float64", "float32"):
        raise NetworkError(f"dtype must be float64 or float32, not {dtype!r}")
    if kind.gives == "model":
        raise FileError(f"{path} must be a network with float weights, not an integer model; use import_model")
    check_readable(path)
    try:
        imported = kind.reader.read(path, stated)
        read = Reread(imported.description, dict(imported.weights), imported.bias_pairs)
        read, more = under(read, imported.gate_order, conventions)
        weights = {name: weight.astype(dtype, copy=False) for name, weight in read.weights.items()}
        network = Network(read.description, weights)
    except (NetworkError, FileError) as error:
        raise _named(path, error) from None
    notes = (*imported.notes, *more)
    return ImportedNetwork(network, kind.name, notes, imported.gate_order, path, read.bias_pairs)


def _named(path: Path, error: NetworkError | FileError) -> NetworkError | FileError:
    """``error`` with the file's name before it, once."""
    text = str(error)
    return error if text.startswith(str(path)) else type(error)(f"{path}: {text}")


def _stated(network: str | Path | Description | None, order: str | None, forget_bias: float | None) -> Stated:
    description = network if network is None or isinstance(network, Description) else _description(network)
    return Stated(description, None if order is None else checked_order(order), forget_bias)


def _description(source: str | Path) -> Description:
    return preset(str(source)) if str(source) in preset_names() else read_description(Path(source))[0]
