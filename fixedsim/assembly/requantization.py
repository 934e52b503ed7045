"""From the ratio of two scales to the integers that carry it out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.choices import Requantization, RequantizeChoices, ScaleArithmetic
from fixedsim.profiles.datapath import MAX_FLOAT_SHIFT, MAX_SHIFT, Form, Narrowing, Primitive
from fixedsim.spec.casts import round_divide

_DOUBLING_BITS = 31
_SHORT_BITS = 15
Found = TypeVar("Found")
_PRIMITIVES = {Requantization.FLOAT32: Primitive.FLOAT32, Requantization.FLOAT64: Primitive.FLOAT64}
_SIGNIFICANDS = {Requantization.FLOAT32: 24, Requantization.FLOAT64: 53}


@dataclass(frozen=True, eq=False)
class RowConstants:
    """Multiplier and shift of each row."""

    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]


def each_once(of: Callable[..., Found], *columns: Sequence[Any]) -> list[Found]:
    """What a function gives for each row of the columns of hashable values; equal rows, as most are, share one call."""
    known: dict[tuple[Any, ...], Found] = {}
    found = []
    for row in zip(*columns, strict=True):
        try:
            found.append(known[row])
        except KeyError:
            found.append(known.setdefault(row, of(*row)))
    return found


def row_constants(ratios: Sequence[Fraction], choices: RequantizeChoices, what: str) -> RowConstants:
    """Multipliers and shifts with ``multiplier / 2**shift`` nearest to each ratio of scales."""
    pairs = np.array(each_once(lambda ratio: requantize(ratio, choices, what), ratios), dtype=np.int64).reshape(-1, 2)
    return RowConstants(pairs[:, 0].copy(), pairs[:, 1].copy())


def requantize(ratio: Fraction, choices: RequantizeChoices, what: str) -> tuple[int, int]:
    """``(multiplier, shift)`` with ``multiplier / 2**shift`` nearest to ``ratio`` (ties to even).

    The multiplier has ``multiplier_bits`` bits with its highest bit set; a shift form takes only powers of two. The
    doubling form has 31 bits, ties away from zero (gemmlowp's ``QuantizeMultiplier``); ``multiplier_16`` rounds those
    half up to the highest 15, at most 32767. The forms in IEEE arithmetic have the bits of a significand.

    Raises:
        ModelError: a ratio that is not a power of two for a shift, or a shift past 62.
    """
    form = choices.form
    if form is Requantization.SHIFT:
        return 1, _within(exact_log2(1 / ratio, what), what)
    if form in _SIGNIFICANDS:
        return _fitted(ratio, _SIGNIFICANDS[form], Rounding.HALF_EVEN, MAX_FLOAT_SHIFT, what)
    if form is Requantization.MULTIPLIER:
        return _fitted(ratio, choices.multiplier_bits, Rounding.HALF_EVEN, MAX_SHIFT, what)
    multiplier, shift = _fitted(ratio, _DOUBLING_BITS, Rounding.HALF_AWAY, MAX_SHIFT, what)
    if form is Requantization.MULTIPLIER_16:
        dropped = _DOUBLING_BITS - _SHORT_BITS
        short = round_divide(multiplier, 1 << dropped, Rounding.HALF_UP)
        return min(short, (1 << _SHORT_BITS) - 1), shift - dropped
    return multiplier, shift


def _fitted(ratio: Fraction, bits: int, rounding: Rounding, most: int, what: str) -> tuple[int, int]:
    """The multiplier of ``bits`` bits nearest to the ratio, and its shift of at most ``most``."""
    shift = bits - 1 - floor_log2(ratio)
    multiplier = _nearest(ratio, shift, rounding)
    if multiplier == 1 << bits:
        multiplier, shift = multiplier >> 1, shift - 1
    while shift > most and multiplier > 1:  # a tiny ratio keeps fewer bits
        shift -= 1
        multiplier = max(_nearest(ratio, shift, rounding), 1)
    return multiplier, _within(shift, what, most)


def scale_ratio(
    factors: tuple[Fraction, Fraction], target: Fraction, arithmetic: ScaleArithmetic, *, by_row: bool = False
) -> Fraction:
    """``factors[0] * factors[1] / target`` in the arithmetic that a profile names, as an exact rational number.

    ``by_row`` says that each row of the matrix has a scale of its own. IEEE operations round half to even, each once:
    product, then quotient.

    Raises:
        ModelError: a ratio that overflows or vanishes in that arithmetic.
    """
    if arithmetic is ScaleArithmetic.EXACT:
        return factors[0] * factors[1] / target
    short = arithmetic is ScaleArithmetic.FLOAT32, arithmetic is ScaleArithmetic.MIXED and not by_row
    with np.errstate(all="ignore"):  # the check below says what became of the ratio
        product = _binary(factors[0], any(short)) * _binary(factors[1], any(short))
        quotient = float(_binary(product, short[0]) / _binary(target, short[0]))
    if not 0 < quotient < float("inf"):
        raise ModelError(f"ratio of scales must be positive and finite in {arithmetic}, not {quotient}")
    return Fraction(quotient)


def _binary(value: Any, short: bool) -> Any:
    """A number in IEEE binary32 or binary64."""
    return np.float32(float(value)) if short else np.float64(float(value))


def requantizing(
    form: Format,
    rounding: Rounding,
    overflow: Overflow,
    requantization: Requantization,
    constants: tuple[int, int] = (1, 0),
) -> Narrowing:
    """The narrowing to ``form`` that requantizes in the way named, by a multiplier and a shift."""
    doubling = requantization is Requantization.DOUBLING
    multiplier, shift = constants
    return Narrowing(
        form,
        rounding,
        overflow,
        shift,
        multiplier,
        Form.DOUBLING if doubling else Form.SINGLE,
        _PRIMITIVES.get(requantization),
    )


def _nearest(ratio: Fraction, shift: int, rounding: Rounding) -> int:
    scaled = ratio * Fraction(2) ** shift
    return round_divide(scaled.numerator, scaled.denominator, rounding)


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


def _within(shift: int, what: str, most: int = MAX_SHIFT) -> int:
    if not -most <= shift <= most:
        raise ModelError(f"shift of {what} must be in {-most}..{most}, not {shift}")
    return shift
