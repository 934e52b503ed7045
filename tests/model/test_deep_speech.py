"""Deep Speech: a narrow one on both engines, and the full size in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fixedsim.model import Model, RunResult
from fixedsim.network import Description, Network, preset
from fixedsim.network.description import Layer, LinearLayer, LstmLayer
from fixedsim.quantization import quantize
from tests.layers.comparison import require_equal, require_equal_traces
from tests.strategies import Words

pytestmark = pytest.mark.kernels
NARROWER = 32
FULL_MEMORY = 6 << 30
RANGES = {"input": (-4.0, 4.0)}


def narrow() -> Description:
    """The preset with widths divided by 32, the 29 characters kept."""
    full, width = preset("deep-speech"), 494 // NARROWER
    layers: list[Layer] = []
    for layer in full.layers:
        if isinstance(layer, LstmLayer):
            layers.append(replace(layer, inputs=width, units=layer.units // NARROWER))
        elif isinstance(layer, LinearLayer):
            outputs = layer.outputs if layer is full.layers[-1] else layer.outputs // NARROWER
            layers.append(replace(layer, inputs=width, outputs=outputs))
        width = layers[-1].output_width
    return Description("deep-speech-narrow", tuple(layers))


def network(description: Description) -> Network:
    """Uniform weights of our own generator, float32, of a size that keeps signals alive from layer to layer."""
    words = Words(2017)
    weights = {}
    for name, shape in description.tensors().items():
        reach = (3.0 / shape[1]) ** 0.5 if len(shape) == 2 else 0.1
        weights[name] = words.uniform(-reach, reach, shape).astype(np.float32)
    return Network(description, weights)


def run(made: Model, frames: int, engine: str = "kernels", trace: str | tuple[str, ...] = "*") -> RunResult:
    """The run over random frames."""
    form = made.input_format
    assert form is not None
    inputs = Words(7).raws(form, (frames, 1, made.network["layers"][0]["inputs"]))
    return made.run(inputs, engine=engine, trace=trace)


def both_engines(frames: int, bits: int) -> None:
    made = quantize(network(narrow()), weight_bits=bits, activation_bits=bits, ranges=RANGES)
    kernels, spec = run(made, frames), run(made, frames, "spec")
    assert kernels.raw is not None
    assert spec.raw is not None
    require_equal(kernels.raw, spec.raw, "raw", "model")
    require_equal_traces(kernels.trace, spec.trace, "model")
    if bits == 8:
        assert all(np.ptp(raws) for raws in kernels.trace.values())  # no signal stands still


def test_narrow() -> None:
    both_engines(3, 8)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_narrow_over_fifty_frames(bits: int) -> None:
    both_engines(50, bits)


FULL = """
import json, resource, time
started = time.perf_counter()
from fixedsim.network import preset
from fixedsim.quantization import quantize
from tests.model.test_deep_speech import RANGES, network, run
marks = {}
def mark(name):
    marks[name] = [round(time.perf_counter() - started, 1), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]
full = network(preset("deep-speech")); mark("weights")
made = quantize(full, ranges=RANGES); mark("quantized")
result = run(made, 100, trace=()); mark("run")
print(json.dumps({"marks": marks, "shape": result.raw.shape, "moving": bool(result.raw.std() > 0),
                  "states": sorted(result.state)}))
"""


@pytest.mark.slow
def test_full_size_over_a_hundred_frames(capsys: pytest.CaptureFixture[str]) -> None:
    """122,732,573 parameters at 8 bits, both directions, below 6 GiB."""
    found = subprocess.run(
        [sys.executable, "-c", FULL],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(found.stdout)
    with capsys.disabled():
        print(f"\nDeep Speech, seconds since the start and MiB at the most so far: {report['marks']}")
    assert report["shape"] == [100, 1, 29]
    assert report["moving"]
    assert report["states"] == ["lstm.backward", "lstm.forward"]
    assert max(memory for _, memory in report["marks"].values()) << 20 < FULL_MEMORY
