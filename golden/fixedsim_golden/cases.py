"""Cases: the sequences of a golden set, how each starts, and why it is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
RESET_BIT, LAST_BIT, INJECT_BIT = 1, 2, 4  # of a step's control word

FLAGS: Mapping[str, str] = {
    "minimum": "All inputs at their lowest raw: a sign lost or extended wrongly, a low saturation that is missing.",
    "maximum": "All inputs at their highest raw: a high saturation that is missing, an accumulator that is too narrow.",
    "alternating": "Highest and lowest raws in turn: products of both signs, an accumulator that passes through zero.",
    "single": "One input at its highest raw, the others at zero: inputs or weights in a wrong order, a lane too few.",
    "zero": "Inputs that mean zero: a bias that is missing, doubled or shifted wrongly.",
    "extreme": "The inputs, and the state, that drive one row's accumulator furthest: an accumulator one bit short.",
    "random": "Raws drawn evenly: what no other case is about.",
    "one-step": "A sequence of one step: control that needs a second step to finish.",
    "long": "A long sequence: errors that add up in the state.",
    "continued": "The state of the sequence before is carried over: a state that is cleared or not written back.",
    "reset": "A reset in mid-sequence: a cell or hidden state that survives it.",
    "lengths": "Sequences of different lengths one after the other: a backward direction that starts at a fixed step.",
    "injected": "Starts from a state that was put in from outside: it reaches what inputs alone may not.",
    "tokens": "Every token of the vocabulary, or a spread over it: a wrong address of the embedding.",
    "multiplier": "Sums that change with one more or less in the multiplier of their row: a multiplier that is cut.",
    "search": "Found by search: it hits corners of casts and tables that the cases before had missed.",
    "user": "Inputs from a file of the user's.",
}


class Start(StrEnum):
    """The state that a sequence starts from."""

    RESET = "reset"  # the initial state
    CONTINUED = "continued"  # the state after the sequence before
    INJECTED = "injected"  # raws that the case brings


@dataclass(frozen=True, eq=False)
class Case:
    """One sequence.

    ``inputs`` are raws ``(T, features)``, or tokens ``(T,)``. ``state`` maps each LSTM to raws ``(h, c)`` for an
    injected start. ``resets`` are steps after the first before which the state is put back.
    """

    id: str
    flags: tuple[str, ...]
    inputs: Integers
    start: Start = Start.RESET
    state: Mapping[str, tuple[Integers, Integers]] = field(default_factory=dict)
    resets: tuple[int, ...] = ()

    @property
    def steps(self) -> int:
        """The length of the sequence."""
        return len(self.inputs)

    @property
    def control(self) -> Integers:
        """A control word for each step ``(T,)``: 1 reset before it, 2 last of the sequence, 4 state put in before."""
        words = np.zeros(self.steps, dtype=np.int64)
        words[0] |= {Start.RESET: RESET_BIT, Start.CONTINUED: 0, Start.INJECTED: INJECT_BIT}[self.start]
        words[list(self.resets)] |= RESET_BIT
        words[-1] |= LAST_BIT
        return words
