"""onnxruntime: matrix products and language models, in fp32 and dynamically quantized.

Inputs and outputs are bound to fixed arrays once, which is its quickest way: nothing is allocated or copied in a call.
"""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.network import Network
from tests.benchmarks.measure import Call
from tests.benchmarks.peers import required

Arrays = dict[str, NDArray[Any]]
_OPSET, _IR = 17, 10  # what onnxruntime 1.20 and newer read
_OFFSET = 128


def matmul_integer(weight: NDArray[Any], vectors: NDArray[Any]) -> Call:
    """MatMulInteger of unsigned 8-bit vectors, their zero point 128, and signed 8-bit weights: its quick form."""
    helper, numpy_helper, types = _onnx()
    constants = {"B": np.ascontiguousarray(weight.T, dtype=np.int8), "a": np.array(_OFFSET, np.uint8)}
    node = helper.make_node("MatMulInteger", ["A", "B", "a"], ["Y"])
    given = {"A": (vectors + _OFFSET).astype(np.uint8)}
    return _product(helper, numpy_helper, types, node, constants, given, np.int32)


def matmul_float(weight: NDArray[Any], vectors: NDArray[Any]) -> Call:
    """MatMul in fp32."""
    helper, numpy_helper, types = _onnx()
    constants = {"B": np.ascontiguousarray(weight.T, dtype=np.float32)}
    node = helper.make_node("MatMul", ["A", "B"], ["Y"])
    return _product(helper, numpy_helper, types, node, constants, {"A": vectors.astype(np.float32)}, np.float32)


def _product(
    helper: Any, numpy_helper: Any, types: Any, node: Any, constants: Arrays, given: Arrays, written: type[np.generic]
) -> Call:
    vectors = given["A"]
    output = np.empty((len(vectors), constants["B"].shape[1]), dtype=written)
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("A", helper.np_dtype_to_tensor_dtype(vectors.dtype), vectors.shape)],
        [helper.make_tensor_value_info("Y", helper.np_dtype_to_tensor_dtype(output.dtype), output.shape)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    session = _session(_model(helper, graph).SerializeToString())
    bound = _Bound(session, given, {"Y": output})

    def run() -> NDArray[Any]:
        bound.run()
        return output

    return run


@dataclass(frozen=True)
class LanguageModel:
    """A language model in a session: tokens and states in, logits and states out."""

    session: Any
    units: int

    def at_once(self, tokens: NDArray[np.int64]) -> Call:
        """All steps in one call, from zero states; tokens ``(steps, batch)``."""
        given, written = self._arrays(tokens.shape), self._arrays(tokens.shape)
        bound = _Bound(self.session, {"tokens": tokens, "h": given["h"], "c": given["c"]}, _outputs(written))

        def run() -> NDArray[Any]:
            bound.run()
            return written["logits"]

        return run

    def streamed(self, tokens: NDArray[np.int64]) -> Call:
        """One call for each token, the states of one being the inputs of the next; tokens ``(steps,)``."""
        token = np.zeros((1, 1), dtype=np.int64)
        even, odd = self._arrays(token.shape), self._arrays(token.shape)
        turns = [
            _Bound(self.session, {"tokens": token, "h": one["h"], "c": one["c"]}, _outputs(other))
            for one, other in ((even, odd), (odd, even))
        ]

        def run() -> None:
            even["h"][...], even["c"][...] = 0, 0
            for step, each in enumerate(tokens):
                token[0, 0] = each
                turns[step % 2].run()

        return run

    def _arrays(self, shape: tuple[int, ...]) -> Arrays:
        state = (1, shape[1], self.units)
        logits = np.zeros((*shape, _vocabulary(self.session)), dtype=np.float32)
        return {"logits": logits, "h": np.zeros(state, np.float32), "c": np.zeros(state, np.float32)}


def _vocabulary(session: Any) -> int:
    return int(session.get_outputs()[0].shape[2])


def _outputs(arrays: Arrays) -> Arrays:
    return {"logits": arrays["logits"], "h_after": arrays["h"], "c_after": arrays["c"]}


def language_model(network: Network, *, quantized: bool) -> LanguageModel:
    """Gather, LSTM and MatMul; quantized: DynamicQuantizeLSTM and MatMulInteger with signed 8-bit weights."""
    helper, numpy_helper, types = _onnx()
    model = _language_graph(helper, numpy_helper, types, network.weights)
    units = network.weights["lstm.recurrent.weight"].shape[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        if quantized:
            path = _quantized(path)
        return LanguageModel(_session(path.read_bytes()), units)


def _quantized(path: Path) -> Path:
    quantization = required("onnxruntime.quantization", "onnxruntime")
    written = path.with_suffix(".int8.onnx")
    logging.disable(logging.WARNING)  # it advises a preparation that changes nothing here
    try:
        quantization.quantize_dynamic(path, written, weight_type=quantization.QuantType.QInt8)
    finally:
        logging.disable(logging.NOTSET)
    onnx = required("onnx", "onnx")
    operators = {node.op_type for node in onnx.load(written).graph.node}
    assert {"DynamicQuantizeLSTM", "MatMulInteger"} <= operators
    return written


def _language_graph(helper: Any, numpy_helper: Any, types: Any, weights: Mapping[str, NDArray[Any]]) -> Any:
    gates, units = weights["lstm.recurrent.weight"].shape
    bias = np.concatenate([weights["lstm.bias"], np.zeros(gates)])
    constants: Arrays = {
        "E": weights["embedding.weight"],
        "W": weights["lstm.input.weight"][None],
        "R": weights["lstm.recurrent.weight"][None],
        "B": bias[None],
        "D": weights["decoder.weight"].T,
        "d": weights["decoder.bias"],
    }
    stored = [
        numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name) for name, values in constants.items()
    ]
    stored.append(numpy_helper.from_array(np.array([1]), "axis"))
    nodes = [
        helper.make_node("Gather", ["E", "tokens"], ["x"], name="embedding"),
        helper.make_node(
            "LSTM", ["x", "W", "R", "B", "", "h", "c"], ["y4", "h_after", "c_after"], name="lstm", hidden_size=units
        ),
        helper.make_node("Squeeze", ["y4", "axis"], ["y"], name="squeeze"),
        helper.make_node("MatMul", ["y", "D"], ["z"], name="decoder"),
        helper.make_node("Add", ["z", "d"], ["logits"], name="bias"),
    ]
    state = [1, "batch", units]
    graph = helper.make_graph(
        nodes,
        "language",
        [
            helper.make_tensor_value_info("tokens", types.INT64, ["steps", "batch"]),
            *(helper.make_tensor_value_info(name, types.FLOAT, state) for name in ("h", "c")),
        ],
        [
            helper.make_tensor_value_info("logits", types.FLOAT, ["steps", "batch", len(weights["decoder.bias"])]),
            *(helper.make_tensor_value_info(name, types.FLOAT, state) for name in ("h_after", "c_after")),
        ],
        stored,
    )
    return _model(helper, graph)


def _onnx() -> tuple[Any, Any, Any]:
    required("onnxruntime", "onnxruntime")
    return (
        required("onnx.helper", "onnx"),
        required("onnx.numpy_helper", "onnx"),
        required("onnx", "onnx").TensorProto,
    )


def _model(helper: Any, graph: Any) -> Any:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)


def _session(content: bytes) -> Any:
    runtime = required("onnxruntime", "onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class _Bound:
    """A run that reads and writes arrays where they lie, and keeps them."""

    def __init__(self, session: Any, given: Arrays, written: Arrays) -> None:
        self._session, self._binding, self._arrays = session, session.io_binding(), (given, written)
        for name, values in given.items():
            assert values.flags.c_contiguous
            self._binding.bind_input(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)
        for name, values in written.items():
            self._binding.bind_output(name, "cpu", 0, values.dtype.type, values.shape, values.ctypes.data)

    def run(self) -> None:
        """Run the session once."""
        self._session.run_with_iobinding(self._binding)
