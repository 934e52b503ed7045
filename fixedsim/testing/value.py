"""Raws and reals of a format, corners first."""

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from fixedsim.formats import Format

Element = TypeVar("Element")
Shape = int | tuple[int, ...]
_KINDS = st.sampled_from(("any", "corner", "end", "one", "one end"))


def near_powers(low: int, high: int) -> list[int]:
    """Every ``+-2**i + d`` of ``low .. high`` with ``-2 <= d <= 2``, and both ends; nearest to zero first."""
    powers = [1 << power for power in range(max(abs(low), abs(high)).bit_length() + 1)]
    near = {sign * power + distance for power in powers for sign in (-1, 1) for distance in range(-2, 3)}
    return sorted(
        {value for value in near if low <= value <= high} | {low, high}, key=lambda value: (abs(value), -value)
    )


@lru_cache(maxsize=256)
def corners(form: Format) -> tuple[int, ...]:
    """The raws at both ends, around zero and the zero point, and within 2 of a power of two; nearest to zero first."""
    near = near_powers(form.raw_min, form.raw_max)
    around = [form.zero_point + distance for distance in (-1, 0, 1)]
    return tuple(raw for raw in dict.fromkeys([*near, *around]) if form.contains(raw))


@lru_cache(maxsize=256)
def any_raw(form: Format) -> st.SearchStrategy[int]:
    """One raw, each as likely; shrinks toward zero."""
    step, first = form.raw_step, form.raw_min % form.raw_step
    low, high = (form.raw_min - first) // step, (form.raw_max - first) // step
    places = st.integers(low, high)
    return places if step == 1 else places.map(lambda place: first + step * place)


@st.composite
def raws(draw: st.DrawFn, form: Format, shape: Shape = (), *, ends: bool = False) -> NDArray[Any]:
    """An array of raws of ``form``, int64 (uint64 where the format needs it).

    Its elements are any raws, corners (:func:`near_powers`), both ends mixed, or all of them one corner, such as the
    lowest raw. With ``ends`` every one is an end. Shrinks to zeros, element by element.
    """
    kind = "end" if ends else draw(_KINDS)
    if kind == "any":
        return draw(_any_raws(form, shape_of(shape)))
    known = np.array((form.raw_max, form.raw_min) if "end" in kind else corners(form), _kind_of(form))
    places = draw(integers(0, len(known) - 1, () if "one" in kind else shape))
    chosen: NDArray[Any] = known[places]
    return np.broadcast_to(chosen, shape_of(shape)).copy() if "one" in kind else chosen


def _kind_of(form: Format) -> type[np.integer[Any]]:
    return np.uint64 if form.raw_max >= 1 << 63 else np.int64


def _any_raws(form: Format, shape: tuple[int, ...]) -> st.SearchStrategy[NDArray[Any]]:
    step, first = form.raw_step, form.raw_min % form.raw_step
    low, high = (form.raw_min - first) // step, (form.raw_max - first) // step
    return integers(low, high, shape).map(lambda places: (first + step * places).astype(_kind_of(form)))


def integers(low: int, high: int, shape: Shape = ()) -> st.SearchStrategy[NDArray[Any]]:
    """Integers of ``low .. high``, all of a shape drawn at once; each shrinks toward the one nearest to zero."""
    size = shape_of(shape)
    width = next(width for width in (1, 2, 4, 8) if high - low < 1 << 8 * width)
    count = math.prod(size) * width

    def from_bytes(drawn: bytes) -> NDArray[Any]:
        places = np.frombuffer(drawn, f">u{width}").astype(np.uint64)
        if high - low + 1 < 1 << 64:
            places = places % np.uint64(high - low + 1)
        return nearest_first(places, low, high).reshape(size)

    return st.binary(min_size=count, max_size=count).map(from_bytes)


def nearest_first(places: NDArray[np.uint64], low: int, high: int) -> NDArray[Any]:
    """The integers of ``low .. high`` by their place in the order of their distance from zero: 0, 1, -1, 2 ..."""
    if low >= 0 or high <= 0:
        return low + places.astype(np.int64) if high < 1 << 63 and low >= 0 else _one_sided(places, low, high)
    both = min(-low, high)  # reached on either side
    half = ((places >> np.uint64(1)) + (places & np.uint64(1))).astype(np.int64)
    alternating = np.where(places & np.uint64(1), half, -half)
    beyond = (places - np.uint64(both)).astype(np.int64)
    return np.where(places <= np.uint64(2 * both), alternating, beyond if high > both else -beyond)


def _one_sided(places: NDArray[np.uint64], low: int, high: int) -> NDArray[Any]:
    return np.uint64(low) + places if low >= 0 else high - places.astype(np.int64)


def several(elements: st.SearchStrategy[Element], count: int) -> st.SearchStrategy[list[Element]]:
    """Exactly ``count`` elements."""
    return st.tuples(*[elements] * count).map(list)


def shape_of(shape: Shape) -> tuple[int, ...]:
    """The shape as a tuple."""
    return (shape,) if isinstance(shape, int) else shape


def real_values(form: Format, shape: Shape | None = None) -> st.SearchStrategy[Any]:
    """A float, or with ``shape`` a float64 array, as a quantizer to ``form`` reads it.

    Half-way between two raws (as near as binary64 comes), a raw itself, a quarter beyond one, or the float next to any
    of these on either side; around every corner of the format and up to four raws past both of its ends. Shrinks toward
    the real of raw 0.
    """
    one = _one_real(form)
    if shape is None:
        return one
    size = shape_of(shape)
    return several(one, math.prod(size)).map(lambda reals: np.array(reals, np.float64).reshape(size))


_SHARES = tuple(Fraction(share, 4) for share in (0, 2, 1, 0, -2, -1))


@lru_cache(maxsize=256)
def _one_real(form: Format) -> st.SearchStrategy[float]:
    step, top, bottom = form.raw_step, form.raw_max, form.raw_min
    ends = (form.zero_point, top, bottom, top + step, bottom - step)
    around = (
        st.sampled_from((*corners(form), top + 4 * step, bottom - 4 * step)) | st.sampled_from(ends) | any_raw(form)
    )
    return st.builds(
        lambda raw, share, nudge: _nudged(form.scale * (raw + share * form.raw_step - form.zero_point), nudge),
        around,
        st.sampled_from(_SHARES),
        st.sampled_from((0, 0, 1, -1)),
    )


def _nudged(real: Fraction, nudge: int) -> float:
    nearest = float(real)
    return math.nextafter(nearest, nudge * math.inf) if nudge else nearest
