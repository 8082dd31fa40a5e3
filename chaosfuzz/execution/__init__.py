"""The run loop, and its drivers for schedules and single tasks."""

from chaosfuzz.execution.schedules import ScheduleRunner

__all__ = ["ScheduleRunner"]
