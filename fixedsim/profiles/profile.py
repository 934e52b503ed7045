"""A profile: every arithmetic choice of one hardware target, as a TOML file that a person can read and edit."""

import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from fixedsim.errors import ProfileError, nearest
from fixedsim.profiles.choices import (
    AccumulatorChoices,
    ActivationChoices,
    BiasChoices,
    Choices,
    FunctionChoices,
    LinearChoices,
    LstmChoices,
    Requantization,
    RequantizeChoices,
    Scheme,
    WeightChoices,
)

SCHEMA = 1
_BUILT_IN = resources.files("fixedsim.profiles") / "data"
_POWERS_OF_TWO = (Scheme.POWER_OF_TWO, Scheme.FIXED)


class Profile(Choices):
    """Every arithmetic choice of one hardware target.

    Raises:
        ProfileError: by the loaders, an unknown key (with the nearest right one) or a value that is not allowed.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema", description="version of this file's layout")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="the profile's name")
    summary: str = Field(default="", description="one line for lists")
    weight: WeightChoices = WeightChoices.model_construct()
    activation: ActivationChoices = ActivationChoices.model_construct()
    bias: BiasChoices = BiasChoices.model_construct()
    accumulator: AccumulatorChoices = AccumulatorChoices.model_construct()
    requantize: RequantizeChoices = RequantizeChoices.model_construct()
    lstm: LstmChoices
    linear: LinearChoices
    sigmoid: FunctionChoices
    tanh: FunctionChoices

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schema_version != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, not {self.schema_version}")
        if self.requantize.form is Requantization.SHIFT and self.weight.scheme not in _POWERS_OF_TWO:
            raise ValueError(
                f"requantize.form must be multiplier or doubling, not shift, for weight.scheme {self.weight.scheme}"
            )
        if self.requantize.form is Requantization.SHIFT and self.activation.scheme not in _POWERS_OF_TWO:
            raise ValueError(
                f"requantize.form must be multiplier or doubling, not shift, "
                f"for activation.scheme {self.activation.scheme}"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """The choices as JSON values, formats by name; :meth:`from_dict` gives the profile back."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @staticmethod
    def from_dict(choices: dict[str, Any], source: str = "profile") -> "Profile":
        """The profile of a mapping as TOML or JSON gives it; ``source`` is named in errors."""
        try:
            return Profile.model_validate(choices)
        except ValidationError as error:
            raise ProfileError(_explain(error, source)) from None


def _explain(error: ValidationError, source: str) -> str:
    return "\n".join(_explain_one(dict(entry), source) for entry in error.errors())


def _explain_one(entry: dict[str, Any], source: str) -> str:
    path = [str(part) for part in entry["loc"]]
    key = ".".join(path)
    if entry["type"] == "extra_forbidden":
        return f"{source}: key {key!r} is unknown{nearest(path[-1], _keys(path[:-1]))}"
    if entry["type"] == "missing":
        return f"{source}: key {key!r} is missing"
    cause = entry.get("ctx", {}).get("error")
    if cause:
        return f"{source}: {key + ': ' if key else ''}{cause}"
    return f"{source}: {key} {entry['msg'].replace('Input should', 'must')}, not {entry['input']!r}"


def _keys(path: Iterable[str]) -> list[str]:
    model: type[BaseModel] = Profile
    for part in path:
        if part.isdigit():  # a position in a list of tables
            continue
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel))
    return [field.alias or name for name, field in model.model_fields.items()]


def profile_names() -> list[str]:
    """The names of the profiles that ship."""
    return sorted(entry.name.removesuffix(".toml") for entry in _BUILT_IN.iterdir() if entry.name.endswith(".toml"))


def profile_text(name: str) -> str:
    """The TOML text of a profile that ships, comments included.

    Raises:
        ProfileError: no such profile.
    """
    if name not in profile_names():
        raise ProfileError(
            f"profile {name!r} is unknown{nearest(name, profile_names())}; or give a path to a TOML file"
        )
    return (_BUILT_IN / f"{name}.toml").read_text(encoding="utf-8")


def load_profile(source: str | Path | Profile) -> Profile:
    """The profile of that name, or of the TOML file at that path.

    Raises:
        ProfileError: unknown name, unreadable file, not TOML, an unknown key or a value that is not allowed.
    """
    if isinstance(source, Profile):
        return source
    path = Path(source)
    if isinstance(source, str) and path.suffix != ".toml":
        return _shipped(source)
    return _parsed(_read(path), str(path))


@lru_cache
def _shipped(name: str) -> Profile:
    return _parsed(profile_text(name), f"profile {name}")


def _parsed(text: str, label: str) -> Profile:
    try:
        return Profile.from_dict(tomllib.loads(text), label)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{label} must be TOML: {error}") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path} must be a readable TOML file: {error}") from None
