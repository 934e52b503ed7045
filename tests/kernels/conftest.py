"""One test body over compiled and interpreted kernels."""

import pytest

from tests.kernels.engines import Engine, compiled_engine, interpreted_engine

ENGINES = {"compiled": compiled_engine, "interpreted": interpreted_engine}


@pytest.fixture(scope="session", params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    """The kernels, compiled and interpreted in turn."""
    made: Engine = ENGINES[request.param]()
    return made
