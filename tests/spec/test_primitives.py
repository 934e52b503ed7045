"""Narrowings that are algorithms of their own: cases by hand, then floating point as the machine has it."""

import math
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FormatError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Narrowing, Primitive
from fixedsim.spec.casts import narrow
from fixedsim.spec.ieee import BINARY32, BINARY64, Float, nearest_float
from fixedsim.spec.primitives import PRIMITIVES
from tests.spec import oracle

BYTE = Format.integer(8)
WORD = Format.integer(64)
TENTH = 3602879701896397  # over 2**55: the binary64 number nearest to 0.1, just above it


def by(primitive: Primitive, form: Format = BYTE, **fields: int) -> Narrowing:
    """A narrowing by a primitive, rounded half up where it reads that."""
    return Narrowing(form, Rounding.HALF_UP, primitive=primitive, **fields)  # type: ignore[arg-type]


def test_every_primitive_is_registered() -> None:
    assert set(PRIMITIVES) == set(Primitive)


@pytest.mark.parametrize(
    ("product", "repaired", "repaired_first", "why"),
    [
        (0, 0, 0, "zero"),
        (47, 2, 2, "2.9 toward zero"),
        (-1, 0, 0, "-0.06: the floor -1 plus 1"),
        (-17, -1, -1, "-1.06: the floor -2 plus 1"),
        (-32, -2, -2, "exactly -2: nothing is dropped"),
        (2047, 127, 127, "127.9 is in range"),
        (2048, 127, 127, "128 wraps to -128, a wrong sign"),
        (4096, 0, 0, "256 wraps to 0, which has no wrong sign"),
        (4112, 1, 1, "257 wraps to 1, the right sign"),
        (4088, 0, 127, "255.5 wraps to -1, which plus 1 is 0 before its sign is seen"),
        (-2049, -128, -128, "-128.06 has the floor -129, which wraps to 127"),
        (-4096, 0, -128, "-256 wraps to 0: wrong only where 0 counts as positive"),
        (-4097, 0, 0, "-256.06 has the floor -257, which wraps to -1, the right sign; plus 1"),
        (-3000, -128, -128, "-187.5 has the floor -188, which wraps to 68"),
        (-6000, -119, -119, "-375 wraps to -119, the right sign; nothing is dropped"),
    ],
)
def test_the_sign_is_repaired(product: int, repaired: int, repaired_first: int, why: str) -> None:
    assert why
    assert narrow(product, by(Primitive.REPAIR_SIGN, shift=4)) == repaired
    assert narrow(product, by(Primitive.REPAIR_SIGN_FIRST, shift=4)) == repaired_first


def test_a_repaired_shift_to_the_left_drops_nothing() -> None:
    assert narrow(-3, by(Primitive.REPAIR_SIGN, shift=-2)) == -12
    assert narrow(33, by(Primitive.REPAIR_SIGN_FIRST, shift=-2)) == 127  # 132 wraps to -124


@pytest.mark.parametrize(
    ("value", "shift", "zero_point", "guard_bits", "raw", "why"),
    [
        (130, 0, 0, 1, 2, "9 bits to 8: the sign bit 0 and the low 7 bits of 130"),
        (-130, 0, 0, 1, -2, "the sign bit 1 and 126"),
        (130, 0, 0, 0, 127, "without a guard bit it saturates"),
        (1000, 0, 0, 1, 127, "saturates to 255, whose low 7 bits are 127"),
        (-1000, 0, 0, 1, -128, "saturates to -256, whose low 7 bits are 0"),
        (250, 0, 10, 1, -124, "260 wraps to -252 in 9 bits: the sign bit 1 and 4"),
        (127, 0, 1, 0, -128, "the zero point wraps"),
        (3, 1, 0, 1, 2, "1.5 half up"),
        (-3, 1, 0, 1, -1, "-1.5 half up"),
        (511, 0, 0, 2, 127, "10 bits hold 511"),
        (384, 0, 0, 2, 0, "the low 7 bits of 384"),
    ],
)
def test_vhdl_resize(value: int, shift: int, zero_point: int, guard_bits: int, raw: int, why: str) -> None:
    assert why
    form = Format(8, -128, 127, zero_point=zero_point)
    assert narrow(value, by(Primitive.VHDL_RESIZE, form, shift=shift, guard_bits=guard_bits)) == raw


def test_vhdl_resize_with_a_wrap_saturates_nothing() -> None:
    """1000 is 488 modulo 512, in 9 bits -24; -24 fits 8 bits."""
    stage = Narrowing(BYTE, overflow=Overflow.WRAP, primitive=Primitive.VHDL_RESIZE, guard_bits=1)
    assert [narrow(value, stage) for value in (1000, 130, -130, 256)] == [-24, 2, -2, -128]


@pytest.mark.parametrize(
    ("value", "multiplier", "shift", "zero_point", "raw", "why"),
    [
        (64, 1, 7, 0, 1, "0.5 away from zero"),
        (-64, 1, 7, 0, -1, "-0.5 away from zero"),
        (-192, 1, 7, 0, -2, "-1.5 away from zero"),
        (100, 3, 4, 0, 19, "300 / 16 = 18.75"),
        (300, 1, 0, 0, 44, "300 modulo 256; a shift of 0 has no rounding bit"),
        (-300, 1, 0, 0, -44, "the magnitude modulo 256, then the sign"),
        (130, 1, 0, 0, 2, "9 bits to 8: the sign bit 0 and the low 7 bits of 130"),
        (-130, 1, 0, 0, -2, "the sign bit 1 and 126"),
        (250, 1, 0, 10, -124, "260 wraps to -252 in 9 bits: the sign bit 1 and 4"),
        (-256, 1, 0, 5, 5, "a magnitude of 0"),
    ],
)
def test_vhdl_resize_of_a_magnitude(
    value: int, multiplier: int, shift: int, zero_point: int, raw: int, why: str
) -> None:
    assert why
    form = Format(8, -128, 127, zero_point=zero_point)
    stage = by(Primitive.VHDL_RESIZE_MAGNITUDE, form, multiplier=multiplier, shift=shift)
    assert narrow(value, stage) == raw


def test_integers_beyond_a_significand_are_rounded_to_even() -> None:
    exact = by(Primitive.FLOAT64, WORD)
    assert [narrow((1 << 53) + more, exact) - (1 << 53) for more in (0, 1, 2, 3)] == [0, 0, 2, 4]
    exact = by(Primitive.FLOAT32, WORD)
    assert [narrow((1 << 24) + more, exact) - (1 << 24) for more in (0, 1, 2, 3)] == [0, 0, 2, 4]
    assert narrow((1 << 60) + (1 << 36) + 1, exact) == (1 << 60) + (1 << 37)  # just above a tie of binary32


def test_a_floating_point_product_makes_a_tie() -> None:
    """5 * 0.1 is 0.5 in binary64; the exact product is above it, and so rounds to 1."""
    wanted = {Rounding.HALF_EVEN: 0, Rounding.HALF_AWAY: 1}
    for rounding, raw in wanted.items():
        assert narrow(5, Narrowing(BYTE, rounding, shift=55, multiplier=TENTH, primitive=Primitive.FLOAT64)) == raw
    assert narrow(5, Narrowing(BYTE, Rounding.HALF_EVEN, shift=31, multiplier=214748365)) == 1


def test_the_scale_of_binary32_has_24_bits() -> None:
    """(2**24 + 1) / 2**25 rounds to the scale 1/2, and 1 to the tie 1/2; the exact scale is above."""
    stage = Narrowing(BYTE, Rounding.HALF_EVEN, shift=25, multiplier=(1 << 24) + 1, primitive=Primitive.FLOAT32)
    assert narrow(1, stage) == 0
    assert narrow(3, stage) == 2


def test_a_scale_beyond_binary32_is_infinite_or_zero() -> None:
    def scaled(value: int, multiplier: int, shift: int, mode: Overflow = Overflow.SATURATE) -> int:
        return narrow(value, Narrowing(BYTE, Rounding.FLOOR, mode, shift, multiplier, primitive=Primitive.FLOAT32))

    assert [scaled(value, 1, -128) for value in (-1, 0, 1)] == [-128, 0, 127]
    assert [scaled(value, 1, -128, Overflow.WRAP) for value in (-1, 0, 1)] == [0, 0, 0]
    assert scaled(-1, 1, 149) == -1  # the least subnormal number is not zero
    assert scaled(-1, 3, 151) == -1  # three quarters of it round to it
    assert scaled(-1, 1, 150) == 0  # half of it rounds to zero
    assert scaled(-1, 1, 900) == 0


def test_the_zero_point_comes_after_the_rounding() -> None:
    form = Format.affine(8, Fraction(1), 1)
    stage = Narrowing(form, Rounding.HALF_EVEN, shift=1, primitive=Primitive.FLOAT64)
    assert [narrow(half, stage) for half in (1, 3, 5, 400)] == [1, 3, 3, 127]


@given(st.integers(-(1 << 60), 1 << 60), st.integers(-1300, 1100))
def test_nearest_binary64(significand: int, exponent: int) -> None:
    exact = Fraction(significand) * Fraction(2) ** exponent
    rounded = nearest_float(significand, exponent, BINARY64)
    try:
        wanted = Fraction(exact.numerator / exact.denominator)  # correctly rounded
    except OverflowError:
        assert rounded == Float(1 if significand > 0 else -1, 1024)
        return
    assert Fraction(rounded.significand) * Fraction(2) ** rounded.exponent == wanted


@given(st.integers(-(1 << 53), 1 << 53), st.integers(-210, 130))
def test_nearest_binary32(significand: int, exponent: int) -> None:
    rounded = nearest_float(significand, exponent, BINARY32)
    try:
        wanted = struct.unpack("f", struct.pack("f", math.ldexp(significand, exponent)))[0]
    except OverflowError:
        wanted = math.inf
    if math.isinf(wanted):
        assert rounded == Float(1 if significand > 0 else -1, 128)
        return
    assert math.ldexp(rounded.significand, rounded.exponent) == wanted


@given(
    st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-5000, 5000),
    st.integers(1, (1 << 53) - 1) | st.integers(1, 64),
    st.integers(-20, 70),
    st.sampled_from(Rounding),
    st.sampled_from([Overflow.SATURATE, Overflow.WRAP, Overflow.SATURATE_SYMMETRIC]),
)
def test_binary64_as_python_has_it(value: int, multiplier: int, shift: int, rounding: Rounding, mode: Overflow) -> None:
    stage = Narrowing(BYTE, rounding, mode, shift, multiplier, primitive=Primitive.FLOAT64)
    product = Fraction(float(value) * math.ldexp(multiplier, -shift))
    assert narrow(value, stage) == oracle.cast(product, BYTE, rounding, mode)


@given(
    st.integers(-(1 << 53), 1 << 53) | st.integers(-(1 << 26), 1 << 26),
    st.integers(1, (1 << 26) - 1),
    st.integers(-20, 70),
    st.sampled_from(Rounding),
)
def test_binary32_as_numpy_has_it(value: int, multiplier: int, shift: int, rounding: Rounding) -> None:
    stage = Narrowing(BYTE, rounding, shift=shift, multiplier=multiplier, primitive=Primitive.FLOAT32)
    product = np.float32(float(value)) * np.float32(math.ldexp(multiplier, -shift))
    assert narrow(value, stage) == oracle.cast(Fraction(float(product)), BYTE, rounding, Overflow.SATURATE)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": Format.integer(8, signed=False), "primitive": Primitive.VHDL_RESIZE}, "must be signed with 2..32"),
        ({"format": Format.odd(4), "primitive": Primitive.FLOAT64}, "format of float64 must have step 1, not odd4"),
        ({"format": BYTE, "saturated_bits": 2}, "saturated_bits must be 0 for overflow saturate, not 2"),
        ({"format": BYTE, "saturated_bits": 9}, r"saturated_bits must be in 0\.\.8, not 9"),
        (
            {"format": Format.odd(4), "overflow": Overflow.WRAP, "saturated_bits": 1},
            "format of wrap must have step 1, not odd4",
        ),
        (
            {"format": Format.integer(8, signed=False), "overflow": Overflow.WRAP_SIGN_MAGNITUDE},
            "format of wrap_sign_magnitude must be signed, not uint8",
        ),
        ({"format": BYTE, "multiplier": 1 << 53, "primitive": Primitive.FLOAT64}, "multiplier must be in 1"),
    ],
)
def test_refusals(fields: dict[str, object], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        Narrowing(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", ["w8f4_10x2", "w16f8_20x5", "w8f4_20x5_overflow"])
def test_a_fixed_point_linear_layer_in_vhdl(shared: Path, case: str) -> None:
    path = shared / "oracle" / "rtl" / f"eai_fc_{case}.npz"
    if not path.is_file():
        pytest.skip(f"needs {path.name}")
    with np.load(path) as recorded:
        width, fraction = int(recorded["W"]), int(recorded["F"])
        inputs, weight, bias, output = (recorded[name].tolist() for name in ("x", "w", "b", "y"))
    stage = by(Primitive.REPAIR_SIGN_FIRST, Format.integer(width), shift=fraction)
    for vector, wanted in zip(inputs, output, strict=True):
        for row, start, raw in zip(weight, bias, wanted, strict=True):
            exact = sum(a * b for a, b in zip(row, vector, strict=True)) + (start << fraction)
            assert narrow(oracle.congruent(exact, -(1 << 2 * width - 1), 1 << 2 * width), stage) == raw


@pytest.mark.parametrize("case", ["w8_16x6", "w8_20x4_ties", "w8_20x8_overflow"])
def test_an_integer_linear_layer_in_vhdl(shared: Path, case: str) -> None:
    path = shared / "oracle" / "rtl" / f"eai_fcint_{case}.npz"
    if not path.is_file():
        pytest.skip(f"needs {path.name}")
    with np.load(path) as recorded:
        width, multiplier, shift, *zeros = (int(recorded[name]) for name in ("W", "MQ", "SH", "zx", "zw", "zy"))
        inputs, weight, bias, output = (recorded[name].tolist() for name in ("x", "w", "b", "y"))
    half = 1 << (width - 1)
    form = Format(width, -half, half - 1, zero_point=zeros[2])
    stage = by(Primitive.VHDL_RESIZE_MAGNITUDE, form, multiplier=multiplier, shift=shift)
    bits = 2 * (width + 1) + 1
    for vector, wanted in zip(inputs, output, strict=True):
        for row, start, raw in zip(weight, bias, wanted, strict=True):
            exact = start + sum((x - zeros[0]) * (w - zeros[1]) for x, w in zip(vector, row, strict=True))
            assert narrow(oracle.congruent(exact, -(1 << bits - 1), 1 << bits), stage) == raw
