"""What layers and models read: raws, tokens and states."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm, State
from fixedsim.layers.parts import Matrix
from fixedsim.layers.reversal import Reversal
from fixedsim.model.layer_kinds import IntegerLayer, directions
from fixedsim.model.model import Model
from fixedsim.testing.value import integers, raws

Integers = NDArray[np.int64]
Count = int | tuple[int, int]


def count(of: Count) -> st.SearchStrategy[int]:
    """That many, or (least, most)."""
    return st.just(of) if isinstance(of, int) else st.integers(*of)


def inputs(
    target: IntegerLayer | Model, *, steps: Count = (1, 4), batch: Count = (1, 3), ends: bool = False
) -> st.SearchStrategy[Integers]:
    """What ``target`` reads: raws ``(steps, batch, inputs)`` of its format, or tokens ``(steps, batch)``.

    As :func:`raws`, and vectors that match the signs of a row of weights, or are opposed to them, so that its
    accumulator goes to its extreme. ``steps`` and ``batch`` are a number or (least, most).

    Raises:
        InputError: a model whose first layer is in float64.
    """
    layer, shapes = _first(target), st.tuples(count(steps), count(batch))
    if isinstance(layer, Embedding):
        vocabulary = len(layer.table)
        return shapes.flatmap(lambda shape: integers(0, vocabulary - 1, shape))
    matrix, form = _matrix(layer), layer.input_format
    return shapes.flatmap(lambda shape: operands(matrix, form, shape, ends=ends))


def _first(target: IntegerLayer | Model) -> Embedding | Linear | Lstm | Bidirectional:
    """The first layer that has weights: a reversal reads what the layer after it reads."""
    layers = target.layers if isinstance(target, Model) else (target,)
    layer = next((each for each in layers if not isinstance(each, Reversal)), layers[0])
    if isinstance(layer, Reversal):
        raise InputError(f"layer to draw inputs for must have weights, not be a reversal like {layer.name}")
    if not isinstance(layer, IntegerLayer):
        raise InputError(f"first layer must be one of integers, not {layer.name} in float64")
    return layer


def _matrix(layer: Linear | Lstm | Bidirectional) -> Matrix:
    match layer:
        case Linear():
            return layer.matrix
        case Lstm():
            return layer.input_matrix
        case Bidirectional():
            return layer.forward.input_matrix


@st.composite
def operands(draw: st.DrawFn, matrix: Matrix, form: Format, shape: tuple[int, ...], *, ends: bool = False) -> Integers:
    """Vectors ``(*shape, inputs)`` that a matrix is multiplied with: any raws, or matched to a row's signs."""
    if not draw(st.sampled_from((False, False, False, True))):
        return draw(raws(form, (*shape, matrix.inputs), ends=ends))
    positive = matrix.weight[draw(integers(0, matrix.rows - 1, shape))] > 0
    opposed = draw(integers(0, 1, shape))[..., None] == 1
    matched = np.where(positive ^ opposed, form.raw_max, form.raw_min)
    return matched.astype(np.int64)


def states(target: IntegerLayer | Model, *, batch: int) -> st.SearchStrategy[Any]:
    """A state for ``batch`` sequences: of an LSTM, of both directions as a pair, or of a model by LSTM name.

    Raws ``(batch, units)`` of the formats of hidden state and cell; hidden states also match the signs of a row of
    recurrent weights.
    """
    match target:
        case Lstm():
            return _state(target, batch)
        case Bidirectional():
            return st.tuples(_state(target.forward, batch), _state(target.backward, batch))
        case Model():
            parts = [part for layer in target.layers for part in directions(layer)]
            return st.fixed_dictionaries({part.name: _state(part, batch) for part in parts if isinstance(part, Lstm)})
        case _:
            raise InputError(f"target of states must be an LSTM or a model, not {type(target).__name__} {target.name}")


def _state(layer: Lstm, batch: int) -> st.SearchStrategy[State]:
    hidden = operands(layer.recurrent_matrix, layer.state_format, (batch,))
    return st.builds(State, hidden, raws(layer.datapath.read_cell, (batch, layer.units)))
