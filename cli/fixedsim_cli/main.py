"""The command ``fixedsim``."""

import atexit
import errno
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from fixedsim.errors import FixedsimError
from fixedsim.version import VERSION
from fixedsim_cli import commands
from fixedsim_cli.groups import LazyGroup

_OBJECTS_PER_COLLECTION = 50_000  # importing makes hundreds of thousands that stay: looking through them takes 0.03 s


class CommandGroup(LazyGroup):
    """The commands of the program; shows errors as one message."""

    package = commands

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        """Read the command line; help is printed here."""
        with errors_as_messages():
            return super().make_context(*arguments, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a long wait for compiled kernels is announced."""
        from fixedsim_cli.announcement import announced_compilation

        before = gc.get_threshold()
        gc.set_threshold(_OBJECTS_PER_COLLECTION)
        try:
            with errors_as_messages(), announced_compilation():
                return super().invoke(ctx)
        finally:
            gc.set_threshold(*before)


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Let what is wrong with arguments, files and the machine end the program with one message and status 1."""
    try:
        yield
    except FixedsimError as error:
        raise click.ClickException(str(error)) from None
    except MemoryError:
        raise click.ClickException("memory must hold all inputs and results; give fewer at a time") from None
    except OSError as error:
        if error.errno == errno.EPIPE:  # click ends quietly where the reader of a pipe has gone
            raise
        reason = (error.strerror or str(error)).lower()
        raise click.ClickException(f"{error.filename or 'standard output'} must be usable, not {reason!r}") from None


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="fixedsim", message="%(prog)s %(version)s")
def main() -> None:
    """Bit-exact fixed-point simulation of recurrent neural networks.

    \b
    Example:
      fixedsim quantize network.safetensors --weight-bits 4 -o model.safetensors
      fixedsim run model.safetensors inputs.npy -o outputs.npz
    """


def program() -> NoReturn:
    """Run the command line and leave at once: to take Python, Numba and LLVM down module by module takes 0.1 s."""
    status = 0
    try:
        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads on, or the disk is full
        status = status or 1
    os._exit(status)
