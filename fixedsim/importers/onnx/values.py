"""What the values of a graph are known to be: constants, the network's own data by their axes, or not understood.

Axes are tuples of atoms, so that any reshape that keeps the order of elements can be followed: an axis of several atoms
is their row-major product, and one of none has one element. Atoms are told apart by identity, never by size.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.importers.onnx.sizes import Size, product, shown

MAX_AXES = 8
MAX_PARTS = 256
MAX_LISTED = 64  # sizes in one constant that is computed with
Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    """An array whose axes are as long as ``dims`` say, or 1 long where its content repeats along one.

    Shapes that are computed are arrays of objects, of :data:`Size`. ``origin`` is the initializer's name.
    """

    array: Array
    dims: tuple[Size, ...]
    origin: str = ""

    def __post_init__(self) -> None:
        if len(self.dims) > MAX_AXES:
            raise NetworkError(f"constants must have at most {MAX_AXES} axes, not {len(self.dims)}")

    @classmethod
    def whole(cls, array: Array, origin: str = "") -> "Constant":
        """A constant that repeats nowhere."""
        return cls(array, tuple(array.shape), origin)

    @property
    def uniform(self) -> Any:
        """The one value of all elements as Python has it, or None where there are several."""
        if self.array.size != 1 and (self.array.size == 0 or self.array.dtype == object):
            return None
        first = self.array.reshape(-1)[0]
        if self.array.size > 1 and not np.all(self.array == first):
            return None
        return first.item() if isinstance(first, np.generic) else first

    def exact(self, subject: str) -> Array:
        """The array, which has all of its elements.

        Raises:
            NetworkError: it repeats.
        """
        if self.array.shape != self.dims:
            raise NetworkError(f"{subject} must be a constant that is given whole, not one expanded to {self.shown}")
        return self.array

    def sizes(self, subject: str) -> tuple[Size, ...]:
        """The sizes, axes or indices that a short constant holds.

        Raises:
            NetworkError: it holds something else.
        """
        array = self.exact(subject)
        if array.ndim > 1 or array.size > MAX_LISTED or array.dtype.kind not in "iuO":
            raise NetworkError(f"{subject} must be a short constant of integers, not {array.dtype} of {self.shown}")
        return tuple(array.reshape(-1).tolist())

    def integers(self, subject: str) -> tuple[int, ...]:
        """The integers that a short constant holds.

        Raises:
            NetworkError: it holds something else, or sizes that are known only when the graph runs.
        """
        values = self.sizes(subject)
        known = tuple(value for value in values if isinstance(value, int))
        if len(known) < len(values):
            raise NetworkError(f"{subject} must be a constant, not {shown(values)}")
        return known

    @property
    def shown(self) -> str:
        """The dimensions as a message has them."""
        return shown(self.dims)


@dataclass(frozen=True, eq=False, slots=True)
class Atom:
    """One axis of data that no reshape has merged yet, itself and no other."""

    size: Size


Axis: TypeAlias = tuple[Atom, ...]
Step = Literal["all", "first", "last", "final"]


@dataclass(frozen=True, slots=True)
class Part:
    """What one direction of a layer gives: all steps, the first or last in time, or the last that it takes."""

    node: Any  # a layer of fixedsim.importers.onnx.found, told apart by identity
    direction: int = 0
    step: Step = "all"


@dataclass(frozen=True, slots=True)
class Stream:
    """The network's data at one place: ``parts`` side by side as features.

    ``features`` are the atoms of one element's features in order: those of all parts together, or one that counts
    the parts and one that counts the features of each. ``time`` is the axis that an LSTM has run over, and ``turned``
    one along which the data stand the other way round. ``ending`` is the function that must stand at the end.
    """

    parts: tuple[Part, ...]
    axes: tuple[Axis, ...]
    features: Axis
    time: Atom | None = None
    turned: Atom | None = None
    ending: str = ""

    def __post_init__(self) -> None:
        if len(self.axes) > MAX_AXES or len(self.parts) > MAX_PARTS:
            raise NetworkError(f"data must have at most {MAX_AXES} axes and {MAX_PARTS} parts, not more")

    @property
    def dims(self) -> tuple[Size, ...]:
        """The size of each axis."""
        return tuple(axis_size(axis) for axis in self.axes)

    @property
    def layers(self) -> tuple[Atom | None, Atom | None]:
        """The atom that counts parts, and the one of a part's features, where they are apart."""
        return (self.features[0], self.features[1]) if len(self.features) == 2 else (None, None)


@dataclass(frozen=True, slots=True)
class Opaque:
    """Data that are followed by where they come from only: an LSTM's cells, or pieces of the graph's inputs."""

    what: str
    inputs: frozenset[str] = frozenset()
    cells: frozenset[Any] = frozenset()


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that is not understood, and why; an error where something that matters reads it."""

    reason: str


Value: TypeAlias = Constant | Stream | Opaque | Refused


def axis_size(axis: Axis) -> Size:
    """The size of an axis."""
    return product(atom.size for atom in axis)
