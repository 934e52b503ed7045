"""Activations that are algorithms of their own, and integer layer normalization, on Python integers.

The functions of the gates take a raw of 16 bits and give one of scale ``2**-15``: LiteRT's by fixed-point arithmetic
without a table, CMSIS-NN's by a table of 256 entries. They are not the rounded functions: LiteRT's are up to 12 units
off and not monotone. Real numbers stand in comments as Q-formats: Q3.12 has 3 integer and 12 fraction bits, and a sign.
"""

from collections.abc import Callable, Sequence

from fixedsim.casts import Rounding
from fixedsim.profiles.datapath import Function, LayerNorm
from fixedsim.spec.casts import doubling_high_multiply, narrow
from fixedsim.spec.elementary import round_shift

INT16_MAX = (1 << 15) - 1
INT32_MAX = (1 << 31) - 1

# exp(-2**n) for n of -2 .. 4, times 2**31.
EXPONENTIALS = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
EXP_MINUS_EIGHTH = 1895147668  # exp(-1/8) * 2**31
THIRD = 715827883  # 2**31 / 3
RECIPROCAL_START = 1515870810  # 48/17 * 2**29
RECIPROCAL_SLOPE = -1010580540  # -32/17 * 2**29
NEWTON_STEPS = 3


def multiply_16(left: int, right: int) -> int:
    """Return ``left * right / 2**15`` rounded half up, of 16-bit words (SQRDMULH); it saturates at ``(-1) * (-1)``."""
    return min((left * right + (1 << 14)) >> 15, INT16_MAX)


def rounding_right_shift(value: int, count: int) -> int:
    """Return ``value / 2**count`` rounded half away from zero (RoundingDivideByPOT)."""
    return round_shift(value, count, Rounding.HALF_AWAY)


def saturate(value: int, highest: int) -> int:
    """Return ``min(max(value, -highest - 1), highest)``."""
    return min(max(value, -highest - 1), highest)


def high_half(constant: int) -> int:
    """Return a 32-bit constant as 16 bits: ``constant / 2**16`` rounded half away from zero."""
    return rounding_right_shift(constant, 16)


def wrap_32(value: int) -> int:
    """Return the 32-bit two's complement integer that is congruent to ``value``."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def truncated_quotient(dividend: int, divisor: int) -> int:
    """Return ``dividend / divisor`` rounded toward zero, for ``divisor > 0``."""
    return dividend // divisor if dividend >= 0 else -(-dividend // divisor)


def exp_of_negative(raw: int, integer_bits: int) -> int:
    """Return ``exp(raw * 2**(integer_bits - 15)) * 2**15``, approximately, for ``raw <= 0`` and 1 .. 7 integer bits.

    ``raw`` is a multiple of 1/4 plus a rest in ``-1/4 .. 0``: a series gives the rest's exponential, the constants of
    the set bits of the multiple are multiplied into it. Below -32 the result is 0, and 32767 at 0.
    """
    fraction_bits = 15 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (raw & (quarter - 1)) - quarter
    result = exp_between_quarter_and_zero(saturate(rest << integer_bits, INT16_MAX))
    multiple = rest - raw
    for exponent, constant in EXPONENTIALS:
        if integer_bits > exponent and multiple >> (fraction_bits + exponent) & 1:
            result = multiply_16(result, high_half(constant))
    if integer_bits > 5 and raw < -(1 << (20 - integer_bits)):
        result = 0
    return INT16_MAX if raw == 0 else result


def exp_between_quarter_and_zero(raw: int) -> int:
    """Return ``exp(raw * 2**-15) * 2**15``, approximately, for ``-2**13 <= raw < 0``.

    The series of degree 4 around -1/8: ``exp(-1/8) * (1 + x + ((x**4 / 4 + x**3) / 3 + x**2) / 2)``.
    """
    x = raw + (1 << 12)
    x2 = multiply_16(x, x)
    x3, x4 = multiply_16(x2, x), multiply_16(x2, x2)
    series = multiply_16(rounding_right_shift(x4, 2) + x3, high_half(THIRD)) + x2
    constant = high_half(EXP_MINUS_EIGHTH)
    return saturate(constant + multiply_16(constant, x + rounding_right_shift(series, 1)), INT16_MAX)


def double_reciprocal_of_one_plus(raw: int) -> int:
    """Return ``2 / (1 + raw * 2**-15) * 2**13``, approximately, for ``0 <= raw < 2**15``; Newton's method, Q2.13."""
    half = (raw + (1 << 15)) >> 1
    x = high_half(RECIPROCAL_START) + multiply_16(half, high_half(RECIPROCAL_SLOPE))
    for _ in range(NEWTON_STEPS):
        x += saturate(multiply_16(x, (1 << 13) - multiply_16(half, x)) << 2, INT16_MAX)
    return x


def gemmlowp_sigmoid(raw: int, argument: int) -> int:
    """Return ``sigmoid(raw * 2**-12) * 2**15``, approximately, for ``-2**15 <= raw < 2**15``; ``argument`` is 3.

    The results are 11 .. 32756. Source: gemmlowp's ``logistic``, in 16 bits throughout, as LiteRT uses it.
    """
    if raw == 0:
        return 1 << 14
    reciprocal = double_reciprocal_of_one_plus(exp_of_negative(-abs(raw), argument))
    positive = saturate(reciprocal << 1, INT16_MAX)
    return positive if raw > 0 else INT16_MAX - positive


def gemmlowp_tanh(raw: int, argument: int) -> int:
    """Return ``tanh(raw * 2**(argument - 15)) * 2**15``, approximately, for ``-2**15 <= raw < 2**15``.

    ``argument`` is the count of integer bits of ``raw``, 0 .. 6; reading the same raw with one more doubles it, for
    ``tanh(x) = (1 - exp(-2x)) / (1 + exp(-2x))``. The function is odd. Source: gemmlowp's ``tanh``, in 16 bits.
    """
    if raw == 0:
        return 0
    reciprocal = double_reciprocal_of_one_plus(exp_of_negative(-abs(raw), argument + 1))
    positive = saturate((reciprocal - (1 << 13)) << 2, INT16_MAX)
    return positive if raw > 0 else -positive


# 65536 * sigmoid(i / 24), nearly: 44 entries are one higher than rounded. From arm_nntables.c of CMSIS-NN, Apache-2.0,
# copyright Arm Limited.
CMSIS_TABLE = (
    *(32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432, 42064, 42688),
    *(43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409),
    *(51865, 52311, 52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433),
    *(57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110),
    *(61279, 61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186),
    *(63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308),
    *(64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900),
    *(64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208),
    *(65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367),
    *(65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433, 65438, 65442, 65445, 65449),
    *(65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491),
    *(65493, 65495, 65497, 65498, 65500, 65501, 65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513),
    *(65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524),
    *(65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530),
    *(65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533, 65533, 65533),
    *(65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535),
)
CMSIS_LAST = len(CMSIS_TABLE) - 1


def cmsis_position(raw: int, left_shift: int) -> int:
    """Return ``3 * raw * 2**left_shift``, a right shift rounded half up: the position on the table, finer."""
    return round_shift(3 * raw, -left_shift, Rounding.HALF_UP)


def cmsis_line(position: int, index_bits: int, end: int) -> int:
    """Return ``2**index_bits`` times the table at ``position / 2**index_bits``, on the line; ``end`` from entry 255."""
    index, rest = position >> index_bits, position & ((1 << index_bits) - 1)
    if index >= CMSIS_LAST:
        return end
    return (CMSIS_TABLE[index] << index_bits) + rest * (CMSIS_TABLE[index + 1] - CMSIS_TABLE[index])


def cmsis_sigmoid(raw: int, argument: int) -> int:
    """Return ``sigmoid(raw * 2**(argument - 12)) * 2**15``, approximately, for ``-2**15 <= raw < 2**15``.

    Rounded half up above zero; ``1 - sigmoid(-x)`` below, rounded half down. Source: CMSIS-NN's
    ``arm_nn_activation_s16``.
    """
    position = cmsis_position(raw, argument)
    line = cmsis_line(abs(position), 9, INT16_MAX << 10)
    return (line + (1 << 9)) >> 10 if position >= 0 else ((1 << 25) - line + (1 << 9) - 1) >> 10


def cmsis_tanh(raw: int, argument: int) -> int:
    """Return ``tanh(raw * 2**(argument - 12)) * 2**15``, approximately, for ``-2**15 <= raw < 2**15``.

    ``2 * sigmoid(2x) - 1``: the same table, at steps half as wide; rounded half up above zero, half down below it.
    """
    position = cmsis_position(raw, argument)
    line = cmsis_line(abs(position), 8, ((1 << 16) - 1) << 8)
    return (line - (1 << 23) + (1 << 7)) >> 8 if position >= 0 else ((1 << 23) - line + (1 << 7) - 1) >> 8


FUNCTIONS: dict[Function, Callable[[int, int], int]] = {
    Function.GEMMLOWP_SIGMOID: gemmlowp_sigmoid,
    Function.GEMMLOWP_TANH: gemmlowp_tanh,
    Function.CMSIS_SIGMOID: cmsis_sigmoid,
    Function.CMSIS_TANH: cmsis_tanh,
}


HALF_SQRT_2 = 1518500250  # sqrt(1/2) * 2**31
INVERSE_ROOT_STEPS = 5


def multiply_32(left: int, right: int) -> int:
    """Return ``left * right / 2**31`` rounded half up, of 32-bit words; it saturates at ``(-1) * (-1)``."""
    return min(doubling_high_multiply(left, right), INT32_MAX)


def inverse_square_root(value: int) -> tuple[int, int]:
    """Return ``(multiplier, shift)`` with ``multiplier / 2**(31 + shift)`` near ``1 / sqrt(value)``.

    For ``value < 2**31``. Values up to 1 give the multiplier ``2**31 - 1``. Others are scaled by a power of 4 into
    ``2**27 .. 2**29``; five steps of Newton's method from 1, in Q3.28, give the root's inverse.
    Source: LiteRT's ``GetInvSqrtQuantizedMultiplierExp``.
    """
    if value <= 1:
        return INT32_MAX, 0
    shift = 11
    while value >= 1 << 29:
        value >>= 2
        shift += 1
    pairs = (31 - value.bit_length()) // 2 - 1
    root = _inverse_root_newton(value << 2 * pairs)
    shift -= pairs
    return root << max(-shift, 0), max(shift, 0)


def _inverse_root_newton(value: int) -> int:
    """Return ``2**28 * sqrt(2**28 / value)``, approximately, for ``2**27 <= value < 2**29``."""
    half = rounding_right_shift(value >> 1, 1)
    x = 1 << 28
    for _ in range(INVERSE_ROOT_STEPS):
        cube = saturate(multiply_32(multiply_32(x, x), x) << 6, INT32_MAX)
        x = saturate((multiply_32(3 << 27, x) - multiply_32(half, cube)) << 3, INT32_MAX)
    return multiply_32(x, HALF_SQRT_2)


def layer_norm(values: Sequence[int], weight: Sequence[int], bias: Sequence[int], norm: LayerNorm) -> list[int]:
    """Return ``output(2**-10 * (weight * normalized + bias))`` for the pre-activations of one gate.

    ``normalized`` is :func:`normalized`, near ``2**10 * (value - mean) / deviation``. ``values`` (less their zero
    point) and ``weight`` are of 16 bits, ``bias`` of 32. The product and the sum with the bias wrap to 32 bits; the
    factor ``2**-10`` rounds half away from zero.
    """
    sums = [
        wrap_32(factor * value + addend)
        for factor, value, addend in zip(weight, normalized(values, norm.least_variance), bias, strict=True)
    ]
    return [narrow(rounding_right_shift(total, 10), norm.output) for total in sums]


def normalized(values: Sequence[int], least_variance: int) -> list[int]:
    """Return ``2**10 * (value - mean) / deviation`` of each of the values, in LiteRT's integers.

    ``mean = 1024 * sum / n`` and ``variance = (squares * (2**20 / n) - mean**2) / 2**20``, all three quotients rounded
    toward zero; below 1 the variance becomes ``least_variance``. ``1024 * value - mean`` times the inverse root of the
    variance goes through a doubling high multiply (half up) and a rounding right shift (half away from zero).

    Source: LiteRT's ``ApplyLayerNorm`` (portable kernels).
    """
    count = len(values)
    mean = truncated_quotient(1024 * sum(values), count)
    squares = sum(value * value for value in values)
    variance = truncated_quotient(squares * ((1 << 20) // count) - mean * mean, 1 << 20)
    multiplier, shift = inverse_square_root(least_variance if variance < 1 else variance)
    return [rounding_right_shift(multiply_32(1024 * value - mean, multiplier), shift) for value in values]
