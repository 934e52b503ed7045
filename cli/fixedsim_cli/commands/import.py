"""``fixedsim import``: a network or an integer model from a file of another program."""

from pathlib import Path
from typing import Any

import click

from fixedsim.errors import FileError
from fixedsim_cli.options import PATH, check_output, json_option, refuse_given

_OF_NETWORKS = ("network", "gate_order", "forget_bias", "conventions", "check", "tolerance", "batch_first")


@click.command("import")
@click.argument("source", metavar="FILE", type=PATH)
@click.option("--from", "kind", metavar="KIND", help="What FILE is, where it does not tell.")
@click.option("--network", metavar="TOML", help="Layers, where FILE does not tell them: a description or a preset.")
@click.option("--gate-order", metavar="ORDER", help="How FILE stacks gates, such as ifgo.  [default: its trainer's]")
@click.option("--forget-bias", type=float, metavar="X", help="Added to forget gates at run time.  [default: FILE's]")
@click.option("--convention", "conventions", metavar="NAME", multiple=True, help="Another one, as --check names it.")
@click.option(
    "--check", type=PATH, nargs=2, metavar="INPUTS OUTPUTS", help="Compare with what the trainer gave: .npy files."
)
@click.option(
    "--tolerance",
    type=float,
    default=1e-5,
    show_default=True,
    metavar="X",
    help="Of --check: as a share of the largest output.",
)
@click.option("--batch-first", is_flag=True, help="Of --check: INPUTS are (N, T, ...).  [default: either]")
@click.option("--executor", metavar="NAME", help="Of a .tflite file: whose arithmetic, such as litert-xnnpack or tflm.")
@click.option("-o", "--output", type=PATH, metavar="OUT", help="Network or model to write, .safetensors.")
@json_option
def command(source: Path, kind: str | None, output: Path | None, as_json: bool, **choices: Any) -> None:
    """Import weights of any trainer, or an integer model.

    Says layer by layer what was understood of FILE, and under which conventions. With --check the network is run on a
    recorded input and compared with the trainer's output; where they differ, the conventions that agree are searched
    for, nothing is written, and the status is 1.

    KINDs of networks are fixedsim, bit-rnn, pytorch, keras, onnx, tensorflow, deepspeech and mapping (a TOML file that
    names .npy or .csv tensors). tflite and hls4ml (a project's folder) are integer models, which stay as their own
    program computes them; executors of .tflite files are litert-reference (the default), litert-optimized,
    litert-xnnpack, tensorflow-xnnpack, tflite-2.14-reference, tflite-2.14-optimized and tflm.

    \b
    Example:
      fixedsim import model.onnx --check x.npy y.npy -o model.safetensors
    """
    from fixedsim.importers.kinds import kind_named, kind_of

    if choices["check"] is None:
        refuse_given(("tolerance", "batch_first"), "needs --check")
    if output is not None:
        check_output(output, ".safetensors", source, choices["network"], *(choices["check"] or ()))
    found = kind_of(source) if kind is None else kind_named(kind)
    if found.gives == "model":
        if not found.recognises(source):
            raise FileError(f"{source} must be of the kind {found.name} ({found.summary}), not another")
        refuse_given(_OF_NETWORKS, f"must be left out for {source}: it is an integer model")
        _import_model(source, _needed(output), choices["executor"], as_json)
        return
    refuse_given(("executor",), f"must be left out for {source}: it is of .tflite files")
    if choices["check"] is None:
        _needed(output)
    if not _import_network(source, found.name, output, choices, as_json):
        raise SystemExit(1)


def _needed(output: Path | None) -> Path:
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output': only --check of a network can do without it")
    return output


def _import_model(source: Path, output: Path, executor: str | None, as_json: bool) -> None:
    from fixedsim.importers import import_model
    from fixedsim_cli.model_contents import model_contents, print_model
    from fixedsim_cli.output import print_json, say

    model = import_model(source, executor=executor)
    model.save(output)
    found = {"output": str(output), **model_contents(model, kernels=False)}
    if as_json:
        print_json(found)
        return
    print_model(found)
    say(f"{output}: written", apart=True)


def _import_network(source: Path, kind: str, output: Path | None, choices: dict[str, Any], as_json: bool) -> bool:
    """Import, check if asked to, and write unless the check fails; whether it passed."""
    from fixedsim.importers import import_network
    from fixedsim_cli.imported_contents import checked_file, print_checked, print_imported
    from fixedsim_cli.output import print_json, say

    keys = ("network", "gate_order", "forget_bias", "conventions")
    imported = import_network(source, kind=kind, **{key: choices[key] for key in keys})
    checked = None
    if choices["check"] is not None:
        checked = checked_file(imported, choices, shown=not as_json)
    passed = checked is None or checked.agrees
    written = output if passed else None
    if written is not None:
        imported.network.save(written)
    if as_json:
        print_json({"output": written and str(written), **imported.to_dict(), "check": checked and checked.to_dict()})
        return passed
    print_imported(imported)
    if checked is not None:
        print_checked(checked)
    if output is not None:
        say(f"{output}: {'written' if passed else 'not written'}", apart=True)
    return passed
