"""The checked array operations: types, shapes, layouts, the specification behind the kernels, and errors."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import FixedsimError, FormatError, InputError
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Accumulator, Check, LookupTable, Narrowing
from fixedsim.spec import accumulators, casts
from tests.kernels.engines import possible

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]

HALVE = Narrowing(Format.integer(8), Rounding.HALF_EVEN, shift=1)
TABLE = LookupTable((0, 10, 20, 30), Format.integer(8), 0, 0)
UNSIGNED_WORD = Format.integer(64, signed=False)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_every_integer_type(dtype: str) -> None:
    values = np.array([0, 1, 1, 0], dtype)
    assert arrays.narrow(values, HALVE).tolist() == [0, 0, 0, 0]
    assert arrays.activate(values, TABLE).tolist() == [0, 10, 10, 0]
    assert arrays.narrow(values, HALVE).dtype == np.int64
    assert arrays.dot(values[None], values[None], Accumulator(8)).tolist() == [[2]]
    assert arrays.require_raws(values, Format.integer(2), "values").dtype == np.int64
    assert arrays.to_real(values, Format.qmn(0, 1)).tolist() == [0.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize(
    "values",
    [
        np.arange(24).reshape(2, 3, 4),
        np.arange(24).reshape(2, 3, 4)[:, ::-1, ::2],
        np.arange(12, dtype=np.int16).reshape(3, 4).T,
        np.empty((0, 3), np.int64),
        np.empty((3, 0), np.int64),
        np.empty(0, np.int8),
        np.array(7),
    ],
    ids=lambda values: "x".join(map(str, values.shape)) or "scalar",
)
def test_every_shape_and_layout(values: np.ndarray[Any, Any]) -> None:
    halved = [casts.narrow(value, HALVE) for value in values.ravel().tolist()]
    for got in (arrays.narrow(values, HALVE), arrays.cast(values, 1, Format.integer(8), Rounding.HALF_EVEN)):
        assert got.shape == values.shape
        assert got.ravel().tolist() == halved
    assert arrays.activate(values, TABLE).ravel().tolist() == [min(value, 3) * 10 for value in values.ravel().tolist()]
    assert arrays.activate(values, TABLE).shape == values.shape
    raws = arrays.require_raws(values, Format.integer(8), "values")
    assert raws.shape == values.shape
    assert raws.ravel().tolist() == values.ravel().tolist()
    assert arrays.to_real(values, Format.integer(8)).shape == values.shape
    assert arrays.to_raw(values.astype(float), Format.integer(8)).tolist() == values.tolist()


def test_row_constants_stand_for_the_last_axis() -> None:
    values = np.array([[8, 8, 8], [-9, -9, -9]])
    got = arrays.narrow(values, Narrowing(Format.integer(16), Rounding.FLOOR), [1, 3, 1], [0, 1, -2])
    assert got.tolist() == [[8, 12, 32], [-9, -14, -36]]


def test_unsigned_words_go_through_the_specification() -> None:
    top = (1 << 64) - 1
    values = np.array([-5, 1, (1 << 63) - 1])
    got = arrays.narrow(values, Narrowing(UNSIGNED_WORD, shift=-2))
    assert got.dtype == np.uint64
    assert got.tolist() == [0, 4, top]
    assert arrays.narrow(values, Narrowing(UNSIGNED_WORD, overflow=Overflow.WRAP)).tolist() == [
        top - 4,
        1,
        (1 << 63) - 1,
    ]
    assert arrays.narrow(np.array([top], np.uint64), Narrowing(Format.integer(64), shift=1)).tolist() == [(1 << 63) - 1]
    assert arrays.activate(np.array([top], np.uint64), TABLE).tolist() == [30]
    assert arrays.require_raws(np.array([top], np.uint64), UNSIGNED_WORD, "x").tolist() == [top]
    assert arrays.to_real(np.array([top], np.uint64), UNSIGNED_WORD).tolist() == [2.0**64]


@pytest.mark.parametrize("bits", [5, 40, 62, 63, 64])
@pytest.mark.parametrize("check", Check)
@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("product", [None, HALVE, Narrowing(UNSIGNED_WORD)])
def test_dot_with_every_accumulator(bits: int, check: Check, overflow: Overflow, product: Narrowing | None) -> None:
    accumulator = Accumulator(bits, overflow, check, product)
    words = [1 << 31, -(1 << 31), 3, -7, (1 << 31) - 1, 1 << 40]
    for scale in (1, 1 << 12, 1 << 22):
        weight = [[word // scale for word in words], [-word // scale for word in words]]
        inputs = [weight[0][::-1], weight[0]]
        start, shifts = [5, -(1 << 61)], [0, 3]
        expected = [
            [
                accumulators.accumulate(accumulators.products(row, vector, accumulator, shift), accumulator, first)
                for row, shift, first in zip(weight, shifts, start, strict=True)
            ]
            for vector in inputs
        ]
        assert arrays.dot(weight, inputs, accumulator, start, shifts).tolist() == expected


FORMATS = st.sampled_from(
    [
        Format.parse("s4.11"),
        Format.parse("odd1"),
        Format.parse("odd4"),
        Format.parse("uunit4"),
        Format.affine(8, Fraction(3, 1000), -7),
        Format.parse("int64"),
        UNSIGNED_WORD,
        Format.integer(64).with_scale(Fraction(1 << 70)),
        Format.integer(16).with_scale(Fraction(1, 1 << 900)),
    ]
)


@settings(max_examples=250)
@given(
    real=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-400, 400).map(lambda half: half / 16),
    form=FORMATS,
    rounding=st.sampled_from(Rounding),
    data=st.data(),
)
def test_to_raw_rounds_the_exact_quotient(real: float, form: Format, rounding: Rounding, data: st.DataObject) -> None:
    overflow = data.draw(st.sampled_from([mode for mode in Overflow if possible(form, mode)]))
    quotient = (real * float(form.scale.denominator)) / float(form.scale.numerator)
    if quotient in (float("inf"), float("-inf")):
        overflow, exact = Overflow.SATURATE, Fraction(int(np.sign(quotient)) << 80)
    else:
        exact = Fraction(quotient)
    shift = exact.denominator.bit_length() - 1
    expected = casts.cast(exact.numerator, shift, form, rounding, overflow)
    assert arrays.to_raw([real], form, rounding, overflow).tolist() == [expected]


def test_to_raw_of_exact_cases() -> None:
    form = Format.qmn(3, 1)
    reals = [0.25, 0.75, -0.25, 1e-300, -1e-300, -3.9, 1e300, float("inf"), float("-inf")]
    assert arrays.to_raw(reals, form).tolist() == [0, 2, 0, 0, 0, -8, 15, 15, -16]
    assert arrays.to_raw(reals[:5], form, Rounding.FLOOR).tolist() == [0, 1, -1, 0, -1]
    assert arrays.to_raw([2.0**62, 2.0**63, 2.0**200], Format.integer(64), overflow=Overflow.WRAP).tolist() == [
        1 << 62,
        -(1 << 63),
        0,
    ]
    assert arrays.to_raw([0.9, -0.9, 0.0, 5], Format.parse("odd1")).tolist() == [
        1,
        -1,
        -1,
        1,
    ]  # 0 ties to the even code


def test_to_real() -> None:
    affine = Format.affine(8, Fraction(1, 4), -3)
    assert arrays.to_real([-3, 1, 127], affine).tolist() == [0.0, 1.0, 32.5]
    far = Format(64, -(1 << 63), (1 << 63) - 1, zero_point=-(1 << 63))
    assert arrays.to_real([(1 << 63) - 1, -(1 << 63)], far).tolist() == [2.0**64, 0.0]


@given(
    raws=st.lists(st.integers(-20, 20), max_size=12),
    form=st.sampled_from([Format.integer(4), Format.odd(3), Format(5, -3, 9)]),
)
@example(raws=[], form=Format.odd(3))
def test_require_raws(raws: list[int], form: Format) -> None:
    given_raws = np.array(raws, np.int16)
    wrong = [position for position, raw in enumerate(raws) if not form.contains(raw)]
    if not wrong:
        assert arrays.require_raws(given_raws, form, "weight").tolist() == raws
        return
    with pytest.raises(InputError) as caught:
        arrays.require_raws(given_raws, form, "weight")
    assert str(caught.value).startswith(f"weight[{wrong[0]}] must be a raw of {form.name} (")
    assert str(caught.value).endswith(f"), not {raws[wrong[0]]}")


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: arrays.narrow([0.5], HALVE), InputError, "values must be integers of at most 64 bits, not float64"),
        (
            lambda: arrays.activate([1 << 70], TABLE),
            InputError,
            "values must be integers of at most 64 bits, not object",
        ),
        (lambda: arrays.narrow([1, 2], HALVE, [1]), InputError, "multipliers must be (2,), one for each position"),
        (lambda: arrays.narrow([1], HALVE, [0]), FormatError, "multipliers must be in 1..4294967295, not 0"),
        (lambda: arrays.narrow([1], HALVE, None, [63]), FormatError, "shifts must be in -62..62, not 63"),
        (lambda: arrays.dot([[1]], [[1, 2]], Accumulator()), InputError, "weight and inputs must be (R, K) and (N, K)"),
        (
            lambda: arrays.dot([[1]], [[1]], Accumulator(), [1, 2]),
            InputError,
            "start must broadcast to (1, 1), not (2,)",
        ),
        (
            lambda: arrays.to_raw([[1.0, float("nan")]], Format.integer(8)),
            InputError,
            "reals[0, 1] must be a number, not nan",
        ),
        (lambda: arrays.to_raw(["x"], Format.integer(8)), InputError, "reals must be numbers, not <U1"),
        (
            lambda: arrays.to_raw([1.0, float("-inf")], Format.integer(8), overflow=Overflow.WRAP),
            InputError,
            "reals[1] must be finite in units of the scale, not -inf",
        ),
        (
            lambda: arrays.to_raw([1.0], Format.integer(8).with_scale(Fraction(1 << 1100))),
            FormatError,
            "scale must be a quotient of integers below 2**1024",
        ),
        (
            lambda: arrays.require_raws(np.array([[0, 1], [200, 2]]), Format.integer(8), "input"),
            InputError,
            "input[1, 0] must be a raw of int8 (-128..127), not 200",
        ),
        (
            lambda: arrays.require_raws(np.array(9), Format.odd(3), "cell"),
            InputError,
            "cell must be a raw of odd3 (-7..7 step 2), not 9",
        ),
        (lambda: arrays.require_raws([1.5], Format.odd(3), "cell"), InputError, "cell must be integers"),
        (
            lambda: arrays.require_raws(np.array([1 << 63], np.uint64), Format.integer(8), "x"),
            InputError,
            "x[0] must be a raw of",
        ),
    ],
)
def test_errors(call: Callable[[], object], kind: type[FixedsimError], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(message)
