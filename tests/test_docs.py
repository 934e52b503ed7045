"""The examples of README.md and docs/ run, top to bottom, one namespace and one folder a page.

Run are: every ``python`` block with ``>>>`` prompts, and every ``console`` block that stands under the comment
``<!-- run -->``, of which each line ``$ fixedsim ...`` must succeed and print what follows it, if anything does
(``...`` stands for any text).
"""

import doctest
import gc
import importlib
import re
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>python|console) *\n(?P<text>.*?)^(?P=indent)``` *$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Example:
    """A fenced block of a page, and the line (from 1) on which its fence stands."""

    language: str
    text: str
    line: int


def examples(page: str) -> list[Example]:
    """Return the blocks of a Markdown page that must run, in their order."""
    found = []
    for block in FENCE.finditer(page):
        before = page[: block.start()]
        console = block["language"] == "console"
        if before.rstrip().endswith("<!-- run -->") if console else ">>>" in block["text"]:
            found.append(Example(block["language"], block["text"], before.count("\n") + 1))
    return found


def run_python(example: Example, name: str, namespace: dict[str, Any]) -> None:
    """Run a block of prompts in ``namespace``, which keeps what the block defines."""
    test = doctest.DocTestParser().get_doctest(example.text, namespace, name, name, example.line)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    report: list[str] = []
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)
    assert runner.failures == 0, "".join(report)


def commands(text: str) -> list[tuple[str, str]]:
    """Return each ``fixedsim`` command line of a console block with the output that is shown below it."""
    steps = re.split(r"^ *\$ ", text, flags=re.MULTILINE)[1:]
    lines = [(command, shown) for command, _, shown in (step.partition("\n") for step in steps)]
    return [(command, shown) for command, shown in lines if command.startswith("fixedsim ")]


def run_console(example: Example, name: str) -> None:
    """Run the command lines of a block; each must exit with 0 and print what the page shows."""
    main = importlib.import_module("fixedsim_cli.main").main
    for command, shown in commands(example.text):
        result = CliRunner().invoke(main, shlex.split(command)[1:], prog_name="fixedsim")
        where = f"{name}:{example.line}: $ {command}\n{result.output}"
        assert result.exit_code == 0, where
        if shown.strip():
            assert doctest.OutputChecker().check_output(shown, result.output, OPTIONS), f"{where}\nexpected:\n{shown}"


def run_page(page: str, name: str) -> None:
    """Run the examples of a page in order."""
    namespace: dict[str, Any] = {}
    for example in examples(page):
        if example.language == "python":
            run_python(example, name, namespace)
        else:
            run_console(example, name)


def pages_with_examples() -> list[str]:
    """Return the pages that hold examples, as paths from the root of the checkout."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page.relative_to(ROOT).as_posix() for page in pages if page.exists() and examples(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", pages_with_examples())
def test_examples_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "golden").symlink_to(ROOT / "golden")  # pages name the committed sets from the root
    monkeypatch.chdir(tmp_path)
    run_page((ROOT / page).read_text("utf-8"), page)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of files that a page, as people do, leaves open
        gc.collect()


def test_a_page_keeps_its_names_from_block_to_block() -> None:
    run_page("```python\n>>> two = 2\n```\ntext\n```python\n>>> two + 1\n3\n```\n", "page")


def test_a_wrong_example_fails_with_its_page_and_line() -> None:
    with pytest.raises(AssertionError, match=r'File "page", line 3') as failure:
        run_page("text\n```python\n>>> 1 + 1\n3\n```\n", "page")
    assert re.search(r"Expected:\s+3\s+Got:\s+2\s", str(failure.value))


@pytest.mark.parametrize(
    ("page", "languages"),
    [
        ("```python\nwithout = 'prompts'\n```\n", []),
        ("```console\n$ fixedsim --version\n```\n", []),
        ("<!-- run -->\n```console\n$ fixedsim --version\n```\n", ["console"]),
        ("- item\n\n  ```python\n  >>> 1\n  1\n  ```\n", ["python"]),
        ("```text\n>>> 1\n```\n", []),
    ],
)
def test_only_marked_and_prompted_blocks_run(page: str, languages: list[str]) -> None:
    assert [example.language for example in examples(page)] == languages


def test_commands_carry_the_output_shown_below_them() -> None:
    text = "$ fixedsim one 'a b'\nfirst\nsecond\n$ ls\nother\n$ fixedsim two\n"
    assert commands(text) == [("fixedsim one 'a b'", "first\nsecond\n"), ("fixedsim two", "")]
