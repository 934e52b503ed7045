"""Random .tflite files in LiteRT and TensorFlow Lite Micro and here, integer by integer.

Outputs of every step are compared, and the states after the run.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.errors import FileError
from fixedsim.importers import import_model
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.model.layer_kinds import directions
from tests.importers.tflite_layers import LstmPlan
from tests.layers.comparison import require_equal
from tests.oracle.executors import EXECUTORS, MICRO, RESOLVERS, program
from tests.oracle.random_models import (
    ACTIVATIONS,
    Case,
    Dense,
    both_case,
    clamped_case,
    dense_case,
    dense_stack_case,
    lstm_case,
    reshaped_case,
    stack_case,
)

pytest.importorskip("ai_edge_litert", reason="needs LiteRT; install the extra 'oracles'")
pytest.importorskip("tflite_micro", reason="needs TensorFlow Lite Micro; install the extra 'oracles'")
pytestmark = pytest.mark.oracles

REFERENCE = ("litert-reference",)
RUNS = 5
CELL_POWERS = range(-15, -8)


def compare(case: Case, rng: np.random.Generator, folder: Path, executors: Iterable[str]) -> None:
    """Run a case under each executor: the first run from reset, the others from random states if that can be."""
    content = case.file.content()
    path = folder / "model.tflite"
    path.write_bytes(content)
    for executor in executors:
        theirs, ours = program(content, executor), import_model(path, executor=executor)
        for run in range(RUNS):
            x = case.inputs(rng, run)
            states = case.initial(rng) if run and executor != MICRO else {}
            wanted = theirs.run(x, states)
            found, final = run_model(ours, case, x, states)
            what = f"{executor}, run {run}"
            require_equal(found.reshape(wanted.shape), wanted.astype(np.int64), what, "executors")
            for index, raws in final.items():
                state = theirs.state(index).astype(np.int64)
                require_equal(raws, state, f"{what}, tensor {index}", "executors")


def run_model(
    model: Model, case: Case, x: NDArray[Any], states: dict[int, NDArray[Any]]
) -> tuple[NDArray[np.int64], dict[int, NDArray[np.int64]]]:
    """The outputs in the order of the file, and the final states by the index of the tensor."""
    lstms = [part for layer in model.layers for part in directions(layer) if isinstance(part, Lstm)]
    assert len(lstms) == len(case.states)
    pairs = dict(zip([layer.name for layer in lstms], case.states, strict=True))
    given = {name: (states[h], states[c]) for name, (h, c) in pairs.items()} if states else None
    turned = x.ndim == 3 and not case.steps_first
    result = model.run((np.moveaxis(x, 1, 0) if turned else x.reshape(-1, *x.shape[-2:])).astype(np.int64), state=given)
    assert result.raw is not None
    raw = np.moveaxis(result.raw, 1, 0) if turned and result.raw.ndim == 3 else result.raw
    final = {index: raws for name, pair in pairs.items() for index, raws in zip(pair, result.state[name], strict=True)}
    return np.asarray(raw, np.int64), {index: np.asarray(raws, np.int64) for index, raws in final.items()}


def sizes(rng: np.random.Generator) -> tuple[int, int, int]:
    """Batch, steps and inputs."""
    return int(rng.integers(1, 5)), int(rng.integers(1, 21)), int(rng.integers(1, 65))


def some_units(rng: np.random.Generator) -> int:
    return int(rng.choice([1, 2, 3, *rng.integers(1, 41, 5)]))


@pytest.mark.parametrize("seed", range(160))
def test_fully_connected(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    by_row = bool(rng.integers(2))
    plan = Dense(
        int(rng.integers(1, 41)),
        by_row,
        ACTIVATIONS[seed % 4],
        bias=str(rng.choice(["INT32", "INT32", ""])),
        weight_zero_point=int(rng.integers(-128, 128)) if rng.random() < 0.3 else 0,
        tie_shift=int(rng.integers(1, 13)) if seed % 3 == 0 else None,
    )
    batch, _, inputs = sizes(rng)
    refused = by_row and plan.weight_zero_point and plan.outputs > 1  # by XNNPACK; the others ignore the zero points
    executors = [name for name in EXECUTORS if not (refused and name == "litert-xnnpack")]
    compare(dense_case(rng, batch, inputs, plan), rng, tmp_path, executors)


@pytest.mark.parametrize("seed", range(60))
def test_weights_of_4_bits(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    tie_shift = int(rng.integers(1, 9)) if seed % 3 == 0 else None
    plan = Dense(
        int(rng.integers(1, 41)), bool(seed % 2), ACTIVATIONS[seed % 4], weight_type="INT4", tie_shift=tie_shift
    )
    executors = RESOLVERS if plan.by_row else EXECUTORS  # TensorFlow Lite Micro refuses a scale for each row
    batch, _, inputs = sizes(rng)
    compare(dense_case(rng, batch, inputs, plan), rng, tmp_path, executors)


@pytest.mark.parametrize("seed", range(40))
def test_fully_connected_one_after_the_other(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    plans = [Dense(int(rng.integers(1, 41)), bool(rng.integers(2)), str(rng.choice(ACTIVATIONS))) for _ in range(3)]
    batch, _, inputs = sizes(rng)
    compare(dense_stack_case(rng, batch, inputs, tuple(plans)), rng, tmp_path, EXECUTORS)


@pytest.mark.parametrize("seed", range(60))
def test_ends_of_activations(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    activation, bound = [("RELU6", 6), ("RELU_N1_TO_1", 1)][seed % 2]
    compare(clamped_case(rng, activation, bound), rng, tmp_path, EXECUTORS)


@pytest.mark.parametrize("seed", range(120))
def test_fully_connected_of_16_bits(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    plan = Dense(
        int(rng.integers(1, 41)),
        bool(rng.integers(2)),
        ACTIVATIONS[seed % 4],
        bias=["INT64", "INT32", ""][seed % 3],
        weight_zero_point=int(rng.integers(-128, 128)) if rng.random() < 0.3 else 0,
        tie_shift=int(rng.integers(1, 13)) if seed % 4 == 0 else None,
        bias_option=str(rng.choice(["", "INT32", "INT64"])) if seed % 3 == 2 else "",
    )
    batch, _, inputs = sizes(rng)
    compare(dense_case(rng, batch, inputs, plan, "INT16"), rng, tmp_path, EXECUTORS)


@pytest.mark.parametrize("bias", ["INT32", "INT64", ""])
def test_an_accumulator_of_32_bits_wraps(bias: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    case = dense_case(rng, 2, 2048, Dense(3, bias=bias), "INT16")
    x, weight, *_, y = case.file.tensors
    weight.data = np.full((3, 2048), 127)
    y.scale = [x.scale[0] * weight.scale[0] * 2048 * 127 * 1.5]  # so that the outputs do not saturate
    compare(case, rng, tmp_path, EXECUTORS)


@pytest.mark.parametrize("seed", range(84))
def test_lstm(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    plan = LstmPlan(
        some_units(rng),
        cell_power=CELL_POWERS[seed % 7],
        cell_clip=float(rng.choice([0.0, 10.0, 0.5, 3.0, 1e6])),
        time_major=bool(seed % 5 == 0),
        own_state_scale=bool(rng.integers(2)),
    )
    executors = (*RESOLVERS, MICRO) if seed % 4 == 0 else (*REFERENCE, MICRO)
    reach = float(rng.choice([-3, 1, 3, 6, 10]))
    compare(lstm_case(rng, sizes(rng), plan, reach=reach), rng, tmp_path, executors)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_constants_of_an_lstm(seed: int, steps: int, tmp_path: Path) -> None:
    """Many units and sequences, so that the last bits of multipliers are seen in some cell."""
    rng = np.random.default_rng(seed)
    plan = LstmPlan(64, cell_power=-15, cell_clip=0.0, own_state_scale=True)
    case = lstm_case(rng, (64, steps, int(rng.integers(1, 30))), plan, reach=1.0)
    compare(case, rng, tmp_path, (*REFERENCE, MICRO))


def random_parts(rng: np.random.Generator, units: int) -> LstmPlan:
    """A plan with some of the parts that TensorFlow Lite Micro refuses."""
    return LstmPlan(
        units,
        cell_power=int(rng.choice(CELL_POWERS)),
        cell_clip=float(rng.choice([0.0, 10.0, 0.5, 1e-6])),
        coupled=rng.random() < 0.4,
        peephole=rng.random() < 0.4,
        projection=int(rng.integers(1, units + 1)) if rng.random() < 0.5 else 0,
        projection_bias=bool(rng.integers(2)),
        projection_clip=float(rng.choice([0.0, 0.3, 100.0, 1e-5])),
        layer_norm=rng.random() < 0.5,
        own_state_scale=bool(rng.integers(2)),
    )


@pytest.mark.parametrize("seed", range(160))
def test_lstm_with_parts(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    plan = random_parts(rng, some_units(rng))
    whole = not plan.peephole or plan.projection in (0, plan.units)
    plan = plan._replace(time_major=whole and bool(rng.integers(2)))
    executors = tuple(RESOLVERS) if seed % 8 == 0 else REFERENCE
    compare(lstm_case(rng, sizes(rng), plan, reach=float(rng.choice([1, 3, 6]))), rng, tmp_path, executors)


@pytest.mark.parametrize("seed", range(40))
def test_a_projection_wider_than_the_units(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    units = some_units(rng)
    plan = LstmPlan(units, projection=units + int(rng.integers(1, 20)), coupled=bool(seed % 2))
    compare(lstm_case(rng, sizes(rng), plan), rng, tmp_path, REFERENCE)


@pytest.mark.parametrize("part", ["nothing", "coupled", "peephole", "projection"])
@pytest.mark.parametrize("units", [1, 2, 7, 16, 33])
@pytest.mark.parametrize("spread", ["equal", "one", "tiny", "huge"])
def test_variances_of_layer_norm(spread: str, units: int, part: str, tmp_path: Path) -> None:
    """Units that are all equal, one that differs by little, all of them by little, and by as much as can be."""
    rng = np.random.default_rng(units)
    plan = LstmPlan(units, layer_norm=True, coupled=part == "coupled", peephole=part == "peephole",
                    projection=(units + 1) // 2 if part == "projection" else 0)  # fmt: skip
    case = lstm_case(rng, (2, 3, 4), plan, reach=12.0 if spread == "huge" else -3.0)
    for tensor in case.file.tensors:
        if tensor.name.startswith(("W_", "R_")) and spread in ("equal", "one"):
            weights = np.zeros(tensor.shape)
            weights[0, 0] = spread == "one"
            tensor.data = weights
    compare(case, rng, tmp_path, REFERENCE)


@pytest.mark.parametrize("step", range(1, 41))
def test_the_least_variance_of_layer_norm(step: int, tmp_path: Path) -> None:
    """Scales of ``step / 10000``, whose product with 10000 is a whole number in binary32 and not always in binary64."""
    rng = np.random.default_rng(step)
    case = lstm_case(rng, (2, 2, 3), LstmPlan(5, layer_norm=True), reach=-4.0)
    for tensor in case.file.tensors:
        if tensor.name.startswith("ln_"):
            tensor.scale = [step / 10000]
        elif tensor.name.startswith(("W_", "R_")):
            tensor.data = np.eye(tensor.shape[0], tensor.shape[1])
    compare(case, rng, tmp_path, REFERENCE)


@pytest.mark.parametrize("seed", range(40))
def test_stacks(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    units = tuple(some_units(rng) for _ in range(1 + seed % 3))
    case = stack_case(rng, sizes(rng), units, int(rng.integers(1, 41)))
    compare(case, rng, tmp_path, EXECUTORS)


@pytest.mark.parametrize("seed", range(40))
def test_reshapes(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    compare(reshaped_case(rng, sizes(rng), some_units(rng), int(rng.integers(1, 41))), rng, tmp_path, EXECUTORS)


@pytest.mark.parametrize("seed", range(40))
def test_both_directions(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    case = both_case(rng, sizes(rng), some_units(rng), int(rng.integers(1, 41)), last=bool(seed % 2))
    compare(case, rng, tmp_path, RESOLVERS)


def test_what_the_programs_do_out_of_bounds_is_refused(tmp_path: Path) -> None:
    """LiteRT mixes units and sequences, and TensorFlow Lite Micro holds the cell at 0."""
    rng = np.random.default_rng(1)
    path = tmp_path / "model.tflite"
    path.write_bytes(
        lstm_case(rng, (3, 2, 4), LstmPlan(5, peephole=True, projection=2, time_major=True)).file.content()
    )
    with pytest.raises(FileError, match="outputs of lstm must be as many as its 5 units"):
        import_model(path)
    path.write_bytes(lstm_case(rng, (3, 2, 4), LstmPlan(5, cell_clip=1e-6)).file.content())
    with pytest.raises(FileError, match="cellClip of lstm must be 0 or at least"):
        import_model(path, executor=MICRO)
