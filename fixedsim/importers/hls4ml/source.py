"""Files of a project as bytes and as tokens: paths stay inside the folder, sizes are limited, no code is run."""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from fixedsim.errors import FileError

MAX_SOURCE_BYTES = 1 << 20  # of defines.h, parameters.h or the function
MAX_TOKENS = 1 << 17  # of one of them
MAX_WORD = 120  # characters of a name or a number
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
# Every alternative takes each character in one way only, so that time is linear in the text.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v]+) | (?P<newline>\n) | (?P<comment>//[^\n]*) | (?P<directive>\#[^\n]*)
    | (?P<string>"[^"\n]*") | (?P<name>[A-Za-z_][A-Za-z0-9_]*) | (?P<number>[0-9][A-Za-z0-9_.]*)
    | (?P<mark>::|/\*|[^\s])""",
    re.VERBOSE,
)
_OPENING, _CLOSING = ("<", "(", "[", "{"), (">", ")", "]", "}")
_DIRECTIVES = ("include", "pragma", "define", "ifndef", "endif")


class Token(NamedTuple):
    """One word of C++."""

    kind: str  # name, number, string, mark, directive, or end behind the last
    text: str
    line: int


class Source:
    """A file's tokens, and the comments by their line."""

    def __init__(self, path: Path, tokens: list[Token], comments: dict[int, str]) -> None:
        self.path, self.tokens, self.comments = path, tokens, comments

    def error(self, line: int, message: str) -> FileError:
        """The error of a line."""
        return FileError(f"{self.path}:{line}: {message}")


class Cursor:
    """A place in a file's tokens; what it expects and does not find is a FileError of the line."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._next = 0

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self.source.tokens[self._next]

    def take(self) -> Token:
        """The token that comes next, which is left behind; the end is never left behind."""
        token = self.token
        if token.kind != "end":
            self._next += 1
        return token

    def ahead(self, *texts: str) -> bool:
        """Whether these texts come next."""
        found = self.source.tokens[self._next : self._next + len(texts)]
        return [token.text for token in found] == list(texts)

    def accept(self, *texts: str) -> bool:
        """Leave these texts behind if they come next."""
        if not self.ahead(*texts):
            return False
        self._next += len(texts)
        return True

    def expect(self, *texts: str) -> None:
        """Leave these texts behind.

        Raises:
            FileError: others come next.
        """
        for text in texts:
            if not self.accept(text):
                self.refuse(repr(text))

    def word(self, kind: str = "name") -> str:
        """The text of the next token, which is of this kind."""
        if self.token.kind != kind:
            self.refuse(f"a {kind}")
        return self.take().text

    def until(self, *ends: str) -> list[Token]:
        """The tokens before the next one of ``ends`` outside brackets, which is left behind."""
        taken: list[Token] = []
        depth = 0
        while depth or self.token.text not in ends:
            token = self.take()
            if token.kind == "end":
                self.refuse(" or ".join(map(repr, ends)))
            depth += (token.text in _OPENING) - (token.text in _CLOSING and depth > 0)
            taken.append(token)
        self.take()
        return taken

    def skip_directives(self) -> None:
        """Leave directives behind: what they include is not read."""
        while self.token.kind == "directive":
            self.take()

    def refuse(self, expected: str) -> NoReturn:
        """Raise FileError: ``expected`` does not come next."""
        found = "the end of the file" if self.token.kind == "end" else repr(self.token.text[:80])
        raise self.source.error(self.token.line, f"text must be {expected}, not {found}")


def spelled(tokens: Sequence[Token]) -> str:
    """Tokens as text, with spaces where two words meet."""
    text = ""
    for token in tokens:
        words = token.kind != "mark" and text[-1:].isalnum()
        text += f" {token.text}" if words else token.text
    return text


def inside(folder: Path, *names: str) -> Path:
    """The path of a regular file below a folder.

    Raises:
        FileError: a name that is not plain, a link that leaves the folder, or no such file.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise FileError(f"{folder}: name of a file must be letters, digits, '_', '-' and '.', not {name[:80]!r}")
    path = folder.joinpath(*names)
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve(strict=True)):
            raise FileError(f"{path} must lie in the project's folder, not outside")
        if not stat.S_ISREG(real.stat().st_mode):
            raise FileError(f"{path} must be a file, not another thing")
    except (OSError, RuntimeError) as error:
        raise FileError(f"{path} must be a readable file, not {_reason(error)!r}") from None
    return path


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or "a loop of links").lower()


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a file of at most ``most`` bytes.

    Raises:
        FileError: it is larger, or not readable.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            content = b"" if size > most else stream.read(size + 1)  # one more: a file may grow meanwhile
    except OSError as error:
        raise FileError(f"{path} must be a readable file, not {_reason(error)!r}") from None
    if max(size, len(content)) > most:
        raise FileError(f"{path} must have at most {most} bytes, not {max(size, len(content))}")
    return content


def read_source(path: Path) -> Source:
    """The tokens of a file of generated C++.

    Raises:
        FileError: it is too long, or has block comments, conditions or lines that continue.
    """
    text = read_bytes(path, MAX_SOURCE_BYTES).decode("utf-8", "replace")
    source = Source(path, [], {})
    line = 1
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        line += kind == "newline"
        if kind == "comment":
            source.comments[line] = match.group()[2:].strip()
        _check(source, line, kind, match.group())
        if kind not in ("space", "newline", "comment"):
            source.tokens.append(Token(kind, match.group(), line))
        if len(source.tokens) > MAX_TOKENS:
            raise source.error(line, f"words must be at most {MAX_TOKENS}, not more")
    source.tokens.append(Token("end", "", line))
    return source


def _check(source: Source, line: int, kind: str, text: str) -> None:
    if kind in ("name", "number") and len(text) > MAX_WORD:
        raise source.error(line, f"{kind} must have at most {MAX_WORD} characters, not {len(text)}")
    if text == "/*":
        raise source.error(line, "comments must begin with '//', as of the backends Vitis and Vivado, not with '/*'")
    if kind in ("comment", "directive") and text.rstrip().endswith("\\"):
        raise source.error(line, f"{kind} must end with its line, not continue")
    word = text[1:].split(maxsplit=1)[:1] if kind == "directive" else []
    if word and word[0] not in _DIRECTIVES:
        raise source.error(line, f"directive must be one of {', '.join(_DIRECTIVES)}, not {word[0][:80]!r}")
