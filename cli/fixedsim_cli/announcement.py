"""What a person sees while kernels are compiled: one line, where standard error is a terminal."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

MESSAGE = "Compiling kernels for this CPU: this happens once and takes up to a minute."
_LOGGER = "fixedsim.kernels.compilation"


class _Announcement(logging.Handler):
    """Says once that kernels are compiled."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.said = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.said:
            self.said = True
            click.echo(MESSAGE, err=True)


@contextmanager
def announced_compilation() -> Iterator[None]:
    """Say it once on standard error if kernels are compiled meanwhile; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    logger, handler = logging.getLogger(_LOGGER), _Announcement()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
