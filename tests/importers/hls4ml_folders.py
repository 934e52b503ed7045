"""Small hls4ml projects of random content: text as hls4ml 1.3.0 writes it for Vitis, io_parallel, Latency.

:class:`Folder` collects layers and writes what it is told, whether or not it makes sense; the text of a file can be
changed before it is written.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Generator = np.random.Generator
Array = NDArray[np.float64]
DEFAULT = "ap_fixed<16,6>"
_DENSE = """
struct {config} : nnet::dense_config {{
    static const unsigned n_in = {inputs};
    static const unsigned n_out = {outputs};
    static const unsigned strategy = nnet::latency;
    static const unsigned reuse_factor = 1;
    static const unsigned multiplier_limit = DIV_ROUNDUP(n_in * n_out, reuse_factor) - n_zeros / reuse_factor;
    typedef {name}_accum_t accum_t;
    typedef {name}_{use}bias_t bias_t;
    typedef {name}_{use}weight_t weight_t;
    template<class data_T, class res_T, class CONFIG_T>
    using kernel = nnet::DenseLatency<data_T, res_T, CONFIG_T>;
    template<class x_T, class y_T>
    using product = nnet::product::mult<x_T, y_T>;
}};
"""
_POINTWISE = """
struct config{index} : nnet::conv1d_config {{
    static const unsigned pad_left = 0;
    static const unsigned pad_right = 0;
    static const unsigned in_width = {steps};
    static const unsigned n_chan = {inputs};
    static const unsigned filt_width = 1;
    static const unsigned n_filt = {outputs};
    static const unsigned stride_width = 1;
    static const unsigned out_width = {steps};
    static const ap_uint<filt_width> pixels[min_width];
    typedef config{index}_mult mult_config;
    template<class data_T, class res_T, class CONFIG_T>
    using conv_kernel = nnet::Conv1DLatency<data_T, res_T, CONFIG_T>;
}};
const ap_uint<config{index}::filt_width> config{index}::pixels[] = {{0}};
"""
_TABLE = """
struct {config} : nnet::activ_config {{
    static const unsigned n_in = {count};
    static const unsigned table_size = {size};
    typedef {name}_table_t table_t;
}};
"""
_HARD = """
struct {config} {{
    static const unsigned n_in = {count};
    static const slope{index}_t slope;
    static const shift{index}_t shift;
}};
const slope{index}_t {config}::slope = 0.2;
const shift{index}_t {config}::shift = 0.5;
"""
_LSTM = """
struct config{index} : nnet::lstm_config {{
    typedef {name}_accum_t accum_t;
    typedef {name}_weight_t weight_t;  // Matrix
    typedef {name}_recurrent_weight_t recurrent_weight_t;  // Matrix
    typedef {name}_bias_t bias_t;  // Vector
    typedef {name}_recurrent_bias_t recurrent_bias_t;  // Vector
    typedef config{index}_1 mult_config1;
    typedef config{index}_2 mult_config2;
    typedef sigmoid_config{index}_recr ACT_CONFIG_LSTM;
    template<class x_T, class y_T, class config_T>
    using activation_recr = nnet::activation::sigmoid<x_T, y_T, config_T>;
    typedef tanh_config{index} ACT_CONFIG_T;
    template<class x_T, class y_T, class config_T>
    using activation = nnet::activation::tanh<x_T, y_T, config_T>;
    static const unsigned n_in  = {inputs};
    static const unsigned n_out = {units};
    static const unsigned n_state = {units};
    static const unsigned n_sequence = {steps};
    static const unsigned n_sequence_out = {steps_out};
    static const bool use_static = true;
    static const bool pytorch_order = false;
}};
"""


def _size(shape: tuple[int, ...]) -> str:
    return "*".join(map(str, shape))


def _decimals(values: Array) -> str:
    return ", ".join(f"{value:.10f}" for value in values.reshape(-1))


@dataclass
class Folder:
    """A chain of layers on an input of this shape, and the texts of its project."""

    rng: Generator
    shape: tuple[int, ...]
    name: str = "myproject"
    types: dict[str, str] = field(default_factory=lambda: {"input_t": DEFAULT})
    configs: list[str] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._last, self._type, self._index = "input_layer", "input_t", 1
        self._given = self.shape

    def dense(self, name: str, outputs: int, result: str = DEFAULT, **types: str) -> None:
        """Add a dense layer, at every step if the last layer has steps."""
        *steps, inputs = self._given
        index = self._begin()
        config = f"config{index}_mult" if steps else f"config{index}"
        self.configs.append(_DENSE.format(config=config, inputs=inputs, outputs=outputs, name=name, use=""))
        if steps:
            self.configs.append(_POINTWISE.format(index=index, steps=steps[0], inputs=inputs, outputs=outputs))
        self._name_types(name, ("accum", "weight", "bias"), types)
        shapes = {"w": (inputs, outputs), "b": (outputs,)}
        arrays = self._add_weights(name, {"w": "weight", "b": "bias"}, shapes)
        function = "pointwise_conv_1d_cl" if steps else "dense"
        self._call(function, f"config{index}", arrays, name, (*steps, outputs), result)

    def activation(self, kind: str, name: str, result: str = DEFAULT, size: int = 1024, **types: str) -> None:
        """Add an activation layer."""
        index = self._begin()
        config, count = f"{kind}_config{index}", int(np.prod(self._given))
        if kind.startswith("hard"):
            self.types |= {f"slope{index}_t": "ap_ufixed<16,0>", f"shift{index}_t": "ap_ufixed<2,0>"}
            self.configs.append(_HARD.format(config=config, count=count, index=index))
        else:
            self._name_types(name, ("table",), {"table": "ap_fixed<18,8>"} | types)
            self.configs.append(_TABLE.format(config=config, count=count, size=size, name=name))
        self._call(kind, config, [], name, self._given, result)

    def lstm(self, name: str, units: int, *, sequences: bool, size: int = 1024, **types: str) -> None:
        """Add an LSTM; ``sequences``: it gives its output at every step."""
        steps, inputs = self._given
        index = self._begin()
        for place, count, use in ((1, inputs, ""), (2, units, "recurrent_")):
            config = f"config{index}_{place}"
            self.configs.append(_DENSE.format(config=config, inputs=count, outputs=4 * units, name=name, use=use))
        for config, count in ((f"sigmoid_config{index}_recr", 3 * units), (f"tanh_config{index}", units)):
            self.configs.append(_TABLE.format(config=config, count=count, size=size, name=name))
        out = steps if sequences else 1
        text = _LSTM.format(index=index, name=name, inputs=inputs, units=units, steps=steps, steps_out=out)
        self.configs.append(text)
        uses = {"w": "weight", "wr": "recurrent_weight", "b": "bias", "br": "recurrent_bias"}
        self._name_types(name, ("accum", *uses.values()), types)
        self._name_types(name, ("table",), {"table": types.get("table", "ap_fixed<18,8>")})
        gates = 4 * units
        shapes = {"w": (inputs, gates), "wr": (units, gates), "b": (gates,), "br": (gates,)}
        arrays = self._add_weights(name, uses, shapes)
        shape = (steps, units) if sequences else (units,)
        self._call("lstm_stack", f"config{index}", arrays, name, shape, types.get("result", DEFAULT))

    def _begin(self) -> int:
        self._index += 1
        return self._index

    def _name_types(self, name: str, uses: tuple[str, ...], types: dict[str, str]) -> None:
        self.types |= {f"{name}_{use}_t": types.get(use, DEFAULT) for use in uses}

    def _add_weights(self, name: str, uses: dict[str, str], shapes: dict[str, tuple[int, ...]]) -> list[str]:
        names = []
        for letter, shape in shapes.items():
            array = f"{letter}{self._index}"
            self.weights[array] = self.rng.normal(0, 0.5, shape).round(10)
            kind = f"{name}_{uses[letter]}_t"
            self.loads.append(f'nnet::load_weights_from_txt<{kind}, {int(np.prod(shape))}>({array}, "{array}.txt");')
            names.append(array)
        return names

    def _call(
        self, function: str, config: str, arrays: list[str], name: str, shape: tuple[int, ...], result: str
    ) -> None:
        output, kind = f"layer{self._index}_out", f"layer{self._index}_t"
        self.types[kind] = result
        arguments = ", ".join([self._last, output, *arrays])
        self.calls.append(f"nnet::{function}<{self._type}, {kind}, {config}>({arguments}); // {name}")
        self.arrays.append(f"{kind} {output}[{_size(shape)}]")
        self._last, self._type, self._given = output, kind, shape

    def files(self) -> dict[str, str]:
        """The text of each file by its name in the folder."""
        typedefs = "\n".join(f"typedef {spelling} {name};" for name, spelling in self.types.items())
        guard = '#ifndef {0}_H_\n#define {0}_H_\n\n#include "ap_fixed.h"\n\n{1}\n\n#endif\n'
        texts = {
            "firmware/defines.h": guard.format("DEFINES", typedefs),
            "firmware/parameters.h": guard.format("PARAMETERS", "".join(self.configs)),
            f"firmware/{self.name}.cpp": self._function(),
        }
        texts |= {f"firmware/weights/{name}.txt": _decimals(values) for name, values in self.weights.items()}
        return texts

    def _function(self) -> str:
        *between, last = self.arrays
        loads = "\n        ".join(self.loads)
        pragma = "    #pragma HLS ARRAY_PARTITION variable=x complete dim=0\n"
        arrays = "".join(f"    {array};\n{pragma}\n" for array in between)
        calls = "\n\n    ".join(self.calls)
        return (
            f'#include <iostream>\n\n#include "{self.name}.h"\n#include "parameters.h"\n\n'
            f"void {self.name}(\n    input_t input_layer[{_size(self.shape)}],\n    {last}\n) {{\n"
            f"    #pragma HLS PIPELINE\n\n#ifndef __SYNTHESIS__\n    static bool loaded_weights = false;\n"
            f"    if (!loaded_weights) {{\n        {loads}\n        loaded_weights = true;    }}\n#endif\n"
            f"{arrays}    {calls}\n\n}}\n"
        )


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write the files below ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def recurrent(rng: Generator) -> Folder:
    """Two LSTMs, dense layers at every step and at the end, and an activation of each kind."""
    folder = Folder(rng, (5, 3))
    lstm = {"accum": "ap_fixed<18,7,AP_RND,AP_SAT,0>", "weight": "ap_fixed<10,2>", "recurrent_weight": "ap_fixed<11,2>"}
    folder.lstm("first", 4, sequences=True, size=512, table="ap_fixed<16,4,AP_RND,AP_SAT>", **lstm)
    folder.dense("each", 6, "ap_fixed<36,16>", accum="ap_fixed<36,16>", bias="ap_fixed<9,3>")
    folder.activation("relu", "each_relu")
    folder.lstm("second", 2, sequences=False)
    folder.dense("fc", 3, "ap_fixed<12,4,AP_RND_CONV,AP_SAT>")
    folder.activation("tanh", "fc_tanh", "ap_fixed<12,2>", 2048, table="ap_fixed<14,2>")
    folder.activation("hard_sigmoid", "fc_hard", "ap_ufixed<8,0>")
    return folder


def perceptron(rng: Generator) -> Folder:
    """Two dense layers with a relu."""
    folder = Folder(rng, (4,))
    folder.dense("fc1", 3, "ap_fixed<28,10>", accum="ap_fixed<28,10>", weight="ap_fixed<8,2>")
    folder.activation("relu", "fc1_relu")
    folder.dense("fc2", 2)
    return folder
