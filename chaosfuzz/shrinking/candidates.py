"""Candidates: smaller or plainer schedules that may fail the same way."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from chaosfuzz.actions import action_of, planned, repaired
from chaosfuzz.domain.action import Parameter
from chaosfuzz.domain.moment import Alphabet, Moment, Side
from chaosfuzz.domain.schedule import Schedule, Step

# Of a parameter with so many values, every value is a candidate. Chosen by hand.
FEW_VALUES = 10
# Few and coarse: the least time at which a failure still shows is one at which it shows seldom.
TIMES_MS = (50, 200, 500, 1000, 2000)


def without(schedule: Schedule, start: int, stop: int) -> Schedule:
    """Return the schedule without steps `start` to `stop` - 1 and without those then idle."""
    return repaired(schedule.edited(dict.fromkeys(range(start, stop))))


def fewer_workers(schedule: Schedule) -> Iterator[Schedule]:
    """Yield the schedule started with fewer workers, one worker first."""
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
    """Yield the schedule with plainer actions in place of step `index`; see Action.plainer."""
    action = action_of(schedule.steps[index])
    yield from map(repaired, action.plainer(schedule, index, planned(schedule, index)))


def quick(schedule: Schedule) -> Schedule:
    """Return the schedule with all costly arguments at their plainest values."""
    return _plainest(schedule, lambda parameter: parameter.costly)


def least(schedule: Schedule) -> Iterator[Schedule]:
    """Yield the schedule with all arguments but slots and numbers of workers at their plainest.

    First it starts with one worker, then with as many as before. Last comes the schedule with its
    own arguments and renamed slots.
    """
    plain = first_slots_first(_plainest(schedule, lambda p: not (p.slot or p.name == "workers")))
    yield repaired(replace(plain, workers=1))
    yield plain
    # Renaming can change what happens: the worker in the first slot often takes the first task.
    yield first_slots_first(schedule)


def simpler(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield schedules in which one argument of step `index` is simpler, big changes first."""
    step = schedule.steps[index]
    action = action_of(step)
    yield from map(repaired, action.simpler(schedule, index))
    for name, value in step.arguments:
        parameter = action.parameter(name)
        # A slot is never changed in one step alone, which would part a fault from its healing.
        for smaller in () if parameter.slot else _values_below(parameter, value):
            yield repaired(schedule.edited({index: action.plain(step.having(**{name: smaller}))}))


def _plainest(schedule: Schedule, selects: Callable[[Parameter], bool]) -> Schedule:
    """Return the schedule with every selected argument at its plainest value."""
    edits: dict[int, Step | None] = {}
    for index, step in enumerate(schedule.steps):
        action = action_of(step)
        parameters = (action.parameter(name) for name, _ in step.arguments)
        changes = {p.name: p.plainest for p in parameters if selects(p)}
        if changes:
            edits[index] = action.plain(step.having(**changes))
    return repaired(schedule.edited(edits))


def _values_below(parameter: Parameter, value: int) -> Iterator[int]:
    """Yield the plainest value, one halfway to it, and the next simpler one; of times, round ones.

    A repetition after each success ends at a value whose next simpler one does not fail.
    """
    floor = parameter.plainest
    if value == floor:
        return
    between: list[int]
    if parameter.labels or parameter.high <= FEW_VALUES or parameter.name == "task":
        low, high = sorted((floor, value))
        between = sorted(range(low + 1, high), key=lambda v: abs(v - floor))
    else:
        between = [time for time in TIMES_MS if floor < time < value]
    picked = (between[(len(between) - 1) // 2], between[-1]) if between else ()
    yield from dict.fromkeys((floor, *picked))


def unpinned(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule in which step `index` strikes by the clock, if it can."""
    step = schedule.steps[index]
    if step.at is not None and not step.kind.needs_moment:
        yield repaired(schedule.edited({index: step.pinned(None)}))


def earlier(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield schedules in which step `index` strikes at a simpler moment, or at an earlier one."""
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
    """Yield schedules in which one fault that strikes by the clock is pinned to a moment.

    The first step is not pinned: no step before it brings requests. Nor are background events used.
    """
    for index, step in enumerate(schedule.steps):
        requester = action_of(step).requester(step)
        if step.at is None and step.kind.pinnable and requester is not None:
            for event in alphabet.of(requester.role) if index else ():
                for side in event.sides if not event.background else ():
                    yield _struck(schedule, index, Moment(event=event.event, side=side))


def _struck(schedule: Schedule, index: int, moment: Moment) -> Schedule:
    return repaired(schedule.edited({index: schedule.steps[index].pinned(moment)}))
