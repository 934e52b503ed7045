"""How arrays that a trainer recorded can be read: which axis is time, and what its outputs are."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_softmax, softmax

from fixedsim.errors import InputError
from fixedsim.network import Description, EmbeddingLayer, LinearLayer

Array = NDArray[Any]
SEARCHED_STEPS, SEARCHED_STREAMS = 4, 2  # of the recorded ones, in a search; what agrees is looked at on all
_SUM_TOLERANCE = 1e-3  # by which probabilities may miss a sum of 1


class Reading(NamedTuple):
    """Recorded arrays as they may have been meant.

    ``inputs`` are ``(T, N)`` tokens or ``(T, N, features)``; ``outputs`` ``(T, N, width)``, or ``(N, width)`` of one
    step: the ``last`` of all that the network gives, or the only one. ``functions`` are what may stand between the
    network's outputs and the recorded ones, by name.
    """

    inputs: Array
    outputs: Array
    last: bool
    functions: dict[str, Callable[[Array], Array]]
    texts: tuple[str, ...]

    def difference(self, outputs: Array) -> tuple[float, str]:
        """The largest difference over the largest recorded value, and the function under which it is least."""
        given = outputs[-1] if self.last else outputs
        largest = float(np.abs(self.outputs).max()) or 1.0
        least = min((_largest(function(given), self.outputs), name) for name, function in self.functions.items())
        return least[0] / largest, least[1]

    def shortened(self, causal: bool) -> "Reading":
        """A few streams and, where outputs do not depend on what comes later, the first steps."""
        steps = SEARCHED_STEPS if causal and not self.last and self.outputs.ndim == 3 else len(self.inputs)
        streams = slice(0, SEARCHED_STREAMS)
        outputs = self.outputs[:steps, streams] if self.outputs.ndim == 3 else self.outputs[streams]
        return self._replace(inputs=self.inputs[:steps, streams], outputs=outputs)


def readings(
    description: Description, inputs: ArrayLike, outputs: ArrayLike, batch_first: bool | None
) -> list[Reading]:
    """Every way in which the arrays fit the network, the likeliest first.

    Raises:
        InputError: there is none, or values are not finite numbers.
    """
    given, wanted = _numbers("inputs", inputs), _numbers("outputs", outputs)
    functions = _functions(description, wanted)
    found = [
        Reading(time_first, shaped, last, functions, (text, *more))
        for time_first, text in _inputs(description, given, batch_first)
        for shaped, last, *more in _outputs(description, time_first.shape[:2], wanted)
    ]
    if not found:
        raise InputError(
            f"inputs and outputs must be {_form(description)} and (T, N, {description.output_width}), time or batch "
            f"first, or without an axis, not of shapes {given.shape} and {wanted.shape}"
        )
    return found


def _numbers(what: str, values: ArrayLike) -> Array:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" or not array.size or not np.isfinite(array).all():
        raise InputError(f"{what} must be finite numbers, not {array.dtype} of shape {array.shape} with none or others")
    return array


def _form(description: Description) -> str:
    first = description.layers[0]
    return "tokens (T, N)" if isinstance(first, EmbeddingLayer) else f"reals (T, N, {first.inputs})"


def _inputs(description: Description, given: Array, batch_first: bool | None) -> Iterator[tuple[Array, str]]:
    """The inputs with time first, and how they were read."""
    first = description.layers[0]
    axes = 2 if isinstance(first, EmbeddingLayer) else 3
    if isinstance(first, EmbeddingLayer):
        given = _tokens(given, first.vocabulary)
    elif given.shape[-1:] != (first.inputs,):
        return
    if given.ndim == axes - 1:
        yield given[:, None], "inputs: one sequence"
    elif given.ndim == axes:
        if not batch_first:
            yield given, "inputs: time first"
        if batch_first is not False:
            yield given.swapaxes(0, 1), "inputs: batch first"


def _tokens(given: Array, vocabulary: int) -> Array:
    tokens = given.astype(np.int64)
    if not np.array_equal(tokens, given) or tokens.min() < 0 or tokens.max() >= vocabulary:
        raise InputError(f"inputs must be token ids in 0..{vocabulary - 1}, not {given.min()}..{given.max()}")
    return tokens


def _outputs(description: Description, shape: tuple[int, ...], wanted: Array) -> Iterator[tuple[Any, ...]]:
    """The recorded outputs as in :class:`Reading`, whether they are the last of several steps, and what that means."""
    (steps, streams), width = shape, description.output_width
    leading = wanted.shape[:-1]
    if wanted.shape[-1:] != (width,):
        return
    one = any(layer.steps == "last" for layer in description.lstm_layers)
    if math.prod(leading) == streams and (one or steps > 1):
        note = () if one else ("outputs: of the last step alone",)
        yield wanted.reshape(streams, width), not one, *note
    if one:
        return
    if leading == (steps, streams):
        yield wanted, False, "outputs: time first"
    if leading == (streams, steps) and steps * streams > 1:
        yield wanted.swapaxes(0, 1), False, "outputs: batch first"
    if leading == (steps * streams,):
        yield wanted.reshape(steps, streams, width), False, "outputs: step after step"
        if 1 not in (steps, streams):
            yield wanted.reshape(streams, steps, width).swapaxes(0, 1), False, "outputs: sequence after sequence"


def _functions(description: Description, wanted: Array) -> dict[str, Callable[[Array], Array]]:
    """What may stand after the network: nothing, or what makes probabilities where the recorded values are such."""
    found: dict[str, Callable[[Array], Array]] = {"": lambda x: x}
    last = description.layers[-1]
    if not isinstance(last, LinearLayer) or last.activation != "identity":
        return found
    real = wanted.astype(np.float64)
    if _sums_to_one(real):
        found["softmax"] = lambda x: softmax(x, axis=-1)
    if (real <= 0).all() and _sums_to_one(np.exp(real)):
        found["log-softmax"] = lambda x: log_softmax(x, axis=-1)
    if (real >= 0).all() and (real <= 1).all():
        found["sigmoid"] = expit
    return found


def _sums_to_one(values: Array) -> bool:
    return bool((values >= 0).all() and (np.abs(values.sum(axis=-1) - 1) <= _SUM_TOLERANCE).all())


def _largest(one: Array, other: Array) -> float:
    difference = float(np.abs(one - other).max(initial=0))
    return difference if np.isfinite(difference) else np.inf
