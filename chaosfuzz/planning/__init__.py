"""Draws schedules with Hypothesis; the only importer of it."""

from chaosfuzz.planning.search import schedules

__all__ = ["schedules"]
