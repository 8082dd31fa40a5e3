"""The loop that turns a schedule into a history."""

from chaosfuzz.execution.loop import ScheduleRunner

__all__ = ["ScheduleRunner"]
