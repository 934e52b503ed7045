"""From the ratio of two scales to the integers that carry it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fixedsim.casts import Rounding
from fixedsim.errors import ModelError
from fixedsim.profiles.datapath import MAX_SHIFT, Form
from fixedsim.profiles.profile import Requantization, RequantizeChoices
from fixedsim.spec.casts import round_divide

_DOUBLING_BITS = 31


@dataclass(frozen=True, eq=False)
class RowConstants:
    """Multiplier and shift of each row."""

    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]


def row_constants(ratios: Sequence[Fraction], choices: RequantizeChoices, what: str) -> RowConstants:
    """Multipliers and shifts with ``multiplier / 2**shift`` nearest to each ratio of scales."""
    cache = {ratio: requantize(ratio, choices, what) for ratio in set(ratios)}
    pairs = np.array([cache[ratio] for ratio in ratios], dtype=np.int64).reshape(-1, 2)
    return RowConstants(pairs[:, 0].copy(), pairs[:, 1].copy())


def requantize(ratio: Fraction, choices: RequantizeChoices, what: str) -> tuple[int, int]:
    """``(multiplier, shift)`` with ``multiplier / 2**shift`` nearest to ``ratio`` (ties to even).

    The multiplier has ``multiplier_bits`` bits with its highest bit set (31 in the doubling form); a shift form takes
    only powers of two.

    Raises:
        ModelError: a ratio that is not a power of two for a shift, or a shift past 62.
    """
    if choices.form is Requantization.SHIFT:
        return 1, _within(exact_log2(1 / ratio, what), what)
    bits = _DOUBLING_BITS if choices.form is Requantization.DOUBLING else choices.multiplier_bits
    shift = bits - 1 - floor_log2(ratio)
    multiplier = _nearest(ratio, shift)
    if multiplier == 1 << bits:
        multiplier, shift = multiplier >> 1, shift - 1
    while shift > MAX_SHIFT and multiplier > 1:  # a tiny ratio keeps fewer bits
        shift -= 1
        multiplier = max(_nearest(ratio, shift), 1)
    return multiplier, _within(shift, what)


def requantization_form(choices: RequantizeChoices) -> Form:
    """The form of narrowings that requantize."""
    return Form.DOUBLING if choices.form is Requantization.DOUBLING else Form.SINGLE


def _nearest(ratio: Fraction, shift: int) -> int:
    scaled = ratio * Fraction(2) ** shift
    return round_divide(scaled.numerator, scaled.denominator, Rounding.HALF_EVEN)


def floor_log2(value: Fraction) -> int:
    """The greatest integer ``n`` with ``2**n <= value``."""
    guess = value.numerator.bit_length() - value.denominator.bit_length()
    return guess if Fraction(2) ** guess <= value else guess - 1


def exact_log2(value: Fraction, what: str) -> int:
    """``log2(value)`` where it is an integer.

    Raises:
        ModelError: ``value`` is not a power of two.
    """
    power = floor_log2(value)
    if Fraction(2) ** power != value:
        raise ModelError(f"{what} must be a power of two to be a shift, not {value}; use requantize.form multiplier")
    return power


def _within(shift: int, what: str) -> int:
    if not -MAX_SHIFT <= shift <= MAX_SHIFT:
        raise ModelError(f"shift of {what} must be in {-MAX_SHIFT}..{MAX_SHIFT}, not {shift}")
    return shift
