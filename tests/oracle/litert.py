"""Replay of cases recorded from LiteRT, TensorFlow Lite and TensorFlow Lite Micro: a JSON description and arrays.

The graph is put together from the description and the arrays and goes through the importer of .tflite files; where the
file itself is there, its outputs are compared too.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.importers import import_model
from fixedsim.importers.tflite.graph import Graph, Operator, Tensor
from fixedsim.importers.tflite.network import graph_model
from fixedsim.importers.tflite.operands import Source
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.model.layer_kinds import directions
from fixedsim.profiles.executors import executor_profile
from tests.oracle.results import Comparison, Result

Arrays = Mapping[str, NDArray[Any]]
EXECUTORS = {
    "y_ref": "litert-reference",
    "y_opt": "litert-optimized",
    "y_xnn": "litert-xnnpack",
    "y_tf221_ref": "litert-reference",
    "y_tf221_opt": "litert-optimized",
    "y_tf221_xnn": "tensorflow-xnnpack",
    "y_rt214_ref": "tflite-2.14-reference",
    "y_rt214_opt": "tflite-2.14-optimized",
    "y_rt214_xnn": "tflite-2.14-optimized",
    "y_tflm": "tflm",
}
TRACES = {
    "trace_g": "gate.candidate",
    "trace_o": "gate.output",
    "trace_ig": "input_product",
    "trace_tanh_c": "cell_activation",
    "trace_c": "cell",
}


def recognises(description: Mapping[str, Any]) -> bool:
    """Whether a JSON description is of this kind."""
    return {"tensors", "ops", "kind"} <= set(description)


def replay(path: Path) -> list[Result]:
    """Compare every recorded integer of a case, given its JSON description beside its arrays."""
    description = json.loads(path.read_text())
    with np.load(path.with_suffix(".npz")) as arrays:
        recorded = dict(arrays)
    comparison = Comparison("litert", path.stem)
    graph = recorded_graph(description, recorded)
    file = path.parent / description.get("tflite", "")
    for key, executor in EXECUTORS.items():
        if key in recorded:
            model = graph_model(graph, Source(graph, executor_profile(executor)), path.stem)
            _Case(graph, model, recorded, comparison).compare_output(key)
            if file.is_file():
                imported = import_model(file, executor=executor)
                _Case(graph, imported, recorded, comparison).compare_output(key, ", imported")
    _Case(graph, _reference(graph, graph.outputs[0], path.stem), recorded, comparison).compare_rest()
    return comparison.rows


def _reference(graph: Graph, output: int, name: str) -> Model:
    part = Graph(graph.inputs, (output,), graph.tensors, graph.operators)
    return graph_model(part, Source(part, executor_profile("litert-reference")), name)


def recorded_graph(description: Mapping[str, Any], recorded: Arrays) -> Graph:
    """The graph of a description, its constants from the arrays."""
    tensors = tuple(_tensor(entry, recorded) for entry in description["tensors"])
    operators = tuple(
        Operator(
            entry["op"],
            entry["version"],
            tuple(entry["inputs"]),
            tuple(entry["outputs"]),
            tuple(entry["intermediates"]),
            {name: tuple(value) if isinstance(value, list) else value for name, value in entry["options"].items()},
        )
        for entry in description["ops"]
    )
    return Graph((description["input_tensor"],), (description["output_tensor"],), tensors, operators)


def _tensor(entry: Mapping[str, Any], recorded: Arrays) -> Tensor:
    key = entry.get("npz_key")
    scale = tuple(float.fromhex(text) for text in entry.get("scale_hex", ()))
    return Tensor(
        entry["index"],
        entry["name"],
        tuple(entry["shape"]),
        entry["type"],
        entry["is_variable"],
        recorded[key].reshape(entry["shape"]) if key else None,
        scale,
        tuple(entry.get("zero_point", ())),
        entry.get("quantized_dimension", 0) if len(scale) > 1 else None,
    )


class _Case:
    """One model and what was recorded of it."""

    def __init__(self, graph: Graph, model: Model, recorded: Arrays, comparison: Comparison) -> None:
        self.graph, self.model, self.recorded, self.comparison = graph, model, recorded, comparison
        self.runs = len(recorded["x"])
        self.steps_first = any(operator.options.get("timeMajor") for operator in graph.operators)

    def compare_output(self, key: str, note: str = "") -> None:
        """Compare the outputs of one executor, of the runs that it made."""
        runs = self.recorded["tflm_runs"] if key == "y_tflm" else np.arange(self.runs)
        self.comparison.compare(f"{key}{note}", self._run(runs)[0], self.recorded[key])

    def compare_rest(self) -> None:
        """Compare states, traces and every intermediate tensor of the reference executor."""
        every = np.arange(self.runs)
        lstms = self._lstms()
        traced = [f"{layer.name}.{signal}" for layer in lstms for signal in (*TRACES.values(), "hidden")]
        _, result = self._run(every, traced)
        for layer in lstms:
            for key, array in zip(self._state_keys(layer, final=True), result.state[layer.name], strict=True):
                self.comparison.compare(key, array.reshape(self.recorded[key].shape), self.recorded[key])
        if len(lstms) == 1 and "trace_o" in self.recorded:
            self._compare_traces(lstms[0], result.trace)
        for key in sorted(self.recorded):
            if key.startswith("act") and key[3:].isdigit():
                model = _reference(self.graph, int(key[3:]), "part")
                found = _Case(self.graph, model, self.recorded, self.comparison)._run(every)[0]
                self.comparison.compare(key, found, self.recorded[key])

    def _compare_traces(self, layer: Lstm, traces: Mapping[str, NDArray[Any]]) -> None:
        for key, signal in TRACES.items():
            if key in self.recorded:
                self._compare_trace(key, traces[f"{layer.name}.{signal}"])
        if "trace_h" in self.recorded:
            output, _ = self._run(np.arange(self.runs))
            steps_first = output if self.steps_first else np.moveaxis(output, 2, 1)
            self.comparison.compare("trace_h", steps_first, self.recorded["trace_h"])

    def _compare_trace(self, key: str, trace: NDArray[Any]) -> None:
        """Traces are (runs, steps, batch, units), or (batch, units) of one step."""
        recorded = self.recorded[key]
        steps, _, units = trace.shape
        parted = np.moveaxis(trace.reshape(steps, self.runs, -1, units), 0, 1)
        self.comparison.compare(key, parted.reshape(recorded.shape), recorded)

    def _run(self, runs: NDArray[Any], trace: list[str] | tuple[str, ...] = ()) -> Any:
        """The outputs in the shape of the recording, and the result."""
        x = self.recorded["x"][runs]
        if x.ndim == 3:  # (runs, batch, features) of a fully connected layer
            result = self.model.run(x, trace=trace)
            return result.raw, result
        if self.steps_first:
            x = np.moveaxis(x, 1, 2)
        count, batch, steps, features = x.shape
        flat = np.moveaxis(x.reshape(count * batch, steps, features), 0, 1)
        result = self.model.run(flat.astype(np.int64), state=self._states(runs), trace=trace)
        assert result.raw is not None
        raw = result.raw
        if raw.ndim == 2:
            return raw.reshape(count, batch, raw.shape[1]), result
        found = np.moveaxis(raw, 0, 1).reshape(count, batch, steps, raw.shape[2])
        return (np.moveaxis(found, 1, 2) if self.steps_first else found), result

    def _lstms(self) -> list[Lstm]:
        return [part for layer in self.model.layers for part in directions(layer) if isinstance(part, Lstm)]

    def _states(self, runs: NDArray[Any]) -> dict[str, Any]:
        found = {}
        for layer in self._lstms():
            hidden, cell = (self.recorded[key][runs] for key in self._state_keys(layer, final=False))
            found[layer.name] = hidden.reshape(-1, hidden.shape[-1]), cell.reshape(-1, cell.shape[-1])
        return found

    def _state_keys(self, layer: Lstm, *, final: bool) -> tuple[str, str]:
        """The names of the arrays with the state of a layer, which its recurrent weights identify."""
        if "h0" in self.recorded:
            return ("hT", "cT") if final else ("h0", "c0")
        for operator in self.graph.operators:
            if operator.kind == "UNIDIRECTIONAL_SEQUENCE_LSTM":
                weight: Any = self.graph.tensors[operator.inputs[6]].data
                first = layer.datapath.gate_names.index("forget") * layer.units
                if np.array_equal(layer.recurrent_matrix.weight[first : first + layer.units], weight):
                    stem = "varT_t" if final else "var0_t"
                    return f"{stem}{operator.inputs[18]}", f"{stem}{operator.inputs[19]}"
        raise LookupError(f"no operator has the recurrent weights of {layer.name}")
