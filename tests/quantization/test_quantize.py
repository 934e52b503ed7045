"""What a caller of ``quantize`` can choose, and what is refused, by message."""

import hashlib
import json
import os
import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FixedsimError, InputError, ModelError, NetworkError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.real_layers import RealBidirectional, RealLinear
from fixedsim.model import Model
from fixedsim.model.store import _write_layer
from fixedsim.network import Network
from fixedsim.profiles import load_profile
from fixedsim.profiles.datapath import BiasStage
from fixedsim.profiles.profile import Profile
from fixedsim.quantization import quantize
from tests.model.networks import LANGUAGE, SPEECH, model, network


def profile(name: str = "fixed-point", **changes: dict[str, Any]) -> Profile:
    """A profile that ships, with keys changed."""
    choices = load_profile(name).to_dict()
    for table, keys in changes.items():
        kept = {key: value for key, value in (choices.get(table, {}) | keys).items() if value is not None}
        choices[table] = kept
    return Profile.from_dict(choices)


def lstm(made: Model, index: int = 1) -> Lstm:
    layer = made.layers[index]
    assert isinstance(layer, Lstm)
    return layer


def linear(made: Model, index: int = -1) -> Linear:
    layer = made.layers[index]
    assert isinstance(layer, Linear)
    return layer


def test_the_last_pattern_that_matches_counts() -> None:
    made = model(
        SPEECH,
        weight_bits=6,
        bits={"low.*": 5, "low.recurrent.weight": 3, "low.cell": 20, "low.gate.*.preactivation": 9, "low.hidden": 7},
    )
    path = lstm(made).datapath
    assert (path.weight.bits, path.recurrent_weight.bits) == (5, 3)
    assert (path.cell.format.bits, path.hidden.format.bits) == (20, 7)
    assert {gate.preactivation.format.bits for gate in path.present} == {9}
    assert linear(made, 0).datapath.weight.bits == 6
    assert path.cell.format.scale == Fraction(1, 1 << 15)  # the range of s4.11, 4 bits finer


def test_an_override_of_a_logit_makes_an_activation() -> None:
    made = model(SPEECH, bits={"out.output": 5}, ranges={"*": (-2.0, 2.0)})
    assert linear(made).output_format.bits == 5
    assert linear(model(SPEECH)).output_format.bits == load_profile("fixed-point").accumulator.bits


@pytest.mark.parametrize("name", ["fixed-point", "bit-rnn"])
def test_logits_stand_on_one_common_scale(name: str) -> None:
    """Rows of very different size: the same real logits as from dequantized weights, within one unit of the scale."""
    plain = network(LANGUAGE)
    weights = {key: np.array(value) for key, value in plain.weights.items()}
    weights["out.weight"] *= np.array([[1e-3], [1.0], [30.0], [1.0], [1e-4], [5.0], [0.3]])
    made = quantize(Network(LANGUAGE, weights), profile=name)
    result = made.run(np.arange(11)[:, None], trace=["high.hidden", "out.output"])
    layer, form = linear(made), linear(made).output_format
    hidden = result.trace["high.hidden"].astype(float) * float(layer.datapath.input.scale)
    signal = next(signal for signal in layer.signals() if signal.name == "out.accumulator")
    assert signal.scale is not None
    guard = np.ldexp(1.0, -layer.matrix.product_shift)
    real = layer.matrix.weight * (signal.scale * guard / float(layer.datapath.input.scale))[:, None]
    wanted = hidden @ real.T + layer.bias.value.astype(float) * signal.scale
    np.testing.assert_allclose(result.real, wanted, rtol=1e-4, atol=2 * float(form.scale))


@pytest.mark.parametrize("stage", [BiasStage.FIRST, BiasStage.LAST, BiasStage.PREACTIVATION])
@pytest.mark.parametrize("bits", [None, 8])
def test_where_biases_enter(stage: BiasStage, bits: int | None) -> None:
    made = quantize(network(LANGUAGE), profile=profile(bias={"stage": str(stage), "bits": bits}))
    layer, form = lstm(made), lstm(made).datapath.bias
    width = layer.datapath.gates[1].input_sum.format.bits if stage is BiasStage.PREACTIVATION else 48
    assert form.bits == (bits or width)
    real = np.asarray(network(LANGUAGE).weights["low.bias"])
    scale = np.full(16, float(layer.datapath.gates[1].input_sum.format.scale))
    if stage is not BiasStage.PREACTIVATION:
        scale = layer.input_matrix.scale
    found = layer.bias.value.astype(float) * scale
    unit = scale * np.ldexp(1.0, layer.bias.shift)
    assert (np.abs(found - real) <= unit / 2 * (1 + 1e-9)).all()
    if bits == 8:
        assert np.abs(layer.bias.raw).max() > 31  # the least shift at which the largest fits


def test_the_least_accumulator_for_the_biases_is_the_one_that_is_named() -> None:
    def made(bits: int) -> Model:
        return quantize(network(LANGUAGE), profile=profile(accumulator={"bits": bits}, bias={"bits": None}))

    with pytest.raises(ModelError, match="accumulator of low must be at least 17 bits wide"):
        made(16)
    largest = max(abs(value) for value in lstm(made(17)).bias.value)
    assert 1 << 15 < largest <= 1 << 16


def test_the_forget_bias_is_added_once() -> None:
    made = model(SPEECH)
    both = made.layers[2]
    assert isinstance(both, Bidirectional)
    real = np.array(network(SPEECH).weights["both.forward.bias"])
    real[3:6] += 1.0
    found = both.forward.bias.value.astype(float) * both.forward.input_matrix.scale
    np.testing.assert_allclose(found, real, atol=1e-3)


REFUSED: list[tuple[dict[str, Any], type[FixedsimError], str]] = [
    ({"weight_bits": 0}, InputError, "weight_bits must be in 1..16, not 0"),
    ({"weight_bits": 17}, InputError, "weight_bits must be in 1..16, not 17"),
    ({"activation_bits": 17}, InputError, "activation_bits must be in 1..16, not 17"),
    ({"bits": {"low.hidden": 17}}, InputError, "must be in 1..16, not 17"),
    ({"bits": {"low.cell": 65}}, InputError, "must be in 1..64, not 65"),
    ({"bits": {"low.hiden": 4}}, InputError, "did you mean 'low.hidden'?"),
    ({"ranges": {"inptu": (0, 1)}}, InputError, "did you mean 'input'?"),
    ({"keep_float": ["bot"]}, InputError, "did you mean 'both'?"),
    ({"range_method": "most"}, InputError, "range_method must be one of min_max, percentile, least_squares, not most"),
    ({"ranges": {"input": (1.0, -1.0)}}, NetworkError, "range must be finite and ascending, not 1.0:-1.0"),
    ({"ranges": {"input": (0.0, float("inf"))}}, NetworkError, "range must be finite and ascending, not 0.0:inf"),
    ({"ranges": {}}, NetworkError, "range of activation 'input' must be given or calibrated: nothing bounds it"),
    (
        {"profile": profile(accumulator={"bits": 8}, bias={"bits": None})},
        ModelError,
        "accumulator of fc1 must be at least 15 bits wide to hold its bias -12127 of row 4, not 8 bits",
    ),
]


@pytest.mark.parametrize(("choices", "kind", "message"), REFUSED)
def test_refusals(choices: dict[str, Any], kind: type[FixedsimError], message: str) -> None:
    with pytest.raises(kind) as caught:
        model(SPEECH, **choices)
    assert message in str(caught.value)


def test_layers_left_in_float() -> None:
    made = model(SPEECH, keep_float=["b*", "out"])
    assert made.real_layers == ["both", "out"]
    assert isinstance(made.layers[2], RealBidirectional)
    assert isinstance(made.layers[4], RealLinear)
    words = np.linspace(-1, 1, 30).reshape(5, 6)
    whole = quantize(network(SPEECH), ranges={"*": (-1, 1)}, keep_float=["*"]).run(words).real
    np.testing.assert_allclose(whole, network(SPEECH).forward(words).output, rtol=1e-12, atol=1e-15)
    assert made.run(words).real.shape == (5, 3)


def samples() -> Any:
    """Inputs of a calibration run, one of them far out."""
    found = np.sin(np.arange(6000.0)).reshape(1000, 6)
    found[7, 3] = 40.0
    return found


@pytest.mark.parametrize(
    ("choices", "largest"),
    [
        ({"range_method": "min_max"}, 64.0),  # the power of two that holds 40
        ({"range_method": "percentile", "percentile": 99.9}, 1.0),
        ({"ranges": {"input": (-3.0, 3.0)}}, 4.0),  # a given range stands before calibration
    ],
)
def test_calibration(choices: dict[str, Any], largest: float) -> None:
    made = quantize(network(SPEECH), calibration=samples(), **choices)
    form = made.input_format
    assert form == Format.integer(8).with_scale(Fraction(largest) / 128)


def test_calibration_by_least_squares() -> None:
    """The power of two of least squared error over the samples, found again by trying each."""
    made = quantize(network(SPEECH), calibration=samples(), range_method="least_squares", activation_bits=4)

    def error(scale: float) -> float:
        return float(np.square(samples() - scale * np.clip(np.rint(samples() / scale), -8, 7)).sum())

    form = made.input_format
    assert form is not None
    tried = [64.0 / 8 / 2**down for down in range(5)]
    assert float(form.scale) == min(tried, key=error)
    assert float(form.scale) < 8.0


@pytest.mark.parametrize(("bits", "one_bit", "raws"), [(1, "sign", {-1, 1}), (1, "twos_complement", {-1, 0})])
def test_one_bit_weights(bits: int, one_bit: str, raws: set[int]) -> None:
    made = quantize(network(LANGUAGE), weight_bits=bits, profile=profile(weight={"one_bit": one_bit}))
    assert set(linear(made).matrix.weight.reshape(-1).tolist()) == raws


def test_the_report_names_every_tensor() -> None:
    made = model(SPEECH, weight_bits=4)
    rows = {row["name"]: row for row in made.quantization["tensors"]}
    assert sorted(rows) == sorted(SPEECH.tensors())
    json.dumps(made.quantization, allow_nan=False)
    weight = rows["fc1.weight"]
    real = np.asarray(network(SPEECH).weights["fc1.weight"])
    layer = linear(made, 0)
    quantized = (
        layer.matrix.weight
        * (layer.matrix.scale * np.ldexp(1.0, -layer.matrix.product_shift) / float(layer.datapath.input.scale))[:, None]
    )
    ratio = 10 * np.log10(np.square(real).sum() / np.square(real - quantized).sum())
    assert weight["snr_db"] == pytest.approx(ratio, rel=1e-9)
    assert weight["accumulator_bits"] == layer.products.prefixes.bits().max()


def digest() -> str:
    """SHA-256 of every tensor of several models."""
    found = hashlib.sha256()
    for choices in ({}, {"profile": "bit-rnn", "weight_bits": 3}, {"weight_bits": 4, "calibration": samples()}):
        tensors: dict[str, Any] = {}
        for layer in model(SPEECH, **choices).layers:
            found.update(json.dumps(_write_layer(layer, tensors), sort_keys=True).encode())
        for name, raws in sorted(tensors.items()):
            found.update(f"{name} {raws.dtype} {raws.shape}".encode() + raws.tobytes())
    return found.hexdigest()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"},
        {"NUMBA_DISABLE_JIT": "1", "OPENBLAS_CORETYPE": "Nehalem"},
    ],
)
def test_the_same_codes_on_every_processor(environment: dict[str, str]) -> None:
    script = "from tests.quantization.test_quantize import digest; print(digest())"
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == digest()
