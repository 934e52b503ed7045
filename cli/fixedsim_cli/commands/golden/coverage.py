"""``fixedsim golden coverage``: which corners of casts and tables golden sets hit."""

from pathlib import Path

import click

from fixedsim_cli.options import PATH, check_output, json_option, waive_option


@click.command("coverage")
@click.argument("folders", metavar="DIR...", type=PATH, nargs=-1, required=True)
@click.option("--html", "page", type=PATH, metavar="FILE", help="Also write a page, .html.")
@waive_option
@click.option("--require", is_flag=True, help="End with status 1 where corners are undecided.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    folders: tuple[Path, ...],
    page: Path | None,
    waive: dict[str, str],
    require: bool,
    as_json: bool,
) -> None:
    """Show which corners golden sets hit.

    Corners are the ends, ties, overflows and bits of each cast, and the entries of tables; sets are of one model. A
    corner that is not hit is out of reach, proven by bounds over all inputs and states; or waived, with a reason; or
    undecided.

    \b
    Example:
      fixedsim golden coverage vectors --html coverage.html
    """
    from fixedsim_cli.golden_tables import print_coverage
    from fixedsim_cli.output import print_json
    from fixedsim_golden.coverage import measure, to_html

    if page is not None:
        check_output(page, ".html")
    found = measure(folders, waive)
    if as_json:
        print_json([site.to_dict() for site in found])
    else:
        print_coverage(found)
    if page is not None:
        from fixedsim.files import write_atomically

        write_atomically(page, to_html(found, ", ".join(str(folder) for folder in folders)).encode())
    if require and any(site.undecided for site in found):
        ctx.exit(1)
