"""A tiny language model in a folder, and the command line as a function."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fixedsim.network import Description, EmbeddingLayer, LinearLayer, LstmLayer, Network
from fixedsim_cli.main import main

SYMBOLS, FEATURES, UNITS = 5, 4, 3
Command = Callable[..., Result]


@pytest.fixture
def fixedsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command line in an empty folder that :func:`lay_out` filled; wrong statuses show the output."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)

    def run(*arguments: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, arguments, prog_name="fixedsim")
        assert result.exit_code == status, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


def lay_out(folder: Path) -> None:
    """Write a network with weights of sines, the same one with zeros, a vocabulary, a text and tokens."""
    tiny_network().save(folder / "net.safetensors")
    tiny_network(gain=0.0).save(folder / "zero.safetensors")
    (folder / "vocab.json").write_text(json.dumps(list("abcde")))
    (folder / "text.txt").write_text("abcdeabcdeacebd")
    np.save(folder / "tokens.npy", np.array([[0, 1], [2, 3], [4, 0], [1, 1], [3, 2], [4, 4]]))


def tiny_network(gain: float = 0.9) -> Network:
    """An embedding of 5 x 4, an LSTM of 3 units and a decoder of 5 x 3, without a random generator."""
    layers = (
        EmbeddingLayer("embedding", SYMBOLS, FEATURES),
        LstmLayer("lstm", FEATURES, UNITS),
        LinearLayer("decoder", UNITS, SYMBOLS),
    )
    description = Description("tiny", layers)
    weights = {
        name: gain * np.sin(np.arange(1.0, np.prod(shape) + 1)).reshape(shape)
        for name, shape in description.tensors().items()
    }
    return Network(description, weights)
