"""The programs of others, each on one thread. A program that is not installed raises MissingError by its name."""

from importlib import import_module
from typing import Any

from tests.benchmarks.measure import MissingError


def required(module: str, program: str) -> Any:
    """The module of a program.

    Raises:
        MissingError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingError(f"{program} is not installed") from None
