"""Packing: exact sizes, the bits of every word, and what unpacking refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim import packing as module
from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim.packing import Packed, Packing, pack, unpack
from tests.strategies import SEEDS, Words, formats

SHAPES = st.lists(st.integers(0, 5), max_size=3).map(tuple) | st.tuples(st.integers(1, 3), st.integers(6, 40))
PACKINGS = st.builds(
    Packing, lanes=st.integers(1, 9), align=st.sampled_from((1, 2, 3, 4, 8, 16, 80)), pad_rows=st.booleans()
)
FORMATS = formats(widest=16, odd=True) | formats(odd=True, zero_points=True)
EVERY_RAW = Format(63, -(1 << 63), (1 << 63) - 2, raw_step=2)  # its codes do not fit a difference of int64


def _raws(form: Format, shape: tuple[int, ...], seed: int) -> NDArray[np.uint64] | NDArray[np.int64]:
    words = Words(seed).words(math.prod(shape)).tolist()
    ends = (0, form.levels - 1, form.levels // 2)
    places = [ends[word % 7] if word % 7 < 3 else word // 7 % form.levels for word in words]
    raws = [form.raw_min + form.raw_step * place for place in places]
    if form.raw_max >= 1 << 63:
        return np.array(raws, np.uint64).reshape(shape)
    return np.array(raws, np.int64).reshape(shape)


def _oracle(raws: NDArray[np.uint64] | NDArray[np.int64], form: Format, packing: Packing) -> tuple[Packed, int]:
    """The packing with one Python integer, and the mask of the bits of it that carry values."""
    field = math.ceil(form.bits / packing.align) * packing.align
    values = [int(raw) for raw in raws.ravel()]
    columns = raws.shape[-1] if packing.pad_rows and raws.ndim else len(values)
    rows = [values[start : start + columns] for start in range(0, len(values), columns)] if columns else []
    stream = carried = words = 0
    word_bits = packing.lanes * field
    for row in rows:
        for start in range(0, len(row), packing.lanes):
            for lane, raw in enumerate(row[start : start + packing.lanes]):
                place = words * word_bits + lane * field
                stream |= form.code(raw) << place
                carried |= ((1 << form.bits) - 1) << place
            words += 1
    bits = words * word_bits
    data = stream.to_bytes(math.ceil(bits / 8), "little")
    return Packed(data, bits, bits - carried.bit_count(), words, word_bits), carried


@given(form=FORMATS, shape=SHAPES, packing=PACKINGS, seed=SEEDS, chunk=st.sampled_from((1, 1 << 22)))
def test_equals_one_large_integer(
    form: Format, shape: tuple[int, ...], packing: Packing, seed: int, chunk: int
) -> None:
    raws = _raws(form, shape, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK_BITS", chunk)
        packed = pack(raws, form, packing)
        back = unpack(packed.data, shape, form, packing)
    assert packed == _oracle(raws, form, packing)[0]
    assert (back.shape, back.dtype) == (raws.shape, raws.dtype)
    assert back.tolist() == raws.tolist()


@given(form=FORMATS, shape=SHAPES, packing=PACKINGS, seed=SEEDS, draw=st.data())
def test_every_padding_bit_is_read(
    form: Format, shape: tuple[int, ...], packing: Packing, seed: int, draw: st.DataObject
) -> None:
    packed, carried = _oracle(_raws(form, shape, seed), form, packing)
    free = [place for place in range(8 * len(packed.data)) if not carried >> place & 1]
    if free:
        place = draw.draw(st.sampled_from(free))
        data = (int.from_bytes(packed.data, "little") | 1 << place).to_bytes(len(packed.data), "little")
        with pytest.raises(InputError, match=rf"^padding bit {place} of data must be 0, not 1$"):
            unpack(data, shape, form, packing)


@pytest.mark.parametrize(
    "form",
    [
        *(Format.integer(bits, signed=signed) for bits in range(1, 65) for signed in (True, False)),
        *(Format.odd(bits) for bits in range(1, 63)),
        EVERY_RAW,
    ],
    ids=lambda form: form.name,
)
def test_every_width_takes_its_bits(form: Format) -> None:
    raws = _raws(form, (5, 7), 3)
    packed = pack(raws, form)
    assert packed == _oracle(raws, form, Packing())[0]
    assert (packed.bits, packed.padding, packed.words, packed.word_bits) == (35 * form.bits, 0, 35, form.bits)
    assert np.array_equal(unpack(packed.data, (5, 7), form), raws)


def test_three_bits_a_weight_over_many_chunks() -> None:
    form = Format.integer(3)
    raws = _raws(form, (1201, 1251), 1)
    packed = pack(raws, form)
    assert (packed.bits, packed.padding, len(packed.data)) == (3 * raws.size, 0, math.ceil(3 * raws.size / 8))
    assert np.array_equal(unpack(packed.data, raws.shape, form), raws)


@pytest.mark.parametrize(
    ("packing", "data", "bits", "padding", "words", "word_bits"),
    [
        (Packing(), 0b011_110_101_100_111_001, 18, 0, 6, 3),
        (Packing(lanes=2), 0b011_110_101_100_111_001, 18, 0, 3, 6),
        (Packing(lanes=4), 0b000_000_011_110_101_100_111_001, 24, 6, 2, 12),
        (Packing(lanes=2, pad_rows=True), 0b000_011_110_101_000_100_111_001, 24, 6, 4, 6),
        (Packing(align=4), 0x3_6_5_4_7_1, 24, 6, 6, 4),
        (Packing(lanes=2, align=4, pad_rows=True), 0x03_65_04_71, 32, 14, 4, 8),
    ],
)
def test_words_by_hand(packing: Packing, data: int, bits: int, padding: int, words: int, word_bits: int) -> None:
    raws = [[1, -1, -4], [-3, -2, 3]]
    wanted = Packed(data.to_bytes((bits + 7) // 8, "little"), bits, padding, words, word_bits)
    assert pack(raws, Format.integer(3), packing) == wanted
    assert unpack(wanted.data, (2, 3), Format.integer(3), packing).tolist() == raws


def test_layout_of_memory_does_not_matter() -> None:
    raws = _raws(Format.integer(5), (4, 6), 2)
    for view in (raws.T, raws[:, ::-2], np.asfortranarray(raws)):
        assert pack(view, Format.integer(5)) == pack(view.copy(order="C"), Format.integer(5))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)])
@pytest.mark.parametrize("pad_rows", [False, True])
def test_nothing_takes_nothing(shape: tuple[int, ...], pad_rows: bool) -> None:
    packing = Packing(3, pad_rows=pad_rows)
    packed = pack(np.zeros(shape, np.int64), Format.integer(5), packing)
    assert packed == Packed(b"", 0, 0, 0, 15)
    assert unpack(b"", shape, Format.integer(5), packing).shape == shape


@pytest.mark.parametrize(
    ("data", "shape", "form", "message"),
    [
        (b"\0\0", (3,), Format.integer(8), "data must be of 3 bytes, not 2"),
        (b"\0", (2, -1), Format.integer(8), "shape must be of axes of at least 0, not (2, -1)"),
        (
            b"\0\x7f\x80",
            (3, 1),
            Format.integer(8, narrow=True),
            "code[2, 0] must stand for a raw of 8 bits [-127, 127] scale 1 (-127..127), not 128",
        ),
        (b"\7", (), Format(3, 0, 6), "code must stand for a raw of 3 bits [0, 6] scale 1 (0..6), not 7"),
        (
            b"\xff" * 8,
            (1,),
            Format(64, 0, 6),
            f"code[0] must stand for a raw of 64 bits [0, 6] scale 1 (0..6), not {(1 << 64) - 1}",
        ),
        (b"\x10", (2,), Format.integer(2), "padding bit 4 of data must be 0, not 1"),
    ],
)
def test_unpack_refuses(data: bytes, shape: tuple[int, ...], form: Format, message: str) -> None:
    with pytest.raises(InputError) as caught:
        unpack(data, shape, form)
    assert str(caught.value) == message


def test_pack_refuses_what_is_no_raw() -> None:
    with pytest.raises(InputError, match=r"^raws\[1\] must be a raw of int3 \(-4\.\.3\), not 4$"):
        pack([0, 4], Format.integer(3))
    with pytest.raises(InputError, match=r"^raws must be integers of at most 64 bits, not float64$"):
        pack([0.5], Format.integer(3))


def test_packing_refuses() -> None:
    with pytest.raises(InputError, match=r"^lanes must be at least 1, not 0$"):
        Packing(lanes=0)
    with pytest.raises(InputError, match=r"^align must be at least 1, not -8$"):
        Packing(align=-8)
