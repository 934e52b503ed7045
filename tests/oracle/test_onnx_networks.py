"""ONNX graphs run by ONNX Runtime, ONNX's reference evaluator and PyTorch, and imported here without them."""

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.importers.imported import Imported, Stated
from fixedsim.importers.onnx import read
from fixedsim.network import Network
from tests.importers.onnx_graphs import Made, Plan, made

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install the extra 'oracles'")
pytestmark = pytest.mark.oracles
Array = NDArray[Any]
TOLERANCE = 1e-5  # of the largest output
FUNCTIONS = (
    (("Sigmoid", "Tanh", "Tanh"), ()),
    (("HardSigmoid", "Tanh", "Tanh"), ()),
    (("HardSigmoid", "Tanh", "HardSigmoid"), (1 / 6, 0.2)),
    (("Sigmoid", "Sigmoid", "Tanh"), ()),
    (("Sigmoid", "Relu", "Relu"), ()),
    (("Sigmoid", "Tanh", "Sigmoid"), ()),
)


def run(content: bytes, feeds: dict[str, Array]) -> Array:
    """The graph's first output by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0])


def reference(case: Made) -> Array:
    """The graph's first output by ONNX's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    outputs: Any = ReferenceEvaluator(case.content).run(None, case.feeds)
    return np.asarray(outputs[0])


def imported(folder: Path, content: bytes) -> Imported:
    path = folder / "model.onnx"
    path.write_bytes(content)
    return read(path, Stated())


def forward(found: Imported, case: Made) -> Array:
    """Our output, time first."""
    network = Network(found.description, found.weights)
    layer = found.description.lstm_layers[0]
    state = None
    if case.state is not None:
        hidden, cell = case.state
        state = {way: (hidden[index], cell[index]) for index, way in enumerate(layer.directions)}
    return np.asarray(network.forward(case.inputs, dtype="float32", lengths=case.lengths, state=state).output)


def require_close(ours: Array, wanted: Array, axes: str) -> None:
    """Both outputs the same; ``axes`` are those of the graph's."""
    if axes == "ntf":
        wanted = wanted.swapaxes(0, 1)
    if axes == "tdnf":
        wanted = wanted.swapaxes(1, 2).reshape(wanted.shape[0], wanted.shape[2], -1)
    assert ours.shape == wanted.shape
    assert np.abs(ours - wanted).max() <= TOLERANCE * np.abs(wanted).max()


def compare(folder: Path, plan: Plan, seed: int) -> None:
    case = made(plan, np.random.default_rng(seed))
    require_close(forward(imported(folder, case.content), case), run(case.content, case.feeds), case.output_axes)


def random_plan(rng: np.random.Generator) -> Plan:
    direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
    functions, slopes = FUNCTIONS[int(rng.integers(len(FUNCTIONS)))]
    lengths = str(rng.choice(["none", "none", "full", "input"]))
    endings = ["all", "hidden", "raw"]
    if lengths != "input":
        endings += ["edges"] if direction == "bidirectional" else ["gather", "slice"]
    ending = str(rng.choice(endings))
    linear = "" if ending == "raw" else str(rng.choice(["", "MatMul", "Gemm" if ending != "all" else "MatMul"]))
    return Plan(
        steps=int(rng.integers(2, 12)),
        sequences=int(rng.integers(1, 5)),
        inputs=int(rng.integers(1, 9)),
        units=int(rng.integers(1, 13)),
        direction=direction,
        bias=bool(rng.random() < 0.8),
        peephole=bool(rng.random() < 0.4),
        clip=float(rng.uniform(0.3, 2)) if rng.random() < 0.3 else None,
        input_forget=bool(rng.random() < 0.3),
        functions=functions,
        slopes=slopes,
        offsets=(0.5,) * len(slopes),
        initial=str(rng.choice(["none", "zero", "constant", "input"])),
        lengths=lengths,
        ending=ending,
        linear=linear,
        after=str(rng.choice(["", "Relu", "Sigmoid", "Tanh", "Clip", "HardSigmoid"])) if linear else "",
        vocabulary=int(rng.integers(2, 9)) if rng.random() < 0.3 else 0,
        sequences_first=bool(rng.random() < 0.3),
        turned=direction != "bidirectional" and lengths == "none" and ending in ("all", "gather", "slice")
        and bool(rng.random() < 0.3),
        dynamic=bool(rng.random() < 0.5) and lengths != "full",
        opset=int(rng.integers(14, 19)),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(200))
def test_lstms_of_every_attribute(seed: int, tmp_path: Path) -> None:
    plan = random_plan(np.random.default_rng(seed))
    if plan.lengths == "input":
        plan = replace(plan, linear="", after="")  # past a sequence's end a bias remains there, and not here
    compare(tmp_path, plan, seed)


@pytest.mark.parametrize("seed", range(12))
def test_sequences_first_by_layout(seed: int, tmp_path: Path) -> None:
    """ONNX Runtime refuses layout 1; the reference evaluator runs it, for one direction."""
    rng = np.random.default_rng(seed)
    plan = Plan(
        steps=int(rng.integers(2, 9)),
        sequences=int(rng.integers(1, 5)),
        inputs=int(rng.integers(1, 6)),
        units=int(rng.integers(1, 7)),
        peephole=bool(seed % 2),
        layout=1,
        ending=("all", "hidden")[seed % 3 == 1],
        initial=("none", "constant")[seed % 4 == 2],
    )
    case = made(plan, rng)
    wanted = reference(case)
    require_close(forward(imported(tmp_path, case.content), case), wanted, case.output_axes)


def torch_module(case: str, rng: np.random.Generator) -> tuple[Any, Any, str]:
    """A PyTorch module, its input, and the axes of its output."""
    torch = pytest.importorskip("torch", reason="needs PyTorch; install the extra 'oracles'")
    from torch import nn

    torch.manual_seed(int(rng.integers(1 << 30)))
    inputs, units, levels = int(rng.integers(1, 8)), int(rng.integers(1, 9)), int(rng.integers(1, 4))
    both, first = "both" in case, "first" in case
    ways = 2 if both else 1

    class Module(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Embedding(11, inputs)
            self.lstm = nn.LSTM(inputs, units, levels, bidirectional=both, batch_first=first)
            self.hidden = nn.Linear(ways * units, 6)
            self.head = nn.Linear(6, 4)

        def forward(self, x: Any) -> Any:
            x = self.encoder(x) if "tokens" in case else x
            y, (h, _) = self.lstm(x)
            if "state" in case:
                y = torch.cat([h[-2], h[-1]], -1) if both else h[-1]
            if "last" in case and not both:
                y = y[:, -1] if first else y[-1]
            if "edges" in case:
                y = torch.cat([y[:, -1, :units], y[:, 0, units:]], -1)
            y = self.hidden(y)
            y = torch.clamp(y, 0.0, 1.5) if "clip" in case else torch.relu(y)
            return self.head(y)

    steps, sequences = int(rng.integers(2, 9)), int(rng.integers(1, 5))
    shape = (sequences, steps) if first else (steps, sequences)
    x = torch.randint(0, 11, shape) if "tokens" in case else torch.randn(*shape, inputs)
    one = any(word in case for word in ("state", "last", "edges")) and not ("last" in case and both)
    return Module().eval(), x, "nf" if one else "ntf" if first else "tnf"


CASES = (
    "plain", "first", "both", "both first", "tokens", "tokens first both", "last", "last first", "state", "state both",
    "state first both", "edges both first", "clip", "clip first", "tokens state",
)  # fmt: skip


@pytest.mark.parametrize("opset", [14, 16, 18])
@pytest.mark.parametrize("case", CASES)
def test_modules_of_pytorch(case: str, opset: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(opset * 100 + CASES.index(case))
    module, x, axes = torch_module(case, rng)
    import torch

    content = io.BytesIO()
    dynamic = {"x": {0: "a", 1: "b"}} if opset != 16 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x,), content, dynamo=False, opset_version=opset, input_names=["x"], dynamic_axes=dynamic,
            do_constant_folding=opset != 18,
        )  # fmt: skip
    with torch.no_grad():
        wanted = module(x).numpy()
    values = x.numpy().swapaxes(0, 1) if "first" in case else x.numpy()
    found = imported(tmp_path, content.getvalue())
    ours = Network(found.description, found.weights).forward(values, dtype="float32").output
    require_close(np.asarray(ours), wanted, axes)


@pytest.mark.parametrize("case", CASES)
def test_modules_by_the_newer_exporter_of_pytorch(case: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript, which torch.onnx.export asks for")
    module, x, axes = torch_module(case, np.random.default_rng(CASES.index(case)))
    import torch

    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x,), path, dynamo=True, verbose=False)
    with torch.no_grad():
        wanted = module(x).numpy()
    values = x.numpy().swapaxes(0, 1) if "first" in case else x.numpy()
    found = read(path, Stated())
    ours = Network(found.description, found.weights).forward(values, dtype="float32").output
    require_close(np.asarray(ours), wanted, axes)
