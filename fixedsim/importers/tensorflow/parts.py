"""Cells, fully connected layers and embeddings as TensorFlow holds them, and the way from there to canonical weights.

A cell's kernel is ``(I + P, 4H)``: rows for the input, then for the hidden state; columns by gate, in the order input,
candidate ("j", "c"), forget, output in every cell of TensorFlow 1, LSTMBlockCell and BlockLSTM among them. BlockLSTMV2
has the order input, forget, candidate, output.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.importers.conventions import canonical_rows
from fixedsim.network import EmbeddingLayer, Layer, LinearLayer, LstmLayer

Array: TypeAlias = NDArray[Any]
Reals: TypeAlias = dict[str, NDArray[np.float64]]
CELL_ORDER: Final = "igfo"
PEEPHOLES: Final = {"w_i_diag": "input", "w_f_diag": "forget", "w_o_diag": "output"}
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST = 100


@dataclass(frozen=True, eq=False)
class Cell:
    """One direction of one LSTM.

    ``forget_bias`` is added at run time; ``certain`` says whether a graph told it and the functions, not a name alone.
    """

    scope: str
    kind: str  # the cell's class, for people
    kernel: Array  # (I + P, 4H)
    bias: Array | None  # (4H,)
    peepholes: dict[str, Array] = field(default_factory=dict)  # gate to (H,)
    projection: Array | None = None  # (H, P)
    order: str = CELL_ORDER
    forget_bias: float = 1.0
    certain: bool = False
    cell_clip: float | None = None
    gate: str = "sigmoid"
    candidate: str = "tanh"
    cell_activation: str = "tanh"

    @property
    def units(self) -> int:
        """H."""
        return int(self.kernel.shape[1]) // 4

    @property
    def hidden(self) -> int:
        """P, the width of the hidden state."""
        return self.units if self.projection is None else int(self.projection.shape[1])

    @property
    def inputs(self) -> int:
        """I."""
        return int(self.kernel.shape[0]) - self.hidden

    def check(self) -> None:
        """Raise NetworkError unless the shapes of the variables fit each other."""
        rows, columns = self.kernel.shape
        if columns % 4 or self.inputs < 1:
            raise NetworkError(
                f"kernel of {self.scope!r} must be of shape (inputs + {self.hidden}, 4 * units), not {(rows, columns)}"
            )
        wanted = {"bias": (self.bias, (columns,)), "projection": (self.projection, (self.units, self.hidden))}
        wanted |= {f"peephole of the {gate} gate": (array, (self.units,)) for gate, array in self.peepholes.items()}
        for what, (array, shape) in wanted.items():
            if array is not None and array.shape != shape:
                raise NetworkError(f"{what} of {self.scope!r} must be of shape {shape}, not {array.shape}")
        if self.peepholes and len(self.peepholes) < len(PEEPHOLES):
            raise NetworkError(f"peepholes of {self.scope!r} must be three, not {', '.join(self.peepholes)} alone")

    def tensors(self, order: str | None) -> Reals:
        """Canonical weights without the layer's name; ``order`` instead of the cell's own."""
        order = order or self.order
        found: Reals = {
            "input.weight": _rows(self.kernel[: self.inputs].T, order),
            "recurrent.weight": _rows(self.kernel[self.inputs :].T, order),
        }
        if self.bias is not None:
            found["bias"] = _rows(self.bias, order)
        found |= {f"peephole.{gate}": _reals(array) for gate, array in self.peepholes.items()}
        if self.projection is not None:
            found["projection.weight"] = _reals(self.projection.T)
        return found


@dataclass(frozen=True, eq=False)
class Recurrent:
    """An LSTM layer: one cell, or a forward and a backward one."""

    scope: str
    cells: tuple[Cell, ...]
    steps: str = "all"
    reverse: bool = False

    def layer(self, name: str) -> LstmLayer:
        """The layer as a network has it.

        Raises:
            NetworkError: cells that do not fit each other, or a size that is not allowed.
        """
        for cell in self.cells:
            cell.check()
        made = [self._one(name, cell) for cell in self.cells]
        if any(other != made[0] for other in made):
            raise NetworkError(
                f"directions of {self.scope!r} must be of one kind and size, not {made[0]} and {made[1]}"
            )
        return made[0]

    def _one(self, name: str, cell: Cell) -> LstmLayer:
        return LstmLayer(
            name,
            cell.inputs,
            cell.units,
            bidirectional=len(self.cells) == 2,
            gate=cell.gate,
            candidate=cell.candidate,
            cell_activation=cell.cell_activation,
            forget_bias=cell.forget_bias,
            bias=cell.bias is not None,
            steps=self.steps,
            projection=None if cell.projection is None else cell.hidden,
            peephole=bool(cell.peepholes),
            cell_clip=cell.cell_clip,
            reverse=self.reverse,
        )

    def tensors(self, layer: LstmLayer, order: str | None) -> Reals:
        """Canonical weights under the names of ``layer``."""
        pairs = zip(layer.directions, self.cells, strict=True)
        return {f"{way}.{part}": array for way, cell in pairs for part, array in cell.tensors(order).items()}


@dataclass(frozen=True, eq=False)
class Dense:
    """``activation(x @ kernel + bias)``; ``certain`` says whether a graph told the activation."""

    scope: str
    kernel: Array  # (inputs, outputs)
    bias: Array | None
    activation: str = "identity"
    clip: float | None = None
    certain: bool = False

    def layer(self, name: str) -> LinearLayer:
        """The layer as a network has it.

        Raises:
            NetworkError: a bias of another size, or a size that is not allowed.
        """
        inputs, outputs = self.kernel.shape
        if self.bias is not None and self.bias.shape != (outputs,):
            raise NetworkError(f"bias of {self.scope!r} must be of shape {(outputs,)}, not {self.bias.shape}")
        return LinearLayer(name, inputs, outputs, self.activation, self.clip, bias=self.bias is not None)

    def tensors(self, layer: LinearLayer, order: str | None) -> Reals:
        """Canonical weights under the names of ``layer``."""
        found = {f"{layer.name}.weight": _reals(self.kernel.T)}
        if self.bias is not None:
            found[f"{layer.name}.bias"] = _reals(self.bias)
        return found


@dataclass(frozen=True, eq=False)
class Lookup:
    """``table[token]``."""

    scope: str
    table: Array  # (vocabulary, features)

    def layer(self, name: str) -> EmbeddingLayer:
        """The layer as a network has it.

        Raises:
            NetworkError: a size that is not allowed.
        """
        return EmbeddingLayer(name, *self.table.shape)

    def tensors(self, layer: EmbeddingLayer, order: str | None) -> Reals:
        """The canonical weight under the name of ``layer``."""
        return {f"{layer.name}.weight": _reals(self.table)}


Part: TypeAlias = Recurrent | Dense | Lookup


class Placed(NamedTuple):
    """A part, and the layer that it is in the network."""

    part: Part
    layer: Layer


def layer_names(parts: list[Part]) -> list[str]:
    """A name for each part: its scope with dots for slashes, made unique by a number."""
    names: list[str] = []
    for part in parts:
        pieces = [_OTHER.sub("_", piece) for piece in part.scope.split("/") if piece]
        name = ".".join(pieces)[-_LONGEST:].strip(".") or part.__class__.__name__.lower()
        number, unique = 2, name
        while unique in names:
            unique, number = f"{name}-{number}", number + 1
        names.append(unique)
    return names


def kind_of(part: Part | Layer) -> str:
    """``lstm``, ``linear`` or ``embedding``."""
    if isinstance(part, Recurrent | LstmLayer):
        return "lstm"
    return "linear" if isinstance(part, Dense | LinearLayer) else "embedding"


def _rows(stacked: Array, order: str) -> NDArray[np.float64]:
    return canonical_rows(_reals(stacked), order)


def _reals(array: Array) -> NDArray[np.float64]:
    """In float64; a NaN of any kind stays one, without a warning."""
    with np.errstate(invalid="ignore"):
        return np.ascontiguousarray(array, np.float64)
