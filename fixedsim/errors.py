"""What can go wrong, as one family of exceptions.

Messages follow one grammar: ``<subject> must be <constraint>, not <value>[; <fix>]``, with the file
and the key named where there is one. Everything that fixedsim raises on purpose is a
:class:`FixedsimError`; the command line prints its message without a traceback.
"""

from collections.abc import Iterable


class FixedsimError(Exception):
    """Base of everything that fixedsim raises on purpose."""


class FormatError(FixedsimError):
    """A format, a cast or a raw value is not possible."""


class ProfileError(FixedsimError):
    """A profile or a choice in it is not possible."""


class NetworkError(FixedsimError):
    """A network description or its float weights are not usable."""


class ModelError(FixedsimError):
    """An integer layer or model cannot be built as asked."""


class InputError(FixedsimError):
    """Data handed to a run (inputs, state, lengths, tokens) do not fit."""


class FileError(FixedsimError):
    """A file is missing, damaged, hostile or of another kind."""


class DependencyError(FixedsimError):
    """An optional package is needed and not installed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known name closest to ``name``, else a list of them."""
    from difflib import get_close_matches  # takes its time to import

    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"
