"""Sweeps give what single evaluations give, go on where they were stopped, and refuse results of something else."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim import evaluate, load_network, load_profile, quantize
from fixedsim.errors import FileError, InputError
from fixedsim.sweep import Configuration, Result, Task, read_results, sweep

TOKENS = np.arange(40) * 7 % 66
TASK = Task("char-lm", TOKENS)
WANTED = [Configuration(f"w{bits}", {"weight_bits": bits, "activation_bits": 8}) for bits in (8, 3)]


def test_results_are_those_of_single_evaluations(tmp_path: Path) -> None:
    found = sweep(TASK, WANTED, tmp_path / "results.jsonl")
    network = load_network("char-lm")
    for result, bits, storage in zip(found, (8, 3), (8 * 76_424 + 32 * 466, 3 * 76_424 + 32 * 466), strict=True):
        single = evaluate(quantize(network, weight_bits=bits, activation_bits=8), TOKENS)
        assert result["perplexity"] == single.perplexity
        assert (result["label"], result["predictions"]) == (f"w{bits}", 39)
        assert result["storage_bits"] == storage  # 66 x 64 + 400 x 164 + 66 x 100 weights, 466 biases of 32 bits


def test_two_processes_give_the_same(tmp_path: Path) -> None:
    before = dict(os.environ)
    alone = sweep(TASK, WANTED, tmp_path / "one.jsonl")
    together = sweep(TASK, WANTED, tmp_path / "two.jsonl", processes=2)
    assert [result["perplexity"] for result in together] == [result["perplexity"] for result in alone]
    assert dict(os.environ) == before


def test_what_stands_in_the_file_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    sweep(TASK, WANTED[:1], path)
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"perplexity": 1.5}) + '\n{"label": "w3", "opt')  # a killed run's last line
    seen: list[tuple[int, int, str]] = []

    def watch(done: int, total: int, result: Result) -> None:
        seen.append((done, total, result["label"]))

    found = sweep(TASK, WANTED, path, progress=watch)
    assert [result["label"] for result in found] == ["w8", "w3"]
    assert found[0]["perplexity"] == 1.5
    assert seen == [(2, 2, "w3")]
    assert [result["label"] for result in read_results(path)] == ["w8", "w3"]


def test_a_profile_of_plain_values(tmp_path: Path) -> None:
    choices = load_profile("fixed-point").to_dict()
    choices["weight"]["granularity"] = "tensor"
    found = sweep(TASK, [Configuration("tensor", {"profile": choices, "weight_bits": 3})], tmp_path / "r.jsonl")
    by_row = sweep(TASK, [Configuration("row", {"weight_bits": 3})], tmp_path / "r.jsonl")
    assert found[0]["perplexity"] != by_row[0]["perplexity"]


@pytest.mark.parametrize(
    ("options", "tokens"), [({"weight_bits": 7, "activation_bits": 8}, TOKENS), (WANTED[0].options, TOKENS[:20])]
)
def test_results_of_something_else_are_refused(tmp_path: Path, options: dict[str, Any], tokens: Any) -> None:
    path = tmp_path / "results.jsonl"
    sweep(TASK, WANTED[:1], path)
    with pytest.raises(FileError, match="result 'w8' must be of the same options and tokens; name another file"):
        sweep(Task("char-lm", tokens), [Configuration("w8", options)], path)


@pytest.mark.parametrize("content", ["no json\n", "[]\n", '{"label": "w8"}\n'])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(content)
    with pytest.raises(FileError, match="line 1 must be a result as JSON"):
        sweep(TASK, WANTED, path)


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="labels of a sweep must differ"):
        sweep(TASK, [WANTED[0], WANTED[0]], tmp_path / "r.jsonl")
    with pytest.raises(InputError, match="processes must be at least 1, not 0"):
        sweep(TASK, WANTED, tmp_path / "r.jsonl", processes=0)
