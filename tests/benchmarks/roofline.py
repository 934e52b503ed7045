"""The least time that the measured limits leave for a workload."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.benchmarks.limits import PEAKS, Probe, has_peak, peak, reading, reading_name


@dataclass(frozen=True)
class Part:
    """One product of a workload, done ``times`` times: so many multiply-accumulates, and so many bytes to read.

    ``resident`` is the size of what is read between two readings of the same bytes: it says which cache can hold them;
    ``bytes`` if left out. ``peak`` names the instruction.
    """

    products: float
    bytes: float
    peak: str = "dot8"
    resident: float | None = None
    times: int = 1

    @property
    def array_bytes(self) -> int:
        """The size of the array that is read to find the bandwidth."""
        return int(self.bytes if self.resident is None else self.resident)


def probes(parts: Iterable[Part]) -> dict[str, Probe]:
    """The probes that the parts need, by name; none for instructions that the processor lacks."""
    found: dict[str, Probe] = {}
    for part in parts:
        if has_peak(part.peak):
            found[part.peak] = peak(part.peak)
        found[reading_name(part.array_bytes)] = reading(part.array_bytes)
    return found


def least_seconds(parts: Iterable[Part], rates: Mapping[str, float]) -> float | None:
    """The sum over the parts of the longer of computing and reading, or None where a limit was not measured."""
    total = 0.0
    for part in parts:
        computing, reading_rate = rates.get(part.peak), rates.get(reading_name(part.array_bytes))
        if computing is None or reading_rate is None:
            return None
        total += part.times * max(part.products / computing, part.bytes / reading_rate)
    return total or None


def binding(parts: Iterable[Part], rates: Mapping[str, float]) -> str:
    """The limit that takes most of the least time."""
    seconds: dict[str, float] = {}
    for part in parts:
        computing, moving = part.products / rates[part.peak], part.bytes / rates[reading_name(part.array_bytes)]
        title = PEAKS[part.peak].title if computing >= moving else f"reading {part.array_bytes / 1e6:.3g} MB"
        seconds[title] = seconds.get(title, 0.0) + part.times * max(computing, moving)
    return max(seconds, key=lambda title: seconds[title])
