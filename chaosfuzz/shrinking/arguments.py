"""Schedules with simpler arguments: everything at its least at once, then one by one."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from chaosfuzz.actions import action_of, repaired
from chaosfuzz.domain.action import Parameter
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.shrinking.candidates import first_slots_first

FEW_VALUES = 10
# Few and coarse: the least time that still fails would be one that fails now and then.
TIMES_MS = (50, 200, 500, 1000, 2000)


def quick(schedule: Schedule) -> Schedule:
    """Return the schedule with everything that makes it take time at its least."""
    return _at_least(schedule, lambda parameter: parameter.costly)


def least(schedule: Schedule) -> Iterator[Schedule]:
    """Yield the schedule with all arguments at their least: with one worker, then with as many."""
    plain = first_slots_first(_at_least(schedule, lambda p: not (p.slot or p.name == "workers")))
    yield repaired(replace(plain, workers=1))
    yield plain
    # Whose slot comes first can matter: the first free worker takes the first task.
    yield first_slots_first(schedule)


def simpler(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule with one argument of one step simpler, the greatest change first."""
    step = schedule.steps[index]
    action = action_of(step)
    yield from map(repaired, action.simpler(schedule, index))
    for name, value in step.arguments:
        parameter = action.parameter(name)
        # Slots are renamed as a whole, never one by one: a step would lose its partner.
        for smaller in () if parameter.slot else _values_below(parameter, value):
            yield repaired(schedule.edited({index: action.plain(step.having(**{name: smaller}))}))


def _at_least(schedule: Schedule, concerned: Callable[[Parameter], bool]) -> Schedule:
    """Return the schedule with every concerned argument at its plainest value."""
    edits: dict[int, Step | None] = {}
    for index, step in enumerate(schedule.steps):
        action = action_of(step)
        parameters = (action.parameter(name) for name, _ in step.arguments)
        changes = {p.name: p.plainest for p in parameters if concerned(p)}
        if changes:
            edits[index] = action.plain(step.having(**changes))
    return repaired(schedule.edited(edits))


def _values_below(parameter: Parameter, value: int) -> Iterator[int]:
    """Yield values to try: the least, one halfway, the next smaller; of times, round ones.

    Tried again after each success, they end at a value whose next smaller one does not fail.
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
