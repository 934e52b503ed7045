"""Types by their spelling, and the types of their results."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format
from fixedsim.hls_types import (
    OVERFLOWS,
    ROUNDINGS,
    Family,
    HlsType,
    difference_type,
    is_hls_type,
    negation_type,
    product_type,
    quotient_type,
    sum_type,
)


@pytest.mark.parametrize(
    ("text", "form", "modes"),
    [
        ("ap_fixed<16,6>", "s5.10", ("floor", "wrap", 0)),
        ("ap_fixed<16,6,AP_RND,AP_SAT>", "s5.10", ("half_up", "saturate", 0)),
        ("ap_ufixed<8,0>", "u0.8", ("floor", "wrap", 0)),
        ("ap_ufixed<8,10>", "u10.-2", ("floor", "wrap", 0)),
        ("ap_fixed<8,-2>", "s-3.10", ("floor", "wrap", 0)),
        ("ap_fixed<8,2,AP_RND_CONV,AP_WRAP_SM>", "s1.6", ("half_even", "wrap_sign_magnitude", 0)),
        ("ap_fixed<8,2,AP_TRN,AP_WRAP,3>", "s1.6", ("floor", "wrap", 3)),
        ("ap_fixed<8,2,AP_TRN_ZERO,AP_WRAP_SM,1>", "s1.6", ("toward_zero", "wrap_sign_magnitude", 1)),
        ("ap_int<8>", "int8", ("floor", "wrap", 0)),
        ("ap_uint<64>", "uint64", ("floor", "wrap", 0)),
        ("ac_fixed<16,6,true>", "s5.10", ("floor", "wrap", 0)),
        ("ac_fixed<16,6,false,AC_RND_CONV_ODD,AC_SAT_ZERO>", "u6.10", ("half_odd", "saturate_zero", 0)),
        ("ac_fixed<4,1,true,AC_RND_INF,AC_SAT_SYM>", "s0.3", ("half_away", "saturate_symmetric", 0)),
        ("ac_int<8,false>", "uint8", ("floor", "wrap", 0)),
    ],
)
def test_a_spelling_and_what_it_means(text: str, form: str, modes: tuple[str, str, int]) -> None:
    kind = HlsType.parse(text)
    assert kind.format == Format.parse(form)
    assert (kind.rounding, kind.overflow, kind.saturated_bits) == modes
    assert kind.name == str(kind) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (" ac_fixed<16, 6, true> ", "ac_fixed<16,6,true>"),
        ("ac_fixed<16,6>", "ac_fixed<16,6,true>"),
        ("ac_int<8>", "ac_int<8,true>"),
        ("ac_int<8,0>", "ac_int<8,false>"),
        ("hls::ap_fixed< 16 , 6 , hls::AP_RND >", "ap_fixed<16,6,AP_RND,AP_WRAP>"),
        ("ap_fixed<16,6,AP_TRN,AP_WRAP,0>", "ap_fixed<16,6>"),
        ("ap_fixed<16,+6>", "ap_fixed<16,6>"),
    ],
)
def test_other_spellings_of_the_same(text: str, canonical: str) -> None:
    assert HlsType.parse(text) == HlsType.parse(canonical)
    assert HlsType.parse(text).name == canonical


@given(
    st.sampled_from(Family),
    st.integers(1, 64),
    st.integers(-80, 80),
    st.booleans(),
    st.sampled_from(list(ROUNDINGS.values())),
    st.sampled_from(list(OVERFLOWS.values())),
    st.data(),
)
def test_a_type_is_read_as_it_is_written(
    family: Family, bits: int, integer: int, signed: bool, rounding: Rounding, overflow: Overflow, data: st.DataObject
) -> None:
    if rounding is Rounding.HALF_ODD:
        family = Family.AC
    if overflow is Overflow.WRAP_SIGN_MAGNITUDE:
        family, signed = Family.AP, True
        rounding = Rounding.FLOOR if rounding is Rounding.HALF_ODD else rounding
    wraps = overflow in (Overflow.WRAP, Overflow.WRAP_SIGN_MAGNITUDE) and family is Family.AP
    count = data.draw(st.integers(0, bits)) if wraps else 0
    kind = HlsType(family, bits, integer, signed, rounding, overflow, count)
    assert HlsType.parse(kind.name) == kind
    assert (kind.raw_min, kind.raw_max) == (kind.format.raw_min, kind.format.raw_max)
    assert kind.fraction_bits == kind.format.fraction_bits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ap_ufixed<8,2,AP_RND,AP_WRAP_SM>", "overflow must not be AP_WRAP_SM for the unsigned ap_ufixed<8,2>"),
        ("ap_fixed<65,2>", "width of ap_fixed must be in 1..64, not 65"),
        ("ap_fixed<0,2>", "width of ap_fixed must be in 1..64, not 0"),
        ("ap_fixed<8,600>", "integer bits of ap_fixed must be in -512..512, not 600"),
        ("ap_fixed<8>", "ap_fixed must have 2..5 parameters, not 'ap_fixed<8>'"),
        ("ap_int<8,3>", "ap_int must have 1..1 parameters, not 'ap_int<8,3>'"),
        ("ac_fixed<8,2,true,AC_TRN,AC_SAT,1>", "ac_fixed must have 2..5 parameters, not"),
        ("ac_fixed<8,2,maybe>", "sign of ac_fixed must be true or false, not 'maybe' in 'ac_fixed<8,2,maybe>'"),
        ("ap_fixed<8,2,AC_RND>", "mode of ap_fixed must be one of AP_TRN, AP_TRN_ZERO, AP_RND, AP_RND_MIN_INF, "),
        ("ap_fixed<8,2,AP_RND_CONV_ODD>", "mode of ap_fixed must be one of AP_TRN, "),
        ("ac_fixed<8,2,true,AC_RND,AC_WRAP_SM>", "mode of ac_fixed must be one of AC_WRAP, AC_SAT, AC_SAT_SYM, "),
        ("ap_fixed<8,x>", "parameter of ap_fixed must be an integer, not 'x' in 'ap_fixed<8,x>'"),
        ("ap_fixed<8,>", "parameter of ap_fixed must be an integer, not '' in 'ap_fixed<8,>'"),
        ("ap_fixed<8,2,AP_RND,AP_SAT,3>", "saturated bits of ap_fixed must be in 0..0, not 3; only AP_WRAP and "),
        ("ap_fixed<8,2,AP_RND,AP_WRAP,9>", "saturated bits of ap_fixed must be in 0..8, not 9; only AP_WRAP and "),
        ("fixed<8,2>", "type must be spelt like ap_fixed<16,6>, "),
        ("ap_fixed<8,2", "type must be spelt like ap_fixed<16,6>, "),
        ("s4.11", "type must be spelt like ap_fixed<16,6>, "),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(FormatError) as failure:
        HlsType.parse(text)
    assert str(failure.value).startswith(message)


def test_what_is_meant_as_a_spelling() -> None:
    assert is_hls_type("ap_fixed<16,6>")
    assert is_hls_type("ap_fixd<16,6>")  # so that the error names the spellings
    assert not is_hls_type("s4.11")
    assert not is_hls_type(Format.integer(8))


@pytest.mark.parametrize(
    ("left", "right", "product", "total", "difference", "quotient"),
    [
        # W1 + W2; I = max(I1, I2) + 1 and F = max(F1, F2); W1 + F2 + S2 and I1 + F2 + S2
        ("ap_fixed<8,3>", "ap_fixed<6,1>", (14, 4, True), (9, 4, True), (9, 4, True), (14, 9, True)),
        ("ap_ufixed<8,4>", "ap_ufixed<8,4>", (16, 8, False), (9, 5, False), (9, 5, True), (12, 8, False)),
        # the unsigned operand needs one more bit beside a signed one
        ("ap_ufixed<8,4>", "ap_fixed<8,4>", (16, 8, True), (10, 6, True), (10, 6, True), (13, 9, True)),
        ("ap_fixed<8,4>", "ap_ufixed<8,4>", (16, 8, True), (10, 6, True), (10, 6, True), (12, 8, True)),
        # F2 is -2: nothing is appended, and I falls
        ("ap_fixed<8,4>", "ap_fixed<4,6>", (12, 10, True), (11, 7, True), (11, 7, True), (9, 3, True)),
    ],
)
def test_types_of_results(
    left: str,
    right: str,
    product: tuple[int, int, bool],
    total: tuple[int, int, bool],
    difference: tuple[int, int, bool],
    quotient: tuple[int, int, bool],
) -> None:
    operands = HlsType.parse(left), HlsType.parse(right)
    for result, wanted in (
        (product_type(*operands), product),
        (sum_type(*operands), total),
        (difference_type(*operands), difference),
        (quotient_type(*operands), quotient),
    ):
        assert (result.bits, result.integer_bits, result.signed) == wanted
        assert result == result.plain


def test_results_of_integers_are_integers() -> None:
    assert product_type(HlsType.parse("ap_int<8>"), HlsType.parse("ap_uint<4>")).name == "ap_int<12>"
    assert sum_type(HlsType.parse("ac_int<8,true>"), HlsType.parse("ac_int<4,true>")).name == "ac_int<9,true>"
    assert sum_type(HlsType.parse("ap_int<8>"), HlsType.parse("ap_fixed<8,4>")).name == "ap_fixed<13,9>"


def test_a_result_may_be_wider_than_a_variable() -> None:
    wide = HlsType.parse("ap_fixed<64,10>")
    product = product_type(wide, wide)
    assert (product.bits, product.integer_bits, product.raw_min) == (128, 20, -(1 << 127))
    with pytest.raises(FormatError, match=r"bits must be in 1\.\.64, not 128"):
        _ = product.format


def test_a_negation_keeps_the_type_without_its_modes() -> None:
    assert negation_type(HlsType.parse("ap_fixed<8,2,AP_RND,AP_SAT>")).name == "ap_fixed<8,2>"


def test_operands_of_two_families_are_refused() -> None:
    ap, ac = HlsType.parse("ap_fixed<8,2>"), HlsType.parse("ac_fixed<8,2>")
    with pytest.raises(FormatError, match=r"operands must be of one family, not ap_fixed<8,2> and ac_fixed<8,2,true>"):
        product_type(ap, ac)
    with pytest.raises(FormatError, match="operands of a quotient must be ap types, not ac_fixed<8,2,true>"):
        quotient_type(ac, ac)
    with pytest.raises(FormatError, match="operands of a negation must be ap types"):
        negation_type(ac)
