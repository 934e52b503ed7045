"""Raws for stimuli from a seed: even draws, corners, and vectors that drive a row's accumulator where it is wanted."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model
from fixedsim.model.layer_kinds import Layer
from fixedsim.stimuli import uniform_raws, words
from fixedsim_golden.playing import lstms, token_format

Integers = NDArray[np.int64]
State = dict[str, tuple[Integers, Integers]]


class Draw:
    """Numbers in order from one seed: the same seed gives the same numbers everywhere."""

    def __init__(self, seed: int) -> None:
        self._seed, self._drawn = seed, 0

    def _next(self) -> int:
        self._drawn += 1
        return int(words(self._seed ^ (self._drawn * 0xD1342543DE82EF95), 1)[0])

    def raws(self, form: Format, shape: tuple[int, ...]) -> Integers:
        """Raws of a format, evenly."""
        return np.asarray(uniform_raws(form, shape, self._next()), dtype=np.int64)

    def below(self, count: int, shape: tuple[int, ...] = ()) -> Any:
        """Integers in ``0 .. count - 1``, evenly."""
        size = int(np.prod(shape, dtype=np.int64))
        found = (words(self._next(), size) % np.uint64(count)).astype(np.int64)
        return found.reshape(shape) if shape else int(found[0])


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a model reads: tokens, or vectors of raws of one format."""

    form: Format
    width: int | None  # None: tokens
    highest: int  # raw, or token

    @staticmethod
    def of(model: Model) -> "Inputs":
        """The inputs of a model."""
        first = _first(model)
        if isinstance(first, Embedding):
            return Inputs(token_format(first), None, first.table.shape[0] - 1)
        form = model.input_format
        assert form is not None
        return Inputs(form, _matrices(first)[0].shape[1], form.raw_max)

    def draw(self, draw: Draw, steps: int) -> Integers:
        """A sequence of even raws, or of tokens."""
        return np.minimum(draw.raws(self.form, self.shape(steps)), self.highest)

    def shape(self, steps: int) -> tuple[int, ...]:
        """The shape of a sequence."""
        return (steps,) if self.width is None else (steps, self.width)

    def full(self, raw: int, steps: int) -> Integers:
        """One raw everywhere."""
        return np.full(self.shape(steps), raw, dtype=np.int64)

    @property
    def zero(self) -> int:
        """The raw that means zero, or one next to it."""
        return int(snapped(self.form.zero_point, self.form))


def _first(model: Model) -> Layer:
    """The first layer that has weights: a reversal of time reads what the layer after it reads."""
    return next((layer for layer in model.layers if not isinstance(layer, Reversal)), model.layers[0])


def _matrices(layer: object) -> list[NDArray[Any]]:
    """The weights less their zero points of the rows that read a layer's inputs, direction by direction."""
    match layer:
        case Linear():
            return [layer.matrix.centred]
        case Lstm():
            return [layer.input_matrix.centred]
        case Bidirectional():
            return [layer.forward.input_matrix.centred, layer.backward.input_matrix.centred]
        case _:
            return []


def input_rows(model: Model) -> NDArray[Any]:
    """The weights of every row that reads the model's inputs ``(rows, inputs)``; none for tokens."""
    matrices = _matrices(_first(model))
    return np.concatenate(matrices) if matrices else np.zeros((0, 0), dtype=np.int64)


def matched(weights: Any, form: Format, *, high: bool) -> Integers:
    """The raws that give a row of weights its highest sum, or its lowest."""
    positive = np.asarray(weights) > 0
    return np.where(positive == high, form.raw_max, form.raw_min).astype(np.int64)


def shrunk(raws: Integers, form: Format, share: int | Integers, of: int | Integers) -> Integers:
    """Raws ``share / of`` as far from zero, toward zero."""
    centred = (raws - form.zero_point) * share
    return snapped(np.sign(centred) * (np.abs(centred) // of) + form.zero_point, form)


def snapped(values: Any, form: Format) -> Integers:
    """The nearest raws, those below where a step is skipped."""
    inside = np.clip(np.asarray(values, dtype=np.int64), form.raw_min, form.raw_max)
    return np.asarray(inside - (inside - form.raw_min) % form.raw_step, dtype=np.int64)


def drawn_state(model: Model, draw: Draw, kind: int) -> State:
    """A state for every LSTM: even raws; or with an odd ``kind`` every cell at one of its extremes."""
    found: State = {}
    for name, part in lstms(model).items():
        form = part.datapath.read_cell
        cell = draw.raws(form, (part.units,))
        if kind % 2:
            cell = np.where(draw.below(2, (part.units,)) > 0, form.raw_max, form.raw_min)
        found[name] = draw.raws(part.state_format, (part.outputs,)), cell
    return found


def extreme_state(model: Model, row: int, *, high: bool) -> State:
    """The hidden states that drive one row of each recurrent matrix furthest, cells as they start."""
    found: State = {}
    for name, part in lstms(model).items():
        weights = part.recurrent_matrix.centred[row % part.recurrent_matrix.rows]
        found[name] = matched(weights, part.state_format, high=high), part.resting.cell.copy()
    return found
