"""Write tests/data/trainers/onnx: small graphs of several exporters, each with an input and what others make of it.

Run by hand: ``python -m tests.oracle.make_onnx_fixtures`` in an environment with the extra ``oracles`` and the packages
onnxscript and tf2onnx. Versions stand in ``versions.json``. ``<name>.npz`` beside each file holds ``input`` ``(T, N)``
or ``(T, N, features)``, ``output`` ``(T, N, features)`` or, of a last step, ``(N, features)``, and where the graph has
them ``lengths``, ``hidden`` and ``cell``. Outputs are ONNX Runtime's, PyTorch's or Keras's; of layout 1, which ONNX
Runtime refuses, those of ONNX's reference evaluator.
"""

import importlib
import importlib.metadata
import io
import json
import os
import warnings
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import onnx
import torch

from tests.importers.onnx_graphs import Array, Made, Plan, made
from tests.oracle.test_onnx_networks import reference, run, torch_module

tensorflow, tf2onnx = map(importlib.import_module, ("tensorflow", "tf2onnx"))
FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "onnx"
PACKAGES = ("onnx", "onnxruntime", "torch", "onnxscript", "keras", "tensorflow-cpu", "tf2onnx", "numpy")
PLANS = {
    "peephole": Plan(direction="bidirectional", peephole=True, linear="MatMul", after="Relu"),
    "coupled": Plan(input_forget=True, peephole=True, clip=0.7, direction="reverse", ending="gather", linear="Gemm"),
    "hard": Plan(
        functions=("HardSigmoid", "Tanh", "HardSigmoid"), slopes=(1 / 6, 0.2), offsets=(0.5, 0.5),
        direction="bidirectional", initial="constant", ending="edges", linear="Gemm", after="HardSigmoid",
    ),
    "lengths": Plan(direction="bidirectional", lengths="input", initial="input", ending="hidden", linear="Gemm"),
    "padded": Plan(direction="bidirectional", lengths="input", ending="all", vocabulary=7),
    "turned": Plan(turned=True, bias=False, sequences_first=True, linear="MatMul", after="Clip"),
    "layout": Plan(layout=1, peephole=True, initial="constant"),
}  # fmt: skip


def recorded(name: str, inputs: Array, output: Any, **others: Any) -> None:
    """Write the arrays beside a file."""
    np.savez_compressed(FOLDER / f"{name}.npz", input=inputs, output=np.asarray(output), **others)


def record_plan(name: str, plan: Plan, seed: int) -> None:
    """A graph built operator by operator."""
    case = made(plan, np.random.default_rng(seed))
    (FOLDER / f"{name}.onnx").write_bytes(case.content)
    output = reference(case) if plan.layout else run(case.content, case.feeds)
    others = {} if case.lengths is None else {"lengths": case.lengths}
    if case.state is not None:
        others |= {"hidden": case.state[0], "cell": case.state[1]}
    recorded(name, case.inputs, time_first(output, case), **others)


def time_first(output: Array, case: Made) -> Array:
    """The output with time, sequences and features as axes."""
    return output.swapaxes(0, 1) if case.output_axes == "ntf" else output


def record_torch(name: str, case: str, *, dynamo: bool, **options: Any) -> None:
    """A module of PyTorch, by its older exporter or the newer one, which writes weights into a file beside."""
    module, x, axes = torch_module(case, np.random.default_rng(len(name)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            torch.onnx.export(module, (x,), FOLDER / f"{name}.onnx", dynamo=True, verbose=False, **options)
        else:
            content = io.BytesIO()
            torch.onnx.export(module, (x,), content, dynamo=False, input_names=["x"], **options)
            (FOLDER / f"{name}.onnx").write_bytes(content.getvalue())
    without_traces(FOLDER / f"{name}.onnx")
    with torch.no_grad():
        output = module(x).numpy()
    first = "first" in case
    recorded(name, x.numpy().swapaxes(0, 1) if first else x.numpy(), output.swapaxes(0, 1) if axes == "ntf" else output)


def without_traces(path: Path) -> None:
    """Take the exporter's notes of source files and lines out of a file; where modules stand remains."""
    model = onnx.load(path, load_external_data=False)
    for holder in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        holder.doc_string = ""
        kept = [entry for entry in holder.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
        del holder.metadata_props[:]
        holder.metadata_props.extend(kept)
    del model.graph.value_info[:]
    path.write_bytes(model.SerializeToString())


def record_keras(name: str, layers: list[Any], shape: tuple[int | None, ...], inputs: Array) -> None:
    """A model of Keras, by tf2onnx; inputs have sequences first."""
    given = keras.Input(shape, dtype=str(inputs.dtype))
    value = given
    for layer in layers:
        value = layer(value)
    model = keras.Model(given, value)
    signature = [tensorflow.TensorSpec((None, *shape), inputs.dtype, name="x")]
    function = tensorflow.function(lambda x: model(x, training=False), input_signature=signature)
    content, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=15)
    (FOLDER / f"{name}.onnx").write_bytes(content.SerializeToString())
    output = model(inputs).numpy()
    recorded(name, inputs.swapaxes(0, 1), output.swapaxes(0, 1) if output.ndim == 3 else output)


def record_types() -> None:
    """Weights in half, double and bfloat16 precision, the last two cast to single."""
    case = made(Plan(ending="all", linear="MatMul"), np.random.default_rng(77))
    model = onnx.load_from_string(case.content)
    half = dict.fromkeys(("lstm.W", "head.weight_T"), onnx.TensorProto.FLOAT16)
    types = half | {"lstm.R": onnx.TensorProto.DOUBLE, "lstm.B": onnx.TensorProto.BFLOAT16}
    for tensor in model.graph.initializer:
        if tensor.name in types:
            name, kind = tensor.name, types[tensor.name]
            values = onnx.numpy_helper.to_array(tensor).reshape(-1).tolist()
            tensor.CopyFrom(onnx.helper.make_tensor(f"{name}.stored", kind, tensor.dims, values))
            model.graph.node.insert(0, onnx.helper.make_node("Cast", [f"{name}.stored"], [name], to=1))
    (FOLDER / "types.onnx").write_bytes(model.SerializeToString())
    recorded("types", case.inputs, run(model.SerializeToString(), case.feeds))


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for seed, (name, plan) in enumerate(PLANS.items()):
        record_plan(name, plan, seed)
    record_types()
    dynamic = {"x": {0: "a", 1: "b"}}
    record_torch("torch_both_first", "both first", dynamo=False, opset_version=17, dynamic_axes=dynamic)
    record_torch("torch_tokens_last", "tokens last", dynamo=False, opset_version=14)
    record_torch("torch_state_both", "state both clip", dynamo=False, opset_version=18, do_constant_folding=False)
    record_torch("torch_newer", "both first edges", dynamo=True)
    record_torch("torch_newer_tokens", "tokens clip", dynamo=True, external_data=False)
    keras.utils.set_random_seed(5)
    lstm, both = keras.layers.LSTM, keras.layers.Bidirectional
    tokens = np.random.default_rng(5).integers(0, 9, (2, 6)).astype(np.int32)
    layers = [
        keras.layers.Embedding(9, 4),
        both(lstm(3, return_sequences=True)),
        lstm(4, go_backwards=True),
        keras.layers.Dense(3),
    ]
    record_keras("keras_tokens", layers, (None,), tokens)
    values = np.random.default_rng(6).normal(size=(2, 6, 4)).astype(np.float32)
    record_keras("keras_last", [both(lstm(3)), keras.layers.Dense(5, "relu"), keras.layers.Dense(2)], (6, 4), values)
    layers = [lstm(3, return_sequences=True), keras.layers.Dense(4), keras.layers.LSTM(2, return_sequences=True)]
    record_keras("keras_steps", layers, (6, 4), values)
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    (FOLDER / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
