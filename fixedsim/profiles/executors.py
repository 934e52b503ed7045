"""Executors of .tflite files: named profiles that differ from each other in single choices."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from fixedsim.errors import ProfileError, nearest
from fixedsim.profiles.profile import Profile, load_profile

_FILE = resources.files("fixedsim.profiles") / "executors.toml"
DEFAULT_EXECUTOR = "litert-reference"


@cache
def _executors() -> dict[str, dict[str, Any]]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def executor_names() -> list[str]:
    """The names of the executors."""
    return sorted(_executors())


def executor_summary(name: str) -> str:
    """One line on an executor that is known."""
    return str(_executors()[name]["summary"])


def executor_profile(name: str) -> Profile:
    """The profile of an executor: that of its program, with its own rules for fully connected layers.

    Raises:
        ProfileError: no such executor.
    """
    if name not in _executors():
        raise ProfileError(f"executor {name!r} is unknown{nearest(name, _executors())}")
    entry = _executors()[name]
    own = {key: value for key, value in entry.items() if key not in ("profile", "summary")}
    choices = load_profile(str(entry["profile"])).to_dict()
    return Profile.from_dict(_merged(choices, own) | {"name": name}, f"executor {name}")


def any_profile(source: str) -> Profile:
    """The profile of an executor, or the one that :func:`load_profile` finds under a name or at a path.

    Raises:
        ProfileError: neither.
    """
    return executor_profile(source) if source in _executors() else load_profile(source)


def _merged(choices: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``choices`` with those of ``own`` in their place, tables merged."""
    merged = dict(choices)
    for key, value in own.items():
        before = merged.get(key)
        merged[key] = _merged(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return merged
