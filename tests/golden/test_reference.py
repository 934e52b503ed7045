"""The reference in lock-step gives what the committed sets hold, step by step."""

from pathlib import Path

import numpy as np
import pytest

import fixedsim
from fixedsim.errors import FixedsimError
from fixedsim_golden.cases import INJECT_BIT, RESET_BIT
from fixedsim_golden.reference import Reference
from fixedsim_golden.sets import GoldenSet

VECTORS = Path(__file__).resolve().parents[2] / "golden" / "vectors"


@pytest.mark.parametrize("name", ["lstm-fixed-point-w8a8-smoke", "lstm-bit-rnn-w1a1-smoke", "linear-litert-w8a8-smoke"])
@pytest.mark.parametrize("engine", ["kernels", "spec"])
def test_steps_give_the_signals_of_a_set(name: str, engine: str) -> None:
    golden = GoldenSet.open(VECTORS / name)
    reference = Reference(golden.folder / golden.manifest.model.file.path, engine=engine)
    control, inputs = golden.raws("control"), golden.raws("input")
    wanted = {
        each.name: golden.raws(each.name) for each in golden.manifest.entries if each.role in ("signal", "output")
    }
    sequence = -1
    firsts = {case.first for case in golden.manifest.cases}
    for step, word in enumerate(control.tolist()):
        sequence += step in firsts
        if word & RESET_BIT:
            reference.reset()
        if word & INJECT_BIT:
            states = [golden.raws(f"lstm.initial_state.{what}")[sequence] for what in ("hidden", "cell")]
            reference.load({"lstm": (states[0], states[1])})
        found = reference.step(inputs[step])
        assert found.keys() == wanted.keys()
        for signal, raws in found.items():
            assert np.array_equal(raws, wanted[signal][step]), (step, signal)


def test_tokens_and_reals_are_taken() -> None:
    model = fixedsim.quantize(fixedsim.load_network("char-lm"))
    reference = Reference(model)
    given = [reference.step(token)["output"] for token in (3, 1, 4)]
    wanted = model.run(np.array([3, 1, 4])).raw
    assert wanted is not None
    assert np.array_equal(np.stack(given), wanted)


def test_what_cannot_be_stepped_is_refused() -> None:
    with pytest.raises(FixedsimError, match="must give an output at every step to be a reference for steps"):
        Reference(VECTORS / "bilstm-fixed-point-w8a8-smoke" / "model.safetensors")
    reference = Reference(VECTORS / "lstm-fixed-point-w8a8-smoke" / "model.safetensors")
    with pytest.raises(FixedsimError, match="must have 2 features, not 3"):
        reference.step([1, 2, 3])
    with pytest.raises(FixedsimError, match="must be a raw of"):
        reference.step([1, 1000])
