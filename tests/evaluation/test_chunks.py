"""Exact sums of products whatever the count of vectors run at a time, where kernels take over from each other."""

import numpy as np
import pytest

from fixedsim.execution import Products, Range
from fixedsim.profiles.datapath import Accumulator

# weights and inputs of one magnitude, and columns: sums within and past 2**24, 2**31 and 2**53
EDGES = [(128, 128, 1024), (128, 128, 1400), (32767, 32768, 2), (32767, 32767, 2), (32767, 32767, 3)]
WIDE_EDGES = [(1 << 15, 1 << 15, 8), (1 << 24, 1 << 24, 32), (1 << 24, 1 << 24, 33)]


@pytest.mark.parametrize("vectors", [1, 4, 5, 128, 129])
@pytest.mark.parametrize(("weight", "entry", "columns"), EDGES + WIDE_EDGES)
def test_sums_at_the_edges_of_the_kernels(weight: int, entry: int, columns: int, vectors: int) -> None:
    signs = np.where(np.arange(vectors * columns).reshape(vectors, columns) % 7 == 6, -1, 1)
    signs[::2] = 1  # every other vector makes the largest sums
    inputs = signs * entry
    inputs[:, -1] -= signs[:, -1]  # odd, so that a sum rounded to fewer bits differs
    weights = np.array([[weight] * columns, [-weight] * columns, [weight - 1] * columns])
    zeros = np.zeros(3, dtype=np.int64)
    start = Range(*(np.zeros(3, dtype=object) for _ in range(2)))
    products = Products(weights, zeros, Accumulator(63), inputs=Range(-entry, entry), start=start)
    sums = products.run(inputs, zeros, np.zeros(2, dtype=np.int64))
    assert sums.tolist() == [[dot(row, vector) for row in weights.tolist()] for vector in inputs.tolist()]


def dot(row: list[int], vector: list[int]) -> int:
    return sum(a * b for a, b in zip(row, vector, strict=True))
