"""Schedules with simpler arguments: everything at its least at once, then one by one."""

from collections.abc import Iterator
from dataclasses import replace

from chaosfuzz.domain.action import Parameter, find_action
from chaosfuzz.domain.plan import repaired
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.shrinking.candidates import first_slots_first

# Slots are renamed as a whole, never one by one: a step would lose its partner.
RENAMED = frozenset({"worker"})
# These show even at their default, so their least value is the plainest.
LEAST_IS_LOWEST = frozenset({"count", "ms", "mode", "task", "workers"})
COSTLY = frozenset({"duration_ms", "delay_ms", "failures", "ms"})
FEW_VALUES = 10
# Few and coarse: the least time that still fails would be one that fails now and then.
TIMES_MS = (50, 200, 500, 1000, 2000)


def quick(schedule: Schedule) -> Schedule:
    """Return the schedule with everything that makes it take time at its least."""
    return _at_least(schedule, COSTLY)


def least(schedule: Schedule) -> Iterator[Schedule]:
    """Yield the schedule with all arguments at their least: with one worker, then with as many."""
    names = {name for step in schedule.steps for name, _ in step.arguments} - RENAMED - {"workers"}
    plain = first_slots_first(_at_least(schedule, frozenset(names)))
    yield repaired(replace(plain, workers=1))
    yield plain
    # Whose slot comes first can matter: the first free worker takes the first task.
    yield first_slots_first(schedule)


def simpler(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule with one argument of one step simpler, the greatest change first."""
    step = schedule.steps[index]
    if step.action == "create_tasks" and step["count"] > 1:
        alone = _one_task(schedule, index)
        if alone != repaired(schedule.edited({index: step.having(count=1)})):
            yield alone
    for name, value in step.arguments:
        if name in RENAMED:
            continue
        for smaller in _values_below(find_action(step.action).parameter(name), value):
            yield repaired(schedule.edited({index: _plain(step.having(**{name: smaller}))}))


def _one_task(schedule: Schedule, index: int) -> Schedule:
    """Return the schedule with one task for those a step creates; who named one names that."""
    count = schedule.steps[index]["count"]
    first = 1 + sum(s["count"] for s in schedule.steps[:index] if s.action == "create_tasks")
    named: dict[int, Step | None] = {
        later: step.having(task=first)
        for later, step in enumerate(schedule.steps)
        if first <= dict(step.arguments).get("task", 0) < first + count
    }
    fewer = schedule.edited(named)
    return repaired(fewer.edited({index: schedule.steps[index].having(count=1)}))


def _plain(step: Step) -> Step:
    """Return the step without what says nothing: how to retry what does not fail."""
    idle = step.action == "create_tasks" and not step["failures"]
    return (
        step.having(strategy=find_action(step.action).parameter("strategy").default)
        if idle
        else step
    )


def _at_least(schedule: Schedule, names: frozenset[str]) -> Schedule:
    edits: dict[int, Step | None] = {}
    for index, step in enumerate(schedule.steps):
        action = find_action(step.action)
        changes = {
            name: _floor(action.parameter(name)) for name, _ in step.arguments if name in names
        }
        if changes:
            edits[index] = _plain(step.having(**changes))
    return repaired(schedule.edited(edits))


def _floor(parameter: Parameter) -> int:
    return parameter.low if parameter.name in LEAST_IS_LOWEST else parameter.default


def _values_below(parameter: Parameter, value: int) -> Iterator[int]:
    """Yield values to try: the least, one halfway, the next smaller; of times, round ones.

    Tried again after each success, they end at a value whose next smaller one does not fail.
    """
    floor = _floor(parameter)
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
