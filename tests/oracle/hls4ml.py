"""Replay of cases recorded from hls4ml's C simulation: every internal tensor of LSTM and dense layers, and tables."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import activate, narrow
from fixedsim.hls4ml_tables import hls4ml_activation, hls4ml_table
from fixedsim.hls_types import HlsType
from fixedsim.importers.hls4ml.layers import DEFAULT_TABLE_SIZE, Activation, Tables, dense, lstm
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.profiles.datapath import Narrowing
from tests.oracle.results import Comparison, Result

Arrays = Mapping[str, NDArray[Any]]
_CALL = re.compile(r"nnet::(\w+)<(\w+), (\w+), \w+>\(.*// (\w+)$")
_SWEEP = re.compile(r"SWEEP_(sigmoid|tanh)_x(\d+)_(\d+)(\w*)_y(\d+)_(\d+)(\w*)_t(\d+)_(\d+)(\w*)_n(\d+)$")
_MODES = {"": "", "rs": ",AP_RND,AP_SAT", "rc": ",AP_RND_CONV,AP_SAT", "r": ",AP_RND", "s": ",AP_TRN,AP_SAT"}
_DENSE = ("dense", "pointwise_conv_1d_cl")


def recognises(description: Mapping[str, Any]) -> bool:
    """Whether a JSON description is of this kind."""
    return {"types", "calls"} <= set(description)


def recognises_sweeps(names: set[str]) -> bool:
    """Whether arrays are sweeps of activations."""
    return any(_SWEEP.match(name) for name in names)


def replay_sweeps(path: Path) -> list[Result]:
    """Compare tables, and the activation of every input."""
    comparison = Comparison("hls4ml", path.stem)
    with np.load(path) as recorded:
        for name in recorded:
            if match := _SWEEP.match(name):
                _sweep(name, match, dict(recorded), comparison)
    return comparison.rows


def _sweep(name: str, match: re.Match[str], recorded: Arrays, comparison: Comparison) -> None:
    function, size = match[1], int(match[11])
    read, written, table = (_type(match[i], match[i + 1], match[i + 2]) for i in (2, 5, 8))
    stored = recorded[name.replace("SWEEP", "TABLE")]
    comparison.compare(
        name.replace("SWEEP", "TABLE"),
        hls4ml_table(function, size, table.format, table.rounding, table.overflow),
        stored,
    )
    activation = hls4ml_activation(function, read.format, table.format, size, tuple(stored.tolist()))
    values = activate(np.arange(read.format.raw_min, read.format.raw_max + 1), activation)
    shift = -(table.integer_bits - table.bits) + (written.integer_bits - written.bits)
    cast = Narrowing(written.format, written.rounding, written.overflow, shift)
    comparison.compare(name, narrow(values, cast), recorded[name])


def _type(bits: str, integer: str, modes: str) -> HlsType:
    return HlsType.parse(f"ap_fixed<{bits},{integer}{_MODES[modes]}>")


def replay(path: Path) -> list[Result]:
    """Compare every recorded tensor of a case, given its JSON description beside its arrays."""
    description = json.loads(path.read_text())
    with np.load(path.with_suffix(".npz")) as arrays:
        recorded = dict(arrays)
    comparison = Comparison("hls4ml", path.stem)
    _Case(description, recorded, comparison).compare()
    return comparison.rows


class _Case:
    """The layers of one case, and what was recorded of them."""

    def __init__(self, description: Mapping[str, Any], recorded: Arrays, comparison: Comparison) -> None:
        self.types = {name: HlsType.parse(text) for name, text in description["types"].items()}
        self.description, self.recorded, self.comparison = description, recorded, comparison
        self.calls = [match.groups() for match in map(_CALL.match, description["calls"]) if match]
        assert len(self.calls) == len(description["calls"])

    def compare(self) -> None:
        layers, signals = [], dict[str, str]()
        calls = iter(enumerate(self.calls))
        for position, (kind, read, written, name) in calls:
            if kind == "lstm_stack" or kind == "lstm":
                layers.append(self._lstm(name, read, written))
                signals[f"trace_{name}"] = f"{name}.hidden"
            elif kind in _DENSE:
                after = self.calls[position + 1] if position + 1 < len(self.calls) else None
                activation = None
                signals[f"trace_{name}"] = f"{name}.output"
                if after is not None and after[0] not in (*_DENSE, "lstm_stack", "lstm"):
                    activation = self._activation(after)
                    signals |= {f"trace_{name}": f"{name}.preactivation", f"trace_{after[3]}": f"{name}.output"}
                    next(calls)
                layers.append(self._dense(name, read, written, activation))
            else:
                raise LookupError(f"call of nnet::{kind} must follow a dense layer")
        self._run(layers, signals)

    def _activation(self, call: tuple[str, ...]) -> Activation:
        kind, _, written, name = call
        table = self.types.get(f"{name}_table_t", HlsType.parse("ap_fixed<18,8>"))
        return Activation(kind, self.types[written], str(table), self._table_size(name))

    def _table_size(self, name: str) -> int:
        """A table's size: its own, else that of the LSTM's, which a description names for all, else the default."""
        sizes = (self.description.get(f"{each}_table_size") for each in (name, "lstm"))
        return next((int(size) for size in sizes if size), DEFAULT_TABLE_SIZE)

    def _lstm(self, name: str, read: str, written: str) -> Lstm:
        names = "weight", "recurrent_weight", "bias", "accum"
        types = {each: self.types[f"{name}_{each}_t"] for each in names}
        tables = Tables(
            str(self.types[f"{name}_table_t"]),
            self._table_size(name),
            *(tuple(self.recorded[f"lstm_{function}_table"].tolist()) for function in ("sigmoid", "tanh")),
        )
        assert not self.recorded["BR"].any()
        weight, recurrent, bias = (self.recorded[key] for key in ("W", "R", "B"))
        types |= {"input": self.types[read], "result": self.types[written]}
        return lstm(name, weight, recurrent, bias, types, tables)

    def _dense(self, name: str, read: str, written: str, activation: Activation | None) -> Any:
        types = {each: self.types[f"{name}_{each}_t"] for each in ("weight", "bias", "accum")}
        types |= {"input": self.types[read], "result": self.types[written]}
        weight, bias = self.recorded[f"{name}_W"], self.recorded[f"{name}_b"]
        return dense(name, weight.reshape(-1, bias.size), bias, types, activation)

    def _run(self, layers: list[Any], signals: dict[str, str]) -> None:
        """Run the model over all samples, and compare what was recorded."""
        lstms = [layer for layer in layers if isinstance(layer, Lstm)]
        whole = all(self.recorded[f"trace_{layer.name}"].ndim == 3 for layer in lstms)
        model = Model("case", tuple(layers), frozenset() if whole else frozenset(layer.name for layer in lstms))
        x = self.recorded["x"]
        inputs = x[:, None] if x.ndim == 2 else np.moveaxis(x, 0, 1)  # (steps, samples, features), or samples as steps
        steps = {f"{layer.name}.{name}" for layer in lstms for name in _STEPS.values()}
        steps |= {f"{layer.name}.gate.{gate}{end}" for layer in lstms for gate in _IFGO for end in _ENDS}
        result = model.run(inputs.astype(np.int64), trace=[*signals.values(), *steps])
        output = result.raw
        assert output is not None
        self.comparison.compare("y", _by_sample(output, x.ndim).reshape(self.recorded["y"].shape), self.recorded["y"])
        for key, signal in signals.items():
            if key in self.recorded:
                found = _by_sample(result.trace[signal], x.ndim)
                found = found[:, -1] if self.recorded[key].ndim == 2 and found.ndim == 3 else found
                self.comparison.compare(key, found, self.recorded[key])
        for layer in lstms:
            self._steps(layer.name, {name: _by_sample(trace, 3) for name, trace in result.trace.items()})

    def _steps(self, name: str, trace: Mapping[str, NDArray[Any]]) -> None:
        """The tensors inside the LSTM, (samples, steps, .)."""
        for key, signal in _STEPS.items():
            self.comparison.compare(key, trace[f"{name}.{signal}"], self.recorded[key])
        self.comparison.compare("step_x", self.recorded["x"], self.recorded["step_x"])
        four = _IFGO
        three = [gate for gate in four if gate != "candidate"]
        for key, gates, end in (
            ("step_dense_x", four, ".input_accumulator"),
            ("step_dense_h", four, ".recurrent_accumulator"),
            ("step_acc_ifo", three, ".preactivation"),
            ("step_act_ifo", three, ""),
        ):
            found = np.concatenate([trace[f"{name}.gate.{gate}{end}"] for gate in gates], axis=2)
            self.comparison.compare(key, found, self.recorded[key])


_IFGO = ("input", "forget", "candidate", "output")
_ENDS = (".input_accumulator", ".recurrent_accumulator", ".preactivation", "")
_STEPS = {
    "step_acc_c": "gate.candidate.preactivation",
    "step_act_g": "gate.candidate",
    "step_c": "cell",
    "step_tanh_c": "cell_activation",
    "step_h": "hidden",
}


def _by_sample(values: NDArray[Any], axes: int) -> NDArray[Any]:
    """(samples, steps, features) of (steps, samples, features), or (samples, features) where samples are steps."""
    if values.ndim == 2:
        return values
    return values[:, 0] if axes == 2 else np.moveaxis(values, 0, 1)
