"""The memory of a network or a model: three ways to count each tensor, and what a time step computes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fixedsim.accounting.activations import activation_schedule, sized_layers
from fixedsim.accounting.blocks import Arrangement, Placement, blocks
from fixedsim.accounting.described import Choices, described, described_layers
from fixedsim.accounting.lifetimes import Schedule
from fixedsim.accounting.products import MatrixProduct, layer_products
from fixedsim.accounting.targets import MemoryTarget, load_memory
from fixedsim.errors import InputError
from fixedsim.formats import MAX_BITS
from fixedsim.model import Model, StoredTensor, stored_tensors
from fixedsim.model.storage import FLOAT_BITS, Kind
from fixedsim.network import Description, Network
from fixedsim.patterns import matching
from fixedsim.profiles.profile import Profile, load_profile
from fixedsim.quantization.quantize import default_bits
from fixedsim.quantization.targets import Widths
from fixedsim.widening import widened_description


@dataclass(frozen=True)
class TensorMemory:
    """One stored tensor in three ways.

    ``law_bits`` is the paper's law: a parameter takes the bits of its layer's weights, tables and constants nothing.
    ``stored.total_bits`` is the exact count, packed without gaps. ``placement`` is what it takes of a memory, None for
    a single value, which is a register.
    """

    stored: StoredTensor
    law_bits: int
    placement: Placement | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.stored.name,
            "layer": self.stored.layer,
            "kind": str(self.stored.kind),
            "shape": list(self.stored.shape),
            "bits": self.stored.bits,
            "law_bits": self.law_bits,
            "total_bits": self.stored.total_bits,
            **({} if self.placement is None else asdict(self.placement)),
        }


@dataclass(frozen=True)
class LayerMemory:
    """The sums over one layer (or over the tables); ``macs`` and ``bit_operations`` are those of one time step."""

    name: str
    parameters: int
    law_bits: int
    total_bits: int
    blocks: int
    macs: int
    bit_operations: int


@dataclass(frozen=True)
class Memory:
    """What a network stores and computes; see :func:`memory`."""

    name: str
    tensors: tuple[TensorMemory, ...]
    products: tuple[MatrixProduct, ...]
    target: MemoryTarget

    @cached_property
    def layers(self) -> tuple[LayerMemory, ...]:
        """The sums over each layer in order, the tables last."""
        names = dict.fromkeys(tensor.stored.layer for tensor in self.tensors)
        return tuple(self._layer(name) for name in names)

    @cached_property
    def total(self) -> LayerMemory:
        """The sums over everything."""
        return self._layer(None)

    def _layer(self, name: str | None) -> LayerMemory:
        tensors = [each for each in self.tensors if name in (None, each.stored.layer)]
        products = [each for each in self.products if name in (None, each.layer)]
        return LayerMemory(
            name or self.name,
            sum(each.stored.values for each in tensors if each.stored.kind in (Kind.WEIGHT, Kind.BIAS)),
            sum(each.law_bits for each in tensors),
            sum(each.stored.total_bits for each in tensors),
            sum(each.placement.blocks for each in tensors if each.placement),
            sum(each.macs for each in products),
            sum(each.bit_operations for each in products),
        )

    def require_fit(self) -> None:
        """Refuse what takes more blocks than the memory has.

        Raises:
            InputError: too many blocks, with how many there are.
        """
        available, needed = self.target.available, self.total.blocks
        if available is not None and needed > available:
            raise InputError(
                f"memory {self.target.name} must have {needed:,} {self.target.block} for {self.name}, not {available:,}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "memory": self.target.name,
            "block": self.target.block,
            "available": self.target.available,
            "total": asdict(self.total),
            "layers": [asdict(layer) for layer in self.layers],
            "tensors": [tensor.to_dict() for tensor in self.tensors],
        }


def memory(
    source: Description | Network | Model,
    *,
    profile: str | Path | Profile = "fixed-point",
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    bias_bits: int | None = None,
    bits: Mapping[str, int] | None = None,
    keep_float: Sequence[str] = (),
    widen: Mapping[str, float] | None = None,
    target: str | Path | MemoryTarget = "ramb36",
    arrangement: Arrangement | None = None,
) -> Memory:
    """Count what a network stores: weights, biases, tables and constants of requantization, tensor by tensor.

    Args:
        source: a description or a network, counted as the integer model that quantization would make of it (no weight
            is read), or a model, counted as it is.
        profile: the arithmetic, which says what stands beside the weights.
        weight_bits: width of every weight, 1..16; a Bit-RNN description's own, else 8, if left out.
        activation_bits: width of every activation, likewise.
        bias_bits: width of every bias, 1..64; the profile's if left out.
        bits: widths by pattern over tensors, activations and casts; the last pattern that matches counts.
        keep_float: patterns of layers that stay in float, 32 bits a parameter.
        widen: factors by pattern over layers, as :func:`fixedsim.widened_description` takes them.
        target: the memory: a name, a TOML file, ``sram:WORDSxBITS`` or a value.
        arrangement: how values stand in the words of the memory.

    Raises:
        InputError: a width out of range, a pattern that matches nothing, a width for a layer that stays in float, or
            any of the choices for a model, which has them already.
        NetworkError, ProfileError, ModelError: a network that the profile cannot have.
        FileError: a memory's file that is not usable.
    """
    found = target if isinstance(target, MemoryTarget) else load_memory(target)
    how = arrangement or Arrangement()
    if isinstance(source, Model):
        _refuse_choices(weight_bits, activation_bits, bias_bits, bits or None, keep_float or None, widen or None)
        stored = stored_tensors(source)
        products = [product for layer in source.layers for product in layer_products(layer)]
        name = source.name
    else:
        description, choices = _resolved(
            source, profile, (weight_bits, activation_bits, bias_bits), bits or {}, keep_float, widen
        )
        stored, products = described(description, choices)
        name = description.name
    laws = _laws(stored)
    tensors = [TensorMemory(each, law, _placed(found, each, how)) for each, law in zip(stored, laws, strict=True)]
    return Memory(name, tuple(tensors), tuple(products), found)


@dataclass(frozen=True)
class ActivationMemory:
    """The activations of a network over time; see :func:`activations`.

    ``law`` is the same schedule by the paper's law, run-time memory with k/32 of fp32: every value takes the bits of
    the activations that its layer reads (the first layer's output, where it reads tokens).
    """

    name: str
    schedule: Schedule
    law: Schedule
    steps: int
    batch: int
    order: str

    @property
    def peak_bits(self) -> int:
        """The most bits that are live at once."""
        return self.schedule.live_bits[self.schedule.peak_position]

    @property
    def law_peak_bits(self) -> int:
        """The most bits that are live at once by the paper's law."""
        return self.law.live_bits[self.law.peak_position]

    @property
    def layers(self) -> dict[str, int]:
        """The most bits that are live while each layer runs."""
        return self._peaks(self.schedule)

    @property
    def law_layers(self) -> dict[str, int]:
        """The same by the paper's law."""
        return self._peaks(self.law)

    @staticmethod
    def _peaks(schedule: Schedule) -> dict[str, int]:
        return schedule.peaks(dict.fromkeys(each.layer for each in schedule.operations))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        peak = self.schedule.peak_position
        return {
            "steps": self.steps,
            "batch": self.batch,
            "order": self.order,
            "peak_bits": self.peak_bits,
            "law_peak_bits": self.law_peak_bits,
            "peak": self.schedule.operations[peak].name,
            "live_at_peak": self.schedule.live_at(peak),
            "layers": self.layers,
            "law_layers": self.law_layers,
        }


def activations(
    source: Description | Network | Model,
    *,
    steps: int,
    batch: int = 1,
    order: str = "sequence",
    profile: str | Path | Profile = "fixed-point",
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    bits: Mapping[str, int] | None = None,
    widen: Mapping[str, float] | None = None,
) -> ActivationMemory:
    """The memory of activations as a schedule of the general step: which tensors are live when, and the peak.

    Args:
        source: a description, a network or a model, as :func:`memory` takes them.
        steps: time steps of a sequence.
        batch: sequences in lock step.
        order: ``sequence``, each layer over the whole sequence, or ``streaming``, each step through all layers up to a
            bidirectional one, which collects its sequence.
        profile: as :func:`memory`, and so the rest.

    Raises:
        InputError: steps or batch below 1, an unknown order, a model with layers in float, and as :func:`memory`.
    """
    if isinstance(source, Model):
        _refuse_choices(weight_bits, activation_bits, bits or None, widen or None)
        layers, name = sized_layers(source), source.name
    else:
        description, choices = _resolved(source, profile, (weight_bits, activation_bits, None), bits or {}, (), widen)
        layers, name = described_layers(description, choices), description.name
    by_law = [replace(layer, law=True) for layer in layers]
    schedule, law = (activation_schedule(each, steps=steps, batch=batch, order=order) for each in (layers, by_law))
    return ActivationMemory(name, schedule, law, steps, batch, str(order))


def _refuse_choices(*given: object) -> None:
    if any(each is not None for each in given):
        raise InputError("bits, float layers and wider layers must be left out for a model: it has its own")


def _resolved(
    source: Description | Network,
    profile: str | Path | Profile,
    widths: tuple[int | None, int | None, int | None],
    bits: Mapping[str, int],
    keep_float: Sequence[str],
    widen: Mapping[str, float] | None,
) -> tuple[Description, Choices]:
    """The description, wider where asked for, and how it becomes integers."""
    description = source.description if isinstance(source, Network) else source
    description = widened_description(description, widen) if widen else description
    return description, _choices(description, profile, widths, bits, keep_float)


def _choices(
    description: Description,
    profile: str | Path | Profile,
    widths: tuple[int | None, int | None, int | None],
    bits: Mapping[str, int],
    keep_float: Sequence[str],
) -> Choices:
    loaded = load_profile(profile)
    if widths[2] is not None and not 1 <= widths[2] <= MAX_BITS:
        raise InputError(f"bias_bits must be in 1..{MAX_BITS}, not {widths[2]}")
    resolved = Widths(description, *default_bits(description, loaded, widths[0], widths[1]), bits)
    kept = matching(keep_float, [layer.name for layer in description.layers], "keep-float pattern")
    for layer in description.layers:
        both = sorted(resolved.overridden.keys() & layer.tensors().keys())
        if layer.name in kept and both:
            raise InputError(f"bits of {both[0]} must be left out, for {layer.name} stays in float")
    return Choices(loaded, resolved, widths[2], kept, coded=description.bit_rnn is not None)


def _laws(stored: Sequence[StoredTensor]) -> list[int]:
    """The paper's law for each tensor: parameters times the bits of the layer's weights, those before them."""
    laws, weight_bits = [], FLOAT_BITS
    for tensor in stored:
        weight_bits = tensor.bits if tensor.kind is Kind.WEIGHT else weight_bits
        laws.append(tensor.values * weight_bits if tensor.kind in (Kind.WEIGHT, Kind.BIAS) else 0)
    return laws


def _placed(target: MemoryTarget, tensor: StoredTensor, arrangement: Arrangement) -> Placement | None:
    if tensor.values == 1:
        return None
    columns = tensor.shape[-1]
    return blocks(target, tensor.values // columns, columns, tensor.bits, arrangement)
