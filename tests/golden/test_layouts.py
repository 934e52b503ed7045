"""Layouts: the bits of every word by hand and by a scalar oracle, exact inverses, and what reading refuses."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim_golden.encodings import Layout, Words, append_bias, from_words, split_bias, to_words
from tests.strategies import SEEDS, formats
from tests.strategies import Words as Stream

INT4, UINT4, INT3 = Format.integer(4), Format.integer(4, signed=False), Format.integer(3)
GATE_ORDERS = st.none() | st.permutations("ifgo").map("".join)


@st.composite
def layouts(draw: st.DrawFn, form: Format) -> Layout:
    """A layout whose words hold a format."""
    align = draw(st.sampled_from((1, 4, 8, 64)))
    field = -(-form.bits // align) * align
    taken = field * (lanes := draw(st.integers(1, 16)))
    return Layout(
        lanes=lanes,
        lane_order=draw(st.sampled_from(("lsb", "msb"))),
        align=align,
        extend=draw(st.sampled_from(("zero", "sign"))),
        pad_rows=draw(st.booleans()),
        word_bits=draw(st.none() | st.integers(taken, 1024)),
        order=draw(st.sampled_from(("out_in", "in_out"))),
        gate_order=draw(GATE_ORDERS),
    )


def _raws(form: Format, shape: tuple[int, ...], seed: int) -> NDArray[Any]:
    places = [word % form.levels for word in Stream(seed).words(math.prod(shape)).tolist()]
    raws = [form.raw_min + form.raw_step * place for place in places]
    return np.array(raws, np.uint64 if form.raw_max >= 1 << 63 else np.int64).reshape(shape)


def _oracle(raws: NDArray[Any], form: Format, layout: Layout) -> list[int]:
    """The words, one element after another."""
    rows = raws.tolist()
    if layout.gate_order is not None:
        height = len(rows) // 4
        rows = [rows["ifgo".index(gate) * height + unit] for gate in layout.gate_order for unit in range(height)]
    if layout.order == "in_out":
        rows = [[row[column] for row in rows] for column in range(raws.shape[1])]
    runs = rows if layout.pad_rows else [[raw for row in rows for raw in row]]
    field = math.ceil(form.bits / layout.align) * layout.align
    extended = layout.extend == "sign" and form.raw_step == 1
    words = []
    for run in runs:
        for start in range(0, len(run), layout.lanes):
            codes = [raw % (1 << field) if extended else form.code(raw) for raw in run[start : start + layout.lanes]]
            codes += [0] * (layout.lanes - len(codes))
            codes = codes if layout.lane_order == "lsb" else codes[::-1]
            words.append(sum(code << field * lane for lane, code in enumerate(codes)))
    return words


@given(draw=st.data(), gates=st.integers(1, 3), columns=st.integers(1, 20), seed=SEEDS)
def test_equals_one_element_after_another(draw: st.DataObject, gates: int, columns: int, seed: int) -> None:
    form = draw.draw(formats(odd=True))
    layout, raws = draw.draw(layouts(form)), _raws(form, (4 * gates, columns), seed)
    words = to_words(raws, form, layout)
    assert words.word_bits == layout.width(form)
    assert words.integers() == _oracle(raws, form, layout)
    back = from_words(words, raws.shape, form, layout)
    assert (back.dtype, back.shape, back.tolist()) == (raws.dtype, raws.shape, raws.tolist())


@given(draw=st.data(), gates=st.integers(1, 2), columns=st.integers(1, 9), seed=SEEDS)
def test_every_bit_is_read(draw: st.DataObject, gates: int, columns: int, seed: int) -> None:
    form = draw.draw(formats(odd=True))
    layout, raws = draw.draw(layouts(form)), _raws(form, (4 * gates, columns), seed)
    words = to_words(raws, form, layout)
    integers = words.integers()
    integers[draw.draw(st.integers(0, len(words) - 1))] ^= 1 << draw.draw(st.integers(0, words.word_bits - 1))
    try:
        other = from_words(Words.of_integers(integers, words.word_bits), raws.shape, form, layout)
    except InputError as error:
        message = str(error)
    else:
        message = ""
        assert other.tolist() != raws.tolist()
    assert message == "" or message.startswith(("padding bit", "code[", "raws["))


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (Layout(), [1, 15, 8, 7, 2, 14]),
        (Layout(lanes=4), [0x78F1, 0x00E2]),
        (Layout(lanes=4, lane_order="msb"), [0x1F87, 0x2E00]),
        (Layout(lanes=2, pad_rows=True), [0xF1, 0x08, 0x27, 0x0E]),
        (Layout(lanes=2, pad_rows=True, lane_order="msb", align=8), [0x010F, 0x0800, 0x0702, 0x0E00]),
        (Layout(lanes=2, align=8, extend="sign"), [0xFF01, 0x07F8, 0xFE02]),
        (Layout(lanes=2, word_bits=12), [0x0F1, 0x078, 0x0E2]),
        (Layout(lanes=3, order="in_out"), [0xF71, 0xE82]),
    ],
)
def test_words_by_hand(layout: Layout, words: list[int]) -> None:
    raws = [[1, -1, -8], [7, 2, -2]]
    assert to_words(raws, INT4, layout).integers() == words


def test_codes_of_odd_raws_have_no_sign() -> None:
    layout = Layout(align=8, extend="sign")
    assert to_words([-7, 1, 7], Format.odd(3), layout).integers() == [0, 4, 7]


@pytest.mark.parametrize(("order", "wanted"), [("ifgo", [1, 2, 3, 4]), ("ifco", [1, 2, 3, 4]), ("ocfi", [4, 3, 2, 1])])
def test_gates_by_hand(order: str, wanted: list[int]) -> None:
    layout = Layout(gate_order=order)
    assert to_words([1, 2, 3, 4], UINT4, layout).integers() == wanted
    assert from_words(Words.of_integers(wanted, 4), (4,), UINT4, layout).tolist() == [1, 2, 3, 4]


def test_gates_before_the_transposition() -> None:
    words = to_words([[1, 5], [2, 6], [3, 7], [4, 8]], UINT4, Layout(order="in_out", gate_order="fiog", lanes=4))
    assert words.integers() == [0x3412, 0x7856]


@pytest.mark.parametrize(
    ("words", "layout", "message"),
    [
        ([0x71, 0x80], Layout(lanes=2), r"padding bit 7 of word 1 must be 0, not 1"),
        ([0x17, 0x09], Layout(lanes=2, lane_order="msb"), r"padding bit 0 of word 1 must be 0, not 1"),
        ([1, 16, 1], Layout(word_bits=5), r"padding bit 4 of word 1 must be 0, not 1"),
        ([1, 8, 1], Layout(align=8), r"padding bit 3 of word 1 must be 0, not 1"),
        ([1, 8, 1], Layout(align=8, extend="sign"), r"raws\[1\] must be a raw of int3 \(-4\.\.3\), not 8"),
        ([1, 2], Layout(), r"words must be 3 for the shape \(3,\), not 2"),
    ],
)
def test_padding_is_read(words: list[int], layout: Layout, message: str) -> None:
    form = INT3 if layout.align == 8 else INT4
    with pytest.raises(InputError, match=rf"^{message}$"):
        from_words(Words.of_integers(words, layout.width(form)), (3,), form, layout)


def test_a_code_that_is_no_raw_is_named() -> None:
    with pytest.raises(InputError, match=r"^code\[0, 1\] must stand for a raw of .* \(-7\.\.7\), not 8$"):
        from_words(Words.of_integers([1, 8], 4), (1, 2), Format.integer(4, narrow=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lanes": 0}, r"lanes must be at least 1, not 0"),
        ({"align": 0}, r"align must be at least 1, not 0"),
        ({"word_bits": 1025}, r"word_bits must be in 1\.\.1024, not 1025"),
        ({"lane_order": "big"}, r"lane_order must be one of lsb, msb, not 'big'"),
        ({"order": "oi"}, r"order must be one of out_in, in_out, not 'oi'"),
        ({"extend": "one"}, r"extend must be one of zero, sign, not 'one'"),
        ({"gate_order": "ifo"}, r"gate_order must be of i, f, g \(or c\) and o, each once, not 'ifo'"),
        ({"lane": 2}, r"field of a layout must be a known one, not 'lane'; did you mean 'lanes'\?"),
        ({"lanes": True}, r"lanes must be of type int, not True"),
        ({"pad_rows": 1}, r"pad_rows must be of type bool, not 1"),
        ({"word_bits": "8"}, r"word_bits must be of type int \| None, not '8'"),
    ],
)
def test_layouts_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^{message}$"):
        Layout.from_dict(arguments)


@pytest.mark.parametrize(
    ("raws", "layout", "message"),
    [
        ([1, 2], Layout(lanes=257), r"lanes must take at most 1024 bits, not 257 \* 4"),
        ([1, 2], Layout(lanes=2, word_bits=7), r"word_bits must be at least the 8 bits of the lanes, not 7"),
        ([1, 2], Layout(align=80, extend="sign"), r"fields with an extended sign must be of at most 64 bits, not 80"),
        ([1, 2], Layout(order="in_out"), r"shape must be \(out, in\) for the order in_out, not \(2,\)"),
        ([1, 2], Layout(gate_order="oifg"), r"first axis must hold 4 gates, not \(2,\)"),
        ([1, 8], Layout(), r"raws\[1\] must be a raw of int4 \(-8\.\.7\), not 8"),
    ],
)
def test_what_does_not_fit(raws: list[int], layout: Layout, message: str) -> None:
    with pytest.raises(InputError, match=rf"^{message}$"):
        to_words(raws, INT4, layout)


def test_other_widths_and_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"^words must be of 4 bits, not 5$"):
        from_words(Words.of_integers([1], 5), (1,), INT4)
    with pytest.raises(InputError, match=r"^shape must be of axes of at least 0, not \(-1,\)$"):
        from_words(Words.of_integers([1], 4), (-1,), INT4)


@given(draw=st.data())
def test_a_dictionary_as_json_holds_a_layout(draw: st.DataObject) -> None:
    layout = draw.draw(layouts(INT4))
    assert Layout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout
    assert Layout.from_dict({}) == Layout()


def test_bias_as_last_column() -> None:
    matrix = append_bias([[1, 2], [3, 4]], [5, -6])
    assert matrix.tolist() == [[1, 2, 5], [3, 4, -6]]
    weight, bias = split_bias(matrix)
    assert (weight.tolist(), bias.tolist()) == ([[1, 2], [3, 4]], [5, -6])


def test_bias_errors() -> None:
    with pytest.raises(
        InputError, match=r"^weight and bias must be \(rows, inputs\) and \(rows,\), not \(2, 1\) and \(1,\)$"
    ):
        append_bias([[1], [2]], [3])
    with pytest.raises(InputError, match=r"^weight and bias must share an integer type, not uint64 and int64$"):
        append_bias(np.array([[1]], np.uint64), [3])
    with pytest.raises(InputError, match=r"^matrix must be \(rows, inputs \+ 1\), not \(2,\)$"):
        split_bias([1, 2])
