"""The format of every activation between layers: from its function, from given ranges, or from a calibration run."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.assembly.functions import RANGES
from fixedsim.errors import InputError, NetworkError
from fixedsim.formats import Format
from fixedsim.network.description import EmbeddingLayer, Layer, LinearLayer, LstmLayer
from fixedsim.network.network import Network
from fixedsim.patterns import matching
from fixedsim.profiles.profile import Profile
from fixedsim.quantization.activations import ActivationRange, RangeMethod, activation_format
from fixedsim.quantization.targets import INPUT, Widths, activation_names, edge_name


@dataclass(frozen=True)
class Calibration:
    """Inputs of a calibration run as :meth:`Network.forward` takes them, and how samples become ranges."""

    inputs: ArrayLike | None = None
    method: RangeMethod = RangeMethod.MIN_MAX
    percentile: float = 99.99  # share of samples kept by the percentile method, in per cent

    def __post_init__(self) -> None:
        if not 50 < self.percentile <= 100:
            raise InputError(f"percentile must be in (50, 100], not {self.percentile}")


class ActivationFormats:
    """Finds the format of each activation, in this order: Bit-RNN's codes, a given range, calibration, the function."""

    def __init__(
        self,
        network: Network,
        profile: Profile,
        widths: Widths,
        ranges: Mapping[str, tuple[float, float]],
        calibration: Calibration,
    ) -> None:
        self.network, self.profile, self.widths = network, profile, widths
        self.calibration = calibration
        self.names = [name for layer in network.description.layers for name in activation_names(layer)]
        if not isinstance(network.description.layers[0], EmbeddingLayer):
            self.names.insert(0, INPUT)
        self.given = ranges
        for pattern in ranges:
            matching([pattern], self.names, "range pattern")
        self.samples = {} if calibration.inputs is None else self._calibrate()

    def input(self) -> Format:
        """The format of the network's own input.

        Raises:
            NetworkError: neither a range nor a calibration run says what it is.
        """
        return self._format(INPUT, None)

    def output(self, layer: Layer) -> Format:
        """The format of a layer's output as an activation.

        Raises:
            NetworkError: no function bounds it, and neither a range nor a calibration run says what it is.
        """
        return self._format(edge_name(layer), layer)

    def hidden(self, layer: Layer) -> Format | None:
        """The format of what an LSTM's projection reads; None of layers without one.

        Raises:
            NetworkError: as :meth:`output`.
        """
        names = activation_names(layer)
        return None if len(names) == 1 else self._format(names[0], layer)

    def _format(self, name: str, layer: Layer | None) -> Format:
        bits = self.widths[name]
        rule = self.network.description.bit_rnn
        if rule and isinstance(layer, EmbeddingLayer | LstmLayer) and self._given(name) is None:
            return Format.unit(bits)
        if self.profile.activation.fixed is not None:
            return self.profile.activation.fixed.format
        reach = self._given(name) or self._sampled(name) or _known(name, layer, self.network)
        if reach is None:
            raise NetworkError(
                f"range of activation {name!r} must be given or calibrated: nothing bounds it; "
                f"give its range or calibration inputs"
            )
        return activation_format(bits, reach, self.profile)

    def _given(self, name: str) -> ActivationRange | None:
        found = None
        for pattern, (low, high) in self.given.items():
            if fnmatchcase(name, pattern):
                found = ActivationRange(float(low), float(high))
        return found

    def _calibrate(self) -> dict[str, NDArray[np.float64]]:
        assert self.calibration.inputs is not None
        signals = {name: _signals(name, layer) for layer in self._layers for name in activation_names(layer)}
        wanted = [signal for group in signals.values() for signal in group]
        trace = self.network.forward(self.calibration.inputs, trace=wanted, deterministic=True).trace
        samples = {
            name: np.concatenate([trace[signal].reshape(-1) for signal in group]).astype(np.float64)
            for name, group in signals.items()
        }
        if INPUT in self.names:
            samples[INPUT] = np.asarray(self.calibration.inputs, dtype=np.float64).reshape(-1)
        return samples

    @property
    def _layers(self) -> tuple[Layer, ...]:
        return self.network.description.layers

    def _sampled(self, name: str) -> ActivationRange | None:
        samples = self.samples.get(name)
        if samples is None or not samples.size:
            return None
        low, high = float(samples.min()), float(samples.max())
        if self.calibration.method is RangeMethod.PERCENTILE:
            rest = 100 - self.calibration.percentile
            ordered = np.sort(samples)
            ends = round(rest / 100 * (len(ordered) - 1)), round((1 - rest / 100) * (len(ordered) - 1))
            low, high = (float(ordered[end]) for end in ends)
        if low >= high:
            low, high = min(low, 0.0), max(high, low + 1.0)
        return ActivationRange(low, high, samples if self.calibration.method is RangeMethod.LEAST_SQUARES else None)


def _signals(name: str, layer: Layer) -> list[str]:
    """The signals of a float run that an activation of a layer is: those of every direction of an LSTM."""
    if not isinstance(layer, LstmLayer):
        return [name]
    return [direction + name.removeprefix(layer.name) for direction in layer.directions]


def _known(name: str, layer: Layer | None, network: Network) -> ActivationRange | None:
    """The range of an activation that a layer's own function or weights bound."""
    match layer:
        case EmbeddingLayer():
            weight = np.asarray(network.weights[f"{layer.name}.weight"], dtype=np.float64)
            low, high = float(weight.min()), float(weight.max())
            return ActivationRange(min(low, 0.0), high if high > low else low + 1.0, weight)
        case LstmLayer() if layer.cell_activation in RANGES and name.endswith(".hidden"):
            return ActivationRange(*RANGES[layer.cell_activation])
        case LinearLayer(activation="clipped_relu"):
            return ActivationRange(0.0, float(layer.clip or 1.0))
        case LinearLayer() if layer.activation in RANGES:
            return ActivationRange(*RANGES[layer.activation])
        case _:
            return None
