"""Help, and what it costs: no module that takes long to import."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fixedsim.selftest import FamilyReport, SelfTestReport
from fixedsim.version import VERSION
from fixedsim_cli.main import main
from tests.cli.conftest import Command

HEAVY = ("numpy", "numba", "scipy", "pydantic", "rich", "safetensors")
REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "command-line.md"
COMMANDS = {"compile", "evaluate", "export", "import", "inspect", "profile", "quantize", "run", "selftest", "sweep"}


def all_commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of every command, those of groups too."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        yield (*path, name)
        if isinstance(found, click.Group):
            yield from all_commands(found, (*path, name))


def test_version_and_commands(fixedsim: Command) -> None:
    assert fixedsim("--version").output == f"fixedsim {VERSION}\n"
    text = fixedsim("--help").output
    assert set(main.list_commands(click.Context(main))) >= COMMANDS
    shown = {line.split()[0]: line for line in text.split("Commands:\n")[1].splitlines()}
    assert all(shown[name].endswith(".") and "..." not in shown[name] for name in COMMANDS)  # no summary is cut off


@pytest.mark.parametrize("path", sorted(all_commands()))
def test_every_command_has_help_with_an_example(fixedsim: Command, path: tuple[str, ...]) -> None:
    text = fixedsim(*path, "--help").output
    assert f"Usage: fixedsim {' '.join(path)} " in text
    assert text.count("Example:\n  ") == 1
    assert f"\n    fixedsim {' '.join(path)}" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["quantize", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from fixedsim_cli.main import main\n"
        f"main({arguments}, standalone_mode=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_only_the_command_that_is_used_is_imported() -> None:
    program = (
        "import sys\n"
        "from fixedsim_cli.main import main\n"
        "main(['profile', '--help'], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.startswith('fixedsim_cli.commands.')])\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['fixedsim_cli.commands.profile']"


@pytest.mark.parametrize(("differences", "status", "verdict"), [(0, 0, "equal"), (2, 1, "differ from")])
def test_selftest_ends_by_its_differences(
    fixedsim: Command, monkeypatch: pytest.MonkeyPatch, differences: int, status: int, verdict: str
) -> None:
    first = "half_up [3]: expected 1, not 2" if differences else ""
    report = SelfTestReport((FamilyReport("casts", 4321, differences, first),))
    monkeypatch.setattr("fixedsim.selftest.selftest", lambda effort: report)
    text = fixedsim("selftest", status=status).output
    assert text.splitlines()[1].split() == ["casts", "4,321", str(differences)]
    assert f"the kernels {verdict} the specification: 4,321 integers, {differences} differences" in text
    assert first in text
    assert fixedsim("selftest", "--json", status=status).stdout.startswith('{\n  "effort": 1,')


@pytest.mark.parametrize("path", [path for path in sorted(all_commands()) if path[0] in COMMANDS])
def test_the_reference_names_every_option(path: tuple[str, ...]) -> None:
    sections = REFERENCE.read_text("utf-8").split("\n## fixedsim ")
    section = next(text for text in sections if text.startswith(f"{path[0]}\n"))
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or f"`{parameter.opts[0]}" in section
