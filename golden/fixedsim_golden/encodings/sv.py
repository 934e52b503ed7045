"""SystemVerilog package: ``localparam logic [W-1:0] <NAME> [0:N-1]``."""

import re

from fixedsim.errors import FileError
from fixedsim_golden.encodings.encoding import Encoding, ReadWords, Text, most_words, require_count, require_words
from fixedsim_golden.encodings.numerals import hexadecimal, joined, lines
from fixedsim_golden.encodings.source_text import Declaration, Items, identifier, without_comments
from fixedsim_golden.encodings.words import Words, require_word_bits

_DECLARATION = Declaration(
    head=re.compile(
        rb"\s*package\s+\w+\s*;(?:\s*localparam\s+int\s+unsigned\s+\w+\s*=\s*\d+\s*;)*"
        rb"\s*localparam\s+logic\s+\[(?P<top>\d{1,4}):0\]\s+\w+\s+\[0:(?P<last>\d{1,9})\]\s*=\s*'\{"
    ),
    closing=b"}",
    tail=re.compile(rb"\s*;\s*endpackage(?:\s*:\s*\w+)?\s*"),
    allowed="a SystemVerilog package with one localparam array of logic",
)


def write_sv(words: Words, name: str) -> bytes:
    """Package ``<name>_pkg`` with ``<NAME>_COUNT``, ``<NAME>_BITS`` and the array ``<NAME>``.

    Raises:
        InputError: no word.
    """
    plain, bits, count = identifier(name), require_words(words, "a SystemVerilog package").word_bits, len(words)
    upper = plain.upper()
    head = (
        f"package {plain}_pkg;\n"
        f"  localparam int unsigned {upper}_COUNT = {count};\n  localparam int unsigned {upper}_BITS = {bits};\n"
        f"  localparam logic [{bits - 1}:0] {upper} [0:{count - 1}] = '{{\n"
    )
    body = lines(f"    {bits}'h".encode(), hexadecimal(words), b",\n")
    return head.encode() + joined(body) + f"  }};\nendpackage : {plain}_pkg\n".encode()


def read_sv(data: bytes, word_bits: int, source: str, *, limit: int | None = None) -> ReadWords:
    """The words of a package with one array of hexadecimal literals that name their width.

    Raises:
        FileError: another declaration, another width, or another count of words than declared.
        InputError: a width outside 1..1024.
    """
    text, bits = Text(data, source), require_word_bits(word_bits)
    bare = without_comments(text)
    head, where = _DECLARATION.match(text, bare)
    count = require_count(int(head["last"]) + 1, most_words(limit, len(data)), source)
    if int(head["top"]) != bits - 1:
        raise FileError(f"{source}: bits of a word must be {bits}, not {int(head['top']) + 1}")
    items = Items(re.compile(rb"%d'h([\w?]+)" % bits), 16, f"words as {bits}-bit hexadecimal literals ({bits}'h0)")
    return items.read(text, bare[where], where.start, count, bits)


SV = Encoding("sv", ".sv", write_sv, read_sv)
