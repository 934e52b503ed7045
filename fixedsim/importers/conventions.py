"""How trainers stack the gates of an LSTM, and the way from there to this project's order.

Orders are written as one letter a gate in the order in which the file stacks them: ``i`` input, ``f`` forget, ``o``
output, and ``g`` candidate, which other trainers call ``c``, ``j`` or ``z``.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fixedsim.errors import NetworkError

CANONICAL: Final = "ifgo"
_CANDIDATE = str.maketrans("cjz", "ggg")


def gate_order(text: str) -> str:
    """``text`` with the candidate as ``g``.

    Raises:
        NetworkError: not each gate once.
    """
    order = text.lower().translate(_CANDIDATE)
    if sorted(order) != sorted(CANONICAL):
        raise NetworkError(
            f"gate order must be i, f, o and one of g, c, j, z (the candidate) in some order, not {text[:40]!r}"
        )
    return order


def canonical_rows(stacked: NDArray[Any], order: str) -> NDArray[Any]:
    """Rows that are stacked by gate in ``order``, in the order input, forget, candidate, output.

    ``stacked`` is ``(4H,)`` or ``(4H, K)``; the result has its shape.

    Raises:
        NetworkError: an order or a number of rows that is not possible.
    """
    order = gate_order(order)
    if stacked.ndim not in (1, 2) or len(stacked) % 4:
        raise NetworkError(f"rows of an LSTM must be 4 to a unit, not shape {stacked.shape}")
    blocks = stacked.reshape(4, len(stacked) // 4, *stacked.shape[1:])
    return np.ascontiguousarray(blocks[[order.index(gate) for gate in CANONICAL]]).reshape(stacked.shape)
