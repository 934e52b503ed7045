"""The scale and the raws of a weight matrix.

Every sum is taken in a fixed order by element-wise IEEE operations (or exactly), so that the same weights give the
same raws on every machine.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import to_raw
from fixedsim.formats import Format
from fixedsim.profiles.choices import Granularity, OneBit, ScaleSearch, Scheme, WeightChoices
from fixedsim.tables import deterministic_tanh

Reals = NDArray[np.float64]
_POWERS = 6  # powers of two tried downward from the one that holds the largest magnitude
_RATIOS = 64  # scales tried downward from the one that holds the largest magnitude
_LEAST_RATIO = 0.1
_PIECE = 1 << 14  # weights at a time, which caches hold


@dataclass(frozen=True, eq=False)
class QuantizedWeight:
    """Raws ``(rows, columns)`` of ``format`` (scale 1) and the real value of one raw unit for each row."""

    raws: NDArray[np.int64]
    format: Format
    scale: Reals  # (rows,)

    @property
    def reals(self) -> Reals:
        """The values that the raws stand for."""
        return np.asarray(self.raws * self.scale[:, None])

    def clipped(self, weight: Reals) -> int:
        """How many weights lie more than half a step outside the range."""
        step = self.scale[:, None] * self.format.raw_step / 2
        above = weight > self.scale[:, None] * self.format.raw_max + step
        below = weight < self.scale[:, None] * self.format.raw_min - step
        return int(np.count_nonzero(above | below))


def weight_format(bits: int, choices: WeightChoices) -> Format:
    """The raws of weights of ``bits`` bits, scale 1."""
    if choices.scheme is Scheme.ODD:
        return Format.odd(bits)
    if bits == 1 and choices.one_bit is OneBit.SIGN:
        return Format.odd(1)
    return Format.integer(bits, narrow=choices.scheme is Scheme.SYMMETRIC and bits > 1)


def quantize_weight(weight: Reals, bits: int, choices: WeightChoices) -> QuantizedWeight:
    """The raws nearest to ``weight / scale`` (ties to even, on the code), saturated, for the best scale of each row.

    In a format that the profile fixes, they are rounded and overflow as it says.
    """
    if choices.fixed is not None:
        fixed = choices.fixed
        raws = to_raw(weight, fixed.format, fixed.rounding, fixed.overflow)
        return QuantizedWeight(raws, fixed.format, np.full(len(weight), float(fixed.format.scale)))
    form = weight_format(bits, choices)
    magnitude = np.max(np.abs(weight), axis=1, initial=0.0)
    if choices.granularity is Granularity.TENSOR:
        magnitude = np.full(len(weight), np.max(magnitude, initial=0.0))
    magnitude[magnitude == 0] = 1.0
    best = np.zeros(len(weight))
    least = np.full(len(weight), np.inf)
    for scale in _candidates(magnitude, form, choices):
        error = _squared_error(weight, scale, form)
        if choices.granularity is Granularity.TENSOR:
            error = np.full(len(weight), math.fsum(error))
        better = error < least
        best[better], least[better] = scale[better], error[better]
    return QuantizedWeight(to_raws(weight, best, form), form, best)


def _candidates(magnitude: Reals, form: Format, choices: WeightChoices) -> list[Reals]:
    """Scales to try, largest first, ``(rows,)`` each."""
    tried = 1 if choices.scale is ScaleSearch.MAXIMUM else None
    top = max(form.raw_max, 1)  # of the raws {-1, 0}, it is the lower that holds the magnitude
    if choices.scheme is Scheme.POWER_OF_TWO:
        mantissa, exponent = np.frexp(magnitude / top)  # top * 2**exponent holds the magnitude
        exponent = np.where(mantissa == 0.5, exponent - 1, exponent)
        return [np.ldexp(np.ones(len(magnitude)), exponent - down) for down in range(tried or _POWERS)]
    ratios = [1.0 - position * (1.0 - _LEAST_RATIO) / (_RATIOS - 1) for position in range(tried or _RATIOS)]
    return [magnitude / top * ratio for ratio in ratios]


def to_raws(weight: Reals, scale: Reals, form: Format) -> NDArray[np.int64]:
    """``weight / scale`` to the nearest raw (ties to the even code or raw), saturated; ``scale`` for each row."""
    quotient = weight / scale[:, None]
    if form.raw_step == 1:
        return np.clip(np.rint(quotient), form.raw_min, form.raw_max).astype(np.int64)
    codes = np.clip(np.rint((quotient - form.raw_min) / form.raw_step), 0, form.levels - 1)
    return form.raw_min + form.raw_step * codes.astype(np.int64)


def _squared_error(weight: Reals, scale: Reals, form: Format) -> Reals:
    """The sum of squared errors of each row, its columns added in order."""
    total, columns = np.zeros(len(weight)), weight.shape[1]
    some = max(1, _PIECE // max(columns, 1))
    for first in range(0, len(weight) if columns else 0, some):
        rows = slice(first, first + some)
        squares = np.square(weight[rows] - to_raws(weight[rows], scale[rows], form) * scale[rows, None])
        total[rows] = np.cumsum(squares, axis=1)[:, -1]
    return total


def bit_rnn_weight(weight: Reals, bits: int, scale: float) -> QuantizedWeight:
    """Bit-RNN's codes ``round_k(clip(tanh(w) / scale, -1/2, 1/2) + 1/2)``, ties to even, as odd raws."""
    form, top = Format.odd(bits), (1 << bits) - 1
    share = np.clip(deterministic_tanh(weight) / scale, -0.5, 0.5) + 0.5 if scale else np.full(weight.shape, 0.5)
    raws = 2 * np.rint(share * top).astype(np.int64) - top
    unit = float(Fraction(scale) / (2 * top)) if scale else 1.0
    return QuantizedWeight(raws, form, np.full(len(weight), unit))
