"""Integer models from files of other programs: TensorFlow Lite files and hls4ml projects."""

from pathlib import Path

from fixedsim.errors import FileError, ModelError
from fixedsim.importers.hls4ml.network import read_model as read_hls4ml
from fixedsim.importers.tflite.network import read_model as read_tflite
from fixedsim.model import Model
from fixedsim.profiles.executors import DEFAULT_EXECUTOR

TFLITE_SUFFIX = ".tflite"


def import_model(path: str | Path, *, executor: str | None = None) -> Model:
    """The integer model in a ``.tflite`` file, or in the folder of an hls4ml project.

    Time comes first in a model's inputs, ``(T, N, features)``, whatever the file's order.

    Args:
        path: the file, or the folder that holds ``firmware/parameters.h``.
        executor: of a ``.tflite`` file, whose arithmetic: see :func:`fixedsim.profiles.executors.executor_names`;
            ``litert-reference`` if left out.

    Raises:
        FileError: a file of neither kind, or one that is damaged or holds what is not known, by name.
        ProfileError: no such executor.
        DependencyError: the extra that reads the file is not installed.
        ModelError: an executor for an hls4ml project, which has one arithmetic.
    """
    source = Path(path)
    if source.is_dir():
        if executor is not None:
            raise ModelError(f"executor must be left out for the hls4ml project {source}, not {executor!r}")
        return read_hls4ml(source)
    if source.suffix != TFLITE_SUFFIX:
        raise FileError(f"{source} must be a {TFLITE_SUFFIX} file or the folder of an hls4ml project, not another file")
    return read_tflite(source, executor or DEFAULT_EXECUTOR)
