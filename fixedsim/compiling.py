"""Compile the kernels ahead of their use, for images of containers and for machines that are measured."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fixedsim.errors import FixedsimError
from fixedsim.importers import load_network
from fixedsim.kernels.compilation import cache_folder
from fixedsim.kernels.elementwise import narrow_rows
from fixedsim.model import Model
from fixedsim.network import Network
from fixedsim.profiles import profile_names
from fixedsim.quantization import quantize
from fixedsim.selftest import selftest

_NETWORK = "char-lm"
_WIDTHS = ((8, 8), (4, 8), (2, 8), (8, 16))  # of weights and activations; a profile may allow some of them only
_RANGES = {"decoder.output": (-16.0, 16.0)}  # which some profiles ask for
_STEPS = 2
_BATCHES = (1, 4, 20)  # kernels are chosen by the count of vectors, too


def compile_kernels(progress: Callable[[int, int], None] | None = None) -> Path | None:
    """Compile and cache the kernels of every profile that ships, at usual widths; takes minutes the first time.

    A small network that ships is quantized and run with each profile, traced and not, and the self-test is run. What
    else a model may need is still compiled when it is first used.

    Returns:
        The folder that the compiled kernels are cached in; None where there is none that can be written to, or with
        ``NUMBA_DISABLE_JIT=1``: nothing is kept then.
    """
    folder = cache_folder(narrow_rows)
    if folder is None:
        return None
    jobs = [(profile, widths) for profile in profile_names() for widths in _WIDTHS]
    network = load_network(_NETWORK)
    for done, (profile, widths) in enumerate(jobs):
        _report(progress, done, len(jobs))
        for model in _models(network, profile, widths):
            _run(model)
    selftest()
    _report(progress, len(jobs), len(jobs))
    return folder


def _report(progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if progress:
        progress(done, total)


def _models(network: Network, profile: str, widths: tuple[int, int]) -> Iterator[Model]:
    """The network with a profile at some widths, where the profile allows them."""
    try:
        yield quantize(network, profile=profile, weight_bits=widths[0], activation_bits=widths[1], ranges=_RANGES)
    except FixedsimError:
        return


def _run(model: Model) -> None:
    for batch in _BATCHES:
        tokens = np.zeros((_STEPS, batch), dtype=np.int64)
        model.run(tokens)
        model.run(tokens, trace="*")
