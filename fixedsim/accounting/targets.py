"""Memory targets: the block that a chip's memory is made of, as a TOML file that a person can read and edit."""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from fixedsim.errors import FileError, InputError, nearest

_BUILT_IN = resources.files("fixedsim.accounting") / "memories"
_MACRO = re.compile(r"sram:([1-9][0-9]{0,8})x([1-9][0-9]{0,8})")
_MOST_SHAPES = 16  # the search over bands can double with every shape


@dataclass(frozen=True, order=True)
class Shape:
    """One aspect ratio of a block: ``depth`` lines of ``width`` bits.

    Raises:
        InputError: a side below 1.
    """

    depth: int
    width: int

    def __post_init__(self) -> None:
        for side, value in (("depth", self.depth), ("width", self.width)):
            check_whole(f"{side} of a shape", value)

    @property
    def bits(self) -> int:
        """The bits of the block in this aspect ratio."""
        return self.depth * self.width

    def __str__(self) -> str:
        """``depth x width``, as data sheets write it."""
        return f"{self.depth}x{self.width}"


@dataclass(frozen=True)
class ConditionalShape:
    """The aspect ratio that a tool takes where every condition that is given holds."""

    shape: Shape
    word_bits_at_most: int | None = None
    words_at_least: int | None = None

    @property
    def unconditional(self) -> bool:
        """Whether it holds for every memory."""
        return self.word_bits_at_most is None and self.words_at_least is None

    def holds(self, words: int, word_bits: int) -> bool:
        """Whether a memory of ``words`` words of ``word_bits`` bits meets the conditions."""
        narrow = self.word_bits_at_most is None or word_bits <= self.word_bits_at_most
        return narrow and (self.words_at_least is None or words >= self.words_at_least)


@dataclass(frozen=True)
class MemoryTarget:
    """The memory of a chip: one kind of block, the aspect ratios it can take, and how tools fill it.

    Raises:
        InputError: no shape, a shape twice, an available count below 1, an estimate whose shape the block
            cannot take or whose last entry has a condition.
    """

    name: str
    summary: str
    block: str  # the vendor's name of one block: "RAMB36"
    shapes: tuple[Shape, ...]
    packed: bool = False  # floor(width / word) words stand in one line where the word is narrower than the block
    available: int | None = None  # blocks on the chip
    estimate: tuple[ConditionalShape, ...] = ()  # a tool's heuristic: the first entry that holds is taken

    def __post_init__(self) -> None:
        if not 1 <= len(self.shapes) <= _MOST_SHAPES:
            raise InputError(f"number of shapes must be in 1..{_MOST_SHAPES}, not {len(self.shapes)}")
        if len(set(self.shapes)) < len(self.shapes):
            raise InputError(f"shapes must be distinct, not {', '.join(map(str, self.shapes))}")
        if self.available is not None:
            check_whole("available", self.available)
        for entry in self.estimate:
            if entry.shape not in self.shapes:
                raise InputError(
                    f"shape of estimate must be one of {', '.join(map(str, self.shapes))}, not {entry.shape}"
                )
        if self.estimate and not self.estimate[-1].unconditional:
            raise InputError("last entry of estimate must be without a condition, not with one")

    @property
    def block_bits(self) -> int:
        """The bits of one block: those of its largest aspect ratio, spare (parity) bits counted."""
        return max(shape.bits for shape in self.shapes)


def check_whole(subject: str, value: object, least: int = 1) -> None:
    """Refuse what is not a whole number of at least ``least``.

    Raises:
        InputError: another type, or a smaller number.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{subject} must be a whole number of at least {least}, not {value!r}")


_Sides = Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]


class _Keys(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _EstimateKeys(_Keys):
    shape: _Sides
    word_bits_at_most: PositiveInt | None = None
    words_at_least: PositiveInt | None = None

    def value(self) -> ConditionalShape:
        return ConditionalShape(Shape(*self.shape), self.word_bits_at_most, self.words_at_least)


class _TargetKeys(_Keys):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    summary: str = ""
    block: str = Field(min_length=1)
    shapes: list[_Sides]
    packed: bool = False
    available: PositiveInt | None = None
    estimate: list[_EstimateKeys] = []

    def value(self) -> MemoryTarget:
        return MemoryTarget(
            self.name,
            self.summary,
            self.block,
            tuple(Shape(*sides) for sides in self.shapes),
            self.packed,
            self.available,
            tuple(entry.value() for entry in self.estimate),
        )


def memory_names() -> list[str]:
    """The names of the memory targets that ship."""
    return sorted(entry.name.removesuffix(".toml") for entry in _BUILT_IN.iterdir() if entry.name.endswith(".toml"))


def load_memory(name_or_path: str | Path) -> MemoryTarget:
    """The memory target of that name, of the .toml file at that path, or of a text ``sram:WORDSxBITS``.

    ``sram:1024x32`` is an SRAM macro of 1024 words of 32 bits, in which narrower words share a line.

    Raises:
        InputError: an unknown name, or a macro that is not ``sram:WORDSxBITS``.
        FileError: an unreadable file, not TOML, an unknown key or a value that is not allowed.
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        return _parse(_read(path), str(path))
    if name_or_path.startswith("sram:"):
        return _macro(name_or_path)
    return _shipped(name_or_path)


@lru_cache
def _shipped(name: str) -> MemoryTarget:
    if name not in memory_names():
        hint = nearest(name, memory_names())
        raise InputError(f"memory {name!r} is unknown{hint}; or give sram:WORDSxBITS or a path to a TOML file")
    return _parse((_BUILT_IN / f"{name}.toml").read_text(encoding="utf-8"), f"memory {name}")


def _macro(text: str) -> MemoryTarget:
    found = _MACRO.fullmatch(text)
    if not found:
        raise InputError(f"memory must be sram:WORDSxBITS with whole numbers from 1, not {text!r}")
    shape = Shape(int(found[1]), int(found[2]))
    return MemoryTarget(text, f"SRAM macros of {shape.depth} words of {shape.width} bits", "SRAM", (shape,), True)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} must be a readable TOML file: {error}") from None


def _parse(text: str, source: str) -> MemoryTarget:
    try:
        return _TargetKeys.model_validate(tomllib.loads(text)).value()
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{source} must be TOML: {error}") from None
    except ValidationError as error:
        raise FileError("\n".join(_explain(dict(entry), source) for entry in error.errors())) from None
    except InputError as error:
        raise FileError(f"{source}: {error}") from None


def _explain(entry: dict[str, Any], source: str) -> str:
    path = [str(part) for part in entry["loc"]]
    key = ".".join(path)
    if entry["type"] == "extra_forbidden":
        known = _TargetKeys.model_fields if len(path) == 1 else _EstimateKeys.model_fields
        return f"{source}: key {key!r} is unknown{nearest(path[-1], known)}"
    if entry["type"] == "missing":
        return f"{source}: key {key!r} is missing"
    if entry["type"] in ("too_short", "too_long"):  # only shapes have a length
        return f"{source}: {key} must be [depth, width], not {entry['input']!r}"
    constraint = entry["msg"].replace("Input should", "must").replace("String should", "must")
    return f"{source}: {key} {constraint}, not {entry['input']!r}"
