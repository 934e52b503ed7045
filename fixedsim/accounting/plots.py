"""Pictures of storage and of activations, as PNG or SVG."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixedsim.accounting.account import ActivationMemory, Memory
from fixedsim.errors import DependencyError, FileError
from fixedsim.files import write_atomically

SUFFIXES = (".png", ".svg")
_BYTES_OF_KILO = 8 * 1000
INK, FILL, SECOND = "#1b3a57", "#3b78b0", "#c8d9e8"


def plot(account: Memory | ActivationMemory, path: Path | str) -> None:
    """Draw bars of each layer's storage (the paper's law, exact bits), or the live bytes over the operations.

    Raises:
        FileError: an ending other than .png and .svg, or a file that cannot be written.
        DependencyError: matplotlib is not installed.
    """
    draw(path, lambda figure: _paint(figure, account))


def draw(path: Path | str, paint: Callable[[Any], None]) -> None:
    """Write what ``paint`` puts on a matplotlib figure.

    Raises:
        FileError: an ending other than .png and .svg, or a file that cannot be written.
        DependencyError: matplotlib is not installed.
    """
    file = Path(path)
    if file.suffix not in SUFFIXES:
        raise FileError(f"{file} must end in {' or '.join(SUFFIXES)}, not {file.suffix!r}")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise DependencyError("matplotlib must be installed to draw; pip install 'fixedsim[plots]'") from None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    paint(figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    metadata = {"Date": None} if file.suffix == ".svg" else {}
    figure.savefig(stream, format=file.suffix[1:], dpi=150, metadata=metadata)
    write_atomically(file, stream.getvalue())


def _paint(figure: Any, account: Memory | ActivationMemory) -> None:
    axes = figure.add_subplot()
    if isinstance(account, Memory):
        _bars(axes, account)
    else:
        _live(axes, account)


def _bars(axes: Any, account: Memory) -> None:
    places = range(len(account.layers))
    for offset, colour, label, sizes in (
        (-0.2, SECOND, "paper's law", [layer.law_bits for layer in account.layers]),
        (0.2, FILL, "exact", [layer.total_bits for layer in account.layers]),
    ):
        heights = [bits / _BYTES_OF_KILO for bits in sizes]
        axes.bar([place + offset for place in places], heights, width=0.4, color=colour, label=label)
    axes.set_xticks(list(places), [layer.name for layer in account.layers])
    axes.set_ylabel("storage in kB")
    axes.set_title(f"{account.name}: {account.total.total_bits / _BYTES_OF_KILO:,.0f} kB", loc="left")
    axes.legend(frameon=False)


def _live(axes: Any, account: ActivationMemory) -> None:
    schedule = account.schedule
    live = [bits / _BYTES_OF_KILO for bits in schedule.live_bits]
    axes.step(range(len(live)), live, where="mid", color=FILL)
    axes.fill_between(range(len(live)), live, step="mid", color=SECOND)
    peak = schedule.peak_position
    axes.plot([peak], [live[peak]], "o", color=INK)
    text = f"{live[peak]:,.1f} kB in {schedule.operations[peak].name}"
    axes.annotate(text, (peak, live[peak]), textcoords="offset points", xytext=(0, 8), ha="center", color=INK)
    axes.set_ylim(0, 1.15 * max(live))
    begins = [
        place
        for place, each in enumerate(schedule.operations)
        if place == 0 or schedule.operations[place - 1].layer != each.layer
    ]
    axes.set_xticks(begins, [schedule.operations[place].layer for place in begins], rotation=60, ha="right", fontsize=8)
    axes.set_ylabel("live activations in kB")
    axes.set_title(f"{account.name}: {account.steps} steps, batch {account.batch}, {account.order}", loc="left")
