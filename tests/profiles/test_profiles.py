"""Profiles load, refuse what they don't know, and stand in the reference."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from fixedsim import load_profile
from fixedsim.casts import Overflow, Rounding
from fixedsim.errors import ProfileError
from fixedsim.profiles import Profile, profile_names, profile_text
from fixedsim.profiles.keys import profile_keys

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "profiles.md"


def edited(path: str, value: Any) -> dict[str, Any]:
    """The fixed-point profile's choices with one key set, or taken away by None."""
    choices = tomllib.loads(profile_text("fixed-point"))
    table = choices
    *parents, key = path.split(".")
    for parent in parents:
        table = table[parent]
    if value is None:
        del table[key]
    else:
        table[key] = value
    return choices


SHIPPED = ["bit-rnn", "cmsis-nn", "cmsis-nn-s16", "elastic-ai-fixed", "elastic-ai-integer", "fixed-point", "hls4ml"]
SHIPPED += ["litert", "tflm"]


def test_the_profiles_that_ship() -> None:
    assert profile_names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_profile_survives_its_plain_values(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert Profile.from_dict(profile.to_dict()) == profile


def test_a_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(profile_text("fixed-point").replace('format = "s4.11", rounding = "half_up"', 'format = "s3.8"'))
    cell = load_profile(path).lstm.cell
    assert (cell.format.name, cell.rounding, cell.overflow) == ("s3.8", Rounding.HALF_UP, Overflow.SATURATE)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("lstm.preactivaton", {}, "key 'lstm.preactivaton' is unknown; did you mean 'preactivation'?"),
        ("lstm.cell.fomat", "s4.11", "key 'lstm.cell.fomat' is unknown; did you mean 'format'?"),
        ("weigth", {}, "key 'weigth' is unknown; did you mean 'weight'?"),
        ("lstm.cell", None, "key 'lstm.cell' is missing"),
        ("lstm.cell.format", "s4.99", "lstm.cell.format: bits must be in 1..64, not 104"),
        ("lstm.cell.format", "q4.11", "lstm.cell.format: format must be a name like s4.11"),
        ("accumulator.bits", 99, "accumulator.bits must be less than or equal to 64, not 99"),
        ("weight.scheme", "unit", "weight: must be power_of_two, symmetric, odd or fixed, not unit"),
        ("activation.scheme", "odd", "activation: must be power_of_two, symmetric, affine, unit or fixed, not odd"),
        ("weight.scheme", "symmetric", "requantize.form must be multiplier or doubling, not shift, for weight.scheme"),
        ("activation.scheme", "unit", "requantize.form must be multiplier or doubling, not shift, for activation"),
        ("schema", 2, "schema must be 1, not 2"),
        ("sigmoid.low", "far", "sigmoid.low must be a valid integer"),
        ("name", "no spaces", "name"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        Profile.from_dict(edited(path, value), "mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    assert message in str(caught.value)


def test_a_rounding_that_is_none_lists_those_that_are() -> None:
    with pytest.raises(ProfileError, match=r"lstm\.cell\.rounding must be 'floor', .* or 'half_odd', not 'nearest'"):
        Profile.from_dict(edited("lstm.cell.rounding", "nearest"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"schema = ", "must be TOML"), (b"\xff\xfe", "must be a readable TOML file"), (None, "must be a readable TOML")],
)
def test_a_file_that_is_no_profile(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProfileError, match=message) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ProfileError, match="profile 'fixed-pint' is unknown; did you mean 'fixed-point'"):
        load_profile("fixed-pint")


def test_every_key_stands_in_the_reference() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `") and line.count("|") == 5}
    keys = profile_keys()
    assert {key.path for key in keys} <= set(rows)
    for key in keys:
        assert key.meaning
        assert key.meaning in rows[key.path]
        assert f"| {key.allowed} |" in rows[key.path]
