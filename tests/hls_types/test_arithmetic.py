"""Arithmetic of C++ types by hand, at widths beyond 64 bits, and dot products as accumulators."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim import hls_arithmetic as hls
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError, InputError
from fixedsim.hls_types import Family, HlsType, difference_type, product_type, quotient_type, sum_type
from tests.spec import oracle


def test_assignments_by_hand() -> None:
    """Eighths to halves: 0.375, 0.75, -0.75, 3.75, and 4 that is out of range."""
    raws = [3, 6, -6, 30, 32]
    wanted = {
        "ap_fixed<4,3>": [0, 1, -2, 7, -8],
        "ap_fixed<4,3,AP_RND,AP_SAT>": [1, 2, -1, 7, 7],
        "ap_fixed<4,3,AP_TRN_ZERO,AP_SAT_SYM>": [0, 1, -1, 7, 7],
        "ac_fixed<4,3,false,AC_RND_INF,AC_SAT_ZERO>": [1, 2, 0, 8, 8],
    }
    for text, expected in wanted.items():
        assert hls.assign(raws, 3, HlsType.parse(text)).tolist() == expected, text


def test_shifts_beyond_those_of_a_narrowing() -> None:
    far, plain = HlsType.parse("ap_fixed<8,-200>"), HlsType.parse("ap_fixed<8,4,AP_RND>")
    assert hls.assign([127, -128], far.fraction_bits, plain).tolist() == [0, 0]
    assert hls.assign([127, -128], far.fraction_bits, HlsType.parse("ap_fixed<8,4>")).tolist() == [0, -1]
    assert hls.assign([1, -1], 0, HlsType.parse("ap_fixed<8,-200,AP_TRN,AP_SAT>")).tolist() == [127, -128]
    assert hls.assign([1, -1], 0, far).tolist() == [0, 0]


def test_binary64_numbers_are_taken_exactly() -> None:
    values = [0.1, -0.1, 2.0**-40, -(2.0**-40), 5.5, 1e300]
    assert hls.from_double(values[:5], HlsType.parse("ap_fixed<8,3>")).tolist() == [3, -4, 0, -1, -80]
    assert hls.from_double(values, HlsType.parse("ap_fixed<8,3,AP_RND,AP_SAT>")).tolist() == [3, -3, 0, 0, 127, 127]
    assert hls.from_double([20.0], HlsType.parse("ap_fixed<8,3,AP_TRN,AP_WRAP,2>")).tolist() == [64]
    with pytest.raises(InputError, match=r"reals\[0\] must be finite"):
        hls.from_double([math.inf], HlsType.parse("ap_fixed<8,3>"))


def test_a_type_without_integer_bits_as_an_integer() -> None:
    """The library's own way: -1 for every negative value, where others go toward zero."""
    assert hls.to_integer([-1, -512, 0, 511], HlsType.parse("ap_fixed<10,-2>")).tolist() == [-1, -1, 0, 0]
    assert hls.to_integer([-1, -64, -65, 127], HlsType.parse("ap_fixed<8,2>")).tolist() == [0, -1, -1, 1]
    assert hls.to_integer([3, -3], HlsType.parse("ap_fixed<4,6>")).tolist() == [12, -12]


def test_operators_that_keep_the_type() -> None:
    kind = HlsType.parse("ap_fixed<8,3,AP_RND,AP_SAT>")
    assert hls.negate([-128, 5], kind).tolist() == [-128, -5]
    assert hls.shift_left([100, -3], kind, 2).tolist() == [-112, -12]
    assert hls.shift_right([7, -7], kind, 1).tolist() == [3, -4]


def test_quotients_by_hand() -> None:
    """7 / -2 with one fraction bit in the divisor: (7 << 1) / -2 and toward zero."""
    left, right = HlsType.parse("ap_fixed<8,8>"), HlsType.parse("ap_fixed<8,7>")
    assert hls.divide([7, -7, 5], left, [-2, 3, 4], right).tolist() == [-7, -4, 2]
    with pytest.raises(InputError, match="divisors must be other than 0, not 0"):
        hls.divide([1], left, [0], right)


WIDTHS = st.tuples(st.integers(1, 64), st.integers(-5, 70), st.booleans())


@given(WIDTHS, WIDTHS, st.data())
def test_results_are_exact_and_fit_their_types(
    one: tuple[int, int, bool], other: tuple[int, int, bool], data: st.DataObject
) -> None:
    left, right = HlsType(Family.AP, *one), HlsType(Family.AP, *other)
    a, b = (data.draw(st.integers(kind.raw_min, kind.raw_max)) for kind in (left, right))
    raws = (np.array([raw], np.int64 if kind.signed else np.uint64) for raw, kind in ((a, left), (b, right)))
    first, second = raws
    x, y = (Fraction(raw) / Fraction(2) ** kind.fraction_bits for raw, kind in ((a, left), (b, right)))
    for exact, kind, found in (
        (x * y, product_type(left, right), hls.multiply(first, left, second, right)),
        (x + y, sum_type(left, right), hls.add(first, left, second, right)),
        (x - y, difference_type(left, right), hls.subtract(first, left, second, right)),
    ):
        raw = int(found[0])
        assert raw / Fraction(2) ** kind.fraction_bits == exact
        assert kind.raw_min <= raw <= kind.raw_max
    if b:
        kind = quotient_type(left, right)
        wanted = math.trunc(Fraction(a << max(right.fraction_bits, 0), b))
        assert hls.divide(first, left, second, right).tolist() == [wanted]
        assert kind.raw_min <= wanted <= kind.raw_max


TEXTS = (
    "ap_fixed<8,4>",
    "ap_fixed<8,4,AP_RND,AP_SAT>",
    "ap_fixed<9,4,AP_RND_MIN_INF,AP_SAT_SYM>",
    "ap_fixed<9,2,AP_RND_CONV,AP_SAT>",
    "ap_fixed<9,2,AP_RND,AP_WRAP_SM>",
    "ap_fixed<9,2,AP_TRN,AP_WRAP_SM>",
    "ap_fixed<24,8,AP_RND_ZERO,AP_SAT_ZERO>",
    "ac_fixed<8,3,true,AC_RND_INF,AC_SAT>",
    "ac_fixed<8,3,true,AC_TRN_ZERO,AC_WRAP>",
    "ac_fixed<8,3,true,AC_RND_CONV_ODD,AC_SAT_SYM>",
)
FRACTION = 6  # of the products


def scalar_dot(weights: list[int], inputs: list[int], start: int, target: HlsType, product_cast: bool) -> int:
    """The loop of the C++ program on exact fractions of one unit of the type."""
    total, unit = start, Fraction(1, 1 << FRACTION) * Fraction(2) ** target.fraction_bits
    modes = target.format, target.rounding, target.overflow
    for weight, value in zip(weights, inputs, strict=True):
        addend = weight * value * unit
        if product_cast:
            addend = Fraction(oracle.cast(addend, *modes))
        total = oracle.cast(total + addend, *modes)
    return total


@pytest.mark.parametrize("product_cast", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_dot_products_and_their_accumulators(text: str, product_cast: bool) -> None:
    target = HlsType.parse(text)
    draws = np.random.default_rng(5)
    weights, inputs = (draws.integers(-32, 32, (40, 9)) for _ in range(2))
    start = draws.integers(target.raw_min, target.raw_max + 1, 40)
    expected = [
        scalar_dot(*row, target, product_cast)
        for row in zip(weights.tolist(), inputs.tolist(), start.tolist(), strict=True)
    ]
    found = hls.dot(weights, inputs, FRACTION, start, target, product_cast=product_cast)
    assert found.tolist() == expected
    try:
        accumulator = hls.accumulator(target, FRACTION, product_cast=product_cast)
    except FormatError:
        movable = target.rounding in (Rounding.FLOOR, Rounding.HALF_UP, Rounding.HALF_DOWN)
        carries = target.overflow is Overflow.WRAP_SIGN_MAGNITUDE and target.rounding is not Rounding.FLOOR
        assert not product_cast
        assert not movable or carries
        return
    sums = arrays.dot(weights, inputs, accumulator, start[:, None])
    assert np.diagonal(sums).tolist() == expected


def test_rounding_the_sum_and_rounding_the_product_differ() -> None:
    """0.5 to even is 0, and so is each of three addends; the sum 0.5 rounds to 0, then 0 + 0.5 again."""
    target = HlsType.parse("ap_fixed<8,8,AP_RND_CONV>")
    one = [[1, 1]], [[1, 1]]
    assert hls.dot(*one, 1, [1], target, product_cast=True).tolist() == [1]
    assert hls.dot(*one, 1, [1], target, product_cast=False).tolist() == [2]  # 1.5 to 2, then 2.5 to 2


def test_accumulators_that_there_are_not() -> None:
    for text in ("ap_ufixed<8,4>", "ap_fixed<8,4,AP_TRN,AP_WRAP,2>"):
        with pytest.raises(FormatError, match="type of an accumulator must be signed and without saturated bits"):
            hls.accumulator(HlsType.parse(text), FRACTION, product_cast=True)
    with pytest.raises(FormatError, match="must round toward minus infinity or have 6 fraction bits or more"):
        hls.accumulator(HlsType.parse("ap_fixed<8,4,AP_RND_CONV>"), FRACTION, product_cast=False)


def test_raws_must_be_integers() -> None:
    with pytest.raises(InputError, match="raws must be integers, not float64"):
        hls.assign([0.5], 3, HlsType.parse("ap_fixed<8,4>"))
