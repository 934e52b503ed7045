"""How a bench treats the streams: the percents of clocks without them, and resets in mid-stream."""

from dataclasses import dataclass

_USUAL_PERCENT, _USUAL_RESTARTS = 40, 2


@dataclass(frozen=True)
class Options:
    """What a bench does unless its user says otherwise at its start.

    ``stall`` and ``pressure`` are percents of clocks without an input and without a reader of outputs; ``restarts``
    resets in mid-stream, after each of which the set starts again.
    """

    stall: int
    pressure: int
    restarts: int

    @classmethod
    def of(cls, *, stalls: bool, backpressure: bool, restart: bool) -> "Options":
        """The usual amounts of what is switched on."""
        return cls(_USUAL_PERCENT * stalls, _USUAL_PERCENT * backpressure, _USUAL_RESTARTS * restart)
