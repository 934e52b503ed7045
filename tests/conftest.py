"""Which tests run, how Hypothesis chooses its examples, and where recorded material is found."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.layers.comparison import COMPARED, report

# Deterministic unless asked otherwise: the same examples on every machine and in every run.
settings.register_profile("deterministic", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("explore", derandomize=False, deadline=None, print_blob=True)

OWN_LANES = {"slow", "oracles", "benchmarks"}


def pytest_configure(config: pytest.Config) -> None:
    """Load a Hypothesis profile and, in CI, turn warnings into errors."""
    if not config.getoption("--hypothesis-profile"):
        seeded = config.getoption("--hypothesis-seed") is not None
        settings.load_profile("explore" if seeded else "deterministic")
    if os.environ.get("CI"):
        config.getini("filterwarnings").insert(0, "error")  # first, so that a test's own filter still wins


def pytest_report_header(config: pytest.Config) -> str:
    """Name the Hypothesis profile and seed, so that a failure can be repeated."""
    seed = config.getoption("--hypothesis-seed")
    examples = "the same in every run" if settings().derandomize else f"from seed {seed or 'printed on failure'}"
    return f"hypothesis: profile {settings.get_current_profile_name()}, examples {examples}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of every lane in ``OWN_LANES`` that ``-m`` does not name."""
    named = set(re.findall(r"\w+", config.getoption("-m")))
    absent = OWN_LANES - named
    left_out = [item for item in items if any(item.get_closest_marker(lane) for lane in absent)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a worker, hand over how much was compared."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["compared"] = dict(COMPARED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker compared."""
    COMPARED.update(getattr(node, "workeroutput", {}).get("compared", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the counts of compared integers."""
    report(terminalreporter)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recorded material: ``FIXEDSIM_SHARED``, or ``shared`` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("FIXEDSIM_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"needs the folder of recorded material, and {folder} is not there; set FIXEDSIM_SHARED")
    return folder
