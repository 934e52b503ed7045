"""What a fused activation leaves of the range of a fully connected layer's output."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from fixedsim.assembly.tensors import LinearTensors
from fixedsim.casts import Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import PiecewiseLinear
from fixedsim.spec.casts import round_divide
from fixedsim.tables import clipped_relu, identity, relu

CLAMPS = ("identity", "relu", "clipped_relu")
_FAR = float(1 << 40)  # past every output


def clamp(tensors: LinearTensors, form: Format) -> PiecewiseLinear:
    """The function of a layer whose sums are already on the scale of its output."""
    if tensors.activation == "identity":
        return identity(form, form)
    if tensors.clip is None:
        return relu(form, form)
    line = clipped_relu(form, form, tensors.clip)
    if not tensors.lowest:
        return line
    return replace(line, lower=max(form.raw_min, _nearest(tensors.lowest / form.scale) + form.zero_point))


def clamp_range(tensors: LinearTensors, output: Format, rounding: Rounding) -> tuple[int, int]:
    """The lowest and highest raw of an output whose fused activation is only a clamp.

    An end is ``zero_point + end / scale``, the quotient in IEEE binary32 and rounded half away from zero. Where
    ``rounding``, that of the layer's sums, is half to even, the sum is rounded so, in binary32.
    """
    low, high = output.raw_min, output.raw_max
    if tensors.activation == "identity":
        return low, high
    low = max(low, _end(tensors.lowest, output, rounding))
    return low, high if tensors.clip is None else max(low, min(high, _end(tensors.clip, output, rounding)))


def _end(real: Fraction, output: Format, rounding: Rounding) -> int:
    ratio = np.float32(max(-_FAR, min(_FAR, float(real) / float(output.scale))))
    if rounding is Rounding.HALF_EVEN:
        return int(np.rint(ratio + np.float32(output.zero_point)))
    exact = Fraction(float(ratio))
    return round_divide(exact.numerator, exact.denominator, Rounding.HALF_AWAY) + output.zero_point


def _nearest(ratio: Fraction) -> int:
    return round_divide(ratio.numerator, ratio.denominator, Rounding.HALF_EVEN)
