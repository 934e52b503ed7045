"""Sequences of a user's for a model, from arrays as :meth:`fixedsim.Model.run` takes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import require_raws, to_raw
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import InputError
from fixedsim.model import Model
from fixedsim_golden.drawing import Inputs

Integers = NDArray[np.int64]


def sequences_of(model: Model, given: NDArray[Any], what: str = "inputs") -> list[Integers]:
    """One sequence ``(T, features)`` or of tokens ``(T,)`` for each of a batch.

    Args:
        model: what reads them.
        given: tokens ``(T,)`` or ``(T, N)``; raws or reals ``(T, features)`` or ``(T, N, features)``. Reals are rounded
            half to even and saturated.
        what: names them in errors.

    Raises:
        InputError: another shape, no step, or values outside the format.
    """
    inputs = Inputs.of(model)
    axes = 1 if inputs.width is None else 2
    if given.ndim not in (axes, axes + 1) or not given.size:
        wanted = "(T,) or (T, N)" if inputs.width is None else "(T, features) or (T, N, features)"
        raise InputError(f"{what} must have shape {wanted} with at least one step, not {given.shape}")
    if inputs.width is not None and given.shape[-1] != inputs.width:
        raise InputError(f"{what} must have {inputs.width} features, not {given.shape[-1]}")
    raws = given
    if given.dtype.kind == "f" and inputs.width is not None:
        raws = to_raw(given, inputs.form, Rounding.HALF_EVEN, Overflow.SATURATE)
    checked = np.asarray(require_raws(raws, inputs.form, what), dtype=np.int64)
    batched = checked[:, None] if given.ndim == axes else checked
    return [np.ascontiguousarray(batched[:, place]) for place in range(batched.shape[1])]
