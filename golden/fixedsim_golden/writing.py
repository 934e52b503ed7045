"""Write a golden set in one step: a killed run leaves the old set or none."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from fixedsim.errors import FileError, InputError, nearest
from fixedsim.model import Model
from fixedsim.model.model import ARITHMETIC
from fixedsim.profiles.datapath import Activation, LookupTable
from fixedsim.version import VERSION
from fixedsim_golden.cases import FLAGS, Case
from fixedsim_golden.encodings import ENCODINGS, Layout, to_words, write_npy
from fixedsim_golden.manifest import NAME, SCHEMA, FormatRecord, written
from fixedsim_golden.playing import Entry, play, require_integers
from fixedsim_golden.stages import Applied, Stage, stages
from fixedsim_golden.tensors import GATE_ROWS, named_tables, stored, with_bias

MODEL_FILE = "model.safetensors"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Files:
    """Which files are written: ``.npy`` always, and the encodings named.

    ``tensors`` lays out weight matrices (its gate order the constants of their rows too), ``signals`` what has a value
    for each unit. ``with_bias`` adds matrices that have the bias as their last column.
    """

    encodings: Sequence[str] = ("hex",)
    tensors: Layout = field(default_factory=Layout)
    signals: Layout = field(default_factory=Layout)
    with_bias: bool = False

    def __post_init__(self) -> None:
        for name in self.encodings:
            if name not in ENCODINGS:
                raise InputError(
                    f"encoding must be one of {', '.join(ENCODINGS)}, not {name!r}{nearest(name, ENCODINGS)}"
                )


def write(
    model: Model,
    folder: Path | str,
    cases: Sequence[Case],
    *,
    signals: Sequence[str] = ("*",),
    files: Files | None = None,
    level: str = "user",
    seed: int = 0,
    coverage: Sequence[dict[str, Any]] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the golden set of a model: its integers, the stimuli of the cases, and the signals that they give.

    Args:
        model: without layers in floating point.
        folder: where the set goes; it must not exist, unless ``force`` is given and it holds a set.
        cases: the sequences, in order.
        signals: patterns of the signals to keep.
        files: encodings and layouts.
        level, seed, coverage: what the manifest says of how the cases were made and what they reach.
        force: put the set in the place of one that is there.
        progress: called with the count of files done and the count of all.

    Raises:
        InputError: as :func:`fixedsim_golden.playing.play`, or a layout that the entries do not have.
        FileError: a folder that cannot be written, or that is there already.
    """
    target, chosen = Path(folder), files or Files()
    require_integers(model)
    _check_target(target, force)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        try:
            temporary.mkdir()
            document = _fill(temporary, model, cases, signals, chosen, progress)
            document |= {"level": level, "seed": seed, "coverage": list(coverage)}
            _write_file(temporary / NAME, written(document))
            _put(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        reason = (error.strerror or "unwritable").lower()
        raise FileError(f"{target} must be a folder that can be written, not {reason!r}") from None


def _check_target(target: Path, force: bool) -> None:
    if not target.parent.is_dir():
        raise FileError(f"{target} must be in a folder that exists, not in {target.parent}; make it first")
    if not target.exists():
        return
    if not force:
        raise FileError(f"{target} must not exist; choose another folder, or --force to replace a set")
    if not (target / NAME).is_file():
        raise FileError(f"{target} must be a golden set to be replaced, not something without a {NAME}")


def _put(temporary: Path, target: Path) -> None:
    """Move the folder into its place; what is there goes first out of the way, then for good."""
    for folder in (*(path for path in temporary.rglob("*") if path.is_dir()), temporary):
        _sync(folder)
    old = target.with_name(f".{target.name}.{secrets.token_hex(8)}.old")
    if target.exists():
        target.rename(old)
    try:
        temporary.rename(target)
        _sync(target.parent)
    except BaseException:
        with suppress(OSError):
            if not temporary.exists():
                target.rename(temporary)
        with suppress(OSError):
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_file(path: Path, content: bytes) -> dict[str, Any]:
    """Write a new file to the disk, and return its size and digest."""
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _fill(
    folder: Path,
    model: Model,
    cases: Sequence[Case],
    signals: Sequence[str],
    files: Files,
    progress: Progress | None,
) -> dict[str, Any]:
    """Write the model and every entry; return the manifest's document."""
    model.save(folder / MODEL_FILE)
    content = (folder / MODEL_FILE).read_bytes()
    saved = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    tensors = stored(model)
    entries = [*play(model, cases, signals), *tensors, *(with_bias(tensors) if files.with_bias else ())]
    narrowings = described_narrowings(model)
    records = []
    for place, entry in enumerate(entries):
        records.append(_entry(folder, entry, files, narrowings.get(entry.name)))
        if progress is not None:
            progress(place + 1, len(entries))
    flags = {flag for case in cases for flag in case.flags}
    return {
        "schema": SCHEMA,
        "generator": {"name": "fixedsim", "version": VERSION},
        "arithmetic": ARITHMETIC,
        "model": {
            "name": model.name,
            "file": {"encoding": "safetensors", "path": MODEL_FILE, **saved},
            "layers": [layer.name for layer in model.layers],
        },
        "profile": dict(model.profile),
        "notes": {flag: note for flag, note in FLAGS.items() if flag in flags},
        "cases": list(_cases(cases)),
        "entries": records,
    }


def _cases(cases: Iterable[Case]) -> Iterable[dict[str, Any]]:
    first = 0
    for case in cases:
        yield {
            "id": case.id,
            "flags": list(case.flags),
            "first": first,
            "steps": case.steps,
            "start": str(case.start),
            "resets": list(case.resets),
        }
        first += case.steps


def _entry(folder: Path, entry: Entry, files: Files, narrowing: dict[str, Any] | None) -> dict[str, Any]:
    layout = layout_of(entry, files)
    words = to_words(entry.raws, entry.format, layout)
    path = f"npy/{entry.name}.npy"
    records = [{"encoding": "npy", "path": path, **_write_file(folder / path, write_npy(entry.raws, entry.format))}]
    for name in files.encodings:
        encoding = ENCODINGS[name]
        path = f"{name}/{entry.name}{encoding.suffix}"
        content = encoding.write(words, entry.name)
        records.append({"encoding": name, "path": path, **_write_file(folder / path, content)})
    return {
        "name": entry.name,
        "role": entry.role,
        "layer": entry.layer,
        "axes": list(entry.axes),
        "shape": list(entry.raws.shape),
        "format": FormatRecord.of(entry.format).model_dump(),
        "layout": layout.to_dict(),
        "words": len(words),
        "word_bits": words.word_bits,
        "narrowing": narrowing,
        "files": records,
    }


def layout_of(entry: Entry, files: Files) -> Layout:
    """How the words of an entry are laid out: matrices may be transposed, gates reordered, and lanes filled."""
    signals = ("input", "signal", "output", "initial_state", "final_state")
    if entry.role in signals and entry.axes[-1] == "unit":
        return files.signals
    gates = files.tensors.gate_order if entry.axes[0] == GATE_ROWS else None
    if len(entry.axes) == 2 and entry.role == "weight":
        return replace(files.tensors, gate_order=gates)
    return Layout(gate_order=gates)


def described_narrowings(model: Model) -> dict[str, dict[str, Any]]:
    """How each signal of a model is narrowed, as a manifest says it."""
    return {name: _narrowing(stage, named_tables(model)) for name, stage in stages(model).items()}


def _narrowing(stage: Stage, tables: Mapping[str, LookupTable]) -> dict[str, Any]:
    given = stage.narrowing
    applied = stage.source.activation if isinstance(stage.source, Applied) else None
    return {
        "reads": list(stage.reads),
        "function": None if applied is None else _function(applied, tables),
        "rounding": str(given.rounding),
        "overflow": str(given.overflow),
        "form": str(given.form),
        "primitive": None if given.primitive is None else str(given.primitive),
        "multiplier": given.multiplier,
        "shift": given.shift,
    }


def _function(activation: Activation, tables: Mapping[str, LookupTable]) -> dict[str, Any]:
    """The numbers of a function; a table by the name of its entry."""
    found: dict[str, Any] = TypeAdapter(type(activation)).dump_python(activation, mode="json", exclude={"values"})
    found["format"] = activation.format.name
    if isinstance(activation, LookupTable):
        found["table"] = next(name for name, table in tables.items() if table == activation)
    return found
