"""How a check reads recorded arrays, what it says where it cannot tell or nothing agrees, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from fixedsim.errors import InputError
from fixedsim.importers.checking import CLOSEST
from tests.importers.planted import Array, Linear, written
from tests.importers.test_check import INPUTS, LSTM, STEPS, UNITS, X, checked, options


def test_one_step_cannot_tell(tmp_path: Path) -> None:
    """With a state of zeros nothing recurrent counts, nor does the forget gate."""
    path = written(tmp_path, LSTM.tensors("lstm", "l0"))
    found = checked(path, X[:1], LSTM.run(X[:1]))
    assert found.agrees
    assert set(options(found)) == {
        ("--convention", "recurrent-transposed"),
        ("--forget-bias=1",),
        ("--forget-bias=-1",),
    }
    path = written(tmp_path, LSTM.tensors("lstm", "l0", "fiog"))
    found = checked(path, X[:1], LSTM.run(X[:1]))
    assert not found.agrees
    assert options(found) == [("--gate-order", "fiog")]


def test_more_steps_agree_with_nothing_else(tmp_path: Path) -> None:
    found = checked(written(tmp_path, LSTM.tensors("lstm", "l0")), X, LSTM.run(X))
    assert (found.agrees, found.agreeing, found.closest, found.values) == (True, (), (), STEPS * UNITS)
    assert found.difference < 1e-12


def test_nothing_agrees(tmp_path: Path) -> None:
    path = written(tmp_path, LSTM.tensors("lstm", "l0"))
    outputs = LSTM.run(X)
    outputs[3, 1] += 0.01
    found = checked(path, X, outputs)
    assert not found.agrees
    assert found.agreeing == ()
    assert found.difference == pytest.approx(0.01 / np.abs(outputs).max())
    assert len(found.closest) == CLOSEST - 1  # as read is closest of all
    assert found.changes_at_once == 3
    differences = [alternative.difference for alternative in found.closest]
    assert differences == sorted(differences)
    assert checked(path, X, outputs, tolerance=0.1).agrees


BATCH = np.random.default_rng(9).normal(size=(STEPS, 3, INPUTS))  # (T, N, features)
BATCH_OUTPUTS = np.stack([LSTM.run(BATCH[:, n]) for n in range(3)], axis=1)


@pytest.mark.parametrize(
    ("inputs", "outputs", "reading"),
    [
        (BATCH, BATCH_OUTPUTS, "inputs: time first; outputs: time first"),
        (BATCH.swapaxes(0, 1), BATCH_OUTPUTS.swapaxes(0, 1), "inputs: batch first; outputs: batch first"),
        (BATCH.swapaxes(0, 1), BATCH_OUTPUTS, "inputs: batch first; outputs: time first"),
        (BATCH, BATCH_OUTPUTS[-1], "inputs: time first; outputs: of the last step alone"),
        (BATCH, BATCH_OUTPUTS[-1:], "inputs: time first; outputs: of the last step alone"),
        (BATCH, BATCH_OUTPUTS.reshape(-1, UNITS), "inputs: time first; outputs: step after step"),
        (
            BATCH,
            BATCH_OUTPUTS.swapaxes(0, 1).reshape(-1, UNITS),
            "inputs: time first; outputs: sequence after sequence",
        ),
        (BATCH[:, :1], BATCH_OUTPUTS[:, 0], "inputs: time first; outputs: step after step"),
        (BATCH[:, 0], BATCH_OUTPUTS[:, :1], "inputs: one sequence; outputs: time first"),
        (BATCH[:, 0], BATCH_OUTPUTS[-1, 0], "inputs: one sequence; outputs: of the last step alone"),
        (BATCH[:3], BATCH_OUTPUTS[:3].swapaxes(0, 1), "inputs: time first; outputs: batch first"),
    ],
)
def test_axes(tmp_path: Path, inputs: Array, outputs: Array, reading: str) -> None:
    found = checked(written(tmp_path, LSTM.tensors("lstm", "l0")), inputs, outputs)
    assert found.agrees
    assert "; ".join(found.reading) == reading
    assert found.agreeing == ()


def test_axes_that_are_stated(tmp_path: Path) -> None:
    path = written(tmp_path, LSTM.tensors("lstm", "l0", "gifo"))
    inputs, outputs = BATCH.swapaxes(0, 1), BATCH_OUTPUTS.swapaxes(0, 1)
    for batch_first in (None, True):
        found = checked(path, inputs, outputs, batch_first=batch_first)
        assert options(found) == [("--gate-order", "gifo")]
        assert "inputs: batch first" in found.reading
    assert options(checked(path, inputs, outputs, batch_first=False)) == []


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: softmax(x, axis=-1), "softmax"),
        (lambda x: log_softmax(x, axis=-1), "log-softmax"),
        (lambda x: 1 / (1 + np.exp(-x)), "sigmoid"),
    ],
)
def test_probabilities(tmp_path: Path, function: Any, name: str) -> None:
    linear = Linear.drawn(UNITS, 4, 10)
    path = written(tmp_path, LSTM.tensors("lstm", "l0", "oifg"), linear.tensors())
    found = checked(path, X, function(linear.run(LSTM.run(X))))
    assert options(found) == [("--gate-order", "oifg")]
    assert found.reading[-1] == f"outputs: {name} of the network's"


def test_tokens(tmp_path: Path) -> None:
    table = np.random.default_rng(11).normal(size=(7, INPUTS))
    path = written(tmp_path, {"embedding.weight": table}, LSTM.tensors("lstm", "l0", "fgio"))
    tokens = np.array([3, 1, 4, 1, 5])
    for given in (tokens, tokens.astype(np.float32), tokens[:, None], tokens[None]):
        assert options(checked(path, given, LSTM.run(table[tokens]))) == [("--gate-order", "fgio")]
    with pytest.raises(InputError, match=r"inputs must be token ids in 0\.\.6, not 3\.\.7"):
        checked(path, np.array([3, 7]), LSTM.run(table[:2]))


def test_progress(tmp_path: Path) -> None:
    moves: list[tuple[int, int]] = []
    path = written(tmp_path, LSTM.tensors("lstm", "l0", "gifo"))
    found = checked(path, X, LSTM.run(X), progress=lambda done, total: moves.append((done, total)))
    assert [done for done, _ in moves] == list(range(1, found.tried))
    assert len({total for _, total in moves}) == 1
    assert moves[-1][1] >= moves[-1][0]


def test_json(tmp_path: Path) -> None:
    path = written(tmp_path, LSTM.tensors("lstm", "l0", "gifo"))
    values = checked(path, X, LSTM.run(X)).to_dict()
    assert values["agrees"] is False
    assert [each["options"] for each in values["agreeing"]] == [["--gate-order", "gifo"]]
    assert values["agreeing"][0]["changes"] == ["gates are stacked g, i, f, o, not i, f, g, o"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        (
            X[:, :2],
            X[:, :2],
            r"must be reals \(T, N, 3\) and \(T, N, 2\), time or batch first, .* not of shapes \(5, 2\)",
        ),
        (X, X, r"not of shapes \(5, 3\) and \(5, 3\)"),
        (X, X[:4, :2], r"not of shapes \(5, 3\) and \(4, 2\)"),
        (X * np.inf, X[:, :2], "inputs must be finite numbers, not float64"),
        (X, X[:, :2] * np.nan, "outputs must be finite numbers, not float64"),
        (X[:0], X[:0, :2], "inputs must be finite numbers, not float64"),
        (np.array(["a"]), X[:, :2], "inputs must be finite numbers, not <U1"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, inputs: Array, outputs: Array, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked(written(tmp_path, LSTM.tensors("lstm", "l0")), inputs, outputs)


@pytest.mark.parametrize("tolerance", [0, 1, -1e-5, float("nan")])
def test_tolerances(tmp_path: Path, tolerance: float) -> None:
    with pytest.raises(InputError, match=r"tolerance must be in \(0, 1\), not"):
        checked(written(tmp_path, LSTM.tensors("lstm", "l0")), X, X[:, :2], tolerance=tolerance)
