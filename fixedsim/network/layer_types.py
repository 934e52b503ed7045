"""The layers that a network description is made of: kinds, sizes and the tensors that they need."""

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

from fixedsim.errors import NetworkError
from fixedsim.layers.real import ACTIVATIONS as REAL_ACTIVATIONS
from fixedsim.layers.real_lstm import GATES, lstm_signals
from fixedsim.network.layer_checks import MAX_DIMENSION as MAX_DIMENSION
from fixedsim.network.layer_checks import MAX_ELEMENTS as MAX_ELEMENTS
from fixedsim.network.layer_checks import MAX_NAME as MAX_NAME
from fixedsim.network.layer_checks import (
    Shapes,
    check_choice,
    check_dimensions,
    check_elements,
    check_name,
    check_positive,
)

ACTIVATIONS = (*REAL_ACTIVATIONS, "clipped_relu")
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid", "hard_sigmoid_fifth")
CELL_ACTIVATIONS = tuple(REAL_ACTIVATIONS)
STEPS = ("all", "last")


@dataclass(frozen=True, slots=True)
class EmbeddingLayer:
    """``output = weight[token]``: a row of ``features`` values for each of ``vocabulary`` tokens.

    Raises:
        NetworkError: a name or a size that is not allowed.
    """

    kind: ClassVar[str] = "embedding"
    name: str
    vocabulary: int
    features: int

    def __post_init__(self) -> None:
        check_name(self.name)
        check_dimensions(self.name, vocabulary=self.vocabulary, features=self.features)
        check_elements(self.tensors())

    @property
    def output_width(self) -> int:
        """``features``."""
        return self.features

    def tensors(self) -> Shapes:
        """``<name>.weight`` of shape ``(vocabulary, features)``."""
        return {f"{self.name}.weight": (self.vocabulary, self.features)}

    def signals(self) -> tuple[str, ...]:
        """``<name>.output``."""
        return (f"{self.name}.output",)


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """``output = activation(weight @ x + bias)``; ``clipped_relu`` is ``min(max(x, 0), clip)``.

    Raises:
        NetworkError: a name, a size, an activation or a clip that is not allowed.
    """

    kind: ClassVar[str] = "linear"
    name: str
    inputs: int
    outputs: int
    activation: str = "identity"
    clip: float | None = None  # upper end of clipped_relu, in real units
    bias: bool = True

    def __post_init__(self) -> None:
        check_name(self.name)
        check_dimensions(self.name, inputs=self.inputs, outputs=self.outputs)
        check_choice(self.name, "activation", self.activation, ACTIVATIONS)
        self._check_clip()
        check_elements(self.tensors())

    def _check_clip(self) -> None:
        subject = f"layer {self.name!r}: clip"
        if self.activation != "clipped_relu" and self.clip is not None:
            raise NetworkError(f"{subject} must be absent for activation {self.activation!r}, not {self.clip}")
        if self.activation == "clipped_relu" and (self.clip is None or not math.isfinite(self.clip) or self.clip <= 0):
            value = "missing" if self.clip is None else self.clip
            raise NetworkError(f"{subject} must be positive and finite for activation 'clipped_relu', not {value}")

    @property
    def output_width(self) -> int:
        """``outputs``."""
        return self.outputs

    def tensors(self) -> Shapes:
        """``<name>.weight`` of shape ``(outputs, inputs)`` and ``<name>.bias`` of shape ``(outputs,)``."""
        shapes: Shapes = {f"{self.name}.weight": (self.outputs, self.inputs)}
        if self.bias:
            shapes[f"{self.name}.bias"] = (self.outputs,)
        return shapes

    def signals(self) -> tuple[str, ...]:
        """``<name>.preactivation`` and ``<name>.output``."""
        return (f"{self.name}.preactivation", f"{self.name}.output")


@dataclass(frozen=True, slots=True)
class LstmLayer:
    """One LSTM of ``units`` units, or two in both directions of time, their outputs concatenated.

    Gates stand in the order input, forget, candidate, output along the rows of each weight matrix. The hidden state,
    and so the output, is ``hidden_width`` wide: the units, or the projection's rows.

    Raises:
        NetworkError: a name, a size, an activation or another choice that is not allowed.
    """

    kind: ClassVar[str] = "lstm"
    name: str
    inputs: int
    units: int
    bidirectional: bool = False
    gate: str = "sigmoid"  # of the input, forget and output gates
    candidate: str = "tanh"
    cell_activation: str = "tanh"
    forget_bias: float = 0.0  # added to the forget gate's bias when the network runs, not stored in it
    bias: bool = True
    steps: str = "all"  # "last": only the output after the last step that each direction takes
    projection: int | None = None  # width of h = W_p (o * activation(c))
    peephole: bool = False  # input and forget gates see the old cell, the output gate the new one
    coupled: bool = False  # the input gate is one minus the forget gate and has no weights
    clip: float | None = None  # every pre-activation is kept within -clip .. clip
    cell_clip: float | None = None  # the new cell is kept within -cell_clip .. cell_clip
    reverse: bool = False  # time runs backwards; outputs stand in the order of the input
    initial: bool = False  # tensors hold the state at the start

    def __post_init__(self) -> None:
        check_name(self.name)
        check_dimensions(self.name, inputs=self.inputs, units=self.units)
        check_choice(self.name, "gate", self.gate, GATE_ACTIVATIONS)
        check_choice(self.name, "candidate", self.candidate, CELL_ACTIVATIONS)
        check_choice(self.name, "cell_activation", self.cell_activation, CELL_ACTIVATIONS)
        check_choice(self.name, "steps", self.steps, STEPS)
        if not math.isfinite(self.forget_bias):
            raise NetworkError(f"layer {self.name!r}: forget_bias must be finite, not {self.forget_bias}")
        if self.projection is not None:
            check_dimensions(self.name, projection=self.projection)
        check_positive(self.name, clip=self.clip, cell_clip=self.cell_clip)
        if self.reverse and self.bidirectional:
            raise NetworkError(f"layer {self.name!r}: reverse must be false for a bidirectional layer, not true")
        check_elements(self.tensors())

    @property
    def hidden_width(self) -> int:
        """The width of one direction's hidden state and output: ``projection``, or ``units`` without one."""
        return self.units if self.projection is None else self.projection

    @property
    def output_width(self) -> int:
        """``hidden_width``, or twice as many for both directions."""
        return 2 * self.hidden_width if self.bidirectional else self.hidden_width

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that have rows in the weight matrices, in their order: all four, or no input gate if coupled."""
        return GATES[1:] if self.coupled else GATES

    @property
    def peephole_gates(self) -> tuple[str, ...]:
        """The gates that have peephole weights."""
        return tuple(gate for gate in self.gates if gate != "candidate") if self.peephole else ()

    @property
    def directions(self) -> tuple[str, ...]:
        """The name before each direction's tensors, signals and state: forward first."""
        return (f"{self.name}.forward", f"{self.name}.backward") if self.bidirectional else (self.name,)

    @property
    def direction_signals(self) -> tuple[str, ...]:
        """The signals of one direction, without its name; the last is the hidden state, which is the output."""
        return lstm_signals(coupled=self.coupled, peephole=self.peephole, projection=self.projection is not None)

    def runs_backwards(self, direction: int) -> bool:
        """Whether the direction (0 or 1) reads time backwards: the second one, or the only one of ``reverse``."""
        return self.reverse or direction == 1

    def tensors(self) -> Shapes:
        """The tensors of each direction, G being 4, or 3 where gates are coupled, and P the hidden width.

        ``.input.weight (G*H, I)``, ``.recurrent.weight (G*H, P)`` and, if the layer has them, ``.bias (G*H,)``,
        ``.peephole.input (H,)``, ``.peephole.forget (H,)``, ``.peephole.output (H,)``, ``.projection.weight (P, H)``,
        ``.initial.hidden (P,)``, ``.initial.cell (H,)``.
        """
        return {f"{way}.{name}": shape for way in self.directions for name, shape in self._direction_tensors().items()}

    def _direction_tensors(self) -> Shapes:
        rows, width = len(self.gates) * self.units, self.hidden_width
        shapes: Shapes = {"input.weight": (rows, self.inputs), "recurrent.weight": (rows, width)}
        if self.bias:
            shapes["bias"] = (rows,)
        shapes |= {f"peephole.{gate}": (self.units,) for gate in self.peephole_gates}
        if self.projection is not None:
            shapes["projection.weight"] = (width, self.units)
        if self.initial:
            shapes |= {"initial.hidden": (width,), "initial.cell": (self.units,)}
        return shapes

    def signals(self) -> tuple[str, ...]:
        """Each direction's :func:`fixedsim.layers.real_lstm.lstm_signals`; ``<name>.output`` where there are two."""
        names = tuple(f"{direction}.{signal}" for direction in self.directions for signal in self.direction_signals)
        return (*names, f"{self.name}.output") if self.bidirectional else names


Layer: TypeAlias = EmbeddingLayer | LinearLayer | LstmLayer
# Keys of an LSTM that a description names only where they are set, so that files from before them stay as they were.
_NAMED_IF_SET = ("projection", "peephole", "coupled", "clip", "cell_clip", "reverse", "initial")


def layer_dict(layer: Layer) -> dict[str, Any]:
    """The layer as plain values, ``kind`` first."""
    values = {"kind": layer.kind, **asdict(layer)}
    added = _NAMED_IF_SET if isinstance(layer, LstmLayer) else ()
    return {key: value for key, value in values.items() if key not in added or value not in (None, False)}
