"""Random networks of PyTorch, saved by it in each of its forms, read here without it, and both run.

Outputs and final states are compared, relative to the largest absolute one.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.importers import pytorch
from fixedsim.importers.imported import Stated
from fixedsim.network import Description, LinearLayer, LstmLayer, Network

torch = pytest.importorskip("torch", reason="needs PyTorch; install the extra 'oracles'")
pytestmark = pytest.mark.oracles

TOLERANCE = 1e-5
Array = NDArray[Any]


class Choices(NamedTuple):
    """What one random network is made of."""

    inputs: int
    units: int
    levels: int
    both: bool
    projection: int
    bias: bool
    vocabulary: int  # 0: no embedding
    outputs: int  # 0: no linear layer
    dtype: str
    form: str


def drawn(seed: int) -> Choices:
    """Choices that together cover each form, dtype and layer."""
    rng = np.random.default_rng(seed)
    units = int(rng.integers(3, 24))
    return Choices(
        inputs=int(rng.integers(1, 12)),
        units=units,
        levels=1 + seed % 3,
        both=seed % 2 == 1,
        projection=int(rng.integers(1, units)) if seed % 4 == 2 or seed % 8 == 5 else 0,
        bias=seed % 5 != 4,
        vocabulary=int(rng.integers(2, 30)) if seed % 3 == 0 else 0,
        outputs=int(rng.integers(25, 40)) if seed % 4 != 3 else 0,
        dtype=("float32", "float64", "bfloat16", "float16")[seed // 2 % 4],
        form=FORMS[seed % len(FORMS)],
    )


def save_zip(state: dict[str, Any], folder: Path) -> Path:
    torch.save(state, folder / "w.pt")
    return folder / "w.pt"


def save_stream(state: dict[str, Any], folder: Path) -> Path:
    torch.save(state, folder / "w.pth", _use_new_zipfile_serialization=False)
    return folder / "w.pth"


def save_checkpoint(state: dict[str, Any], folder: Path) -> Path:
    wrapped = {f"module.{name}": value for name, value in state.items()}
    torch.save({"epoch": 1, "model_state_dict": wrapped, "rng": torch.get_rng_state()}, folder / "w.bin")
    return folder / "w.bin"


def save_safetensors(state: dict[str, Any], folder: Path) -> Path:
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "w.safetensors")
    return folder / "w.safetensors"


def save_npz(state: dict[str, Any], folder: Path) -> Path:
    half = {name: value.float() if value.dtype == torch.bfloat16 else value for name, value in state.items()}
    np.savez(folder / "w.npz", **{name: value.numpy() for name, value in half.items()})
    return folder / "w.npz"


SAVERS: dict[str, Callable[[dict[str, Any], Path], Path]] = {
    "zip": save_zip,
    "stream": save_stream,
    "checkpoint": save_checkpoint,
    "safetensors": save_safetensors,
    "npz": save_npz,
}
FORMS = tuple(SAVERS)


def built(choices: Choices) -> Any:
    """The modules: ``embedding``, ``lstm`` and ``fc``, as far as there are."""
    modules = torch.nn.ModuleDict()
    if choices.vocabulary:
        modules["embedding"] = torch.nn.Embedding(choices.vocabulary, choices.inputs)
    modules["lstm"] = torch.nn.LSTM(
        choices.inputs,
        choices.units,
        choices.levels,
        bidirectional=choices.both,
        proj_size=choices.projection,
        bias=choices.bias,
    )
    width = (choices.projection or choices.units) * (1 + choices.both)
    if choices.outputs:
        modules["fc"] = torch.nn.Linear(width, choices.outputs)
    return modules.to(getattr(torch, choices.dtype))


def outputs_of(modules: Any, inputs: Array, state: Any = None) -> tuple[Array, Any]:
    """Outputs of every step and the final ``(h, c)``, in float32 whatever the dtype of the weights."""
    with torch.no_grad():
        values = torch.from_numpy(inputs)
        if "embedding" in modules:
            values = modules["embedding"](values)
        values, state = modules["lstm"](values, state)
        if "fc" in modules:
            values = modules["fc"](values)
    return values.numpy(), state


def states_of(state: Any, choices: Choices) -> dict[str, tuple[Array, Array]]:
    """PyTorch's ``(h, c)``, each ``(levels * directions, N, width)``, by the names here."""
    names = [f"lstm.l{level}" for level in range(choices.levels)] if choices.levels > 1 else ["lstm"]
    if choices.both:
        names = [f"{name}.{way}" for name in names for way in ("forward", "backward")]
    hidden, cell = (part.numpy() for part in state)
    return {name: (hidden[index], cell[index]) for index, name in enumerate(names)}


def require_close(found: Array, wanted: Array) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


def imported(path: Path, **stated: Any) -> Network:
    assert pytorch.recognises(path)
    read = pytorch.read(path, Stated(**stated))
    return Network(read.description, read.weights)


@pytest.mark.parametrize("seed", range(48))
def test_random_network(tmp_path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    choices, rng = drawn(seed), np.random.default_rng(1000 + seed)
    modules = built(choices)
    network = imported(SAVERS[choices.form](modules.state_dict(), tmp_path))
    modules = modules.float()
    steps, streams = int(rng.integers(1, 12)), int(rng.integers(1, 5))
    state, ours = None, None
    for _ in range(2):  # the second call goes on from the first one's state
        if choices.vocabulary:
            inputs: Array = rng.integers(0, choices.vocabulary, (steps, streams))
        else:
            inputs = rng.normal(size=(steps, streams, choices.inputs)).astype(np.float32)
        wanted, state = outputs_of(modules, inputs, state)
        found = network.forward(inputs, dtype="float32", state=ours)
        require_close(found.output, wanted)
        ours = found.state
        for name, pair in states_of(state, choices).items():
            for mine, theirs in zip(ours[name], pair, strict=True):
                require_close(mine, theirs)


@pytest.mark.parametrize("seed", range(8))
def test_cells_run_step_by_step(tmp_path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    widths = [int(width) for width in rng.integers(2, 9, 2 + seed % 3)]
    widths += widths[-1:]  # the last cell could stand anywhere but for its number
    cells = torch.nn.ModuleList(
        torch.nn.LSTMCell(inputs, units, bias=seed % 4 != 3) for inputs, units in pairwise(widths)
    )
    network = imported(SAVERS[FORMS[seed % len(FORMS)]](cells.state_dict(), tmp_path))
    inputs = rng.normal(size=(6, 3, widths[0])).astype(np.float32)
    states: list[Any] = [None] * len(cells)
    outputs = []
    with torch.no_grad():
        for values in torch.from_numpy(inputs):
            step = values
            for index, cell in enumerate(cells):
                states[index] = cell(step, states[index])
                step = states[index][0]
            outputs.append(step.numpy())
    require_close(network.forward(inputs, dtype="float32").output, np.stack(outputs))


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_activations_from_a_description(tmp_path: Path, activation: str) -> None:
    torch.manual_seed(5)
    modules = torch.nn.ModuleDict({"a": torch.nn.Linear(4, 7), "lstm": torch.nn.LSTM(7, 5), "b": torch.nn.Linear(5, 3)})
    layers = (LinearLayer("a", 4, 7, activation), LstmLayer("lstm", 7, 5), LinearLayer("b", 5, 3))
    network = imported(save_zip(modules.state_dict(), tmp_path), description=Description("n", layers))
    inputs = torch.randn(5, 2, 4)
    with torch.no_grad():
        values = getattr(torch, activation)(modules["a"](inputs))
        wanted = modules["b"](modules["lstm"](values)[0]).numpy()
    require_close(network.forward(inputs.numpy(), dtype="float32").output, wanted)


def test_compiled_and_tied(tmp_path: Path) -> None:
    torch.manual_seed(6)
    modules = torch.nn.ModuleDict(
        {"embedding": torch.nn.Embedding(9, 6), "lstm": torch.nn.LSTM(6, 6), "fc": torch.nn.Linear(6, 9)}
    )
    modules["fc"].weight = modules["embedding"].weight
    network = imported(save_zip(torch.compile(modules).state_dict(), tmp_path))
    tokens = np.arange(9)[:, None]
    require_close(network.forward(tokens, dtype="float32").output, outputs_of(modules, tokens)[0])
