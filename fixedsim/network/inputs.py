"""Check what a caller hands to a run: inputs, state, lengths, resets, dtype."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fixedsim.errors import InputError, nearest
from fixedsim.layers.real import Mask, Real
from fixedsim.layers.real_lstm import LstmState
from fixedsim.network.bit_rnn import round_unit
from fixedsim.network.description import Description, EmbeddingLayer, LstmLayer

FloatType: TypeAlias = np.dtype[np.floating[Any]]


def checked_dtype(dtype: DTypeLike) -> FloatType:
    """float64 or float32.

    Raises:
        InputError: another dtype.
    """
    for real in (np.dtype(np.float64), np.dtype(np.float32)):
        if np.dtype(dtype) == real:
            return real
    raise InputError(f"dtype must be float64 or float32, not {np.dtype(dtype)}")


def checked_inputs(description: Description, inputs: ArrayLike, dtype: FloatType) -> tuple[NDArray[Any], bool]:
    """The inputs with a stream axis, and whether they came with one.

    Token ids ``(T, N)`` or ``(T,)`` for a network that begins with an embedding, as int64; else
    ``(T, N, features)`` or ``(T, features)`` in ``dtype``.

    Raises:
        InputError: another shape or dtype, a token outside the vocabulary, a value that is not finite.
    """
    values, first = np.asarray(inputs), description.layers[0]
    if isinstance(first, EmbeddingLayer):
        return _tokens(values, first.vocabulary)
    return _features(values, first.inputs, dtype)


def _tokens(values: NDArray[Any], vocabulary: int) -> tuple[NDArray[Any], bool]:
    if values.ndim not in (1, 2):
        raise InputError(f"inputs must be token ids of shape (T, N) or (T,), not {values.shape}")
    if values.dtype.kind not in "iu":
        raise InputError(f"inputs must be integer token ids, not {values.dtype}")
    _refuse((values < 0) | (values >= vocabulary), values, f"token ids in 0..{vocabulary - 1}")
    tokens = values.astype(np.int64)
    return (tokens, True) if tokens.ndim == 2 else (tokens[:, None], False)


def _features(values: NDArray[Any], width: int, dtype: FloatType) -> tuple[NDArray[Any], bool]:
    if values.ndim not in (2, 3) or values.shape[-1] != width:
        raise InputError(f"inputs must be of shape (T, N, {width}) or (T, {width}), not {values.shape}")
    if values.dtype.kind not in "iuf":
        raise InputError(f"inputs must be real numbers, not {values.dtype}")
    _refuse(~np.isfinite(values), values, "finite")
    real = values.astype(dtype)
    return (real, True) if real.ndim == 3 else (real[:, None], False)


def _refuse(wrong: Mask, values: NDArray[Any], constraint: str) -> None:
    if wrong.any():
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(f"inputs must be {constraint}, not {values[first]} at {list(first)}")


def initial_state(
    description: Description, weights: Mapping[str, Real], streams: int, dtype: FloatType
) -> dict[str, LstmState]:
    """The state that every direction of every LSTM starts from: hidden ``(N, P)`` and cell ``(N, units)``.

    It is what the layer's own ``initial`` tensors hold, or the description's in every unit.
    """
    value = np.zeros((), dtype) if description.initial_state == "zero" else np.full((), 0.5, dtype)
    if description.bit_rnn is not None:
        value = round_unit(value, description.bit_rnn.activation_bits)
    return {
        name: LstmState(
            *(
                np.array(np.broadcast_to(weights.get(f"{name}.initial.{part}", value), (streams, width)), dtype)
                for part, width in _state_widths(layer).items()
            )
        )
        for layer in description.lstm_layers
        for name in layer.directions
    }


def _state_widths(layer: LstmLayer) -> dict[str, int]:
    return {"hidden": layer.hidden_width, "cell": layer.units}


def checked_state(
    given: Mapping[str, tuple[ArrayLike, ArrayLike]], initial: Mapping[str, LstmState], dtype: FloatType
) -> dict[str, LstmState]:
    """``initial`` with the states in ``given`` in place of its own.

    Raises:
        InputError: an unknown name, other than ``h`` and ``c`` of the layer's shapes, a value that is not finite.
    """
    state = dict(initial)
    for name, pair in given.items():
        if name not in initial:
            raise InputError(f"state must be of an LSTM of the network, not {name!r}{nearest(name, initial)}")
        shapes = [part.shape for part in initial[name]]
        allowed = f"shape {shapes[0]}" if shapes[0] == shapes[1] else f"shapes {shapes[0]} and {shapes[1]}"
        if len(pair) != 2:
            raise InputError(f"state of {name!r} must be h and c of {allowed}, not {len(pair)} arrays")
        parts = zip(pair, shapes, strict=True)
        state[name] = LstmState(*(_state_part(name, part, shape, allowed, dtype) for part, shape in parts))
    return state


def _state_part(name: str, part: ArrayLike, shape: tuple[int, ...], allowed: str, dtype: FloatType) -> Real:
    array = np.asarray(part)
    if array.shape != shape:
        raise InputError(f"state of {name!r} must be h and c of {allowed}, not {array.shape}")
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InputError(f"state of {name!r} must be finite real numbers, not {array.dtype} with NaN or infinity")
    return array.astype(dtype)


def valid_steps(lengths: ArrayLike | None, steps: int, streams: int) -> Mask | None:
    """``(T, N)``: whether a step lies inside its sequence; None where all do.

    Raises:
        InputError: lengths of another shape or dtype, or outside ``0..T``.
    """
    if lengths is None:
        return None
    array = np.asarray(lengths)
    if array.shape != (streams,) or array.dtype.kind not in "iu":
        raise InputError(f"lengths must be {streams} integers, not {array.dtype} of shape {array.shape}")
    if array.size and not (array.min() >= 0 and array.max() <= steps):
        raise InputError(f"lengths must be in 0..{steps}, not {array.min()}..{array.max()}")
    return np.asarray(np.arange(steps)[:, None] < array)


def checked_reset(reset: ArrayLike | None, steps: int, streams: int) -> Mask | None:
    """``(T, N)`` of booleans, or None.

    Raises:
        InputError: another shape or dtype.
    """
    if reset is None:
        return None
    array = np.asarray(reset)
    if array.shape != (steps, streams) or array.dtype != np.bool_:
        raise InputError(f"reset must be bool of shape {(steps, streams)}, not {array.dtype} of shape {array.shape}")
    return array
