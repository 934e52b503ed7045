"""What quantization did to each tensor."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import to_real
from fixedsim.execution import Products, safe_bits
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim.quantization.build import Builder


def tensor_report(builder: Builder, layers: Iterable[object]) -> list[dict[str, Any]]:
    """A row for each tensor: format, range, clipped values, signal-to-noise ratio, least safe accumulator width.

    The ratio is in dB of the float tensor's power over its error's, None where there is no error (or no signal). The
    width is the widest of all rows, over every input and every prefix of the accumulation, start value included.
    """
    least = {name: int(np.max(safe_bits(products), initial=1)) for name, products in _products(layers)}
    return [*_weights(builder, least), *_biases(builder), *_states(builder)]


def _products(layers: Iterable[object]) -> Iterator[tuple[str, Products]]:
    for layer in layers:
        match layer:
            case Linear():
                yield f"{layer.name}.weight", layer.products
            case Bidirectional():
                yield from _products([layer.forward, layer.backward])
            case Lstm():
                yield f"{layer.name}.input.weight", layer.input_products
                yield f"{layer.name}.recurrent.weight", layer.recurrent_products
                if layer.projection is not None:
                    yield from _products([layer.projection])


def _weights(builder: Builder, least: dict[str, int]) -> Iterator[dict[str, Any]]:
    for name, weight in builder.weights.items():
        real = builder.real(name)
        compared = np.tanh(real) if builder.network.description.bit_rnn and name in least else real
        yield {
            "name": name,
            "shape": list(real.shape),
            "bits": weight.format.bits,
            "format": weight.format.name,
            "scales": len(set(weight.scale.tolist())),
            "scale": float(np.min(weight.scale)),
            "raw_min": int(weight.raws.min(initial=0)),
            "raw_max": int(weight.raws.max(initial=0)),
            "clipped": weight.clipped(compared),
            "snr_db": signal_to_noise(compared, weight.reals),
            "accumulator_bits": least.get(name),
        }


def _biases(builder: Builder) -> Iterator[dict[str, Any]]:
    for name, bias in builder.biases.items():
        raws = np.array(bias.raws, dtype=np.float64)
        scale = np.array([float(scale) for scale in bias.scale])
        yield {
            "name": name,
            "shape": [len(raws)],
            "bits": bias.format.bits,
            "format": bias.format.name,
            "scales": len(set(scale.tolist())),
            "scale": float(np.min(scale)),
            "raw_min": int(raws.min(initial=0)),
            "raw_max": int(raws.max(initial=0)),
            "clipped": 0,
            "snr_db": signal_to_noise(bias.real, raws * scale),
            "accumulator_bits": None,
        }


def _states(builder: Builder) -> Iterator[dict[str, Any]]:
    for name, state in builder.states.items():
        reals = to_real(state.raws, state.format)
        yield {
            "name": name,
            "shape": list(state.real.shape),
            "bits": state.format.bits,
            "format": state.format.name,
            "scales": 1,
            "scale": float(state.format.scale),
            "raw_min": int(state.raws.min(initial=0)),
            "raw_max": int(state.raws.max(initial=0)),
            "clipped": int(np.count_nonzero(np.abs(state.real - reals) > float(state.format.scale) / 2)),
            "snr_db": signal_to_noise(state.real, reals),
            "accumulator_bits": None,
        }


def signal_to_noise(real: NDArray[Any], quantized: NDArray[Any]) -> float | None:
    """``10 log10(sum(real**2) / sum((real - quantized)**2))`` in dB; None where either sum is zero."""
    signal = float(np.sum(np.square(real)))
    noise = float(np.sum(np.square(real - quantized)))
    return float(10 * np.log10(signal / noise)) if signal and noise else None
