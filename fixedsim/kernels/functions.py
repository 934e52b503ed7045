"""Activations that are algorithms of their own, and integer layer normalization: the twins of ``spec.functions``.

Raws are of 16 bits, the results too; every intermediate value fits 64 bits by far.
"""

from fixedsim.kernels.compilation import compiled, inlined
from fixedsim.kernels.narrowing import HALF_AWAY, HALF_UP, Vector, round_shift

INT16_MAX = (1 << 15) - 1
INT32_MAX = (1 << 31) - 1
EXP_MINUS_EIGHTH, THIRD = 28918, 10923  # high halves of the constants of ``spec.functions``
RECIPROCAL_START, RECIPROCAL_SLOPE = 23130, -15420
HALF_SQRT_2 = 1518500250
CMSIS_LAST = 255


@inlined
def multiply_16(left: int, right: int) -> int:
    """Return ``left * right / 2**15`` rounded half up, for operands whose product is below ``2**30``."""
    return (left * right + (1 << 14)) >> 15


@inlined
def saturate_16(value: int) -> int:
    """Return ``value`` saturated to 16 bits."""
    return min(max(value, -INT16_MAX - 1), INT16_MAX)


@inlined
def factor(result: int, multiple: int, bit: int, constant: int) -> int:
    """Return ``result``, times ``constant / 2**15`` where the bit of ``multiple`` is set."""
    product = multiply_16(result, constant)
    return product if (multiple >> bit) & 1 else result


@inlined
def exp_of_negative(raw: int, integer_bits: int) -> int:
    """Return ``exp(raw * 2**(integer_bits - 15)) * 2**15``; see ``spec.functions.exp_of_negative``."""
    fraction_bits = 15 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (raw & (quarter - 1)) - quarter
    x = (rest << integer_bits) + (1 << 12)  # -1/4 at least: never saturates
    x2 = multiply_16(x, x)
    x3, x4 = multiply_16(x2, x), multiply_16(x2, x2)
    series = multiply_16(((x4 + 2) >> 2) + x3, THIRD) + x2  # x4 is positive, so that half up is half away
    half = (series + 1 + (series >> 63)) >> 1
    result = EXP_MINUS_EIGHTH + multiply_16(EXP_MINUS_EIGHTH, x + half)
    result = min(result, INT16_MAX)
    multiple = rest - raw  # below 2**15: bits beyond the integer bits are clear
    result = factor(result, multiple, fraction_bits - 2, 25520)
    result = factor(result, multiple, fraction_bits - 1, 19875)
    result = factor(result, multiple, fraction_bits, 12055)
    result = factor(result, multiple, fraction_bits + 1, 4435)
    result = factor(result, multiple, fraction_bits + 2, 600)
    result = factor(result, multiple, fraction_bits + 3, 11)
    result = factor(result, multiple, fraction_bits + 4, 0)
    if integer_bits > 5 and raw < -(1 << (20 - integer_bits)):
        result = 0
    return INT16_MAX if raw == 0 else result


@inlined
def double_reciprocal_of_one_plus(raw: int) -> int:
    """Return ``2 / (1 + raw * 2**-15) * 2**13``; see ``spec.functions.double_reciprocal_of_one_plus``."""
    half = (raw + (1 << 15)) >> 1
    x = RECIPROCAL_START + multiply_16(half, RECIPROCAL_SLOPE)
    for _ in range(3):
        x += saturate_16(multiply_16(x, (1 << 13) - multiply_16(half, x)) << 2)
    return x


@inlined
def gemmlowp_sigmoid(raw: int, argument: int) -> int:
    """Return LiteRT's sigmoid of a raw of 16 bits; see ``spec.functions.gemmlowp_sigmoid``."""
    reciprocal = double_reciprocal_of_one_plus(exp_of_negative(-abs(raw), argument))
    positive = saturate_16(reciprocal << 1)
    if raw == 0:
        return 1 << 14
    return positive if raw > 0 else INT16_MAX - positive


@inlined
def gemmlowp_tanh(raw: int, argument: int) -> int:
    """Return LiteRT's tanh of a raw of 16 bits; see ``spec.functions.gemmlowp_tanh``."""
    reciprocal = double_reciprocal_of_one_plus(exp_of_negative(-abs(raw), argument + 1))
    positive = saturate_16((reciprocal - (1 << 13)) << 2)
    if raw == 0:
        return 0
    return positive if raw > 0 else -positive


@inlined
def cmsis_position(raw: int, left_shift: int) -> int:
    """Return ``3 * raw * 2**left_shift``, a right shift rounded half up."""
    return round_shift((3 * raw) << max(left_shift, 0), max(-left_shift, 0), HALF_UP)


@inlined
def cmsis_line(position: int, index_bits: int, end: int, table: Vector, start: int) -> int:
    """Return the line through CMSIS-NN's table, which begins at ``start``; see ``spec.functions.cmsis_line``."""
    index, rest = position >> index_bits, position & ((1 << index_bits) - 1)
    if index >= CMSIS_LAST:
        return end
    left: int = table[start + index]
    right: int = table[start + index + 1]
    return (left << index_bits) + rest * (right - left)


@inlined
def cmsis_sigmoid(raw: int, argument: int, table: Vector, start: int) -> int:
    """Return CMSIS-NN's sigmoid of a raw of 16 bits; see ``spec.functions.cmsis_sigmoid``."""
    position = cmsis_position(raw, argument)
    line = cmsis_line(abs(position), 9, INT16_MAX << 10, table, start)
    return (line + (1 << 9)) >> 10 if position >= 0 else ((1 << 25) - line + (1 << 9) - 1) >> 10


@inlined
def cmsis_tanh(raw: int, argument: int, table: Vector, start: int) -> int:
    """Return CMSIS-NN's tanh of a raw of 16 bits; see ``spec.functions.cmsis_tanh``."""
    position = cmsis_position(raw, argument)
    line = cmsis_line(abs(position), 8, ((1 << 16) - 1) << 8, table, start)
    return (line - (1 << 23) + (1 << 7)) >> 8 if position >= 0 else ((1 << 23) - line + (1 << 7) - 1) >> 8


@inlined
def multiply_32(left: int, right: int) -> int:
    """Return ``left * right / 2**31`` rounded half up, saturated at ``(-1) * (-1)``."""
    return min((left * right + (1 << 30)) >> 31, INT32_MAX)


@inlined
def saturate_32(value: int) -> int:
    """Return ``value`` saturated to 32 bits."""
    return min(max(value, -INT32_MAX - 1), INT32_MAX)


@inlined
def truncated_quotient(dividend: int, divisor: int) -> int:
    """Return ``dividend / divisor`` rounded toward zero, for ``divisor > 0``."""
    return dividend // divisor if dividend >= 0 else -(-dividend // divisor)


@compiled
def inverse_square_root(value: int) -> tuple[int, int]:
    """Return ``(multiplier, shift)`` near ``1 / sqrt(value)``; see ``spec.functions.inverse_square_root``."""
    if value <= 1:
        return INT32_MAX, 0
    shift = 11
    while value >= 1 << 29:
        value >>= 2
        shift += 1
    while value < 1 << 27:
        value <<= 2
        shift -= 1
    half = round_shift(value >> 1, 1, HALF_AWAY)
    x = 1 << 28
    for _ in range(5):
        cube = saturate_32(multiply_32(multiply_32(x, x), x) << 6)
        x = saturate_32((multiply_32(3 << 27, x) - multiply_32(half, cube)) << 3)
    return multiply_32(x, HALF_SQRT_2) << max(-shift, 0), max(shift, 0)


@compiled
def normalize_row(values: Vector, weight: Vector, bias: Vector, least_variance: int, out: Vector) -> None:
    """Write to ``out`` (H,) the layer normalization of ``values`` (H,), all that comes before the last narrowing.

    ``out`` may be ``values``. See ``spec.functions.layer_norm``.
    """
    count = values.shape[0]
    total, squares = 0, 0
    for position in range(count):
        total += values[position]
        squares += values[position] * values[position]
    mean = truncated_quotient(1024 * total, count)
    variance = truncated_quotient(squares * ((1 << 20) // count) - mean * mean, 1 << 20)
    multiplier, shift = inverse_square_root(least_variance if variance < 1 else variance)
    for position in range(count):
        normalized = round_shift(multiply_32(1024 * values[position] - mean, multiplier), shift, HALF_AWAY)
        weighted = weight[position] * normalized + bias[position]
        wrapped = ((weighted + (1 << 31)) & ((1 << 32) - 1)) - (1 << 31)
        out[position] = round_shift(wrapped, 10, HALF_AWAY)
