"""What a fused activation leaves of the range of a fully connected layer's output, and a clip of an LSTM's stage."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from fixedsim.assembly.tensors import LinearTensors
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError, ProfileError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Narrowing, PiecewiseLinear
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


def clipped(stage: Narrowing, clip: Fraction | None, what: str, subject: str) -> Narrowing:
    """The narrowing that saturates at ``-clip`` and ``clip``, where these lie inside its range.

    Both are the nearest raws, ties to even. ``what`` names the clip and ``subject`` the stage in errors.

    Raises:
        ProfileError: a stage whose narrowing is a registered primitive, which has an overflow of its own.
        ModelError: a clip below half a step, which leaves only one raw.
    """
    if clip is None:
        return stage
    form = stage.format
    reach = _nearest(clip / form.scale)
    low, high = max(form.raw_min, form.zero_point - reach), min(form.raw_max, form.zero_point + reach)
    if (low, high) == (form.raw_min, form.raw_max):
        return stage
    if not stage.reads_overflow:
        raise ProfileError(f"{what} must be absent where {subject} is narrowed by {stage.primitive}, not {float(clip)}")
    if low >= high:
        raise ModelError(f"{what} must be at least {float(form.scale)}, one step of {subject}, not {float(clip)}")
    narrow = replace(form, raw_min=low, raw_max=high)
    return replace(stage, format=narrow, overflow=Overflow.SATURATE, saturated_bits=0)


def _end(real: Fraction, output: Format, rounding: Rounding) -> int:
    ratio = np.float32(max(-_FAR, min(_FAR, float(real) / float(output.scale))))
    if rounding is Rounding.HALF_EVEN:
        return int(np.rint(ratio + np.float32(output.zero_point)))
    exact = Fraction(float(ratio))
    return round_divide(exact.numerator, exact.denominator, Rounding.HALF_AWAY) + output.zero_point


def _nearest(ratio: Fraction) -> int:
    return round_divide(ratio.numerator, ratio.denominator, Rounding.HALF_EVEN)
