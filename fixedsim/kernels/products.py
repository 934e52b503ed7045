"""Dot products of the rows of a weight matrix with vectors of inputs.

Weights are ``(R, K)``, inputs ``(N, K)``, results ``(N, R)``. The exact kernels add in any order: the caller proves
that no partial sum of any order leaves the accumulator.

A level of partial sums stands in a vector of :data:`LEVEL_FIELDS` integers, at the positions named here: the count of
lanes or else 0, the addends of a tile (0: all) or else 0, and whether each group is added up as a tree.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fixedsim.kernels.compilation import allocating, compiled
from fixedsim.kernels.narrowing import MULTIPLIER, Vector, limit, narrow, unpack

Operands = npt.NDArray[np.signedinteger[Any]]

LANES, TILE, TREE = range(3)
LEVEL_FIELDS = 3


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


@compiled
def add_group(addends: Vector, first: int, stride: int, count: int, tree: int, packed: Vector, counts: Vector) -> int:
    """Return the partial sum of ``count`` addends, ``stride`` apart from ``first`` on, which it overwrites.

    See ``spec.accumulators.partial_sums``.
    """
    held = unpack(packed)
    total: int
    if tree == 0 or count == 1:
        total, over = limit(addends[first], held)
        if over != 0:
            counts[(over + 1) >> 1] += 1
        for position in range(1, count):
            total, over = limit(total + addends[first + position * stride], held)
            if over != 0:
                counts[(over + 1) >> 1] += 1
        return total
    while count > 1:
        pairs = count >> 1
        for pair in range(pairs):
            left = first + 2 * pair * stride
            total, over = limit(addends[left] + addends[left + stride], held)
            if over != 0:
                counts[(over + 1) >> 1] += 1
            addends[first + pair * stride] = total
        if count & 1:
            addends[first + pairs * stride] = addends[first + (count - 1) * stride]
        count -= pairs
    return total


@compiled
def add_level(addends: Vector, length: int, level: Vector, packed: Vector, counts: Vector) -> int:
    """Write the partial sums of the first ``length`` addends in their place, and return how many there are."""
    lanes = level[LANES]
    if lanes > 0:
        groups: int = min(lanes, length)
        for group in range(groups):
            count = (length - group + lanes - 1) // lanes
            addends[group] = add_group(addends, group, lanes, count, level[TREE], packed, counts)
        return groups
    size = level[TILE] if level[TILE] > 0 else max(length, 1)
    groups = (length + size - 1) // size
    for group in range(groups):
        first = group * size
        count = min(size, length - first)
        addends[group] = add_group(addends, first, 1, count, level[TREE], packed, counts)
    return groups


@compiled
def write_products(
    weight: Vector, inputs: Vector, narrowed: tuple[int, ...], shift: int, addends: Vector, counts: Vector
) -> None:
    """Write to ``addends`` the products of one row and one vector, narrowed with the row's own shift."""
    for column in range(len(weight)):
        product = weight[column] * inputs[column]
        addends[column], over = narrow(product, narrowed[MULTIPLIER], shift, narrowed)
        if over != 0:
            counts[(over + 1) >> 1] += 1


@allocating
def accumulate_partial(
    weight: Vector,
    inputs: Vector,
    start: Vector,
    last: Vector,
    products: tuple[bool, Vector, Vector],
    levels: tuple[Vector, Vector],
    accumulator: Vector,
    out: Vector,
    counts: Vector,
    product_counts: Vector,
) -> None:
    """Write to ``out`` what :func:`accumulate_steps` writes, of an accumulator with levels of partial sums.

    ``products`` are its ``narrow_products``, ``product`` and ``product_shifts``; ``levels`` the levels (L, 3) and the
    packed narrowing of each. Products, every sum of a register and an addend, and every sum of two addends must fit
    64 bits. Overflows of partial sums are added to ``counts`` too.
    """
    narrow_products, product, shifts = products
    held, narrowed = unpack(accumulator), unpack(product)
    addends = np.empty(weight.shape[1], np.int64)
    for position in range(inputs.shape[0]):
        for row in range(weight.shape[0]):
            if narrow_products:
                write_products(weight[row], inputs[position], narrowed, shifts[row], addends, product_counts)
            else:
                addends[:] = weight[row] * inputs[position]
            length = weight.shape[1]
            for level in range(len(levels[0])):
                length = add_level(addends, length, levels[0][level], levels[1][level], counts)
            total, over = limit(start[position, row], held)
            if over != 0:
                counts[(over + 1) >> 1] += 1
            for index in range(length):
                total, over = limit(total + addends[index], held)
                if over != 0:
                    counts[(over + 1) >> 1] += 1
            total, over = limit(total + last[row], held)
            if over != 0:
                counts[(over + 1) >> 1] += 1
            out[position, row] = total
