"""What to do next, by weight: only what is possible in the plan's model is drawn."""

from dataclasses import dataclass

from chaosfuzz.domain.action import MAX_WORKERS, RETRY_STRATEGIES, Role, find_action
from chaosfuzz.domain.plan import PlanModel
from chaosfuzz.domain.schedule import Step, make_step

WEIGHTS = {
    "cancel_task": 2,
    "retry_task": 1,
    "kill_worker": 4,
    "start_worker": 3,
    "pause_worker": 4,
    "resume_worker": 5,
    "scale_workers": 3,
    "stop_database": 3,
    "start_database": 12,
    "terminate_backend": 2,
    "stop_server": 1,
    "kill_server": 2,
    "start_server": 8,
    "wait": 3,
    "wait_idle": 3,
    "wait_lease": 3,
}
DURATIONS_MS = (0, 0, 10, 40, 150, 400, 900)
DELAYS_MS = (0, 0, 0, 0, 150, 400, 900)
FAILURES = (0, 0, 0, 1, 2, 9)
PRIORITY_MIX = (1, 1, 1, 0, 2, 3)
WAITS_MS = (5, 20, 60, 150, 400)
MAX_FAULTS_IN_FORCE = 3


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Plain integers from Hypothesis; every one of them means something for every action."""

    choice: int
    first: int
    second: int
    third: int
    fourth: int


def load_step(draw: Draw) -> Step:
    """Return a creation of tasks."""
    plain = _spread(draw.fourth) % 3 == 0
    failures = 0 if plain else FAILURES[_spread(draw.third) % len(FAILURES)]
    return make_step(
        "create_tasks",
        count=1 + _spread(draw.first) % 4,
        duration_ms=DURATIONS_MS[_spread(draw.second) % len(DURATIONS_MS)],
        priority=1 if plain else PRIORITY_MIX[_spread(draw.third + 1) % len(PRIORITY_MIX)],
        delay_ms=0 if plain else DELAYS_MS[_spread(draw.fourth + 1) % len(DELAYS_MS)],
        failures=failures,
        strategy=_spread(draw.first + 1) % len(RETRY_STRATEGIES) if failures else 2,
        lost_reply=int(_spread(draw.choice) % 6 == 0),
    )


def next_step(
    model: PlanModel, draw: Draw, actions: tuple[str, ...], roles: frozenset[Role]
) -> Step | None:
    """Return a possible step of these roles, or None if nothing fits."""
    candidates: list[tuple[Step, int]] = []
    for name in actions:
        action = find_action(name)
        if action.role not in roles or name not in WEIGHTS:
            continue
        if action.role is Role.FAULT and model.faults_in_force() >= MAX_FAULTS_IN_FORCE:
            continue
        step = _arguments(name, model, draw)
        if step is not None and model.possible(step):
            candidates.append((step, WEIGHTS[name]))
    total = sum(weight for _, weight in candidates)
    if not total:
        return None
    target = _spread(draw.choice) % total
    for step, weight in candidates:
        if target < weight:
            return step
        target -= weight
    raise AssertionError("weights add up to their total")


def _spread(value: int) -> int:
    """Spread an integer evenly: Hypothesis likes small ones, weights want all alike."""
    return (value * 2654435761 + 40503) % 2**32 >> 7


def _arguments(name: str, model: PlanModel, draw: Draw) -> Step | None:
    if name in {"cancel_task", "retry_task"}:
        # Recent tasks are the ones still in flight.
        back = draw.first % min(model.tasks_created, 4) if model.tasks_created else 0
        return make_step(name, task=model.tasks_created - back) if model.tasks_created else None
    if name == "scale_workers":
        return make_step(name, workers=draw.first % (MAX_WORKERS + 1))
    if name == "stop_database":
        return make_step(name, mode=draw.first % 3)
    if name == "wait":
        return make_step(name, ms=WAITS_MS[draw.first % len(WAITS_MS)])
    slots = _slots(name, model)
    if slots is None:
        return make_step(name)
    if not slots:
        return None
    slot = slots[draw.first % len(slots)]
    if name == "kill_worker":
        return make_step(name, worker=slot, signal=int(draw.second % 4 == 0))
    return make_step(name, worker=slot)


def _slots(name: str, model: PlanModel) -> list[int] | None:
    """Return the worker slots an action can name, None if it names none."""
    if name == "start_worker":
        return [slot for slot in range(1, MAX_WORKERS + 1) if slot not in model.workers_up][:2]
    if name == "pause_worker":
        return sorted(model.workers_up - model.workers_paused)
    if name == "resume_worker":
        return sorted(model.workers_paused)
    if name in {"kill_worker", "terminate_backend"}:
        return sorted(model.workers_up)
    return None
