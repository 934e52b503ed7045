"""Everything that C++ programs printed with the libraries' own headers, reproduced."""

from pathlib import Path

import pytest

from tests.oracle.ap_ac import replay

SAMPLE = Path(__file__).parents[1] / "data" / "oracle" / "ap_ac"


@pytest.mark.parametrize("path", sorted(SAMPLE.glob("*.npz")), ids=lambda path: path.stem)
def test_the_sample(path: Path) -> None:
    rows = replay(path)
    assert [row for row in rows if not row.agrees] == []


def test_the_sample_has_every_mode() -> None:
    signals = {row.signal for path in SAMPLE.glob("*cast_exhaustive.npz") for row in replay(path)}
    roundings = ("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV")
    for overflow in ("SAT", "SAT_ZERO", "SAT_SYM", "WRAP"):
        for rounding in roundings:
            for family in ("AP", "AC"):
                if (rounding, overflow) != ("TRN", "WRAP"):
                    assert f"cast {family}_{rounding},{family}_{overflow}" in signals
    assert {"cast AP_RND,AP_WRAP_SM", "cast AP_TRN,AP_WRAP_SM,2", "cast AP_TRN,AP_WRAP,1"} <= signals


@pytest.mark.parametrize("family", ["ap_fixed", "ac_fixed"])
def test_everything_recorded(shared: Path, family: str) -> None:
    paths = sorted((shared / "oracle" / family).glob("*.npz"))
    if not paths:
        pytest.skip(f"needs the recorded arrays of {family}")
    rows = [row for path in paths for row in replay(path)]
    assert [row for row in rows if not row.agrees] == []
    assert sum(row.compared for row in rows) > 700_000
