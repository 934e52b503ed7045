"""Descriptions: presets, sizes, TOML and JSON keys, and each refusal's message."""

from pathlib import Path
from typing import Any

import pytest

from fixedsim.errors import FileError, NetworkError
from fixedsim.network import (
    BitRnnRule,
    Description,
    EmbeddingLayer,
    LinearLayer,
    LstmLayer,
    preset,
    preset_names,
    read_description,
)

LINEAR = {"kind": "linear", "name": "fc", "inputs": 3, "outputs": 2}
LSTM = {"kind": "lstm", "name": "lstm", "inputs": 3, "units": 4}


def described(*layers: dict[str, Any], **more: Any) -> Description:
    return Description.from_dict({"name": "n", "layers": list(layers), **more}, "file.toml")


def test_presets_are_listed() -> None:
    assert preset_names() == ("deep-speech", "ptb-lm")


def test_ptb_parameters() -> None:
    embedding = 10_000 * 300
    lstm = {"lstm.input.weight": 1200 * 300, "lstm.recurrent.weight": 1200 * 300, "lstm.bias": 1200}
    decoder = {"decoder.weight": 10_000 * 300, "decoder.bias": 10_000}
    counts = preset("ptb-lm").parameters()
    assert counts == {"embedding.weight": embedding, **lstm, **decoder}
    assert sum(counts.values()) == 3_000_000 + 721_200 + 3_010_000 == 6_731_200


def test_deep_speech_parameters() -> None:
    by_layer = {"fc1": 0, "fc2": 0, "fc3": 0, "lstm": 0, "fc5": 0, "fc6": 0}
    for name, count in preset("deep-speech").parameters().items():
        by_layer[name.split(".")[0]] += count
    assert by_layer == {
        "fc1": 494 * 2048 + 2048,
        "fc2": 2048 * 2048 + 2048,
        "fc3": 2048 * 4096 + 4096,
        "lstm": 2 * (8192 * 4096 + 8192 * 2048 + 8192),
        "fc5": 4096 * 2048 + 2048,
        "fc6": 2048 * 29 + 29,
    }
    assert sum(by_layer.values()) == 122_732_573


def test_deep_speech_clips_four_layers() -> None:
    layers = [layer for layer in preset("deep-speech").layers if isinstance(layer, LinearLayer)]
    clips = {layer.name: (layer.activation, layer.clip) for layer in layers}
    clipped = ("clipped_relu", 20.0)
    assert clips == {"fc1": clipped, "fc2": clipped, "fc3": clipped, "fc5": clipped, "fc6": ("identity", None)}


def test_tensors_of_both_directions() -> None:
    assert described({**LSTM, "bidirectional": True}).tensors() == {
        "lstm.forward.input.weight": (16, 3),
        "lstm.forward.recurrent.weight": (16, 4),
        "lstm.forward.bias": (16,),
        "lstm.backward.input.weight": (16, 3),
        "lstm.backward.recurrent.weight": (16, 4),
        "lstm.backward.bias": (16,),
    }


def test_tensors_of_what_an_lstm_may_have() -> None:
    found = described({**LSTM, "projection": 2, "peephole": True, "initial": True})
    assert found.tensors() == {
        "lstm.input.weight": (16, 3),
        "lstm.recurrent.weight": (16, 2),
        "lstm.bias": (16,),
        "lstm.peephole.input": (4,),
        "lstm.peephole.forget": (4,),
        "lstm.peephole.output": (4,),
        "lstm.projection.weight": (2, 4),
        "lstm.initial.hidden": (2,),
        "lstm.initial.cell": (4,),
    }
    assert found.output_width == 2
    assert found.signals()[-1] == "lstm.projection.output"
    assert "lstm.gate.output.peephole_sum" in found.signals()


def test_coupled_gates_have_no_rows_and_no_peephole_of_the_input_gate() -> None:
    found = described({**LSTM, "coupled": True, "peephole": True})
    assert found.tensors() == {
        "lstm.input.weight": (12, 3),
        "lstm.recurrent.weight": (12, 4),
        "lstm.bias": (12,),
        "lstm.peephole.forget": (4,),
        "lstm.peephole.output": (4,),
    }
    assert "lstm.gate.input" in found.signals()
    assert not {"lstm.gate.input.preactivation", "lstm.gate.input.peephole_sum"} & set(found.signals())


def test_projections_of_both_directions_stand_side_by_side_and_stack() -> None:
    layers = described({**LSTM, "depth": 2, "bidirectional": True, "projection": 3}).layers
    assert [layer.output_width for layer in layers] == [6, 6]
    assert layers[1].tensors()["lstm.l1.backward.input.weight"] == (16, 6)


def test_depth_makes_a_stack() -> None:
    layers = described({**LSTM, "depth": 2, "bidirectional": True, "steps": "last"}).layers
    assert layers == (
        LstmLayer("lstm.l0", 3, 4, bidirectional=True),
        LstmLayer("lstm.l1", 8, 4, bidirectional=True, steps="last"),
    )


def test_depth_one_keeps_the_name() -> None:
    assert described({**LSTM, "depth": 1}).layers == (LstmLayer("lstm", 3, 4),)


def test_inputs_follow_the_layer_before() -> None:
    layers = described({"kind": "embedding", "name": "e", "vocabulary": 9, "features": 5}, {**LSTM, "inputs": 5})
    left_out = {key: value for key, value in LSTM.items() if key != "inputs"}
    assert described({"kind": "embedding", "name": "e", "vocabulary": 9, "features": 5}, left_out) == layers


def test_every_key_survives_to_dict() -> None:
    description = Description(
        "all.of-it",
        (
            EmbeddingLayer("e", 7, 3),
            LstmLayer("l.l0", 3, 4, True, "hard_sigmoid", "hard_tanh", "sigmoid", 1.5, False, "all"),
            LstmLayer("l.l1", 8, 5, steps="last"),
            LinearLayer("fc", 5, 6, "clipped_relu", 20.0, bias=False),
        ),
        BitRnnRule(4, 2),
        "half",
    )
    assert Description.from_dict(description.to_dict()) == description


def test_keys_that_came_later_survive_to_dict_and_are_left_out_where_they_are_not_set() -> None:
    plain = {
        "kind": "lstm", "name": "lstm", "inputs": 3, "units": 4, "bidirectional": False, "gate": "sigmoid",
        "candidate": "tanh", "cell_activation": "tanh", "forget_bias": 0.0, "bias": True, "steps": "all",
    }  # fmt: skip
    later = {"projection": 2, "peephole": True, "coupled": True, "clip": 3.0, "cell_clip": 50.0, "initial": True}
    assert list(described(LSTM).to_dict()["layers"][0].items()) == list(plain.items())
    for keys in (later, {"reverse": True}):
        found = described({**LSTM, **keys})
        assert found.to_dict()["layers"][0] == plain | keys
        assert Description.from_dict(found.to_dict()) == found


def test_a_whole_number_may_stand_for_a_real() -> None:
    layer = described({**LINEAR, "activation": "clipped_relu", "clip": 6}).layers[0]
    assert isinstance(layer, LinearLayer)
    assert layer.clip == 6.0


@pytest.mark.parametrize(
    ("layers", "more", "message"),
    [
        ([{**LINEAR, "outputz": 2}], {}, "file.toml: layers[0].outputz must be a known key, not 'outputz'; "
         "did you mean 'outputs'?"),
        ([LINEAR], {"layer": 1}, "file.toml: layer must be a known key, not 'layer'; did you mean 'layers'?"),
        ([LINEAR], {"bit_rnn": {"weight_bits": 4, "activation_bits": 4, "bits": 1}},
         "file.toml: bit_rnn.bits must be a known key, not 'bits'; did you mean 'weight_bits'?"),
        ([{**LINEAR, "outputs": "2"}], {}, "file.toml: layers[0].outputs must be an integer, not '2'"),
        ([{**LINEAR, "outputs": True}], {}, "file.toml: layers[0].outputs must be an integer, not True"),
        ([{**LINEAR, "bias": 1}], {}, "file.toml: layers[0].bias must be true or false, not 1"),
        ([{**LINEAR, "clip": "x"}], {}, "file.toml: layers[0].clip must be a number, not 'x'"),
        ([{**LINEAR, "name": 3}], {}, "file.toml: layers[0].name must be a string, not 3"),
        ([{**LINEAR, "kind": "liner"}], {}, "file.toml: layers[0].kind must be a known kind, not 'liner'; "
         "did you mean 'linear'?"),
        ([{"name": "x"}], {}, "file.toml: layers[0].kind must be given, not missing; known: embedding, linear, lstm"),
        ([{"kind": "linear", "name": "fc"}], {}, "file.toml: layers[0].outputs must be given, not missing"),
        ([{"kind": "linear", "name": "fc", "outputs": 2}], {},
         "file.toml: layer 'fc': inputs must be given on the first layer, not missing"),
        ([3], {}, "file.toml: layers[0] must be a table, not 3"),
        ([LINEAR], {"bit_rnn": 3}, "file.toml: bit_rnn must be a table, not 3"),
        ([LINEAR], {"initial_state": "one"}, "file.toml: initial_state must be 'zero' or 'half', not 'one'"),
        ([], {}, "file.toml: layers must hold at least one layer, not none"),
        ([{**LSTM, "depth": 0}], {}, "file.toml: layers[0].depth must be in 1..64, not 0"),
        ([LINEAR] * 1025, {}, "file.toml: layers must hold at most 1024 layers, not 1025"),
        ([{**LINEAR, "outputs": 0}], {}, "file.toml: layer 'fc': outputs must be in 1..16777216, not 0"),
        ([{**LINEAR, "inputs": 2**24 + 1}], {}, "file.toml: layer 'fc': inputs must be in 1..16777216, not 16777217"),
        ([{**LINEAR, "inputs": 2**24, "outputs": 129}], {},
         "file.toml: tensor 'fc.weight' must hold at most 2147483648 elements, not 2164260864"),
        ([{**LINEAR, "name": "a/b"}], {}, "file.toml: layer name must be at most 128 letters, digits, '_' and '-', in "
         "parts joined by dots, not 'a/b'"),
        ([{**LINEAR, "name": "a..b"}], {}, "not 'a..b'"),
        ([{**LINEAR, "name": "a\n"}], {}, "not 'a\\n'"),
        ([{**LINEAR, "name": "a" * 129}], {}, "layer name must be at most 128 letters"),
        ([LINEAR, {**LINEAR, "inputs": 2}], {},
         "file.toml: layer name must be unique with all that it names, not 'fc' twice"),
        ([{**LSTM, "inputs": 4, "name": "a"}, {**LSTM, "inputs": 4, "name": "a.l0"}], {},
         "file.toml: layer name must be unique with all that it names, not 'a.bias_hh_l0' twice"),
        ([LINEAR, {**LSTM, "inputs": 3}], {},
         "file.toml: layer 'lstm': inputs must be 2, the width of 'fc', not 3"),
        ([{**LSTM, "bidirectional": True}, {**LINEAR, "inputs": 4}], {},
         "file.toml: layer 'fc': inputs must be 8, the width of 'lstm', not 4"),
        ([LINEAR, {"kind": "embedding", "name": "e", "vocabulary": 2, "features": 2}], {},
         "file.toml: layer 'e' must be the first layer, not after 'fc'"),
        ([{**LINEAR, "activation": "rleu"}], {}, "layer 'fc': activation must be a known choice, not 'rleu'; "
         "did you mean 'relu'?"),
        ([{**LSTM, "gate": "tanh"}], {}, "file.toml: layer 'lstm': gate must be a known choice, not 'tanh'; "
         "known: hard_sigmoid, hard_sigmoid_fifth, sigmoid"),
        ([{**LSTM, "candidate": "clipped_relu"}], {}, "layer 'lstm': candidate must be a known choice"),
        ([{**LSTM, "cell_activation": "thanh"}], {}, "not 'thanh'; did you mean 'tanh'?"),
        ([{**LSTM, "steps": "first"}], {}, "layer 'lstm': steps must be a known choice, not 'first'"),
        ([{**LSTM, "forget_bias": float("nan")}], {}, "layer 'lstm': forget_bias must be finite, not nan"),
        ([{**LSTM, "projection": 0}], {}, "file.toml: layer 'lstm': projection must be in 1..16777216, not 0"),
        ([{**LSTM, "projection": True}], {}, "file.toml: layers[0].projection must be an integer, not True"),
        ([{**LSTM, "peephole": 1}], {}, "file.toml: layers[0].peephole must be true or false, not 1"),
        ([{**LSTM, "clip": 0.0}], {}, "layer 'lstm': clip must be positive and finite, not 0.0"),
        ([{**LSTM, "clip": float("inf")}], {}, "layer 'lstm': clip must be positive and finite, not inf"),
        ([{**LSTM, "cell_clip": -1.0}], {}, "layer 'lstm': cell_clip must be positive and finite, not -1.0"),
        ([{**LSTM, "cell_clip": float("nan")}], {}, "layer 'lstm': cell_clip must be positive and finite, not nan"),
        ([{**LSTM, "reverse": True, "bidirectional": True}], {},
         "file.toml: layer 'lstm': reverse must be false for a bidirectional layer, not true"),
        ([{**LSTM, "peephole": True}], {"bit_rnn": {"weight_bits": 4, "activation_bits": 4}},
         "file.toml: layer 'lstm': peephole must be absent under a Bit-RNN rule, not True"),
        ([{**LSTM, "projection": 3}], {"bit_rnn": {"weight_bits": 4, "activation_bits": 4}},
         "file.toml: layer 'lstm': projection must be absent under a Bit-RNN rule, not 3"),
        ([{**LSTM, "initial": True}], {"bit_rnn": {"weight_bits": 4, "activation_bits": 4}},
         "file.toml: layer 'lstm': initial must be absent under a Bit-RNN rule, not True"),
        ([{**LSTM, "steps": "last"}, {**LSTM, "name": "b", "inputs": 4}], {},
         "file.toml: layer 'lstm': steps must be 'all' before another LSTM, not 'last'"),
        ([{**LINEAR, "activation": "clipped_relu"}], {},
         "layer 'fc': clip must be positive and finite for activation 'clipped_relu', not missing"),
        ([{**LINEAR, "activation": "clipped_relu", "clip": float("inf")}], {}, "activation 'clipped_relu', not inf"),
        ([{**LINEAR, "activation": "clipped_relu", "clip": 0.0}], {}, "activation 'clipped_relu', not 0.0"),
        ([{**LINEAR, "clip": 2.0}], {}, "layer 'fc': clip must be absent for activation 'identity', not 2.0"),
        ([LINEAR], {"bit_rnn": {"weight_bits": 17, "activation_bits": 4}},
         "file.toml: bit_rnn: weight_bits must be in 1..16, not 17"),
        ([LINEAR], {"bit_rnn": {"weight_bits": 4, "activation_bits": 0}},
         "file.toml: bit_rnn: activation_bits must be in 1..16, not 0"),
    ],
)  # fmt: skip
def test_refusals(layers: list[Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(NetworkError) as caught:
        Description.from_dict({"name": "n", "layers": layers, **more}, "file.toml")
    assert message in str(caught.value)


def test_initial_state_is_checked_without_a_schema() -> None:
    with pytest.raises(NetworkError, match=r"initial_state must be zero or half, not 'one'"):
        Description("n", (LinearLayer("fc", 1, 1),), initial_state="one")  # type: ignore[arg-type]


def test_no_preset_of_that_name() -> None:
    with pytest.raises(NetworkError, match=r"preset must be a known name, not 'ptb-ln'; did you mean 'ptb-lm'\?"):
        preset("ptb-ln")


def test_toml_file_with_weights(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text('name = "n"\nweights = "sub/w.npz"\n[[layers]]\nkind="linear"\nname="fc"\ninputs=3\noutputs=2\n')
    assert read_description(path) == (Description("n", (LinearLayer("fc", 3, 2),)), tmp_path / "sub/w.npz")


def test_unknown_key_of_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text('name = "n"\nweigths = "w.npz"\nlayers = []\n')
    with pytest.raises(NetworkError) as caught:
        read_description(path)
    assert str(caught.value) == f"{path}: weigths must be a known key, not 'weigths'; did you mean 'weights'?"


@pytest.mark.parametrize(
    ("content", "constraint"),
    [
        (b"name = ", "must be TOML, not 'Invalid value"),
        (b"name = '\xff'", "must be UTF-8 text, not other bytes"),
        (b"#" * (2**20 + 1), "must be at most 1048576 bytes long, not 1048577"),
        (None, "must be a readable file, not 'no such file or directory'"),
    ],
)
def test_unreadable_toml(tmp_path: Path, content: bytes | None, constraint: str) -> None:
    path = tmp_path / "net.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        read_description(path)
    assert f"{path} {constraint}" in str(caught.value)
