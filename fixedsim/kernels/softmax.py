"""Log-softmax in binary64, the same operations in the same order on every machine.

Plain loops over :data:`LANES` partial sums, which LLVM vectorizes to any width without another order. Multiply-adds are
fused where :func:`fused` says so and nowhere else. Only the logarithm of each row's sum is the machine's own.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from fixedsim.kernels.compilation import allocating, inlined
from fixedsim.kernels.vector import operation

Reals = npt.NDArray[np.float64]
Logits = npt.NDArray[Any]

LANES = 256  # partial sums of a row, a power of two: lane k adds logits k, k + LANES ..
LOG2_E = 1.4426950408889634  # 1 / ln 2
LEAST_EXPONENT = -1023.0  # where the bits of n + 1023 are those of 0
ROUND = 6755399441056767.0  # 1.5 * 2**52 + 1023: adding it rounds to a whole number n, and n + 1023 are the low bits
EXPONENT_SHIFT = 52  # brings n + 1023 to where binary64 holds the exponent
# 2**f = C0 + C1 f + .. C8 f**8 within 8e-13 of its value for f in -1/2 .. 1/2: the polynomial of the least such error
C0 = 0.9999999999997623
C1 = 0.6931471805465141
C2 = 0.24022650698880368
C3 = 0.05550410939341709
C4 = 0.009618128542862732
C5 = 0.0013333452062245417
C6 = 0.00015403851748450507
C7 = 1.530973742356987e-05
C8 = 1.3175858176186498e-06


@operation(lambda word: np.int64(word).view(np.float64))
def binary64_of_bits(typingctx: Any, word: Any) -> Any:
    """The binary64 number that 64 bits hold."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), code


@operation(lambda number: np.float64(number).view(np.int64))
def bits_of_binary64(typingctx: Any, number: Any) -> Any:
    """The 64 bits of a binary64 number."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), code


def _fused(left: float, right: float, addend: float) -> float:
    if math.isfinite(left) and math.isfinite(right) and math.isfinite(addend):
        return float(Fraction(left) * Fraction(right) + Fraction(addend))
    return left * right + addend


@operation(_fused)
def fused(typingctx: Any, left: Any, right: Any, addend: Any) -> Any:
    """``left * right + addend``, rounded once: IEEE 754's fusedMultiplyAdd, one instruction of most processors."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), code


@operation(lambda: None)
def use_widest_vectors(typingctx: Any) -> Any:
    """Let LLVM vectorize the function that holds this call to 512 bits, even where it would halve them."""

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own method knows no such names
        return context.get_dummy_value()

    return types.void(), code


@allocating
def target_log_probabilities(logits: Logits, targets: npt.NDArray[np.int64], scale: float, out: Reals) -> None:
    """Write ``x[t] - log(sum(exp(x)))`` to ``out[t]`` for ``x = scale * logits[t]`` and ``t = targets[t]``.

    ``logits`` are C-contiguous ``(T, V)`` of any integer type or binary64, ``V`` at least 1, ``targets`` in
    ``0 .. V - 1``. The relative error is below 1e-12, of probabilities near 1 too: the largest of a row stands for
    exactly 1, and only the others are summed. Integers beyond ``2**53`` are rounded to binary64 first. NaN, or a
    largest that is infinite, gives NaN.
    """
    steps, width = logits.shape
    highest, sums = np.empty(min(LANES, width), logits.dtype), np.empty(LANES)
    for step in range(steps):
        row = logits[step]
        place = place_of_largest(row, highest)
        top = np.float64(row[place])
        others = sum_of_others(row, place, scale * LOG2_E, sums) + (top - top)  # NaN where it is infinite
        out[step] = scale * (np.float64(row[targets[step]]) - top) - math.log1p(others)


@inlined
def place_of_largest(row: Logits, highest: Logits) -> int:
    """Return where the largest of a row stands; ``highest`` ``(min(LANES, V),)`` is written over."""
    use_widest_vectors()
    lanes = len(highest)
    for lane in range(lanes):
        highest[lane] = row[lane]
    for start in range(lanes, len(row), lanes):
        part = row[start : start + lanes]
        for lane in range(len(part)):
            highest[lane] = part[lane] if part[lane] > highest[lane] else highest[lane]
    best = 0
    for lane in range(1, lanes):
        best = lane if highest[lane] > highest[best] else best
    place = best
    while place + lanes < len(row) and row[place] != highest[best]:
        place += lanes
    return place


@inlined
def sum_of_others(row: Logits, place: int, scale: float, sums: Reals) -> float:
    """Return the sum of ``2**(scale * (x - row[place]))`` over all others; ``sums`` ``(LANES,)`` is written over.

    Each lane is summed in order; then halves are added to halves. The lane of ``place`` is summed once more without it.
    """
    use_widest_vectors()
    top = np.float64(row[place])
    for lane in range(LANES):
        sums[lane] = 0.0
    for start in range(0, len(row), LANES):
        part = row[start : start + LANES]
        for lane in range(len(part)):
            sums[lane] = with_power_of_two(sums[lane], (np.float64(part[lane]) - top) * scale)
    lane = place % LANES
    sums[lane] = 0.0
    for other in range(lane, len(row), LANES):
        if other != place:
            sums[lane] = with_power_of_two(sums[lane], (np.float64(row[other]) - top) * scale)
    half = LANES
    while half > 1:
        half //= 2
        for lane in range(half):
            sums[lane] += sums[lane + half]
    return float(sums[0])


@inlined
def with_power_of_two(total: float, exponent: float) -> float:
    """Return ``total + 2**n * 2**f`` for an exponent ``n + f`` of at most 0: ``total`` for ``n`` below -1022."""
    held = LEAST_EXPONENT if exponent < LEAST_EXPONENT else exponent
    rounded = held + ROUND
    f = held - (rounded - ROUND)
    f2 = f * f
    f4 = f2 * f2
    low = fused(f2, fused(f, C3, C2), fused(f, C1, C0))
    high = fused(f2, fused(f, C7, C6), fused(f, C5, C4))
    power = binary64_of_bits(bits_of_binary64(rounded) << EXPONENT_SHIFT)
    found: float = fused(fused(f4, fused(f4, C8, high), low), power, total)
    return found
