"""``fixedsim import``: an integer model from a file of another program."""

from pathlib import Path

import click

from fixedsim_cli.options import PATH, check_output, json_option


@click.command("import")
@click.argument("source", type=PATH)
@click.option("-o", "--output", type=PATH, metavar="OUT", required=True, help="Model to write, .safetensors.")
@click.option("--executor", metavar="NAME", help="Of a .tflite file: whose arithmetic, such as litert-xnnpack or tflm.")
@json_option
def command(source: Path, output: Path, executor: str | None, as_json: bool) -> None:
    """Import an integer model as its own program computes it.

    SOURCE is a .tflite file, or the folder of an hls4ml project. Executors of .tflite files are litert-reference (the
    default), litert-optimized, litert-xnnpack, tensorflow-xnnpack, tflite-2.14-reference, tflite-2.14-optimized and
    tflm; they requantize fully connected layers in different ways.

    \b
    Example:
      fixedsim import lstm.tflite --executor tflm -o lstm.safetensors
    """
    from fixedsim.importers import import_model
    from fixedsim_cli.model_contents import model_contents, print_model
    from fixedsim_cli.output import print_json, say

    check_output(output, ".safetensors", source)
    model = import_model(source, executor=executor)
    model.save(output)
    found = {"output": str(output), **model_contents(model, kernels=False)}
    if as_json:
        print_json(found)
        return
    print_model(found)
    say(f"{output}: written", apart=True)
