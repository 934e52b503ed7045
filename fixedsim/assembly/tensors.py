"""What an integer layer is assembled from: raws, their formats and what they mean."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from numpy.typing import NDArray

from fixedsim.formats import Format
from fixedsim.profiles.datapath import GATES, Activation

Raws = NDArray[Any]
Constants = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class RawMatrix:
    """Weights ``(rows, inputs)``: ``real = scale[row] * (raw - zero_point[row])``, the format's zero point if None."""

    raws: Raws
    format: Format
    scale: Sequence[Fraction]  # one for each row
    zero_point: Raws | None = None
    by_row: bool = False  # whether the scales are stored row by row, which some arithmetic of scales depends on

    def rows(self, rows: slice) -> "RawMatrix":
        """The matrix of some of the rows."""
        zero_point = None if self.zero_point is None else self.zero_point[rows]
        return replace(self, raws=self.raws[rows], scale=self.scale[rows], zero_point=zero_point)


@dataclass(frozen=True, eq=False)
class RawBias:
    """Biases ``(rows,)``, each entering as ``raw * 2**shift`` of the scale of its stage; no shift if None."""

    raws: Raws | None
    format: Format
    shift: Raws | None = None


@dataclass(frozen=True, eq=False)
class RawVector:
    """Weights ``(units,)`` of a peephole or a normalization; their format's scale is what one raw means."""

    raws: Raws
    format: Format


@dataclass(frozen=True, eq=False)
class LinearTensors:
    """A fully connected layer: ``output`` None leaves sums at accumulator width, on the scale ``sum_scale``."""

    matrix: RawMatrix
    bias: RawBias
    input: Format
    output: Format | None
    activation: str = "identity"  # or relu, clipped_relu, sigmoid, tanh, hard_sigmoid, hard_sigmoid_fifth, hard_tanh
    clip: Fraction | None = None
    lowest: Fraction = Fraction(0)  # the lower end of a ReLU
    sum_scale: Fraction | None = None


@dataclass(frozen=True, eq=False)
class LstmTensors:
    """One direction of an LSTM; rows are gate-major, without the input gate where it is coupled.

    ``hidden`` is the format in which the step writes the hidden state (before a projection), ``hidden_state`` the one
    in which the recurrence reads it and ``output`` the one in which the next layer does: as written if None. ``clip``
    bounds what the functions of the gates read and ``cell_clip`` the cell, both ways; ``start`` maps ``hidden`` and
    ``cell`` to raws ``(outputs,)`` and ``(units,)`` in place of the one raw for all units.
    """

    input_matrix: RawMatrix
    recurrent_matrix: RawMatrix
    bias: RawBias
    input: Format
    hidden: Format
    hidden_state: Format | None = None
    output: Format | None = None
    cell_state: Format | None = None
    functions: tuple[str, str, str] = ("sigmoid", "tanh", "tanh")  # of the gates, the candidate, the cell
    coupled: bool = False
    peephole: Mapping[str, RawVector] = field(default_factory=dict)
    norm: Mapping[str, RawVector] = field(default_factory=dict)
    projection: LinearTensors | None = None
    initial_hidden: int | None = None  # the raw that means zero if None
    initial_cell: int | None = None
    clip: Fraction | None = None
    cell_clip: Fraction | None = None
    start: Mapping[str, Raws] = field(default_factory=dict)

    @property
    def gate_names(self) -> tuple[str, ...]:
        """The gates that have rows."""
        return GATES[1:] if self.coupled else GATES


def _kept(name: str, form: Format) -> Format:
    return form


@dataclass(frozen=True, eq=False)
class Overrides:
    """What stands in for a profile's choices, by the name of a stage such as ``lstm.gate.input.sum`` or ``lstm.cell``.

    ``format`` gives the format in place of the one that the profile names; ``constants`` multiplier and shift in place
    of those that follow from scales; ``functions`` an activation (of ``lstm.gate.input``, ``lstm.cell_activation``).
    """

    format: Callable[[str, Format], Format] = _kept
    constants: Constants = field(default_factory=dict)
    functions: Mapping[str, Activation] = field(default_factory=dict)


def overrides(
    formats: Mapping[str, Format] | None = None,
    constants: Constants | None = None,
    functions: Mapping[str, Activation] | None = None,
) -> Overrides:
    """Overrides from mappings; names that are not there keep the profile's choice."""
    known = dict(formats or {})
    return Overrides(lambda name, form: known.get(name, form), constants or {}, functions or {})
