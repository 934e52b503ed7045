"""One test body over compiled and interpreted kernels."""

import numba
import pytest

from tests.kernels.engines import Engine, compiled_engine, interpreted_engine

ENGINES = {"compiled": compiled_engine, "interpreted": interpreted_engine}


def engines() -> list[str]:
    """Both; of a lane with the JIT off, or with bounds checked, the one that the lane is for."""
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return ["interpreted"]
    return ["compiled"] if numba.config.BOUNDSCHECK else sorted(ENGINES)  # type: ignore[attr-defined]


@pytest.fixture(scope="session", params=engines())
def engine(request: pytest.FixtureRequest) -> Engine:
    """The kernels, compiled and interpreted in turn."""
    made: Engine = ENGINES[request.param]()
    return made
