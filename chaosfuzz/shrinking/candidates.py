"""Schedules with fewer or plainer steps, worth a try because they may fail the same way."""

from collections.abc import Iterator
from dataclasses import replace

from chaosfuzz.actions import action_of, planned, repaired
from chaosfuzz.domain.schedule import Schedule, Step


def without(schedule: Schedule, start: int, stop: int) -> Schedule:
    """Return the schedule without these steps and without those that lost their partner."""
    return repaired(schedule.edited(dict.fromkeys(range(start, stop))))


def fewer_workers(schedule: Schedule) -> Iterator[Schedule]:
    """Yield the schedule started with fewer workers."""
    for workers in range(1, schedule.workers):
        yield repaired(replace(schedule, workers=workers))


def first_slots_first(schedule: Schedule) -> Schedule:
    """Return the schedule with worker slots renamed: the first one named is 1, the next 2."""
    names: dict[int, int] = {}
    edits: dict[int, Step | None] = {}
    for index, step in enumerate(schedule.steps):
        named = step.get("worker")
        if named is not None:
            edits[index] = step.having(worker=names.setdefault(named, len(names) + 1))
    return repaired(schedule.edited(edits))


def plainer_steps(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule with one step replaced by another action that says less or does less."""
    action = action_of(schedule.steps[index])
    yield from map(repaired, action.plainer(schedule, index, planned(schedule, index)))
