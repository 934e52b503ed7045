"""Read descriptions: TOML files of the user's, and the presets that ship."""

import tomllib
from importlib.resources import files
from pathlib import Path

from fixedsim.errors import FileError, NetworkError, nearest
from fixedsim.files import unreadable
from fixedsim.network.description import Description
from fixedsim.network.schema import DescriptionFileSchema, validated

MAX_FILE_BYTES = 1 << 20
_SUFFIX = ".toml"


def read_description(path: Path) -> tuple[Description, Path | None]:
    """The description in a TOML file, and its weights file where the key ``weights`` names one.

    ``weights`` is relative to the folder of the TOML file.

    Raises:
        FileError: the file is missing, too large or not TOML.
        NetworkError: its content is not a network description.
    """
    schema = validated(DescriptionFileSchema, _parsed(_text(path), str(path)), str(path))
    weights = None if schema.weights is None else path.parent / schema.weights
    return Description.from_schema(schema, str(path)), weights


def preset_names() -> tuple[str, ...]:
    """The names of the presets, sorted."""
    names = (entry.name for entry in (files("fixedsim.network") / "presets").iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def preset(name: str) -> Description:
    """The preset called ``name``.

    Raises:
        NetworkError: no preset has that name.
    """
    known = preset_names()
    if name not in known:
        raise NetworkError(f"preset must be a known name, not {name!r}{nearest(name, known)}")
    text = (files("fixedsim.network") / "presets" / f"{name}{_SUFFIX}").read_text("utf-8")
    return Description.from_dict(_parsed(text, name), name)


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise FileError(f"{path} must be at most {MAX_FILE_BYTES} bytes long, not {size}")
        return path.read_text("utf-8")
    except OSError as error:
        raise unreadable(path, error) from None
    except UnicodeDecodeError:
        raise FileError(f"{path} must be UTF-8 text, not other bytes") from None


def _parsed(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(f"{source} must be TOML, not {str(error)!r}") from None
