"""Exported weights in PyTorch's own modules: ``load_state_dict`` takes them, and the outputs are the network's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from fixedsim.importers import export_network
from fixedsim.network import Description, EmbeddingLayer, Layer, LinearLayer, LstmLayer, Network

pytestmark = pytest.mark.oracles
torch: Any = pytest.importorskip("torch")
SEEDS = range(40)
TOLERANCE = 1e-5  # of the largest output


def drawn_layers(rng: np.random.Generator) -> tuple[Layer, ...]:
    """An embedding or none, a stack of one to three LSTMs, and a fully connected layer or none."""
    width, units, levels = (int(rng.integers(*ends)) for ends in ((1, 7), (2, 9), (1, 4)))
    common: dict[str, Any] = {
        "bidirectional": bool(rng.integers(2)),
        "bias": bool(rng.integers(4)),
        "forget_bias": float(rng.choice([0.0, 0.0, 1.0, -0.5])),
        "projection": int(rng.integers(1, units)) if rng.integers(3) == 0 else None,
    }
    layers: list[Layer] = [EmbeddingLayer("embedding", 11, width)] if rng.integers(2) else []
    for level in range(levels):
        name = "lstm" if levels == 1 else f"lstm.l{level}"
        layers.append(LstmLayer(name, width, units, **common))
        width = layers[-1].output_width
    return (*layers, LinearLayer("decoder", width, 5, bias=bool(rng.integers(2)))) if rng.integers(3) else tuple(layers)


def module_of(layers: tuple[Layer, ...]) -> Any:
    """A module that has these layers, as a user writes it."""

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            lstms = [layer for layer in layers if isinstance(layer, LstmLayer)]
            if isinstance(layers[0], EmbeddingLayer):
                self.embedding = torch.nn.Embedding(layers[0].vocabulary, layers[0].features)
            self.lstm = torch.nn.LSTM(
                lstms[0].inputs,
                lstms[0].units,
                num_layers=len(lstms),
                bidirectional=lstms[0].bidirectional,
                bias=lstms[0].bias or lstms[0].forget_bias != 0,
                proj_size=lstms[0].projection or 0,
            )
            if isinstance(layers[-1], LinearLayer):
                self.decoder = torch.nn.Linear(layers[-1].inputs, layers[-1].outputs, bias=layers[-1].bias)

        def forward(self, x: Any) -> Any:
            x = self.embedding(x) if hasattr(self, "embedding") else x
            x, _ = self.lstm(x)
            return self.decoder(x) if hasattr(self, "decoder") else x

    return Net()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_module_computes_the_same(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    description = Description("drawn", drawn_layers(rng))
    shapes = description.tensors()
    network = Network(description, {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    suffix = (".safetensors", ".npz")[seed % 2]
    export_network(network, tmp_path / f"out{suffix}")
    state = load_file(tmp_path / "out.safetensors") if seed % 2 == 0 else dict(np.load(tmp_path / "out.npz"))
    module = module_of(description.layers)
    module.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in state.items()}, strict=True)
    if isinstance(description.layers[0], EmbeddingLayer):
        inputs = rng.integers(0, 11, (7, 3))
    else:
        inputs = rng.normal(size=(7, 3, description.layers[0].inputs)).astype(np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(inputs)).numpy()
    found = network.forward(inputs, dtype="float32").output
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()
