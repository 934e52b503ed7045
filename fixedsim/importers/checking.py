"""Check with recorded arrays that a file was understood, and find the conventions under which it is.

A wrong gate order, bias or direction gives a network that runs and is wrong. What a trainer gave for one input tells:
the network is run as it was read and, where it gives something else, under the conventions of
:mod:`fixedsim.importers.alternatives`, fewest changes first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain, combinations, product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fixedsim.errors import InputError
from fixedsim.importers.alternatives import Change, Choices, choices
from fixedsim.importers.network_import import ImportedNetwork
from fixedsim.importers.recorded import Reading, readings
from fixedsim.importers.rereading import Reread
from fixedsim.importers.trial import is_causal, outputs_of

TOLERANCE = 1e-5
MAX_CHANGES = 3  # at a time
MAX_PRODUCTS = 3e10  # multiplications, or as much time, that a search beyond single changes may take
CLOSEST = 5  # shown where none agrees
_SEARCH_TOLERANCE = 1e-4  # of float32: what is nearer is looked at in float64
_WITH_CONVENTIONS = ("fixedsim", "bit-rnn", "mapping")  # files that state gate order or forget bias themselves
_OVERHEAD = 4  # times that a parameter is touched beside the products
_STEP = 1e5  # products in the time that a step of a layer takes beside them
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Alternative:
    """Conventions other than those under which the file was read.

    ``changes`` are sentences, ``options`` what states them to ``fixedsim import`` (None where no network says them),
    ``difference`` the largest one over the largest recorded output.
    """

    changes: tuple[str, ...]
    options: tuple[str, ...] | None
    difference: float

    def to_dict(self) -> dict[str, Any]:
        """The alternative as JSON values."""
        options = None if self.options is None else list(self.options)
        return {"changes": list(self.changes), "options": options, "difference": _json(self.difference)}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    ``agrees``: the network as it was read gives what was recorded, to ``tolerance``; ``difference`` is the largest one
    over the largest recorded output, over ``values`` values. ``reading`` says how the arrays were read. ``agreeing``
    are the other conventions that agree as well, of the fewest changes; ``closest`` the nearest where nothing agrees.
    ``tried`` conventions were tried, at most ``changes_at_once`` changes at a time.
    """

    agrees: bool
    difference: float
    tolerance: float
    values: int
    reading: tuple[str, ...]
    agreeing: tuple[Alternative, ...]
    closest: tuple[Alternative, ...]
    tried: int
    changes_at_once: int

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "agrees": self.agrees,
            "difference": _json(self.difference),
            "tolerance": self.tolerance,
            "values": self.values,
            "reading": list(self.reading),
            "agreeing": [alternative.to_dict() for alternative in self.agreeing],
            "closest": [alternative.to_dict() for alternative in self.closest],
            "tried": self.tried,
            "changes_at_once": self.changes_at_once,
        }


class _Trial(NamedTuple):
    """One combination of changes and how far its outputs are from the recorded ones."""

    changes: tuple[Change, ...]
    difference: float
    reading: Reading
    function: str


def check_conventions(
    imported: ImportedNetwork,
    inputs: ArrayLike,
    outputs: ArrayLike,
    *,
    tolerance: float = TOLERANCE,
    batch_first: bool | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Whether the network gives ``outputs`` for ``inputs``, and under which other conventions it does.

    Args:
        imported: the network, as :func:`~fixedsim.import_network` gives it.
        inputs: what the trainer was given: tokens ``(T,)`` or ``(T, N)``, or reals ``(T, features)`` or
            ``(T, N, features)``; batch first where it fits only so, agrees only so, or is stated.
        outputs: what it gave, with the same axes, of the last step alone, or flattened; logits or probabilities.
        tolerance: the largest difference over the largest recorded output that is agreement.
        batch_first: whether the inputs' first axis is the batch; either if None.
        progress: called with the combinations tried and all that will be at most.

    Raises:
        InputError: the arrays do not fit the network, or a tolerance that is not positive.
    """
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance must be in (0, 1), not {tolerance}")
    description = imported.network.description
    read = Reread(description, dict(imported.network.weights), imported.bias_pairs)
    search = _Search(read, readings(description, inputs, outputs, batch_first), tolerance)
    first = search.verified(())
    if first.difference <= tolerance:
        search = _Search(read, [first.reading], tolerance)
    return _searched(search, first, choices(read, imported.gate_order), imported.kind, progress)


def _searched(
    search: "_Search", first: "_Trial", found: list[Choices], kind: str, progress: Progress | None
) -> Checked:
    """Search until a number of changes agrees; where the network agrees as it is, look at single changes only."""
    agrees = first.difference <= search.tolerance
    closest, agreeing, tried, count = [first], list[_Trial](), 1, 0
    for trials in search.combinations(found, 1 if agrees else search.deepest(found), progress):
        count, tried = count + 1, tried + len(trials)
        agreeing = search.agreeing(trials)
        closest = nsmallest(CLOSEST, (*closest, *trials), key=lambda trial: trial.difference)
        if agreeing:
            break
    best = agreeing[0] if agreeing and not agrees else first
    nothing = not agrees and not agreeing
    return Checked(
        agrees=agrees,
        difference=first.difference,
        tolerance=search.tolerance,
        values=best.reading.outputs.size,
        reading=(*best.reading.texts, *((f"outputs: {best.function} of the network's",) if best.function else ())),
        agreeing=tuple(_alternative(trial, kind) for trial in agreeing),
        closest=tuple(_alternative(trial, kind) for trial in closest if trial.changes) if nothing else (),
        tried=tried,
        changes_at_once=count,
    )


class _Search:
    """Runs combinations of changes over the recorded arrays."""

    def __init__(self, read: Reread, found: list[Reading], tolerance: float) -> None:
        self.read = read
        self.readings = found
        self.tolerance = tolerance
        self.single = _as_float32(read)
        self.shortened = [reading.shortened(is_causal(read.description)) for reading in found]

    def verified(self, changes: tuple[Change, ...]) -> _Trial:
        """The changes on all that was recorded, in float64."""
        return self._tried(self.read, changes, self.readings, np.float64)

    def searched(self, changes: tuple[Change, ...]) -> _Trial:
        """The changes on a part of it, in float32."""
        return self._tried(self.single, changes, self.shortened, np.float32)

    def _tried(
        self, reread: Reread, changes: tuple[Change, ...], found: Iterable[Reading], dtype: type[np.floating[Any]]
    ) -> _Trial:
        for change in changes:
            reread = change.apply(reread)
        trials = []
        for reading in found:
            difference, function = reading.difference(outputs_of(reread, reading.inputs, dtype))
            trials.append(_Trial(changes, difference, reading, function))
            if difference <= self.tolerance:
                break
        return min(trials, key=lambda trial: trial.difference)

    def combinations(self, found: list[Choices], deepest: int, progress: Progress | None) -> Iterator[list[_Trial]]:
        """The trials of single changes, then of two at a time and so on."""
        done, total = 0, sum(_count(found, count) for count in range(1, deepest + 1))
        for count in range(1, deepest + 1):
            trials = []
            for changes in _combinations(found, count):
                trials.append(self.searched(changes))
                done += 1
                if progress is not None:
                    progress(done, total)
            yield trials

    def agreeing(self, trials: Iterable[_Trial]) -> list[_Trial]:
        """Those among the trials that agree on all that was recorded."""
        limit = max(_SEARCH_TOLERANCE, 10 * self.tolerance)
        checked = [self.verified(trial.changes) for trial in trials if trial.difference <= limit]
        return [trial for trial in checked if trial.difference <= self.tolerance]

    def deepest(self, found: list[Choices]) -> int:
        """How many changes at a time are few enough to try."""
        parameters, layers = sum(self.read.description.parameters().values()), len(self.read.description.layers)
        shapes = [reading.inputs.shape[:2] for reading in self.shortened]
        one = sum(parameters * (steps * streams + _OVERHEAD) + _STEP * steps * layers for steps, streams in shapes)
        deepest, total = 1, one * _count(found, 1)
        while deepest < min(MAX_CHANGES, len(found)):
            total += one * _count(found, deepest + 1)
            if total > MAX_PRODUCTS:
                break
            deepest += 1
        return deepest


def _combinations(found: Sequence[Choices], count: int) -> Iterator[tuple[Change, ...]]:
    for several in combinations(found, count):
        yield from product(*several)


def _count(found: Sequence[Choices], count: int) -> int:
    return sum(prod(map(len, several)) for several in combinations(found, count))


def _as_float32(read: Reread) -> Reread:
    return read._replace(weights={name: weight.astype(np.float32) for name, weight in read.weights.items()})


def _alternative(trial: _Trial, kind: str) -> Alternative:
    said = [_options(change, kind) for change in trial.changes]
    options = None if None in said else tuple(chain.from_iterable(option for option in said if option))
    return Alternative(tuple(change.text for change in trial.changes), options, trial.difference)


def _options(change: Change, kind: str) -> tuple[str, ...] | None:
    """What states a change, in words that the reader of the kind takes."""
    if change.options is None or kind not in _WITH_CONVENTIONS:
        return change.options
    return "--convention", change.name


def _json(value: float) -> float | None:
    """A number that JSON can hold."""
    return float(value) if np.isfinite(value) else None
