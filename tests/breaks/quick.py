"""A Hypothesis profile for copies of the package that must fail: the same examples always, and none shrunk."""

from hypothesis import Phase, settings

settings.register_profile("quick", derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
