"""Casts of signed formats against APyTypes, which shares neither code nor authors with this project."""

import apytypes
import pytest
from apytypes import APyFixed, APyFixedArray
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.spec.casts import cast
from tests.spec.strategies import corners

QUANTIZATION = {
    Rounding.FLOOR: apytypes.QuantizationMode.TRN,
    Rounding.TOWARD_ZERO: apytypes.QuantizationMode.TRN_ZERO,
    Rounding.HALF_UP: apytypes.QuantizationMode.RND,
    Rounding.HALF_DOWN: apytypes.QuantizationMode.RND_MIN_INF,
    Rounding.HALF_AWAY: apytypes.QuantizationMode.RND_INF,
    Rounding.HALF_TOWARD_ZERO: apytypes.QuantizationMode.RND_ZERO,
    Rounding.HALF_EVEN: apytypes.QuantizationMode.RND_CONV,
    Rounding.HALF_ODD: apytypes.QuantizationMode.RND_CONV_ODD,
}
OVERFLOW = {Overflow.WRAP: apytypes.OverflowMode.WRAP, Overflow.SATURATE: apytypes.OverflowMode.SAT}
BOTH = [(rounding, mode) for rounding in Rounding for mode in OVERFLOW]
SOURCE_BITS = 80


def two_complement(code: int, bits: int) -> int:
    return code - (1 << bits) if code >> (bits - 1) else code


def by_apytypes(values: list[int], shift: int, bits: int, rounding: Rounding, mode: Overflow) -> list[int]:
    """Cast ``value / 2**shift`` to signed integers of ``bits`` bits."""
    array = APyFixedArray(values, bits=SOURCE_BITS, frac_bits=shift)
    result = array.cast(bits=bits, frac_bits=0, quantization=QUANTIZATION[rounding], overflow=OVERFLOW[mode])
    return [two_complement(int(code), bits) for code in result.to_bits()]


@pytest.mark.parametrize(("rounding", "mode"), BOTH)
def test_every_small_value(rounding: Rounding, mode: Overflow) -> None:
    values = list(range(-512, 512))
    for bits in range(1, 9):
        form = Format.integer(bits)
        for shift in range(-2, 7):
            wanted = by_apytypes(values, shift, bits, rounding, mode)
            assert [cast(value, shift, form, rounding, mode) for value in values] == wanted, (bits, shift)


@pytest.mark.parametrize(("rounding", "mode"), BOTH)
def test_corners(rounding: Rounding, mode: Overflow) -> None:
    values = corners(70)
    for bits in (1, 2, 15, 16, 31, 32, 33, 63, 64):
        form = Format.integer(bits)
        for shift in (-3, 0, 1, 8, 31, 62):
            wanted = by_apytypes(values, shift, bits, rounding, mode)
            assert [cast(value, shift, form, rounding, mode) for value in values] == wanted, (bits, shift)


@given(
    st.integers(-(1 << (SOURCE_BITS - 1)), (1 << (SOURCE_BITS - 1)) - 1),
    st.integers(-20, 70),
    st.integers(1, 64),
    st.sampled_from(BOTH),
)
def test_any_value(value: int, shift: int, bits: int, choice: tuple[Rounding, Overflow]) -> None:
    rounding, mode = choice
    number = APyFixed(value, bits=SOURCE_BITS, frac_bits=shift)
    result = number.cast(bits=bits, frac_bits=0, quantization=QUANTIZATION[rounding], overflow=OVERFLOW[mode])
    assert cast(value, shift, Format.integer(bits), rounding, mode) == two_complement(result.to_bits(), bits)
