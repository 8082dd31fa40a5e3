"""Targets that a profile describes: job systems that do not come with chaosfuzz."""

from chaosfuzz.targets.profiles.model import Profile
from chaosfuzz.targets.profiles.reading import load_profile
from chaosfuzz.targets.profiles.target import ProfileTarget, describe

__all__ = ["Profile", "ProfileTarget", "describe", "load_profile"]
