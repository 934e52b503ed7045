"""The demo does its whole job and notices when a kernel is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim import load_model
from fixedsim.demo import CHECKED_TOKENS, DemoRow, demo, draw
from fixedsim.errors import ModelError
from fixedsim.layers.lstm import Lstm


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[DemoRow], Path, list[tuple[int, int]]]:
    folder = tmp_path_factory.mktemp("demo") / "new"
    seen: list[tuple[int, int]] = []
    return demo(folder, lambda done, total: seen.append((done, total))), folder, seen


def test_every_model_is_written_and_loads(rows: tuple[list[DemoRow], Path, list[tuple[int, int]]]) -> None:
    found, folder, seen = rows
    assert seen == [(done, len(found)) for done in range(len(found) + 1)]
    assert {path.name for path in folder.iterdir()} == {row.file for row in found}
    model = load_model(folder / found[-1].file)
    assert model.run(np.array([1, 2, 3])).real.shape == (3, 66)


def test_the_figures(rows: tuple[list[DemoRow], Path, list[tuple[int, int]]]) -> None:
    found = {(row.training, row.weight_bits, row.activation_bits): row for row in rows[0]}
    full, few = found["float", 16, 16], found["float", 4, 8]
    assert full.perplexity == pytest.approx(full.reference, rel=1e-3)
    assert full.reference == pytest.approx(5.2441, abs=1e-4)  # docs/studies/char_lm.md, computed by another program
    assert few.storage_bytes == (4 * (66 * 64 + 400 * 164 + 66 * 100) + 32 * 466) // 8
    assert found["Bit-RNN", 2, 2].perplexity == pytest.approx(6.4564, rel=0.01)
    signals = 64 + 30 * 100 + 4 * 66  # of the embedding, the LSTM and the decoder
    assert few.compared == CHECKED_TOKENS * signals


def test_the_plot(rows: tuple[list[DemoRow], Path, list[tuple[int, int]]], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw(rows[0], tmp_path / "demo.png")
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_kernel_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel_step = Lstm._kernel_step

    def stale(self: Lstm, raws: Any, register: Any, collected: Any) -> Any:
        advance = kernel_step(self, raws, register, collected)
        return lambda step, state: advance(step, self.initial_state(len(state.hidden)))

    monkeypatch.setattr(Lstm, "_kernel_step", stale)
    with pytest.raises(ModelError, match="must be what the specification gives"):
        demo(tmp_path)
