"""hls4ml's compiled C simulation of one LSTM.

hls4ml needs TensorFlow, which seldom fits another environment: FIXEDSIM_HLS4ML_PYTHON names the interpreter of an
environment that holds both, or this one's is taken.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.measure import Call, MissingError
from tests.benchmarks.peers import hls4ml_project

VARIABLE = "FIXEDSIM_HLS4ML_PYTHON"
FRACTION_BITS = 10  # of ap_fixed<16,6>
_PATIENCE = 600.0


@lru_cache(maxsize=1)
def project() -> Path:
    """The folder of a project, written and compiled once in a process.

    Raises:
        MissingError: the interpreter has no hls4ml, or the project does not compile.
    """
    folder = Path(tempfile.mkdtemp(prefix="hls4ml-"))
    command = [os.environ.get(VARIABLE, sys.executable), hls4ml_project.__file__, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as reason:
        raise MissingError(f"hls4ml did not run: {reason}") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise MissingError(f"hls4ml gave no project ({last}); {VARIABLE} names the interpreter that has it")
    return folder


def raws() -> NDArray[np.int64]:
    """Random input raws ``(steps, 1, inputs)`` within -4 .. 4."""
    reach = 4 << FRACTION_BITS
    return np.random.default_rng(3).integers(-reach, reach, (hls4ml_project.STEPS, 1, hls4ml_project.INPUTS))


def simulation() -> Call:
    """The C simulation on :func:`raws`; gives the raws of all outputs."""
    folder = project()
    libraries = sorted((folder / "firmware").glob("*.so"))
    if not libraries:
        raise MissingError("hls4ml compiled no library")
    entry: Any = ctypes.CDLL(str(libraries[-1])).myproject_double
    inputs = np.ascontiguousarray(raws() / 2.0**FRACTION_BITS)
    outputs = np.empty((hls4ml_project.STEPS, hls4ml_project.UNITS))
    pointers = [values.ctypes.data_as(ctypes.POINTER(ctypes.c_double)) for values in (inputs, outputs)]

    def run() -> NDArray[np.float64]:
        entry(*pointers)
        return outputs * 2.0**FRACTION_BITS

    return run
