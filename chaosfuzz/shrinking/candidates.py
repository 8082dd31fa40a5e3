"""Schedules with fewer or plainer steps, worth a try because they may fail the same way."""

from collections.abc import Iterator
from dataclasses import replace

from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.plan import PlanModel, repaired
from chaosfuzz.domain.schedule import Schedule, Step, make_step

# Shorter waits give a component a moment; waiting for an event instead would take longer.
LONG_WAIT_MS = 100


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
        if "worker" in dict(step.arguments):
            slot = names.setdefault(step["worker"], len(names) + 1)
            edits[index] = step.having(worker=slot)
    return repaired(schedule.edited(edits))


def plainer_steps(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule with one step replaced by another action that says less or does less.

    One failure has many spellings (a worker killed or scaled away, a server killed or stopped);
    settling on one of them lets the steps that only the others need go.
    """
    step = schedule.steps[index]
    if step.action in {"kill_server", "restart_server"}:
        yield repaired(schedule.edited({index: make_step("stop_server").pinned(step.at)}))
    elif step.action in {"pause_worker", "restart_worker"}:
        killed = make_step("kill_worker", worker=step["worker"]).pinned(step.at)
        yield repaired(schedule.edited({index: killed}))
    elif step.action == "wait" and step["ms"] >= LONG_WAIT_MS:
        for plainer in ("wait_idle", "wait_lease"):
            yield repaired(schedule.edited({index: make_step(plainer)}))
    elif step.action == "scale_workers" and step["workers"] < MAX_WORKERS and step.at is None:
        up = _workers_up(schedule, index)
        if any(slot > step["workers"] for slot in up):
            slot = min(slot for slot in up if slot > step["workers"])
            yield repaired(schedule.edited({index: make_step("kill_worker", worker=slot)}))
    yield from _started_before(schedule, index)
    if step.action in {"kill_worker", "pause_worker"} and _stays_away(schedule, index):
        yield _never_there(schedule, index)


def _started_before(schedule: Schedule, index: int) -> Iterator[Schedule]:
    """Yield the schedule with the workers of a step that starts some running from the start."""
    step = schedule.steps[index]
    if step.action == "start_worker" and schedule.workers < MAX_WORKERS:
        added = schedule.workers + 1
        edits: dict[int, Step | None] = {index: None}
        for later in range(index + 1, len(schedule.steps)):
            other = schedule.steps[later]
            if dict(other.arguments).get("worker") == step["worker"]:
                edits[later] = other.having(worker=added)
        yield repaired(replace(schedule.edited(edits), workers=added))
    elif step.action == "scale_workers" and step["workers"] > schedule.workers:
        yield repaired(replace(schedule.edited({index: None}), workers=step["workers"]))


def _stays_away(schedule: Schedule, index: int) -> bool:
    """Say whether a worker that runs from the start, beside others, is not named after a step."""
    slot = schedule.steps[index]["worker"]
    named = any(
        dict(later.arguments).get("worker") == slot for later in schedule.steps[index + 1 :]
    )
    return slot <= schedule.workers > 1 and not named


def _never_there(schedule: Schedule, index: int) -> Schedule:
    """Return the schedule started without the worker that a step takes away."""
    gone = schedule.steps[index]["worker"]
    edits: dict[int, Step | None] = {}
    for other, step in enumerate(schedule.steps):
        slot = dict(step.arguments).get("worker", 0)
        if slot > gone:
            edits[other] = step.having(worker=slot - 1)
    fewer = replace(schedule.edited(edits | {index: None}), workers=schedule.workers - 1)
    return repaired(fewer)


def _workers_up(schedule: Schedule, index: int) -> set[int]:
    model = PlanModel.of(schedule.workers)
    for step in schedule.steps[:index]:
        if model.possible(step):
            model.apply(step)
    return model.workers_up
