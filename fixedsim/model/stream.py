"""A model fed step by step, as hardware is: little is done between one step and the next."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import checked_raws, to_raw
from fixedsim.errors import InputError, ModelError
from fixedsim.formats import Format
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.fused_linear import FusedLinear
from fixedsim.layers.fused_lstm import FusedLstm
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm, State
from fixedsim.layers.recorder import Recorder
from fixedsim.model.layer_kinds import Layer

if TYPE_CHECKING:
    from fixedsim.model.model import Model

Values = NDArray[Any]


class Stream:
    """Steps of a batch of sequences, one call each, the state carried on; bit for bit as :meth:`Model.run` gives them.

    Overflows are not counted and signals not traced: run the steps again for them.

    Args:
        model: integer layers that read forwards: embeddings, fully connected layers and LSTMs.
        batch: how many sequences run side by side.

    Raises:
        InputError: a batch below 1.
        ModelError: a layer in float64, one that reads both ways or backwards, or one that gives its last output only.
    """

    def __init__(self, model: "Model", batch: int = 1) -> None:
        if batch < 1:
            raise InputError(f"batch must be at least 1, not {batch}")
        self.model = model
        self.batch = batch
        self._parts = _parts(model, batch)
        self._axes, self._format = 1 if model.takes_tokens else 2, model.input_format

    def step(self, inputs: ArrayLike) -> Values:
        """The output raws ``(batch, features)`` for the tokens ``(batch,)`` or inputs ``(batch, features)`` of a step.

        Inputs are raws if integers, reals if floats (quantized to the input's format, half to even, saturating); the
        outputs are in an integer type that holds them.

        Raises:
            InputError: another shape, or integers that are no tokens or raws of the model.
        """
        values = np.asarray(inputs)
        if values.ndim != self._axes or len(values) != self.batch:
            wanted = f"({self.batch},)" if self._axes == 1 else f"({self.batch}, features)"
            raise InputError(f"inputs of a step must be {wanted}, not of shape {values.shape}")
        values = (values if self._format is None else self._checked(values, self._format))[None]
        for part in self._parts:
            values = part.step(values)
        output: Values = values[0]
        return output

    def _checked(self, values: Values, form: Format) -> Values:
        """Raws of the first layer's inputs."""
        first = self.model.layers[0]
        assert isinstance(first, Linear | Lstm)
        width = first.input_matrix.inputs if isinstance(first, Lstm) else first.matrix.inputs
        if values.shape[1] != width:
            raise InputError(f"inputs of a step must be ({self.batch}, {width}), not of shape {values.shape}")
        return to_raw(values, form) if values.dtype.kind == "f" else checked_raws(values, form, "inputs")

    @property
    def state(self) -> dict[str, tuple[Values, Values]]:
        """The raws ``(h, c)``, ``(batch, units)`` each, by LSTM."""
        return {part.layer.name: part.state for part in self._parts if isinstance(part, _General | _Fused)}

    def reset(self) -> None:
        """Put every state back to the initial one."""
        for part in self._parts:
            part.reset()


class _Stateless:
    """A layer without a state."""

    def __init__(self, layer: Embedding | Linear) -> None:
        self.layer = layer

    def step(self, values: Values) -> Values:
        return self.layer.run(values, Recorder())

    def reset(self) -> None:
        """Nothing is kept."""


class _FusedLinear(_Stateless):
    """A fully connected layer over the fused kernel, in memory of its own."""

    def __init__(self, layer: Linear, fused: FusedLinear, batch: int) -> None:
        super().__init__(layer)
        self.fused, self._sums = fused, fused.sums(batch)

    def step(self, values: Values) -> Values:
        return self.fused.step(values[0], self._sums)[None]


class _General:
    """An LSTM over the general step."""

    def __init__(self, layer: Lstm, batch: int) -> None:
        self.layer, self.batch = layer, batch
        self.state = layer.initial_state(batch)

    def step(self, values: Values) -> Values:
        output, self.state = self.layer.run(values, Recorder(), state=self.state)
        return output

    def reset(self) -> None:
        self.state = self.layer.initial_state(self.batch)


class _Fused:
    """An LSTM over the fused step, its state as the kernel takes it."""

    def __init__(self, layer: Lstm, fused: FusedLstm, batch: int) -> None:
        self.layer, self.fused, self.batch = layer, fused, batch
        self._memory = fused.memory(batch)
        self.reset()

    def step(self, values: Values) -> Values:
        return self.fused.step(values[0], self._kept, self._memory)[None]

    @property
    def state(self) -> State:
        return State(*self.fused.raws(self._kept))

    def reset(self) -> None:
        self._kept = self.fused.state(*self.layer.initial_state(self.batch))


class _Embedded(_Fused):
    """An LSTM that reads an embedding: what it sums up of each token stands in a table."""

    def __init__(
        self, embedding: Embedding, layer: Lstm, fused: FusedLstm, batch: int, table: NDArray[np.int32]
    ) -> None:
        super().__init__(layer, fused, batch)
        self.embedding, self._table = embedding, table

    def step(self, values: Values) -> Values:
        self.embedding.check(values)
        return self.fused.step_from(self._table, values[0], self._kept, self._memory)[None]


_Part = _Stateless | _FusedLinear | _General | _Fused


def _parts(model: "Model", batch: int) -> list[_Part]:
    match model.layers[:2]:
        case (Embedding() as embedding, Lstm() as lstm) if lstm.fused is not None:
            _require_steps(lstm, model)
            table = lstm.fused.embedded(embedding.raws, len(embedding.raws))  # a stream reads many tokens
            if table is not None:
                joined = _Embedded(embedding, lstm, lstm.fused, batch, table)
                return [joined, *(_part(layer, model, batch) for layer in model.layers[2:])]
    return [_part(layer, model, batch) for layer in model.layers]


def _require_steps(layer: Layer, model: "Model") -> None:
    if layer.name in model.last:
        raise ModelError(f"{layer.name} must give an output for each step of a stream, not the last one only")


def _part(layer: Layer, model: "Model", batch: int) -> _Part:
    _require_steps(layer, model)
    match layer:
        case Linear() if layer.fused is not None:
            return _FusedLinear(layer, layer.fused, batch)
        case Embedding() | Linear():
            return _Stateless(layer)
        case Lstm():
            return _General(layer, batch) if layer.fused is None else _Fused(layer, layer.fused, batch)
        case _:
            raise ModelError(f"{layer.name} must be an integer layer that reads forwards, for a stream")
