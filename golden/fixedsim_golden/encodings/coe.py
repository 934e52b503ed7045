"""COE: the memory initialization file of AMD's (Xilinx') block memories."""

import re

from fixedsim.errors import FileError
from fixedsim_golden.encodings.encoding import (
    Encoding,
    ReadWords,
    Text,
    most_words,
    require_count,
    require_words,
    shown,
)
from fixedsim_golden.encodings.numerals import hexadecimal, joined, lines, read_tokens
from fixedsim_golden.encodings.source_text import blank
from fixedsim_golden.encodings.words import Words

_COMMENT = re.compile(rb"(?<=;)[^\n]*")
_HEAD = re.compile(
    rb"[\s;]*memory_initialization_radix\s*=\s*(\d{1,2})\s*;[\s;]*memory_initialization_vector\s*=", re.IGNORECASE
)
_TOKEN = re.compile(rb"[^\s,]+")
_RADIXES = (2, 10, 16)


def write_coe(words: Words, name: str) -> bytes:
    """Radix 16, one word of ``ceil(word_bits / 4)`` digits a line; ``name`` does not stand in the file.

    Raises:
        InputError: no word.
    """
    body = joined(lines(hexadecimal(require_words(words, "a COE file")), b",\n"))
    return b"memory_initialization_radix=16;\nmemory_initialization_vector=\n" + body[:-1] + b";\n"


def read_coe(data: bytes, word_bits: int, source: str, *, limit: int | None = None) -> ReadWords:
    """The words of a COE file of radix 2, 10 or 16; what follows a ``;`` on its line is a comment.

    Raises:
        FileError: other keywords or another radix, no ``;`` at the end, something that is no word, or too many words.
        InputError: a width outside 1..1024.
    """
    text = Text(data, source)
    bare = _COMMENT.sub(blank, data)
    head = _HEAD.match(bare)
    if head is None or int(head[1]) not in _RADIXES:
        raise text.lacks("a COE file of radix 2, 10 or 16 and a vector")
    end = bare.find(b";", head.end())
    if end < 0 or bare[end:].strip(b"; \t\r\n\v\f"):
        raise FileError(f"{source} must end with the ; of its vector, not {shown(bare.rstrip()[-20:])}")
    found = list(_TOKEN.finditer(bare, head.end(), end))
    require_count(len(found), most_words(limit, len(data)), source)

    def wrong(index: int) -> FileError:
        return text.wrong(found[index].start(), f"words of radix {int(head[1])}", found[index][0])

    return read_tokens([match[0] for match in found], int(head[1]), word_bits, wrong)


COE = Encoding("coe", ".coe", write_coe, read_coe)
