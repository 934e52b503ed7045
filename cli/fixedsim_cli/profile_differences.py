"""Where two profiles differ, and where a model parts under them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from fixedsim.importers.models import TFLITE_SUFFIX
from fixedsim.importers.tflite.network import read_model
from fixedsim.model import Model
from fixedsim.parting import Comparison, compare_models
from fixedsim.profiles import Profile
from fixedsim.profiles.differences import profile_differences
from fixedsim.profiles.executors import any_profile
from fixedsim.quantization import quantize
from fixedsim.retargeting import retarget
from fixedsim_cli.contents import load_either
from fixedsim_cli.output import Column, print_table, say


def differences(first: str, second: str, source: str | None, inputs: ArrayLike | None, seed: int) -> dict[str, Any]:
    """The choices that differ and, with a ``source``, where it parts, as JSON values."""
    profiles = any_profile(first), any_profile(second)
    found: dict[str, Any] = {
        "first": first,
        "second": second,
        "choices": [each._asdict() for each in profile_differences(*profiles)],
    }
    if source is not None:
        models = [_model(source, profile) for profile in profiles]
        found |= {"model": source, **_comparison(compare_models(models[0], models[1], inputs, seed=seed))}
    return found


def _model(source: str, profile: Profile) -> Model:
    """The model or network in a file under a profile."""
    if Path(source).suffix == TFLITE_SUFFIX:
        return read_model(source, profile)
    loaded = load_either(source)
    return retarget(loaded, profile) if isinstance(loaded, Model) else quantize(loaded, profile=profile)


def _comparison(compared: Comparison) -> dict[str, Any]:
    parting = compared.parting
    return {
        "compared": compared.integers,
        "differing": compared.differing,
        "signals": len(compared.signals),
        "only_first": list(compared.only[0]),
        "only_second": list(compared.only[1]),
        "parting": None
        if parting is None
        else {
            "signal": parting.signal,
            "step": parting.step,
            "sequence": parting.sequence,
            "unit": parting.unit,
            "raws": list(parting.raws),
            "formats": [form.name for form in parting.formats],
        },
    }


def print_differences(found: Mapping[str, Any]) -> None:
    """Print what :func:`differences` gave."""
    rows = [(each["key"], _text(each["first"]), _text(each["second"])) for each in found["choices"]]
    if rows:
        print_table((Column("choice", whole=True), Column(found["first"]), Column(found["second"])), rows)
    else:
        say(f"{found['first']} and {found['second']}: no choice differs")
    if "model" not in found:
        return
    parting = found["parting"]
    say(f"{found['model']}: {found['differing']:,} of {found['compared']:,} integers differ", apart=True)
    if parting is None:
        return
    columns = (Column("parts at", whole=True), Column("step", True), Column("sequence", True), Column("unit", True),
               Column(found["first"], True), Column(found["second"], True), Column("formats"))  # fmt: skip
    forms = " and ".join(dict.fromkeys(parting["formats"]))
    place = parting["signal"], parting["step"], parting["sequence"], parting["unit"]
    print_table(columns, [(*place, *parting["raws"], forms)])


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    return "left out" if value is None else str(value)
