"""A model under two profiles: what stays, what changes, and where the two part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixedsim.casts import Rounding
from fixedsim.errors import InputError, ModelError
from fixedsim.importers import import_model
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model, load_model
from fixedsim.network import Description
from fixedsim.parting import compare_models
from fixedsim.profiles import Profile, load_profile, profile_names
from fixedsim.profiles.differences import Difference, profile_differences
from fixedsim.profiles.executors import any_profile, executor_names, executor_profile
from fixedsim.quantization import quantize
from fixedsim.retargeting import retarget
from tests.model.networks import LANGUAGE, SPEECH, network

RANGES: dict[Description, dict[str, tuple[float, float]]] = {LANGUAGE: {}, SPEECH: {"*": (-2.0, 2.0)}}
TFLITE = Path(__file__).parent / "data" / "recorded" / "litert" / "tflite"


def changed(profile: Profile, table: str, **own: object) -> Profile:
    choices = profile.to_dict()
    choices[table] = {**choices[table], **own}
    return Profile.from_dict(choices)


def test_differences_name_keys() -> None:
    profile = load_profile("fixed-point")
    other = changed(profile, "accumulator", bits=20, joint=True)
    assert profile_differences(profile, other) == [
        Difference("accumulator.bits", 48, 20),
        Difference("accumulator.joint", False, True),
    ]
    assert profile_differences(profile, profile) == []
    cell = profile.to_dict()["lstm"]["cell"]
    added = changed(profile, "lstm", forget_product=cell)
    (found,) = profile_differences(profile, added)
    assert (found.key, found.first) == ("lstm.forget_product", None)
    assert found.second["format"] == "s4.11"


@pytest.mark.parametrize("name", ["craft_peephole", "craft_cifg", "stack_i10_h12_t6_b1", "bilstm_i8_h6_t5_b1"])
def test_a_model_under_its_own_profile_is_the_same(name: str, tmp_path: Path) -> None:
    model = import_model(TFLITE / f"{name}.tflite")
    again = retarget(model, Profile.from_dict(dict(model.profile)))
    found = compare_models(model, again)
    assert (found.differing, found.parting, found.only) == (0, None, ((), ()))
    assert found.integers > 1000
    model.save(tmp_path / "model.safetensors")
    assert compare_models(load_model(tmp_path / "model.safetensors"), again).differing == 0


@pytest.mark.parametrize("name", ["fixed-point", "bit-rnn"])
@pytest.mark.parametrize("kind", [LANGUAGE, SPEECH])
def test_a_quantized_model_under_its_own_profile_is_the_same(name: str, kind: Description) -> None:
    model = quantize(network(kind), profile=name, weight_bits=4, ranges=RANGES[kind])
    found = compare_models(model, retarget(model, load_profile(name)))
    assert (found.differing, found.parting) == (0, None)


def test_executors_part_where_a_layer_is_requantized() -> None:
    """Ties were crafted into this model's sums: only the rule of the fully connected layer differs."""
    path = TFLITE / "craft_fc_ties_pt.tflite"
    first, second = (import_model(path, executor=name) for name in ("litert-reference", "litert-xnnpack"))
    x = np.load(path.parents[1] / "craft_fc_ties_pt.npz")["x"].astype(np.int64)
    found = compare_models(first, second, x)
    assert found.parting is not None
    assert found.parting.signal == "fc.sum"
    assert found.parting.raws[0] - found.parting.raws[1] in (-1, 1)  # half away from zero against half to even
    recorded = np.load(path.parents[1] / "craft_fc_ties_pt.npz")
    assert found.differing == 3 * np.count_nonzero(recorded["y_ref"] != recorded["y_xnn"])  # sum and what copies it


def test_the_earliest_signal_is_named() -> None:
    """One unit's bias is changed: the first signal that depends on it is its accumulator, at step 0."""
    model = quantize(network(LANGUAGE))
    lstm = next(layer for layer in model.layers if isinstance(layer, Lstm))
    bias = lstm.bias.raw.astype(np.int64)
    units = lstm.units
    bias[2 * units + 3] += 1 << 20  # candidate gate, unit 3
    layers = tuple(
        replace(layer, bias=replace(layer.bias, raw=bias)) if layer is lstm else layer for layer in model.layers
    )
    found = compare_models(model, replace(model, layers=layers)).parting
    assert found is not None
    assert (found.signal, found.step, found.sequence, found.unit) == (
        f"{lstm.name}.gate.candidate.input_accumulator",
        0,
        0,
        3,
    )
    assert found.raws[1] - found.raws[0] == 1 << 20 << int(lstm.bias.shift[2 * units + 3])


def test_every_profile_takes_a_network() -> None:
    for name in profile_names():
        model = quantize(network(SPEECH), profile=name, ranges=RANGES[SPEECH])
        assert model.run(np.zeros((2, 1, 6))).raw is not None


def test_every_executor_is_a_profile() -> None:
    assert "tflm" in executor_names()
    for name in executor_names():
        assert executor_profile(name) == any_profile(name)
        assert executor_profile(name).name == name


def test_what_cannot_be_brought_under_another_profile() -> None:
    model = quantize(network(SPEECH), keep_float=["low"], ranges=RANGES[SPEECH])
    with pytest.raises(ModelError, match="low must be on integers, not in float64"):
        retarget(model, load_profile("litert"))
    bare = Model("bare", quantize(network(SPEECH), ranges=RANGES[SPEECH]).layers)
    with pytest.raises(ModelError, match="model must name the profile that it was made with"):
        retarget(bare, load_profile("litert"))
    with pytest.raises(InputError, match="inputs of both models must have one format, not"):
        compare_models(
            quantize(network(SPEECH), ranges=RANGES[SPEECH]),
            quantize(network(SPEECH), profile="bit-rnn", ranges=RANGES[SPEECH]),
        )


def test_a_layer_with_choices_of_its_own_is_refused() -> None:
    model = quantize(network(LANGUAGE))
    changed_layers = tuple(
        replace(layer, datapath=replace(layer.datapath, cell=replace(layer.datapath.cell, rounding=Rounding.FLOOR)))
        if isinstance(layer, Lstm)
        else layer
        for layer in model.layers
    )
    with pytest.raises(ModelError, match="must have the choices of the model's profile, not ones of its own"):
        retarget(replace(model, layers=changed_layers), load_profile("litert"))
