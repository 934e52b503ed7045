"""The choices in which two profiles differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fixedsim.profiles.profile import Profile

_UNCHOSEN = ("name", "summary", "schema")


class Difference(NamedTuple):
    """One key of the TOML file by its path, and its value in each profile; None where it is left out."""

    key: str
    first: Any
    second: Any


def profile_differences(first: Profile, second: Profile) -> list[Difference]:
    """Every key whose value differs, defaults written out; name and summary are no choices.

    A table that one profile leaves out is one difference: its keys that are no defaults.
    """
    ours, theirs = (profile.model_dump(mode="json", by_alias=True) for profile in (first, second))
    short = [profile.model_dump(mode="json", by_alias=True, exclude_defaults=True) for profile in (first, second)]
    kept = [{key: value for key, value in choices.items() if key not in _UNCHOSEN} for choices in (ours, theirs)]
    return list(_differences("", kept, short))


def _differences(
    prefix: str, full: Sequence[Mapping[str, Any]], short: Sequence[Mapping[str, Any]]
) -> Iterator[Difference]:
    for key in dict.fromkeys([*full[0], *full[1]]):
        values = [choices.get(key) for choices in full]
        if values[0] == values[1]:
            continue
        inner = [choices.get(key, {}) for choices in short]
        if all(isinstance(value, dict) for value in values):
            yield from _differences(f"{prefix}{key}.", values, inner)  # type: ignore[arg-type]
        else:
            shown = (own if isinstance(value, dict) else value for value, own in zip(values, inner, strict=True))
            yield Difference(f"{prefix}{key}", *shown)
