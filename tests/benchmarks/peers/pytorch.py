"""PyTorch on one thread: modules in fp32, and dynamically quantized to 8 bits by its own function."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.measure import Call
from tests.benchmarks.peers import required

_ENGINES = ("fbgemm", "x86", "qnnpack")  # the first that this build has; the quickest on x86 first
_CLIP = 20.0

Module = Callable[..., Any]


def linear(weight: NDArray[Any], vectors: NDArray[Any], *, quantized: bool) -> Call:
    """A linear layer without bias on float vectors; quantized, it quantizes the vectors in each call."""
    torch = _torch()
    layer = torch.nn.Linear(weight.shape[1], len(weight), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight.astype(np.float32)))
    return _call(_made(layer, quantized), torch.from_numpy(vectors.astype(np.float32)))


def language_model(vocabulary: int, features: int, units: int, *, quantized: bool) -> Module:
    """A language model: tokens ``(steps, batch)`` and a state or None give logits and the state."""
    nn = _torch().nn
    parts = nn.ModuleDict(
        {
            "embedding": nn.Embedding(vocabulary, features),
            "lstm": nn.LSTM(features, units),
            "decoder": nn.Linear(units, vocabulary),
        }
    )
    made = _made(parts, quantized)

    def forward(tokens: Any, state: Any = None) -> tuple[Any, Any]:
        hidden, after = made["lstm"](made["embedding"](tokens), state)
        return made["decoder"](hidden), after

    return forward


def at_once(module: Module, tokens: NDArray[np.int64]) -> Call:
    """All steps in one call, from zero states."""
    return _call(module, _torch().from_numpy(tokens))


def streamed(module: Module, tokens: NDArray[np.int64]) -> Call:
    """One call for each token, the states handed on; tokens ``(steps,)``."""
    torch = _torch()
    each = list(torch.from_numpy(tokens[:, None, None]))

    def run() -> None:
        state: Any = None
        with torch.inference_mode():
            for token in each:
                _, state = module(token, state)

    return run


def speech(frames: int, *, quantized: bool) -> Call:
    """Deep Speech on random frames."""
    torch = _torch()
    nn = torch.nn
    dense = {"fc1": (494, 2048), "fc2": (2048, 2048), "fc3": (2048, 4096), "fc5": (4096, 2048), "fc6": (2048, 29)}
    layers = {name: nn.Linear(*sizes) for name, sizes in dense.items()}
    made = _made(nn.ModuleDict(layers | {"lstm": nn.LSTM(4096, 2048, bidirectional=True)}), quantized)

    def forward(values: Any) -> Any:
        for name in ("fc1", "fc2", "fc3"):
            values = torch.clamp(made[name](values), 0.0, _CLIP)
        values, _ = made["lstm"](values)
        return made["fc6"](torch.clamp(made["fc5"](values), 0.0, _CLIP))

    return _call(forward, torch.randn(frames, 1, 494))


def bidirectional(inputs: int, units: int, frames: int, *, quantized: bool) -> Call:
    """One bidirectional LSTM on random frames."""
    torch = _torch()
    return _call(_made(torch.nn.LSTM(inputs, units, bidirectional=True), quantized), torch.randn(frames, 1, inputs))


def _torch() -> Any:
    torch = required("torch", "torch")
    torch.set_num_threads(1)
    return torch


def _made(module: Any, quantized: bool) -> Any:
    torch = _torch()
    if not quantized:
        return module.eval()
    engines = torch.backends.quantized.supported_engines
    torch.backends.quantized.engine = next(name for name in _ENGINES if name in engines)
    quantization = required("torch.ao.quantization", "torch.ao.quantization")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it announces its successor
        outer = torch.nn.Sequential(module.eval())  # only what is inside a module is replaced
        made = quantization.quantize_dynamic(outer, {torch.nn.LSTM, torch.nn.Linear}, dtype=torch.qint8)[0]
    assert not any(type(part) in (torch.nn.LSTM, torch.nn.Linear) for part in made.modules())
    return made


def _call(module: Module, values: Any) -> Call:
    torch = _torch()

    def run() -> object:
        with torch.inference_mode():
            return module(values)

    return run
