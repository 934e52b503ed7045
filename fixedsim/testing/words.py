"""Numbers from a seed for what is too large to be drawn one by one."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.formats import Format

Integers = NDArray[np.int64]
SEEDS = st.integers(0, (1 << 64) - 1)


class Words:
    """64-bit words of SplitMix64 from a seed: the same on every machine and under every NumPy."""

    def __init__(self, seed: int) -> None:
        self.state = np.uint64(seed)

    def words(self, count: int) -> NDArray[np.uint64]:
        """The next words."""
        with np.errstate(over="ignore"):
            steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            mixed = self.state + steps
            self.state = mixed[-1] if count else self.state
            for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
                mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        return mixed ^ (mixed >> np.uint64(31))

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Integers:
        """Integers of ``low .. high``, a range of less than 2**63."""
        places = self.words(int(np.prod(shape))) % np.uint64(high - low + 1)
        return low + places.astype(np.int64).reshape(shape)

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Reals of ``low .. high``, multiples of ``(high - low) / 2**53``."""
        shares = (self.words(int(np.prod(shape))) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
        return low + (high - low) * shares.reshape(shape)

    def raws(self, form: Format, shape: tuple[int, ...], *, ends: bool = False) -> Integers:
        """Raws of a format; one half, or all of them with ``ends``, at an end of it."""
        last = form.levels - 1
        places = self.integers(0, last, shape)
        at_end = np.where(self.integers(0, 1, shape) == 1, last, 0)
        chosen = np.where(self.integers(0, 1, shape) == 1, at_end, places)
        return form.raw_min + form.raw_step * (at_end if ends else chosen)
