"""Weights: optimal scales among the candidates, nearest codes with ties to even, and Bit-RNN's own rule."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.files.tensors import read_tensors
from fixedsim.importers import load_network
from fixedsim.network.bit_rnn import weight_scale
from fixedsim.profiles.choices import Granularity, OneBit, ScaleSearch, Scheme, WeightChoices
from fixedsim.quantization.scales import bit_rnn_weight, quantize_weight, to_raws, weight_format
from tests.layers.comparison import COMPARED, require_equal
from tests.strategies import SEEDS, Words

Reals = NDArray[np.float64]
SCHEMES = (Scheme.POWER_OF_TWO, Scheme.SYMMETRIC, Scheme.ODD)


def choices_of(**given: object) -> WeightChoices:
    """The choices given, the rest left out."""
    return WeightChoices.model_validate(given)


def nearest(weight: float, scale: float, raws: list[int]) -> int:
    """The raw whose value is nearest to the weight, exactly; of two equally near ones that of the even place."""
    distances = [abs(Fraction(weight) - Fraction(scale) * raw) for raw in raws]
    least = min(distances)
    found = [place for place, distance in enumerate(distances) if distance == least]
    if len(found) == 1:
        return raws[found[0]]
    even = [place for place in found if (raws[place] if raws[1] - raws[0] == 1 else place) % 2 == 0]
    return raws[even[0]]


def error(row: list[float], scale: float, raws: list[int]) -> float:
    """The sum of squared errors of a row at a scale."""
    return float(sum((Fraction(weight) - Fraction(scale) * nearest(weight, scale, raws)) ** 2 for weight in row))


def candidates(magnitude: float, top: int, choices: WeightChoices) -> list[float]:
    """The scales that may be chosen, as the documentation of the choices says."""
    if choices.scheme is Scheme.POWER_OF_TWO:
        exponent = next(n for n in range(-1100, 1100) if Fraction(2) ** n * top >= Fraction(magnitude) / 1)
        scales = [2.0 ** (exponent - down) for down in range(6)]
    else:
        scales = [magnitude / top * (1.0 - position * 0.9 / 63) for position in range(64)]
    return scales[:1] if choices.scale is ScaleSearch.MAXIMUM else scales


@settings(max_examples=60)
@given(SEEDS, st.integers(1, 5), st.sampled_from(SCHEMES), st.sampled_from(ScaleSearch), st.sampled_from(Granularity))
def test_scales_are_the_best_of_their_candidates(
    seed: int, bits: int, scheme: Scheme, search: ScaleSearch, granularity: Granularity
) -> None:
    choices = choices_of(scheme=scheme, scale=search, granularity=granularity)
    weight = Words(seed).uniform(-1.0, 1.0, (3, 4)) * np.array([[1.0], [0.01], [30.0]])
    found = quantize_weight(weight, bits, choices)
    form = weight_format(bits, choices)
    raws = list(range(form.raw_min, form.raw_max + 1, form.raw_step))
    groups = [[0, 1, 2]] if granularity is Granularity.TENSOR else [[0], [1], [2]]
    for group in groups:
        rows = weight[group].reshape(-1).tolist()
        errors = [error(rows, scale, raws) for scale in candidates(max(map(abs, rows)), form.raw_max, choices)]
        for row in group:
            assert error(rows, float(found.scale[row]), raws) <= min(errors) * (1 + 1e-9)
            wanted = [nearest(value, float(found.scale[row]), raws) for value in weight[row].tolist()]
            assert found.raws[row].tolist() == wanted
            COMPARED["quantization"] += len(wanted)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_ties_go_to_the_even_code(bits: int, scheme: Scheme) -> None:
    """Every point half-way between two raws, beyond both ends too, at a scale of a power of two."""
    form = weight_format(bits, choices_of(scheme=scheme))
    raws = list(range(form.raw_min, form.raw_max + 1, form.raw_step))
    halves = [raw / 2 for raw in range(2 * form.raw_min - 5, 2 * form.raw_max + 6)]
    weight = np.array([halves]) * 0.25
    wanted = np.array([[nearest(value, 0.25, raws) for value in weight[0].tolist()]])
    require_equal(to_raws(weight, np.array([0.25]), form), wanted, "raws", "quantization")


def test_one_bit() -> None:
    weight = np.array([[0.5, -0.25, 1.0, -2.0]])
    sign = quantize_weight(weight, 1, choices_of(one_bit=OneBit.SIGN))
    assert sign.raws.tolist() == [[1, -1, 1, -1]]
    twos = quantize_weight(weight, 1, choices_of(one_bit=OneBit.TWOS_COMPLEMENT))
    assert set(twos.raws.reshape(-1).tolist()) == {-1, 0}
    assert (twos.format.raw_min, twos.format.raw_max) == (-1, 0)
    large = quantize_weight(100 * weight, 1, choices_of(one_bit=OneBit.TWOS_COMPLEMENT))
    assert large.scale.tolist() == [256.0]  # the errors of 256, 128 .. 8 are 16261, 18309, 31621, 40773, 46437, 49653
    assert large.raws.tolist() == [[0, 0, 0, -1]]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bits", [1, 4])
def test_rows_of_zeros(bits: int, scheme: Scheme) -> None:
    """They have a scale of their own and are as near to zero as raws come."""
    found = quantize_weight(np.zeros((2, 3)), bits, choices_of(scheme=scheme))
    assert (found.scale > 0).all()
    assert np.abs(found.raws).max() == (1 if found.format.raw_step == 2 else 0)


def bit_rnn_codes(weight: Reals, scale: float, bits: int) -> NDArray[np.int64]:
    """``round_k(clip(tanh(w) / s, -1/2, 1/2) + 1/2)`` as a code, by NumPy."""
    top = 2**bits - 1
    return np.asarray(np.rint((np.clip(np.tanh(weight) / scale, -0.5, 0.5) + 0.5) * top).astype(np.int64))


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_bit_rnn_codes_by_numpy(bits: int) -> None:
    words = Words(bits)
    weights = [words.uniform(-2, 2, (40, 30)), words.uniform(-0.1, 0.1, (40, 20))]
    flat = np.concatenate([weight.reshape(-1) for weight in weights])
    scale = 2.5 * float(np.mean(np.abs(np.tanh(flat))))
    assert weight_scale(weights) == pytest.approx(scale, rel=1e-13)
    for weight in weights:
        found = bit_rnn_weight(weight, bits, scale)
        require_equal((found.raws + 2**bits - 1) // 2, bit_rnn_codes(weight, scale, bits), "codes", "quantization")
        real = scale * (bit_rnn_codes(weight, scale, bits) / (2**bits - 1) - 0.5)
        np.testing.assert_allclose(found.reals, real, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("bits", [4, 2])
def test_codes_and_scales_of_the_recorded_models(shared: Path, bits: int) -> None:
    """The trainer's own scales, and every code by NumPy with them: 720,000 codes, none of them different."""
    path = shared / "weights" / f"ptb_bitlstm300_w{bits}a{bits}.safetensors"
    metadata, network = read_tensors(path).metadata, load_network(path)
    lstm: list[Any] = [
        np.asarray(network.weights[f"lstm.{part}.weight"], np.float64) for part in ("input", "recurrent")
    ]
    scale = weight_scale(lstm)
    assert scale == pytest.approx(float(metadata["lstm_scale"]), rel=1e-6)
    for weight in lstm:
        found = bit_rnn_weight(weight, bits, scale)
        require_equal((found.raws + 2**bits - 1) // 2, bit_rnn_codes(weight, scale, bits), "codes", "quantization")
