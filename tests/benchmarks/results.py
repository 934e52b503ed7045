"""What was measured, as plain values for JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tests.benchmarks.limits import Probe, forget_arrays
from tests.benchmarks.measure import CLOCKS, Call, MissingError, Spread, interleave, ratios
from tests.benchmarks.memory import peak_in_process
from tests.benchmarks.roofline import binding, least_seconds, probes
from tests.benchmarks.workload import Goal, GoalKind, Workload


@dataclass(frozen=True)
class SideResult:
    """One side: seconds of a unit, how many rounds, and how many times as long as ours (None for ours)."""

    name: str
    seconds: Spread
    rounds: int
    ratio: Spread | None


@dataclass(frozen=True)
class GoalResult:
    """A goal, the value found (None if the peer or the limit is missing), and whether it is reached."""

    text: str
    found: float | None
    met: bool | None


@dataclass(frozen=True)
class Limit:
    """The least seconds of a unit, the share of it that ours reaches, and the limit that counts most."""

    seconds: float
    share: float
    bound: str


@dataclass(frozen=True)
class Result:
    """A workload's outcome; ``missing`` names sides that did not run, with the reason.

    ``peak_bytes`` is the memory that our side's call took beyond what it returned.
    """

    name: str
    title: str
    unit: str
    sides: list[SideResult] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    limit: Limit | None = None
    products_per_second: float | None = None
    goals: list[GoalResult] = field(default_factory=list)
    curve: tuple[str, float] | None = None
    peak_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Result":
        """The result that :meth:`to_dict` gave."""
        sides = [
            SideResult(
                side["name"],
                Spread(**side["seconds"]),
                side["rounds"],
                None if side["ratio"] is None else Spread(**side["ratio"]),
            )
            for side in values["sides"]
        ]
        return Result(
            **{key: values[key] for key in ("name", "title", "unit", "missing", "products_per_second", "peak_bytes")},
            sides=sides,
            limit=None if values["limit"] is None else Limit(**values["limit"]),
            goals=[GoalResult(**goal) for goal in values["goals"]],
            curve=None if values["curve"] is None else (values["curve"][0], values["curve"][1]),
        )


def measured(workload: Workload, *, rounds: int, seconds: float, clock: str = "wall") -> Result:
    """Run a workload and its limits, interleaved; work on several cores is always timed by the wall's clock.

    Raises:
        AssertionError: an exact side whose integers are not ours.
    """
    calls, missing = _prepared(workload)
    ours = workload.sides[0].name
    if ours not in calls:
        return Result(workload.name, workload.title, workload.unit, missing=missing, curve=workload.curve)
    checks = probes(workload.parts)
    samples = interleave(
        calls | {f"limit {name}": probe.call for name, probe in checks.items()},
        rounds=rounds,
        seconds=seconds,
        clock=CLOCKS[clock if workload.cores == 1 else "wall"],
    )
    limit = _limit(workload, checks, samples)
    sides = [_side(name, ours, samples, workload.units) for name in calls]
    rate = workload.products / (sides[0].seconds.median * workload.units) if workload.products else None
    goals = [_goal(goal, sides, limit, rate) for goal in workload.goals]
    forget_arrays()
    peak = peak_in_process(workload.name) if workload.memory else None
    return Result(
        workload.name, workload.title, workload.unit, sides, missing, limit, rate, goals, workload.curve, peak
    )


def _prepared(workload: Workload) -> tuple[dict[str, Call], dict[str, str]]:
    """The calls of the sides that are there, their integers compared, and why the others are not."""
    calls: dict[str, Call] = {}
    missing: dict[str, str] = {}
    wanted: object = None
    for position, side in enumerate(workload.sides):
        try:
            calls[side.name] = side.prepare()
        except MissingError as reason:
            missing[side.name] = str(reason)
            continue
        if not side.exact:
            continue
        found = np.ravel(np.asarray(calls[side.name](), dtype=np.int64))
        if position == 0:
            wanted = found.copy()
        elif wanted is not None:
            assert np.array_equal(found, np.asarray(wanted)), f"{workload.name}: {side.name} gives other integers"
    return calls, missing


def _side(name: str, ours: str, samples: Mapping[str, list[float]], units: int) -> SideResult:
    relative = None if name == ours else Spread.of(ratios(samples, ours, name))
    return SideResult(name, Spread.of(samples[name]).scaled(1 / units), len(samples[name]), relative)


def _limit(workload: Workload, checks: Mapping[str, Probe], samples: Mapping[str, list[float]]) -> Limit | None:
    rates = {name: probe.amount / Spread.of(samples[f"limit {name}"]).median for name, probe in checks.items()}
    least = least_seconds(workload.parts, rates)
    if least is None:
        return None
    took = Spread.of(samples[workload.sides[0].name]).median
    return Limit(least / workload.units, least / took, binding(workload.parts, rates))


def _goal(goal: Goal, sides: list[SideResult], limit: Limit | None, rate: float | None) -> GoalResult:
    found: float | None
    match goal.kind:
        case GoalKind.RATIO:
            found = next((side.ratio.median for side in sides if side.name == goal.peer and side.ratio), None)
        case GoalKind.SHARE:
            found = None if limit is None else limit.share
        case GoalKind.RATE:
            found = rate
        case GoalKind.SECONDS:
            found = sides[0].seconds.median
    return GoalResult(str(goal), found, None if found is None else goal.met(found))
