"""Write a self-checking test bench of a golden set into a folder."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fixedsim.errors import FileError, InputError, ModelError, nearest
from fixedsim.layers.bidirectional import Bidirectional
from fixedsim.layers.linear import Linear
from fixedsim.layers.lstm import Lstm
from fixedsim_golden.device import device_files, device_parameters, hex_words
from fixedsim_golden.device.memories import Layer
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.testbench.options import Options
from fixedsim_golden.testbench.plan import Plan, is_plain, plan
from fixedsim_golden.testbench.python import cocotb_bench
from fixedsim_golden.testbench.verilog import device_body, empty_body, verilog_adapter, verilog_bench
from fixedsim_golden.testbench.vhdl import vhdl_adapter, vhdl_bench

Texts = dict[str, str]  # files by their names
MEMORIES = "memories"
ADAPTER = "device_adapter"
_DEFINE = f'`ifndef MEMORIES\n`define MEMORIES "{MEMORIES}"  // the folder of the memory files\n`endif'


def write_testbench(
    folder: Path | str,
    *,
    language: str,
    output: Path | str,
    stalls: bool = False,
    backpressure: bool = False,
    restart: bool = False,
    signals: Sequence[str] | None = None,
) -> list[Path]:
    """Write a bench and an adapter of a golden set, and return the files.

    The adapter is complete where the model is one layer that the project's own device has, and the language is not
    VHDL. Else it is a template, which is not written again where it is there already.

    Args:
        folder: the golden set, with files in the encoding ``hex`` or ``bin``.
        language: ``verilog``, ``systemverilog``, ``vhdl`` or ``cocotb``.
        output: a folder, made where it is missing.
        stalls, backpressure, restart: whether the bench leaves out inputs, makes outputs wait, and resets the device
            in mid-stream; each can also be chosen when it is run.
        signals: patterns of the internal signals that the bench compares; None means all of the project's own
            device, and none of another.

    Raises:
        InputError: an unknown language, or a set or a path that no bench can read.
        FileError: a damaged set, or a folder that cannot be written.
    """
    if language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise InputError(f"language must be one of {known}, not {language!r}{nearest(language, LANGUAGES)}")
    golden, target = GoldenSet.open(folder), Path(output)
    layer = None if language == "vhdl" else own_layer(golden)
    chosen = plan(golden, _signals(golden, layer) if signals is None else signals)
    options = Options.of(stalls=stalls, backpressure=backpressure, restart=restart)
    texts = LANGUAGES[language](chosen, options, _found_from(target, golden.folder))
    adapter = _adapter(chosen, layer, language)
    try:
        kept = [] if layer else [name for name in adapter if (target / name).exists()]
        return _written(target, {name: text for name, text in (texts | adapter).items() if name not in kept})
    except OSError as error:
        reason = (error.strerror or "unwritable").lower()
        raise FileError(f"{target} must be a folder that can be written, not {reason!r}") from None


def own_layer(golden: GoldenSet) -> Layer | None:
    """The layer of a set's model, if it is the only one and the project's own device has it; None otherwise."""
    model = golden.model
    (layer, *others) = model.layers
    if others or model.last or not isinstance(layer, Linear | Lstm | Bidirectional):
        return None
    streams = [entry for entry in golden.manifest.entries if entry.role in ("input", "output", "initial_state")]
    try:
        device_parameters(layer)
    except ModelError:
        return None
    return layer if all(map(is_plain, streams)) else None


def _signals(golden: GoldenSet, layer: Layer | None) -> Sequence[str]:
    held = any(entry.role == "signal" for entry in golden.manifest.entries)
    return ("*",) if layer is not None and held else ()


def _found_from(output: Path, folder: Path) -> str:
    """The path of the set from the folder of the bench.

    Raises:
        InputError: a path that source text cannot hold.
    """
    found = Path(os.path.relpath(folder.resolve(), output.resolve())).as_posix()
    if not found.isascii() or not found.isprintable() or set(found) & set('"\\%'):
        raise InputError(f"path of a golden set must be of plain characters for a bench, not {found!r}")
    return found


def _verilog(chosen: Plan, options: Options, golden: str) -> Texts:
    return {"bench.v": verilog_bench(chosen, options, golden, "verilog")}


def _systemverilog(chosen: Plan, options: Options, golden: str) -> Texts:
    return {"bench.sv": verilog_bench(chosen, options, golden, "systemverilog")}


def _vhdl(chosen: Plan, options: Options, golden: str) -> Texts:
    return {"bench.vhd": vhdl_bench(chosen, options, golden)}


def _cocotb(chosen: Plan, options: Options, golden: str) -> Texts:
    return {"bench.py": cocotb_bench(chosen, options, golden)}


LANGUAGES: Mapping[str, Callable[[Plan, Options, str], Texts]] = {
    "verilog": _verilog,
    "systemverilog": _systemverilog,
    "vhdl": _vhdl,
    "cocotb": _cocotb,
}


def _adapter(chosen: Plan, layer: Layer | None, language: str) -> Texts:
    """The adapter, and the memory files of the project's own device."""
    if language == "vhdl":
        return {f"{ADAPTER}.vhd": vhdl_adapter(chosen)}
    if layer is None:
        return {f"{ADAPTER}.v": verilog_adapter(chosen, empty_body(chosen))}
    memories = {f"{name}.hex": hex_words(*codes) for name, codes in device_files(layer).items()}
    files = {f"{Path(name).stem.upper()}_FILE": name for name in memories}
    text = verilog_adapter(chosen, device_body(chosen, layer, files))
    return {f"{ADAPTER}.v": f"{_DEFINE}\n{text}", **{f"{MEMORIES}/{name}": text for name, text in memories.items()}}


def _written(target: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write the files into a folder, and return their paths."""
    found = []
    for name, text in texts.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        found.append(path)
    return found
