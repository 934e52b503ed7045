"""Runs of .tflite files in the programs themselves: LiteRT under each of its resolvers, and TensorFlow Lite Micro."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

RESOLVERS = {
    "litert-reference": "BUILTIN_REF",
    "litert-optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "litert-xnnpack": "BUILTIN",
}
MICRO = "tflm"
EXECUTORS = (*RESOLVERS, MICRO)
_ARENA_BYTES = 1 << 20


class Program(Protocol):
    """One file, ready to run."""

    def run(self, inputs: Array, states: Mapping[int, Array] | None = None) -> Array:
        """The output, from reset states or from ``states`` by the index of the tensor."""

    def state(self, index: int) -> Array:
        """A variable tensor after the run."""


class LitertProgram:
    """A file in LiteRT, on one thread."""

    def __init__(self, content: bytes, resolver: str) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kind = getattr(OpResolverType, resolver)
        self._interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kind, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]

    def run(self, inputs: Array, states: Mapping[int, Array] | None = None) -> Array:
        """The output, from reset states or from ``states`` by the index of the tensor."""
        self._interpreter.reset_all_variables()
        self._interpreter.set_tensor(self._input, inputs)
        for index, values in (states or {}).items():
            self._interpreter.tensor(index)()[...] = values
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self._output))

    def state(self, index: int) -> Array:
        """A variable tensor after the run."""
        return np.array(self._interpreter.get_tensor(index))


class MicroProgram:
    """A file in TensorFlow Lite Micro, which starts from its reset states."""

    def __init__(self, content: bytes) -> None:
        from tflite_micro.python.tflite_micro import runtime

        kept = runtime.InterpreterConfig.kPreserveAllTensors  # or the states' memory is not theirs after a run
        size = _ARENA_BYTES + 10 * len(content)
        self._interpreter = runtime.Interpreter.from_bytes(content, arena_size=size, intrepreter_config=kept)

    def run(self, inputs: Array, states: Mapping[int, Array] | None = None) -> Array:
        """The output, from reset states."""
        assert not states
        self._interpreter.reset()
        self._interpreter.set_input(inputs, 0)
        self._interpreter.invoke()
        return np.array(self._interpreter.get_output(0))

    def state(self, index: int) -> Array:
        """A variable tensor after the run."""
        found = self._interpreter.GetTensor(index, 0)
        return np.array(found["tensor_data"]).reshape(found["shape"])


def program(content: bytes, executor: str) -> Program:
    """The program that fixedsim calls ``executor``, with a file loaded."""
    return MicroProgram(content) if executor == MICRO else LitertProgram(content, RESOLVERS[executor])
