"""Draws schedules; the only package that imports Hypothesis."""

from chaosfuzz.planning.pinning import Moments, Pinning
from chaosfuzz.planning.search import schedules

__all__ = ["Moments", "Pinning", "schedules"]
