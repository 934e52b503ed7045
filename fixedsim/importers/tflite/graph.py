"""What a TensorFlow Lite file holds, in the words of its schema."""

from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

Option: TypeAlias = bool | int | float | str | tuple[int | float, ...] | None


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor: real value = ``scale * (code - zero_point)``, by slices along ``axis`` where there are several.

    ``scale`` holds the file's float32 values exactly; it and ``zero_point`` are empty where there is no quantization.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    type: str  # as the schema names it: INT8, INT16, INT32, INT64, FLOAT32, INT4
    variable: bool  # keeps its content between runs, as an LSTM's state does
    data: NDArray[Any] | None  # of a constant; read-only, of the tensor's shape; INT4 as int8
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None  # None: one scale or none


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator; numbers are indices of tensors, and -1 among the inputs is an absent one.

    ``options`` has every option that the schema knows for the operator, at its default where the file does not say.
    A vector that the file lacks is None; a fused activation stands by its name (``NONE``, ``RELU``).
    """

    kind: str  # FULLY_CONNECTED; CUSTOM:name for a custom one
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options: dict[str, Option]


@dataclass(frozen=True, eq=False)
class Graph:
    """The one subgraph of a file: operators in the order in which they run, ``inputs`` and ``outputs`` as indices."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
