"""Draws schedules with Hypothesis; the only importer of it."""

from chaosfuzz.planning.pinning import Moments, Pinning
from chaosfuzz.planning.search import schedules

__all__ = ["Moments", "Pinning", "schedules"]
