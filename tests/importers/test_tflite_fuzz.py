"""Damaged TensorFlow Lite files all the way to a model that runs: a model, or an error of ours, within bounds."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fixedsim.errors import FixedsimError
from fixedsim.importers import import_model
from fixedsim.profiles.executors import executor_names
from tests.importers.bounds import bounded
from tests.importers.test_tflite_file import small
from tests.importers.test_tflite_hostile import mutated
from tests.importers.tflite_layers import LstmPlan, lstm

RECORDED = Path(__file__).parents[1] / "data" / "recorded" / "litert" / "tflite"
FILES = (
    "bilstm_i8_h6_t5_b1",
    "stack_i10_h12_t6_b1",
    "craft_peephole",
    "fc_i16_o8_b4_pc_none",
    "fc16_i16_o8_b4_pt_none",
)
SECONDS = 20.0  # of one small file, on a busy machine
BYTES = 48 << 20


def contents() -> list[bytes]:
    """Whole files: graphs of several layers, and an LSTM with every operand."""
    plan = LstmPlan(3, coupled=True, peephole=True, projection=2, layer_norm=True)
    crafted = [small().content(), lstm(np.random.default_rng(2), (1, 2, 2), plan)]
    return [*((RECORDED / f"{name}.tflite").read_bytes() for name in FILES), *crafted]


def run_one_step(path: Path, executor: str) -> None:
    """Import the file and run a step of zero points."""
    model = import_model(path, executor=executor)
    form, layer = model.input_format, model.layers[0]
    matrix = getattr(layer, "matrix", None) or getattr(layer, "input_matrix", None)
    if form is not None and matrix is not None:
        model.run(np.full((1, 1, matrix.inputs), min(max(form.zero_point, form.raw_min), form.raw_max)))


def imported_within_bounds(path: Path, executor: str) -> bool:
    """Whether the file gave a model, and one step of it ran."""
    with bounded(SECONDS, BYTES):
        try:
            run_one_step(path, executor)
        except FixedsimError:
            return False
        return True


def fuzz(path: Path, seed: int, count: int) -> None:
    rng, files, executors = np.random.default_rng(seed), contents(), executor_names()
    for content in files:  # compiles what they need, outside of the bounds
        path.write_bytes(content)
        run_one_step(path, executors[0])
    tracemalloc.start()
    try:
        models = 0
        for number in range(count):
            path.write_bytes(mutated(rng, files[number % len(files)]))
            models += imported_within_bounds(path, executors[number % len(executors)])
    finally:
        tracemalloc.stop()
    assert count / 50 < models < count  # both happen


def test_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path / "model.tflite", 21, 75)


@pytest.mark.slow
def test_many_mutations(tmp_path: Path) -> None:
    fuzz(tmp_path / "model.tflite", 22, 10_000)
