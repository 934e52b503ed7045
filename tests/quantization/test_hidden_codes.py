"""A Bit-RNN whose casts are all wide gives the codes that the real-valued Bit-RNN gave elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedsim.importers import load_network
from fixedsim.profiles import load_profile
from fixedsim.profiles.profile import Profile
from fixedsim.quantization import quantize
from tests.layers.comparison import require_equal

SEGMENTS = 1 << 13  # over [-32, 32): the line between two entries is within 8e-7 of the sigmoid


def wide_profile() -> Profile:
    """``bit-rnn`` with casts as wide as 64-bit words allow; the cell reaches 2963."""

    def cast(form: str) -> dict[str, str]:
        return {"format": form, "rounding": "half_even", "overflow": "saturate"}

    choices: dict[str, Any] = load_profile("bit-rnn").to_dict()
    choices["bias"] = {"stage": "first"}
    choices["accumulator"] |= {"bits": 62, "fraction_bits": 40}
    choices["requantize"] |= {"multiplier_bits": 32}
    choices["lstm"] = {
        "sum": cast("s16.40"),
        "preactivation": cast("s7.24"),
        "forget_product": cast("s14.44"),
        "input_product": cast("s14.44"),
        "cell": cast("s13.20"),
    }
    choices["sigmoid"] |= {"format": "u0.28", "low": -32, "high": 32, "segments": SEGMENTS, "interpolation": "linear"}
    return Profile.from_dict(choices)


@pytest.mark.parametrize("bits", [4, 2])
def test_every_code_of_the_recorded_models(shared: Path, bits: int) -> None:
    name = f"ptb_bitlstm300_w{bits}a{bits}"
    lines = (shared / "weights" / f"{name}.check200.tsv").read_text("utf-8").splitlines()
    tokens = np.array([int(line.split("\t")[1]) for line in lines if not line.startswith("#")])
    made = quantize(load_network(shared / "weights" / f"{name}.safetensors"), profile=wide_profile())
    result = made.run(tokens, trace="lstm.hidden")
    wanted = np.load(shared / "weights" / f"{name}.hcodes_first200_f64.npy").astype(np.int64)
    assert wanted.shape == (200, 300)
    require_equal(result.trace["lstm.hidden"][:, 0], wanted, "hidden codes", "quantization")
    assert not any(count.low or count.high for count in result.overflows.values())
