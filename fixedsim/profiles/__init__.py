"""Profiles: every arithmetic choice of a hardware target, as frozen data.

The names below are loaded when they are first used: a model that runs needs only :mod:`fixedsim.profiles.datapath`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fixedsim.profiles.profile import Profile as Profile
    from fixedsim.profiles.profile import load_profile as load_profile
    from fixedsim.profiles.profile import profile_names as profile_names
    from fixedsim.profiles.profile import profile_text as profile_text

__all__ = ["Profile", "load_profile", "profile_names", "profile_text"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'fixedsim.profiles' has no attribute {name!r}")
    return getattr(import_module("fixedsim.profiles.profile"), name)
