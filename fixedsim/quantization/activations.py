"""The format of an activation, from its range or from samples of it."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import to_raw, to_real
from fixedsim.errors import NetworkError
from fixedsim.formats import Format
from fixedsim.profiles.choices import OneBit, Scheme
from fixedsim.profiles.profile import Profile

_TRIED = 5  # powers of two tried downward from the range
_PIECE = 1 << 14  # samples at a time, which caches hold
_RATIOS = 32


class RangeMethod(StrEnum):
    """How a calibration run becomes a range."""

    MIN_MAX = "min_max"  # every sample fits
    PERCENTILE = "percentile"  # all but a share of the samples fits
    LEAST_SQUARES = "least_squares"  # the range of least squared error over the samples


@dataclass(frozen=True)
class ActivationRange:
    """The reals that an activation takes, and samples of it where there are some."""

    low: float
    high: float
    samples: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise NetworkError(f"range must be finite and ascending, not {self.low}:{self.high}")


def activation_format(bits: int, reach: ActivationRange, profile: Profile) -> Format:
    """The format of ``bits`` bits that holds the range; with samples, the one of least squared error over them.

    Power-of-two formats round the range up to a power of two: the upper end itself saturates by one step. Affine ones
    take the range as it is.
    """
    low, high = min(reach.low, 0.0), max(reach.high, 0.0)
    if profile.activation.fixed is not None:
        return profile.activation.fixed.format
    if profile.activation.scheme is Scheme.AFFINE:
        return _affine(bits, low, high)
    candidates = _powers(bits, low, high, profile) if _is_power(profile) else _scaled(bits, low, high)
    if reach.samples is None:
        return candidates[0]
    errors = [_error(reach.samples, form, profile) for form in candidates]
    return candidates[errors.index(min(errors))]


def _affine(bits: int, low: float, high: float) -> Format:
    """All raws over ``low .. high``; the scale is an IEEE binary32 number, the zero point the raw nearest to zero."""
    form = Format.integer(bits)
    scale = float(np.float32((high - low) / (form.raw_max - form.raw_min)))
    zero_point = int(np.rint(form.raw_min - low / scale))
    return Format.affine(bits, Fraction(scale), min(max(zero_point, form.raw_min), form.raw_max))


def _is_power(profile: Profile) -> bool:
    return profile.activation.scheme is Scheme.POWER_OF_TWO


def _powers(bits: int, low: float, high: float, profile: Profile) -> list[Format]:
    integer_bits = _ceil_log2(max(-low, high))
    return [_power(bits, integer_bits - down, low < 0, profile) for down in range(_TRIED)]


def _power(bits: int, integer_bits: int, signed: bool, profile: Profile) -> Format:
    if not signed:
        return Format.qmn(integer_bits, bits - integer_bits, signed=False)
    if bits == 1 and profile.weight.one_bit is OneBit.SIGN:
        return Format.odd(1).with_scale(Fraction(2) ** (integer_bits - 1))
    return Format.qmn(integer_bits, bits - 1 - integer_bits)


def _scaled(bits: int, low: float, high: float) -> list[Format]:
    reach = Fraction(max(-low, high))
    ratios = [Fraction(_RATIOS - down, _RATIOS) for down in range(3 * _RATIOS // 4)]
    if low >= 0:
        unit = Format.unit(bits)
    elif bits == 1:
        unit = Format.odd(1).with_scale(Fraction(1, 2))
    else:
        unit = Format.unit(bits, signed=True)
    return [unit.with_scale(unit.scale * reach * ratio) for ratio in ratios]


def _ceil_log2(value: float) -> int:
    """The least integer ``n`` with ``value <= 2**n``."""
    mantissa, exponent = np.frexp(value)
    return int(exponent) - (1 if mantissa == 0.5 else 0)


def _error(samples: NDArray[Any], form: Format, profile: Profile) -> float:
    """The sum of squared errors, added in order: the same bits everywhere."""
    flat, total = samples.reshape(-1), 0.0
    for first in range(0, flat.size, _PIECE):
        reals = flat[first : first + _PIECE].astype(np.float64)
        rounded = to_real(to_raw(reals, form, profile.activation.rounding, profile.activation.overflow), form)
        total = float(np.cumsum(np.concatenate(([total], np.square(reals - rounded))))[-1])
    return total
