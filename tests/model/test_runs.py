"""Whole networks: one arithmetic, however the run is cut up, threaded, batched or compiled."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.model import Model
from fixedsim.model.run import RunResult
from fixedsim.network import Description
from fixedsim.profiles import load_profile
from fixedsim.profiles.profile import Profile
from tests.layers.comparison import require_equal, require_equal_traces
from tests.model.networks import LANGUAGE, SPEECH, digest, inputs, model

pytestmark = pytest.mark.kernels
GROUP = "model"
WIDTHS = [(8, 8), (4, 4), (2, 2), (1, 1), (16, 16), (3, 7)]
NETWORKS = {"language": LANGUAGE, "speech": SPEECH}


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def made(request: pytest.FixtureRequest) -> Model:
    """A model of 8 and 8 bits of each network."""
    return model(NETWORKS[request.param])


def same(left: RunResult, right: RunResult) -> None:
    """Two runs left the same integers, traces and states."""
    assert left.raw is not None
    assert right.raw is not None
    require_equal(left.raw, right.raw, "raw", GROUP)
    require_equal(left.real, right.real, "real", GROUP)
    require_equal_traces(left.trace, right.trace, GROUP)
    assert left.state.keys() == right.state.keys()
    for name, pair in left.state.items():
        for part, raws, wanted in zip("hc", pair, right.state[name], strict=True):
            require_equal(raws, wanted, f"state {part} of {name}", GROUP)


def joined(results: list[RunResult], axis: int) -> RunResult:
    """The runs of pieces side by side (``axis`` 1) or one after the other (0), the last state of those."""
    first, last = results[0], results[-1]
    state = last.state
    if axis == 1:
        state = {
            name: (
                np.concatenate([result.state[name][0] for result in results]),
                np.concatenate([result.state[name][1] for result in results]),
            )
            for name in first.state
        }
    return RunResult(
        np.concatenate([result.values for result in results], axis),
        first.format,
        state,
        {name: np.concatenate([result.trace[name] for result in results], axis) for name in first.trace},
    )


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("profile", ["fixed-point", "bit-rnn"])
@pytest.mark.parametrize("description", [LANGUAGE, SPEECH], ids=lambda description: description.name)
def test_kernels_equal_the_specification(description: Description, profile: str, bits: tuple[int, int]) -> None:
    made = model(description, profile=profile, weight_bits=bits[0], activation_bits=bits[1])
    given = inputs(made, 3, 2)
    same(made.run(given, trace="*"), made.run(given, trace="*", engine="spec"))


@pytest.mark.parametrize("stage", ["first", "last", "preactivation"])
@pytest.mark.parametrize("form", ["shift", "multiplier", "doubling"])
def test_other_profiles(stage: str, form: str) -> None:
    choices = profile_choices(bias={"stage": stage}, requantize={"form": form}, accumulator={"bits": 24})
    made = model(SPEECH, profile=choices, weight_bits=4, activation_bits=4)
    given = inputs(made, 3, 2)
    same(made.run(given, trace="*"), made.run(given, trace="*", engine="spec"))


def profile_choices(**changes: dict[str, Any]) -> Any:
    """The profile ``fixed-point`` with keys changed."""
    choices = load_profile("fixed-point").to_dict()
    for table, keys in changes.items():
        choices[table] = choices.get(table, {}) | keys
    return Profile.from_dict(choices)


def test_batched_equals_one_by_one(made: Model) -> None:
    given = inputs(made, 5, 7)
    alone = [made.run(given[:, n : n + 1], trace="*") for n in range(7)]
    same(made.run(given, trace="*"), joined(alone, 1))


def test_streamed_equals_one_call() -> None:
    made = model(LANGUAGE)
    given, pieces, state = inputs(made, 12, 2), [], None
    for first, end in ((0, 1), (1, 6), (6, 6), (6, 12)):
        pieces.append(made.run(given[first:end], state=state, trace="*"))
        state = pieces[-1].state
    same(made.run(given, trace="*"), joined(pieces, 0))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_threads_change_nothing(made: Model, batch: int) -> None:
    given = inputs(made, 6, batch)
    lengths = np.arange(batch) % 4 + 2
    course = {"lengths": lengths, "reset": inputs_reset(6, batch), "trace": "*"}
    one = made.run(given, **course)
    for threads in (2, 3):
        many = made.run(given, **course, threads=threads)
        same(one, many)
        assert one.overflows == many.overflows


def inputs_reset(steps: int, batch: int) -> Any:
    """Resets of some steps."""
    return np.arange(steps * batch).reshape(steps, batch) % 3 == 1


def test_lengths_equal_sequences_of_their_own(made: Model) -> None:
    given, lengths = inputs(made, 6, 4), np.array([6, 1, 0, 4])
    together = made.run(given, lengths=lengths, trace="*")
    assert together.raw is not None
    assert made.output_format is not None
    for n, length in enumerate(lengths.tolist()):
        alone = made.run(given[:length, n : n + 1], trace="*")
        assert alone.raw is not None
        require_equal(together.raw[:length, n], alone.raw[:, 0], "raw", GROUP)
        assert (together.raw[length:, n] == made.output_format.zero_point).all()
        for name, pair in together.state.items():
            for raws, wanted in zip(pair, alone.state[name], strict=True):
                require_equal(raws[n], wanted[0], name, GROUP)
        for name, trace in together.trace.items():
            require_equal(trace[:length, n], alone.trace[name][:, 0], name, GROUP)
            assert not trace[length:, n].any(), name


def test_a_reset_begins_anew() -> None:
    made = model(LANGUAGE)
    given = inputs(made, 6, 1)
    reset = np.zeros((6, 1), dtype=bool)
    reset[4] = True
    pieces = [made.run(given[:4], trace="*"), made.run(given[4:], trace="*")]
    same(made.run(given, reset=reset, trace="*"), joined(pieces, 0))


SCRIPT = """
import sys
from fixedsim.model import load_model
from tests.model.networks import digest, inputs
made = load_model(sys.argv[1])
print(digest(made.run(inputs(made, 4, 2), trace="*")))
"""


def run_elsewhere(path: Path, **environment: str) -> str:
    """The digest of the run in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


def test_without_the_jit(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for description in (LANGUAGE, SPEECH):
        made = model(description, weight_bits=4)
        made.save(path)
        here = digest(made.run(inputs(made, 4, 2), trace="*"))
        assert run_elsewhere(path, NUMBA_DISABLE_JIT="1") == here


@pytest.mark.slow  # compiles every kernel a second time
def test_with_a_generic_processor(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    made = model(SPEECH)
    made.save(path)
    here = digest(made.run(inputs(made, 4, 2), trace="*"))
    assert run_elsewhere(path, NUMBA_CPU_NAME="generic", NUMBA_DISABLE_JIT="0") == here
