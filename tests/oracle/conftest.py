"""Says at the end how much was compared with other programs."""

import pytest

from tests.layers.comparison import report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the count of compared integers."""
    report(terminalreporter, "executors")
