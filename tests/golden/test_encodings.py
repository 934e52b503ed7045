"""Encodings: files by hand, round trips, what simulators and compilers read, faults, and hostile files."""

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedsim.errors import FileError, InputError
from fixedsim.formats import Format
from fixedsim.packing import Packing, pack
from fixedsim_golden.encodings import ENCODINGS, Words, read_npy, write_npy
from tests.strategies import SEEDS
from tests.strategies import Words as Stream

NAMES = sorted(ENCODINGS)
NO_WORDS = ("bin", "hex", "ihex", "mem")  # that a file without words is possible in
WIDTHS = [*range(1, 66), 100, 128, 129, 513, 1000, 1023, 1024]
LIMIT = 64


def _words(count: int, word_bits: int, seed: int = 1) -> Words:
    """Words with both ends among them."""
    limbs = -(-word_bits // 64)
    parts = Stream(seed).words(count * limbs).tolist()
    drawn = [sum(part << 64 * limb for limb, part in enumerate(parts[place::count])) for place in range(count)]
    mask = (1 << word_bits) - 1
    return Words.of_integers([(0, mask, word & mask)[word % 5 if word % 5 < 2 else 2] for word in drawn], word_bits)


@st.composite
def some_words(draw: st.DrawFn, fewest: int = 0) -> Words:
    """Up to 40 words of up to 16 lanes of up to 64 bits."""
    bits, lanes = draw(st.integers(1, 64)), draw(st.sampled_from((1, 1, 2, 3, 16)))
    return _words(draw(st.integers(fewest, 40)), bits * lanes, draw(SEEDS))


FILES = {
    "hex": (12, [42, 4095], "02a\nfff\n"),
    "bin": (5, [10, 31], "01010\n11111\n"),
    "mem": (5, [10, 31], "@0\n0a\n1f\n"),
    "coe": (12, [42, 4095], "memory_initialization_radix=16;\nmemory_initialization_vector=\n02a,\nfff;\n"),
    "mif": (
        12,
        [42, 4095],
        "WIDTH=12;\nDEPTH=2;\n\nADDRESS_RADIX=HEX;\nDATA_RADIX=HEX;\n\n"
        "CONTENT BEGIN\n    0 : 02a;\n    1 : fff;\nEND;\n",
    ),
    "ihex": (12, [42, 4095], ":04000000002A0FFFC4\n:00000001FF\n"),
    "c": (
        12,
        [42, 4095],
        "#ifndef LSTM_0_W_WORDS_H\n#define LSTM_0_W_WORDS_H\n\n#include <stdint.h>\n\n"
        "#define LSTM_0_W_COUNT 2\n#define LSTM_0_W_BITS 12\n\n"
        "static const uint16_t lstm_0_w_words[2] = {\n    0x02a,\n    0xfff\n};\n\n#endif\n",
    ),
    "sv": (
        12,
        [42, 4095],
        "package lstm_0_w_pkg;\n  localparam int unsigned LSTM_0_W_COUNT = 2;\n"
        "  localparam int unsigned LSTM_0_W_BITS = 12;\n  localparam logic [11:0] LSTM_0_W [0:1] = '{\n"
        "    12'h02a,\n    12'hfff\n  };\nendpackage : lstm_0_w_pkg\n",
    ),
    "vhdl": (
        5,
        [10, 31],
        "library ieee;\nuse ieee.std_logic_1164.all;\n\npackage lstm_0_w_pkg is\n"
        "  constant LSTM_0_W_COUNT : positive := 2;\n  constant LSTM_0_W_BITS : positive := 5;\n"
        "  type lstm_0_w_array is array (0 to 1) of std_logic_vector(4 downto 0);\n"
        '  constant LSTM_0_W_WORDS : lstm_0_w_array := (\n    "01010",\n    "11111"\n  );\nend package lstm_0_w_pkg;\n',
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_files_by_hand(name: str) -> None:
    word_bits, integers, text = FILES[name]
    encoding = ENCODINGS[name]
    assert encoding.name == name
    assert encoding.write(Words.of_integers(integers, word_bits), "lstm/0.W").decode() == text
    read = encoding.read(text.encode(), word_bits, "file")
    assert (read.words.integers(), read.words.word_bits, dict(read.faults)) == (integers, word_bits, {})


def test_suffixes_differ() -> None:
    assert sorted(encoding.suffix for encoding in ENCODINGS.values()) == sorted(
        (".bin", ".h", ".coe", ".hex", ".ihex", ".mem", ".mif", ".sv", ".vhd")
    )


def test_limbs_stand_lowest_first() -> None:
    text = ENCODINGS["c"].write(Words.of_integers([1, 3 << 64], 66), "9").decode()
    assert "static const uint64_t words_9_words[2][2] = {\n    {0x0000000000000001, 0x0000000000000000},\n" in text
    assert "    {0x0000000000000000, 0x0000000000000003}\n};" in text


def test_one_word_is_a_vhdl_array() -> None:
    assert '(\n    0 => x"2a"\n  );' in ENCODINGS["vhdl"].write(Words.of_integers([42], 8), "table").decode()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60)
@given(draw=st.data())
def test_round_trip(name: str, draw: st.DataObject) -> None:
    words = draw.draw(some_words(0 if name in NO_WORDS else 1))
    data = ENCODINGS[name].write(words, draw.draw(st.text(max_size=4)))
    read = ENCODINGS[name].read(data, words.word_bits, "file", limit=len(words))
    assert read.words.integers() == words.integers()
    assert not read.faults
    crlf = ENCODINGS[name].read(data.replace(b"\n", b"\r\n").rstrip(), words.word_bits, "file")
    assert (crlf.words.integers(), dict(crlf.faults)) == (words.integers(), {})


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_of_every_width(name: str) -> None:
    for word_bits in WIDTHS:
        words = _words(5, word_bits)
        read = ENCODINGS[name].read(ENCODINGS[name].write(words, "w"), word_bits, "file")
        assert read.words.integers() == words.integers()


@given(words=some_words())
def test_lines_equal_pythons_own(words: Words) -> None:
    bits, integers = words.word_bits, words.integers()
    assert ENCODINGS["hex"].write(words, "").decode() == "".join(f"{word:0{-(-bits // 4)}x}\n" for word in integers)
    assert ENCODINGS["bin"].write(words, "").decode() == "".join(f"{word:0{bits}b}\n" for word in integers)


@given(bits=st.integers(1, 64), lanes=st.integers(1, 16), count=st.integers(0, 40), seed=SEEDS)
def test_words_of_a_stream_without_gaps(bits: int, lanes: int, count: int, seed: int) -> None:
    form = Format.integer(bits, signed=False)
    packed = pack(Stream(seed).words(count) >> np.uint64(64 - bits), form, Packing(lanes))
    words = Words.of_packed(packed)
    stream, mask = int.from_bytes(packed.data, "little"), (1 << bits * lanes) - 1
    assert words.integers() == [stream >> place * bits * lanes & mask for place in range(packed.words)]
    assert words.packed_data() == packed.data


def test_many_words_of_13_bits() -> None:
    raws = Stream(1).words(400_000) >> np.uint64(51)
    packed = pack(raws, Format.integer(13, signed=False))
    words = Words.of_packed(packed)
    assert words.integers() == raws.tolist()
    assert words.packed_data() == packed.data


@pytest.mark.parametrize("count", [1 << 14, (1 << 14) + 3, 1 << 15, (1 << 15) + 1])
def test_extended_addresses(count: int) -> None:
    words = _words(count, 32)
    data = ENCODINGS["ihex"].write(words, "")
    assert data.count(b":02000004") == (4 * count - 1) >> 16
    assert ENCODINGS["ihex"].read(data, 32, "file").words.integers() == words.integers()


FAULTS = [
    ("hex", "0a\nxx\nz1\n0A\n", 8, [10, 0, 0, 10], {1: "contains x", 2: "contains z"}),
    ("hex", "0a\n1ff\n-1\nUU\n", 8, [10, 0, 0, 0],
     {1: "0x1ff is wider than 8 bits", 2: "-1 is negative", 3: "contains u"}),
    ("hex", "0a\n1f\n20\n", 5, [10, 31, 0], {2: "0x20 is wider than 5 bits"}),
    ("hex", "a 00b\n\n1_f // 9\r\n/* 3\n4 */ C", 8, [10, 11, 31, 12], {}),
    ("hex", "// 0x0\n@2 a b\n@5\nx", 4, [0, 0, 10, 11, 0, 0],
     {0: "missing", 1: "missing", 4: "missing", 5: "contains x"}),
    ("hex", "@0 1 @1 2 @2 @2 3", 4, [1, 2, 3], {}),
    ("hex", "@00000001\n0a\n", 8, [0, 10], {0: "missing"}),
    ("hex", "0" * 300 + "1\n1" + "0" * 300, 8, [1, 0], {1: "a numeral of 301 digits is wider than 8 bits"}),
    ("hex", "1_02 3_4", 16, [0x102, 0x34], {}),
    ("bin", "0101\n01x1\nHLWZ\n11111\n1\n----\n", 4, [5, 0, 0, 0, 1, 0], {
        1: "contains x", 2: "contains h", 3: "0x1f is wider than 4 bits", 5: "contains -",
    }),
    ("mem", "@0\n0a\nxx\n", 8, [10, 0], {1: "contains x"}),
    ("mem", "@1\n0a\n", 8, [0, 10], {0: "missing"}),
    ("coe", "; a table\nMemory_Initialization_Radix = 10; decimal\nmemory_initialization_vector= 7, 300 -1\n,9;", 8,
     [7, 0, 0, 9], {1: "0x12c is wider than 8 bits", 2: "-1 is negative"}),
    ("coe", "memory_initialization_radix=2;\nmemory_initialization_vector=101, 0x1,\n1111;", 3, [5, 0, 0],
     {1: "contains x", 2: "0xf is wider than 3 bits"}),
    ("mif", "-- a\nDEPTH = 8; % b\n % WIDTH = 4;\nADDRESS_RADIX = UNS; DATA_RADIX = DEC;\nCONTENT BEGIN\n"
     "0 : 7 -1;\n[2..4] : 1 2;\n6 : -9;\n7: -8;\nEND;\n", 4, [7, 15, 1, 2, 1, 0, 0, 8],
     {5: "missing", 6: "-9 is wider than 4 bits"}),
    ("mif", "WIDTH=6;DEPTH=2;DATA_RADIX=OCT;CONTENT BEGIN 0 : 17; 1 : x7; END;", 6, [15, 0], {1: "contains x"}),
    ("ihex", ":01000000FF00\n:0100020001FC\n:00000001FF\n", 5, [0, 0, 1],
     {0: "0xff is wider than 5 bits", 1: "missing"}),
    ("ihex", ":020000021000EC\n:00000001FF\n", 8, [], {}),
    ("ihex", ":0300000001020AF0\n:0400000500000000F7\n:00000001FF\n", 16, [0x102, 0], {1: "missing"}),
    ("ihex", ":020000020001FB\n:0100000007F8\n:00000001FF\n", 64, [0, 0, 0],
     {0: "missing", 1: "missing", 2: "missing"}),
    ("ihex", ":020000020001FB\n:0100000007F8\n:00000001FF\n", 8, [0] * 16 + [7],
     dict.fromkeys(range(16), "missing")),
    ("ihex", ":01000000F00F\n:00000001FF\n", 12, [0], {0: "missing"}),
    ("c", "const uint8_t w[2] = {0x1f, 0x2F};", 5, [31, 0], {1: "0x2f is wider than 5 bits"}),
    ("c", "const uint64_t w[1][2] = {{0x0000000000000000, 0x0000000000000002}};", 65, [0],
     {0: "0x20000000000000000 is wider than 65 bits"}),
    ("sv", "package p; localparam logic [4:0] W [0:1] = '{5'h1f, 5'h3X}; endpackage", 5, [31, 0], {1: "contains x"}),
    ("vhdl", 'LIBRARY ieee; USE ieee.std_logic_1164.ALL; PACKAGE p IS TYPE a IS ARRAY (0 TO 1) OF\n'
     'std_logic_vector(3 DOWNTO 0); -- four\nCONSTANT w : a := (X"F", x"U"); END p;', 4, [15, 0], {1: "contains u"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "word_bits", "integers", "faults"), FAULTS)
def test_faults(name: str, text: str, word_bits: int, integers: list[int], faults: dict[int, str]) -> None:
    read = ENCODINGS[name].read(text.encode(), word_bits, "file")
    assert (read.words.integers(), dict(read.faults)) == (integers, faults)


MIF = "WIDTH=8;DEPTH=4;CONTENT BEGIN\n"
COE = "memory_initialization_radix=16;\nmemory_initialization_vector="
ERRORS = [
    ("hex", "0a\n0g\n", r"line 2 must be words of hexadecimal digits, @addresses and // comments, not '0g'"),
    ("hex", "0a\n0b /* 3\n", r"line 2 must be a comment that ends in \*/, not '/\* 3\\n'"),
    ("hex", "@2 0a\n@2 0b", r"line 2 must be an ascending hexadecimal @address in 0x3\.\.0x40, not '@2'"),
    ("hex", "@41\n", r"line 1 must be an ascending hexadecimal @address in 0x0\.\.0x40, not '@41'"),
    ("hex", "\n@\n", r"line 2 must be an ascending hexadecimal @address in 0x0\.\.0x40, not '@'"),
    ("hex", "@3f 0a 0b\n", r" must hold at most 64 words, not 65"),
    ("hex", "00\n" * 65, r" must hold at most 64 words, not 65"),
    ("hex", "0 " * 65, r" must hold at most 64 words, not 65"),
    ("hex", "\xe9\n", r"line 1 must be words of hexadecimal digits, @addresses and // comments, not '\\\\xc3\\\\xa9'"),
    ("bin", "00000000\n00000002\n", r"line 2 must be words of binary digits, not '00000002'"),
    ("bin", "@0\n00000002\n", r"line 2 must be words of binary digits, not '00000002'"),
    ("bin", "1\n2\n", r"line 2 must be words of binary digits, @addresses and // comments, not '2'"),
    ("mem", "@0\n00\n0q", r"line 3 must be words of hexadecimal digits, @addresses and // comments, not '0q'"),
    ("coe", COE + "1,\n2", r" must end with the ; of its vector, not '.*,\\n2'"),
    ("coe", COE + "1;\n2", r" must end with the ; of its vector, not '.*1;\\n2'"),
    ("coe", COE + "1,\nq;", r"line 3 must be words of radix 16, not 'q'"),
    ("coe", COE.replace("16", "8") + "1;", r" must be a COE file of radix 2, 10 or 16 and a vector, not .*"),
    ("coe", COE + "1," * 65 + ";", r" must hold at most 64 words, not 65"),
    ("mif", MIF + "0:1;\n0:2;END;", r"line 3 must be words at ascending addresses in 1\.\.3, not '0:2;'"),
    ("mif", MIF + "4:1;END;", r"line 2 must be words at ascending addresses in 0\.\.3, not '4:1;'"),
    ("mif", MIF + "[0..9]:1;END;", r"line 2 must be words at ascending addresses in 0\.\.3, not '\[0\.\.9\]:1;'"),
    ("mif", MIF + "0:;END;", r"line 2 must be words at ascending addresses in 0\.\.3, not '0:;'"),
    ("mif", MIF + "q:1;END;", r"line 2 must be words at ascending addresses in 0\.\.3, not 'q:1;'"),
    ("mif", MIF + "0:1;\n1:q;END;", r"line 3 must be words of radix 16, not 'q'"),
    ("mif", MIF + "0:1;", r"line 2 must be address : words; or the last END;, not ''"),
    ("mif", MIF + "0:1; % a", r"line 2 must be a comment that ends in %, not '% a'"),
    ("mif", MIF.replace("8", "9"), r": WIDTH must be 8, not 9"),
    ("mif", MIF.replace("4", "65"), r" must hold at most 64 words, not 65"),
    ("mif", "WIDTH=8;CONTENT BEGIN", r" must be a MIF file with WIDTH, DEPTH and CONTENT BEGIN, not .*"),
    ("mif", "WIDTH=8;\nWIDTH=8;",
     r"line 2 must be one each of WIDTH, DEPTH, ADDRESS_RADIX and DATA_RADIX, not 'WIDTH'"),
    ("mif", "WIDTH=8;\nDATA_RADIX=16;", r"line 2 must be a value of DATA_RADIX, not '16'"),
    ("ihex", ":0100000001FF\n", r"line 1 must be a record with the checksum FE, not ':0100000001FF'"),
    ("ihex", "\n:01000000\n", r"line 2 must be a colon, the length, .* of a record, not ':01000000'"),
    ("ihex", ":0200000001FD\n", r"line 1 must be a colon, the length, .* of a record, not ':0200000001FD'"),
    ("ihex", ":0100000001FE\n", r" must end with an end record \(:00000001FF\), not without it"),
    ("ihex", ":00000001FF\n:00000001FF\n", r"line 2 must be nothing after the end record, not .*"),
    ("ihex", ":0000000AF6\n", r"line 1 must be a record of kind 00 \.\. 05 with its length, not ':0000000AF6'"),
    ("ihex", ":00000004FC\n", r"line 1 must be a record of kind 00 \.\. 05 with its length, not ':00000004FC'"),
    ("ihex", ":01000100FFFF\n:01000100FFFF\n",
     r"line 2 must be a record of octets in 0x2\.\.0xffffffff, ascending, .*"),
    ("ihex", ":02000004FFFFFC\n:01000000FF00\n:00000001FF", r" must hold at most 64 words, not 4294901761"),
    ("ihex", ":02000004FFFFFC\n:02FFFF00000000\n", r"line 2 must be a record of octets in .*"),
    ("c", "int w[1] = {1};", r" must be a C header with one array of const uint8_t \.\. uint64_t, not .*"),
    ("c", "const uint8_t w[1] = {0x1}", r" must be a C header with one array of .*"),
    ("c", "const uint8_t w[2] = {0x1};", r" must list the 2 words that it declares, not 1"),
    ("c", "const uint8_t w[99] = {0x1};", r" must hold at most 64 words, not 99"),
    ("c", "const uint8_t w[2] = {0x1,\n 7};", r"line 2 must be words as hexadecimal constants \(0x2a\), not '7'"),
    ("c", "const uint8_t w[2] = {0x1,\n 0xg};", r"line 2 must be words as hexadecimal constants \(0x2a\), not '0xg'"),
    ("c", "const uint64_t w[1][2] = {{0x1, 0x1}};", r": limbs of a word of 8 bits must be 1, not 2"),
    ("sv", "package p; endpackage", r" must be a SystemVerilog package with one localparam array of logic, not .*"),
    ("sv", "package p; localparam logic [6:0] W [0:0] = '{7'h1}; endpackage", r": bits of a word must be 8, not 7"),
    ("sv", "package p; localparam logic [7:0] W [0:0] = '{\n9'h1}; endpackage",
     r"line 2 must be words as 8-bit hexadecimal literals \(8'h0\), not \"9'h1\""),
    ("vhdl", "package p is end p;", r" must be a VHDL package with one constant array of std_logic_vector, not .*"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), ERRORS)
def test_errors(name: str, text: str, message: str) -> None:
    with pytest.raises(FileError, match=rf"^file(: )?{message}$"):
        ENCODINGS[name].read(text.encode(), 8, "file", limit=LIMIT)


@pytest.mark.parametrize(
    ("name", "allowed"), [("vhdl", r"strings of 5 bits"), ("vhdl", r"bit strings of 2 digits \(x\)")]
)
def test_vhdl_strings_have_their_length(name: str, allowed: str) -> None:
    word_bits = 5 if "5" in allowed else 8
    text = ENCODINGS[name].write(_words(2, word_bits), "w").replace(b'",\n', b'0",\n')
    with pytest.raises(FileError, match=rf"^file: line 9 must be words as {allowed}, not "):
        ENCODINGS[name].read(text, word_bits, "file")


def test_vhdl_declares_its_width() -> None:
    text = ENCODINGS["vhdl"].write(_words(2, 8), "w").replace(b"(7 downto 0)", b"(8 downto 0)")
    with pytest.raises(FileError, match=r"^file: bits of a word must be 8, not 9$"):
        ENCODINGS["vhdl"].read(text, 8, "file")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hex", "@fffffff 0"),
        ("hex", "@ffffffffffffffff 0"),
        ("mif", "WIDTH=8;DEPTH=200000000;CONTENT BEGIN [0..99999999] : 0; END;"),
        ("ihex", ":0200000407D023\n:0100000001FE\n:00000001FF\n"),
        ("sv", "package p; localparam logic [7:0] W [0:200000000] = '{8'h0}; endpackage"),
    ],
)
def test_a_small_file_takes_no_large_memory(name: str, text: str) -> None:
    with pytest.raises(FileError, match=r"must (hold at most|be an ascending)"):
        ENCODINGS[name].read(text.encode(), 8, "file")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("word_bits", [5, 8, 70])
@settings(max_examples=60)
@given(draw=st.data())
def test_mutated_files(name: str, word_bits: int, draw: st.DataObject) -> None:
    data = bytearray(ENCODINGS[name].write(_words(6, word_bits), "w"))
    for _ in range(draw.draw(st.integers(1, 4))):
        place = draw.draw(st.integers(0, len(data)))
        inserted = draw.draw(
            st.binary(max_size=2) | st.sampled_from((b"@", b"x", b"-", b"/*", b"//", b"%", b"\n", b"9"))
        )
        data[place : place + draw.draw(st.integers(0, 3))] = inserted
    _require_read_or_refused(name, bytes(data), word_bits)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(data=st.binary(max_size=40) | st.text("@x-/*%;:=,_01fF \n'\"{}()[].", max_size=40).map(str.encode))
def test_hostile_files(name: str, data: bytes) -> None:
    _require_read_or_refused(name, data, 8)


@pytest.mark.parametrize("name", NAMES)
def test_truncated_files(name: str) -> None:
    data = ENCODINGS[name].write(_words(3, 12), "w")
    for size in range(len(data)):
        _require_read_or_refused(name, data[:size], 12)


def _require_read_or_refused(name: str, data: bytes, word_bits: int) -> None:
    try:
        read = ENCODINGS[name].read(data, word_bits, "file", limit=LIMIT)
    except FileError:
        return
    assert len(read.words) <= LIMIT
    assert all(read.words.integers()[index] == 0 for index in read.faults)


@pytest.mark.parametrize("character", list("/*%;@:-\"'{(, \n"))
@pytest.mark.parametrize("name", NAMES)
def test_long_runs_end(name: str, character: str) -> None:
    start = FILES[name][2].encode()
    for pattern in (character, character + "*", "a" + character):
        _require_read_or_refused(name, start + pattern.encode() * 100_000, FILES[name][0])
        _require_read_or_refused(name, pattern.encode() * 100_000 + start, FILES[name][0])


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(NO_WORDS)))
def test_no_words(name: str) -> None:
    with pytest.raises(InputError, match=r"^words of an? .* must be at least 1, not 0$"):
        ENCODINGS[name].write(Words.of_integers([], 8), "w")


@pytest.mark.parametrize("word_bits", [0, 1025])
@pytest.mark.parametrize("name", NAMES)
def test_widths(name: str, word_bits: int) -> None:
    with pytest.raises(InputError, match=rf"^word_bits must be in 1\.\.1024, not {word_bits}$"):
        ENCODINGS[name].read(FILES[name][2].encode(), word_bits, "file")


def test_words_are_checked() -> None:
    with pytest.raises(InputError, match=r"^word 1 must be in 0\.\.2\*\*4 - 1, not 16$"):
        Words.of_integers([3, 16], 4)
    with pytest.raises(InputError, match=r"^word 1 must fit 4 bits, not more$"):
        Words(np.array([[3], [16]], np.uint8), 4)
    with pytest.raises(InputError, match=r"^octets must be uint8 of shape \(count, 2\), not uint8 of \(2, 1\)$"):
        Words(np.array([[3], [16]], np.uint8), 9)


@pytest.mark.parametrize(
    ("raws", "form", "dtype"),
    [
        ([0, 255], None, "|u1"),
        ([[-1], [127]], None, "|i1"),
        ([-1, 128], None, "<i2"),
        ([0, 65536], None, "<u4"),
        ([0, (1 << 64) - 1], None, "<u8"),
        ([0, 1], Format.integer(9), "<i2"),
        ([], Format.integer(33), "<i8"),
    ],
)
def test_npy_round_trip(raws: list[int], form: Format | None, dtype: str) -> None:
    given_raws = np.array(raws, np.uint64 if np.max(raws, initial=0) >= 1 << 63 else np.int64)
    data = write_npy(given_raws, form)
    assert f"'descr': '{dtype}'".encode() in data
    back = read_npy(data, "file")
    assert (back.tolist(), back.shape, back.dtype) == (raws, given_raws.shape, given_raws.dtype)


def test_npy_of_fortran_order() -> None:
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray([[1, 2, 3], [4, 5, 6]]))
    assert read_npy(stream.getvalue(), "file").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_npy_errors() -> None:
    data = write_npy(np.arange(6).reshape(2, 3))
    for bad, message in (
        (data[:-1], r" must hold 6 bytes for \(2, 3\), not 5"),
        (data + b"0", r" must hold 6 bytes for \(2, 3\), not 7"),
        (data.replace(b"|u1", b"<f8"), r" must be an array of integers, not of float64"),
        (data.replace(b"|u1", b"|O8"), r" must be an array of integers, not of object"),
        (data.replace(b"(2, 3)", b"(2,-3)"), r" must have at most 32 axes of at least 0, not \(2, -3\)"),
        (data.replace(b"(2, 3)", b"(2, 9)"), r" must hold at most 8 elements, not 18"),
        (b"PK", r" must be an \.npy file, not .*"),
    ):
        with pytest.raises(FileError, match=rf"^file{message}$"):
            read_npy(bad, "file", limit=8)
    with pytest.raises(InputError, match=r"^raws must be integers of at most 64 bits, not float64$"):
        write_npy([0.5])
    with pytest.raises(InputError, match=r"^raws must be in 0\.\.15, not 3\.\.16$"):
        write_npy([3, 16], Format.integer(4, signed=False))


@settings(max_examples=300)
@given(place=st.integers(0, 130), inserted=st.binary(max_size=3), removed=st.integers(0, 3))
def test_mutated_npy(place: int, inserted: bytes, removed: int) -> None:
    data = bytearray(write_npy(np.arange(6).reshape(2, 3)))
    data[place : place + removed] = inserted
    try:
        raws = read_npy(bytes(data), "file", limit=LIMIT)
    except FileError:
        return
    assert raws.size <= LIMIT


def _run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _require_program(*names: str) -> str:
    found = [path for name in names if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"needs {' or '.join(names)} on the PATH")
    return found[0]


@pytest.mark.parametrize("word_bits", [1, 13, 64, 1024])
def test_icarus_reads_what_is_written(tmp_path: Path, word_bits: int) -> None:
    iverilog, words = _require_program("iverilog"), _words(37, word_bits)
    for name in ("hex", "bin", "mem"):
        (tmp_path / f"in.{name}").write_bytes(ENCODINGS[name].write(words, ""))
    (tmp_path / "bench.v").write_text(
        f"module bench;\n  reg [{word_bits - 1}:0] words [0:38];\n  initial begin\n"
        '    $readmemh("in.hex", words, 0, 36);\n    $writememh("hex.dump", words);\n'
        '    $readmemb("in.bin", words, 0, 36);\n    $writememb("bin.dump", words);\n'
        '    $readmemh("in.mem", words, 0, 36);\n    $writememh("mem.dump", words);\n  end\nendmodule\n'
    )
    _run(iverilog, "-o", "bench.vvp", "bench.v", folder=tmp_path)
    assert _run("vvp", "-n", "bench.vvp", folder=tmp_path) == ""
    for name in ("hex", "bin", "mem"):
        read = ENCODINGS[name].read((tmp_path / f"{name}.dump").read_bytes(), word_bits, name, limit=39)
        assert read.words.integers() == [*words.integers(), 0, 0]
        assert read.faults == {37: "contains x", 38: "contains x"}


@pytest.mark.parametrize("word_bits", [8, 13])
def test_ghdl_reads_what_is_written(tmp_path: Path, word_bits: int) -> None:
    ghdl, words = _require_program("ghdl"), _words(37, word_bits)
    (tmp_path / "w.hex").write_bytes(ENCODINGS["hex"].write(words, ""))
    (tmp_path / "w.vhd").write_bytes(ENCODINGS["vhdl"].write(words, "w"))
    (tmp_path / "bench.vhd").write_text(
        "library ieee;\nuse ieee.std_logic_1164.all;\nuse std.textio.all;\nuse work.w_pkg.all;\nentity bench is end;\n"
        'architecture run of bench is\n  file words : text open read_mode is "w.hex";\nbegin\n  process\n'
        "    variable row : line;\n    variable word : std_logic_vector(W_BITS - 1 downto 0);\n  begin\n"
        "    for place in 0 to W_COUNT - 1 loop\n      readline(words, row);\n      hread(row, word);\n"
        "      assert word = W_WORDS(place) severity failure;\n    end loop;\n"
        '    assert endfile(words) severity failure;\n    report "all equal";\n    wait;\n  end process;\nend;\n'
    )
    _run(ghdl, "-a", "--std=08", "w.vhd", "bench.vhd", folder=tmp_path)
    _run(ghdl, "-e", "--std=08", "bench", folder=tmp_path)
    assert "all equal" in _run(ghdl, "-r", "--std=08", "bench", folder=tmp_path)


@pytest.mark.parametrize("word_bits", [1, 9, 32, 64, 65, 1000])
def test_c_reads_what_is_written(tmp_path: Path, word_bits: int) -> None:
    compiler, words = _require_program("cc", "gcc", "clang"), _words(37, word_bits)
    (tmp_path / "w.h").write_bytes(ENCODINGS["c"].write(words, "w"))
    (tmp_path / "main.c").write_text(
        '#include <inttypes.h>\n#include <stdio.h>\n#include "w.h"\n\nint main(void)\n{\n'
        "    const unsigned octets = sizeof w_words[0];\n    for (int place = 0; place < W_COUNT; place++) {\n"
        "        const unsigned char *word = (const unsigned char *)&w_words[place];\n"
        '        for (unsigned octet = 0; octet < octets; octet++)\n            printf("%02x", word[octet]);\n'
        '        printf("\\n");\n    }\n    return 0;\n}\n'
    )
    _run(compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", "main", "main.c", folder=tmp_path)
    lines = _run(tmp_path / "main", folder=tmp_path).split()
    order = np.dtype(np.uint16).byteorder
    assert order in "=<", "octets are printed in the order of a little-endian machine"
    assert [int.from_bytes(bytes.fromhex(line), "little") for line in lines] == words.integers()


@pytest.mark.parametrize("word_bits", [1, 13, 70])
def test_verilator_accepts_the_package(tmp_path: Path, word_bits: int) -> None:
    verilator = _require_program("verilator")
    top = b"module top(output logic [w_pkg::W_BITS - 1:0] word);\n  assign word = w_pkg::W[36];\nendmodule\n"
    (tmp_path / "w.sv").write_bytes(ENCODINGS["sv"].write(_words(37, word_bits), "w") + top)
    _run(verilator, "--lint-only", "--top-module", "top", "w.sv", folder=tmp_path)
