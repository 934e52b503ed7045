"""Integers from a seed by a generator of our own: the same seed gives the same stimuli everywhere and for ever."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.formats import Format

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def words(seed: int, count: int) -> NDArray[np.uint64]:
    """``count`` 64-bit words of SplitMix64 (Steele, Lea and Flood 2014), whose state starts at ``seed``.

    Word ``i`` is ``mix(seed + (i + 1) * 0x9E3779B97F4A7C15)``; all arithmetic wraps at 64 bits.
    """
    steps = np.arange(1, count + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        state = steps * np.uint64(_GOLDEN) + np.uint64(seed & _MASK)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)), dtype=np.uint64)


def uniform_raws(form: Format, shape: tuple[int, ...], seed: int) -> NDArray[Any]:
    """Raws of a format, each as likely as the others but for the rest of a division: ``raw_min + word mod levels``.

    int64, of the shape given; formats of up to 63 bits.
    """
    drawn = words(seed, int(np.prod(shape)))
    codes = (drawn % np.uint64(form.levels)).astype(np.int64)
    return (form.raw_min + form.raw_step * codes).reshape(shape)
