"""The one run loop, and the driver that runs schedules by it."""

from chaosfuzz.execution.schedules import ScheduleRunner

__all__ = ["ScheduleRunner"]
