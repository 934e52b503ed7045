"""hls4ml's tables: computed ones against the recorded ones, and every recorded sweep through them."""

import math
import re
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedsim import arrays
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.hls4ml_tables import (
    DEFAULT_FORMAT,
    computed_table,
    hls4ml_activation,
    hls4ml_table,
    recorded_table,
    rounded_to,
)
from fixedsim.spec.ieee import BINARY32, BINARY64

COPIED = Path(__file__).parents[1] / "data" / "oracle" / "hls4ml" / "activations.npz"
MODES = {
    "": (Rounding.FLOOR, Overflow.WRAP),
    "rs": (Rounding.HALF_UP, Overflow.SATURATE),
    "rc": (Rounding.HALF_EVEN, Overflow.SATURATE),
}
NAME = re.compile(r"(?:TABLE|SWEEP)_(\w+?)_x(.+)_y(.+)_t(.+)_n(\d+)")


def hls_type(text: str) -> tuple[Format, Rounding, Overflow]:
    """The format and the modes of a type spelt like ``16_6rs``."""
    match = re.fullmatch(r"(\d+)_(\d+)(\w*)", text)
    assert match is not None
    bits, integer = int(match[1]), int(match[2])
    return Format.qmn(integer - 1, bits - integer), *MODES[match[3]]


def check_recording(path: Path) -> dict[str, int]:
    """Compare every table, computed, and every sweep; return how many values of each kind were equal."""
    equal = {"TABLE": 0, "SWEEP": 0}
    with np.load(path) as recorded:
        for name, values in recorded.items():
            match = NAME.fullmatch(name)
            assert match is not None
            function, size = match[1], int(match[5])
            source, result, entries = (hls_type(match[group]) for group in (2, 3, 4))
            fraction_bits = entries[0].fraction_bits
            assert fraction_bits is not None
            if name.startswith("TABLE"):
                found = computed_table(function, size, entries[0], fraction_bits, *entries[1:])
                assert list(found) == values.tolist(), name
            else:
                table = hls4ml_activation(
                    function, source[0], entries[0], size, rounding=entries[1], overflow=entries[2]
                )
                raws = np.arange(source[0].raw_min, source[0].raw_max + 1)
                shift = fraction_bits - (result[0].fraction_bits or 0)
                given_by = arrays.cast(arrays.activate(raws, table), shift, *result)
                assert given_by.tolist() == values.tolist(), name
            equal[name[:5]] += len(values)
    return equal


def test_copied_recordings() -> None:
    assert check_recording(COPIED) == {"TABLE": 2 * (256 + 1024 + 2048), "SWEEP": 2 * (4096 + 256)}


def test_every_recording(shared: Path) -> None:
    found = check_recording(shared / "oracle" / "hls4ml" / "activation_tables_and_sweeps.npz")
    assert found == {"TABLE": 2 * (1024 + 256 + 1024 + 512 + 2048), "SWEEP": 2 * (3 * 65536 + 4096 + 256)}


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_the_shipped_tables_are_the_recorded_ones(function: str) -> None:
    recorded = np.load(COPIED)[f"TABLE_{function}_x8_3_y8_3_t18_8_n1024"].tolist()
    assert list(recorded_table(function)) == recorded
    assert hls4ml_table(function) == recorded_table(function)
    assert hls4ml_activation(function, Format.qmn(5, 10), DEFAULT_FORMAT).values == recorded_table(function)


def test_entries_by_hand() -> None:
    """tanh(8 * (i - 2) / 4) at i of 0 .. 3: tanh of -4, -2, 0, 2, times 2**10, rounded down."""
    exact = [math.tanh(x) * 1024 for x in (-4, -2, 0, 2)]
    assert hls4ml_table("tanh", 4) == tuple(math.floor(value) for value in exact) == (-1024, -988, 0, 987)


def test_the_middle_entry_is_read_twice_as_wide() -> None:
    table = hls4ml_activation("sigmoid", Format.qmn(4, 3), Format.qmn(7, 10), 16)
    assert (table.index_shift, table.index_multiplier, table.offset) == (3, 1, 8)
    raws = [-72, -64, -16, -9, -8, -7, 0, 7, 8, 15, 16, 56, 64, 400]
    indices = [0, 0, 6, 7, 7, 8, 8, 8, 9, 9, 10, 15, 15, 15]
    assert arrays.activate(raws, table).tolist() == [table.values[index] for index in indices]


def test_a_size_that_is_no_power_of_two() -> None:
    """x at 2 fraction bits: trunc(raw * 6 / (8 * 4)) + 3."""
    table = hls4ml_activation("tanh", Format.qmn(4, 2), Format.qmn(7, 10), 6, (0, 10, 20, 30, 40, 50))
    assert (table.index_shift, table.index_multiplier, table.offset) == (4, 3, 3)
    reads = arrays.activate([-17, -16, -11, -10, -6, -5, 5, 6, 10, 11, 16, 99], table)
    assert reads.tolist() == [0, 0, 10, 20, 20, 30, 30, 40, 40, 50, 50, 50]


@given(st.fractions().filter(lambda value: abs(value) < 2**100) | st.floats(-1e30, 1e30).map(Fraction))
def test_rounding_to_floats(value: Fraction) -> None:
    assert rounded_to(value, BINARY64) == Fraction(value.numerator / value.denominator)  # Python rounds it correctly
    if value.denominator & (value.denominator - 1) == 0 and value == Fraction(float(value)):
        assert rounded_to(value, BINARY32) == Fraction(struct.unpack("f", struct.pack("f", float(value)))[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("relu", Format.qmn(5, 10), DEFAULT_FORMAT), "function of an hls4ml table must be one of sigmoid, tanh, not"),
        (("tanh", Format.qmn(5, 10), DEFAULT_FORMAT, 0), r"size of an hls4ml table must be in 1..1048576, not 0"),
        (
            ("tanh", Format.qmn(5, 10), DEFAULT_FORMAT, 3, (1, 2)),
            "values of a table must be 3, as its size says, not 2",
        ),
        (("tanh", Format.affine(8, Fraction(1, 10), 3), DEFAULT_FORMAT), "input_type must have a power of two"),
        (("tanh", Format.qmn(5, 10), Format.affine(8, Fraction(1, 10), 3)), "table_format must have a power of two"),
    ],
)
def test_what_is_refused(arguments: tuple[str, Format, Format], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        hls4ml_activation(*arguments)
