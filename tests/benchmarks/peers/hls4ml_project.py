"""Write and compile an hls4ml project of one LSTM, in the environment that holds hls4ml: ``python FILE FOLDER``.

It imports nothing of this project, so that hls4ml and TensorFlow can live in an environment of their own.
"""

import os
import sys
from importlib import import_module
from typing import Any

STEPS, INPUTS, UNITS = 32, 16, 64
PRECISION = "ap_fixed<16,6>"


def main(folder: str) -> None:
    """Write the project with its compiled C simulation into a folder."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    hls4ml: Any = import_module("hls4ml")
    keras: Any = import_module("keras")
    layers = keras.layers
    model = keras.Sequential([layers.Input((STEPS, INPUTS)), layers.LSTM(UNITS, return_sequences=True, name="lstm")])
    config = hls4ml.utils.config_from_keras_model(
        model, granularity="name", backend="Vitis", default_precision=PRECISION
    )
    project = hls4ml.converters.convert_from_keras_model(
        model, hls_config=config, backend="Vitis", io_type="io_parallel", output_dir=folder
    )
    project.compile()


if __name__ == "__main__":
    main(sys.argv[1])
