"""A fresh system for a schedule."""

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import Lane, SerialLane, System


def open_system(lane: Lane, schedule: Schedule) -> System:
    """Open a system of a lane, its requests one at a time if the schedule wants that.

    Raises UsageError if the lane cannot do so.
    """
    if schedule.serial_seed is None:
        return lane.open(schedule.workers)
    if not isinstance(lane, SerialLane):
        message = "this target has no serial mode; leave out --serial, or use one that has"
        raise UsageError(message)
    return lane.open_serial(schedule.workers, schedule.serial_seed)
