"""``fixedsim sweep`` and several models of ``fixedsim evaluate``: grids, files that go on, and what is refused."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

TEXT = "--text text.txt --vocab vocab.json "
SWEEP = f"sweep net.safetensors -o found.jsonl {TEXT}"


def perplexity(fixedsim: Command, *options: str) -> float:
    fixedsim("quantize", "net.safetensors", "-o", "one.safetensors", *options)
    found = json.loads(fixedsim("evaluate", "one.safetensors", *TEXT.split(), "--json").stdout)["perplexity"]
    assert isinstance(found, float)
    return found


def test_a_grid_of_widths_and_profiles(fixedsim: Command) -> None:
    grid = "--weight-bits 2,4 --activation-bits 6,8 --profile fixed-point --profile bit-rnn --bits decoder.weight=5"
    found = json.loads(fixedsim(*SWEEP.split(), *grid.split(), "--json").stdout)
    assert [(each["options"]["profile"], each["options"]["weight_bits"]) for each in found[::2]] == [
        ("fixed-point", 2),
        ("fixed-point", 4),
        ("bit-rnn", 2),
        ("bit-rnn", 4),
    ]
    assert found[1]["label"] == "profile fixed-point, weight bits 2, activation bits 8"
    widths = ("--weight-bits", "2", "--activation-bits", "8", "--bits", "decoder.weight=5")
    assert found[1]["perplexity"] == perplexity(fixedsim, *widths)
    assert {each["predictions"] for each in found} == {14}
    assert len(Path("found.jsonl").read_text().splitlines()) == 8


def test_a_sweep_goes_on_where_it_was(fixedsim: Command) -> None:
    fixedsim(*SWEEP.split(), "--weight-bits", "2")
    first = json.loads(Path("found.jsonl").read_text())
    Path("found.jsonl").write_text(json.dumps(first | {"perplexity": 1.25}) + "\n")
    lines = fixedsim(*SWEEP.split(), "--weight-bits", "2,3").stdout.splitlines()
    assert lines[0].split() == ["profile", "weight", "bits", "perplexity", "stored", "bytes"]
    assert lines[1].split()[:3] == ["fixed-point", "2", "1.2500"]
    assert lines[2].split()[:2] == ["fixed-point", "3"]
    assert lines[-1] == "found.jsonl: 2 configurations over 14 predictions"


def test_widths_that_are_left_out_are_those_of_quantize(fixedsim: Command) -> None:
    found = json.loads(fixedsim(*SWEEP.split(), "--json").stdout)
    assert [each["label"] for each in found] == ["profile fixed-point"]
    assert found[0]["perplexity"] == perplexity(fixedsim)


def test_a_profile_in_a_file_counts_as_it_is_now(fixedsim: Command) -> None:
    fixedsim("profile", "copy", "fixed-point", "mine.toml")
    line = (*SWEEP.split(), "--profile", "mine.toml")
    assert fixedsim(*line).stdout.splitlines()[1].split()[0] == "fixed-point"  # the name within
    Path("mine.toml").write_text(Path("mine.toml").read_text().replace('name = "fixed-point"', 'name = "mine"'))
    message = "found.jsonl: result 'profile mine.toml' must be of the same options and tokens; name another file"
    assert message in fixedsim(*line, status=1).stderr


def test_two_processes_give_the_same(fixedsim: Command) -> None:
    alone = fixedsim(*SWEEP.split(), "--weight-bits", "2..4").stdout
    Path("found.jsonl").unlink()
    assert fixedsim(*SWEEP.split(), "--weight-bits", "2..4", "--processes", "2").stdout == alone


def test_several_models_have_a_row_each(fixedsim: Command) -> None:
    fixedsim("quantize", "net.safetensors", "-o", "model.safetensors")
    line = ("evaluate", "model.safetensors", "net.safetensors", *TEXT.split())
    single = [json.loads(fixedsim("evaluate", name, *TEXT.split(), "--json").stdout) for name in line[1:3]]
    found = json.loads(fixedsim(*line, "--processes", "2", "--json").stdout)
    assert [each["model"] for each in found] == ["model.safetensors", "net.safetensors"]
    assert [each["perplexity"] for each in found] == [each["perplexity"] for each in single]
    lines = fixedsim(*line).stdout.splitlines()
    assert lines[1].split()[:2] == ["model.safetensors", "14"]
    assert lines[-1] == "not bit-exact: net.safetensors in floating point, whole or in part"
    shown = fixedsim(*line[:2], "model.safetensors", *TEXT.split(), "--float", "net.safetensors").stdout
    assert "against float" in shown.splitlines()[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (SWEEP + "--weight-bits 4,17", "weight_bits must be in 1..16, not 17"),
        (SWEEP + "--activation-bits 0", "activation_bits must be in 1..16, not 0"),
        (SWEEP + "--bits lstn.hidden=4", "bits pattern must match a name, not 'lstn.hidden'; did you mean"),
        (SWEEP + "--profile fixed-point --profile fixed-piont", "profile 'fixed-piont' is unknown; did you mean"),
        (SWEEP + "--profile absent.toml", "absent.toml must be a readable TOML file"),
        (SWEEP + "--weight-bits 4,4", "labels of a sweep must differ from each other"),
        (f"sweep net.safetensors -o found.json {TEXT}", "found.json must end in .jsonl, not '.json'"),
        (f"sweep net.safetensors -o no/found.jsonl {TEXT}", "must be in a folder that exists, not in no"),
        (f"sweep absent.safetensors -o found.jsonl {TEXT}", "absent.safetensors must be a readable file"),
        (f"sweep ptb-lm -o found.jsonl {TEXT}", "weights must be given for the description ptb-lm, not missing"),
        ("sweep net.safetensors -o found.jsonl --text absent.txt --vocab vocab.json", "absent.txt must be a readable"),
        (f"evaluate net.safetensors absent.safetensors {TEXT}", "absent.safetensors must be a readable file"),
    ],
)
def test_one_message_and_status_1(fixedsim: Command, line: str, message: str) -> None:
    result = fixedsim(*line.split(), status=1)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert not Path("found.jsonl").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (SWEEP + "--weight-bits few", "must be 1 to 1000 whole numbers such as 4, '1,2,4' or '1..8', not 'few'"),
        (SWEEP + "--weight-bits 1..16 --activation-bits 1..1000", "lists must give at most 10000 configurations"),
        (SWEEP + "--processes 0", "0 is not in the range x>=1"),
        (f"sweep net.safetensors {TEXT}", "Missing option '-o'"),
        (f"evaluate {TEXT}", "Missing argument 'MODEL...'"),
        (f"evaluate net.safetensors {TEXT} --processes 0", "0 is not in the range x>=1"),
    ],
)
def test_wrong_usage_has_status_2(fixedsim: Command, line: str, message: str) -> None:
    assert message in fixedsim(*line.split(), status=2).stderr


def test_a_damaged_file_of_results_is_refused(fixedsim: Command) -> None:
    Path("found.jsonl").write_text("no json\n")
    assert "found.jsonl: line 1 must be a result as JSON" in fixedsim(*SWEEP.split(), status=1).stderr
