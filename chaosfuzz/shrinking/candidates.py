"""Smaller schedules worth a try, largest savings first."""

from collections.abc import Iterator
from dataclasses import replace

from chaosfuzz.domain.action import find_action
from chaosfuzz.domain.plan import repaired
from chaosfuzz.domain.schedule import Schedule


def without(schedule: Schedule, start: int, stop: int) -> Schedule:
    """Return the schedule without these steps and without those that lost their partner."""
    return repaired(schedule.edited(dict.fromkeys(range(start, stop))))


def simpler_arguments(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule with one argument of one step made simpler: its least, then halfway."""
    step = schedule.steps[index]
    for name, value in step.arguments:
        if name in {"worker", "task", "workers"}:
            continue
        parameter = find_action(step.action).parameter(name)
        floor = parameter.low if name in {"count", "ms", "mode"} else parameter.default
        halfway = floor + (value - floor) // 2
        for smaller in dict.fromkeys((floor, halfway)):
            if smaller != value and abs(smaller - floor) < abs(value - floor):
                yield repaired(schedule.edited({index: step.having(**{name: smaller})}))


def fewer_workers(schedule: Schedule) -> Iterator[Schedule]:
    """Yield the schedule started with fewer workers."""
    for workers in range(1, schedule.workers):
        yield repaired(replace(schedule, workers=workers))
