"""Exact products of others: NumPy's on 64-bit integers, and apytypes' on fixed-point arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.measure import Call
from tests.benchmarks.peers import required


def numpy_int64(weight: NDArray[Any], vectors: NDArray[Any]) -> Call:
    """``vectors @ weight.T`` on int64."""
    transposed = np.ascontiguousarray(weight.T, dtype=np.int64)
    return lambda: np.matmul(vectors, transposed)


def apytypes_product(weight: NDArray[Any], vectors: NDArray[Any], *, bits: int) -> Call:
    """``vectors @ weight.T`` on APyFixedArray, which keeps every bit."""
    apytypes = required("apytypes", "apytypes")
    left, right = (
        apytypes.APyFixedArray(values.tolist(), int_bits=bits, frac_bits=0) for values in (vectors, weight.T)
    )
    return lambda: left @ right
