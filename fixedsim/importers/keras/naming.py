"""Layer names from those of a trainer."""

import re

MAX_LENGTH = 100  # leaves room for what makes a name unique


class Names:
    """Gives each name once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def unique(self, text: str) -> str:
        """``text`` with ``:`` and ``/`` as dots and other characters as ``_``; a number behind it if it was given."""
        parts = [re.sub(r"[^A-Za-z0-9_-]", "_", part) for part in re.split(r"[./:\\]+", text) if part]
        base = ".".join(parts)[:MAX_LENGTH].strip(".") or "layer"
        name, number = base, 2
        while name in self._given:
            name, number = f"{base}_{number}", number + 1
        self._given.add(name)
        return name
