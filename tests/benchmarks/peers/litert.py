"""LiteRT's interpreter on one thread, on its own integer LSTM."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.measure import Call
from tests.benchmarks.peers import required


def interpreter(content: bytes, inputs: NDArray[Any]) -> Call:
    """A file run from reset states on raws as the file orders them, by the default resolver with its delegate."""
    module: Any = required("ai_edge_litert.interpreter", "ai-edge-litert")
    made = module.Interpreter(model_content=content, num_threads=1)
    made.allocate_tensors()
    given, written = made.get_input_details()[0]["index"], made.get_output_details()[0]["index"]

    def run() -> NDArray[np.integer[Any]]:
        made.reset_all_variables()
        made.set_tensor(given, inputs)
        made.invoke()
        output: NDArray[np.integer[Any]] = made.get_tensor(written)
        return output

    return run
