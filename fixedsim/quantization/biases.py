"""The biases of a quantized layer, at the scale of the stage where they enter."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from fixedsim.assembly.requantization import each_once
from fixedsim.casts import Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format, bits_for
from fixedsim.spec.casts import round_divide

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class QuantizedBias:
    """Raws ``(rows,)`` of ``format``, each entering as ``raw * 2**shift``."""

    raws: list[int]
    shift: Integers
    format: Format
    scale: list[Fraction]  # of one raw unit, for each row
    real: NDArray[np.float64]  # what was quantized


def quantize_bias(
    bias: NDArray[np.float64], scale: Sequence[Fraction], bits: int | None, width: int, what: str
) -> QuantizedBias:
    """The biases nearest to the reals (ties to even), at the scale of the stage where they enter.

    With ``bits``, each is kept at a multiple ``2**shift`` of that scale, the least at which the largest bias fits.

    Raises:
        ModelError: a bias that does not fit the ``width`` bits of its stage.
    """
    form = Format.integer(min(bits or width, width))
    largest = float(np.max(np.abs(bias), initial=0.0))
    shifts = each_once(lambda each: 0 if bits is None else _coarser(largest, each, form), scale)
    units = each_once(lambda each, shift: each * (1 << shift), scale, shifts)
    raws = [_nearest(real, unit) for real, unit in zip(bias.tolist(), units, strict=True)]
    entering = [raw << shift for raw, shift in zip(raws, shifts, strict=True)]
    needed = bits_for(min(entering, default=0), max(entering, default=0))
    if needed > width:
        row = max(range(len(entering)), key=lambda index: abs(entering[index]))
        raise ModelError(
            f"accumulator of {what} must be at least {needed} bits wide to hold its bias "
            f"{entering[row]} of row {row}, not {width} bits"
        )
    raws = [min(max(raw, form.raw_min), form.raw_max) for raw in raws]
    return QuantizedBias(raws, np.array(shifts, dtype=np.int64), form, units, bias)


def _coarser(largest: float, scale: Fraction, form: Format) -> int:
    shift = 0
    while _nearest(largest, scale * (1 << shift)) > form.raw_max:
        shift += 1
    return shift


def _nearest(real: float, unit: Fraction) -> int:
    numerator, denominator = real.as_integer_ratio()
    return round_divide(numerator * unit.denominator, denominator * unit.numerator, Rounding.HALF_EVEN)
