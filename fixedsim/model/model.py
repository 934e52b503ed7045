"""The integer network: layers in order, run, traced and saved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedsim.arrays import checked_raws
from fixedsim.errors import InputError, ModelError, nearest
from fixedsim.formats import Format
from fixedsim.layers.embedding import Embedding
from fixedsim.layers.real_layers import RealEmbedding
from fixedsim.layers.recorder import Signal
from fixedsim.model.layer_kinds import IntegerLayer, Layer, directions, input_format, output_format
from fixedsim.model.run import Run, RunResult, checked_reset, valid_steps
from fixedsim.model.stream import Stream
from fixedsim.patterns import matching

ARITHMETIC = 1  # version of docs/explanation/arithmetic.md that the kernels carry out
ENGINES = ("kernels", "spec")


@dataclass(frozen=True, eq=False)
class Model:
    """An integer network. Every layer's arithmetic is in its datapath; see docs/explanation/arithmetic.md.

    ``last`` names the LSTM layers of which only the last output goes on.
    """

    name: str
    layers: tuple[Layer, ...]
    last: frozenset[str] = frozenset()
    network: Mapping[str, Any] = field(default_factory=dict)  # the description that it was made from
    profile: Mapping[str, Any] = field(default_factory=dict)  # every choice of the profile that it was made with
    quantization: Mapping[str, Any] = field(default_factory=dict)  # widths, options and the report on each tensor

    def __post_init__(self) -> None:
        if not self.layers:
            raise ModelError("layers of a model must not be empty")
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if isinstance(after, Embedding | RealEmbedding):
                raise ModelError(f"{after.name} must be the first layer, not after {before.name}")
            given, wanted = output_format(before), input_format(after)
            if given is not None and wanted is not None and given != wanted:
                raise ModelError(
                    f"input format of {after.name} must be {given.name}, the output of {before.name}, not {wanted.name}"
                )

    @property
    def real_layers(self) -> list[str]:
        """The names of the layers left in float64; the model is bit-exact where there are none."""
        return [layer.name for layer in self.layers if not isinstance(layer, IntegerLayer)]

    @cached_property
    def signals(self) -> dict[str, Signal]:
        """Every signal that can be traced, by name."""
        integer = (layer for layer in self.layers if isinstance(layer, IntegerLayer))
        return {signal.name: signal for layer in integer for signal in layer.signals()}

    @property
    def state_names(self) -> list[str]:
        """The LSTMs that have a state, both directions of a bidirectional one."""
        return [part.name for layer in self.layers for part in directions(layer)]

    @property
    def takes_tokens(self) -> bool:
        """Whether the inputs are tokens of an embedding."""
        return isinstance(self.layers[0], Embedding | RealEmbedding)

    @property
    def input_format(self) -> Format | None:
        """The format of input raws; None for tokens and for a first layer in float64."""
        return input_format(self.layers[0])

    @property
    def output_format(self) -> Format | None:
        """The format of output raws; None for a last layer in float64."""
        return output_format(self.layers[-1])

    def run(
        self,
        inputs: ArrayLike,
        *,
        state: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        trace: str | Iterable[str] = (),
        engine: str = "kernels",
        threads: int = 1,
    ) -> RunResult:
        """Run the network, bit for bit as the datapaths say.

        Args:
            inputs: tokens ``(T, N)`` or ``(T,)`` for an embedding; else ``(T, N, features)`` or ``(T, features)``, raws
                if integers, reals if floats (quantized to the input's format, half to even, saturating).
            state: raws ``(h, c)`` by LSTM name; those left out start from the initial state.
            lengths: ``(N,)`` steps of each sequence; past them states stay and outputs mean zero.
            reset: ``(T, N)`` booleans; the state is put back before a layer reads that step of the inputs.
            trace: patterns of signal names to keep; those of layers between two reversals of time stand in the order
                in which they ran.
            engine: ``kernels``, or ``spec``: the scalar specification, very slowly.
            threads: sequences of a batch, or the two directions of one sequence, side by side; the bits stay the same.

        Raises:
            InputError: anything that does not fit the model, with what would.
        """
        if engine not in ENGINES:
            raise InputError(f"engine must be one of {', '.join(ENGINES)}, not {engine}")
        if threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        values, squeezed = self._inputs(inputs)
        steps, batch = values.shape[:2]
        unknown = sorted(set(state or {}) - set(self.state_names))
        if unknown:
            raise InputError(
                f"state {unknown[0]!r} must name an LSTM of the model{nearest(unknown[0], self.state_names)}"
            )
        job = Run(
            layers=self.layers,
            last=self.last,
            engine=engine,
            wanted=matching(trace, list(self.signals), "trace pattern"),
            state=state or {},
            valid=valid_steps(lengths, steps, batch),
            lengths=None if lengths is None else np.asarray(lengths, dtype=np.int64),
            reset=checked_reset(reset, steps, batch),
            threads=threads,
        )
        result = job.over_batch(values)
        if squeezed:
            result.values = result.values[:, 0]
        if self.last:
            result.values = result.values[0]
        return result

    def stream(self, batch: int = 1) -> Stream:
        """The network fed step by step, for ``batch`` sequences side by side.

        Raises:
            InputError, ModelError: see :class:`Stream`.
        """
        return Stream(self, batch)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file: integer tensors, and all the rest as JSON in its metadata; in one step.

        Raises:
            FileError: the file cannot be written.
        """
        from fixedsim.model.store import save_model  # the store builds models, so it stands above this file

        save_model(self, Path(path))

    def _inputs(self, inputs: ArrayLike) -> tuple[NDArray[Any], bool]:
        values = np.asarray(inputs)
        axes = 2 if self.takes_tokens else 3
        if values.ndim not in (axes - 1, axes):
            wanted = "tokens (T,) or (T, N)" if self.takes_tokens else "(T, features) or (T, N, features)"
            raise InputError(f"inputs must be {wanted}, not of shape {values.shape}")
        squeezed = values.ndim == axes - 1
        if squeezed:
            values = values[:, None]
        if self.takes_tokens:
            if values.dtype.kind not in "iu":
                raise InputError(f"tokens must be integers, not {values.dtype}")
            return values.astype(np.int64), squeezed
        if values.dtype.kind == "f":
            return values.astype(np.float64), squeezed
        form = self.input_format
        if form is None:
            raise InputError(f"inputs of a layer in float64 must be floats, not {values.dtype}")
        return checked_raws(values, form, "inputs"), squeezed
