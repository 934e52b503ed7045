"""Load a network: one that ships, a preset or a TOML description with weights, or a file of any kind."""

from pathlib import Path

from fixedsim.errors import NetworkError, nearest
from fixedsim.importers.imported import DType, Stated
from fixedsim.importers.kinds import FOLDER, KINDS, kind_of
from fixedsim.importers.network_import import imported_network
from fixedsim.importers.shipped import SHIPPED
from fixedsim.network import Description, Network, preset, preset_names, read_description

DESCRIPTION_SUFFIX = ".toml"


def load_network(source: str | Path, weights: str | Path | None = None, dtype: DType = "float64") -> Network:
    """The network that ``source`` says, its weights in ``dtype``.

    Args:
        source: the name of a network that ships (``char-lm``, ``char-lm-w4a4``, ``char-lm-w2a2``), the name of a
            preset (``weights`` is needed), a ``.toml`` description (``weights`` is needed unless
            its key ``weights`` names the file), or a file that :func:`~fixedsim.import_network` understands.
        weights: the file of weights, of any kind.
        dtype: float64 or float32, to which the weights are rounded (half to even) after biases are summed in float64.

    Raises:
        FileError: a file is missing, damaged or of another kind.
        NetworkError: a description or a tensor is not usable.
    """
    description, path = _described(source, weights)
    return imported_network(path, kind_of(path), Stated(description), dtype=dtype).network


def _described(source: str | Path, weights: str | Path | None) -> tuple[Description | None, Path]:
    """The description that stands outside the weights, if one does, and the file of weights."""
    given = None if weights is None else Path(weights)
    if isinstance(source, str) and source in SHIPPED:
        source = SHIPPED[source]
    path = Path(source)
    if holds_weights(path):
        if given is not None:
            raise NetworkError(f"weights must be absent where the network is the file {source}, not {given}")
        return None, path
    if path.suffix == DESCRIPTION_SUFFIX:
        description, named = read_description(path)
        return description, _needed(given or named, str(source))
    return preset(_known(str(source))), _needed(given, str(source))


def holds_weights(path: Path) -> bool:
    """Whether a file is one of weights; of a ``.toml`` file, which may be a description, its content decides."""
    if path.suffix == DESCRIPTION_SUFFIX:
        return path.is_file() and any(kind.may_be(path) and kind.recognises(path) for kind in KINDS.values())
    return path.suffix.lower() in _suffixes() or (path.is_file() and str(path) not in preset_names())


def _suffixes() -> tuple[str, ...]:
    """How files of networks end."""
    networks = (kind for kind in KINDS.values() if kind.gives == "network")
    return tuple(dict.fromkeys(suffix for kind in networks for suffix in kind.suffixes if suffix != FOLDER))


def _known(name: str) -> str:
    known = (*SHIPPED, *preset_names())
    if name not in known:
        raise NetworkError(
            f"network must be a {', '.join(_suffixes())} file or a known name, not {name!r}{nearest(name, known)}"
        )
    return name


def _needed(weights: Path | None, source: str) -> Path:
    if weights is None:
        raise NetworkError(f"weights must be given for the description {source}, not missing; name a file of weights")
    return weights
