"""Reduction of failing schedules under flakiness."""

from chaosfuzz.shrinking.reducer import Reducer
from chaosfuzz.shrinking.result import Budget, ShrinkProgress, Shrunk

__all__ = ["Budget", "Reducer", "ShrinkProgress", "Shrunk"]
