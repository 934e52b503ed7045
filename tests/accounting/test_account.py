"""Storage as accounted: the figures of two networks by sums written out, and the model that quantization makes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixedsim
from fixedsim.accounting import Arrangement, Memory, memory, plot
from fixedsim.errors import FixedsimError
from fixedsim.model.storage import Kind
from fixedsim.network import Description, LinearLayer, Network, preset
from fixedsim.profiles.profile import profile_names
from tests.widening.test_widen import descriptions

LSTM = 2 * (4 * 2048 * (4096 + 2048) + 4 * 2048)
DEEP_SPEECH = {
    "fc1": 494 * 2048 + 2048,
    "fc2": 2048 * 2048 + 2048,
    "fc3": 2048 * 4096 + 4096,
    "lstm": LSTM,
    "fc5": 4096 * 2048 + 2048,
    "fc6": 2048 * 29 + 29,
}


def parameters(account: Memory) -> dict[str, int]:
    return {layer.name: layer.parameters for layer in account.layers if layer.name != "tables"}


def test_deep_speech_layer_by_layer() -> None:
    account = memory(preset("deep-speech"))
    assert parameters(account) == DEEP_SPEECH
    assert account.total.parameters == sum(DEEP_SPEECH.values()) == 122_732_573
    assert account.total.law_bits == 8 * 122_732_573
    per_step = 494 * 2048 + 2048 * 2048 + 2 * 2048 * 4096 + 2 * 4 * 2048 * (4096 + 2048) + 2048 * 29
    assert account.total.macs == per_step
    assert account.total.bit_operations == 64 * per_step


def test_penn_treebank() -> None:
    account = memory(preset("ptb-lm"), weight_bits=3, activation_bits=5)
    assert parameters(account) == {
        "embedding": 3_000_000,
        "lstm": 4 * 300 * (300 + 300) + 4 * 300,
        "decoder": 300 * 10_000 + 10_000,
    }
    assert account.total.parameters == 6_731_200
    assert account.total.macs == 4 * 300 * 600 + 300 * 10_000
    assert account.total.bit_operations == 15 * account.total.macs
    weights = 3_000_000 + 720_000 + 3_000_000
    biases = 1_200 + 10_000
    shifts = 10_000 + 2 * 1_200 + 10_000  # of the embedding's words and of the rows of three matrices
    single = 3  # one shift of products for each matrix
    assert account.total.total_bits == 3 * weights + 32 * biases + 7 * (shifts + single) + 2 * 1_025 * 16


def test_float_layers_keep_84_3_per_cent() -> None:
    account = memory(preset("deep-speech"), weight_bits=4, keep_float=["lstm"])
    fully_connected = sum(DEEP_SPEECH.values()) - LSTM
    by_hand = (fully_connected * 4 + LSTM * 32) / (sum(DEEP_SPEECH.values()) * 32)
    assert account.total.law_bits / (account.total.parameters * 32) == by_hand
    assert round(100 * by_hand, 1) == 84.3


@pytest.mark.parametrize(("factor", "growth"), [(1.25, 5.56), (1.5, 11.55)])
def test_wider_layers_grow_the_model(factor: float, growth: float) -> None:
    before, after = (memory(preset("deep-speech"), widen=widen).total for widen in (None, {"fc[125]": factor}))
    assert round(100 * (after.law_bits / before.law_bits - 1), 2) == growth


@pytest.mark.parametrize(
    ("bits", "embedding_along", "fixed"), [(4, 551, 738), (3, 700, 986), (2, 969, 1417), (1, 1629, 2429)]
)
def test_units_at_equal_storage(bits: int, embedding_along: int, fixed: int) -> None:
    """The most units whose whole model, at fewer bits, is no larger than 300 units at 8 bits."""

    def law(units: int, *layers: str) -> int:
        return memory(preset("ptb-lm"), weight_bits=bits, widen=dict.fromkeys(layers, units / 300)).total.law_bits

    allowed = 6_731_200 * 8
    for most, layers in ((embedding_along, ("embedding", "lstm")), (fixed, ("lstm",))):
        assert law(most, *layers) <= allowed < law(most + 1, *layers)


def random_network(description: Description, seed: int) -> Network:
    """Random weights; no bias rounds to zeros alone, which would not be stored."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(size=shape) for name, shape in description.tensors().items()}
    for name, values in weights.items():
        if name.endswith(".bias"):
            values[0] = 0.75
    return Network(description, weights)


RANGES = {"*": (-4.0, 4.0)}


@pytest.mark.parametrize("profile", profile_names())
@given(descriptions(), st.integers(0, 1 << 32))
@settings(max_examples=8, deadline=None)
def test_a_description_stores_what_its_model_stores(profile: str, description: Description, seed: int) -> None:
    model = fixedsim.quantize(random_network(description, seed), profile=profile, ranges=RANGES)
    foretold, found = memory(description, profile=profile), memory(model)
    for kind in (Kind.WEIGHT, Kind.BIAS, Kind.TABLE):
        assert stored(foretold, kind) == stored(found, kind)
    wanted, got = stored(foretold, Kind.CONSTANT), stored(found, Kind.CONSTANT)
    for name, (shape, bits) in got.items():
        if name not in wanted:
            assert name.endswith((".bias.shift", ".multiplier"))
        elif not name.endswith("_shift"):
            assert wanted[name][1] >= bits
            assert math.prod(wanted[name][0]) >= math.prod(shape)
    assert foretold.products == found.products


def stored(account: Memory, kind: Kind) -> dict[str, tuple[tuple[int, ...], int]]:
    return {
        each.stored.name: (each.stored.shape, each.stored.bits) for each in account.tensors if each.stored.kind is kind
    }


@given(descriptions(), st.data())
@settings(max_examples=20, deadline=None)
def test_widths_by_pattern_stand_as_in_the_model(description: Description, data: st.DataObject) -> None:
    width = st.integers(1, 16)
    bits = {"*.weight": data.draw(width), "last.weight": data.draw(width)}
    choices: dict[str, Any] = {"activation_bits": data.draw(width), "bits": bits}
    model = fixedsim.quantize(random_network(description, 1), ranges=RANGES, **choices)
    foretold = memory(description, **choices)
    assert stored(foretold, Kind.WEIGHT) == stored(memory(model), Kind.WEIGHT)
    assert foretold.products == memory(model).products


def test_blocks_count_every_tensor_but_single_values() -> None:
    account = memory(preset("ptb-lm"), target="ramb36", arrangement=Arrangement(rule="bits"))
    for each in account.tensors:
        if each.stored.values == 1:
            assert each.placement is None
        else:
            assert each.placement is not None
            assert each.placement.blocks == -(-each.stored.total_bits // 36_864)
    assert account.total.blocks == sum(each.placement.blocks for each in account.tensors if each.placement)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"weight_bits": 17}, "weight_bits must be in 1..16, not 17"),
        ({"activation_bits": 0}, "activation_bits must be in 1..16, not 0"),
        ({"bias_bits": 65}, "bias_bits must be in 1..64, not 65"),
        ({"bits": {"fc*.weight": 4}}, "bits pattern must match a name, not 'fc*.weight'"),
        ({"keep_float": ["lstn"]}, "keep-float pattern must match a name, not 'lstn'; did you mean 'lstm'?"),
        ({"widen": {"lstm": 0.5}}, "factor of 'lstm' must be at least 1 and finite, not 0.5"),
        (
            {"keep_float": ["lstm"], "bits": {"lstm.*.weight": 4}},
            "bits of lstm.input.weight must be left out, for lstm stays in float",
        ),
        ({"target": "ramb37"}, "memory 'ramb37' is unknown"),
    ],
)
def test_wrong_choices_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(FixedsimError) as caught:
        memory(preset("ptb-lm"), **choices)
    assert str(caught.value).startswith(message)


def test_a_model_has_its_own_widths() -> None:
    small = Description("small", (LinearLayer("a", 3, 2, "relu"), LinearLayer("b", 2, 3)))
    model = fixedsim.quantize(random_network(small, 0), ranges=RANGES)
    with pytest.raises(FixedsimError, match="must be left out for a model: it has its own"):
        memory(model, weight_bits=4)


@pytest.mark.parametrize(("suffix", "begin"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_pictures_are_drawn(tmp_path: Path, suffix: str, begin: bytes) -> None:
    pytest.importorskip("matplotlib")
    for name, account in (
        ("storage", memory(preset("ptb-lm"))),
        ("live", fixedsim.activations(preset("ptb-lm"), steps=9)),
    ):
        plot(account, tmp_path / f"{name}.{suffix}")
        assert (tmp_path / f"{name}.{suffix}").read_bytes().startswith(begin)


def test_pictures_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FixedsimError, match=r"must end in \.png or \.svg, not '\.pdf'"):
        plot(memory(preset("ptb-lm")), tmp_path / "storage.pdf")
