"""The project's own device in Icarus Verilog, checked by the bench of a golden set."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fixedsim.errors import FixedsimError, InputError
from fixedsim_golden.device import device_sources
from fixedsim_golden.sets import GoldenSet
from fixedsim_golden.testbench.generating import own_layer, write_testbench

_VERDICT = re.compile(r"^(PASS (\d+) words compared|FAIL .*)$", re.MULTILINE)
_STANDARDS = {"verilog": "2005", "systemverilog": "2012"}


class SimulatorError(FixedsimError):
    """A simulator that is missing, that refuses the sources, or that takes too long."""


@dataclass(frozen=True)
class DeviceRun:
    """What a run of a bench said: its one line, the words that it compared, and where its dump is."""

    passed: bool
    words: int
    verdict: str
    status: int
    dump: Path | None
    log: str = field(repr=False)


@dataclass(frozen=True)
class DeviceBench:
    """A bench that is built: it can be run against the set that it is made for, and against altered copies of it."""

    folder: Path
    golden: Path

    def run(
        self,
        golden: Path | str | None = None,
        *,
        dump: Path | str | None = None,
        arguments: Sequence[str] = (),
        timeout: float = 600,
    ) -> DeviceRun:
        """Run the bench; it passed if it said so once, and nothing else, and ended with exit status 0.

        Args:
            golden: the set; None means that of the build.
            dump: a folder for what the device gave, made where it is missing.
            arguments: others for the bench, as ``+stall=30``.
            timeout: in seconds.

        Raises:
            SimulatorError: the simulator does not end in time.
        """
        options = [f"+golden={Path(golden or self.golden).resolve()}", *arguments]
        if dump is not None:
            Path(dump).mkdir(parents=True, exist_ok=True)
            options.append(f"+dump={Path(dump).resolve()}")
        done = _ran(["vvp", "-n", "bench.vvp", *options], self.folder, timeout)
        said = _VERDICT.findall(done.stdout)
        verdict, words = said[0] if len(said) == 1 else (f"FAIL {len(said)} verdicts", "")
        passed = done.returncode == 0 and bool(words)
        log = done.stdout + done.stderr
        return DeviceRun(passed, int(words or 0), verdict, done.returncode, None if dump is None else Path(dump), log)


def build_device(
    folder: Path | str,
    output: Path | str,
    *,
    language: str = "verilog",
    stalls: bool = False,
    backpressure: bool = False,
    restart: bool = False,
    defines: Sequence[str] = (),
) -> DeviceBench:
    """Write the bench of a golden set of a one-layer model, and build it with the project's own device.

    Args:
        folder: the golden set.
        output: a folder for the bench, made where it is missing.
        language: ``verilog`` or ``systemverilog``.
        stalls, backpressure, restart: as :func:`write_testbench` takes them.
        defines: of the sources, as ``FAULT_BIAS_MISSING``.

    Raises:
        InputError: another language, or a model that is not one layer of the device.
        SimulatorError: no Icarus Verilog, or one that refuses the sources.
        FileError: a damaged set, or a folder that cannot be written.
    """
    if language not in _STANDARDS:
        raise InputError(f"language of the device must be one of {', '.join(_STANDARDS)}, not {language!r}")
    if own_layer(GoldenSet.open(folder)) is None:
        raise InputError(f"model of {folder} must be one layer that the device has, not another")
    written = write_testbench(
        folder, language=language, output=output, stalls=stalls, backpressure=backpressure, restart=restart
    )
    texts = [path.name for path in written if path.suffix in (".v", ".sv")]
    command = ["iverilog", f"-g{_STANDARDS[language]}", "-s", "bench", "-o", "bench.vvp"]
    command += [*(f"-D{name}" for name in defines), *texts, *map(str, device_sources())]
    target = Path(output)
    done = _ran(command, target, 600)
    if done.returncode or done.stderr:
        raise SimulatorError(f"iverilog must build the bench without complaints, not {done.stderr[:500]!r}")
    return DeviceBench(target, Path(folder))


def run_device(
    folder: Path | str,
    output: Path | str,
    *,
    language: str = "verilog",
    stalls: bool = False,
    backpressure: bool = False,
    restart: bool = False,
) -> DeviceRun:
    """Run the project's own device on a golden set of a one-layer model; its dump is in ``dump`` of the folder.

    Raises:
        InputError, SimulatorError, FileError: as :func:`build_device` and :meth:`DeviceBench.run`.
    """
    bench = build_device(folder, output, language=language, stalls=stalls, backpressure=backpressure, restart=restart)
    return bench.run(dump=Path(output) / "dump")


def _ran(command: Sequence[str], folder: Path, timeout: float) -> "subprocess.CompletedProcess[str]":
    if shutil.which(command[0]) is None:
        raise SimulatorError(f"{command[0]} must be installed to run the device, not missing; install Icarus Verilog")
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise SimulatorError(f"{command[0]} must end within {timeout:g} s, not later") from None
