"""Vocabularies and text files as the tokens of a language model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import FileError, InputError, nearest
from fixedsim.files import unreadable

END_OF_LINE = "<eos>"


@dataclass(frozen=True)
class Vocabulary:
    """Symbols in index order: the token of ``symbols[k]`` is ``k``.

    ``characters`` says that text is read character by character, as it stands, instead of word by word.
    """

    symbols: tuple[str, ...]
    characters: bool = False

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def index(self) -> dict[str, int]:
        """The token of each symbol."""
        return {symbol: token for token, symbol in enumerate(self.symbols)}

    def token(self, symbol: str, what: str) -> int:
        """The token of ``symbol``; ``what`` names it in errors.

        Raises:
            InputError: not in the vocabulary.
        """
        if symbol not in self.index:
            raise InputError(f"{what} must be in the vocabulary, not {symbol!r}{nearest(symbol, self.index)}")
        return self.index[symbol]


def read_vocabulary(path: Path | str) -> Vocabulary:
    """The vocabulary of a ``.txt`` with one word a line in index order, or of a ``.json`` with a list of strings.

    Where every string of a ``.json`` is one character, it is a character vocabulary; all others are of words.

    Raises:
        FileError: another ending, unreadable, not UTF-8, no symbols, an empty one or one that stands twice.
    """
    file = Path(path)
    if file.suffix not in (".txt", ".json"):
        raise FileError(f"{file} must be a vocabulary that ends in .txt or .json, not {file.suffix or 'in nothing'!r}")
    text = _text(file)
    symbols = _json_symbols(file, text) if file.suffix == ".json" else text.removesuffix("\n").split("\n")
    _check_symbols(file, symbols)
    return Vocabulary(tuple(symbols), file.suffix == ".json" and all(len(symbol) == 1 for symbol in symbols))


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise unreadable(file, error) from None
    except UnicodeDecodeError as error:
        raise _undecodable(file, error) from None


def _undecodable(file: Path, error: UnicodeDecodeError) -> FileError:
    return FileError(f"{file} must be UTF-8 text, not with byte 0x{error.object[error.start]:02x} ({error.reason})")


def _json_symbols(file: Path, text: str) -> list[str]:
    try:
        symbols = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{file} must be JSON, not {str(error)!r}") from None
    if not isinstance(symbols, list):
        raise FileError(f"{file} must be a JSON list of strings, not of type {type(symbols).__name__}")
    for position, symbol in enumerate(symbols):
        if not isinstance(symbol, str):
            raise FileError(f"{file}: entry {position} must be a string, not {symbol!r}")
    return symbols


def _check_symbols(file: Path, symbols: list[str]) -> None:
    seen: dict[str, int] = {}
    for position, symbol in enumerate(symbols):
        if not symbol:
            raise FileError(f"{file}: symbol {position} must not be empty")
        if symbol in seen:
            raise FileError(f"{file}: symbol {position} must stand once, not {symbol!r} as symbol {seen[symbol]} too")
        seen[symbol] = position
    if not symbols:
        raise FileError(f"{file} must hold at least one symbol, not none")


def read_tokens(
    text_path: Path | str, vocabulary: Vocabulary, *, limit: int | None = None, unknown: str | None = None
) -> NDArray[np.int64]:
    """The tokens ``(N,)`` of a UTF-8 text file.

    A word vocabulary takes the words between white space, and ``<eos>`` after each line; a character vocabulary takes
    every character as it stands. ``limit`` is how many tokens are read at most. ``unknown`` is the symbol that stands
    for whatever the vocabulary lacks.

    Raises:
        InputError: what the vocabulary lacks, if ``unknown`` is not given; no ``<eos>`` or ``unknown`` in the
            vocabulary; a limit below 1.
        FileError: unreadable, or not UTF-8.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1 token, not {limit}")
    if not vocabulary.characters:
        vocabulary.token(END_OF_LINE, "the end of a line")
    fallback = None if unknown is None else vocabulary.token(unknown, "unknown")
    tokens = islice(_tokens(Path(text_path), vocabulary, fallback), limit)
    return np.fromiter(tokens, dtype=np.int64)


def _tokens(file: Path, vocabulary: Vocabulary, fallback: int | None) -> Iterator[int]:
    index = vocabulary.index
    for number, symbols in enumerate(_lines(file, vocabulary.characters), start=1):
        for symbol in symbols:
            token = index.get(symbol, fallback)
            if token is None:
                raise _outside(f"{file}: line {number}", symbol, vocabulary)
            yield token


def _lines(file: Path, characters: bool) -> Iterator[str | list[str]]:
    """The symbols of each line; lines end with a line feed and nothing else."""
    try:
        with file.open(encoding="utf-8", newline="\n") as stream:
            for line in stream:
                yield line if characters else [*line.split(), END_OF_LINE]
    except OSError as error:
        raise unreadable(file, error) from None
    except UnicodeDecodeError as error:
        raise _undecodable(file, error) from None


def _outside(place: str, symbol: str, vocabulary: Vocabulary) -> InputError:
    kind = "character" if vocabulary.characters else "word"
    usual = next((name for name in ("<unk>", "\ufffd") if name in vocabulary.index), None)
    fix = f"give unknown={usual!r}" if usual else "name the symbol that stands for it as unknown"
    return InputError(f"{place}: {kind} must be in the vocabulary, not {symbol!r}; {fix}")
