"""Several models at once give what each gives alone, in one process or several."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fixedsim.errors import FileError, InputError
from fixedsim.evaluation import evaluate
from fixedsim.evaluation.processes import in_processes
from fixedsim.evaluation.several import evaluate_several
from fixedsim.model import Model
from fixedsim.network import Network

Tokens = NDArray[np.int64]


@pytest.fixture
def files(tmp_path: Path, model: Model, network: Network) -> list[Path]:
    """The model and its float network, saved."""
    model.save(tmp_path / "model.safetensors")
    network.save(tmp_path / "network.safetensors")
    return [tmp_path / "model.safetensors", tmp_path / "network.safetensors"]


def test_results_are_those_of_single_evaluations(
    files: list[Path], model: Model, network: Network, tokens: Tokens
) -> None:
    seen: list[tuple[int, int]] = []
    found = evaluate_several(files, tokens, progress=lambda done, total: seen.append((done, total)))
    assert [each.perplexity for each in found] == [evaluate(each, tokens).perplexity for each in (model, network)]
    assert [each.bit_exact for each in found] == [True, False]
    assert found[0].overflows == evaluate(model, tokens).overflows
    assert seen == [(1, 2), (2, 2)]


def test_several_processes_give_the_same(files: list[Path], tokens: Tokens) -> None:
    before = dict(os.environ)
    models = [files[0]] * 3
    alone = evaluate_several(models[:1], tokens, reference=files[1])
    together = evaluate_several(models, tokens, reference=files[1], processes=2)
    assert [each.to_dict() | {"seconds": 0} for each in together] == [alone[0].to_dict() | {"seconds": 0}] * 3
    assert dict(os.environ) == before


def test_what_goes_wrong_in_a_process_is_raised_here(files: list[Path], tokens: Tokens) -> None:
    with pytest.raises(FileError, match=r"absent\.safetensors must be a readable file"):
        evaluate_several([*files, files[0].with_name("absent.safetensors")], tokens, processes=2)


def test_arguments_are_checked(files: list[Path], tokens: Tokens) -> None:
    with pytest.raises(InputError, match="processes must be at least 1, not 0"):
        evaluate_several(files, tokens, processes=0)
    assert evaluate_several([], tokens, processes=3) == []


def settings(names: tuple[str, ...]) -> tuple[int, list[str | None]]:
    return os.getpid(), [os.environ.get(name) for name in names]


def test_each_process_has_one_thread_and_the_first_job_warms_the_cache() -> None:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    warmed: list[tuple[str, ...]] = []
    found = dict(in_processes(settings, [names, names], 2, warm=warmed.append))
    assert sorted(found) == [0, 1]
    assert all(values == ["1"] * 4 and process != os.getpid() for process, values in found.values())
    assert warmed == [names]


def test_one_process_is_this_one_and_warms_nothing() -> None:
    warmed: list[tuple[str, ...]] = []
    found = dict(in_processes(settings, [("HOME",)] * 2, 1, warm=warmed.append))
    assert {process for process, _ in found.values()} == {os.getpid()}
    assert warmed == []
