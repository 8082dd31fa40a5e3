"""Reduction of failing schedules under flakiness."""

from chaosfuzz.shrinking.reducer import Budget, Reducer, ShrinkProgress, Shrunk

__all__ = ["Budget", "Reducer", "ShrinkProgress", "Shrunk"]
