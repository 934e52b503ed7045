"""One test body for compiled and for interpreted kernels."""

import numba
import pytest

from tests.kernels.engines import Engine, compiled_engine, interpreted_engine

ENGINES = {"compiled": compiled_engine, "interpreted": interpreted_engine}


INTERPRETED = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]


@pytest.fixture(scope="session", params=["interpreted" if INTERPRETED else "compiled"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """The kernels: compiled, or interpreted in the lane with the JIT off."""
    made: Engine = ENGINES[request.param]()
    return made
