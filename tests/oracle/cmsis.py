"""Replay of cases of CMSIS-NN, from its unit tests and its C code on a host: LSTM, fully connected, activations."""

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixedsim.arrays import activate
from fixedsim.assembly import LinearTensors, LstmTensors, RawBias, RawMatrix, assemble_linear, assemble_lstm
from fixedsim.assembly.tensors import overrides
from fixedsim.formats import Format
from fixedsim.layers.lstm import Lstm
from fixedsim.model import Model
from fixedsim.profiles.datapath import FixedFunction, Function
from fixedsim.profiles.profile import Profile, load_profile
from tests.oracle.results import Comparison, Result

Arrays = Mapping[str, NDArray[Any]]
Constants = tuple[int, int]
GATES = {"i": "input", "f": "forget", "c": "candidate", "o": "output"}
_SHORT = (1 << 15) - 1
_Q15 = Format.parse("s0.15")


def recognises(description: Mapping[str, Any]) -> bool:
    """Whether a JSON description is of this kind."""
    return "normalized" in description


def recognises_sweep(names: set[str]) -> bool:
    """Whether arrays are a sweep of activations."""
    return "v" in names and any(name.startswith(("sigmoid_ls", "tanh_ls")) for name in names)


def replay_sweep(path: Path) -> list[Result]:
    """Compare the activation of every input."""
    comparison = Comparison("cmsis", path.stem)
    with np.load(path) as recorded:
        for name in recorded:
            if "_ls" in name:
                function, _, shift = name.partition("_ls")
                activation = FixedFunction(_Q15, Function(f"cmsis_{function}"), int(shift))
                comparison.compare(name, activate(recorded["v"], activation), recorded[name])
    return comparison.rows


def recognises_table(names: set[str]) -> bool:
    """Whether arrays are the table alone."""
    return names == {"sigmoid_table_uint16"}


def replay_table(path: Path) -> list[Result]:
    """Compare the entries of the table, read where the interpolation falls on an entry."""
    comparison = Comparison("cmsis", path.stem)
    from fixedsim.spec.functions import CMSIS_TABLE

    with np.load(path) as recorded:
        comparison.compare("sigmoid_table_uint16", CMSIS_TABLE, recorded["sigmoid_table_uint16"])
    return comparison.rows


def replay(path: Path) -> list[Result]:
    """Compare every recorded integer of a case, given its JSON description beside its arrays."""
    description = json.loads(path.read_text())
    with np.load(path.with_suffix(".npz")) as arrays:
        recorded = dict(arrays)
    comparison = Comparison("cmsis", path.stem)
    kind, choices = description["kind"], description["normalized"]
    if kind.startswith("lstm"):
        _replay_lstm(choices, recorded, comparison, wide=kind.endswith("s16"))
    else:
        _replay_linear(choices, recorded, comparison, kind)
    return comparison.rows


def _doubling(multiplier: int, shift: int) -> Constants:
    return multiplier, 31 - shift


def _short(multiplier: int, shift: int) -> Constants:
    return min((multiplier + (1 << 15)) >> 16, _SHORT), 15 - shift


def _matrix(raws: NDArray[Any], bits: int = 8) -> RawMatrix:
    return RawMatrix(raws, Format.integer(bits), [Fraction(1, 4096)] * len(raws))


def _lstm(choices: Mapping[str, Any], recorded: Arrays, *, wide: bool) -> Lstm:
    """The layer that the constants of a case describe."""
    profile = load_profile("cmsis-nn-s16" if wide else "cmsis-nn")
    bits = 16 if wide else 8
    gate_constants = _short if wide else _doubling
    cell = Format.integer(16).with_scale(Fraction(2) ** choices["cell_scale_pow2"])
    clip = choices["cell_clip"]
    written = cell if clip <= 0 else Format(16, -clip, clip, scale=cell.scale)
    constants = {
        "lstm.forget_product": _doubling(choices["f2c_mult"], choices["f2c_shift"]),
        "lstm.input_product": _doubling(choices["i2c_mult"], choices["i2c_shift"]),
        "lstm.hidden": _doubling(choices["out_mult"], choices["out_shift"]),
    }
    for letter, gate in GATES.items():
        own = choices["gates"][letter]
        constants[f"lstm.gate.{gate}.input_sum"] = gate_constants(own["x_mult"], own["x_shift"])
        constants[f"lstm.gate.{gate}.recurrent_sum"] = gate_constants(own["r_mult"], own["r_shift"])
    formats = {
        "lstm.cell": written,
        "lstm.forget_product": cell,
        "lstm.input_product": Format.integer(32).with_scale(cell.scale),
    }
    return assemble_lstm(
        "lstm",
        LstmTensors(
            _matrix(_stacked("W", recorded)),
            _matrix(_stacked("R", recorded)),
            RawBias(_stacked("b", recorded), Format.integer(62 if wide else 32)),
            Format.affine(bits, Fraction(1), -choices["input_offset"]),
            Format.affine(bits, Fraction(1), choices["output_zp"]),
            cell_state=cell,
        ),
        profile,
        overrides(formats, constants),
    )


def _stacked(kind: str, recorded: Arrays) -> NDArray[Any]:
    return np.concatenate([recorded[f"{kind}_{letter}"] for letter in "ifco"]).astype(np.int64)


def _replay_lstm(choices: Mapping[str, Any], recorded: Arrays, comparison: Comparison, *, wide: bool) -> None:
    layer = _lstm(choices, recorded, wide=wide)
    model = Model("case", (layer,))
    x = recorded["x"].astype(np.int64)
    steps_first = choices["time_major"]
    if x.ndim == 3:  # one run without a state
        result = model.run(x if steps_first else np.moveaxis(x, 0, 1))
        assert result.raw is not None
        comparison.compare("y", result.raw if steps_first else np.moveaxis(result.raw, 0, 1), recorded["y"])
        return
    for run in range(len(x)):
        given = x[run] if steps_first else np.moveaxis(x[run], 0, 1)
        state = {"lstm": (recorded["h0"][run].astype(np.int64), recorded["c0"][run].astype(np.int64))}
        result = model.run(given, state=state)
        assert result.raw is not None
        comparison.compare(
            f"y[{run}]", result.raw if steps_first else np.moveaxis(result.raw, 0, 1), recorded["y"][run]
        )
        for key, found in zip(("hT", "cT"), result.state["lstm"], strict=True):
            comparison.compare(f"{key}[{run}]", found, recorded[key][run])


def _replay_linear(choices: Mapping[str, Any], recorded: Arrays, comparison: Comparison, kind: str) -> None:
    profile, wide = load_profile("cmsis-nn"), kind.endswith("s16")
    bits, offsets = (16, (0, 0, 0)) if wide else (8, tuple(choices[name] for name in _OFFSETS))
    output = Format(bits, choices["act_min"], choices["act_max"], zero_point=offsets[2])
    weight = recorded["W"].astype(np.int64)
    if "W_packed" in recorded:
        comparison.compare("W_packed", unpacked_nibbles(recorded["W_packed"], weight.size), weight.reshape(-1))
    layer = assemble_linear(
        "fc",
        LinearTensors(
            RawMatrix(
                weight,
                Format.affine(4 if kind.endswith("s4") else 8, Fraction(1), -offsets[1]),
                [Fraction(1, 4096)] * len(weight),
            ),
            RawBias(recorded["b"].astype(np.int64), Format.integer(62 if wide else 32)),
            Format.affine(bits, Fraction(1), -offsets[0]),
            output,
        ),
        profile,
        _row_constants(choices, len(weight), wide=wide),
    )
    comparison.compare("y", _run(layer, recorded["x"], profile), recorded["y"])


_OFFSETS = ("input_offset", "filter_offset", "output_offset")


def _row_constants(choices: Mapping[str, Any], rows: int, *, wide: bool) -> Any:
    pairs = zip(choices["mult"], choices["shift"], strict=True)
    constants = np.array([(_short if wide else _doubling)(*pair) for pair in pairs])
    by_row = np.broadcast_to(constants, (rows, 2))
    return overrides(constants={"fc.weight": (by_row[:, 0], by_row[:, 1])})  # type: ignore[dict-item]


def _run(layer: Any, x: NDArray[Any], profile: Profile) -> NDArray[Any]:
    result = Model("case", (layer,), profile=profile.to_dict()).run(x.astype(np.int64))
    assert result.raw is not None
    return result.raw


def unpacked_nibbles(packed: NDArray[Any], count: int) -> NDArray[Any]:
    """4-bit two's complement integers, two to a byte, the low nibble first."""
    octets = packed.astype(np.uint8)
    nibbles = np.stack([octets & 15, octets >> 4], axis=1).reshape(-1)[:count].astype(np.int64)
    return np.where(nibbles > 7, nibbles - 16, nibbles)
