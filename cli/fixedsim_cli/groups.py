"""Groups of commands: a file for each command, imported when it is used."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import click


class LazyGroup(click.Group):
    """Finds commands by the files of a package, and imports each when it is used."""

    package: ModuleType

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the files in the package."""
        return sorted(module.name for module in iter_modules(self.package.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, its module imported now; None where there is no such file."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = import_module(f"{self.package.__name__}.{cmd_name}").command
        return command


def lazy_group(package: ModuleType, **settings: Any) -> LazyGroup:
    """A group of the commands in a package."""
    group = LazyGroup(**settings)
    group.package = package
    return group
