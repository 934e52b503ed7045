"""What assert_bit_exact accepts, and the exact words in which it refuses."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fixedsim.formats import Format
from fixedsim.model.run import RunResult
from fixedsim.testing import assert_bit_exact
from tests.model.networks import LANGUAGE, inputs, model

CELL = Format.parse("s4.11")


def message(ours: Any, theirs: Any, **choices: Any) -> str:
    """The words of the failure."""
    with pytest.raises(AssertionError) as failure:
        assert_bit_exact(ours, theirs, **choices)
    return str(failure.value)


def changed(raws: Any, *places: tuple[int, ...], by: int = -1) -> Any:
    """A copy of the raws that differs at the places."""
    other = np.array(raws)
    for place in places:
        other[place] += by
    return other


def test_equal_integers_of_any_type_pass() -> None:
    raws = np.arange(6, dtype=np.int64).reshape(1, 2, 3)
    assert_bit_exact(raws.astype(np.int16), raws)
    assert_bit_exact([[1, 2]], np.array([[1, 2]], np.uint8), format=CELL)
    assert_bit_exact({"a": raws, "b": raws}, {"b": raws, "a": raws})
    assert_bit_exact({"a": raws, "b": 0}, {"a": raws, "c": 1}, names=["a"])
    assert_bit_exact(np.zeros((0, 2), np.int64), np.zeros((0, 2), np.int64))


def test_the_first_difference_is_named_with_decimals_hexadecimals_and_reals() -> None:
    theirs = np.full((4, 2, 18), -11)
    ours = changed(theirs, (3, 0, 17), (3, 1, 2))
    assert message(ours, theirs, names="lstm.cell") == (
        "2 of 144 integers differ, first\nlstm.cell [3, 0, 17]: got -12 (0xf4), expected -11 (0xf5)"
    )
    assert message(ours, theirs, names="lstm.cell", format=CELL) == (
        "2 of 144 integers differ, first\n"
        "lstm.cell [3, 0, 17]: got -12 (0xfff4) = -0.005859375, expected -11 (0xfff5) = -0.00537109375"
    )


@pytest.mark.parametrize(
    ("got", "expected", "form", "words"),
    [
        (1, 0, None, "got 1 (0x01), expected 0 (0x00)"),
        (127, -128, None, "got 127 (0x7f), expected -128 (0x80)"),
        (128, -128, None, "got 128 (0x0080), expected -128 (0xff80)"),
        (-(1 << 63), 0, None, "got -9223372036854775808 (0x8000000000000000), expected 0 (0x0000000000000000)"),
        (5, 7, Format.integer(3, signed=False), "got 5 (0x5) = 5, expected 7 (0x7) = 7"),
        (8, 7, Format.integer(4), "got 8 (0x8) = 8, no raw of int4, expected 7 (0x7) = 7"),
        (3, 1, Format.affine(8, CELL.scale, 1), "got 3 (0x03) = 0.0009765625, expected 1 (0x01) = 0"),
    ],
)
def test_widths_and_reals(got: int, expected: int, form: Format | None, words: str) -> None:
    lines = message([got], [expected], format=form).splitlines()
    assert lines == ["1 of 1 integers differ, first", f"array [0]: {words}"]


def test_unsigned_words_are_compared_exactly() -> None:
    most = np.array([(1 << 64) - 1], np.uint64)
    assert_bit_exact(most, most)
    assert "expected -1 (0xffffffffffffffff)" in message(most, np.array([-1]))


def test_the_first_cause_is_the_earliest_step_and_then_the_earlier_signal() -> None:
    zeros = np.zeros((4, 1, 2), np.int64)
    theirs = {"state": np.zeros((1, 2), np.int64), "gate": zeros, "cell": zeros, "hidden": zeros}
    ours: Mapping[str, Any] = {
        "state": changed(theirs["state"], (0, 0)),
        "hidden": changed(zeros, (1, 0, 0), (2, 0, 0)),
        "cell": changed(zeros, (1, 0, 1)),
        "gate": changed(zeros, (2, 0, 0)),
    }
    assert message(ours, theirs, format={"cell": CELL}).splitlines() == [
        "5 of 26 integers differ, first",
        "cell [1, 0, 1]: got -1 (0xffff) = -0.00048828125, expected 0 (0x0000) = 0",
        "state: 1 of 2 differ",
        "gate: 1 of 8 differ",
        "cell: 1 of 8 differ",
        "hidden: 2 of 8 differ",
    ]


def test_many_signals_are_counted() -> None:
    theirs = {f"s{position}": np.zeros(1, np.int64) for position in range(12)}
    ours = {name: raws + 1 for name, raws in theirs.items()}
    lines = message(ours, theirs).splitlines()
    assert (len(lines), lines[-2:]) == (11, ["s7: 1 of 1 differ", "and 4 more signals"])


def test_shapes_kinds_and_missing_signals() -> None:
    raws = np.zeros((2, 3), np.int64)
    assert message(raws.T, raws, names="fc.output") == "fc.output: shape must be (2, 3), not (3, 2)"
    assert message(raws * 1.0, raws) == "array: type of what is got must be integers, not float64"
    assert message(raws, raws > 0) == "array: type of what is expected must be integers, not bool"
    assert message({"a": raws}, {"a": raws, "b": raws}) == "signals got must include b; they are a"
    assert message({"a": raws, "b": raws}, {"a": raws}) == "signals expected must include b; they are a"
    assert message({"a": raws}, {"a": raws}, names=["a", "c"]) == "signals got must include c; they are a"


def test_results_of_runs() -> None:
    made = model(LANGUAGE)
    result = made.run(inputs(made, 3, 2), trace="low.*")
    assert_bit_exact(result, made.run(inputs(made, 3, 2), trace="low.*", engine="spec"), format=made)
    hidden = changed(result.trace["low.hidden"], (2, 1, 0))
    ours = RunResult(result.values, result.format, result.state, result.trace | {"low.hidden": hidden})
    first = message(ours, result, format=made).splitlines()[1]
    expected = int(result.trace["low.hidden"][2, 1, 0])
    assert first.startswith(f"low.hidden [2, 1, 0]: got {expected - 1} (0x{(expected - 1) & 0xFF:02x}) = ")
    cell = changed(result.state["low"][1], (0, 0), by=1)
    ours = RunResult(result.values, result.format, result.state | {"low": (result.state["low"][0], cell)}, result.trace)
    assert "\nlow.state.c [0, 0]: got " in message(ours, result, format=made)
    assert message({"output": result.raw}, result).startswith("signals got must include high.state.c, high.state.h, ")
    assert_bit_exact({"output": result.raw}, result, names=["output"])
