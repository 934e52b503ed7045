"""The trained networks that ship: character models by name."""

from importlib import resources
from pathlib import Path

FOLDER = Path(str(resources.files("fixedsim"))) / "data" / "char_lm"
SHIPPED = {
    "char-lm": FOLDER / "char_lm_fp32.safetensors",  # LSTM of 100 units, float
    "char-lm-w4a4": FOLDER / "char_lm_w4a4.safetensors",  # the same size, trained as Bit-RNN at 4/4 bits
    "char-lm-w2a2": FOLDER / "char_lm_w2a2.safetensors",  # and at 2/2
}
VOCABULARY = FOLDER / "vocab.json"
TEXT = FOLDER / "eval.txt"
