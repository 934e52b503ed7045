"""Names chosen by pattern: ``*``, ``?`` and ``[...]`` as in file names."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from fixedsim.errors import InputError, nearest


def matching(patterns: str | Iterable[str], names: Sequence[str], what: str) -> frozenset[str]:
    """The names that any of the patterns matches; ``what`` names their kind in errors.

    Raises:
        InputError: a pattern that matches none.
    """
    found: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        hits = {name for name in names if fnmatchcase(name, pattern)}
        if not hits:
            raise InputError(f"{what} must match a name, not {pattern!r}{nearest(pattern, names)}")
        found |= hits
    return frozenset(found)
