"""The manifest of a golden set: what its files are, checked against a schema that ships."""

import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fixedsim.errors import FileError
from fixedsim.formats import Format

SCHEMA = 1
READABLE = (1,)
NAME = "manifest.json"
MAX_BYTES = 1 << 28
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_PART = "[A-Za-z0-9_@-][A-Za-z0-9_.@-]*"  # no part begins with a dot
RelativePath = Annotated[str, Field(pattern=rf"^{_PART}(/{_PART})*$", max_length=300)]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """A part of a manifest: no other keys than those named."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FileRecord(Record):
    """One file, with the SHA-256 of its bytes."""

    encoding: str
    path: RelativePath
    bytes: Count
    sha256: Digest


class FormatRecord(Record):
    """A format: ``real = scale * (raw - zero_point)``; words hold codes, ``docs/explanation/arithmetic.md``."""

    name: str
    bits: int
    raw_min: int
    raw_max: int
    raw_step: int
    scale: Annotated[str, Field(pattern=r"^[0-9]{1,400}(/[1-9][0-9]{0,399})?$")]
    zero_point: int

    @classmethod
    def of(cls, form: Format) -> "FormatRecord":
        """The record of a format."""
        return cls(
            name=form.name,
            bits=form.bits,
            raw_min=form.raw_min,
            raw_max=form.raw_max,
            raw_step=form.raw_step,
            scale=str(form.scale),
            zero_point=form.zero_point,
        )

    @property
    def format(self) -> Format:
        """The format itself."""
        return Format(self.bits, self.raw_min, self.raw_max, self.raw_step, Fraction(self.scale), self.zero_point)


class NarrowingRecord(Record):
    """How a signal is narrowed from ``source * multiplier / 2**shift``; the constants of rows stand in entries.

    ``function`` is what the source evaluates at the one signal that it reads, where it does; a table's values stand
    in the entry that it names.
    """

    reads: list[str]
    function: dict[str, Any] | None
    rounding: str
    overflow: str
    form: str
    primitive: str | None
    multiplier: int
    shift: int


class EntryRecord(Record):
    """One array: its axes, the format of its raws, how its words are laid out, and its files."""

    name: str
    role: Literal[
        "control",
        "input",
        "initial_state",
        "final_state",
        "signal",
        "output",
        "weight",
        "bias",
        "constant",
        "table",
    ]
    layer: str
    axes: list[str]
    shape: list[Count]
    format: FormatRecord
    layout: dict[str, Any]
    words: Count
    word_bits: Annotated[int, Field(ge=1, le=1024)]
    narrowing: NarrowingRecord | None
    files: list[FileRecord]

    def file(self, encoding: str) -> FileRecord | None:
        """The file of an encoding."""
        return next((each for each in self.files if each.encoding == encoding), None)


class CaseRecord(Record):
    """One sequence: the place of its first step, its length, and how it starts."""

    id: str
    flags: list[str]
    first: Count
    steps: Annotated[int, Field(ge=1)]
    start: Literal["reset", "continued", "injected"]
    resets: list[Count]


class GeneratorRecord(Record):
    """The program that wrote the set."""

    name: str
    version: str


class ModelRecord(Record):
    """The model, which stands in the set as a file."""

    name: str
    file: FileRecord
    layers: list[str]


class Manifest(Record):
    """Everything that a golden set says of itself. ``digest`` is the SHA-256 of all else, as canonical JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_version: int = Field(alias="schema")
    generator: GeneratorRecord
    arithmetic: int
    model: ModelRecord
    profile: dict[str, Any]
    level: str
    seed: int
    notes: dict[str, str]
    cases: list[CaseRecord]
    entries: list[EntryRecord]
    coverage: list[dict[str, Any]]
    digest: Digest

    @property
    def files(self) -> list[FileRecord]:
        """Every file of the set but the manifest."""
        return [self.model.file, *(file for entry in self.entries for file in entry.files)]

    def entry(self, name: str) -> EntryRecord:
        """The entry of a name.

        Raises:
            KeyError: there is none.
        """
        return {entry.name: entry for entry in self.entries}[name]


def root_digest(document: Mapping[str, Any]) -> str:
    """The SHA-256 of a manifest's document without its digest."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def written(document: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest, its digest added."""
    complete = {**document, "digest": root_digest(document)}
    Manifest.model_validate_json(json.dumps(complete))
    return (json.dumps(complete, indent=1, sort_keys=True) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a set, its schema, version and root digest checked.

    Raises:
        FileError: no manifest, one that is damaged, or one of a schema that this version does not know.
    """
    path = folder / NAME
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"{path} must be at most {MAX_BYTES} bytes, not {path.stat().st_size}")
        document = json.loads(path.read_bytes())
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise FileError(f"{folder} must be a golden set with a {NAME}, not {reason!r}") from None
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} must be JSON, not {str(error)[:100]!r}") from None
    if not isinstance(document, dict) or document.get("schema") not in READABLE:
        known = " or ".join(map(str, READABLE))
        found = document.get("schema") if isinstance(document, dict) else document
        raise FileError(
            f"{path}: schema must be {known}, not {str(found)[:40]!r}; another version of fixedsim wrote it"
        )
    try:
        manifest = Manifest.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise FileError(f"{path}: {where}: {first['msg'].replace('Input should', 'must')}") from None
    wanted = root_digest(document)
    if manifest.digest != wanted:
        raise FileError(f"{path}: digest must be {wanted}, that of the content, not {manifest.digest}")
    _check_names(manifest, path)
    _check_cases(manifest, path)
    return manifest


def _check_names(manifest: Manifest, path: Path) -> None:
    """Refuse a name that stands for two entries, or a path for two files.

    Raises:
        FileError: there is one.
    """
    for what, names in (
        ("entry", [entry.name for entry in manifest.entries]),
        ("path", [file.path for file in manifest.files]),
    ):
        ascending = sorted(names)
        twice = next((name for name, after in pairwise(ascending) if name == after), None)
        if twice is not None:
            raise FileError(f"{path}: {what} {twice!r} must be there once, not twice")


def _check_cases(manifest: Manifest, path: Path) -> None:
    """Refuse cases that do not follow one another, or that are reset outside their steps.

    Raises:
        FileError: there is one.
    """
    first = 0
    for case in manifest.cases:
        if case.first != first:
            raise FileError(f"{path}: first of case {case.id!r} must be {first}, not {case.first}")
        if any(not 1 <= step < case.steps for step in case.resets):
            raise FileError(f"{path}: resets of case {case.id!r} must be in 1..{case.steps - 1}, not {case.resets}")
        first += case.steps


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a manifest, which ships as ``manifest.schema.json``."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema(by_alias=True)}
