"""The layers that a network description is made of: kinds, sizes and the tensors that they need."""

import math
import re
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from fixedsim.errors import NetworkError, nearest
from fixedsim.layers.real import ACTIVATIONS as REAL_ACTIVATIONS
from fixedsim.layers.real import LSTM_SIGNALS

MAX_DIMENSION = 1 << 24  # of one side of a tensor
MAX_ELEMENTS = 1 << 31  # of one tensor
MAX_NAME = 128
ACTIVATIONS = (*REAL_ACTIVATIONS, "clipped_relu")
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid")
CELL_ACTIVATIONS = tuple(REAL_ACTIVATIONS)
STEPS = ("all", "last")
Shapes: TypeAlias = dict[str, tuple[int, ...]]
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")


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
        _check_name(self.name)
        _check_dimensions(self.name, vocabulary=self.vocabulary, features=self.features)
        _check_elements(self.tensors())

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
        _check_name(self.name)
        _check_dimensions(self.name, inputs=self.inputs, outputs=self.outputs)
        _check_choice(self.name, "activation", self.activation, ACTIVATIONS)
        self._check_clip()
        _check_elements(self.tensors())

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

    Gates stand in the order input, forget, candidate, output along the rows of each weight matrix.

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

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_dimensions(self.name, inputs=self.inputs, units=self.units)
        _check_choice(self.name, "gate", self.gate, GATE_ACTIVATIONS)
        _check_choice(self.name, "candidate", self.candidate, CELL_ACTIVATIONS)
        _check_choice(self.name, "cell_activation", self.cell_activation, CELL_ACTIVATIONS)
        _check_choice(self.name, "steps", self.steps, STEPS)
        if not math.isfinite(self.forget_bias):
            raise NetworkError(f"layer {self.name!r}: forget_bias must be finite, not {self.forget_bias}")
        _check_elements(self.tensors())

    @property
    def output_width(self) -> int:
        """``units``, or twice as many for both directions."""
        return 2 * self.units if self.bidirectional else self.units

    @property
    def directions(self) -> tuple[str, ...]:
        """The name before each direction's tensors, signals and state: forward first."""
        return (f"{self.name}.forward", f"{self.name}.backward") if self.bidirectional else (self.name,)

    def tensors(self) -> Shapes:
        """For each direction ``.input.weight (4H, I)``, ``.recurrent.weight (4H, H)`` and ``.bias (4H,)``."""
        shapes: Shapes = {}
        for direction in self.directions:
            shapes[f"{direction}.input.weight"] = (4 * self.units, self.inputs)
            shapes[f"{direction}.recurrent.weight"] = (4 * self.units, self.units)
            if self.bias:
                shapes[f"{direction}.bias"] = (4 * self.units,)
        return shapes

    def signals(self) -> tuple[str, ...]:
        """Each direction's :data:`fixedsim.layers.real.LSTM_SIGNALS`; ``<name>.output`` where there are two."""
        names = tuple(f"{direction}.{signal}" for direction in self.directions for signal in LSTM_SIGNALS)
        return (*names, f"{self.name}.output") if self.bidirectional else names


Layer: TypeAlias = EmbeddingLayer | LinearLayer | LstmLayer


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME or not _NAME.match(name):
        raise NetworkError(
            f"layer name must be at most {MAX_NAME} letters, digits, '_' and '-', in parts joined by dots, "
            f"not {name[:200]!r}"
        )


def _check_dimensions(name: str, **sizes: int) -> None:
    for key, size in sizes.items():
        if not 1 <= size <= MAX_DIMENSION:
            raise NetworkError(f"layer {name!r}: {key} must be in 1..{MAX_DIMENSION}, not {size}")


def _check_elements(shapes: Shapes) -> None:
    for name, shape in shapes.items():
        if math.prod(shape) > MAX_ELEMENTS:
            raise NetworkError(f"tensor {name!r} must hold at most {MAX_ELEMENTS} elements, not {math.prod(shape)}")


def _check_choice(name: str, key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise NetworkError(f"layer {name!r}: {key} must be a known choice, not {value!r}{nearest(value, allowed)}")
