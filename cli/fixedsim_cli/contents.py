"""What a file is and holds, as JSON values and as tables."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fixedsim.errors import FileError, nearest
from fixedsim.evaluation.several import load_either as load_either
from fixedsim.importers.load import holds_weights
from fixedsim.importers.shipped import SHIPPED
from fixedsim.model import Model
from fixedsim.network import Description, EmbeddingLayer, Layer, Network, preset, preset_names, read_description
from fixedsim.profiles import Profile, load_profile, profile_names
from fixedsim_cli.model_contents import model_contents, print_model
from fixedsim_cli.output import Column, print_table, say, shape_text

_FLOAT32_BYTES = 4
_LAYER_COLUMNS = (
    Column("layer"),
    Column("kind"),
    Column("inputs", True),
    Column("outputs", True),
    Column("parameters", True),
)


def load_source(source: str) -> Description | Network | Model:
    """The preset, the description in a TOML file, or what :func:`load_either` gives.

    Raises:
        FileError, NetworkError: it is none of these.
    """
    if source in preset_names():
        return preset(source)
    if source.endswith(".toml") and not holds_weights(Path(source)):
        return read_description(Path(source))[0]
    return load_either(source)


def contents(source: str, *, kernels: bool = False) -> dict[str, Any]:
    """What ``source``, a file or the name of a network or a profile, is and holds, as JSON values.

    Raises:
        FileError: no such file or name, or a file of no kind that fixedsim knows.
    """
    path = Path(source)
    if path.suffix == ".toml" and not holds_weights(path):
        return {"file": source, **_toml(path)}
    if path.suffix or path.exists() or source in SHIPPED:
        loaded = load_either(source)
        found = model_contents(loaded, kernels) if isinstance(loaded, Model) else _network(loaded)
        return {"file": source, **found}
    if source in profile_names():
        return _profile(load_profile(source))
    if source in preset_names():
        return _description(preset(source))
    known = [*SHIPPED, *preset_names(), *profile_names()]
    raise FileError(
        f"{source} must be a file or the name of a network or a profile, not unknown{nearest(source, known)}"
    )


def _toml(path: Path) -> dict[str, Any]:
    """A profile or a network description: the latter has layers."""
    try:
        described = "layers" in tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        described = False  # the loader says what is wrong
    if not described:
        return _profile(load_profile(path))
    description, weights = read_description(path)
    return {**_description(description), "weights": None if weights is None else str(weights)}


def _profile(profile: Profile) -> dict[str, Any]:
    return {"kind": "profile", "name": profile.name, "summary": profile.summary, "profile": profile.to_dict()}


def _network(network: Network) -> dict[str, Any]:
    return {**_description(network.description), "kind": "network"}


def _description(description: Description) -> dict[str, Any]:
    parameters = description.parameters()
    return {
        "kind": "description",
        "name": description.name,
        "parameters": sum(parameters.values()),
        "float32_bytes": _FLOAT32_BYTES * sum(parameters.values()),
        "layers": [_layer(layer, parameters) for layer in description.layers],
        "tensors": [
            {"name": name, "shape": list(shape), "parameters": parameters[name]}
            for name, shape in description.tensors().items()
        ],
        "description": description.to_dict(),
    }


def _layer(layer: Layer, parameters: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "inputs": layer.vocabulary if isinstance(layer, EmbeddingLayer) else layer.inputs,
        "outputs": layer.output_width,
        "parameters": sum(parameters[name] for name in layer.tensors()),
    }


def print_contents(found: Mapping[str, Any]) -> None:
    """Print what :func:`contents` gave."""
    if found["kind"] == "model":
        print_model(found)
    elif found["kind"] == "profile":
        say(f"profile {found['name']}: {found['summary']}")
        print_table((Column("key"), Column("choice")), _flat(found["profile"]), title="choices")
    else:
        _print_network(found)


def _print_network(found: Mapping[str, Any]) -> None:
    what = "float network" if found["kind"] == "network" else "description of network"
    size = f"{found['parameters']:,} parameters, {found['float32_bytes']:,} bytes in float32"
    say(f"{what} {found['name']}: {size}")
    for key, value in found["description"].items():
        if key not in ("name", "layers") and value:
            text = ", ".join(f"{name} {bits}" for name, bits in value.items()) if isinstance(value, dict) else value
            say(f"{key}: {text}")
    if found.get("weights"):
        say(f"weights: {found['weights']}")
    rows = [
        (each["name"], each["kind"], each["inputs"], each["outputs"], f"{each['parameters']:,}")
        for each in found["layers"]
    ]
    print_table(_LAYER_COLUMNS, rows, title="layers")
    tensors = [(each["name"], shape_text(each["shape"]), f"{each['parameters']:,}") for each in found["tensors"]]
    print_table((Column("tensor"), Column("shape"), Column("parameters", True)), tensors, title="tensors")


def _flat(choices: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Keys with dots and their values; a cast is one value."""
    rows = []
    for key, value in choices.items():
        if isinstance(value, dict) and value.keys() == {"format", "rounding", "overflow"}:
            rows.append((f"{prefix}{key}", " ".join(value.values())))
        elif isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
