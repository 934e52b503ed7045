"""A workload: its sides, ours first, what it must read and compute, and the goals."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from tests.benchmarks.measure import Call
from tests.benchmarks.roofline import Part


@dataclass(frozen=True)
class Side:
    """A program with its operands, made when the workload's turn comes.

    ``prepare`` gives the call that is timed, or raises :class:`MissingError`. An ``exact`` side's call returns
    integers that must equal ours, in the order of their elements.
    """

    name: str
    prepare: Callable[[], Call]
    exact: bool = False


class GoalKind(StrEnum):
    """What a goal is about."""

    RATIO = "ratio"  # at least so many times as fast as a peer
    SHARE = "share"  # at least this share of the physical limit
    RATE = "rate"  # at least so many multiply-accumulates a second
    SECONDS = "seconds"  # at most so many seconds


@dataclass(frozen=True)
class Goal:
    """What should be reached; ``peer`` is named for a ratio."""

    kind: GoalKind
    value: float
    peer: str = ""

    def met(self, found: float) -> bool:
        """Whether a measured value reaches the goal."""
        return found <= self.value if self.kind is GoalKind.SECONDS else found >= self.value

    def __str__(self) -> str:
        match self.kind:
            case GoalKind.RATIO:
                return f"at least {self.value:g}x {self.peer}"
            case GoalKind.SHARE:
                return f"at least {100 * self.value:g} % of the limit"
            case GoalKind.RATE:
                return f"at least {self.value / 1e9:g} GMAC/s"
            case GoalKind.SECONDS:
                return f"at most {self.value:g} s"


def ratio(peer: str, value: float) -> Goal:
    """At least ``value`` times as fast as the peer."""
    return Goal(GoalKind.RATIO, value, peer)


def share(value: float) -> Goal:
    """At least this share of the physical limit."""
    return Goal(GoalKind.SHARE, value)


def slug(title: str) -> str:
    """A title as part of a name: words of letters and digits, joined by hyphens."""
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


@dataclass(frozen=True)
class Workload:
    """One line of the report.

    A call of every side does the same ``units`` of work, such as tokens; ``products`` are the multiply-accumulates of
    one call. ``parts`` give the limit. ``curve`` puts the workload on a plot: its name and the abscissa. ``memory``
    asks for the peak memory of our side, in a process of its own.
    """

    name: str
    title: str
    sides: tuple[Side, ...]
    products: float
    parts: tuple[Part, ...] = ()
    goals: tuple[Goal, ...] = ()
    units: int = 1
    unit: str = "call"
    cores: int = 1
    curve: tuple[str, float] | None = None
    memory: bool = False
