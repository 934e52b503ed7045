"""Keras files of either version to a network.

An archive or a whole-model ``.h5`` tells its layers; a file of weights tells names and shapes. Memory is bounded as in
:mod:`container`: tensors of 8 times the file, or 1 GiB where that is more, and as much again three times in float64.
"""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fixedsim.errors import FileError, FixedsimError, NetworkError
from fixedsim.importers.conventions import CANONICAL, gate_order
from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.keras import bare as bare_weights
from fixedsim.importers.keras.archive import CONFIG, WEIGHTS, read_archive
from fixedsim.importers.keras.chain import model_chain
from fixedsim.importers.keras.config import parsed_json
from fixedsim.importers.keras.container import Contents, read_contents
from fixedsim.importers.keras.functions import HARD_SIGMOIDS, UNDECIDED, major
from fixedsim.importers.keras.layers import Planner
from fixedsim.importers.keras.plans import Found, LinearPlan, LstmPlan, Plan
from fixedsim.importers.keras.weights import (
    ByLeaf,
    assigned_groups,
    assigned_lists,
    grouped_weights,
    is_listed,
    listed_weights,
)
from fixedsim.network import Description, Layer, LinearLayer, LstmLayer

SUFFIXES = (".keras", ".h5", ".hdf5")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SAVED_MODEL = "saved_model.pb"


class _Read(NamedTuple):
    """What a file tells: its plans in order, the tensors of their leaves, and notes."""

    plans: list[Plan]
    tensors: ByLeaf
    notes: list[str]
    told: bool  # the file tells functions and steps


def recognises(path: Path) -> bool:
    """Whether the file ends as Keras' do, is HDF5, or is an archive or a SavedModel folder of Keras."""
    try:
        if path.is_dir():
            return (path / _SAVED_MODEL).is_file()
        if path.suffix in SUFFIXES:
            return True
        return _is_hdf5(path) or _is_archive(path)
    except (OSError, ValueError):
        return False


def _is_hdf5(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_HDF5)) == _HDF5


def _is_archive(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return {CONFIG, WEIGHTS} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        return False


def read(path: Path, stated: Stated) -> Imported:
    """The network in a Keras file.

    Raises:
        FileError: the file is missing, damaged, hostile, or a SavedModel.
        NetworkError: it holds what networks lack, by name, or lacks what is needed.
        DependencyError: h5py is not installed.
    """
    if path.is_dir():
        raise FileError(
            f"{path} must be a .keras or .h5 file, not the folder of a SavedModel, which holds a program; "
            "load it in Keras and save it as model.keras, or its weights as model.weights.h5"
        )
    try:
        return _read(path, stated)
    except FixedsimError as error:
        text = str(error)
        raise type(error)(text if text.startswith(str(path)) else f"{path}: {text}") from None


def _read(path: Path, stated: Stated) -> Imported:
    order = gate_order(stated.gate_order or CANONICAL)
    found = _hdf5(path, stated, order) if _is_hdf5(path) or not zipfile.is_zipfile(path) else _archive(path)
    if not found.plans:
        raise NetworkError("model must have an LSTM, Dense or Embedding layer, not none")
    plans = found.plans if stated.description is None else _adopted(found, stated.description)
    _refuse_undecided(plans)
    parts = [plan.found([found.tensors[leaf.path] for leaf in plan.leaves], order) for plan in plans]
    if stated.description is None:
        description = Description("keras", tuple(part.layer for part in parts))
    else:
        description = _agreed(parts, stated.description, found.told)
    if stated.forget_bias is not None:
        description = _with_forget_bias(description, stated.forget_bias)
    notes = (*_order_note(description, order), *_function_notes(description), *found.notes)
    weights = {name: tensor for part in parts for name, tensor in part.weights.items()}
    pairs = {name: pair for part in parts for name, pair in part.pairs.items()}
    _check_finite(weights)
    return Imported(description, weights, notes, order, pairs)


def _archive(path: Path) -> _Read:
    archive = read_archive(path)
    return _model(archive.config, archive.version, archive.contents)


def _hdf5(path: Path, stated: Stated, order: str) -> _Read:
    contents = read_contents(path)
    if not contents.tensors:
        raise NetworkError("file must hold weights, not none")
    version = contents.texts.get("@keras_version") or contents.texts.get("model_weights@keras_version")
    if "@model_config" in contents.texts:
        return _model(parsed_json(contents.texts["@model_config"], "model_config"), version, contents)
    return _weights_alone(contents, version, stated, order)


def _model(config: Any, version: str | None, contents: Contents) -> _Read:
    if major(version) in (0, 1):
        raise NetworkError(
            f"keras_version must be 2 or more, not {version!r}; load the model in Keras 2 and save it again"
        )
    planner = Planner(version)
    for node in model_chain(config):
        planner.take(node)
    leaves = [leaf for plan in planner.plans for leaf in plan.leaves]
    if is_listed(contents):
        tensors = assigned_lists(listed_weights(contents), leaves)
    else:
        tensors = assigned_groups(grouped_weights(contents), leaves)
    return _Read(planner.plans, tensors, planner.notes, told=True)


def _weights_alone(contents: Contents, version: str | None, stated: Stated, order: str) -> _Read:
    found = bare_weights.read_bare(contents)
    if stated.description is not None:
        plans = bare_weights.described(found, stated.description, order)
        return _Read(plans, found.tensors, [], told=False)
    plans = bare_weights.inferred(found, order)
    notes = []
    if any(isinstance(plan, LstmPlan) for plan in plans):
        if is_listed(contents) and (version is None or _hard_by_default(version)):
            raise NetworkError(
                "gate functions must be given, not missing, in a file of weights alone of Keras "
                f"{version or 'unknown'}, whose own could be hard_sigmoid; {bare_weights.REMEDY}"
            )
        notes = [
            "the file tells no functions and no steps: LSTMs have sigmoid and tanh, Keras' own, and give all steps"
        ]
    return _Read(plans, found.tensors, notes, told=False)


def _hard_by_default(version: str) -> bool:
    """Whether a Keras up to this version had LSTMs whose gates are hard sigmoids unless told otherwise."""
    parts = version.split(".")
    return major(version) == 2 and len(parts) > 1 and parts[1].isdigit() and int(parts[1][:9]) < 3


def _adopted(found: _Read, description: Description) -> list[Plan]:
    if len(found.plans) != len(description.layers):
        raise NetworkError(f"layers must be {len(found.plans)} as the file has them, not {len(description.layers)}")
    return [plan.adopted(layer) for plan, layer in zip(found.plans, description.layers, strict=True)]


def _refuse_undecided(plans: list[Plan]) -> None:
    for plan in plans:
        functions = (plan.gate, plan.activation) if isinstance(plan, LstmPlan) else ()
        if UNDECIDED in functions or (isinstance(plan, LinearPlan) and plan.function.name == UNDECIDED):
            raise NetworkError(
                f"keras_version must be given for the hard_sigmoid of layer {plan.name!r}, not missing: Keras 2 has "
                f"{HARD_SIGMOIDS[True]}, Keras 3 {HARD_SIGMOIDS[False]}; {bare_weights.REMEDY}"
            )


def _agreed(parts: list[Found], description: Description, told: bool) -> Description:
    """The description, whose layers must be those of the file; where that tells sizes alone, these must be the same."""
    for part, layer in zip(parts, description.layers, strict=True):
        own = part.layer if told else _with_functions(part.layer, layer)
        if own != layer:
            raise NetworkError(f"layer {layer.name!r} must be as the file has it, {own}, not {layer}")
    return description


def _with_functions(own: Layer, layer: Layer) -> Layer:
    """``own`` with what a file of weights alone does not tell."""
    if isinstance(own, LinearLayer) and isinstance(layer, LinearLayer):
        return replace(own, activation=layer.activation, clip=layer.clip)
    if isinstance(own, LstmLayer) and isinstance(layer, LstmLayer):
        keys = ("gate", "candidate", "cell_activation", "steps", "clip", "cell_clip", "reverse")
        return replace(own, **{key: getattr(layer, key) for key in keys})
    return own


def _with_forget_bias(description: Description, forget_bias: float) -> Description:
    layers = (replace(x, forget_bias=forget_bias) if isinstance(x, LstmLayer) else x for x in description.layers)
    return replace(description, layers=tuple(layers))


def _order_note(description: Description, order: str) -> list[str]:
    if not description.lstm_layers:
        return []
    why = "Keras' order" if order == CANONICAL else "as stated"
    return [
        f"gates of LSTMs stand in the order {', '.join(order.replace('g', 'c'))} along the columns of kernels, {why}"
    ]


_FORMULAS: dict[str, str] = {"hard_sigmoid": "x / 6 + 1/2 (Keras 3)", "hard_sigmoid_fifth": "x / 5 + 1/2 (Keras 2)"}


def _function_notes(description: Description) -> list[str]:
    of: Callable[[Layer], tuple[str, ...]] = lambda layer: (  # noqa: E731
        (layer.gate, layer.candidate) if isinstance(layer, LstmLayer) else (getattr(layer, "activation", ""),)
    )
    return [
        f"{layer.name}: hard sigmoid, {_FORMULAS[name]}"
        for layer in description.layers
        for name in dict.fromkeys(of(layer))
        if name in _FORMULAS
    ]


def _check_finite(weights: dict[str, Any]) -> None:
    for name, tensor in weights.items():
        if not np.isfinite(tensor).all():
            raise NetworkError(f"tensor {name!r} must be finite, not NaN or infinite")
