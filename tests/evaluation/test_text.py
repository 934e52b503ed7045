"""Vocabularies and text as tokens, and the refusal of what does not fit."""

import re
from pathlib import Path

import numpy as np
import pytest

from fixedsim.errors import FileError, FixedsimError, InputError
from fixedsim.evaluation import Vocabulary, read_tokens, read_vocabulary

WORDS = Vocabulary(("<eos>", "a", "b", "<unk>"))
CHARACTERS = Vocabulary(("\n", "a", "\ufffd", " ", "\r"), characters=True)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_vocabulary_of_words(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(written(tmp_path, "v.txt", "the\n<eos>\nété\n"))
    assert vocabulary == Vocabulary(("the", "<eos>", "été"), characters=False)
    assert vocabulary.index == {"the": 0, "<eos>": 1, "été": 2}
    assert len(vocabulary) == 3


def test_last_line_of_a_vocabulary_may_lack_its_end(tmp_path: Path) -> None:
    assert read_vocabulary(written(tmp_path, "v.txt", "a\nb")).symbols == ("a", "b")


@pytest.mark.parametrize(("text", "characters"), [('["a", "\\n", "\\ufffd"]', True), ('["a", "<eos>"]', False)])
def test_json_of_single_characters_is_a_character_vocabulary(tmp_path: Path, text: str, characters: bool) -> None:
    vocabulary = read_vocabulary(written(tmp_path, "v.json", text))
    assert vocabulary.characters is characters
    assert vocabulary.symbols[0] == "a"


def test_single_characters_in_a_text_file_are_words(tmp_path: Path) -> None:
    assert not read_vocabulary(written(tmp_path, "v.txt", "a\nb\n")).characters


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", "a\nb\na\n", r"v\.txt: symbol 2 must stand once, not 'a' as symbol 0 too"),
        ("v.txt", "a\n\nb\n", r"v\.txt: symbol 1 must not be empty"),
        ("v.txt", "", r"v\.txt: symbol 0 must not be empty"),
        ("v.txt", b"a\n\xff\n", r"v\.txt must be UTF-8 text, not with byte 0xff"),
        ("v.json", "[]", r"v\.json must hold at least one symbol, not none"),
        ("v.json", '["a", ""]', r"v\.json: symbol 1 must not be empty"),
        ("v.json", '["a", "a"]', r"v\.json: symbol 1 must stand once, not 'a' as symbol 0 too"),
        ("v.json", '["a", 3]', r"v\.json: entry 1 must be a string, not 3"),
        ("v.json", '{"a": 0}', r"v\.json must be a JSON list of strings, not of type dict"),
        ("v.json", "[", r"v\.json must be JSON, not 'Expecting value"),
        ("v.json", "[" * 100_000, r"v\.json must be JSON, not"),
        ("v.csv", "a", r"v\.csv must be a vocabulary that ends in \.txt or \.json, not '\.csv'"),
    ],
)
def test_damaged_vocabulary(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_vocabulary(written(tmp_path, name, content))


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"v\.txt must be a readable file, not 'no such file or directory'"):
        read_vocabulary(tmp_path / "v.txt")
    with pytest.raises(FileError, match=r"t\.txt must be a readable file, not 'no such file or directory'"):
        read_tokens(tmp_path / "t.txt", WORDS)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (" a b \n b\n", [1, 2, 0, 2, 0]),
        ("a\tb", [1, 2, 0]),
        ("\n\na\n", [0, 0, 1, 0]),
        ("a\r\nb\r\n", [1, 0, 2, 0]),
        ("", []),
    ],
)
def test_words_with_an_end_to_each_line(tmp_path: Path, text: str, wanted: list[int]) -> None:
    tokens = read_tokens(written(tmp_path, "t.txt", text), WORDS)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == wanted


@pytest.mark.parametrize(("text", "wanted"), [("a a\n", [1, 3, 1, 0]), ("a\r\n\ra", [1, 4, 0, 4, 1])])
def test_characters_as_they_stand(tmp_path: Path, text: str, wanted: list[int]) -> None:
    assert read_tokens(written(tmp_path, "t.txt", text), CHARACTERS).tolist() == wanted


def test_unknown_symbols_become_the_one_named(tmp_path: Path) -> None:
    words, characters = written(tmp_path, "w.txt", "a x\n"), written(tmp_path, "c.txt", "xa")
    assert read_tokens(words, WORDS, unknown="<unk>").tolist() == [1, 3, 0]
    assert read_tokens(characters, CHARACTERS, unknown="\ufffd").tolist() == [2, 1]


def test_limit_reads_no_further(tmp_path: Path) -> None:
    text = written(tmp_path, "t.txt", "a b\nb x\n")
    assert read_tokens(text, WORDS, limit=4).tolist() == [1, 2, 0, 2]
    assert read_tokens(written(tmp_path, "u.txt", "a b\n"), WORDS, limit=100).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("content", "vocabulary", "options", "error", "message"),
    [
        ("a\nb x\n", WORDS, {}, InputError, "line 2: word must be in the vocabulary, not 'x'; give unknown='<unk>'"),
        ("a\nbx", CHARACTERS, {}, InputError, "line 2: character must be in the vocabulary, not 'b'; give unknown="),
        ("b", Vocabulary(("a", "<eos>")), {}, InputError, "not 'b'; name the symbol that stands for it as unknown"),
        ("a", Vocabulary(("a",)), {}, InputError, "the end of a line must be in the vocabulary, not '<eos>'"),
        ("a", WORDS, {"unknown": "<unq>"}, InputError, "unknown must be in the vocabulary, not '<unq>'; did you mean"),
        ("a", WORDS, {"limit": 0}, InputError, "limit must be at least 1 token, not 0"),
        (b"a\n\xc3(", WORDS, {}, FileError, "t.txt must be UTF-8 text, not with byte 0xc3"),
    ],
)
def test_text_that_does_not_fit(
    tmp_path: Path,
    content: str | bytes,
    vocabulary: Vocabulary,
    options: dict[str, str | int],
    error: type[FixedsimError],
    message: str,
) -> None:
    path = written(tmp_path, "t.txt", content)
    with pytest.raises(error, match=re.escape(message)):
        read_tokens(path, vocabulary, **options)  # type: ignore[arg-type]
