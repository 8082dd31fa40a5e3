"""What to do next, by weight: only what is possible in the plan's model is drawn."""

from dataclasses import dataclass

from chaosfuzz.domain.action import MAX_WORKERS, PRIORITIES, RETRY_STRATEGIES, Role, find_action
from chaosfuzz.domain.plan import PlanModel
from chaosfuzz.domain.schedule import Step, make_step
from chaosfuzz.planning.pinning import Pinning
from chaosfuzz.planning.spread import spread

WEIGHTS = {
    "cancel_task": 3,
    "retry_task": 1,
    "kill_worker": 4,
    "start_worker": 2,
    "pause_worker": 5,
    "resume_worker": 4,
    "scale_workers": 3,
    "stop_database": 4,
    "start_database": 12,
    "terminate_backend": 3,
    "cut_connection": 3,
    "hold_connection": 1,
    "release_connection": 4,
    "strand_session": 1,
    "cut_server": 1,
    "lose_reply": 2,
    "reset_request": 1,
    "delay_reply": 1,
    "stop_server": 1,
    "kill_server": 1,
    "restart_server": 1,
    "start_server": 8,
    "wait": 3,
    "wait_idle": 2,
    "wait_lease": 2,
}
# What belongs together: a schedule that dwells on few of these goes deeper than one of all.
FAMILIES = (
    ("kill_worker", "start_worker", "scale_workers"),
    ("pause_worker", "resume_worker"),
    ("stop_database", "start_database", "terminate_backend"),
    ("cut_connection", "hold_connection", "release_connection", "strand_session"),
    ("stop_server", "kill_server", "restart_server", "start_server", "cut_server"),
    ("cancel_task", "retry_task"),
    ("lose_reply", "reset_request", "delay_reply"),
)
SHARES = (0, 1, 1, 5)
# One schedule in so many has no faults.
QUIET = 8
QUIET_IF_RANKED = 2
DURATIONS_MS = ((0, 0, 10, 40), (10, 40, 150, 400), (150, 400, 400, 900))
COUNTS = (1, 1, 2, 3, 4, 6)
BACKLOG_COUNTS = (4, 5, 6, 8)
DELAYS_MS = (0, 0, 150, 400, 900)
FAILURES = (0, 1, 2, 9)
# All sessions of a worker, or one of the first so many.
SESSIONS = 4
WAITS_MS = (5, 20, 60, 150, 400)
# Until released, shorter than a lease, longer than one.
HOLDS_MS = (0, 0, 200, 900)
DELAYED_MS = (50, 200, 900)
MAX_FAULTS_IN_FORCE = 3


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Plain integers from Hypothesis; every one of them means something for every action."""

    choice: int
    first: int
    second: int
    third: int
    fourth: int

    @classmethod
    def of(cls, number: int) -> "Draw":
        """Return the draw that one integer stands for."""
        first, second, third, fourth = (spread(number * 5 + k) for k in range(1, 5))
        return cls(choice=number, first=first, second=second, third=third, fourth=fourth)


@dataclass(frozen=True, kw_only=True)
class Focus:
    """What one schedule dwells on, from plain integers.

    Leaving out whole families of actions, each schedule others, finds more than drawing from
    all alike: swarm testing (Groce, Zhang, Eide, Chen, Regehr, ISSTA 2012).
    """

    swarm: int = 0
    tempo: int = 0

    def weight(self, action: str) -> int:
        """Return the weight of an action in this schedule."""
        share = 1
        if self.quiet and find_action(action).role is Role.FAULT:
            return 0
        for index, family in enumerate(FAMILIES):
            if action in family:
                share = SHARES[spread(self.swarm + 7919 * index) % len(SHARES)]
        return WEIGHTS[action] * share

    @property
    def quiet(self) -> bool:
        """Say whether there are no faults: what breaks then needs none. Order often does not."""
        ranked, _, _ = self.features
        return spread(self.swarm) % (QUIET_IF_RANKED if ranked else QUIET) == 0

    @property
    def features(self) -> tuple[bool, bool, bool]:
        """Say whether tasks have priorities (then they pile up), delays, and failures."""
        chosen = spread(self.tempo + 104729)
        return chosen % 3 == 0, chosen % 5 < 2, chosen % 7 < 3

    @property
    def durations_ms(self) -> tuple[int, ...]:
        """Return how long tasks work in this schedule: long enough to pile up if they are to."""
        ranked, _, _ = self.features
        choices = DURATIONS_MS[1:] if ranked else DURATIONS_MS
        return choices[spread(self.tempo) % len(choices)]


def load_step(draw: Draw, focus: Focus) -> Step:
    """Return a creation of tasks."""
    ranked, delayed, failing = focus.features
    counts = BACKLOG_COUNTS if ranked else COUNTS
    failures = FAILURES[spread(draw.third) % len(FAILURES)] if failing else 0
    return make_step(
        "create_tasks",
        count=counts[spread(draw.first) % len(counts)],
        duration_ms=focus.durations_ms[spread(draw.second) % len(focus.durations_ms)],
        priority=spread(draw.third + 1) % len(PRIORITIES) if ranked else 1,
        delay_ms=DELAYS_MS[spread(draw.fourth + 1) % len(DELAYS_MS)] if delayed else 0,
        failures=failures,
        strategy=spread(draw.first + 1) % len(RETRY_STRATEGIES) if failures else 2,
        lost_reply=int(spread(draw.choice) % 6 == 0),
    )


def next_steps(
    model: PlanModel,
    draw: Draw,
    actions: tuple[str, ...],
    roles: frozenset[Role],
    focus: Focus,
    before: Step | None,
    pinning: Pinning,
) -> tuple[Step, ...]:
    """Return a possible step of these roles to follow `before`; none if nothing fits.

    In front of one with a moment there is work, as a moment comes when there is: it is armed
    before the step in front of it.
    """
    step = _next_step(model, draw, actions, roles, focus, before)
    if step is None:
        return ()
    load = before if before is not None and _is_enough(before, model) else _load(draw, focus, model)
    step = pinning.pinned(step, model, draw.fourth, failing=load["failures"] > 0)
    if step.at is None:
        return () if find_action(step.action).needs_moment else (step,)
    return (step,) if load is before else (load, step)


def _is_enough(before: Step, model: PlanModel) -> bool:
    """Say whether a step makes work for every worker, so that each makes requests."""
    return before.action == "create_tasks" and before["count"] >= len(model.workers_up)


def _load(draw: Draw, focus: Focus, model: PlanModel) -> Step:
    load = load_step(draw, focus)
    return load.having(count=max(load["count"], len(model.workers_up)), delay_ms=0)


def _next_step(
    model: PlanModel,
    draw: Draw,
    actions: tuple[str, ...],
    roles: frozenset[Role],
    focus: Focus,
    before: Step | None,
) -> Step | None:
    candidates: list[tuple[Step, int]] = []
    for name in actions:
        action = find_action(name)
        if action.role not in roles or name not in WEIGHTS:
            continue
        if action.role is Role.FAULT and model.faults_in_force() >= MAX_FAULTS_IN_FORCE:
            continue
        step = _arguments(name, model, draw)
        if step is not None and model.possible(step):
            weight = focus.weight(name) * _urgency(name, model, before)
            if weight:
                candidates.append((step, weight))
    total = sum(weight for _, weight in candidates)
    if not total:
        return None
    target = spread(draw.choice) % total
    for step, weight in candidates:
        if target < weight:
            return step
        target -= weight
    raise AssertionError("weights add up to their total")


def _urgency(name: str, model: PlanModel, before: Step | None) -> int:
    """Return how well an action follows: leases run out while somebody is frozen or dead."""
    waited = before is not None and before.action == "wait_lease"
    loaded = before is not None and before.action == "create_tasks"
    if name == "wait_lease":
        struck = before is not None and before.action in {"pause_worker", "kill_worker"}
        return 0 if waited else 10 if struck and model.workers_up else 1
    if name == "resume_worker":
        return 8 if waited else 1
    if name in {"cancel_task", "pause_worker"}:
        return 3 if loaded else 1
    return 1


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
    if name == "delay_reply":
        return make_step(name, ms=DELAYED_MS[draw.first % len(DELAYED_MS)])
    slots = _slots(name, model)
    if slots is None:
        return make_step(name)
    if not slots:
        return None
    slot = slots[draw.first % len(slots)]
    if name == "kill_worker":
        return make_step(name, worker=slot, signal=int(draw.second % 4 == 0))
    if name == "terminate_backend":
        return make_step(name, worker=slot, session=draw.second % SESSIONS)
    if name == "hold_connection":
        return make_step(name, worker=slot, ms=HOLDS_MS[draw.second % len(HOLDS_MS)])
    return make_step(name, worker=slot)


def _slots(name: str, model: PlanModel) -> list[int] | None:
    """Return the worker slots an action can name, None if it names none."""
    if name == "start_worker":
        return [slot for slot in range(1, MAX_WORKERS + 1) if slot not in model.workers_up][:2]
    if name == "pause_worker":
        return sorted(model.workers_up - model.workers_paused)
    if name == "resume_worker":
        return sorted(model.workers_paused)
    if name == "hold_connection":
        return sorted(model.workers_up - model.workers_held)
    if name == "release_connection":
        return sorted(model.workers_held)
    if name in {"kill_worker", "terminate_backend", "cut_connection", "strand_session"}:
        return sorted(model.workers_up)
    return None
