"""What an LSTM may have beside four gates, on integers: near the float network, kernels as specified, files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.errors import FixedsimError, ModelError, NetworkError, ProfileError
from fixedsim.formats import Format
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.lstm import Lstm
from fixedsim.layers.reversal import Reversal
from fixedsim.model import Model, load_model
from fixedsim.network import Description, LinearLayer, LstmLayer, Network
from fixedsim.profiles.profile import Profile, load_profile, profile_names
from fixedsim.quantization import quantize
from fixedsim.retargeting import retarget
from tests.strategies import Words

Reals = NDArray[np.float64]
STEPS, BATCH, INPUTS, UNITS = 7, 4, 3, 5
RANGES = {"*": (-2.0, 2.0)}
FEATURES: dict[str, dict[str, Any]] = {
    "projection": {"projection": 3},
    "peephole": {"peephole": True},
    "coupled": {"coupled": True, "forget_bias": 0.5},
    "clip": {"clip": 0.4},
    "peephole and clip": {"peephole": True, "clip": 0.4},
    "cell_clip": {"cell_clip": 0.25},
    "reverse": {"reverse": True},
    "initial": {"initial": True},
    "hard_sigmoid_fifth": {"gate": "hard_sigmoid_fifth"},
    "both directions": {"bidirectional": True, "projection": 2, "peephole": True, "coupled": True, "initial": True},
}
# Bounds on outputs of about 1, some 1.5 times what is seen: bits of weights, activations and the profile's functions.
BOUNDS = {
    "fixed-point": (16, 16, 0.0015),
    "bit-rnn": (16, 16, 0.0015),
    "cmsis-nn-s16": (16, 16, 0.0015),
    "litert": (8, 8, 0.05),
    "tflm": (8, 8, 0.05),
    "cmsis-nn": (8, 8, 0.05),
    "hls4ml": (None, None, 0.03),
    "elastic-ai-fixed": (None, None, 0.5),
    "elastic-ai-integer": (None, None, 0.5),
}


def network(**lstm: Any) -> Network:
    """An LSTM with the features and a linear layer; weights from our own generator, initial states within 1/8."""
    layer = LstmLayer("a", INPUTS, UNITS, **lstm)
    description = Description("n", (layer, LinearLayer("fc", layer.output_width, 2, bias=False)))
    words = Words(7)
    reach = {name: 0.125 if ".initial." in name else 0.6 for name in description.tensors()}
    return Network(
        description, {name: words.uniform(-reach[name], reach[name], s) for name, s in description.tensors().items()}
    )


def course(seed: int = 3) -> dict[str, Any]:
    """Inputs within 1, lengths of every kind and some resets."""
    words = Words(seed)
    reset = words.uniform(0.0, 1.0, (STEPS, BATCH)) < 0.2
    return {
        "inputs": words.uniform(-1.0, 1.0, (STEPS, BATCH, INPUTS)), "lengths": np.array([7, 3, 5, 1]), "reset": reset
    }  # fmt: skip


def quantized(made: Network, profile: str | Profile = "fixed-point", **choices: Any) -> Model:
    name = profile if isinstance(profile, str) else profile.name
    weight_bits, activation_bits, _ = BOUNDS[name]
    return quantize(
        made,
        profile=profile,
        **{"weight_bits": weight_bits, "activation_bits": activation_bits, "ranges": RANGES} | choices,
    )


def lstm(made: Model) -> Lstm:
    return next(layer for layer in made.layers if isinstance(layer, Lstm))


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("profile", sorted(BOUNDS))
def test_each_feature_comes_near_the_float_network(profile: str, feature: str) -> None:
    if profile == "elastic-ai-integer" and "cell_clip" in FEATURES[feature]:
        pytest.skip("its cell is cut by a primitive: refused, below")
    made = network(**FEATURES[feature])
    model = quantized(made, profile)
    wanted = made.forward(**course()).output
    np.testing.assert_allclose(model.run(**course()).real, wanted, atol=BOUNDS[profile][2], rtol=0)


def test_every_profile_has_a_bound() -> None:
    assert set(BOUNDS) == set(profile_names())


@pytest.mark.parametrize("feature", ["peephole", "clip", "cell_clip", "reverse", "initial", "hard_sigmoid_fifth"])
def test_a_feature_is_not_ignored(feature: str) -> None:
    """The bound of 16 bits tells the network from the one of the same weights without the feature."""
    made = network(**FEATURES[feature])
    plain = Description("n", (LstmLayer("a", INPUTS, UNITS), made.description.layers[1]))
    wanted = Network(plain, {name: made.weights[name] for name in plain.tensors()}).forward(**course()).output
    assert np.abs(quantized(made).run(**course()).real - wanted).max() > 2 * BOUNDS["fixed-point"][2]


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("profile", ["fixed-point", "litert", "elastic-ai-fixed", "hls4ml"])
def test_kernels_are_as_specified_in_every_signal(profile: str, feature: str) -> None:
    model = quantized(network(**FEATURES[feature]), profile)
    kernels, spec = (model.run(**course(), trace="*", engine=engine) for engine in ("kernels", "spec"))
    assert set(kernels.trace) == set(model.signals)
    for name, raws in spec.trace.items():
        np.testing.assert_array_equal(kernels.trace[name], raws, err_msg=name)
    np.testing.assert_array_equal(kernels.raw, spec.raw)
    for name, pair in spec.state.items():
        np.testing.assert_array_equal(np.concatenate(kernels.state[name], axis=1), np.concatenate(pair, axis=1))


@given(
    st.frozensets(st.sampled_from(["projection", "peephole", "coupled", "clip", "cell_clip", "reverse", "initial"])),
    st.integers(0, 1 << 32),
    st.sampled_from(["all", "last"]),
)
@settings(max_examples=25, deadline=None)
def test_features_together(names: frozenset[str], seed: int, steps: str) -> None:
    made = network(**{key: value for name in names for key, value in FEATURES[name].items()}, steps=steps)
    model = quantized(made)
    given_course = course(seed)
    found = model.run(**given_course)
    np.testing.assert_allclose(found.real, made.forward(**given_course).output, atol=BOUNDS["fixed-point"][2], rtol=0)
    np.testing.assert_array_equal(found.raw, model.run(**given_course, engine="spec").raw)


@pytest.mark.parametrize("feature", FEATURES)
def test_models_come_back(tmp_path: Path, feature: str) -> None:
    model = quantized(network(**FEATURES[feature]))
    model.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    first, second = (each.run(**course(), trace="*") for each in (model, again))
    assert first.trace.keys() == second.trace.keys()
    for name, raws in first.trace.items():
        np.testing.assert_array_equal(second.trace[name], raws, err_msg=name)
    np.testing.assert_array_equal(first.raw, second.raw)
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "m.safetensors").read_bytes()


@pytest.mark.parametrize("feature", FEATURES)
def test_layers_left_in_float_compute_and_come_back(tmp_path: Path, feature: str) -> None:
    made = network(**FEATURES[feature])
    model = quantized(made, keep_float=["a"])
    wanted = made.forward(**course()).output
    np.testing.assert_allclose(model.run(**course()).real, wanted, atol=BOUNDS["fixed-point"][2], rtol=0)
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(
        load_model(tmp_path / "m.safetensors").run(**course()).real, model.run(**course()).real
    )


def test_only_files_of_what_is_new_are_of_the_new_schema(tmp_path: Path) -> None:
    schemas = {}
    for feature, kept in (("projection", False), ("reverse", False), ("initial", False), ("clip", True)):
        path = tmp_path / "m.safetensors"
        quantized(network(**FEATURES[feature]), keep_float=["a"] if kept else []).save(path)
        schemas[feature] = 3 if b'"schema": 3' in path.read_bytes().replace(b"\\", b"") else 2
    assert schemas == {"projection": 2, "reverse": 2, "initial": 3, "clip": 3}


def test_clips_are_the_ends_of_formats_that_saturate() -> None:
    path = lstm(quantized(network(clip=0.4, cell_clip=0.25))).datapath
    step = Format.parse("s4.11")
    for gate in path.present:
        form = gate.preactivation.format
        assert (form.raw_min, form.raw_max, form.scale) == (-819, 819, step.scale)  # 0.4 * 2048 = 819.2
    assert (path.cell.format.raw_min, path.cell.format.raw_max) == (-512, 512)
    with_peephole = lstm(quantized(network(clip=0.4, peephole=True))).datapath.gates[3]
    assert with_peephole.preactivation.format == step
    assert with_peephole.peephole is not None
    assert with_peephole.peephole.sum.format.raw_max == 819


def test_a_clip_beyond_the_format_changes_nothing() -> None:
    made, plain = quantized(network(clip=16.0, cell_clip=100.0)), quantized(network())
    assert lstm(made).datapath == lstm(plain).datapath


def test_the_initial_state_is_the_nearest_raws() -> None:
    made = network(initial=True, projection=2)
    layer = lstm(quantized(made))
    for what, raws in layer.resting._asdict().items():
        scale = {"hidden": layer.state_format, "cell": layer.datapath.read_cell}[what].scale
        np.testing.assert_array_equal(raws, np.rint(made.weights[f"a.initial.{what}"] / float(scale)))


def test_a_reverse_layer_stands_between_two_reversals() -> None:
    kinds = [
        [type(layer) for layer in quantized(network(reverse=True, steps=steps)).layers] for steps in ("all", "last")
    ]
    assert [kind[:-1] for kind in kinds] == [[Reversal, Lstm, Reversal], [Reversal, Lstm]]


def test_a_reverse_layer_is_the_backward_direction_of_both() -> None:
    both = quantized(network(bidirectional=True), bits={"fc.output": 16})
    layer = both.layers[0]
    assert isinstance(layer, Bidirectional)
    form = layer.input_format
    ends = Reversal("turned", form), Reversal("back", layer.output_format)
    alone = Model("alone", (ends[0], layer.backward, ends[1]))
    given_course = course()
    wanted = Model("both", (layer,)).run(**given_course)
    assert wanted.raw is not None
    np.testing.assert_array_equal(alone.run(**given_course).raw, wanted.raw[:, :, UNITS:])


@pytest.mark.parametrize("feature", ["peephole", "projection", "initial", "coupled", "hard_sigmoid_fifth", "reverse"])
def test_models_are_brought_under_another_profile_with_their_features(feature: str) -> None:
    made = network(**FEATURES[feature])
    model = quantized(made)
    again = retarget(model, load_profile("fixed-point"))
    np.testing.assert_array_equal(again.run(**course()).raw, model.run(**course()).raw)


def test_widths_by_pattern_reach_what_is_new() -> None:
    bits = {"a.peephole.*": 5, "a.projection.weight": 4, "a.projection.output": 9, "a.gate.*.peephole_sum": 12}
    layer = lstm(quantized(network(peephole=True, projection=3), bits=bits))
    assert layer.projection is not None
    assert layer.projection.datapath.weight.bits == 4
    assert layer.output_format.bits == 9
    assert layer.datapath.hidden.format.bits == 16
    peepholes = [gate.peephole for gate in layer.datapath.present if gate.peephole]
    assert {(each.weight.bits, each.sum.format.bits) for each in peepholes} == {(5, 12)}
    assert len(peepholes) == 3


@pytest.mark.parametrize("bits", [8, 20])
def test_peepholes_at_other_widths_are_added_on_one_scale(bits: int) -> None:
    made = network(peephole=True)
    casts = {"a.gate.*.preactivation": 20, "a.gate.*.peephole_sum": 20, "a.gate.*.peephole_product": bits + 8}
    found = quantized(made, bits=casts).run(**course()).real
    np.testing.assert_allclose(found, made.forward(**course()).output, atol=BOUNDS["fixed-point"][2], rtol=0)


def test_every_new_tensor_is_in_the_report() -> None:
    made = network(bidirectional=True, peephole=True, projection=2, initial=True)
    rows = {row["name"]: row for row in quantized(made).quantization["tensors"]}
    assert set(rows) == set(made.description.tensors()) | {"fc.bias"}
    assert rows["a.backward.projection.weight"]["accumulator_bits"] > 16
    assert rows["a.forward.peephole.output"]["snr_db"] > 60
    assert rows["a.forward.initial.cell"]["shape"] == [UNITS]


STALE = {"lstm": {**load_profile("elastic-ai-fixed").to_dict()["lstm"], "hazard": "stale_sigmoid"}}
REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], type[FixedsimError], str]] = [
    ("stale", {"coupled": True}, {}, ModelError,
     "layer 'a': coupled must be false under profile elastic-ai-fixed with hazard stale_sigmoid, not true"),
    ("stale", {"peephole": True}, {}, ModelError,
     "layer 'a': peephole must be false under profile elastic-ai-fixed with hazard stale_sigmoid, not true"),
    ("elastic-ai-integer", {"cell_clip": 0.25}, {}, ProfileError,
     "cell_clip of a must be absent where a.cell is narrowed by vhdl_resize, not 0.25"),
    ("fixed-point", {"clip": 0.0001}, {}, ModelError,
     "clip of a must be at least 0.00048828125, one step of a.gate.input.preactivation, not 0.0001"),
    ("fixed-point", {"initial": True, "cell_clip": 0.0625}, {}, ModelError, "initial cell of a must be a raw of"),
    ("fixed-point", {"projection": 2}, {"ranges": {"input": (-1.0, 1.0)}}, NetworkError,
     "range of activation 'a.projection.output' must be given or calibrated"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "keys", "choices", "kind", "message"), REFUSED)
def test_what_a_profile_cannot_say_is_refused(
    profile: str, keys: dict[str, Any], choices: dict[str, Any], kind: type[FixedsimError], message: str
) -> None:
    own = load_profile("elastic-ai-fixed" if profile == "stale" else profile)
    if profile == "stale":
        own = Profile.from_dict(own.to_dict() | STALE)
    with pytest.raises(kind) as caught:
        quantized(network(**keys), own, **choices)
    assert message in str(caught.value)


def test_calibration_finds_the_range_of_a_projection() -> None:
    made = network(projection=2, bidirectional=True)
    inputs = course()["inputs"]
    model = quantized(made, calibration=inputs, ranges={})
    wanted = made.forward(inputs).output
    np.testing.assert_allclose(model.run(inputs).real, wanted, atol=BOUNDS["fixed-point"][2], rtol=0)
