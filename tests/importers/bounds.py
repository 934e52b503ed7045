"""What every import of a damaged file must keep to: an error of ours or finite weights, within time and memory."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from fixedsim.errors import FixedsimError
from fixedsim.importers.imported import Imported
from fixedsim.network import Network


@contextmanager
def bounded(seconds: float, most: int, clock: Callable[[], float] = time.process_time) -> Iterator[None]:
    """What is done here takes at most so long by ``clock``, and ``most`` bytes; ``tracemalloc`` must be running."""
    tracemalloc.reset_peak()
    start, before = clock(), tracemalloc.get_traced_memory()[0]
    yield
    assert clock() - start < seconds
    assert tracemalloc.get_traced_memory()[1] - before < most


def gives_network(read: Callable[[], Imported]) -> bool:
    """Whether reading gave a network, whose weights are then finite, and not an error of ours."""
    try:
        imported = read()
        network = Network(imported.description, imported.weights)
    except FixedsimError:
        return False
    assert all(np.isfinite(weight).all() for weight in network.weights.values())
    return True
