"""One run of a model over a batch of sequences, layer by layer."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import to_raw, to_real
from fixedsim.errors import InputError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional, reversal
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.lstm import State as LstmState
from fixedsim.layers.real_layers import RealBidirectional, RealEmbedding, RealLinear, RealLstm
from fixedsim.layers.real_lstm import LstmState as RealState
from fixedsim.layers.recorder import OverflowCount, Recorder
from fixedsim.layers.reversal import Reversal
from fixedsim.model.layer_kinds import Layer, directions, input_format, output_format

State = dict[str, tuple[NDArray[Any], NDArray[Any]]]


@dataclass
class RunResult:
    """What a run leaves: raws, reals, the state after the last step, traces and overflow counts.

    ``values`` are ``(T, N, features)`` (without the axes that the inputs lacked): raws of ``format`` in an integer type
    that holds them, or reals where the last layer is float64 and ``format`` None. ``state`` maps each LSTM (each
    direction of a bidirectional one) to raws ``(h, c)``, ``(N, units)`` each. ``trace`` maps signal names to raws
    ``(T, N, units)``; ``overflows`` maps casts to how many of their values overflowed, steps past a sequence's end
    included (empty for the scalar specification, which counts none). An accumulator that is proven never to overflow
    counts none; one that wraps and whose products are exact counts sums that end outside its range, any other each
    addition.
    """

    values: NDArray[Any]
    format: Format | None
    state: State
    trace: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    overflows: dict[str, OverflowCount] = field(default_factory=dict)

    @cached_property
    def raw(self) -> NDArray[np.int64] | None:
        """The raws as 64-bit integers; None where the last layer is float64."""
        return None if self.format is None else self.values.astype(np.int64, copy=False)

    @cached_property
    def real(self) -> NDArray[np.float64]:
        """What the outputs mean."""
        return self.values if self.format is None else to_real(self.values, self.format)

    def followed_by(self, result: "RunResult") -> "RunResult":
        """This and the result of the layers that come after."""
        state, trace = self.state | result.state, self.trace | result.trace
        return RunResult(result.values, result.format, state, trace, self.overflows | result.overflows)


@dataclass
class Run:
    """What a run reads. Masks are ``(T, N)`` or None, ``lengths`` ``(N,)`` or None, states ``(N, units)``."""

    layers: Sequence[Layer]
    last: frozenset[str]
    engine: str
    wanted: frozenset[str]
    state: Mapping[str, tuple[ArrayLike, ArrayLike]]
    lengths: NDArray[np.int64] | None
    valid: NDArray[np.bool_] | None
    reset: NDArray[np.bool_] | None
    threads: int = 1

    def over_batch(self, values: NDArray[Any]) -> RunResult:
        """The result for ``(T, N, ...)``; with several threads, parts of the batch run side by side.

        So do the layers up to the last that has a state. Those after it share out their vectors.
        """
        parts = min(self.threads, values.shape[1])
        recurrent = 1 + max((place for place, layer in enumerate(self.layers) if directions(layer)), default=-1)
        if parts < 2 or recurrent == 0:
            return self._through(values)
        bounds = np.linspace(0, values.shape[1], parts + 1).astype(int)
        pieces = [slice(first, end) for first, end in pairwise(bounds)]
        first_layers, others = self.layers[:recurrent], self.layers[recurrent:]
        with ThreadPoolExecutor(max_workers=parts) as pool:
            results = pool.map(
                lambda piece: replace(self._part(piece), layers=first_layers)._through(values[:, piece]), pieces
            )
            joined = _joined(list(results))
        ended = any(layer.name in self.last for layer in first_layers)
        rest = replace(self, layers=others, valid=None if ended else self.valid)
        return joined.followed_by(rest._through(joined.values, joined.format))

    def _part(self, piece: slice) -> "Run":
        return replace(
            self,
            state={name: (np.asarray(h)[piece], np.asarray(c)[piece]) for name, (h, c) in self.state.items()},
            lengths=None if self.lengths is None else self.lengths[piece],
            valid=None if self.valid is None else self.valid[:, piece],
            reset=None if self.reset is None else self.reset[:, piece],
            threads=1,
        )

    def _through(self, values: NDArray[Any], form: Format | None = None) -> RunResult:
        recorder = Recorder(self.wanted)
        after: State = {}
        valid, reset = self.valid, self.reset
        layers = self.layers
        read = self._tokens_read(values, recorder, after)
        if read is not None:
            values, form, layers = read, output_format(layers[1]), layers[2:]
        for layer in layers:
            values = self._boundary(values, form, layer)
            if isinstance(layer, Reversal) and reset is not None:  # a reset stays with the step that it stands before
                reset = np.take_along_axis(reset, reversal(reset.shape[0], reset.shape[1], self.lengths), axis=0)
            values = self._layer(layer, values, recorder, after, valid, reset)
            form = output_format(layer)
            if layer.name in self.last:
                values, valid = self._last(layer, after)[None], None
            if valid is not None:
                values[~valid] = 0 if form is None else form.zero_point
        if self.valid is not None:
            for name, trace in recorder.traces.items():
                if len(trace) == len(self.valid):
                    recorder.traces[name] = np.where(self.valid[:, :, None], trace, 0)
        return RunResult(values, form, after, recorder.traces, recorder.counts)

    def _tokens_read(self, tokens: NDArray[Any], recorder: Recorder, after: State) -> NDArray[Any] | None:
        """What the second layer gives where it is an LSTM that can read the embedding before it from a table."""
        match self.layers[:2]:
            case (Embedding() as embedding, Lstm() as lstm) if self.engine == "kernels" and self.valid is None:
                if lstm.name in self.last:
                    return None
                embedding.check(tokens)
                state = self._integer_state(lstm)
                found = lstm.run_tokens(tokens, embedding.raws, recorder, state=state, reset=self.reset)
                if found is None:
                    return None
                embedding.count(tokens, recorder)
                output, after[lstm.name] = found
                return output
            case _:
                return None

    def _boundary(self, values: NDArray[Any], form: Any, layer: Layer) -> NDArray[Any]:
        """Raws for an integer layer, reals for a float64 one."""
        wanted = input_format(layer)
        if wanted is not None and values.dtype.kind == "f":
            return to_raw(values, wanted)
        if isinstance(layer, RealLinear | RealLstm | RealBidirectional) and form is not None:
            return to_real(values, form)
        return values

    def _layer(
        self,
        layer: Layer,
        values: NDArray[Any],
        recorder: Recorder,
        after: State,
        valid: NDArray[np.bool_] | None,
        reset: NDArray[np.bool_] | None,
    ) -> NDArray[Any]:
        course: dict[str, Any] = {"lengths": self.lengths, "reset": reset, "engine": self.engine}
        match layer:
            case Embedding():
                return layer.run(values, recorder, engine=self.engine)
            case Linear():
                return layer.run(values, recorder, engine=self.engine, threads=self.threads)
            case RealEmbedding() | RealLinear():
                return layer.run(values)
            case Reversal():
                return layer.run(values, lengths=self.lengths)
            case Lstm():
                output, after[layer.name] = layer.run(values, recorder, state=self._integer_state(layer), **course)
                return output
            case Bidirectional():
                output, states = layer.run(
                    values,
                    recorder,
                    state=(self._integer_state(layer.forward), self._integer_state(layer.backward)),
                    **course,
                    threads=self.threads,
                )
                after[layer.forward.name], after[layer.backward.name] = states
                return output
            case _:
                return self._real_lstm(layer, values, after, valid, reset)

    def _integer_state(self, layer: Lstm) -> LstmState | None:
        given = self.state.get(layer.name)
        return None if given is None else LstmState(np.asarray(given[0]), np.asarray(given[1]))

    def _real_lstm(
        self,
        layer: RealLstm | RealBidirectional,
        values: NDArray[Any],
        after: State,
        valid: NDArray[np.bool_] | None,
        reset: NDArray[np.bool_] | None,
    ) -> NDArray[Any]:
        outputs = []
        for part in directions(layer):
            assert isinstance(part, RealLstm)
            given = self.state.get(part.name)
            state = None if given is None else RealState(*(np.asarray(each, dtype=np.float64) for each in given))
            output, after[part.name] = part.run(values, state, valid=valid, reset=reset)
            outputs.append(output)
        return np.concatenate(outputs, axis=2)

    @staticmethod
    def _last(layer: Layer, after: State) -> NDArray[Any]:
        return np.concatenate([after[part.name][0] for part in directions(layer)], axis=1)


def _joined(results: Sequence[RunResult]) -> RunResult:
    recorder = Recorder()
    for result in results:
        recorder.merge(Recorder(counts=result.overflows))
    first = results[0]
    return RunResult(
        np.concatenate([result.values for result in results], axis=1),
        first.format,
        {
            name: (
                np.concatenate([result.state[name][0] for result in results]),
                np.concatenate([result.state[name][1] for result in results]),
            )
            for name in first.state
        },
        {name: np.concatenate([result.trace[name] for result in results], axis=1) for name in first.trace},
        recorder.counts,
    )


def valid_steps(lengths: ArrayLike | None, steps: int, batch: int) -> NDArray[np.bool_] | None:
    """The mask ``(T, N)`` of the steps within each sequence's length.

    Raises:
        InputError: lengths that are not ``(N,)`` integers in ``0..T``.
    """
    if lengths is None:
        return None
    counts = np.asarray(lengths)
    if counts.shape != (batch,) or counts.dtype.kind not in "iu":
        raise InputError(f"lengths must be {batch} integers, not {counts.dtype}{counts.shape}")
    if batch and not 0 <= int(counts.min()) <= int(counts.max()) <= steps:
        raise InputError(f"lengths must be in 0..{steps}, not {int(counts.min())}..{int(counts.max())}")
    return np.asarray(np.arange(steps)[:, None] < counts)


def checked_reset(reset: ArrayLike | None, steps: int, batch: int) -> NDArray[np.bool_] | None:
    """The mask ``(T, N)`` of resets.

    Raises:
        InputError: not booleans of that shape.
    """
    if reset is None:
        return None
    mask = np.asarray(reset)
    if mask.dtype != np.bool_ or mask.shape != (steps, batch):
        raise InputError(f"reset must be booleans of shape ({steps}, {batch}), not {mask.dtype}{mask.shape}")
    return mask
