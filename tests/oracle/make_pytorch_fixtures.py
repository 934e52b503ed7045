"""Write tests/data/trainers/pytorch: files of small networks from PyTorch, each with an input and PyTorch's output.

Run by hand in an environment with the extra ``oracles``: ``python -m tests.oracle.make_pytorch_fixtures``. Versions
stand in ``versions.json``. ``<name>.npz`` beside each file holds ``input`` ``(T, N)`` or ``(T, N, features)`` and
``output`` ``(T, N, features)``.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "pytorch"
STEPS, STREAMS = 4, 2


class Language(nn.Module):  # type: ignore[misc]
    """Embedding, a stack of LSTMs, and a linear layer; the embedding is tied to the linear layer if ``tied``."""

    def __init__(self, *, both: bool = False, projection: int = 0, tied: bool = False) -> None:
        super().__init__()
        width = (projection or 6) * (1 + both)
        self.embedding = nn.Embedding(9, width if tied else 5, padding_idx=0)
        self.lstm = nn.LSTM(width if tied else 5, 6, 2, bidirectional=both, proj_size=projection)
        self.fc = nn.Linear(width, 9)
        if tied:
            self.fc.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits at every step."""
        return self.fc(self.lstm(self.embedding(tokens))[0])


class Cells(nn.Module):  # type: ignore[misc]
    """Two cells run step by step, without biases in the second."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList([nn.LSTMCell(3, 4), nn.LSTMCell(4, 4, bias=False)])

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The last cell's hidden state at every step."""
        states: list[Any] = [None, None]
        outputs = []
        for step in values:
            for index, cell in enumerate(self.cells):
                states[index] = cell(step, states[index])
                step = states[index][0]
            outputs.append(step)
        return torch.stack(outputs)


def record(name: str, module: nn.Module, inputs: torch.Tensor) -> None:
    """Write ``<name>.npz`` with the output of ``module`` as it is now."""
    with torch.no_grad():
        output = module.float()(inputs if inputs.dtype == torch.int64 else inputs.float())
    np.savez(FOLDER / f"{name}.npz", input=inputs.numpy(), output=output.numpy())


def language(dtype: torch.dtype = torch.float32, **choices: bool | int) -> tuple[Language, torch.Tensor]:
    """A network whose weights are exact in ``dtype``, and tokens for it."""
    module = Language(**choices).to(dtype)  # type: ignore[arg-type]
    return module, torch.randint(0, 9, (STEPS, STREAMS))


def main() -> None:
    """Write everything."""
    torch.manual_seed(12)
    FOLDER.mkdir(parents=True, exist_ok=True)
    module, tokens = language()
    torch.save(module.state_dict(), FOLDER / "plain.pt")
    save_file(module.state_dict(), FOLDER / "plain.safetensors")
    np.savez(FOLDER / "plain_weights.npz", **{name: value.numpy() for name, value in module.state_dict().items()})
    torch.save(module.state_dict(), FOLDER / "stream.pth", _use_new_zipfile_serialization=False)
    torch.save(module.state_dict(), FOLDER / "protocol4.bin", pickle_protocol=4)
    record("plain", module, tokens)

    module, tokens = language(both=True, projection=3)
    optimizer = torch.optim.Adam(module.parameters())
    module(tokens).sum().backward()
    optimizer.step()
    state = {f"module._orig_mod.{name}": value for name, value in module.state_dict().items()}
    checkpoint = {"epoch": 3, "state_dict": state, "optimizer": optimizer.state_dict(), "path": Path("runs"), "s": {1}}
    torch.save(checkpoint, FOLDER / "checkpoint.pt")
    record("checkpoint", module, tokens)

    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        name = str(dtype).removeprefix("torch.")
        module, tokens = language(dtype, tied=dtype == torch.float16)
        torch.save(module.state_dict(), FOLDER / f"{name}.pt", _use_new_zipfile_serialization=dtype != torch.bfloat16)
        record(name, module, tokens)

    cells = Cells()
    state = {
        name: value.t().contiguous().t() if value.ndim == 2 else value for name, value in cells.state_dict().items()
    }
    torch.save(state, FOLDER / "cells.pt")  # the matrices not contiguous
    record("cells", cells, torch.randn(STEPS, STREAMS, 3))

    torch.save(nn.LSTM(3, 2), FOLDER / "whole_module.pt")
    torch.jit.save(torch.jit.script(nn.Linear(3, 2)), FOLDER / "script.pt")
    quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), dtype=torch.qint8)
    torch.save(quantized.state_dict(), FOLDER / "quantized.pt")
    normalised = nn.utils.parametrizations.weight_norm(nn.LSTM(3, 2), "weight_hh_l0")
    torch.save(normalised.state_dict(), FOLDER / "parametrized.pt")
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    (FOLDER / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
