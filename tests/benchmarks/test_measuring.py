"""The measuring itself, on sides and rates that are made up: no clock is trusted here."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import command
from tests.benchmarks.limits import reading
from tests.benchmarks.measure import Call, MissingError, Spread, interleave, ratios
from tests.benchmarks.report import markdown, text
from tests.benchmarks.results import Result, measured
from tests.benchmarks.roofline import Part, binding, least_seconds
from tests.benchmarks.workload import Goal, GoalKind, Side, Workload, ratio, share
from tests.benchmarks.workloads import all_workloads

PEER = "peer"


def side(name: str, values: list[int], *, exact: bool = True) -> Side:
    """A side that gives some integers."""
    return Side(name, lambda: lambda: np.array(values), exact)


def absent() -> Call:
    """The call of a program that is not there."""
    raise MissingError("not installed")


def workload(*sides: Side) -> Workload:
    """Sides with one goal."""
    return Workload("made.up", "made up", sides, 100, goals=(ratio(PEER, 2.0),))


def test_every_round_takes_the_sides_in_turn() -> None:
    order: list[str] = []
    calls: dict[str, Call] = {name: lambda name=name: order.append(name) for name in "abc"}  # type: ignore[misc]
    samples = interleave(calls, rounds=4, seconds=60.0)
    turns = [name for name, before in zip(order[6:], order[5:], strict=False) if name != before]
    assert "".join(turns[-12:]) == "abc" * 4
    assert {name: len(found) for name, found in samples.items()} == dict.fromkeys("abc", 4)


def test_ratios_are_those_of_rounds_that_both_ran() -> None:
    assert ratios({"a": [1.0, 2.0, 4.0], "b": [3.0, 3.0]}, "a", "b") == [3.0, 1.5]


def test_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(2.0, 3.0, 4.0)
    assert Spread(2.0, 3.0, 4.0).scaled(0.5) == Spread(1.0, 1.5, 2.0)


def test_the_least_time_adds_the_longer_of_computing_and_reading() -> None:
    rates = {"dot8": 100.0, "read 10": 5.0, "read 40": 2.0}
    parts = Part(1000, 10), Part(100, 10, resident=40, times=3)
    assert least_seconds(parts, rates) == 10.0 + 3 * 5.0
    assert binding(parts, rates) == "reading 4e-05 MB"
    assert least_seconds(parts, {"dot8": 100.0}) is None


def test_reading_reads_every_word() -> None:
    probe = reading(1 << 16)
    assert probe.call() == probe.amount / 64  # the first of 8 lanes, over words of 8 bytes that are all 1


def test_a_missing_peer_is_named_and_its_goal_not_measured() -> None:
    result = measured(workload(side("ours", [1]), Side(PEER, absent)), rounds=3, seconds=1.0)
    assert result.missing == {PEER: "not installed"}
    assert [goal.met for goal in result.goals] == [None]
    assert "peer                      missing: not installed" in text(result)


def test_a_peer_that_gives_other_integers_is_an_error() -> None:
    with pytest.raises(AssertionError, match=r"made\.up: peer gives other integers"):
        measured(workload(side("ours", [1, 2]), side(PEER, [1, 3])), rounds=3, seconds=1.0)
    measured(workload(side("ours", [1, 2]), side(PEER, [1, 3], exact=False)), rounds=3, seconds=1.0)


@pytest.mark.parametrize(
    ("goal", "stated", "reached", "missed"),
    [
        (ratio(PEER, 1.3), "at least 1.3x peer", 1.3, 1.29),
        (share(0.85), "at least 85 % of the limit", 0.85, 0.84),
        (Goal(GoalKind.RATE, 1e9), "at least 1 GMAC/s", 1e9, 0.9e9),
        (Goal(GoalKind.SECONDS, 3.0), "at most 3 s", 3.0, 3.1),
    ],
)
def test_goals(goal: Goal, stated: str, reached: float, missed: float) -> None:
    assert (str(goal), goal.met(reached), goal.met(missed)) == (stated, True, False)


def test_results_survive_json_and_become_a_table() -> None:
    result = measured(workload(side("ours", [1]), side(PEER, [1])), rounds=3, seconds=1.0)
    assert Result.from_dict(result.to_dict()) == result
    matrix = Result.from_dict(result.to_dict() | {"name": "matrix.2048.batch1"})
    assert "| made up | " in markdown({"processor": "x"}, {"dot8": 2e11}, [matrix])


def test_tables_go_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n\n<!-- measured -->\nold\n<!-- end of measured -->\n\nafter\n", "utf-8")
    command._write_tables(page, "new\n")
    assert page.read_text("utf-8") == "before\n\n<!-- measured -->\n\nnew\n\n<!-- end of measured -->\n\nafter\n"


def test_names_are_unique_and_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    names = [workload.name for workload in all_workloads()]
    assert len(set(names)) == len(names)
    command.main(["--list", "--only", "ptb300.*"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        name for name in names if name.startswith("ptb300.")
    ]
