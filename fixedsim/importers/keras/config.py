"""Keras' configurations: plain JSON, whose values are checked where they are used. Nothing in them is executed."""

import json
from collections.abc import Mapping
from typing import Any

from fixedsim.errors import FileError, NetworkError

_SHOWN = 60  # characters of a value in a message
_REQUIRED: Any = object()


def parsed_json(text: str, subject: str) -> Any:
    """The value of a JSON text.

    Raises:
        FileError: it is not JSON, or an object in it has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{subject} must be JSON, not {str(error)[:200]!r}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object with a key twice")
    return found


class Config:
    """The object ``values`` of a configuration, called ``where`` in messages."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, Mapping):
            raise NetworkError(f"{where} must be an object, not {_short(values)}")
        self.values: Mapping[str, Any] = values
        self.where = where

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def get(self, key: str) -> Any:
        """The value as it stands, or None."""
        return self.values.get(key)

    def text(self, key: str, default: str = _REQUIRED) -> str:
        """A string.

        Raises:
            NetworkError: it is missing without a default, or something else.
        """
        value = self._value(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "text", value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false.

        Raises:
            NetworkError: it is something else.
        """
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def whole(self, key: str) -> int:
        """A positive whole number.

        Raises:
            NetworkError: it is missing or something else.
        """
        value = self._value(key, _REQUIRED)
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int or value < 1:
            raise self.wrong(key, "a positive whole number", value)
        return value

    def number(self, key: str, default: float) -> float:
        """A real number.

        Raises:
            NetworkError: it is something else.
        """
        value = self._value(key, default)
        if type(value) not in (int, float) or not -1e308 < value < 1e308:
            raise self.wrong(key, "a number", value)
        return float(value)

    def inner(self, key: str) -> "Config":
        """An object.

        Raises:
            NetworkError: it is missing or something else.
        """
        return Config(self._value(key, _REQUIRED), f"{self.where}: {key}")

    def listed(self, key: str) -> list[Any]:
        """A list.

        Raises:
            NetworkError: it is missing or something else.
        """
        value = self._value(key, _REQUIRED)
        if not isinstance(value, list):
            raise self.wrong(key, "a list", value)
        return value

    def wrong(self, key: str, constraint: str, value: Any) -> NetworkError:
        """The error that says what the value of ``key`` must be."""
        return NetworkError(f"{self.where}: {key} must be {constraint}, not {_short(value)}")

    def _value(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        if value is None and default is _REQUIRED:
            raise NetworkError(f"{self.where}: {key} must be given, not missing")
        return default if value is None else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
