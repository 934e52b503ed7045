"""hls4ml projects: what stands in the folder, refusals by file and line, and damaged or hostile folders."""

import os
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.errors import FileError
from fixedsim.importers.hls4ml import Project, Variable, read_project
from fixedsim.importers.hls4ml import source as source_module
from tests.importers.hls4ml_folders import DEFAULT, Folder, Generator, perceptron, recurrent, write

DEFINES, PARAMETERS, FUNCTION = "firmware/defines.h", "firmware/parameters.h", "firmware/myproject.cpp"
LSTM_TYPES = {
    "accum": "ap_fixed<18,7,AP_RND,AP_SAT,0>",
    "weight": "ap_fixed<10,2>",
    "recurrent_weight": "ap_fixed<11,2>",
    "bias": DEFAULT,
    "recurrent_bias": DEFAULT,
    "table": "ap_fixed<16,4,AP_RND,AP_SAT>",
}
SECONDS = 5.0  # of one small folder, on a busy machine
QUIET_BYTES = 8 << 20  # of memory; the interpreter doubles a table of its own now and then, 4 MiB in one go


def rng(seed: int = 0) -> Generator:
    return np.random.default_rng(seed)


def read(folder: Folder, path: Path) -> Project:
    return read_project(write(path, folder.files()))


def test_a_recurrent_project_gives_all_its_layers(tmp_path: Path) -> None:
    project = read(recurrent(rng()), tmp_path)
    assert project.name == "myproject"
    assert project.input == Variable("input_layer", DEFAULT, (5, 3))
    assert project.output == Variable("layer8_out", "ap_ufixed<8,0>", (3,))
    found = [(layer.kind, layer.name, layer.input_shape, layer.output_shape) for layer in project.layers]
    assert found == [
        ("lstm", "first", (5, 3), (5, 4)),
        ("dense", "each", (5, 4), (5, 6)),
        ("relu", "each_relu", (5, 6), (5, 6)),
        ("lstm", "second", (5, 6), (2,)),
        ("dense", "fc", (2,), (3,)),
        ("tanh", "fc_tanh", (3,), (3,)),
        ("hard_sigmoid", "fc_hard", (3,), (3,)),
    ]


def test_an_lstm_has_its_types_sizes_and_functions(tmp_path: Path) -> None:
    first, _, _, second, *_ = read(recurrent(rng()), tmp_path).layers
    assert first.types == LSTM_TYPES
    sizes = {"n_in": 3, "n_out": 4, "n_state": 4, "n_sequence": 5, "n_sequence_out": 5, "table_size": 512}
    assert first.sizes == sizes
    assert (first.input_type, first.output_type) == (DEFAULT, DEFAULT)
    assert (first.activation, first.recurrent_activation) == ("tanh", "sigmoid")
    assert (first.return_sequences, second.return_sequences) == (True, False)
    assert second.types["table"] == "ap_fixed<18,8>"


def test_dense_and_activation_layers_have_their_types_and_sizes(tmp_path: Path) -> None:
    _, each, relu, _, fc, tanh, hard = read(recurrent(rng()), tmp_path).layers
    assert each.types == {"accum": "ap_fixed<36,16>", "weight": DEFAULT, "bias": "ap_fixed<9,3>"}
    assert each.sizes == {"n_in": 4, "n_out": 6, "n_sequence": 5}
    assert (each.output_type, fc.output_type) == ("ap_fixed<36,16>", "ap_fixed<12,4,AP_RND_CONV,AP_SAT>")
    assert (fc.sizes, relu.types, relu.sizes) == ({"n_in": 2, "n_out": 3}, {}, {"n_in": 30})
    assert (tanh.types, tanh.sizes) == ({"table": "ap_fixed<14,2>"}, {"n_in": 3, "table_size": 2048})
    assert hard.types == {"slope": "ap_ufixed<16,0>", "shift": "ap_ufixed<2,0>"}
    assert hard.constants == {"slope": 0.2, "shift": 0.5}


def test_weights_are_the_numbers_of_the_files_in_order(tmp_path: Path) -> None:
    folder = recurrent(rng(3))
    layers = read(folder, tmp_path).layers
    uses = {"w": "weight", "wr": "recurrent_weight", "b": "bias", "br": "recurrent_bias"}
    for index, layer in ((2, layers[0]), (3, layers[1]), (5, layers[3]), (6, layers[4])):
        for letter, use in uses.items():
            if layer.kind == "lstm" or letter in "wb":
                np.testing.assert_array_equal(layer.weights[use], folder.weights[f"{letter}{index}"], strict=True)
    assert layers[0].weights["weight"].shape == (3, 16)
    assert layers[4].weights["weight"].shape == (2, 3)


def test_numbers_may_have_signs_exponents_and_lines(tmp_path: Path) -> None:
    files = perceptron(rng()).files() | {"firmware/weights/b2.txt": "-1, +2.5e-3,\n 7.\n"}
    layer = read_project(write(tmp_path, files)).layers[0]
    assert layer.weights["bias"].tolist() == [-1.0, 0.0025, 7.0]


def test_namespaces_traces_and_named_sizes_are_read(tmp_path: Path) -> None:
    files = perceptron(rng()).files()
    files[DEFINES] = files[DEFINES].replace("typedef", "#define N_IN_2 4 // inputs\nnamespace mine {\ntypedef", 1)
    files[DEFINES] = files[DEFINES].replace("\n\n#endif", "\n}\n#endif")
    files[PARAMETERS] = files[PARAMETERS].replace("n_in = 4;", "n_in = N_IN_2 * 1;")
    files[FUNCTION] = files[FUNCTION].replace("void", "namespace mine {\nvoid").replace("// fc1\n", "// fc1\n#ifndef "
        '__SYNTHESIS__\n    nnet::save_layer_output<layer2_t>(layer2_out, "fc1", 3);\n#endif\n') + "}\n"  # fmt: skip
    assert [layer.name for layer in read_project(write(tmp_path, files)).layers] == ["fc1", "fc1_relu", "fc2"]


def test_a_call_without_a_comment_is_named_by_its_configuration(tmp_path: Path) -> None:
    files = perceptron(rng()).files()
    files[FUNCTION] = files[FUNCTION].replace(" // fc2", "")
    assert read_project(write(tmp_path, files)).layers[2].name == "config4"


# What is replaced in which file, and the message after the file's name.
REFUSALS = {
    "another operator": (FUNCTION, "nnet::relu", "nnet::softmax", r":\d+: layer must be one of .*, not nnet::softmax"),
    "gru": (FUNCTION, "nnet::relu", "nnet::gru_stack", r":\d+: layer must be one of .*, not nnet::gru_stack"),
    "initial states": (FUNCTION, "layer4_out, w4, b4", "layer4_out, w4, b4, b2",
                       r":\d+: fc2 must have one input, one output and 2 arrays of weights, not initial states"),
    "branch": (FUNCTION, "(layer3_out,", "(layer2_out,",
               r":\d+: input of fc2 must be layer3_out, not layer2_out: layers must be a chain"),
    "wrong end": (FUNCTION, "layer4_out[2]\n", "layer9_out[2]\n", r":\d+: output of fc2 must be declared, not layer4"),
    "undeclared": (FUNCTION, "layer3_t layer3_out[3];", "", r":\d+: output of fc1_relu must be declared, not"),
    "reshape": (FUNCTION, "layer3_t layer3_out[3]", "auto& layer3_out = layer2_out",
                r":\d+: text must be an array: a reshape is not supported, not 'auto'"),
    "stream": (FUNCTION, "input_t input_layer[4]", "hls::stream<input_t> &input_layer",
               ":7: text must be an array; convert with io_type io_parallel, not 'hls'"),
    "compressed": (FUNCTION, "load_weights_from_txt<fc2_weight_t", "load_compressed_weights_from_txt<fc2_weight_t",
                   r":\d+: text must be 'load_weights_from_txt': compressed weights are not supported, not 'load_comp"),
    "loaded twice": (FUNCTION, "loaded_weights = true;",
                     'nnet::load_weights_from_txt<fc2_bias_t, 2>(b4, "b4.txt"); loaded_weights = true;',
                     r":\d+: b4 must be loaded once, not twice"),
    "declared twice": (FUNCTION, "layer3_t layer3_out[3];", "layer3_t layer3_out[3]; layer3_t layer3_out[3];",
                       r":\d+: layer3_out must be declared once, not twice"),
    "unfinished": (FUNCTION, "nnet::dense<layer3_t, layer4_t, config4>(layer3_out, layer4_out, w4, b4); // fc2", "",
                   r":\d+: output of fc1_relu must be layer4_out, not layer3_out"),
    "open namespace": (FUNCTION, "void", "namespace mine { void", r":\d+: text must be '}', not the end of the file"),
    "no text file": (FUNCTION, 'nnet::load_weights_from_txt<fc2_bias_t, 2>(b4, "b4.txt");', "",
                     r":\d+: weights b4 must be loaded from a text file, not from b4.h alone"),
    "number of weights": (FUNCTION, "fc1_bias_t, 3", "fc1_bias_t, 4",
                          r":\d+: weights b2 must be 3 of ap_fixed<16,6>, not 4 of ap_fixed<16,6>"),
    "type of weights": (FUNCTION, "fc1_weight_t, 12", "input_t, 12",
                        r":\d+: weights w2 must be 12 of ap_fixed<8,2>, not 12 of ap_fixed<16,6>"),
    "type of a call": (FUNCTION, "relu<layer2_t", "relu<layer3_t",
                       r":\d+: type of layer2_out must be that of the call, ap_fixed<16,6>, not ap_fixed<28,10>"),
    "shape": (FUNCTION, "layer2_out[3]", "layer2_out[4]", r":\d+: shape of layer2_out .* must be \(3,\), not \(4,\)"),
    "comment": (FUNCTION, "// fc2", "// \x1b[31mfc2", r":\d+: comment must be the layer's name, not '\\x1b\[31mfc2'"),
    "name twice": (FUNCTION, "// fc2", "// fc1", r":\d+: name must be one layer's, not a second one's: fc1"),
    "statement": (FUNCTION, "nnet::relu", "return; nnet::relu", r":\d+: text must be a name, not ';'"),
    "expression": (FUNCTION, "layer2_out[3]", "layer2_out[N]",
                   r":\d+: number must be a product of whole numbers in 0..4194304, not 'N'"),
    "second function": (FUNCTION, "#include <iostream>", "void other(input_t a[1], input_t b[1]) {}",
                        r":6: text must be the end of the file, not 'void'"),
    "strategy": (PARAMETERS, "nnet::latency", "nnet::resource",
                 r":7: strategy of fc1 must be nnet::latency, not nnet::resource; convert with Latency"),
    "kernel": (PARAMETERS, "nnet::DenseLatency", "nnet::DenseResource",
               r":7: kernel of fc1 must be nnet::DenseLatency, not nnet::DenseResource"),
    "product": (PARAMETERS, "nnet::product::mult", "nnet::product::weight_binary",
                r":7: product of fc1 must be nnet::product::mult, not nnet::product::weight_binary"),
    "base": (PARAMETERS, "nnet::activ_config", "nnet::dense_config",
             r":\d+: relu_config3 must be a nnet::activ_config, not 'nnet::dense_config'"),
    "no size": (PARAMETERS, "static const unsigned n_out = 3;", "", ":7: config2 must have n_out, not be without"),
    "zero": (PARAMETERS, "n_out = 3;", "n_out = 0;", ":7: n_out of config2 must be at least 1, not 0"),
    "huge": (PARAMETERS, "n_out = 3;", "n_out = 999999999;", ":9: number must be a product .*, not '999999999'"),
    "many factors": (PARAMETERS, "n_out = 3;", "n_out = 3" + "*1" * 8 + ";", r":9: number must be a product of whole"),
    "no type": (PARAMETERS, "typedef fc1_accum_t accum_t;", "", ":7: config2 must have the type accum_t, not"),
    "member twice": (PARAMETERS, "n_out = 3;", "n_out = 3; static const unsigned n_out = 3;",
                     ":9: n_out of config2 must stand once, not twice"),
    "configuration twice": (PARAMETERS, "relu_config3", "config2", r":\d+: config2 must stand once, not twice"),
    "no configuration": (PARAMETERS, "relu_config3", "config3",
                         r"myproject.cpp:\d+: configuration relu_config3 of fc1_relu must be in parameters.h"),
    "condition": (PARAMETERS, '#include "ap_fixed.h"', "#if 0", ":4: directive must be one of .*, not 'if'"),
    "block comment": (PARAMETERS, "struct", "/* x */ struct", ":7: comments must begin with '//', .*, not with '/[*]'"),
    "continued": (PARAMETERS, '#include "ap_fixed.h"', "// x \\", ":4: comment must end with its line, not continue"),
    "type twice": (DEFINES, "typedef", "typedef int input_t;\ntypedef", ":7: type input_t must be named once"),
    "type of a type": (DEFINES, "typedef ap_fixed<16,6> input_t", "typedef fc2_bias_t input_t",
                       ":1: type input_t must be spelled out, not as fc2_bias_t"),
    "other words": (DEFINES, "typedef", "using", ":6: text must be 'typedef' or a directive, not 'using'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_not_read_is_refused_by_file_and_line(tmp_path: Path, case: str) -> None:
    name, old, new, message = REFUSALS[case]
    files = perceptron(rng()).files()
    assert old in files[name], case
    write(tmp_path, files | {name: files[name].replace(old, new, 1)})
    where = re.escape(f"{tmp_path}/{name}") if message.startswith(":") else re.escape(f"{tmp_path}/firmware/")
    with pytest.raises(FileError, match=where + message):
        read_project(tmp_path)


LSTM_REFUSALS = {
    "units": ("n_state = 4;", "n_state = 5;", ": n_out of first must be 5, not 4"),
    "steps": ("n_sequence_out = 5;", "n_sequence_out = 4;", ": n_sequence_out of first must be 5, not 4"),
    "function": ("nnet::activation::tanh", "nnet::activation::selu", ": activation of first must be .*, not selu"),
    "tables": ("table_size = 512;", "table_size = 256;",
               r": tables of first must have one type and size, not \('ap_fixed<16,4,AP_RND,AP_SAT>', 512\) besides"),
    "product": ("n_out = 16;", "n_out = 12;", r": sizes and types of config2_1 must be \(3, 16, .*\), not \(3, 12, "),
    "width": ("filt_width = 1;", "filt_width = 3;", ": filt_width of config3 must be 1, not 3"),
    "padding": ("pad_left = 0;", "pad_left = 1;", ": pad_left of config3 must be 0, not 1"),
    "out": ("out_width = 5;", "out_width = 4;", ": out_width of config3 must be 5, not 4"),
    "slope": ("slope = 0.2", "slope = x", ": slope of hard_sigmoid_config8 must be a decimal number, not 'x'"),
    "hard": ("static const slope8_t slope;", "", ": hard_sigmoid_config8 must have slope and shift, not be without"),
}  # fmt: skip


@pytest.mark.parametrize("case", LSTM_REFUSALS)
def test_configurations_that_contradict_are_refused(tmp_path: Path, case: str) -> None:
    old, new, message = LSTM_REFUSALS[case]
    files = recurrent(rng()).files()
    assert old in files[PARAMETERS]
    write(tmp_path, files | {PARAMETERS: files[PARAMETERS].replace(old, new, 1)})
    with pytest.raises(FileError, match=rf"{re.escape(str(tmp_path / PARAMETERS))}:\d+{message}"):
        read_project(tmp_path)


WEIGHTS = {
    "1, 2": " must have 3 numbers, not 2",
    "1, 2, 3, 4": " must have 3 numbers, not 4",
    "": " must have 3 numbers, not 0",
    "1, 2,": ":1: number must be decimal, not ''",
    "1,\n2,\nnan": ":3: number must be decimal, not 'nan'",
    "1, 1_0, 3": ":1: number must be decimal, not '1_0'",
    "1, 0x10, 3": ":1: number must be decimal, not '0x10'",
    "1, 1e999, 3": " must hold finite numbers, not beyond the range of 64-bit floats",
    "1, 2, 3" + " " * 300: " must have at most 256 bytes, not 307",
    "1, 2, 3\x00": ":1: number must be decimal, not '3\\x00'",
}


@pytest.mark.parametrize("text", WEIGHTS)
def test_weights_that_are_not_all_numbers_are_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, perceptron(rng()).files() | {"firmware/weights/b2.txt": text})
    with pytest.raises(FileError) as caught:
        read_project(tmp_path)
    assert str(caught.value) == f"{tmp_path}/firmware/weights/b2.txt{WEIGHTS[text]}"


def test_weights_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixedsim.importers.hls4ml.weights.MAX_NUMBERS", 14)
    with pytest.raises(FileError, match="weights must be at most 14 numbers together, not more"):
        read(perceptron(rng()), tmp_path)


@pytest.mark.parametrize("name", ["../b2.txt", "/etc/hostname", "a/b2.txt", "..", ".b2.txt", "", "a\\b", "b2\x00.txt"])
def test_names_of_files_outside_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    files = perceptron(rng()).files()
    files[FUNCTION] = files[FUNCTION].replace("b2.txt", name)
    with pytest.raises(FileError, match=r"name of a file must be letters, digits, '_', '-' and '.', not "):
        read_project(write(tmp_path, files))


@pytest.mark.parametrize("part", ["firmware", "firmware/weights", "firmware/weights/b2.txt", DEFINES, FUNCTION])
def test_links_that_leave_the_folder_are_refused(tmp_path: Path, part: str) -> None:
    folder = write(tmp_path / "project", perceptron(rng()).files())
    (folder / part).rename(tmp_path / "away")
    (folder / part).symlink_to(tmp_path / "away")
    with pytest.raises(FileError, match="must lie in the project's folder, not outside"):
        read_project(folder)


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    folder = write(tmp_path, perceptron(rng()).files())
    (folder / "firmware/weights").rename(folder / "numbers")
    (folder / "firmware/weights").symlink_to(folder / "numbers")
    assert len(read_project(folder).layers) == 3


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, perceptron(rng()).files())
    weights = folder / "firmware/weights/b2.txt"
    weights.unlink()
    os.mkfifo(weights)
    with pytest.raises(FileError, match=r"b2.txt must be a file, not another thing"):
        read_project(folder)
    weights.unlink()
    weights.symlink_to(weights)
    with pytest.raises(FileError, match=r"b2.txt must be a readable file, not '.*loop.*|too many levels.*'"):
        read_project(folder)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"absent/firmware/defines.h must be a readable file, not 'no such file"):
        read_project(tmp_path / "absent")
    folder = write(tmp_path, perceptron(rng()).files())
    (folder / FUNCTION).rename(folder / "firmware/myproject.txt")
    with pytest.raises(FileError, match=r"firmware must have one \.cpp file, not 0"):
        read_project(folder)


def test_sources_have_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, perceptron(rng()).files())
    monkeypatch.setattr(source_module, "MAX_TOKENS", 60)
    with pytest.raises(FileError, match=r"defines.h:\d+: words must be at most 60, not more"):
        read_project(folder)
    monkeypatch.setattr(source_module, "MAX_SOURCE_BYTES", 100)
    with pytest.raises(FileError, match=r"defines.h must have at most 100 bytes, not \d+"):
        read_project(folder)
    write(tmp_path, {DEFINES: "a" * 121})
    monkeypatch.undo()
    with pytest.raises(FileError, match=r"defines.h:1: name must have at most 120 characters, not 121"):
        read_project(folder)


WORDS = (
    "nnet", "::", "<", ">", "(", ")", "{", "}", "[", "]", ";", ",", "*", "=", "0", "1", "4194305", "//", "\n",
    "999999999", '"', "#if", "#define A 3\n", "typedef", "struct", "static", "const", "config2", "layer2_t",
    "ap_fixed<16,6>", "\x00", "namespace x {", "é", "-", "template<", "/*", "1e400", ", ", "\\",
)  # fmt: skip


def mutated(rng: Generator, text: str) -> str:
    """``text`` with a few characters or words changed, doubled or removed, or cut off."""
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, len(text) + 1))
        end = at + int(rng.integers(0, 12))
        match rng.integers(0, 6):
            case 0:
                text = text[:at] + str(rng.choice(WORDS)) + text[at:]
            case 1:
                text = text[:at] + str(rng.choice(WORDS)) + text[end:]
            case 2:
                text = text[:at] + text[end:]
            case 3:
                text = text[:end] + text[at:]
            case 4:
                text = re.sub(r"\d+", lambda found: str(rng.integers(0, 40)), text[at:end]).join(
                    [text[:at], text[end:]]
                )
            case _ if rng.random() < 0.2:
                text = text[:at]
    return text


def fuzz(folder: Path, seed: int, count: int) -> None:
    """Read ``count`` damaged folders in little time and memory: a project, or a FileError that names a file."""
    changes = rng(seed)
    plans = [recurrent(rng()).files(), perceptron(rng()).files()]
    names = [DEFINES, PARAMETERS, FUNCTION, "firmware/weights/w2.txt", "firmware/weights/b2.txt"]
    for place, files in enumerate(plans):
        write(folder / str(place), files)
    readable = 0
    for case in range(count):
        place, name = case % 2, str(changes.choice(names))
        text = plans[place][name]
        write(folder / str(place), {name: mutated(changes, text)})
        readable += read_within_bounds(folder / str(place))
        write(folder / str(place), {name: text})
    assert 0.05 * count < readable < 0.95 * count  # some mutations hit numbers or names alone, and others a check


def read_within_bounds(folder: Path) -> bool:
    tracemalloc.reset_peak()
    start, before = time.process_time(), tracemalloc.get_traced_memory()[0]
    try:
        read_project(folder)
        message = ""
    except FileError as error:
        message = str(error)
    assert time.process_time() - start < SECONDS
    assert tracemalloc.get_traced_memory()[1] - before < QUIET_BYTES
    assert not message or message.startswith(f"{folder}"), message
    assert len(message) < 2000, message
    return not message


@pytest.fixture
def _traced() -> Any:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("_traced")
def test_mutations_give_a_project_or_an_error(tmp_path: Path) -> None:
    fuzz(tmp_path, seed=1, count=120)


@pytest.mark.slow
@pytest.mark.usefixtures("_traced")
def test_many_mutations_give_a_project_or_an_error(tmp_path: Path) -> None:
    fuzz(tmp_path, seed=2, count=10_000)


HOSTILE = {
    "deep brackets": (PARAMETERS, "struct a : " + "<" * 100_000),
    "long product": (
        PARAMETERS,
        f"struct config2 : nnet::dense_config {{ static const unsigned n_in = {'9*' * 60_000}9; }};",
    ),
    "many types": (DEFINES, "".join(f"typedef t{place + 1} t{place};\n" for place in range(30_000))),
    "many namespaces": (DEFINES, "namespace a {" * 40_000),
    "spaces": (DEFINES, "typedef" + " " * 1_000_000 + "x"),
    "quotes": (FUNCTION, '"' * 120_000),
    "slashes": (FUNCTION, "/" * 1_000_000),
    "nothing": (FUNCTION, ""),
    "bytes": (DEFINES, "\x00\x7f" * 60_000),
    "many arguments": (FUNCTION, "void f(input_t a[4], input_t b[4]) { nnet::relu<" + "a," * 60_000),
    "many parameters": (FUNCTION, "void f(" + "input_t a[4]," * 15_000),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_texts_are_refused_in_little_time(tmp_path: Path, case: str) -> None:
    name, text = HOSTILE[case]
    write(tmp_path, perceptron(rng()).files() | {name: text})
    start = time.process_time()
    with pytest.raises(FileError, match=re.escape(str(tmp_path))) as caught:
        read_project(tmp_path)
    assert time.process_time() - start < SECONDS
    assert len(str(caught.value)) < 2000
