"""The cases of a level: directed corners first, then seeded random ones, then those that a search finds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import InputError
from fixedsim.model import Model
from fixedsim.model.storage import Kind, stored_tensors
from fixedsim_golden.cases import Case, Start
from fixedsim_golden.corners import Site, sites
from fixedsim_golden.drawing import Draw, Inputs, State, drawn_state, extreme_state, input_rows, matched
from fixedsim_golden.playing import lstms, play, require_integers, streams
from fixedsim_golden.search import Covered, searched
from fixedsim_golden.stages import signals_of

Integers = NDArray[np.int64]
Hits = NDArray[np.bool_]
Progress = Callable[[int, int], None]
MAX_EXTREMES = 512  # rows of a full set that are driven to both ends
_SMOKE_WORK, _FULL_WORK = 200_000, 60_000_000  # multiply-accumulates of all cases together, about
_ROUNDS = 120  # of the search, at most
_SEARCH_WORK = 2_000_000  # weights times rounds of the search, about


class Level(StrEnum):
    """How much a set covers."""

    SMOKE = "smoke"  # seconds in an RTL simulator
    FULL = "full"  # every row to its extremes, and a search for every corner
    USER = "user"  # the user's inputs alone


def make_cases(
    model: Model,
    level: Level | str = Level.SMOKE,
    *,
    seed: int = 0,
    inputs: Sequence[Integers] = (),
    progress: Progress | None = None,
) -> Covered:
    """The cases of a level for a model, the same for the same seed everywhere.

    Args:
        model: without layers in floating point.
        level: ``smoke``: directed corners and some random steps; ``full``: also every row's extremes, and a search for
            the corners that are still open; ``user``: ``inputs`` alone.
        seed: of everything that is drawn.
        inputs: sequences of the user's, raws ``(T, features)`` or tokens ``(T,)``, which come first.
        progress: called with rounds of the search done, and the most there can be.

    Raises:
        InputError: an unknown level, no inputs for ``user``, or a model with layers in floating point.
    """
    require_integers(model)
    if level not in tuple(Level):
        raise InputError(f"level must be one of {', '.join(Level)}, not {str(level)!r}")
    if level == Level.USER and not inputs:
        raise InputError("inputs must hold at least one sequence for level user, not none")
    cases = [Case(f"user-{place}", ("user",), sequence) for place, sequence in enumerate(inputs)]
    if level != Level.USER:
        cases += _Directed(model, Draw(seed), full=level == Level.FULL).cases()
    found = sites(model)
    hits = _hits(model, found, cases)
    covered = Covered(cases, found, hits)
    if level != Level.FULL:
        return covered
    rounds = max(4, min(_ROUNDS, _SEARCH_WORK // step_work(model)))
    return searched(model, covered, seed + 1, rounds, progress)


def _hits(model: Model, found: Sequence[Site], cases: Sequence[Case]) -> list[Hits]:
    signals = signals_of(model, cases, play(model, cases))
    return [site.hits(signals) for site in found]


def step_work(model: Model) -> int:
    """About the multiply-accumulates of one step: the weights."""
    return max(1, sum(tensor.values for tensor in stored_tensors(model) if tensor.kind is Kind.WEIGHT))


class _Directed:
    """Cases that are about something."""

    def __init__(self, model: Model, draw: Draw, *, full: bool) -> None:
        self.model, self.draw, self.full = model, draw, full
        self.inputs, self.streams = Inputs.of(model), streams(model)
        self.steps = max(4, min(64 if full else 8, (_FULL_WORK if full else _SMOKE_WORK) // step_work(model) // 8))

    def cases(self) -> list[Case]:
        """All of them, in order."""
        return [*self._corners(), *self._random(), *self._control(), *self._extremes(), *self._injected()]

    def _corners(self) -> list[Case]:
        form = self.inputs.form
        low, high, zero = form.raw_min, self.inputs.highest, self.inputs.zero
        alternating = self.inputs.full(low, 4)
        alternating.reshape(4, -1)[::2, ::2] = high
        alternating.reshape(4, -1)[1::2, 1::2] = high
        if self.inputs.width is None:
            alternating = np.array([low, high, low, high], dtype=np.int64)
        found = [
            Case("minimum", ("minimum",), self.inputs.full(low, 2)),
            Case("maximum", ("maximum",), self.inputs.full(high, 2)),
            Case("alternating", ("alternating",), alternating),
            Case("one-step", ("one-step", "lengths"), self.inputs.draw(self.draw, 1)),
        ]
        if self.inputs.width is None:
            return [*found, self._tokens()]
        single = self.inputs.full(zero, min(self.inputs.width, self.steps))
        for step, column in enumerate(self._spread(self.inputs.width, len(single))):
            single[step, column] = high
        return [
            *found,
            Case("zero", ("zero",), self.inputs.full(zero, 2)),
            Case("single", ("single",), single),
        ]

    def _tokens(self) -> Case:
        tokens = self.inputs.highest + 1
        most = min(tokens, 4096 if self.full else 64, self.steps * 64)
        return Case("tokens", ("tokens",), np.array(self._spread(tokens, most), dtype=np.int64))

    @staticmethod
    def _spread(count: int, most: int) -> list[int]:
        """At most so many of ``0 .. count - 1``, both ends among them."""
        return (
            sorted({place * (count - 1) // max(1, most - 1) for place in range(most)})
            if count > most
            else list(range(count))
        )

    def _random(self) -> list[Case]:
        found = [
            Case("random-0", ("random", "lengths"), self.inputs.draw(self.draw, self.steps)),
            Case("random-1", ("random", "lengths"), self.inputs.draw(self.draw, max(2, self.steps // 2))),
        ]
        if self.full:
            long = Case("long", ("random", "long"), self.inputs.draw(self.draw, 4 * self.steps))
            found.append(long)
        return found

    def _control(self) -> list[Case]:
        if not self.streams or not lstms(self.model):
            return []
        first = Case("continued", ("continued",), self.inputs.draw(self.draw, 3), Start.CONTINUED)
        reset = Case("reset", ("reset",), self.inputs.draw(self.draw, 6), resets=(3, 4))
        return [first, reset, replace(first, id="continued-after-reset")]

    def _extremes(self) -> list[Case]:
        weights, found = input_rows(self.model), []
        recurrent = max((part.recurrent_matrix.rows for part in lstms(self.model).values()), default=0)
        rows = max(len(weights), recurrent)
        most = min(rows, MAX_EXTREMES if self.full else 2, max(1, _FULL_WORK // step_work(self.model) // 4))
        for row in self._spread(rows, most):
            for high in (True, False):
                inputs = self.inputs.full(self.inputs.zero, 1)
                if len(weights):
                    inputs = matched(weights[row % len(weights)], self.inputs.form, high=high)[None]
                state: State = extreme_state(self.model, row, high=high)
                name = f"extreme-{row}-{'high' if high else 'low'}"
                flags = ("extreme", "injected") if state else ("extreme",)
                found.append(Case(name, flags, inputs, Start.INJECTED if state else Start.RESET, state))
        return found

    def _injected(self) -> list[Case]:
        if not lstms(self.model):
            return []
        found = []
        for kind in range(4 if self.full else 2):
            inputs = self.inputs.draw(self.draw, 2)
            state = drawn_state(self.model, self.draw, kind)
            found.append(Case(f"injected-{kind}", ("injected",), inputs, Start.INJECTED, state))
        return found
