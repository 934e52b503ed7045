"""Dot products of the rows of a weight matrix with vectors of inputs.

Weights are ``(R, K)``, inputs ``(N, K)``, results ``(N, R)``. The exact kernels add in any order: the caller proves
that no partial sum of any order leaves the accumulator.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fixedsim.kernels.compilation import compiled
from fixedsim.kernels.narrowing import MULTIPLIER, Vector, limit, narrow, unpack

Operands = npt.NDArray[np.signedinteger[Any]]


@compiled
def matmul_wide(weight: Operands, inputs: Operands, out: Vector) -> None:
    """Write to ``out`` the exact sums ``weight[r] . inputs[n]``, which must fit 64 bits."""
    for position in range(inputs.shape[0]):
        for row in range(weight.shape[0]):
            total = np.int64(0)
            for column in range(weight.shape[1]):
                total += np.int64(weight[row, column]) * np.int64(inputs[position, column])
            out[position, row] = total


@compiled
def matmul_int32(weight: Operands, inputs: Operands, out: Vector) -> None:
    """Write to ``out`` the exact sums ``weight[r] . inputs[n]`` of 16-bit operands, which must fit 32 bits."""
    for position in range(inputs.shape[0]):
        for row in range(weight.shape[0]):
            total = np.int32(0)
            for column in range(weight.shape[1]):
                # Each operation is cut back to 32 bits: compiled code would else carry it on in 64.
                addend = np.int32(np.int32(weight[row, column]) * np.int32(inputs[position, column]))
                total = np.int32(total + addend)
            out[position, row] = total


@compiled
def accumulate_steps(
    weight: Vector,
    inputs: Vector,
    start: Vector,
    last: Vector,
    narrow_products: bool,
    product: Vector,
    product_shifts: Vector,
    accumulator: Vector,
    out: Vector,
    counts: Vector,
    product_counts: Vector,
) -> None:
    """Write to ``out`` the sums as an accumulator holds them whose overflow acts at each step.

    ``start`` (N, R) is loaded through the overflow; the products follow in ascending order, each narrowed by
    ``product`` with the row's own shift where ``narrow_products``; then ``last`` (R,). Products and every sum of the
    accumulator and an addend must fit 64 bits. Adds to the counts (2,) how often each overflow acted low and high.
    """
    held, narrowed = unpack(accumulator), unpack(product)
    for position in range(inputs.shape[0]):
        for row in range(weight.shape[0]):
            total, over = limit(start[position, row], held)
            if over != 0:
                counts[(over + 1) >> 1] += 1
            for column in range(weight.shape[1]):
                addend = weight[row, column] * inputs[position, column]
                if narrow_products:
                    addend, over = narrow(addend, narrowed[MULTIPLIER], product_shifts[row], narrowed)
                    if over != 0:
                        product_counts[(over + 1) >> 1] += 1
                total, over = limit(total + addend, held)
                if over != 0:
                    counts[(over + 1) >> 1] += 1
            total, over = limit(total + last[row], held)
            if over != 0:
                counts[(over + 1) >> 1] += 1
            out[position, row] = total
