"""Which tensors are live when: operations that write and read them, in order, and the bits that they take together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a schedule: it reads tensors and writes tensors, which all are live while it runs."""

    name: str
    layer: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True)
class Schedule:
    """Operations in order, and the bits of each tensor.

    A tensor is live from the operation that first writes it to the one that last reads it, both included; one that
    nothing reads is live while it is written.
    """

    operations: tuple[Operation, ...]
    bits: Mapping[str, int]

    @cached_property
    def intervals(self) -> dict[str, tuple[int, int]]:
        """For each tensor the positions of its first write and of its last use."""
        found: dict[str, tuple[int, int]] = {}
        for position, operation in enumerate(self.operations):
            for name in (*operation.writes, *operation.reads):
                found[name] = (found.get(name, (position, 0))[0], position)
        return found

    @cached_property
    def live_bits(self) -> list[int]:
        """The bits that are live while each operation runs."""
        changes = [0] * (len(self.operations) + 1)
        for name, (first, last) in self.intervals.items():
            changes[first] += self.bits[name]
            changes[last + 1] -= self.bits[name]
        live, total = [], 0
        for change in changes[:-1]:
            total += change
            live.append(total)
        return live

    @property
    def peak_position(self) -> int:
        """The first operation at which most bits are live."""
        return max(range(len(self.live_bits)), key=lambda position: (self.live_bits[position], -position))

    def live_at(self, position: int) -> dict[str, int]:
        """The bits of each tensor that is live at an operation, the largest first."""
        names = (name for name, (first, last) in self.intervals.items() if first <= position <= last)
        return {name: self.bits[name] for name in sorted(names, key=lambda name: -self.bits[name])}

    def peaks(self, layers: Iterable[str]) -> dict[str, int]:
        """The most bits that are live while operations of each layer run."""
        return {
            layer: max(
                (bits for bits, each in zip(self.live_bits, self.operations, strict=True) if each.layer == layer),
                default=0,
            )
            for layer in layers
        }
