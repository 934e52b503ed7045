"""``fixedsim golden compare``: a device's dump against a golden set."""

from pathlib import Path

import click

from fixedsim_cli.options import PATH, json_option


@click.command("compare")
@click.argument("folder", metavar="DIR", type=PATH)
@click.argument("dump", metavar="DUMP", type=PATH)
@click.option("--encoding", metavar="NAME", help="Read files of this encoding only.  [default: by their suffixes]")
@click.option("--resync", is_flag=True, help="Also play every step from the device's own values: faults stand apart.")
@click.option("--all", "every", is_flag=True, help="Show the counts of every entry, not only of those that differ.")
@click.option("--junit", "junit_file", type=PATH, metavar="FILE", help="Also write JUnit XML, .xml.")
@click.option("--plot", "plot_file", type=PATH, metavar="FILE", help="Also draw where it differs: .png, .svg.")
@click.option("--plot-entry", metavar="NAME", help="Draw the units of one entry.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path,
    dump: Path,
    encoding: str | None,
    resync: bool,
    every: bool,
    junit_file: Path | None,
    plot_file: Path | None,
    plot_entry: str | None,
    as_json: bool,
) -> None:
    """Compare a device's dump with a golden set.

    DUMP is a folder of files named as the set's entries (lstm.cell.hex), of all signals or of some, or one such file.
    The first mismatch is the first cause: earliest step, accumulator before pre-activation before gate before cell.
    Words that are missing, too wide, or hold x are mismatches. Ends with status 1 where anything differs.

    \b
    Example:
      fixedsim golden compare vectors dump --resync
    """
    from fixedsim_cli.golden_comparison import run_comparison

    if plot_entry is not None and plot_file is None:
        raise click.UsageError("--plot-entry needs --plot")
    passed = run_comparison(
        folder,
        dump,
        encoding=encoding,
        resync=resync,
        junit_file=junit_file,
        plot_file=plot_file,
        plot_entry=plot_entry,
        every=every,
        as_json=as_json,
    )
    if not passed:
        ctx.exit(1)
