"""One trained network in the formats of several trainers: the same integer model from each."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fixedsim.files import read_metadata, read_tensors
from fixedsim.importers import import_network
from fixedsim.importers.network_import import ImportedNetwork
from fixedsim.quantization import quantize
from tests.importers.pytorch_files import archived, streamed, tensors_of

NAME = "ptb_lstm300_fp32"
QUICK, SLOW = ("pt", "onnx"), ("npz", "pth", "bin")
TOKENS = np.arange(0, 10_000, 200)[:, None]


def written(shared: Path, folder: Path, ending: str) -> Path:
    """The file of weights in another format."""
    weights, path = shared / "weights", folder / f"{NAME}.{ending}"
    if ending == "onnx":
        if find_spec("onnx") is None:
            pytest.skip("needs the extra 'onnx'")
        return weights / f"{NAME}.onnx"
    arrays = read_tensors(weights / f"{NAME}.safetensors").tensors
    match ending:
        case "npz":
            np.savez(path, **arrays)  # type: ignore[arg-type]
        case "pt":
            path.write_bytes(archived(tensors_of(arrays)))
        case "pth":
            path.write_bytes(streamed(tensors_of(arrays)))
        case "bin":
            wrapped = tensors_of({f"module.{name}": array for name, array in arrays.items()})
            path.write_bytes(archived({"epoch": 39, "state_dict": wrapped}))
    return path


def digest(imported: ImportedNetwork, folder: Path) -> str:
    """The digest of the 8-bit model, calibrated with a few hundred tokens."""
    model = quantize(imported.network, weight_bits=8, activation_bits=8, calibration=TOKENS)
    path = folder / "model.safetensors"
    model.save(path)
    found = json.loads(read_metadata(path)["fixedsim.model"])["digest"]
    assert isinstance(found, str)
    return found


@pytest.fixture(scope="module")
def wanted(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    source = shared / "weights" / f"{NAME}.safetensors"
    return digest(import_network(source, network="ptb-lm"), tmp_path_factory.mktemp("wanted"))


@pytest.mark.parametrize("ending", [*QUICK, *(pytest.param(ending, marks=pytest.mark.slow) for ending in SLOW)])
def test_same_digest(shared: Path, tmp_path: Path, wanted: str, ending: str) -> None:
    imported = import_network(written(shared, tmp_path, ending), network="ptb-lm")
    assert digest(imported, tmp_path) == wanted


@pytest.mark.slow
def test_another_network_has_another_digest(shared: Path, tmp_path: Path, wanted: str) -> None:
    source = shared / "weights" / f"{NAME}.safetensors"
    other = import_network(source, network="ptb-lm", gate_order="ifog")
    assert digest(other, tmp_path) != wanted
