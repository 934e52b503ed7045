"""Make the files of tests/data/trainers/keras with Keras 2 and 3: ``python -m tests.oracle.make_keras_fixtures``.

Needs the extra ``oracles``. Inputs and outputs of all files stand in ``recorded.npz``, batch first.
"""

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras as keras3
import numpy as np

from tests.oracle.test_keras_networks import keras2, randomize, to_cudnn

FOLDER = Path(__file__).parents[1] / "data" / "trainers" / "keras"


def tagger(K: Any) -> Any:
    """An embedding, a bidirectional LSTM, an LSTM with hard sigmoids, and logits at each step."""
    L = K.layers
    hard = L.LSTM(5, recurrent_activation="hard_sigmoid", return_sequences=True, name="hard")
    both = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")
    return K.Sequential([K.Input((None,)), L.Embedding(11, 4, name="words"), both, hard, L.Dense(7, name="tags")])


def last_step(K: Any) -> Any:
    """A Functional model of two cells that gives its last step."""
    L = K.layers
    source = K.Input((None, 4), name="source")
    cells = L.RNN([L.LSTMCell(3), L.LSTMCell(2, use_bias=False)], name="cells")(source)
    return K.Model(source, L.Dense(3, activation="relu6", name="out")(L.Dropout(0.5, name="drop")(cells)))


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng, arrays = np.random.default_rng(5), {}
    tokens, reals = rng.integers(0, 11, (2, 6)), rng.normal(size=(2, 6, 4)).astype(np.float32)

    def record(model: Any, name: str, x: Any, *, weights: bool = False, again: bool = False) -> None:
        if again:
            model.load_weights(FOLDER / name)
        elif weights:
            model.save_weights(FOLDER / name)
        else:
            model.save(FOLDER / name)
        arrays[f"{name}.input"], arrays[f"{name}.output"] = x, np.asarray(model(x, training=False))

    for version, K in (("2", keras2), ("3", keras3)):
        K.utils.set_random_seed(1)
        words, numbers = tagger(K), last_step(K)
        randomize(words, rng)
        randomize(numbers, rng)
        record(words, f"tagger{version}.h5", tokens)
        record(numbers, f"last{version}.keras", reals)
        record(words, f"tagger{version}.weights.h5", tokens, weights=True)
    record(words, "tagger3.keras", tokens)
    L = keras2.layers
    plain = keras2.Sequential([keras2.Input((None, 4)), L.LSTM(3, name="lstm"), L.Dense(2, name="out")])
    randomize(plain, rng)
    record(plain, "listed2.h5", reals, weights=True)
    plain.save(FOLDER / "cudnn2.h5")
    to_cudnn(FOLDER / "cudnn2.h5", rng)
    record(plain, "cudnn2.h5", reals, again=True)
    np.savez_compressed(FOLDER / "recorded.npz", **arrays)
    versions = {"keras": keras3.__version__, "tf_keras": keras2.__version__, "h5py": h5py.__version__}
    (FOLDER / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
