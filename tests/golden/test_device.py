"""The worked-example device of golden/rtl gives the integers of its model, and each of its faults is seen."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ModelError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.network import Description
from fixedsim.network.description import BitRnnRule, LinearLayer, LstmLayer
from fixedsim.profiles import Profile, load_profile
from fixedsim.quantization import quantize
from fixedsim.spec.casts import cast
from fixedsim_golden.device import device_files, device_parameters
from fixedsim_golden.device.memories import Integers, Layer
from tests.golden.device import IVERILOG, RTL, Feed, compare_casts, expected, first_difference, simulate
from tests.model.networks import network
from tests.strategies import Words

pytestmark = pytest.mark.skipif(IVERILOG is None, reason="needs Icarus Verilog: iverilog and vvp")

PROFILES = ("fixed-point", "bit-rnn")
BITS = (8, 4, 2, 1)
KINDS = ("linear", "lstm", "bilstm")
FUNCTIONS = ("identity", "relu", "clipped_relu", "sigmoid", "tanh")


def described(kind: str, inputs: int, units: int, function: str = "tanh") -> LinearLayer | LstmLayer:
    """A layer called ``l``."""
    if kind == "linear":
        return LinearLayer("l", inputs, units, function, 1.5 if function == "clipped_relu" else None)
    return LstmLayer("l", inputs, units, bidirectional=kind == "bilstm")


def made(
    kind: str,
    profile: str | Profile = "fixed-point",
    bits: tuple[int, int] = (8, 8),
    *,
    size: tuple[int, int] = (5, 3),
    function: str = "tanh",
    seed: int = 1,
    reach: float = 1.5,
    high: float = 1.0,
    rule: BitRnnRule | None = None,
    **choices: Any,
) -> Layer:
    """The integer layer of a seeded random network; ``bits`` of weights and activations."""
    description = Description("device", (described(kind, *size, function),), rule)
    widths = {} if rule else {"weight_bits": bits[0], "activation_bits": bits[1]}
    outputs = {"bits": {"l.output": bits[1]}} if kind == "linear" else {}
    ranges = {"*": (-1.0, 1.0), "l.output": (-1.0, high)} if kind == "linear" else {"*": (-1.0, 1.0)}
    settings: dict[str, Any] = {"profile": profile, "ranges": ranges, **widths, **outputs, **choices}
    (layer,) = quantize(network(description, seed, reach), **settings).layers
    assert isinstance(layer, Linear | Lstm | Bidirectional)
    return layer


def inputs(layer: Layer, steps: int, seed: int = 7) -> Integers:
    """Raws ``(steps, inputs)`` for the layer, one half of them at an end of the range."""
    return Words(seed).raws(layer.input_format, (steps, device_parameters(layer)["INPUTS"]))


def require_equal(layer: Layer, feeds: list[Feed], folder: Path, **choices: Any) -> int:
    """Compare every signal and the outputs of the device with the model's; return how many words."""
    signals, outputs = expected(layer, feeds)
    got = simulate(layer, feeds, folder, **choices)
    assert got.passed, got.log
    for name, values in signals.items():
        np.testing.assert_array_equal(got.signals[name], values, err_msg=name)
    np.testing.assert_array_equal(got.outputs, outputs)
    words = sum(values.size for values in signals.values()) + outputs.size
    assert got.words == words
    return words


# Equality.

MODES = (Overflow.WRAP, Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.SATURATE_ZERO)
FORMATS = (
    Format.integer(4),
    Format.integer(3, signed=False),
    Format.integer(1),
    Format.integer(1, signed=False),
    Format.unit(3, signed=True),
    Format.odd(1),
    Format.odd(3),
)


def casts() -> Iterator[tuple[Format, Rounding, Overflow]]:
    """Every cast that the device has, in small formats."""
    for form, rounding, mode in product(FORMATS, Rounding, MODES):
        wraps_narrow = mode is Overflow.WRAP and not form.full_range
        if not wraps_narrow and not (mode is Overflow.SATURATE_ZERO and form.raw_step == 2):
            yield form, rounding, mode


def test_every_cast_equals_the_specification_exhaustively(tmp_path: Path) -> None:
    """Values of -24 .. 23 with multipliers 1 and 5, shifted by -2 .. 4, ties of both signs and all overflows."""
    chosen = list(casts())
    values = [(value, multiplier, shift) for value in range(-24, 24) for multiplier in (1, 5) for shift in range(-2, 5)]
    found = compare_casts(chosen, values, tmp_path)
    for (form, rounding, mode), raws in zip(chosen, found, strict=True):
        wanted = [cast(value * multiplier, shift, form, rounding, mode) for value, multiplier, shift in values]
        assert raws == wanted, (form.name, rounding, mode)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_signal_equals_the_model(kind: str, profile: str, bits: int, tmp_path: Path) -> None:
    layer = made(kind, profile, (bits, bits))
    feeds = [Feed(inputs(layer, 6)), Feed(inputs(layer, 3, seed=8))]
    assert require_equal(layer, feeds, tmp_path) > 100


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_of_a_linear_layer(function: str, profile: str, bits: int, tmp_path: Path) -> None:
    layer = made("linear", profile, (bits, bits), function=function, size=(7, 5), high=2.0)
    require_equal(layer, [Feed(inputs(layer, 12))], tmp_path)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_last_layer_keeps_the_width_of_its_accumulator(profile: str, tmp_path: Path) -> None:
    description = Description("device", (LinearLayer("l", 4, 3),))
    (layer,) = quantize(network(description), profile=profile, ranges={"*": (-1.0, 1.0)}).layers
    assert isinstance(layer, Linear)
    assert layer.output_format.bits == 48
    require_equal(layer, [Feed(inputs(layer, 20))], tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("profile", PROFILES)
def test_weights_and_activations_of_different_widths(kind: str, profile: str, tmp_path: Path) -> None:
    for weight_bits, activation_bits in ((1, 8), (5, 3)):
        layer = made(kind, profile, (weight_bits, activation_bits), size=(4, 3))
        require_equal(layer, [Feed(inputs(layer, 4))], tmp_path)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("low", [0.0, -1.0])
def test_networks_trained_as_bit_rnn(bits: int, low: float, tmp_path: Path) -> None:
    """Activations over [0, 1] are unsigned, over [-1, 1] of a narrow range; one bit of sign are odd raws."""
    for kind in KINDS:
        layer = made(kind, "bit-rnn", rule=BitRnnRule(bits, bits), ranges={"*": (low, 1.0)})
        assert layer.input_format.signed == (low < 0)
        require_equal(layer, [Feed(inputs(layer, 4))], tmp_path)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (6, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_smallest_sizes(kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    layer = made(kind, size=size)
    require_equal(layer, [Feed(inputs(layer, 3)), Feed(inputs(layer, 1))], tmp_path)


def varied(rounding: Rounding, overflow: Overflow, accumulator: dict[str, Any]) -> Profile:
    """The profile ``fixed-point`` with one rounding and overflow everywhere."""
    choices = load_profile("fixed-point").to_dict()
    modes = {"rounding": str(rounding), "overflow": str(overflow)}
    choices["activation"] |= modes
    choices["linear"] |= modes
    choices["linear"]["preactivation"] |= modes
    for stage in ("sum", "preactivation", "cell"):
        choices["lstm"][stage] |= modes
    choices["accumulator"] |= accumulator
    return Profile.from_dict(choices)


@pytest.mark.parametrize("mode", MODES)
def test_overflows_that_act_everywhere(mode: Overflow, tmp_path: Path) -> None:
    """Large weights and a narrow accumulator: sums, pre-activations, cells and accumulators overflow."""
    profile = varied(Rounding.HALF_UP, mode, {"bits": 18, "overflow": str(mode)})
    for kind in ("linear", "lstm"):
        layer = made(kind, profile, reach=12.0)
        require_equal(layer, [Feed(inputs(layer, 24))], tmp_path)


@pytest.mark.parametrize("rounding", Rounding)
def test_roundings_everywhere(rounding: Rounding, tmp_path: Path) -> None:
    profile = varied(rounding, Overflow.SATURATE, {})
    for kind in ("linear", "lstm"):
        layer = made(kind, profile, (4, 4))
        require_equal(layer, [Feed(inputs(layer, 12))], tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_exact_products(kind: str, tmp_path: Path) -> None:
    choices = load_profile("fixed-point").to_dict()
    del choices["accumulator"]["fraction_bits"]
    layer = made(kind, Profile.from_dict(choices), (4, 4))
    assert all(set(codes) == {0} for name, (codes, _) in device_files(layer).items() if name.endswith("product_shift"))
    require_equal(layer, [Feed(inputs(layer, 3))], tmp_path)


# The interface.


def clocks(layer: Layer, steps: int) -> int:
    """What the read-me of the device says."""
    sizes = device_parameters(layer)
    given = sizes["INPUTS"]
    if isinstance(layer, Linear):
        return steps * (given + sizes["OUTPUTS"] * (given + 6))
    units = sizes["UNITS"]
    step = given + 4 * units * (max(given, units) + 7) + 7 * units
    return steps * (step if isinstance(layer, Lstm) else given + 2 * step + 2 * units)


@pytest.mark.parametrize("size", [(5, 3), (2, 4)])
@pytest.mark.parametrize("kind", KINDS)
def test_clocks_of_a_step(kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    layer = made(kind, bits=(4, 4), size=size)
    assert simulate(layer, [Feed(inputs(layer, 3))], tmp_path).clocks == clocks(layer, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_stalls_and_back_pressure_change_nothing(kind: str, tmp_path: Path) -> None:
    layer = made(kind, bits=(4, 4))
    for stall, pressure in ((70, 0), (0, 80), (60, 60)):
        require_equal(layer, [Feed(inputs(layer, 4))] * 2, tmp_path, stall=stall, pressure=pressure)


def random_state(layer: Lstm, seed: int) -> tuple[Integers, Integers]:
    """A hidden state and a cell, at the ends of their formats for one half."""
    words = Words(seed)
    return words.raws(layer.state_format, (layer.units,)), words.raws(layer.datapath.read_cell, (layer.units,))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("bits", BITS)
def test_a_sequence_starts_from_a_state_that_is_loaded(profile: str, bits: int, tmp_path: Path) -> None:
    for kind in ("lstm", "bilstm"):
        layer = made(kind, profile, (bits, bits))
        parts = [layer.forward, layer.backward] if isinstance(layer, Bidirectional) else [layer]
        states = [random_state(part, seed) for seed, part in enumerate(parts) if isinstance(part, Lstm)]
        feeds = [Feed(inputs(layer, 2)), Feed(inputs(layer, 3), clear=False, state=tuple(states))]
        require_equal(layer, feeds, tmp_path)


@pytest.mark.parametrize("kind", ["lstm", "bilstm"])
def test_a_sequence_without_clear_goes_on_from_the_one_before(kind: str, tmp_path: Path) -> None:
    layer = made(kind, bits=(4, 4))
    require_equal(layer, [Feed(inputs(layer, 3)), Feed(inputs(layer, 2), clear=False)], tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("beats", "wait"), [(3, 0), (5, 7), (10, 60), (20, 150), (20, 900), (20, 1375), (20, 3000)])
def test_a_reset_in_mid_stream(kind: str, beats: int, wait: int, tmp_path: Path) -> None:
    """Within an input vector, in products and cells of either direction, while outputs are given, and at rest."""
    layer = made(kind, bits=(4, 4))
    feeds = [Feed(inputs(layer, 1)), Feed(inputs(layer, 4), cut=(beats, wait)), Feed(inputs(layer, 2, seed=9))]
    require_equal(layer, feeds, tmp_path, pressure=50)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("profile", PROFILES)
def test_many_sizes_widths_and_streams(profile: str, kind: str, seed: int, tmp_path: Path) -> None:
    words = Words(1000 + seed)
    for weight_bits, activation_bits in product(BITS, BITS):
        size = (int(words.integers(1, 24, (1,))[0]), int(words.integers(1, 12, (1,))[0]))
        layer = made(kind, profile, (weight_bits, activation_bits), size=size, seed=seed, reach=6.0)
        lengths = words.integers(1, 12, (3,)).tolist()
        feeds = [Feed(inputs(layer, length, seed=seed + place)) for place, length in enumerate(lengths)]
        require_equal(layer, feeds, tmp_path, stall=20, pressure=20)


MODULES = ("fixedsim_linear", "fixedsim_lstm", "fixedsim_bilstm")
SOURCES = sorted(map(str, RTL.glob("*.v")))


@pytest.mark.parametrize("standard", ["2001", "2005", "2009", "2012"])
def test_sources_are_of_every_standard(standard: str) -> None:
    for module in MODULES:
        command = ["iverilog", f"-g{standard}", "-Wall", "-s", module, "-o", "/dev/null", *SOURCES]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("verilator") is None, reason="needs Verilator")
@pytest.mark.parametrize("module", MODULES)
def test_verilator_complains_of_widths_only(module: str) -> None:
    command = ["verilator", "--lint-only", "-Wno-WIDTH", "--top-module", module, *SOURCES]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""


# What the device does not have.


def test_other_arithmetic_is_refused_by_name() -> None:
    joint = load_profile("fixed-point").to_dict()
    joint["accumulator"]["joint"] = True
    for layer, message in (
        (made("lstm", Profile.from_dict(joint)), "joint accumulator of l must be absent for this device, not present"),
        (made("linear", function="hard_sigmoid"), "activation of l must be a clamp or a table, not hard_sigmoid"),
    ):
        with pytest.raises(ModelError, match=f"^{re.escape(message)}$"):
            device_parameters(layer)


@pytest.mark.parametrize("profile", ["litert", "tflm", "cmsis-nn", "hls4ml", "elastic-ai-fixed", "elastic-ai-integer"])
def test_profiles_of_other_targets_are_refused(profile: str) -> None:
    with pytest.raises(ModelError, match=r"must be .*, not "):
        device_parameters(made("lstm", profile))


def test_files_hold_codes_as_wide_as_their_formats() -> None:
    layer = made("lstm", "bit-rnn", (2, 4))
    assert isinstance(layer, Lstm)
    files = device_files(layer)
    codes, bits = files["input_weight"]
    assert bits == 2
    assert [2 * code - 3 for code in codes] == layer.input_matrix.weight.reshape(-1).tolist()
    assert {name: len(words) for name, (words, _) in files.items()} == {
        **{
            f"{which}_{name}": 12
            for which in ("input", "recurrent")
            for name in ("product_shift", "multiplier", "shift")
        },
        "input_weight": 12 * 5,
        "recurrent_weight": 12 * 3,
        "bias": 12,
        "bias_shift": 12,
        "gate_table": 1025,
        "candidate_table": 1025,
        "cell_table": 1025,
    }


# Faults.


@dataclass(frozen=True)
class Case:
    """A layer and a stimulus under which a fault shows."""

    layer: Layer
    feeds: list[Feed]
    pressure: int = 0
    stall: int = 0


def linear_case(profile: str = "fixed-point", *, steps: int = 50, **choices: Any) -> Case:
    layer = made("linear", profile, size=(6, 4), **choices)
    return Case(layer, [Feed(inputs(layer, steps))])


def directed_ends(layer: Linear) -> Integers:
    """For each row the inputs that bring its accumulator to the highest and to the lowest end."""
    form = layer.input_format
    up = np.where(layer.matrix.weight > 0, form.raw_max, form.raw_min).astype(np.int64)
    down = np.where(layer.matrix.weight > 0, form.raw_min, form.raw_max).astype(np.int64)
    return np.concatenate([up, down])


def directed_case() -> Case:
    layer = made("linear", function="identity", size=(6, 4))
    assert isinstance(layer, Linear)
    return Case(layer, [Feed(directed_ends(layer))])


def lstm_case(profile: str = "fixed-point", *, steps: int = 5, **choices: Any) -> Case:
    layer = made("lstm", profile, **choices)
    return Case(layer, [Feed(inputs(layer, steps)), Feed(inputs(layer, steps, seed=8))])


def full_cell_case() -> Case:
    """Cells at the ends of their format, which gates of large weights push on; their pre-activations stay in range."""
    layer = made("lstm", reach=5.0)
    assert isinstance(layer, Lstm)
    form = layer.datapath.read_cell
    hidden = np.zeros(layer.units, np.int64)
    feeds = []
    for place in range(40):
        cell = np.full(layer.units, form.raw_max if place % 2 else form.raw_min, np.int64)
        feeds.append(Feed(inputs(layer, 1, seed=place), clear=False, state=((hidden, cell),)))
    return Case(layer, feeds)


def bilstm_case() -> Case:
    layer = made("bilstm")
    return Case(layer, [Feed(inputs(layer, 5)), Feed(inputs(layer, 3, seed=8))])


def slow_reader_case(kind: str) -> Case:
    layer = made(kind)
    return Case(layer, [Feed(inputs(layer, 4))], pressure=60)


def idle_case(kind: str) -> Case:
    layer = made(kind)
    return Case(layer, [Feed(inputs(layer, 4))], stall=60)


INPUT_ACCUMULATOR = "l.gate.input.input_accumulator"
# Each fault: under which cases it is looked for, and the signal that differs first.
FAULTS: dict[str, list[tuple[Callable[[], Case], str]]] = {
    "ROUNDING_DROPPED": [(linear_case, "l.sum"), (lambda: lstm_case("bit-rnn"), "l.gate.input.input_sum")],
    "TRUNCATION_TOWARD_ZERO": [(linear_case, "l.sum"), (lambda: lstm_case("bit-rnn"), "l.gate.input.input_sum")],
    "TIES_UP": [(lambda: linear_case(steps=200), "l.output")],
    "SHIFT_LOGICAL": [(linear_case, "l.sum"), (lambda: lstm_case("bit-rnn"), "l.gate.input.input_sum")],
    "SATURATION_HIGH_MISSING": [
        (lambda: linear_case(function="identity", reach=6.0), "l.output"),
        (full_cell_case, "l.cell"),
    ],
    "SATURATION_LOW_MISSING": [
        (lambda: linear_case(function="identity", reach=6.0), "l.output"),
        (full_cell_case, "l.cell"),
    ],
    "RAW_STEP": [
        (lambda: linear_case("bit-rnn"), "l.accumulator"),
        (lambda: lstm_case("bit-rnn"), INPUT_ACCUMULATOR),
        (lambda: lstm_case(bits=(1, 1)), INPUT_ACCUMULATOR),
    ],
    "TABLE_INDEX_OFF": [(linear_case, "l.output"), (lstm_case, "l.gate.input")],
    "INTERPOLATION_DROPPED": [(linear_case, "l.output"), (lstm_case, "l.gate.input")],
    "WEIGHT_TRANSPOSED": [(linear_case, "l.accumulator"), (lstm_case, INPUT_ACCUMULATOR)],
    "WEIGHT_SIGN_LOST": [(linear_case, "l.accumulator"), (lstm_case, INPUT_ACCUMULATOR)],
    "PRODUCT_SHIFT_IGNORED": [
        (lambda: linear_case(bits=(4, 4)), "l.accumulator"),
        (lambda: lstm_case(bits=(4, 4)), INPUT_ACCUMULATOR),
    ],
    "ACCUMULATOR_SHORT": [(directed_case, "l.accumulator")],
    "ACCUMULATOR_NOT_CLEARED": [(linear_case, "l.accumulator"), (lstm_case, INPUT_ACCUMULATOR)],
    "ROW_CONSTANTS_STUCK": [
        (lambda: linear_case("bit-rnn"), "l.sum"),
        (lambda: lstm_case("bit-rnn"), "l.gate.input.input_sum"),
    ],
    "MULTIPLIER_ONE_OFF": [(linear_case, "l.sum"), (lstm_case, "l.gate.input.input_sum")],
    "SHIFT_ONE_OFF": [(linear_case, "l.sum"), (lstm_case, "l.gate.input.input_sum")],
    "INPUTS_REVERSED": [(linear_case, "l.accumulator"), (lstm_case, INPUT_ACCUMULATOR)],
    "INPUT_SIGN_LOST": [(linear_case, "l.accumulator"), (lstm_case, INPUT_ACCUMULATOR)],
    "LAST_INPUT_SKIPPED": [(linear_case, "l.accumulator"), (lstm_case, INPUT_ACCUMULATOR)],
    "BIAS_MISSING": [(linear_case, "l.accumulator"), (lstm_case, INPUT_ACCUMULATOR)],
    "BIAS_TWICE": [(linear_case, "l.accumulator"), (lstm_case, INPUT_ACCUMULATOR)],
    "ACTIVATION_SKIPPED": [(linear_case, "l.output"), (lstm_case, "l.cell_activation")],
    "RELU_MISSING": [(lambda: linear_case(function="relu"), "l.output")],
    "CLIP_MISSING": [(lambda: linear_case(function="clipped_relu", high=4.0, reach=6.0), "l.output")],
    "VALID_IGNORED": [
        (lambda: idle_case("linear"), "l.accumulator"),
        (lambda: idle_case("lstm"), INPUT_ACCUMULATOR),
        (lambda: idle_case("bilstm"), "l.forward.gate.input.input_accumulator"),
    ],
    "BACKPRESSURE_IGNORED": [
        (lambda: slow_reader_case("linear"), "stream"),
        (lambda: slow_reader_case("lstm"), "stream"),
        (lambda: slow_reader_case("bilstm"), "stream"),
    ],
    "INPUT_FORGET_SWAPPED": [(lstm_case, INPUT_ACCUMULATOR)],
    "CANDIDATE_OUTPUT_SWAPPED": [(lstm_case, "l.gate.candidate.input_accumulator")],
    "TABLES_SWAPPED": [(lstm_case, "l.gate.input")],
    "HIDDEN_STALE": [(lstm_case, "l.gate.input.recurrent_accumulator")],
    "HIDDEN_NOT_RESET": [(lstm_case, "l.gate.input.recurrent_accumulator")],
    "CELL_NOT_RESET": [(lstm_case, "l.forget_product")],
    "FORGET_READS_NEW_CELL": [(lstm_case, "l.forget_product")],
    "CELL_WRAPS": [(full_cell_case, "l.cell")],
    "HIDDEN_BY_INPUT_GATE": [(lstm_case, "l.hidden")],
    "BACKWARD_UNREVERSED": [(bilstm_case, "l.backward.gate.input.input_accumulator")],
    "OUTPUT_UNREVERSED": [(bilstm_case, "l.output")],
    "DIRECTIONS_SWAPPED": [(bilstm_case, "l.output")],
}
# Faults that change nothing under the shipped profiles, with the reason that the read-me gives.
EQUIVALENT = {"TABLE_CLAMP_MISSING": "the 1,024 segments cover every raw of s4.11"}


def first_seen(case: Case, fault: str, folder: Path) -> str | None:
    """The signal that differs first under a fault."""
    wanted = expected(case.layer, case.feeds)
    defines = [f"FAULT_{fault}"]
    got = simulate(case.layer, case.feeds, folder, defines=defines, stall=case.stall, pressure=case.pressure)
    return first_difference(case.layer, wanted, got)


def described_faults() -> dict[str, list[str]]:
    """The faults of the read-me, and the signals that it names, as patterns."""
    rows = re.findall(r"^\| `FAULT_([A-Z_]+)` \|.*\|.*\|(.*)\|$", (RTL / "README.md").read_text(), re.MULTILINE)
    return {
        name: [re.escape(signal).replace("<g>", r"gate\.[a-z]+") for signal in re.findall(r"`([a-z_.<>]+)`", text)]
        for name, text in rows
    }


def is_described(fault: str, signal: str) -> bool:
    """Whether the read-me says that the fault may first be seen there."""
    plain = re.sub(r"^l\.(forward\.)?", "", signal)
    bare = plain.removeprefix("backward.")
    return any(re.fullmatch(pattern, name) for pattern in described_faults()[fault] for name in (plain, bare))


CASES = [
    pytest.param(fault, build, signal, marks=[pytest.mark.slow] if place else [], id=f"{fault}-{place}")
    for fault, cases in FAULTS.items()
    for place, (build, signal) in enumerate(cases)
]


@pytest.mark.parametrize(("fault", "build", "signal"), CASES)
def test_a_fault_is_first_seen_where_it_is_made(
    fault: str, build: Callable[[], Case], signal: str, tmp_path: Path
) -> None:
    assert first_seen(build(), fault, tmp_path) == signal
    assert is_described(fault, signal)


@pytest.mark.slow
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_fault_is_first_seen_elsewhere(kind: str, profile: str, bits: int, tmp_path: Path) -> None:
    """Under random stimuli a fault may stay unseen, but it does not show where the read-me doesn't name it."""
    layer = made(kind, profile, (bits, bits), reach=3.0)
    feeds = [Feed(inputs(layer, 40 if kind == "linear" else 4, seed=seed)) for seed in (7, 9)]
    found = {fault: first_seen(Case(layer, feeds, 20, 20), fault, tmp_path) for fault in described_faults()}
    assert [fault for fault, signal in found.items() if signal and not is_described(fault, signal)] == []
    assert sum(signal is not None for signal in found.values()) > (15 if kind == "linear" else 24)


@pytest.mark.parametrize("fault", EQUIVALENT)
def test_an_equivalent_fault_changes_nothing(fault: str, tmp_path: Path) -> None:
    for case in (linear_case(), full_cell_case()):
        require_equal(case.layer, case.feeds, tmp_path, defines=[f"FAULT_{fault}"])


def test_every_fault_of_the_sources_is_tested_and_described() -> None:
    sources = "".join(path.read_text() for path in RTL.glob("*.v"))
    defined = set(re.findall(r"FAULT_([A-Z_]+)", sources))
    assert defined == set(FAULTS) | set(EQUIVALENT) == set(described_faults())
