"""Replay of VHDL of elastic-ai.creator in a simulator: LSTM cells and linear layers, fixed-point and integer."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.assembly import LinearTensors, LstmTensors, RawBias, RawMatrix, assemble_linear, assemble_lstm
from fixedsim.assembly.tensors import overrides
from fixedsim.casts import Rounding
from fixedsim.formats import Format
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model, RunResult
from fixedsim.profiles.datapath import PiecewiseLinear
from fixedsim.profiles.profile import Profile, load_profile
from tests.oracle.results import Comparison, Result

Arrays = Mapping[str, NDArray[Any]]
GATES = {"i": "input", "f": "forget", "c": "candidate", "o": "output"}
_NAMES = ("input", "forget", "candidate", "output")


def fixed_profile(bits: int, fraction: int, **lstm: Any) -> Profile:
    """The profile ``elastic-ai-fixed`` at another <W,F>."""
    choices = load_profile("elastic-ai-fixed").to_dict()
    name = f"s{bits - 1 - fraction}.{fraction}"
    for table in ("weight", "activation", "bias"):
        choices[table]["fixed"]["format"] = name
    choices["accumulator"]["bits"] = 2 * bits
    for table in ("lstm", "linear"):
        for value in choices[table].values():
            if isinstance(value, dict):
                value["format"] = name
    for table in ("sigmoid", "tanh"):
        choices[table]["format"] = name
    choices["sigmoid"]["slope_fraction_bits"] = fraction
    choices["lstm"] |= lstm
    return Profile.from_dict(choices)


def integer_profile(bits: int) -> Profile:
    """The profile ``elastic-ai-integer`` at another width."""
    choices = load_profile("elastic-ai-integer").to_dict()
    choices["accumulator"]["bits"] = 2 * (bits + 1) + 1
    return Profile.from_dict(choices)


def recognises(names: set[str]) -> Callable[[Path], list[Result]] | None:
    """What replays arrays of these names, if they are of this kind."""
    if {"weights_ifgo", "bias_ifgo", "gate_pre_ifgo"} <= names:
        return replay_fixed_lstm
    if {"mem_concat", "p_i_lin_w"} <= names:
        return replay_integer_lstm
    if {"w", "b", "x", "y", "W", "MQ", "SH"} <= names:
        return replay_integer_linear
    if {"w", "b", "x", "y", "W", "F"} <= names:
        return replay_fixed_linear
    return None


def _load(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path) as arrays:
        return dict(arrays)


def _fixed(bits: int, fraction: int) -> Format:
    return Format.qmn(bits - 1 - fraction, fraction)


def _run(layer: Lstm | Linear, x: NDArray[Any], trace: tuple[str, ...] = ()) -> RunResult:
    return Model("case", (layer,)).run(x.astype(np.int64), trace=trace)


def replay_fixed_lstm(path: Path) -> list[Result]:
    """Compare pre-activations, cell and hidden state; files do not say whether the hazard was there, so both run."""
    recorded = _load(path)
    clean = _fixed_lstm(path, recorded, "none")
    stale = _fixed_lstm(path, recorded, "stale_sigmoid")
    return stale if sum(row.differing for row in stale) < sum(row.differing for row in clean) else clean


def _fixed_lstm(path: Path, recorded: Arrays, hazard: str) -> list[Result]:
    bits, fraction = int(recorded["W"]), int(recorded["F"])
    form = _fixed(bits, fraction)
    weights = recorded["weights_ifgo"].astype(np.int64)
    inputs = int(recorded["input_size"])
    rows = weights.reshape(-1, weights.shape[2])
    scale = [form.scale] * len(rows)
    profile = fixed_profile(bits, fraction, hazard=hazard)
    layer = assemble_lstm(
        "lstm",
        LstmTensors(
            RawMatrix(rows[:, :inputs], form, scale),
            RawMatrix(rows[:, inputs:], form, scale),
            RawBias(recorded["bias_ifgo"].reshape(-1).astype(np.int64), form),
            form,
            form,
        ),
        profile,
    )
    comparison = Comparison("rtl", path.stem)
    suffix = "" if hazard == "none" else f" ({hazard})"
    _compare_hard_functions(layer, recorded, comparison)
    gates = tuple(f"lstm.gate.{gate}.preactivation" for gate in _NAMES)
    x = recorded["x"].reshape(len(recorded["x"]), inputs)
    result = _run(layer, x, ("lstm.cell", "lstm.hidden", *gates))
    found = np.stack([result.trace[name][:, 0] for name in gates], axis=1)
    comparison.compare(f"gate_pre_ifgo{suffix}", found, recorded["gate_pre_ifgo"])
    comparison.compare(f"c{suffix}", result.trace["lstm.cell"][:, 0], recorded["c"])
    comparison.compare(f"h{suffix}", result.trace["lstm.hidden"][:, 0], recorded["h"])
    return comparison.rows


def _compare_hard_functions(layer: Lstm, recorded: Arrays, comparison: Comparison) -> None:
    sigmoid, tanh = layer.datapath.gates[3].activation, layer.datapath.cell_activation
    assert isinstance(sigmoid, PiecewiseLinear)
    assert isinstance(tanh, PiecewiseLinear)
    constants = [sigmoid.high, sigmoid.low_input, sigmoid.high_input, sigmoid.slope, sigmoid.offset]
    name = "hardsigmoid_one_zerothr_onethr_slope_intercept"
    comparison.compare(name, constants, recorded[name])
    comparison.compare("hardtanh_min_max", [tanh.low, tanh.high], recorded["hardtanh_min_max"])


def replay_fixed_linear(path: Path) -> list[Result]:
    """Compare the outputs of a fixed-point linear layer."""
    recorded = _load(path)
    bits, fraction = int(recorded["W"]), int(recorded["F"])
    form = _fixed(bits, fraction)
    weight = recorded["w"]
    layer = assemble_linear(
        "fc",
        LinearTensors(RawMatrix(weight, form, [form.scale] * len(weight)), RawBias(recorded["b"], form), form, form),
        fixed_profile(bits, fraction),
    )
    comparison = Comparison("rtl", path.stem)
    comparison.compare("y", _run(layer, recorded["x"]).raw, recorded["y"])
    return comparison.rows


def replay_integer_linear(path: Path) -> list[Result]:
    """Compare the outputs of an integer linear layer."""
    recorded = _load(path)
    bits = int(recorded["W"])
    weight = recorded["w"]
    given, written = (Format.affine(bits, Fraction(1), int(recorded[name])) for name in ("zx", "zy"))
    form = Format.affine(bits, Fraction(1), int(recorded["zw"]))
    layer = assemble_linear(
        "fc",
        LinearTensors(
            RawMatrix(weight, form, [Fraction(1, 4096)] * len(weight)),
            RawBias(recorded["b"], Format.integer(2 * (bits + 1) + 1)),
            given,
            written,
        ),
        integer_profile(bits),
        overrides(constants={"fc.weight": (int(recorded["MQ"]), int(recorded["SH"]))}),
    )
    comparison = Comparison("rtl", path.stem)
    comparison.compare("y", _run(layer, recorded["x"]).raw, recorded["y"])
    return comparison.rows


def replay_integer_lstm(path: Path) -> list[Result]:
    """Compare every block's memory, the hidden state and the cell of an integer LSTM cell."""
    recorded = _load(path)
    comparison = Comparison("rtl", path.stem)
    result = _run(_integer_lstm(recorded), recorded["x"], ("*",))
    trace = {name.removeprefix("lstm."): values[:, 0] for name, values in result.trace.items()}
    concat = np.concatenate([trace["rescaled_input"], trace["rescaled_hidden"]], axis=1)
    comparison.compare("mem_concat", concat, recorded["mem_concat"])
    for letter, gate in GATES.items():
        comparison.compare(f"mem_{letter}_lin", trace[f"gate.{gate}.preactivation"], recorded[f"mem_{letter}_lin"])
    signals = {"mem_fc": "forget_product", "mem_ic": "input_product", "mem_add": "cell", "mem_oc": "hidden"}
    for key, signal in {**signals, "c": "cell", "h": "hidden"}.items():
        comparison.compare(key, trace[signal], recorded[key])
    return comparison.rows


def _integer_lstm(recorded: Arrays) -> Lstm:
    """The layer that the parameters of the blocks describe."""
    bits, inputs = int(recorded["W"]), int(recorded["NX"])

    def number(name: str) -> int:
        return int(recorded[f"p_{name}"])

    def constants(name: str) -> tuple[int, int]:
        shift, multiplier = recorded[f"p_{name}"].tolist()
        return multiplier, shift

    def form(zero_point: int, width: int = bits) -> Format:
        return Format.affine(width, Fraction(1), zero_point)

    common = form(number("concat_zy"))
    formats = {
        "input_rescale": common,
        "hidden_rescale": common,
        "forget_product": form(number("fc_zy")),
        "input_product": form(number("ic_zy")),
        "forget_addend": form(0, bits + 2),
        "input_addend": form(0, bits + 2),
        "cell": form(number("add_zy")),
    }
    scaled = {
        "input_rescale": "concat_m1",
        "hidden_rescale": "concat_m2",
        "forget_product": "fc_m",
        "input_product": "ic_m",
        "forget_addend": "add_m1",
        "input_addend": "add_m2",
        "hidden": "oc_m",
    }
    multipliers = {name: constants(block) for name, block in scaled.items()} | {"cell": (1, 0)}
    functions, zero_points = dict[str, PiecewiseLinear](), list[int]()
    for letter, gate in GATES.items():
        zero_point = number(f"{letter}_lin_zy")
        read = form(zero_point)
        formats |= {f"gate.{gate}.sum": read, f"gate.{gate}.preactivation": read}
        multipliers[f"gate.{gate}.input_sum"] = constants(f"{letter}_lin_m")
        functions[f"gate.{gate}"] = (
            _tanh(read, number("c_tanh_mone"), number("c_tanh_one"))
            if gate == "candidate"
            else _sigmoid(form(number(f"{letter}_sig_zero")), letter, number)
        )
        zero_points += [number(f"{letter}_lin_zw")] * int(recorded["H"])
    functions["cell_activation"] = _tanh(formats["cell"], number("cn_tanh_mone"), number("cn_tanh_one"))
    weight = np.concatenate([recorded[f"p_{letter}_lin_w"] for letter in GATES]).astype(np.int64)
    scale, zeros = [Fraction(1, 4096)] * len(weight), np.array(zero_points)
    return assemble_lstm(
        "lstm",
        LstmTensors(
            RawMatrix(weight[:, :inputs], Format.integer(bits), scale, zeros),
            RawMatrix(weight[:, inputs:], Format.integer(bits), scale, zeros),
            RawBias(
                np.concatenate([recorded[f"p_{letter}_lin_b"] for letter in GATES]).astype(np.int64),
                Format.integer(2 * (bits + 1) + 1),
            ),
            form(number("concat_z1")),
            form(number("oc_zy")),
            initial_hidden=int(recorded["h0"][0]),
            initial_cell=int(recorded["c0"][0]),
        ),
        integer_profile(bits),
        overrides(
            {f"lstm.{name}": value for name, value in formats.items()},
            {f"lstm.{name}": value for name, value in multipliers.items()},
            {f"lstm.{name}": value for name, value in functions.items()},
        ),
    )


def _sigmoid(written: Format, letter: str, number: Callable[[str], int]) -> PiecewiseLinear:
    return PiecewiseLinear(
        written,
        slope=1,
        shift=3,
        offset=number(f"{letter}_sig_tmp"),
        lower=number(f"{letter}_sig_zero"),
        upper=number(f"{letter}_sig_one"),
        rounding=Rounding.TOWARD_ZERO,
        low_input=number(f"{letter}_sig_mthree"),
        high_input=number(f"{letter}_sig_three"),
    )


def _tanh(form: Format, low: int, high: int) -> PiecewiseLinear:
    return PiecewiseLinear(form, lower=low, upper=high)
