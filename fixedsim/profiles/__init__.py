"""Profiles: every arithmetic choice of a hardware target, as frozen data."""

from fixedsim.profiles.profile import Profile as Profile
from fixedsim.profiles.profile import load_profile as load_profile
from fixedsim.profiles.profile import profile_names as profile_names
from fixedsim.profiles.profile import profile_text as profile_text
