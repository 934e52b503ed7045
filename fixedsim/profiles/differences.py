"""The choices in which two profiles differ."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from fixedsim.profiles.profile import Profile

_UNCHOSEN = ("name", "summary", "schema")


class Difference(NamedTuple):
    """One key of the TOML file by its path, and its value in each profile; None where it is left out."""

    key: str
    first: Any
    second: Any


def profile_differences(first: Profile, second: Profile) -> list[Difference]:
    """Every key whose value differs, defaults written out; name and summary are no choices."""
    left, right = (dict(_leaves(profile.model_dump(mode="json", by_alias=True), "")) for profile in (first, second))
    keys = list(dict.fromkeys([*left, *right]))
    return [
        Difference(key, left.get(key), right.get(key))
        for key in keys
        if key not in _UNCHOSEN and left.get(key) != right.get(key)
    ]


def _leaves(choices: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in choices.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
