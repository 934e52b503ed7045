"""Coverage: sets of one model together, waivers, the page, and sentences where something is open."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fixedsim.errors import FixedsimError, InputError
from fixedsim_golden.cases import Case
from fixedsim_golden.coverage import SiteCoverage, measure, shown, summarize, to_html
from fixedsim_golden.search import Covered
from fixedsim_golden.stimuli import make_cases
from fixedsim_golden.writing import write
from tests.golden.set_models import few_tried as few_tried
from tests.golden.set_models import model


def covered() -> Covered:
    return make_cases(model("stream"), "smoke", seed=3)


def open_names(found: list[SiteCoverage]) -> list[str]:
    return [f"{site.site}: {corner}" for site in found for corner in site.undecided]


def test_every_corner_is_one_of_four_kinds() -> None:
    given = covered()
    for site, found, hits in zip(given.sites, summarize(given), given.hits, strict=True):
        parts = (found.hit, found.unreachable, tuple(found.waived), found.undecided)
        assert sorted(corner for part in parts for corner in part) == sorted(site.corners)
        assert found.corners == len(site.corners)
        assert set(found.hit) == {corner for corner, hit in zip(site.corners, hits, strict=True) if hit}
        record = found.to_dict()
        assert record["hit"] + record["unreachable"] + len(record["waived"]) + len(record["undecided"]) == found.corners


def test_why_is_a_sentence_wherever_something_is_open() -> None:
    found = summarize(covered())
    assert any(site.undecided for site in found)
    for site in found:
        if not site.undecided:
            assert site.why == ""
            continue
        assert site.why[0].isupper()
        assert site.why.endswith(".")
        assert site.bounds in site.why
        assert len(site.why.split()) > 5


def test_waivers_need_a_corner_that_is_open_and_a_reason() -> None:
    given = covered()
    first = open_names(summarize(given))[0]
    site = first.partition(": ")[0]
    found = {each.site: each for each in summarize(given, {f"{site}: *": "the host never does"})}
    assert not found[site].undecided
    assert first.partition(": ")[2] in found[site].waived
    assert set(found[site].waived.values()) == {"the host never does"}
    for pattern, reason, message in (
        ("nothing: *", "why", "waiver pattern over undecided corners must match a name, not 'nothing"),
        (first, "", "must have a reason, not none"),
        (first, "  ", "must have a reason, not none"),
    ):
        with pytest.raises(InputError, match=message.replace("*", r"\*")):
            summarize(given, {pattern: reason})
    hit = next(f"{each.site}: {corner}" for each in summarize(given) for corner in each.hit)
    with pytest.raises(InputError, match="waiver pattern over undecided corners must match a name"):
        summarize(given, {hit: "it is hit already"})


def test_two_sets_cover_what_either_does(tmp_path: Path) -> None:
    made = model("stream")
    high, low = (np.full((2, 2), raw) for raw in (127, -128))
    for name, raws in (("high", high), ("low", low)):
        write(made, tmp_path / name, [Case(name, ("user",), raws)])
    apart = [{each.site: set(each.hit) for each in measure([tmp_path / name])} for name in ("high", "low")]
    together = {each.site: set(each.hit) for each in measure([tmp_path / "high", tmp_path / "low"])}
    assert together == {site: apart[0][site] | apart[1][site] for site in together}
    assert any(apart[0][site] != apart[1][site] for site in together)


def test_a_set_covers_what_its_cases_did_when_they_were_made(tmp_path: Path) -> None:
    given, made = covered(), model("stream")
    name = open_names(summarize(given))[0]
    waived = summarize(given, {name: "never & <always>"})
    write(made, tmp_path / "set", given.cases, coverage=[each.to_dict() for each in waived])
    assert [each.to_dict() for each in measure([tmp_path / "set"])] == [each.to_dict() for each in waived]


def test_sets_of_other_models_and_none_are_refused(tmp_path: Path) -> None:
    for place, seed in enumerate((1, 2)):
        made = model("stream", seed=seed)
        write(made, tmp_path / str(place), [Case("zero", ("user",), np.zeros((1, 2), dtype=np.int64))])
    with pytest.raises(FixedsimError, match="sets must be of one model, not of 2"):
        measure([tmp_path / "0", tmp_path / "1"])
    with pytest.raises(FixedsimError, match="sets must be at least one, not none"):
        measure([])


class _Page(HTMLParser):
    """Checks that what is opened is closed, and collects text."""

    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_well_formed_and_escapes_what_it_names() -> None:
    evil = SiteCoverage(
        "<script>alert(1)</script>", "cast", ("a",), ("b & c",), {"d": "<b>why</b>"}, ("e<f",), "1 < 2 & 3"
    )
    page = _Page()
    found = [*summarize(covered()), evil]
    page.feed(to_html(found, "<title> & {braces}"))
    page.close()
    assert page.open == []
    assert "script" not in page.seen
    assert "b" not in page.seen
    text = "".join(page.text)
    for wanted in ("<script>alert(1)</script>", "b & c", "<b>why</b>", "e<f", "1 < 2 & 3", "<title> & {braces}"):
        assert wanted in text
    for site in found:
        assert site.site in text
    assert page.seen.count("tr") == len(found) + 1


def test_names_for_a_table_are_the_first_of_many() -> None:
    assert shown(["a", "b"]) == "a, b"
    assert shown([str(place) for place in range(15)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more"
