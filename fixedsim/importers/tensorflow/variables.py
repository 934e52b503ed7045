"""Variables of a TensorFlow 1 checkpoint by name, as users dump them, or the float constants of a frozen graph.

Memory: a ``.npz`` or ``.safetensors`` file as :mod:`fixedsim.files` bounds it; a graph at most 40 times the file and
256 MiB, nodes and weights in float64 included.
"""

import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fixedsim.errors import NetworkError
from fixedsim.files import read_tensors
from fixedsim.importers.tensorflow.constants import Constants
from fixedsim.importers.tensorflow.graph import Graph

GRAPH_SUFFIX = ".pb"
TENSOR_SUFFIXES = (".npz", ".safetensors")
MAX_VARIABLES = 1 << 14
_SLOT = re.compile(
    r"/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1|Adagrad|Adadelta|Adadelta_1|Ftrl|Ftrl_1|AdaMax|AdaMax_1|LAMB|LAMB_1"
    r"|adam_m|adam_v|ExponentialMovingAverage|moving_average|local_step|biased)\Z"
)
_TRAINING = re.compile(
    r"(.*/)?(global_step|beta[12]_power(_\d+)?|learning_rate|lr|epoch|current_epoch|best_dev_loss|current_loss_scale"
    r"|loss_scale|good_steps|save_counter|cond(_\d+)?/beta[12]_power)\Z"
)
_OPAQUE = re.compile(r"(^|/)opaque_kernel\Z|CudnnRNNParams")
_VARIABLE = re.compile(
    r"(^|/)(kernel|weights?|biases|bias|Matrix|Bias|W|B|b|w|w_[ifo]_diag)\Z|(^|/)[hbWw]_?\d+\Z|_(w|b|W|bias|weights)\Z|emb"
    r"|(opaque_kernel|recurrent_kernel|gamma|beta|moving_mean|moving_variance)\Z"
)
_FLOAT = "f"


class Variables(NamedTuple):
    """Arrays by the variable's name, without ``:0``, and the names that were passed over."""

    arrays: dict[str, NDArray[Any]]
    passed_over: tuple[str, ...]
    metadata: dict[str, str]

    def notes(self) -> list[str]:
        """What was passed over, in one sentence, if anything was."""
        if not self.passed_over:
            return []
        some = ", ".join(self.passed_over[:4])
        more = f" and {len(self.passed_over) - 4} more" if len(self.passed_over) > 4 else ""
        return [f"passed over, being of the training alone: {some}{more}"]


def stored_variables(path: Path) -> Variables:
    """The variables of a ``.npz`` or ``.safetensors`` file.

    Raises:
        FileError: the file is damaged or of another kind.
        NetworkError: two variables of one name, or CuDNN's opaque parameters.
    """
    file = read_tensors(path)
    named = [(plain_name(name), array) for name, array in file.tensors.items()]
    arrays = dict(named)
    if len(arrays) < len(named):
        raise NetworkError(f"variables must be named once each, not {len(named)} by {len(arrays)} names")
    return _sorted_out(arrays, file.metadata)


def constant_variables(graph: Graph, constants: Constants) -> Variables:
    """The constants of a graph that are vectors or matrices of floating-point numbers and named as variables are.

    Raises:
        FileError: a constant is damaged.
        NetworkError: CuDNN's opaque parameters.
    """
    arrays = {
        name: constants.array(node)
        for name, node in graph.nodes.items()
        if _VARIABLE.search(name) and (shape := constants.shape(node)) is not None and len(shape) in (1, 2)
    }
    return _sorted_out(arrays, {})


def member_names(path: Path) -> tuple[str, ...]:
    """The names of the arrays of a ``.npz`` file, none for anything else; never raises."""
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(plain_name(name.removesuffix(".npy")) for name in archive.namelist()[:MAX_VARIABLES])
    except (OSError, ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, KeyError):
        return ()


def plain_name(name: str) -> str:
    """A variable's name without the number of its output."""
    return name.removesuffix(":0")


def is_training(name: str) -> bool:
    """Whether a variable belongs to the optimizer or the training loop alone."""
    return bool(_SLOT.search(name) or _TRAINING.match(name))


def _sorted_out(arrays: dict[str, NDArray[Any]], metadata: dict[str, str]) -> Variables:
    if len(arrays) > MAX_VARIABLES:
        raise NetworkError(f"variables must be at most {MAX_VARIABLES}, not {len(arrays)}")
    passed = tuple(name for name, array in arrays.items() if is_training(name) or array.dtype.kind != _FLOAT)
    kept = {name: array for name, array in arrays.items() if name not in set(passed)}
    for name in kept:
        if _OPAQUE.search(name):
            raise NetworkError(
                f"variable {name!r} must be a kernel and a bias, not CuDNN's opaque parameters, whose layout only "
                "CuDNN knows; save them with tf.contrib.cudnn_rnn's saveable (a Saver of the graph does), which writes "
                "cudnn_compatible_lstm_cell/kernel and bias"
            )
    return Variables(kept, passed, metadata)
