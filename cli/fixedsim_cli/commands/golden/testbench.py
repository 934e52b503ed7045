"""``fixedsim golden testbench``: a self-checking test bench of a golden set."""

from pathlib import Path

import click

from fixedsim_cli.options import PATH


@click.command("testbench")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option(
    "-o", "--output", type=PATH, metavar="FOLDER", required=True, help="Folder for the bench and its adapter."
)
@click.option(
    "--language",
    type=click.Choice(["verilog", "systemverilog", "vhdl", "cocotb"]),
    default="verilog",
    show_default=True,
    help="Language of the bench.",
)
@click.option("--stalls", is_flag=True, help="Leave out inputs at random.")
@click.option("--backpressure", is_flag=True, help="Make outputs wait at random.")
@click.option("--restart", is_flag=True, help="Reset the device in mid-stream, and start the set again.")
@click.option("--signals", metavar="PATTERN", multiple=True, help="Internal signals to compare over the trace port.")
def command(
    folder: Path,
    output: Path,
    language: str,
    stalls: bool,
    backpressure: bool,
    restart: bool,
    signals: tuple[str, ...],
) -> None:
    """Write a self-checking test bench.

    It drives the module device_adapter, a thin piece that you complete for your ports; for a layer of the device under
    golden/rtl it is complete. The bench prints one line, PASS with the count of compared words or FAIL with the first
    mismatch, and ends with a real exit status; files that are missing, short or over-wide fail it.

    \b
    Example:
      fixedsim golden testbench vectors -o bench --stalls
    """
    from fixedsim_cli.output import say
    from fixedsim_golden.testbench import write_testbench

    written = write_testbench(
        folder,
        language=language,
        output=output,
        stalls=stalls,
        backpressure=backpressure,
        restart=restart,
        signals=signals or None,
    )
    for path in written:
        say(str(path))
