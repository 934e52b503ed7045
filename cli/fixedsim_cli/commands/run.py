"""``fixedsim run``: a model over inputs from a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fixedsim
from fixedsim_cli.options import PATH, check_output, json_option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fixedsim.model import Model, RunResult


@click.command("run")
@click.argument("model", type=PATH)
@click.argument("inputs", type=PATH)
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="OUT",
    required=True,
    help="Results to write, .npz: raw, real, trace/*, state/*.",
)
@click.option("--trace", metavar="PATTERN", multiple=True, help="Signals to keep, by pattern.")
@click.option("--state", type=PATH, metavar="FILE", help="State to start from: .npz of --save-state or of -o.")
@click.option("--save-state", type=PATH, metavar="FILE", help="State after the last step to write, .npz.")
@click.option("--lengths", type=PATH, metavar="FILE", help="Steps of each sequence, .npy of N integers.")
@click.option("--reset", type=PATH, metavar="FILE", help="Where the state is put back first, .npy of (T, N) booleans.")
@click.option(
    "--engine",
    type=click.Choice(["kernels", "spec"]),
    default="kernels",
    show_default=True,
    help="Compiled kernels, or the scalar specification (very slow).",
)
@click.option("--threads", type=int, default=1, show_default=True, metavar="N", help="Sequences run side by side.")
@json_option
def command(
    model: Path, inputs: Path, output: Path, state: Path | None, save_state: Path | None, as_json: bool, **choices: Any
) -> None:
    """Run a model over inputs, bit for bit.

    INPUTS is a .npy file: tokens (T,) or (T, N) for an embedding, else (T, features) or (T, N, features), raws if
    integers, reals if floats.

    \b
    Example:
      fixedsim run model.safetensors inputs.npy --trace 'lstm.cell' -o outputs.npz
    """
    from fixedsim_cli.data_files import read_array, read_state, result_arrays, state_arrays, write_arrays

    read = (model, inputs, state)
    check_output(output, ".npz", *read)
    if save_state is not None:
        check_output(save_state, ".npz", *read, output)
    for name in ("lengths", "reset"):
        choices[name] = None if choices[name] is None else read_array(choices[name])
    loaded = fixedsim.load_model(model)
    values = read_array(inputs)
    result = loaded.run(values, state=None if state is None else read_state(state), **choices)
    write_arrays(output, result_arrays(result))
    if save_state is not None:
        write_arrays(save_state, state_arrays(result))
    _report(summary(loaded, result, output), as_json)


def summary(model: "Model", result: "RunResult", output: Path) -> dict[str, Any]:
    """What a run gave, without its arrays, as JSON values."""
    return {
        "output": str(output),
        "shape": list(result.real.shape),
        "format": None if model.output_format is None else model.output_format.name,
        "raws": _range(result.raw),
        "reals": _range(result.real),
        "traced": sorted(result.trace),
        "overflows": {
            name: {"values": count.values, "low": count.low, "high": count.high}
            for name, count in result.overflows.items()
        },
    }


def _range(values: "NDArray[Any] | None") -> list[float] | None:
    """The lowest and highest value; None where there are none."""
    return None if values is None or not values.size else [values.min().item(), values.max().item()]


def _ends(ends: list[float] | None) -> str:
    return (
        ""
        if ends is None
        else f"{ends[0]:.7g}..{ends[1]:.7g}"
        if isinstance(ends[0], float)
        else f"{ends[0]}..{ends[1]}"
    )


def _report(found: dict[str, Any], as_json: bool) -> None:
    from fixedsim_cli.output import Column, print_json, print_table, say, shape_text
    from fixedsim_cli.overflows import print_overflows

    if as_json:
        print_json(found)
        return
    columns = (Column("output"), Column("format"), Column("raws"), Column("reals"))
    row = (shape_text(found["shape"]), found["format"] or "float64", _ends(found["raws"]), _ends(found["reals"]))
    print_table(columns, [row])
    print_overflows(found["overflows"])
    traced = f", {len(found['traced'])} signals traced" if found["traced"] else ""
    say(f"{found['output']}: written{traced}", apart=True)
