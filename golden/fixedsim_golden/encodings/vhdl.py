"""VHDL package: a constant array of ``std_logic_vector``.

A width that is a multiple of 4 is written in hexadecimal (``x"2a"``), any other as bits (``"101010"``): every VHDL
since 1993 reads both.
"""

import re

from fixedsim.errors import FileError
from fixedsim_golden.encodings.encoding import Encoding, ReadWords, Text, most_words, require_count, require_words
from fixedsim_golden.encodings.numerals import binary, hexadecimal, joined, lines
from fixedsim_golden.encodings.source_text import Declaration, Items, identifier, without_dashes
from fixedsim_golden.encodings.words import Words, require_word_bits

_DECLARATION = Declaration(
    head=re.compile(
        rb"\s*library\s+ieee\s*;\s*use\s+ieee\s*\.\s*std_logic_1164\s*\.\s*all\s*;\s*package\s+\w+\s+is"
        rb"(?:\s+constant\s+\w+\s*:\s*positive\s*:=\s*\d+\s*;)*"
        rb"\s+type\s+\w+\s+is\s+array\s*\(0\s+to\s+(?P<last>\d{1,9})\)\s+of"
        rb"\s+std_logic_vector\((?P<top>\d{1,4})\s+downto\s+0\)\s*;"
        rb"\s*constant\s+\w+\s*:\s*\w+\s*:=\s*\((?:\s*0\s*=>)?",
        re.IGNORECASE,
    ),
    closing=b")",
    tail=re.compile(rb"\s*;\s*end(?:\s+package)?(?:\s+\w+)?\s*;\s*", re.IGNORECASE),
    allowed="a VHDL package with one constant array of std_logic_vector",
)


def write_vhdl(words: Words, name: str) -> bytes:
    """Package ``<name>_pkg`` with ``<NAME>_COUNT``, ``<NAME>_BITS``, the type ``<name>_array`` and ``<NAME>_WORDS``.

    Raises:
        InputError: no word.
    """
    plain, bits, count = identifier(name), require_words(words, "a VHDL package").word_bits, len(words)
    upper = plain.upper()
    head = (
        f"library ieee;\nuse ieee.std_logic_1164.all;\n\npackage {plain}_pkg is\n"
        f"  constant {upper}_COUNT : positive := {count};\n  constant {upper}_BITS : positive := {bits};\n"
        f"  type {plain}_array is array (0 to {count - 1}) of std_logic_vector({bits - 1} downto 0);\n"
        f"  constant {upper}_WORDS : {plain}_array := (\n"
    )
    before = b"    0 => " if count == 1 else b"    "  # one element in parentheses alone is no array
    if bits % 4:
        body = lines(before + b'"', binary(words), b'",\n')
    else:
        body = lines(before + b'x"', hexadecimal(words), b'",\n')
    return head.encode() + joined(body) + f"  );\nend package {plain}_pkg;\n".encode()


def read_vhdl(data: bytes, word_bits: int, source: str, *, limit: int | None = None) -> ReadWords:
    """The words of a package with one constant array of bit strings of its width.

    Raises:
        FileError: another declaration, another width, or another count of words than declared.
        InputError: a width outside 1..1024.
    """
    text, bits = Text(data, source), require_word_bits(word_bits)
    bare = without_dashes(text)
    head, where = _DECLARATION.match(text, bare)
    count = require_count(int(head["last"]) + 1, most_words(limit, len(data)), source)
    if int(head["top"]) != bits - 1:
        raise FileError(f"{source}: bits of a word must be {bits}, not {int(head['top']) + 1}")
    return _items(bits).read(text, bare[where], where.start, count, bits)


def _items(word_bits: int) -> Items:
    if word_bits % 4:
        return Items(re.compile(rb'"([^"]{%d})"' % word_bits), 2, f"words as strings of {word_bits} bits")
    digits = word_bits // 4
    return Items(re.compile(rb'[xX]"([^"]{%d})"' % digits), 16, f"words as bit strings of {digits} digits (x)")


VHDL = Encoding("vhdl", ".vhd", write_vhdl, read_vhdl)
