"""Activations as data: tables with proven entries, hard functions, and a tanh with the same bits on every machine."""

from fractions import Fraction
from math import factorial

import numpy as np
from numpy.typing import NDArray

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import MAX_SHIFT, Interpolation, LookupTable, PiecewiseLinear
from fixedsim.spec.casts import overflow, round_divide
from fixedsim.spec.transcendental import FUNCTIONS, correctly_rounded

MAX_SEGMENTS = 1 << 20
MAX_SLOPE_BITS = 32


def make_table(
    function: str,
    *,
    input_format: Format,
    output: Format,
    low: int | Fraction,
    high: int | Fraction,
    segments: int,
    interpolation: Interpolation = Interpolation.NEAREST,
    index_rounding: Rounding = Rounding.HALF_UP,
    rounding: Rounding = Rounding.HALF_EVEN,
    interpolation_rounding: Rounding = Rounding.HALF_UP,
) -> LookupTable:
    """``values[i] = f(low + i * width) / output.scale + output.zero_point`` with ``width = (high - low) / segments``.

    ``function`` is ``sigmoid`` or ``tanh``. The quotient is rounded by ``rounding``, provably correctly, and the sum
    saturates to ``output``. ``nearest`` stores ``segments`` entries and reads the one of the index rounded by
    ``index_rounding`` (ties of ``half_up`` go to the upper entry); ``linear`` stores ``segments + 1`` and rounds the
    line between two by ``interpolation_rounding``. Inputs outside the range read the first or the last entry. Where the
    width is finer than one raw of ``input_format``, the table has one entry for each raw instead, and is exact for all
    raws of the range.

    Raises:
        ModelError: an unknown function; an input format whose scale is no power of two or that has a zero point; an
            output format of odd raws; a range that is empty, a width that is no power of two, a ``low`` that is no
            multiple of it; more than ``2**20`` segments, or a width of more than ``2**62`` raws.
    """
    if function not in FUNCTIONS:
        raise ModelError(f"function must be one of {', '.join(FUNCTIONS)}, not {function!r}")
    _check_step(output)
    fraction_bits = _fraction_bits("input_format", input_format)
    width = _segment_width(Fraction(low), Fraction(high), segments, input_format.scale)
    first = Fraction(low) / width
    entries = int((high - low) / width) + (interpolation is Interpolation.LINEAR)
    return LookupTable(
        values=tuple(_entry(function, (first + index) * width, output, rounding) for index in range(entries)),
        format=output,
        index_shift=fraction_bits - _power_of_two(width),
        offset=-int(first),
        interpolation=interpolation,
        index_rounding=index_rounding,
        rounding=interpolation_rounding,
        function=function,
    )


def _segment_width(low: Fraction, high: Fraction, segments: int, raw_width: Fraction) -> Fraction:
    """Return the checked width of a segment, at least ``raw_width``, the real value of one raw of the input."""
    if low >= high:
        raise ModelError(f"low must be below high, not {low} and {high}")
    if segments < 1:
        raise ModelError(f"segments must be at least 1, not {segments}")
    width = (high - low) / segments
    if not _is_power_of_two(width):
        raise ModelError(
            f"(high - low) / segments must be a power of two, not {width}; choose low and high a power of two apart, "
            f"and segments a power of two"
        )
    width = max(width, raw_width)
    if (low / width).denominator != 1 or (high / width).denominator != 1:
        raise ModelError(f"low and high must be multiples of the segment width {width}, not {low} and {high}")
    if (high - low) / width > MAX_SEGMENTS:
        raise ModelError(f"segments must be in 1..{MAX_SEGMENTS}, not {segments}")
    return width


def _entry(function: str, x: Fraction, output: Format, rounding: Rounding) -> int:
    return _saturate(correctly_rounded(function, x, output.scale, rounding) + output.zero_point, output)


def hard_sigmoid(
    input_format: Format,
    output: Format,
    slope: Fraction,
    offset: Fraction,
    *,
    slope_bits: int = 16,
    rounding: Rounding = Rounding.FLOOR,
) -> PiecewiseLinear:
    """``real = min(max(slope * x + offset, 0), 1)``: ``raw = min(max(s * x_raw / 2**shift + o, 0), 1 / output.scale)``.

    ``s / 2**shift`` is ``slope * input_format.scale / output.scale`` to ``slope_bits`` bits, ties to even, its factors
    of two cancelled; ``o`` is ``offset / output.scale``, rounded half to even; the quotient is rounded by ``rounding``;
    the ends are rounded toward zero and saturate to ``output``. Keras: slope 1/5 (1/6 since version 3), offset 1/2.

    Raises:
        ModelError: a scale that is no power of two, a zero point, an output of odd raws, a slope that is not positive
            or does not fit ``slope_bits`` and a shift of 0..62, or ``slope_bits`` outside 1..32.
    """
    ends = Fraction(0), Fraction(1)
    return _hard("hard_sigmoid", (input_format, output), (slope, offset), ends, slope_bits, rounding)


def hard_tanh(
    input_format: Format,
    output: Format,
    slope: Fraction = Fraction(1),
    *,
    slope_bits: int = 16,
    rounding: Rounding = Rounding.FLOOR,
) -> PiecewiseLinear:
    """``real = min(max(slope * x, -1), 1)``: ``raw = min(max(s * x_raw / 2**shift, -one), one)``.

    ``one`` is ``1 / output.scale``; roundings, ``s``, ``shift`` and what is raised are as in :func:`hard_sigmoid`.
    """
    ends = Fraction(-1), Fraction(1)
    return _hard("hard_tanh", (input_format, output), (slope, Fraction(0)), ends, slope_bits, rounding)


def _hard(
    function: str,
    formats: tuple[Format, Format],
    line: tuple[Fraction, Fraction],
    ends: tuple[Fraction, Fraction],
    slope_bits: int,
    rounding: Rounding,
) -> PiecewiseLinear:
    (input_format, output), (slope, offset) = formats, line
    _check_step(output)
    _fraction_bits("input_format", input_format)
    _fraction_bits("output", output)
    raw_slope, shift = _raw_slope(slope, slope * input_format.scale / output.scale, slope_bits)
    lower, upper = (_saturate(int(end / output.scale), output) for end in ends)
    raw_offset = _half_even(offset / output.scale)
    return PiecewiseLinear(output, raw_slope, shift, raw_offset, lower, upper, rounding, function)


def _raw_slope(slope: Fraction, ratio: Fraction, slope_bits: int) -> tuple[int, int]:
    """Return ``raw`` and ``shift`` with ``raw / 2**shift`` next to ``ratio``: the largest shift that ``raw`` fits."""
    if not 1 <= slope_bits <= MAX_SLOPE_BITS:
        raise ModelError(f"slope_bits must be in 1..{MAX_SLOPE_BITS}, not {slope_bits}")
    if slope <= 0:
        raise ModelError(f"slope must be positive, not {slope}")
    for shift in range(MAX_SHIFT, -1, -1):
        raw = _half_even(ratio * (1 << shift))
        if 0 < raw < 1 << slope_bits:
            spare = min(shift, (raw & -raw).bit_length() - 1)
            return raw >> spare, shift - spare
    raise ModelError(
        f"slope must be at least 2**-{MAX_SHIFT} and below 2**{slope_bits} raws of the output for each of the input, "
        f"not {ratio}; choose scales that lie closer together"
    )


def relu(input_format: Format, output: Format) -> PiecewiseLinear:
    """``real = max(x, 0)``: ``raw = max(x_raw - input_format.zero_point, 0) + output.zero_point``, saturated.

    Raises:
        ModelError: different scales, or an output of odd raws.
    """
    offset = _zero_points(input_format, output)
    return PiecewiseLinear(output, offset=offset, lower=_saturate(output.zero_point, output), function="relu")


def clipped_relu(input_format: Format, output: Format, clip: Fraction) -> PiecewiseLinear:
    """``real = min(max(x, 0), clip)``: as :func:`relu`, with ``clip / output.scale`` at most, rounded half to even.

    Raises:
        ModelError: different scales, an output of odd raws, or a clip that is not positive.
    """
    if clip <= 0:
        raise ModelError(f"clip must be positive, not {clip}")
    offset, zero = _zero_points(input_format, output), output.zero_point
    upper = _saturate(_half_even(clip / output.scale) + zero, output)
    lower = _saturate(zero, output)
    return PiecewiseLinear(output, offset=offset, lower=lower, upper=upper, function="clipped_relu")


def identity(input_format: Format, output: Format) -> PiecewiseLinear:
    """``real = x``: ``raw = x_raw - input_format.zero_point + output.zero_point``, saturated to ``output``.

    Raises:
        ModelError: different scales, or an output of odd raws.
    """
    return PiecewiseLinear(output, offset=_zero_points(input_format, output), function="identity")


# exp(r) - 1 = r + r*r * (1/2! + r/3! + .. + r**12/14!): for |r| <= ln(2)/2 the next term is below 2**-61 of r.
_SERIES = tuple(1.0 / factorial(n) for n in range(14, 1, -1))
# ln 2 in two parts: the first has 32 significant bits, so that its product with a small integer is exact.
_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0")
_TANH_IS_ONE = 22.0  # tanh rounds to 1 from 19.07 on


def deterministic_tanh(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return tanh of every element, the same bits on every machine; at most 4 units in the last place off.

    ``tanh(x) = -e / (e + 2)`` with ``e = exp(-2x) - 1``, for ``|x|``, with the sign of ``x``. ``e`` is
    ``2**k * (exp(r) - 1) + (2**k - 1)`` with ``-2|x| = k * ln(2) + r``. Only IEEE 754 addition, subtraction,
    multiplication, division, roundings to an integer and scalings by a power of two are carried out, each of which has
    one correct result; the C library's tanh has not. Odd exactly; NaN stays NaN, infinities give -1 and 1.
    """
    x = np.asarray(x, dtype=np.float64)
    size = np.fmin(np.abs(x), _TANH_IS_ONE)
    y = -2.0 * size
    k = np.rint(y * _INVERSE_LN2)
    r = (y - k * _LN2_HIGH) - k * _LN2_LOW
    power = np.ldexp(1.0, k.astype(np.int32))
    e = power * _exp_minus_one(r) + (power - 1.0)
    return np.where(np.isnan(x), x, np.copysign(-e / (e + 2.0), x))


def _exp_minus_one(r: NDArray[np.float64]) -> NDArray[np.float64]:
    series = np.full_like(r, _SERIES[0])
    for coefficient in _SERIES[1:]:
        series = series * r + coefficient
    return r + r * r * series


def _check_step(output: Format) -> None:
    if output.raw_step != 1:
        raise ModelError(f"output must be a format of raw_step 1, not {output.name}")


def _fraction_bits(subject: str, form: Format) -> int:
    """Return ``n`` of the scale ``2**-n`` of a format that must have such a scale, and no zero point."""
    if form.fraction_bits is None:
        raise ModelError(f"{subject} must have a power of two as its scale, not {form.scale}; use one like s4.11")
    if form.zero_point:
        raise ModelError(f"{subject} must have zero point 0, not {form.zero_point}; use one like s4.11")
    return form.fraction_bits


def _zero_points(input_format: Format, output: Format) -> int:
    """Return the zero point of ``output`` less that of ``input_format``; their scales must be equal."""
    _check_step(output)
    if input_format.scale != output.scale:
        raise ModelError(
            f"output must have the scale of its input, {input_format.scale}, not {output.scale}; "
            f"change the scale in the narrowing after the activation"
        )
    return output.zero_point - input_format.zero_point


def _is_power_of_two(value: Fraction) -> bool:
    return value.numerator & (value.numerator - 1) == 0 and value.denominator & (value.denominator - 1) == 0


def _power_of_two(width: Fraction) -> int:
    """Return ``n`` of ``width = 2**-n``."""
    return width.denominator.bit_length() - width.numerator.bit_length()


def _half_even(value: Fraction) -> int:
    return round_divide(value.numerator, value.denominator, Rounding.HALF_EVEN)


def _saturate(raw: int, form: Format) -> int:
    return overflow(raw, form, Overflow.SATURATE)
