/* Blocks between blank lines; a generated file takes those that it uses, in this order. Words are 64 bits wide. */

/* floor(value / 2**shift) for shifts of 0 .. 63, without shifting a negative number. */
static int64_t floor_shift(int64_t value, int shift)
{
    return value < 0 ? -1 - ((-1 - value) >> shift) : value >> shift;
}

/* The signed integer with the bits of word. */
static int64_t to_signed(uint64_t word)
{
    return word <= (uint64_t)INT64_MAX ? (int64_t)word : -1 - (int64_t)(UINT64_MAX - word);
}

/* left + right modulo 2**64. */
static int64_t plus(int64_t left, int64_t right)
{
    return to_signed((uint64_t)left + (uint64_t)right);
}

/* Bit n of value in two's complement, n of 0 .. 64. */
static int bit(int64_t value, int n)
{
    return n < 64 ? (int)(floor_shift(value, n) & 1) : value < 0;
}

/* How a value between two integers is resolved; the halves are ties between the nearest ones. */
enum rounding {
    FLOOR,
    TOWARD_ZERO,
    HALF_UP,
    HALF_DOWN,
    HALF_AWAY,
    HALF_TOWARD_ZERO,
    HALF_EVEN,
    HALF_ODD
};

/* What is added before a shift right that rounds down, from the sign of the value and the lowest bit of its floor. */
static int64_t rounding_addend(enum rounding rounding, int shift, int negative, int odd)
{
    int64_t half = INT64_C(1) << (shift - 1);

    switch (rounding) {
    case FLOOR:
        return 0;
    case TOWARD_ZERO:
        return negative ? half + (half - 1) : 0;
    case HALF_UP:
        return half;
    case HALF_DOWN:
        return half - 1;
    case HALF_AWAY:
        return half - negative;
    case HALF_TOWARD_ZERO:
        return half - 1 + negative;
    case HALF_EVEN:
        return half - 1 + odd;
    default:
        return half - odd;
    }
}

/* value / 2**shift rounded, for shifts up to 62; exactly value * 2**-shift for shift <= 0. */
static int64_t round_shift(int64_t value, int shift, enum rounding rounding)
{
    if (shift <= 0)
        return value * (INT64_C(1) << -shift);
    return floor_shift(value + rounding_addend(rounding, shift, value < 0, bit(value, shift)), shift);
}

/* A doubling high multiply's shift, of up to 31 bits, half up; then what is left of the shift, rounded. */
static int64_t round_shift_twice(int64_t value, int shift, enum rounding rounding)
{
    if (shift <= 31)
        return round_shift(value, shift, HALF_UP);
    return round_shift(round_shift(value, 31, HALF_UP), shift - 31, rounding);
}

/* The code of odd raws, (value / 2**shift + offset) / 2 rounded. */
static int64_t odd_code(int64_t value, int shift, int64_t offset, enum rounding rounding)
{
    int right = shift > 0 ? shift : 0;

    value *= INT64_C(1) << (right - shift);
    return round_shift(value + offset * (INT64_C(1) << right), right + 1, rounding);
}

/* odd_code with two roundings, as in round_shift_twice. */
static int64_t odd_code_twice(int64_t value, int shift, int64_t offset, enum rounding rounding)
{
    if (shift <= 31)
        return odd_code(round_shift(value, shift, HALF_UP), 0, offset, rounding);
    return odd_code(round_shift(value, 31, HALF_UP), shift - 31, offset, rounding);
}

/* min(max(raw, low), high). */
static int64_t saturate(int64_t raw, int64_t low, int64_t high)
{
    return raw < low ? low : raw > high ? high : raw;
}

/* raw, or zero where it is outside low .. high. */
static int64_t saturate_zero(int64_t raw, int64_t low, int64_t high, int64_t zero)
{
    return raw < low || raw > high ? zero : raw;
}

/* The two's complement integer of the low bits of raw. */
static int64_t wrap_signed(int64_t raw, int bits)
{
    uint64_t sign = UINT64_C(1) << (bits - 1);

    return to_signed((((uint64_t)raw & (sign + (sign - 1))) ^ sign) - sign);
}

/* The low bits of raw, up to 63, as an integer without sign. */
static int64_t wrap_unsigned(int64_t raw, int bits)
{
    return (int64_t)((uint64_t)raw & ((UINT64_C(1) << bits) - 1));
}

/* The bits of end, with its low ones replaced by those of raw; kept of 0 .. 63. */
static int64_t replace_low_bits(int64_t end, int64_t raw, int kept)
{
    uint64_t mask = (UINT64_C(1) << kept) - 1;

    return to_signed(((uint64_t)end & ~mask) | ((uint64_t)raw & mask));
}

/* raw wrapped; where it overflows, its highest count bits are those of the end that it passed. */
static int64_t wrap_below(int64_t raw, int bits, int count, int64_t low, int64_t high)
{
    if (low <= raw && raw <= high)
        return raw;
    return replace_low_bits(raw < low && low < 0 ? low : high, raw, bits - count);
}

/* raw wrapped; where it overflows, inverted if its sign is not the wanted one: that of the first bit dropped from the
 * floor of what was rounded, or with count saturated bits that of raw (AP_WRAP_SM). */
static int64_t wrap_sign_magnitude(int64_t raw, int64_t floor, int bits, int count, int64_t low, int64_t high)
{
    int negative = raw < 0;
    int64_t wrapped = wrap_signed(raw, bits);

    if (wrapped == raw)
        return raw;
    if (count < 2)
        return (wrapped < 0) == (count ? negative : bit(floor, bits)) ? wrapped : -1 - wrapped;
    if (bit(raw, bits - count) == negative)
        raw = -1 - raw;
    return replace_low_bits(negative ? low : high, raw, bits - count);
}

/* Whether a shift to the right drops set bits. */
static int drops(int64_t value, int shift)
{
    return shift > 0 && ((uint64_t)value & ((UINT64_C(1) << shift) - 1)) != 0;
}

/* The product wrapped, toward zero, and saturated where its sign came out wrong. */
static int64_t repair_sign(int64_t product, int shift, int bits)
{
    int64_t low = -(INT64_C(1) << (bits - 1));
    int64_t raw = wrap_signed(round_shift(product, shift, FLOOR), bits);

    if (raw < 0 && drops(product, shift))
        raw++;
    if (product > 0 && raw < 0)
        return -1 - low;
    return product < 0 && raw > 0 ? low : raw;
}

/* The product wrapped, saturated where its sign came out wrong, else toward zero. */
static int64_t repair_sign_first(int64_t product, int shift, int bits)
{
    int64_t low = -(INT64_C(1) << (bits - 1));
    int64_t raw = wrap_signed(round_shift(product, shift, FLOOR), bits);

    if (product < 0 && raw >= 0)
        return low;
    if (product >= 0 && raw < 0)
        return -1 - low;
    return raw < 0 && drops(product, shift) ? raw + 1 : raw;
}

/* VHDL's resize of a signed number to fewer bits: its sign bit and its low bits - 1 bits. */
static int64_t resize(int64_t value, int bits)
{
    return wrap_unsigned(value, bits - 1) - (value < 0 ? INT64_C(1) << (bits - 1) : 0);
}

/* sign(product) * (round(abs(product) / 2**shift) mod 2**bits), half up. */
static int64_t wrapped_magnitude(int64_t product, int shift, int bits)
{
    int64_t magnitude = wrap_unsigned(round_shift(product < 0 ? -product : product, shift, HALF_UP), bits);

    return product < 0 ? -magnitude : magnitude;
}

/* An integer of 128 bits: high * 2**64 + low. */
typedef struct {
    int64_t high;
    uint64_t low;
} wide;

/* value * multiplier, for multipliers below 2**32. */
static wide wide_product(int64_t value, int64_t multiplier)
{
    uint64_t low = ((uint64_t)value & UINT32_MAX) * (uint64_t)multiplier;
    int64_t upper = floor_shift(value, 32) * multiplier + (int64_t)(low >> 32);
    wide product;

    product.high = floor_shift(upper, 32);
    product.low = ((uint64_t)upper << 32) | (low & UINT32_MAX);
    return product;
}

/* value + addend. */
static wide wide_add(wide value, int64_t addend)
{
    wide sum;

    sum.low = value.low + (uint64_t)addend;
    sum.high = value.high + (addend < 0 ? -1 : 0) + (sum.low < value.low);
    return sum;
}

/* value * 2**shift for shifts of 0 .. 63. */
static wide wide_shift_left(wide value, int shift)
{
    wide shifted = value;

    if (shift > 0) {
        shifted.high = to_signed(((uint64_t)value.high << shift) | (value.low >> (64 - shift)));
        shifted.low = value.low << shift;
    }
    return shifted;
}

/* floor(value / 2**shift) for shifts of 0 .. 63. */
static wide wide_floor_shift(wide value, int shift)
{
    wide shifted = value;

    if (shift > 0) {
        shifted.high = floor_shift(value.high, shift);
        shifted.low = ((uint64_t)value.high << (64 - shift)) | (value.low >> shift);
    }
    return shifted;
}

/* round_shift of 128 bits. */
static wide wide_round_shift(wide value, int shift, enum rounding rounding)
{
    int odd;

    if (shift <= 0)
        return wide_shift_left(value, -shift);
    odd = (int)(wide_floor_shift(value, shift).low & 1);
    return wide_floor_shift(wide_add(value, rounding_addend(rounding, shift, value.high < 0, odd)), shift);
}

/* round_shift_twice of 128 bits. */
static wide wide_round_shift_twice(wide value, int shift, enum rounding rounding)
{
    if (shift <= 31)
        return wide_round_shift(value, shift, HALF_UP);
    return wide_round_shift(wide_round_shift(value, 31, HALF_UP), shift - 31, rounding);
}

/* The low 64 bits of value. */
static int64_t wide_low(wide value)
{
    return to_signed(value.low);
}

/* value saturated to 64 bits. */
static int64_t wide_saturate(wide value)
{
    int64_t low = to_signed(value.low);

    if (value.high == (low < 0 ? -1 : 0))
        return low;
    return value.high < 0 ? INT64_MIN : INT64_MAX;
}

/* value / 2**excess, ties to even, where excess is the bits beyond the precision; exponent grows by it. */
static int64_t nearest_significand(wide value, int precision, int *exponent)
{
    wide rest = wide_floor_shift(value, precision);
    int excess = 0;

    while (rest.high != 0 || rest.low != 0) {
        rest = wide_floor_shift(rest, 1);
        excess++;
    }
    *exponent += excess;
    return wide_low(wide_round_shift(value, excess, HALF_EVEN));
}

/* left * right of significands, 0 .. 2**53. */
static wide significand_product(int64_t left, int64_t right)
{
    wide product = wide_shift_left(wide_product(left, right >> 32), 32);
    wide rest = wide_product(left, right & INT64_C(0xffffffff));

    product.high += rest.high;
    product.low += rest.low;
    product.high += product.low < rest.low;
    return product;
}

/* value * (significand * 2**exponent) in IEEE 754 arithmetic of the precision, ties to even; then rounded to an
 * integer. The value itself is first rounded to the precision. */
static int64_t float_product(int64_t value, int64_t significand, int exponent, int precision, enum rounding rounding)
{
    wide magnitude = {0, 0};
    int64_t product;

    magnitude.low = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    product = nearest_significand(magnitude, precision, &exponent);
    product = nearest_significand(significand_product(product, significand), precision, &exponent);
    return round_shift(value < 0 ? -product : product, exponent < -62 ? 62 : -exponent, rounding);
}

/* left * right / 2**15 of 16-bit words, half up (SQRDMULH). */
static int64_t multiply_16(int64_t left, int64_t right)
{
    int64_t product = round_shift(left * right, 15, HALF_UP);

    return product > INT16_MAX ? INT16_MAX : product;
}

/* exp(raw * 2**-15) * 2**15, nearly, for -2**13 <= raw < 0: a series of degree 4 around -1/8. */
static int64_t exp_between_quarter_and_zero(int64_t raw)
{
    int64_t exp_minus_eighth = 28918, third = 10923; /* times 2**15 */
    int64_t x = raw + (1 << 12);
    int64_t x2 = multiply_16(x, x);
    int64_t x3 = multiply_16(x2, x);
    int64_t x4 = multiply_16(x2, x2);
    int64_t series = multiply_16(round_shift(x4, 2, HALF_AWAY) + x3, third) + x2;

    x += round_shift(series, 1, HALF_AWAY);
    return saturate(exp_minus_eighth + multiply_16(exp_minus_eighth, x), INT16_MIN, INT16_MAX);
}

/* exp(raw * 2**(integer_bits - 15)) * 2**15, nearly, for raw <= 0: the series for what is below a quarter, times the
 * constants of the set bits of the multiple of a quarter. */
static int64_t exp_of_negative(int64_t raw, int integer_bits)
{
    static const int16_t exponentials[7] = {25520, 19875, 12055, 4435, 600, 11, 0}; /* exp(-2**n) * 2**15, n from -2 */
    int fraction_bits = 15 - integer_bits, n;
    int64_t quarter = INT64_C(1) << (fraction_bits - 2);
    int64_t rest = (raw & (quarter - 1)) - quarter;
    int64_t multiple = rest - raw;
    int64_t result = exp_between_quarter_and_zero(saturate(rest * (1 << integer_bits), INT16_MIN, INT16_MAX));

    for (n = -2; n < 5; n++)
        if (integer_bits > n && bit(multiple, fraction_bits + n))
            result = multiply_16(result, exponentials[n + 2]);
    if (integer_bits > 5 && raw < -(INT64_C(1) << (20 - integer_bits)))
        result = 0;
    return raw == 0 ? INT16_MAX : result;
}

/* 2 / (1 + raw * 2**-15) * 2**13, nearly, for 0 <= raw < 2**15: three steps of Newton's method. */
static int64_t double_reciprocal_of_one_plus(int64_t raw)
{
    int64_t half = floor_shift(raw + (1 << 15), 1);
    int64_t x = 23130 + multiply_16(half, -15420); /* 48/17 and -32/17, times 2**13 */
    int step;

    for (step = 0; step < 3; step++)
        x += saturate(multiply_16(x, (1 << 13) - multiply_16(half, x)) * 4, INT16_MIN, INT16_MAX);
    return x;
}

/* gemmlowp's logistic: sigmoid(raw * 2**-12) * 2**15, nearly, for raws of 16 bits. */
static int64_t gemmlowp_sigmoid(int64_t raw, int argument)
{
    int64_t reciprocal, positive;

    if (raw == 0)
        return 1 << 14;
    reciprocal = double_reciprocal_of_one_plus(exp_of_negative(raw < 0 ? raw : -raw, argument));
    positive = saturate(reciprocal * 2, INT16_MIN, INT16_MAX);
    return raw > 0 ? positive : INT16_MAX - positive;
}

/* gemmlowp's tanh: tanh(raw * 2**(argument - 15)) * 2**15, nearly, for raws of 16 bits. */
static int64_t gemmlowp_tanh(int64_t raw, int argument)
{
    int64_t reciprocal, positive;

    if (raw == 0)
        return 0;
    reciprocal = double_reciprocal_of_one_plus(exp_of_negative(raw < 0 ? raw : -raw, argument + 1));
    positive = saturate((reciprocal - (1 << 13)) * 4, INT16_MIN, INT16_MAX);
    return raw > 0 ? positive : -positive;
}

/* 65536 * sigmoid(i / 24), nearly. From arm_nntables.c of CMSIS-NN, Apache-2.0, copyright Arm Limited. */
static const uint16_t cmsis_table[256] = {@CMSIS_TABLE@};

/* 2**index_bits times the table at position / 2**index_bits, on the line; end from entry 255 on. */
static int64_t cmsis_line(int64_t position, int index_bits, int64_t end)
{
    int64_t index = position >> index_bits;
    int64_t rest = position & ((1 << index_bits) - 1);

    if (index >= 255)
        return end;
    return ((int64_t)cmsis_table[index] << index_bits) + rest * ((int64_t)cmsis_table[index + 1] - cmsis_table[index]);
}

/* CMSIS-NN's sigmoid(raw * 2**(argument - 12)) * 2**15, nearly, for raws of 16 bits. */
static int64_t cmsis_sigmoid(int64_t raw, int argument)
{
    int64_t position = round_shift(3 * raw, -argument, HALF_UP);
    int64_t line = cmsis_line(position < 0 ? -position : position, 9, INT64_C(32767) << 10);

    return floor_shift(position < 0 ? (1 << 25) - line + (1 << 9) - 1 : line + (1 << 9), 10);
}

/* CMSIS-NN's tanh(raw * 2**(argument - 12)) * 2**15, nearly, for raws of 16 bits. */
static int64_t cmsis_tanh(int64_t raw, int argument)
{
    int64_t position = round_shift(3 * raw, -argument, HALF_UP);
    int64_t line = cmsis_line(position < 0 ? -position : position, 8, INT64_C(65535) << 8);

    return floor_shift(position < 0 ? (1 << 23) - line + (1 << 7) - 1 : line - (1 << 23) + (1 << 7), 8);
}

/* left * right / 2**31 of 32-bit words, half up (SQRDMULH). */
static int64_t multiply_32(int64_t left, int64_t right)
{
    int64_t product = round_shift(left * right, 31, HALF_UP);

    return product > INT32_MAX ? INT32_MAX : product;
}

/* 2**28 * sqrt(2**28 / value), nearly, for 2**27 <= value < 2**29: five steps of Newton's method. */
static int64_t inverse_root_newton(int64_t value)
{
    int64_t half = round_shift(value >> 1, 1, HALF_AWAY), x = 1 << 28, cube;
    int step;

    for (step = 0; step < 5; step++) {
        cube = saturate(multiply_32(multiply_32(x, x), x) * 64, INT32_MIN, INT32_MAX);
        x = saturate((multiply_32(INT64_C(3) << 27, x) - multiply_32(half, cube)) * 8, INT32_MIN, INT32_MAX);
    }
    return multiply_32(x, 1518500250); /* sqrt(1/2) * 2**31 */
}

/* The multiplier with multiplier / 2**(31 + shift) near 1 / sqrt(value), for value < 2**31. */
static int64_t inverse_square_root(int64_t value, int *shift)
{
    int64_t root;

    *shift = 0;
    if (value <= 1)
        return INT32_MAX;
    *shift = 11;
    while (value >= 1 << 29) {
        value >>= 2;
        (*shift)++;
    }
    while (value < 1 << 27) {
        value <<= 2;
        (*shift)--;
    }
    root = inverse_root_newton(value);
    if (*shift < 0) {
        root <<= -*shift;
        *shift = 0;
    }
    return root;
}

/* values <- round(2**-10 * (weight * normalized + bias)), half away, where normalized is near
 * 2**10 * (value - mean) / deviation; the sum wraps to 32 bits. LiteRT's integer layer normalization. */
static void layer_norm(int64_t *values, const int64_t *weight, const int64_t *bias, int count, int64_t least_variance)
{
    int64_t sum = 0, squares = 0, mean, variance, multiplier, normalized;
    int k, shift;

    for (k = 0; k < count; k++) {
        sum += values[k];
        squares += values[k] * values[k];
    }
    mean = 1024 * sum / count;
    variance = (squares * ((1 << 20) / count) - mean * mean) / (1 << 20);
    multiplier = inverse_square_root(variance < 1 ? least_variance : variance, &shift);
    for (k = 0; k < count; k++) {
        normalized = round_shift(multiply_32(1024 * values[k] - mean, multiplier), shift, HALF_AWAY);
        values[k] = round_shift(wrap_signed(weight[k] * normalized + bias[k], 32), 10, HALF_AWAY);
    }
}
