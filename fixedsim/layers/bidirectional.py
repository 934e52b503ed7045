"""The bidirectional LSTM on integers: one over each sequence as it is, one over it reversed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.layers.lstm import Lstm, State
from fixedsim.layers.recorder import Recorder, Signal

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bidirectional:
    """``output[t] = concatenate(forward[t], backward[t])``, both in the order of the input.

    The backward layer reads each sequence from its own last step to its first. Both layers share the formats of their
    inputs and of their hidden states.
    """

    name: str
    forward: Lstm
    backward: Lstm

    def __post_init__(self) -> None:
        for what in ("hidden", "input"):
            ahead, back = (_format(part, what) for part in (self.forward, self.backward))
            if ahead != back:
                raise ModelError(
                    f"{what} formats of {self.name} must be the same in both directions, not "
                    f"{ahead.name} and {back.name}"
                )

    @property
    def input_format(self) -> Format:
        """The format of the input raws."""
        return self.forward.input_format

    @property
    def output_format(self) -> Format:
        """The format of the output raws."""
        return self.forward.output_format

    def signals(self) -> list[Signal]:
        """Every signal of both directions, and the concatenated output."""
        outputs = self.forward.outputs + self.backward.outputs
        output = Signal(f"{self.name}.output", outputs, self.output_format)
        return [*self.forward.signals(), *self.backward.signals(), output]

    def run(
        self,
        inputs: NDArray[np.integer[Any]],
        recorder: Recorder,
        *,
        state: tuple[State | None, State | None] = (None, None),
        lengths: Integers | None = None,
        reset: NDArray[np.bool_] | None = None,
        engine: str = "kernels",
        threads: int = 1,
    ) -> tuple[NDArray[np.integer[Any]], tuple[State, State]]:
        """The outputs ``(steps, batch, outputs)`` and both states; with 2 threads the directions run side by side.

        ``reset[t, n]`` puts a direction's state back before it reads step ``t``.
        """
        order = reversal(inputs.shape[0], inputs.shape[1], lengths)
        backward_inputs = np.take_along_axis(inputs, order[:, :, None], axis=0)
        backward_reset = None if reset is None else np.take_along_axis(reset, order, axis=0)
        parts = [Recorder(recorder.wanted), Recorder(recorder.wanted)]

        def ahead_run() -> tuple[NDArray[np.integer[Any]], State]:
            return self.forward.run(inputs, parts[0], state=state[0], lengths=lengths, reset=reset, engine=engine)

        def back_run() -> tuple[NDArray[np.integer[Any]], State]:
            return self.backward.run(
                backward_inputs, parts[1], state=state[1], lengths=lengths, reset=backward_reset, engine=engine
            )

        (ahead, ahead_state), (back, back_state) = _both(ahead_run, back_run, threads)
        output = np.concatenate([ahead, np.take_along_axis(back, order[:, :, None], axis=0)], axis=2)
        parts[1].traces = {
            name: np.take_along_axis(trace, order[:, :, None], axis=0) for name, trace in parts[1].traces.items()
        }
        for part in parts:
            recorder.merge(part)
        recorder.record(f"{self.name}.output", output)
        return output, (ahead_state, back_state)


def _format(part: Lstm, what: str) -> Format:
    return part.input_format if what == "input" else part.output_format


def reversal(steps: int, batch: int, lengths: Integers | None) -> Integers:
    """Indices ``(steps, batch)`` that reverse each sequence within its length and leave what lies past it."""
    ends = np.full(batch, steps) if lengths is None else lengths
    step = np.arange(steps)[:, None]
    return np.where(step < ends, ends - 1 - step, step)


def _both(
    first: Callable[[], tuple[NDArray[np.integer[Any]], State]],
    second: Callable[[], tuple[NDArray[np.integer[Any]], State]],
    threads: int,
) -> tuple[tuple[NDArray[np.integer[Any]], State], tuple[NDArray[np.integer[Any]], State]]:
    if threads == 1:
        return first(), second()
    with ThreadPoolExecutor(max_workers=1) as pool:
        other = pool.submit(second)
        return first(), other.result()
