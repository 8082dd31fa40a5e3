"""Schedules whose faults strike at coarser, earlier or other moments."""

from collections.abc import Iterator
from dataclasses import replace

from chaosfuzz.actions import action_of, repaired
from chaosfuzz.domain.moment import Alphabet, Moment, Side
from chaosfuzz.domain.schedule import Schedule


def unpinned(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule with a step that strikes by the clock, which says less."""
    step = schedule.steps[index]
    if step.at is not None and not step.kind.needs_moment:
        yield repaired(schedule.edited({index: step.pinned(None)}))


def earlier(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule with a step that strikes at a moment that says less, or an earlier one."""
    step = schedule.steps[index]
    moment = step.at
    if moment is None:
        return
    if moment.task:
        yield _struck(schedule, index, replace(moment, task=0))
    for nth in dict.fromkeys((1, moment.nth - 1)) if moment.nth > 1 else ():
        yield _struck(schedule, index, replace(moment, nth=nth))
    if moment.side is Side.AFTER and step.kind.side is None:
        yield _struck(schedule, index, replace(moment, side=Side.BEFORE))


def pinnings(schedule: Schedule, alphabet: Alphabet) -> Iterator[Schedule]:
    """Yield the schedule with a fault that strikes by the clock pinned to a moment instead."""
    for index, step in enumerate(schedule.steps):
        requester = action_of(step).requester(step)
        if step.at is None and step.kind.pinnable and requester is not None:
            for event in alphabet.of(requester.role) if index else ():
                for side in event.sides if not event.background else ():
                    yield _struck(schedule, index, Moment(event=event.event, side=side))


def _struck(schedule: Schedule, index: int, moment: Moment) -> Schedule:
    return repaired(schedule.edited({index: schedule.steps[index].pinned(moment)}))
