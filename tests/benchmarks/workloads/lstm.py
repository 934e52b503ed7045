"""LSTMs under the profiles of other programs, against those programs: LiteRT's interpreter, hls4ml's C simulation."""

import tempfile
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks import networks, ours
from tests.benchmarks.measure import Call
from tests.benchmarks.peers import hls4ml_project, hls4ml_simulation, litert, required
from tests.benchmarks.roofline import Part
from tests.benchmarks.workload import Side, Workload, ratio

UNITS = (64, 128, 256)
INPUTS, STEPS = 64, 64
_SIMULATION = "hls4ml's C simulation"


def workloads() -> Iterator[Workload]:
    """A file of LiteRT's for each width under both profiles, then the project of hls4ml."""
    for units in UNITS:
        yield _litert(units, "litert", Side("fixedsim", partial(_imported, units), exact=True))
        yield _litert(units, "cmsis-nn", Side("fixedsim", partial(_quantized, units)))
    yield _hls4ml()


def _litert(units: int, profile: str, side: Side) -> Workload:
    products = 4 * units * (INPUTS + units)
    return Workload(
        f"lstm.{profile}.{units}",
        f"LSTM of {units} units, profile {profile}, {STEPS} steps, one sequence",
        (side, Side("LiteRT", partial(_interpreted, units), exact=side.exact)),
        STEPS * products,
        (Part(4 * units * units, 4 * units * units, times=STEPS), Part(STEPS * 4 * units * INPUTS, 4 * units * INPUTS)),
        (ratio("LiteRT", 1.0),),
        units=STEPS,
        unit="step",
    )


@lru_cache(maxsize=1)
def _file(units: int) -> tuple[bytes, NDArray[Any]]:
    """A file with one integer LSTM, and raws ``(1, steps, inputs)``."""
    required("tflite", "tflite")
    from tests.importers.tflite_layers import LstmPlan
    from tests.oracle.random_models import lstm_case

    rng = np.random.default_rng(units)
    case = lstm_case(rng, (1, STEPS, INPUTS), LstmPlan(units))
    return case.file.content(), case.inputs(rng, 0)


def _imported(units: int) -> Call:
    content, inputs = _file(units)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lstm.tflite"
        path.write_bytes(content)
        return ours.imported(path, np.moveaxis(inputs, 1, 0).astype(np.int64))


def _quantized(units: int) -> Call:
    model = networks.lstm_model(INPUTS, units, "cmsis-nn")
    return ours.whole(model, networks.raws(model, STEPS, 1))


def _interpreted(units: int) -> Call:
    return litert.interpreter(*_file(units))


def _hls4ml() -> Workload:
    steps, inputs, units = hls4ml_project.STEPS, hls4ml_project.INPUTS, hls4ml_project.UNITS
    return Workload(
        "lstm.hls4ml.64",
        f"LSTM of {units} units, profile hls4ml, {hls4ml_project.PRECISION}, {steps} steps, one sequence",
        (
            Side("fixedsim", lambda: ours.imported(hls4ml_simulation.project(), hls4ml_simulation.raws()), exact=True),
            Side(_SIMULATION, hls4ml_simulation.simulation, exact=True),
        ),
        steps * 4 * units * (inputs + units),
        goals=(ratio(_SIMULATION, 20.0),),
        units=steps,
        unit="step",
    )
