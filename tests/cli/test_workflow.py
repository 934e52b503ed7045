"""Commands that succeed, one after the other on a tiny network, and what they print and write."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from fixedsim_cli.output import PIPED_WIDTH
from tests.cli.conftest import Command

DATA = Path(__file__).resolve().parents[2] / "fixedsim" / "data" / "char_lm"
QUANTIZE = ("quantize", "net.safetensors", "--weight-bits", "4", "-o", "model.safetensors")
PERPLEXITY_OF_FLOAT = 5.2441  # of the shipped float model on its text: docs/studies/char_lm.md


def arrays(path: str) -> dict[str, np.ndarray]:
    """The arrays of an archive, which is closed."""
    with np.load(path) as archive:
        return dict(archive)


def test_quantize_reports_each_tensor_and_the_storage(fixedsim: Command) -> None:
    lines = fixedsim(*QUANTIZE).output.splitlines()
    names = [line.split()[0] for line in lines[2:8]]
    weights = ["embedding.weight", "lstm.input.weight", "lstm.recurrent.weight", "decoder.weight"]
    assert names == [*weights, "lstm.bias", "decoder.bias"]
    # (20 + 48 + 36 + 15) weights of 4 bits and 17 biases of 32 bits are 1,020 bits, 127.5 bytes
    assert lines[-1] == "model.safetensors: tiny with profile fixed-point, weights and biases in 128 bytes"
    assert lines[3].split()[1:4] == ["12x4", "4", "int4"]


def test_json_is_one_document(fixedsim: Command) -> None:
    found = json.loads(fixedsim(*QUANTIZE, "--bits", "decoder.weight=7", "--json").stdout)
    assert found["bytes"] == (119 * 4 + 15 * 3 + 17 * 32 + 7) // 8
    assert {each["name"]: each["bits"] for each in found["tensors"]}["decoder.weight"] == 7
    runs = json.loads(fixedsim("run", "model.safetensors", "tokens.npy", "-o", "out.npz", "--json").stdout)
    assert runs["shape"] == [6, 2, 5]
    text = ("--text", "text.txt", "--vocab", "vocab.json")
    assert json.loads(fixedsim("evaluate", "model.safetensors", *text, "--json").stdout)["predictions"] == 14
    for name in ("model.safetensors", "net.safetensors", "ptb-lm", "fixed-point"):
        assert json.loads(fixedsim("inspect", name, "--kernels", "--json").stdout)["kind"]
    assert len(json.loads(fixedsim("profile", "list", "--json").stdout)) >= 2
    assert json.loads(fixedsim("profile", "show", "bit-rnn", "--json").stdout)["name"] == "bit-rnn"


def test_the_last_pattern_that_matches_sets_the_width(fixedsim: Command) -> None:
    bits = ("--bits", "dec*.weight=6", "--bits", "*.weight=3", "--bits", "dec*.weight=5")
    found = json.loads(fixedsim(*QUANTIZE, *bits, "--json").stdout)
    widths = {each["name"]: each["bits"] for each in found["tensors"]}
    assert (widths["decoder.weight"], widths["lstm.input.weight"]) == (5, 3)


def test_ranges_and_calibration_reach_the_model(fixedsim: Command) -> None:
    def embedding_format(*options: str) -> str:
        fixedsim(*QUANTIZE, *options)
        layers = json.loads(fixedsim("inspect", "model.safetensors", "--json").stdout)["layers"]
        return str(layers[0]["output_format"])

    assert embedding_format("--range", "embedding.output=-4:4") == "s2.5"  # 8 bits: sign, 2 integer, 5 fraction
    assert embedding_format("--calibrate", "tokens.npy") == "s0.7"  # weights of at most 0.9
    assert embedding_format("--calibrate", "text.txt", "--vocab", "vocab.json") == "s0.7"


def test_inspect_shows_layers_stages_tables_tensors_and_kernels(fixedsim: Command) -> None:
    fixedsim(*QUANTIZE, "--keep-float", "decoder")
    text = fixedsim("inspect", "model.safetensors", "--kernels").output
    assert "model tiny, profile fixed-point, not bit-exact: decoder in float64" in text
    for heading in ("layers", "datapath of lstm", "tables", "tensors", "kernels"):
        assert f"\n{heading}\n" in text
    assert "gate.*.preactivation" in text  # one row for four gates that are alike
    assert "lstm.recurrent.weight" in text.split("\nkernels\n")[1]


def test_inspect_tells_networks_descriptions_and_profiles_apart(fixedsim: Command) -> None:
    Path("mine.toml").write_text('name = "mine"\n[[layers]]\nkind = "linear"\nname = "fc"\ninputs = 3\noutputs = 2\n')
    assert fixedsim("inspect", "net.safetensors").output.startswith("float network tiny: 136 parameters, 544 bytes")
    assert fixedsim("inspect", "char-lm").output.startswith("float network ")
    assert fixedsim("inspect", "ptb-lm").output.startswith("description of network ptb-lm: 6,731,200 parameters")
    assert fixedsim("inspect", "mine.toml").output.startswith("description of network mine: 8 parameters, 32 bytes")
    fixedsim("profile", "copy", "fixed-point", "copy.toml")
    assert fixedsim("inspect", "copy.toml").output.startswith("profile fixed-point: ")


def test_a_run_continued_from_a_saved_state_equals_one_run(fixedsim: Command) -> None:
    fixedsim(*QUANTIZE)
    tokens = np.load("tokens.npy")
    np.save("first.npy", tokens[:4])
    np.save("rest.npy", tokens[4:])
    run = ("run", "model.safetensors")
    fixedsim(*run, "tokens.npy", "-o", "whole.npz", "--trace", "lstm.cell")
    fixedsim(*run, "first.npy", "-o", "first.npz", "--save-state", "state.npz")
    whole = arrays("whole.npz")
    for state in ("state.npz", "first.npz"):
        fixedsim(*run, "rest.npy", "-o", "rest.npz", "--state", state, "--trace", "lstm.cell")
        rest = arrays("rest.npz")
        assert whole["raw"].shape == (6, 2, 5)
        assert np.array_equal(rest["raw"], whole["raw"][4:])
        assert np.array_equal(rest["trace/lstm.cell"], whole["trace/lstm.cell"][4:])
        assert np.array_equal(rest["state/lstm.c"], whole["state/lstm.c"])
    fixedsim(*run, "rest.npy", "-o", "cold.npz")
    assert not np.array_equal(arrays("cold.npz")["raw"], whole["raw"][4:])


def test_engines_threads_lengths_and_resets_reach_the_run(fixedsim: Command) -> None:
    fixedsim(*QUANTIZE)
    np.save("lengths.npy", np.array([6, 3]))
    np.save("reset.npy", np.arange(12).reshape(6, 2) == 4)
    options = ("--lengths", "lengths.npy", "--reset", "reset.npy", "--trace", "*.hidden")
    for name, more in (("kernels", ()), ("spec", ("--engine", "spec")), ("threads", ("--threads", "2"))):
        fixedsim("run", "model.safetensors", "tokens.npy", "-o", f"{name}.npz", *options, *more)
    content = Path("kernels.npz").read_bytes()
    assert Path("spec.npz").read_bytes() == content == Path("threads.npz").read_bytes()
    assert not arrays("kernels.npz")["raw"][3:, 1].any()  # past the end of the second sequence


def test_run_says_where_casts_overflowed(fixedsim: Command) -> None:
    fixedsim(*QUANTIZE, "--range", "lstm.hidden=-0.01:0.01")
    text = fixedsim("run", "model.safetensors", "tokens.npy", "-o", "out.npz").output
    assert [line.split()[:2] for line in text.splitlines() if line.startswith("lstm.hidden")] == [["lstm.hidden", "36"]]
    fixedsim(*QUANTIZE)
    assert "no cast overflowed" in fixedsim("run", "model.safetensors", "tokens.npy", "-o", "out.npz").output


def test_a_network_of_zeros_has_the_perplexity_of_guessing(fixedsim: Command) -> None:
    fixedsim("quantize", "zero.safetensors", "-o", "zeros.safetensors")
    text = ("--text", "text.txt", "--vocab", "vocab.json")
    for name in ("zeros.safetensors", "zero.safetensors"):
        found = json.loads(fixedsim("evaluate", name, *text, "--json").stdout)
        assert found["perplexity"] == pytest.approx(5, rel=1e-12)
    shown = fixedsim("evaluate", "zeros.safetensors", *text, "--tokens", "8", "--float", "zero.safetensors").output
    assert shown.splitlines()[1].split() == ["7", "5.0000", "2.3219", "5.0000", "+0.00", "%"]


def test_the_shipped_model_from_weights_to_perplexity(fixedsim: Command) -> None:
    network = "char-lm"
    text = ("--text", str(DATA / "eval.txt"), "--vocab", str(DATA / "vocab.json"))
    fixedsim("quantize", network, "-o", "model.safetensors")
    found = json.loads(fixedsim("evaluate", "model.safetensors", *text, "--float", network, "--json").stdout)
    assert found["reference_perplexity"] == pytest.approx(PERPLEXITY_OF_FLOAT, abs=5e-5)
    assert found["perplexity"] == pytest.approx(PERPLEXITY_OF_FLOAT, rel=0.01)
    assert found["snr"]["lstm.hidden"] > 30
    shown = fixedsim("evaluate", "model.safetensors", *text, "--tokens", "100", "--float", network).output
    assert "signals against float" in shown
    assert "tokens" not in shown.splitlines()[0]  # no bar where there is no terminal


def test_a_profile_is_listed_shown_copied_and_used(fixedsim: Command) -> None:
    assert [line.split()[0] for line in fixedsim("profile", "list").output.splitlines()[1:]] >= ["bit-rnn"]
    fixedsim("profile", "copy", "fixed-point", "mine.toml")
    assert Path("mine.toml").read_text() == fixedsim("profile", "show", "fixed-point").output
    Path("mine.toml").write_text(Path("mine.toml").read_text().replace('name = "fixed-point"', 'name = "mine"'))
    assert "with profile mine" in fixedsim(*QUANTIZE, "--profile", "mine.toml").output
    fixedsim("profile", "copy", "bit-rnn", "mine.toml", "--force")
    assert 'name = "bit-rnn"' in Path("mine.toml").read_text()


def test_what_is_piped_has_neither_colours_nor_breaks(fixedsim: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    fixedsim(*QUANTIZE)
    text = fixedsim("inspect", "model.safetensors", "--kernels").output
    assert "\x1b" not in text
    assert all(line == line.rstrip() and len(line) < PIPED_WIDTH for line in text.splitlines())
    assert "lstm.gate.input, lstm.gate.forget, lstm.gate.output" in text


def test_a_wider_network_is_written_and_used(fixedsim: Command) -> None:
    widen = ("widen", "net.safetensors", "--widen", "lstm=1.5", "-o", "wide.safetensors")
    found = json.loads(fixedsim(*widen, "--json").stdout)
    assert [each["wider"] for each in found["layers"] if each["layer"] == "lstm"] == [5]  # 3 * 1.5, a half up
    assert "wide.safetensors: " in fixedsim(*widen).output
    fixedsim("quantize", "wide.safetensors", "-o", "wide8.safetensors")
    perplexity = {
        name: json.loads(fixedsim("evaluate", name, "--text", "text.txt", "--vocab", "vocab.json", "--json").stdout)
        for name in ("net.safetensors", "wide.safetensors")
    }
    wanted, got = (perplexity[name]["perplexity"] for name in ("net.safetensors", "wide.safetensors"))
    assert got == pytest.approx(wanted, rel=1e-9)


def test_storage_is_counted_in_every_form(fixedsim: Command) -> None:
    fixedsim(*QUANTIZE)
    for network in ("net.safetensors", "model.safetensors", "ptb-lm"):
        found = json.loads(fixedsim("memory", network, "--json").stdout)
        assert found["total"]["total_bits"] == sum(each["total_bits"] for each in found["tensors"])
    rows = fixedsim("memory", "ptb-lm", "--weight-bits", "1..3", "--widen", "lstm=1,1.5", "--csv").stdout.splitlines()
    assert len(rows) == 1 + 3 * 2
    assert rows[0].startswith("weight bits,widen lstm,parameters,law bytes")
    assert rows[-1].startswith("3,1.5,8861800,")
    lines = fixedsim("memory", "ptb-lm", "--per", "tensor", "--markdown").stdout.splitlines()
    assert len({line.count("|") for line in lines}) == 1
    several = json.loads(fixedsim("memory", "ptb-lm", "--weight-bits", "2,4", "--json").stdout)
    assert [each["choices"]["weight_bits"] for each in several] == [2, 4]


def test_a_memory_that_is_too_small_shows_the_table_and_fails(fixedsim: Command) -> None:
    keys = ('name = "small"', 'summary = "few"', 'block = "RAM"', "shapes = [[4096, 9]]", "available = 10")
    Path("small.toml").write_text("\n".join(keys))
    shown = fixedsim("memory", "ptb-lm", "--memory", "small.toml", status=1)
    blocks = int(shown.stdout.splitlines()[5].split()[5].replace(",", ""))
    assert shown.stderr == f"Error: memory small must have {blocks:,} RAM for ptb-lm, not 10\n"


def test_activations_are_shown_over_time(fixedsim: Command) -> None:
    fixedsim(*QUANTIZE)
    for network in ("net.safetensors", "model.safetensors"):
        found = json.loads(fixedsim("memory", network, "--steps", "9", "--batch", "2", "--json").stdout)
        assert found["peak_bits"] == max(found["layers"].values()) == sum(found["live_at_peak"].values())
    assert "at most" in fixedsim("memory", "model.safetensors", "--steps", "9", "--order", "streaming").output
    rows = fixedsim("memory", "ptb-lm", "--steps", "9", "--activation-bits", "4,8", "--csv").stdout.splitlines()
    assert [row.split(",")[0] for row in rows] == ["activation bits", "4", "8"]
    fixedsim("memory", "ptb-lm", "--steps", "9", "--keep-float", "lstm", status=2)


def test_a_plan_is_shown_and_its_options_make_it(fixedsim: Command) -> None:
    texts = ("--text", str(DATA / "eval.txt"), "--vocab", str(DATA / "vocab.json"), "--tokens", "300")
    given = ("plan", "char-lm", "--weight-bits", "2,4,8", "--budget", "40000", *texts, "--results", "trials.jsonl")
    found = json.loads(fixedsim(*given, "--layers", "lstm", "--json").stdout)
    assert found["plan"]["size"] <= 40_000 == found["limit"]
    shown = fixedsim(*given, "--layers", "lstm").stdout.splitlines()
    (options,) = [line.removeprefix("options: ") for line in shown if line.startswith("options: ")]
    counted = json.loads(fixedsim("memory", "char-lm", *shlex.split(options), "--json").stdout)
    assert -(-counted["total"]["total_bits"] // 8) == found["plan"]["size"]
    bits = [word for word in shlex.split(options) if "weight=" in word or word == "--bits"]
    fixedsim("quantize", "char-lm", *bits, "-o", "planned.safetensors")
    measured = json.loads(fixedsim("evaluate", "planned.safetensors", *texts, "--json").stdout)
    assert measured["perplexity"] == found["plan"]["perplexity"]


def test_a_frontier_in_every_form(fixedsim: Command) -> None:
    pytest.importorskip("matplotlib")
    given = ("plan", "ptb-lm", "--weight-bits", "4,8", "--by", "law")
    assert fixedsim(*given, "--csv", "--plot", "frontier.svg").stdout.splitlines()[2].split(",")[:3] == [
        "4",
        "2.460",
        "738",
    ]
    assert Path("frontier.svg").read_text().startswith("<?xml")
    assert "| 4 | 2.460 | 738 |" in fixedsim(*given, "--markdown").stdout
    assert "738" in fixedsim(*given).stdout
    assert json.loads(fixedsim(*given, "--json").stdout)["frontier"][1]["widths"] == {"lstm": 738}
