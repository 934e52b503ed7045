"""What a plan spends: bytes by the paper's law, exact bytes, or blocks of a memory, of all tensors or of some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from fixedsim.accounting import Arrangement, Memory, MemoryTarget, TensorMemory, memory
from fixedsim.network import Description
from fixedsim.patterns import matching
from fixedsim.profiles import Profile
from fixedsim.quantization.targets import is_weight


class Measure(StrEnum):
    """How storage is counted."""

    LAW = "law"  # bytes: each parameter takes the bits of its layer's weights
    EXACT = "exact"  # bytes: every stored tensor packed without gaps
    BLOCKS = "blocks"  # blocks of the memory


@dataclass(frozen=True)
class Costs:
    """How a configuration of a network is counted.

    ``tensors`` are patterns over the stored tensors that count, all if left out; the rest is as
    :func:`fixedsim.memory` takes it.
    """

    profile: str | Path | Profile = "fixed-point"
    activation_bits: int | None = None
    target: str | Path | MemoryTarget = "ramb36"
    arrangement: Arrangement = field(default_factory=Arrangement)
    measure: Measure = Measure.EXACT
    tensors: Sequence[str] = ()

    @property
    def unit(self) -> str:
        """What a size is counted in."""
        return "blocks" if self.measure is Measure.BLOCKS else "bytes"

    def account(self, description: Description, weight_bits: int | Mapping[str, int]) -> Memory:
        """The memory of a description with all weights at one width, or with a width for each of its layers."""
        by_layer = weight_bits if isinstance(weight_bits, Mapping) else {}
        default = weight_bits if isinstance(weight_bits, int) else None
        return memory(
            description,
            profile=self.profile,
            weight_bits=default,
            activation_bits=self.activation_bits,
            bits=tensor_bits(description, by_layer),
            target=self.target,
            arrangement=self.arrangement,
        )

    def size(self, account: Memory) -> int:
        """The size of all that counts, in bytes or blocks.

        Raises:
            InputError: a pattern that matches no stored tensor.
        """
        return self.units(self.parts(account))

    def units(self, parts: int) -> int:
        """A sum of parts in bytes or blocks."""
        return parts if self.measure is Measure.BLOCKS else -(-parts // 8)

    def parts(self, account: Memory, layer: str | None = None) -> int:
        """The bits or blocks of what counts, of one layer or of all; those of layers and tables add up to all."""
        return sum(self._part(each) for each in self._counted(account) if layer in (None, each.stored.layer))

    def values(self, account: Memory) -> int:
        """The values of the tensors that count."""
        return sum(each.stored.values for each in self._counted(account))

    def _counted(self, account: Memory) -> list[TensorMemory]:
        names = [each.stored.name for each in account.tensors]
        counted = matching(self.tensors, names, "tensor pattern") if self.tensors else frozenset(names)
        return [each for each in account.tensors if each.stored.name in counted]

    def _part(self, tensor: TensorMemory) -> int:
        match self.measure:
            case Measure.LAW:
                return tensor.law_bits
            case Measure.EXACT:
                return tensor.stored.total_bits
            case Measure.BLOCKS:
                return tensor.placement.blocks if tensor.placement else 0


def tensor_bits(description: Description, by_layer: Mapping[str, int]) -> dict[str, int]:
    """The width of every weight of the layers in ``by_layer`` by tensor, as ``bits`` of quantize takes it."""
    return {
        name: by_layer[layer.name]
        for layer in description.layers
        if layer.name in by_layer
        for name in layer.tensors()
        if is_weight(name)
    }
