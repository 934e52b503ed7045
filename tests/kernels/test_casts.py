"""Every cast from integers of up to 8 bits to formats of up to 8 bits, against the scalar specification."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from fixedsim import arrays
from fixedsim.casts import Overflow, Rounding
from fixedsim.formats import Format
from fixedsim.profiles.datapath import Narrowing
from fixedsim.spec import casts
from tests.kernels.engines import Engine, acted, possible, unlimited

pytestmark = [pytest.mark.kernels, pytest.mark.filterwarnings("error::RuntimeWarning")]

Record = Callable[[str, object], None]
SOURCES = list(range(-128, 256))  # every signed and every unsigned integer of up to 8 bits
FAR = 1 << 62  # with it in the row, no element takes the loop without branches


def grid(rounding: Rounding) -> Iterator[Narrowing]:
    """Every target, overflow and shift."""
    for bits in range(1, 9):
        forms = [Format.integer(bits), Format.integer(bits, signed=False), Format.odd(bits)]
        if bits > 1:
            forms.append(Format.integer(bits, narrow=True))
        for form in forms:
            for mode in Overflow:
                if possible(form, mode):
                    for shift in range(-2, 10):
                        yield Narrowing(form, rounding, mode, shift)


def check(engine: Engine, narrowing: Narrowing, values: list[int]) -> int:
    """Compare raws and counts over ``values``; return how many raws were compared."""
    expected = [
        casts.cast(value, narrowing.shift, narrowing.format, narrowing.rounding, narrowing.overflow) for value in values
    ]
    overs = [acted(unlimited(value, narrowing, 1, narrowing.shift), narrowing) for value in values]
    out, counts = np.empty((1, len(values)), np.int64), np.zeros(2, np.int64)
    shifts = np.full(len(values), narrowing.shift)
    packed = arrays.pack_narrowing(narrowing)
    engine.elementwise.narrow_rows(np.array([values]), np.ones_like(shifts), shifts, packed, out, counts)
    assert out[0].tolist() == expected, narrowing
    assert counts.tolist() == [overs.count(-1), overs.count(1)], narrowing
    return len(values)


@pytest.mark.parametrize("rounding", Rounding)
def test_small_casts_share(engine: Engine, rounding: Rounding, record_property: Record) -> None:
    every = 11 if engine.name == "compiled" else 67  # neither divides the 12 shifts: each choice is met with each
    chosen = [narrowing for position, narrowing in enumerate(grid(rounding)) if position % every == 0]
    compared = sum(check(engine, narrowing, SOURCES) for narrowing in chosen)
    compared += sum(check(engine, narrowing, [*SOURCES[::5], FAR]) for narrowing in chosen)
    record_property("comparisons", compared)
    assert compared > 1000


@pytest.mark.slow
@pytest.mark.parametrize("rounding", Rounding)
def test_small_casts_all(engine: Engine, rounding: Rounding, record_property: Record) -> None:
    compared = sum(
        check(engine, narrowing, values) for narrowing in grid(rounding) for values in (SOURCES, [*SOURCES, FAR])
    )
    record_property("comparisons", compared)
    print(f"{engine.name} {rounding}: {compared} comparisons")
    assert compared > 700_000
