"""JUnit XML: what continuous integration shows, one test case for each entry and case."""

from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np

from fixedsim_golden.comparing.results import Compared, Comparison


def junit(comparison: Comparison) -> bytes:
    """The document: a test suite of a test case for each entry and each sequence, and for each file's length.

    A failure says how many values differ and which the first one is; that of the first cause also what it is made of.
    """
    cases = [case for entry in comparison.entries for case in _cases(comparison, entry)]
    failures = sum(case.find("failure") is not None for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", {"name": "fixedsim golden compare", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": comparison.dump, **counts})
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("set", comparison.folder), ("digest", comparison.digest), ("words", str(comparison.words))):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    suite.extend(cases)
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content + b"\n"


def _clean(text: str) -> str:
    """A text without characters that XML does not have."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _cases(comparison: Comparison, entry: Compared) -> Iterator[ElementTree.Element]:
    if entry.rows:
        first = 0
        for name, rows in zip(comparison.cases, entry.rows, strict=True):
            yield _case(comparison, entry, name, first, rows)
            first += rows
    else:
        yield _case(comparison, entry, "values", 0, len(entry.wrong))
    if entry.surplus:
        message = f"{entry.path} must hold {entry.words} words, not {entry.words + entry.surplus}"
        yield _failed(_test(entry.name, "length"), message, message)


def _test(entry: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", {"classname": _clean(entry), "name": _clean(name), "time": "0"})


def _failed(test: ElementTree.Element, message: str, text: str) -> ElementTree.Element:
    failure = ElementTree.SubElement(test, "failure", {"type": "mismatch", "message": _clean(message)})
    failure.text = "\n".join(_clean(line) for line in text.splitlines())
    return test


def _case(comparison: Comparison, entry: Compared, name: str, first: int, rows: int) -> ElementTree.Element:
    test, wrong = _test(entry.name, name), entry.wrong[first : first + rows]
    count = int(np.count_nonzero(wrong))
    if not count:
        return test
    index = tuple(int(each) for each in np.unravel_index(int(wrong.argmax()), wrong.shape))
    at = (first + index[0], *index[1:])
    message = f"{count} of {wrong.size} values differ; {_first(entry, at, index)}"
    own = "" if entry.own is None else f"\n{np.count_nonzero(entry.own[first : first + rows])} by themselves"
    cause = comparison.first
    text = message + own
    if cause is not None and (cause.entry, cause.case or "values") == (entry.name, name):
        text += f"\nfirst cause: {cause.summary}"
        text += "".join(f"\n  {seen.name} ({seen.origin}): {list(seen.raws)}" for seen in cause.operands)
        text += f"\n  {cause.narrowing}" if cause.narrowing else ""
    return _failed(test, message, text)


def _first(entry: Compared, at: tuple[int, ...], index: tuple[int, ...]) -> str:
    """Where the first of them stands, and what it is."""
    place = f"step {index[0]}" if entry.rows else f"index {list(index)}"
    unit = f" unit {index[1]}" if entry.rows and len(index) > 1 else ""
    got = "no raw" if entry.faulty[at] else str(int(entry.got[at]))
    return f"the first at {place}{unit} must be {int(entry.expected[at])}, not {got}"
