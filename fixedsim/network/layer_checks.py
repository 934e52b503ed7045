"""Checks that every kind of layer of a network description shares: names, sizes, choices."""

import math
import re
from typing import TypeAlias

from fixedsim.errors import NetworkError, nearest

MAX_DIMENSION = 1 << 24  # of one side of a tensor
MAX_ELEMENTS = 1 << 31  # of one tensor
MAX_NAME = 128
Shapes: TypeAlias = dict[str, tuple[int, ...]]
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")


def check_name(name: str) -> None:
    """Refuse a layer name that is too long or holds other characters.

    Raises:
        NetworkError: it is so.
    """
    if len(name) > MAX_NAME or not _NAME.match(name):
        raise NetworkError(
            f"layer name must be at most {MAX_NAME} letters, digits, '_' and '-', in parts joined by dots, "
            f"not {name[:200]!r}"
        )


def check_dimensions(name: str, **sizes: int) -> None:
    """Refuse a size of layer ``name`` outside ``1..MAX_DIMENSION``.

    Raises:
        NetworkError: a size is, with its key.
    """
    for key, size in sizes.items():
        if not 1 <= size <= MAX_DIMENSION:
            raise NetworkError(f"layer {name!r}: {key} must be in 1..{MAX_DIMENSION}, not {size}")


def check_elements(shapes: Shapes) -> None:
    """Refuse a tensor of more than ``MAX_ELEMENTS`` elements.

    Raises:
        NetworkError: a tensor has more, with its name.
    """
    for name, shape in shapes.items():
        if math.prod(shape) > MAX_ELEMENTS:
            raise NetworkError(f"tensor {name!r} must hold at most {MAX_ELEMENTS} elements, not {math.prod(shape)}")


def check_choice(name: str, key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a choice of layer ``name`` that is none of the allowed.

    Raises:
        NetworkError: it is none of them, with the nearest.
    """
    if value not in allowed:
        raise NetworkError(f"layer {name!r}: {key} must be a known choice, not {value!r}{nearest(value, allowed)}")


def check_positive(name: str, **limits: float | None) -> None:
    """Refuse a limit of layer ``name`` that is given and not positive and finite.

    Raises:
        NetworkError: a limit is so, with its key.
    """
    for key, limit in limits.items():
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            raise NetworkError(f"layer {name!r}: {key} must be positive and finite, not {limit}")
