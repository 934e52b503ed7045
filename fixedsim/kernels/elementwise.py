"""Narrowings and activations over arrays."""

from fixedsim.kernels.activations import activate_row
from fixedsim.kernels.compilation import compiled
from fixedsim.kernels.narrowing import Vector
from fixedsim.kernels.rows import narrow_row


@compiled
def narrow_rows(
    values: Vector, multipliers: Vector, shifts: Vector, packed: Vector, out: Vector, counts: Vector
) -> None:
    """Write to ``out`` (N, R) the narrowed ``values`` (N, R), each column with its own multiplier and shift (R,).

    Adds to ``counts`` (2,) how often the overflow acted low and high.
    """
    for position in range(values.shape[0]):
        narrow_row(values[position], multipliers, shifts, packed, out[position], counts)


@compiled
def activate_all(values: Vector, packed: Vector, table_values: Vector, scratch: Vector, out: Vector) -> None:
    """Write to ``out`` (N,) the activation of each of ``values`` (N,); ``scratch`` is (3, max(N, 2))."""
    activate_row(values, packed, table_values, scratch, out)
