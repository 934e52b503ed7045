"""What Hypothesis draws for partial sums: levels, and accumulators with levels."""

from dataclasses import replace

from hypothesis import strategies as st

from fixedsim.casts import Overflow
from fixedsim.profiles.datapath import Accumulator, Grouping, Order, PartialSums


@st.composite
def levels(draw: st.DrawFn, *, widest: int = 64) -> PartialSums:
    """A level of up to 9 lanes or of tiles of up to 9 addends, or one tile of all."""
    grouping = draw(st.sampled_from(Grouping))
    least = 0 if grouping is Grouping.TILES else 1
    return PartialSums(
        grouping,
        draw(st.integers(least, 9)),
        draw(st.integers(1, widest)),
        draw(st.sampled_from(Order)),
        draw(st.sampled_from(Overflow)),
    )


def partial(accumulators: st.SearchStrategy[Accumulator], *, widest: int = 64) -> st.SearchStrategy[Accumulator]:
    """The accumulators with up to 3 levels of partial sums."""
    some = st.lists(levels(widest=widest), max_size=3).map(tuple)
    return st.tuples(accumulators, some).map(lambda drawn: replace(drawn[0], partial=drawn[1]))
