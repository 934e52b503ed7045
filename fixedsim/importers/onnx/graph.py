"""Go through a graph's operators in order, and know of each value what it is."""

from collections.abc import Callable
from typing import Any, Final

from fixedsim.errors import FileError, NetworkError
from fixedsim.importers.onnx import dense, layout, shapes
from fixedsim.importers.onnx.call import Call, Unreadable
from fixedsim.importers.onnx.file import ParsedFile
from fixedsim.importers.onnx.found import Source
from fixedsim.importers.onnx.lstm import lstm
from fixedsim.importers.onnx.sizes import Product, Size
from fixedsim.importers.onnx.values import MAX_AXES, Atom, Axis, Constant, Opaque, Part, Refused, Stream, Value

Handler = Callable[[Call], list[Value]]
OPERATORS: Final[dict[str, Handler]] = {
    "Add": dense.add,
    "Cast": shapes.cast,
    "Clip": dense.clip,
    "Concat": layout.concat,
    "Constant": shapes.constant,
    "ConstantOfShape": shapes.constant_of_shape,
    "Div": shapes.sizes_computed,
    "Dropout": layout.identity,
    "Equal": shapes.sizes_computed,
    "Expand": layout.expand,
    "Flatten": layout.flatten,
    "Gather": dense.gather,
    "Gemm": dense.gemm,
    "GreaterOrEqual": shapes.below_zero,
    "HardSigmoid": dense.hard_sigmoid,
    "Identity": layout.identity,
    "LSTM": lstm,
    "Less": shapes.below_zero,
    "LogSoftmax": dense.softmax,
    "MatMul": dense.matrix_product,
    "Max": shapes.sizes_computed,
    "Min": dense.minimum,
    "Mul": shapes.multiply,
    "Not": shapes.not_,
    "Relu": lambda call: dense.function(call, "relu"),
    "Reshape": layout.reshape,
    "ReverseSequence": layout.reverse_sequence,
    "Shape": shapes.shape,
    "Sigmoid": lambda call: dense.function(call, "sigmoid"),
    "Slice": layout.slice_,
    "Softmax": dense.softmax,
    "Split": layout.split,
    "Squeeze": layout.squeeze,
    "Sub": shapes.sizes_computed,
    "Tanh": lambda call: dense.function(call, "tanh"),
    "Transpose": layout.transpose,
    "Unsqueeze": layout.unsqueeze,
    "Where": shapes.where,
}
_CONTROL = ("If", "Loop", "Scan", "SequenceMap")
_INTEGER_MARKS = ("Quantize", "QLinear", "Integer", "QAttention", "QGemm")
_INTEGER_TYPES = (2, 3, 4, 5, 6, 7, 12, 13)


class Evaluated:
    """The value of each name in a graph. Constants of the file become arrays when an operator reads them."""

    def __init__(self, file: ParsedFile) -> None:
        self._file = file
        self._values: dict[str, Value] = {}
        self._initializers = {tensor.name: tensor for tensor in file.graph.initializer}
        if len(self._initializers) < len(file.graph.initializer):
            raise FileError("initializers must have names of their own, not one twice")
        for value in file.graph.input:
            if value.name not in self._initializers:
                self._define(value.name, _source(value))
        for node in file.graph.node:
            self._run(node)

    def __getitem__(self, name: str) -> Value:
        """The value of a name.

        Raises:
            FileError: nothing before makes it.
        """
        if name not in self._values:
            if name not in self._initializers:
                raise FileError(f"value {name[:80]!r} must be made before it is read, not after it or never")
            array = self._file.tensors.array(f"initializer {name[:80]!r}", self._initializers[name])
            self._values[name] = Constant.whole(array, name)
        return self._values[name]

    def _define(self, name: str, value: Value) -> None:
        if name in self._values or name in self._initializers:
            raise FileError(f"value {name[:80]!r} must be made once, not twice")
        self._values[name] = value

    def _run(self, node: Any) -> None:
        inputs = tuple(self[name] if name else None for name in node.input)
        results = _results(Call(node, inputs, self._file.opset, self._file.tensors))
        for index, name in enumerate(node.output):
            if name:
                self._define(name, results[index] if index < len(results) else _unknown_output(node, index))


def _unknown_output(node: Any, index: int) -> Refused:
    return Refused(f"{node.op_type[:80]} {node.name[:80]!r}: output {index} must not be read, for it is not understood")


def _results(call: Call) -> list[Value]:
    """What an operator gives; refused values, each with the reason, where it is not understood."""
    try:
        if call.op not in OPERATORS:
            raise call.error(_unsupported(call.op))
        return OPERATORS[call.op](call)
    except Unreadable as error:
        reason = str(error)
    except NetworkError as error:
        reason = str(error) if str(error).startswith(call.label) else f"{call.label}: {error}"
    return [Refused(reason)] * len(call.node.output)


def _unsupported(op: str) -> str:
    if op in _CONTROL:
        return f"operator must not be {op}: networks have no control flow; export without subgraphs"
    if any(mark in op for mark in _INTEGER_MARKS):
        return (
            f"operator must not be {op}: import the float graph from before quantization; integer networks come from "
            ".tflite files and hls4ml projects"
        )
    return f"operator must be one of {', '.join(sorted(OPERATORS))}, not {op}"


def _source(value: Any) -> Value:
    """An input of the graph, its axes as they are stated."""
    kind = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or not kind.HasField("shape"):
        return Opaque(f"the input {value.name[:80]!r}, whose count of axes is not stated", frozenset([value.name]))
    sizes = [_stated_size(value.name, axis, size) for axis, size in enumerate(kind.shape.dim[: MAX_AXES + 1])]
    if len(sizes) > MAX_AXES:
        return Refused(f"input {value.name[:80]!r} must have at most {MAX_AXES} axes, not more")
    real = kind.elem_type not in _INTEGER_TYPES and len(sizes) > 1
    axes: tuple[Axis, ...] = tuple(
        () if size == 1 and not (real and axis == len(sizes) - 1) else (Atom(size),) for axis, size in enumerate(sizes)
    )
    return Stream((Part(Source(value.name, axes)),), axes, axes[-1] if real else ())


def _stated_size(name: str, axis: int, dimension: Any) -> Size:
    """A size above 0, or one that is known only when the graph runs."""
    size = int(dimension.dim_value)
    return size if size > 0 else Product(1, (f"{name[:40]}[{axis}]",))
