"""What to do next, by weight: only what is possible in the plan's model is drawn."""

from dataclasses import dataclass

from chaosfuzz.domain.action import (
    MAX_WORKERS,
    PRIORITIES,
    READABLE,
    RETRY_STRATEGIES,
    TASK_TYPES,
    USERS,
    Role,
    find_action,
)
from chaosfuzz.domain.container_actions import SERVER_PEERS
from chaosfuzz.domain.plan import LASTING, PlanModel
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
    "read_api": 2,
    "ask_badly": 2,
    "restart_worker": 2,
    "disconnect_worker": 2,
    "connect_worker": 4,
    "partition_worker": 2,
    "rejoin_worker": 4,
    "partition_server": 1,
    "rejoin_server": 8,
    "lose_packets": 1,
    "restore_packets": 3,
    "reset_connections": 2,
    "limit_cpu": 1,
    "limit_memory": 1,
    "lift_limits": 3,
    "exhaust_memory": 2,
    "fill_disk": 1,
    "free_disk": 12,
    "skew_clock": 2,
    "right_clock": 2,
    "set_restart_policy": 1,
}
# What belongs together: a schedule that dwells on few of these goes deeper than one of all.
FAMILIES = (
    ("kill_worker", "start_worker", "scale_workers"),
    ("pause_worker", "resume_worker"),
    ("stop_database", "start_database", "terminate_backend", "restart_worker"),
    ("cut_connection", "hold_connection", "release_connection", "strand_session"),
    ("stop_server", "kill_server", "restart_server", "start_server", "cut_server"),
    ("cancel_task", "retry_task"),
    ("lose_reply", "reset_request", "delay_reply"),
    ("read_api", "ask_badly"),
    ("disconnect_worker", "connect_worker", "partition_worker", "rejoin_worker"),
    ("partition_server", "rejoin_server", "fill_disk", "free_disk"),
    ("lose_packets", "restore_packets", "reset_connections"),
    ("limit_cpu", "limit_memory", "lift_limits", "exhaust_memory", "set_restart_policy"),
    ("skew_clock", "right_clock"),
)
SHARES = (0, 1, 1, 5)
# One schedule in so many has no faults.
QUIET = 8
QUIET_IF_RANKED = 2
DURATIONS_MS = ((0, 0, 10, 40), (10, 40, 150, 400), (150, 400, 400, 900), (10, 40, 40, 1600))
COUNTS = (1, 1, 2, 3, 4, 6)
BACKLOG_COUNTS = (4, 5, 6, 8)
DELAYS_MS = (0, 0, 150, 400, 900)
FAILURES = (0, 1, 2, 9)
FAILING_COUNT, FAILING_MS = 4, 40
# All sessions of a worker, or one of the first so many.
SESSIONS = 4
WAITS_MS = (5, 20, 60, 150, 400)
# Until released, shorter than a lease, longer than one.
HOLDS_MS = (0, 0, 200, 900)
PAGES = (1, 2, 50)
BAD_REQUESTS = (1, 10, 10)
DELAYED_MS = (50, 200, 900)
LOST_PERCENT = (10, 30, 60, 90)
CPU_PERCENT = (2, 5, 20)
SPARE_MB = (1, 4, 32)
# Less than a lease, more than one, and a time zone.
# Of RESTART_POLICIES: always is the usual one.
POLICIES = (2, 2, 1, 0)
SKEWS_MS = (-300, 900, -5000, 60_000, 3_600_000)
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
    count = counts[spread(draw.first) % len(counts)]
    duration_ms = focus.durations_ms[spread(draw.second) % len(focus.durations_ms)]
    if failures:
        # Behind an open circuit breaker they fail one after another.
        count, duration_ms = min(count, FAILING_COUNT), min(duration_ms, FAILING_MS)
    return make_step(
        "create_tasks",
        count=count,
        duration_ms=duration_ms,
        priority=spread(draw.third + 1) % len(PRIORITIES) if ranked else 1,
        delay_ms=DELAYS_MS[spread(draw.fourth + 1) % len(DELAYS_MS)] if delayed else 0,
        failures=failures,
        strategy=spread(draw.first + 1) % len(RETRY_STRATEGIES) if failures else 2,
        lost_reply=int(spread(draw.choice) % 6 == 0),
        user=spread(draw.second + 1) % len(USERS),
        type=spread(draw.fourth + 2) % len(TASK_TYPES) if failing else 0,
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
        arguments = _container_arguments if action.ability else _arguments
        step = arguments(name, model, draw)
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
    if name in {"start_worker", "restart_worker"}:
        # What starts in an outage has to wait for its end.
        stopped = before is not None and before.action == "stop_database"
        return 1 if model.database_up else 16 if stopped else 8
    if name in {"cancel_task", "pause_worker"}:
        return 3 if loaded else 1
    return 1


def _container_arguments(name: str, model: PlanModel, draw: Draw) -> Step | None:
    if name == "partition_server":
        return make_step(name, peer=draw.first % len(SERVER_PEERS))
    if not find_action(name).parameters:
        return make_step(name)
    heals = name in LASTING.values()
    slots = model.slots_with(name) if heals else sorted(model.workers_up)
    if not slots:
        return None
    slot = slots[draw.first % len(slots)]
    parameter, choices = _SECOND.get(name, ("", (0,)))
    second = {parameter: choices[draw.second % len(choices)]} if parameter else {}
    return make_step(name, worker=slot, **second)


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
    if name in {"read_api", "ask_badly"}:
        return _question(name, draw)
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


def _question(name: str, draw: Draw) -> Step:
    if name == "ask_badly":
        return make_step(name, count=BAD_REQUESTS[draw.first % len(BAD_REQUESTS)])
    user, limit = draw.second % len(USERS), PAGES[draw.third % len(PAGES)]
    return make_step(name, what=draw.first % len(READABLE), user=user, limit=limit)


_OF_ANY_WORKER = frozenset(
    {
        *("kill_worker", "restart_worker", "terminate_backend"),
        *("cut_connection", "strand_session"),
    }
)
# Container faults with an argument beside the worker.
_SECOND = {
    "lose_packets": ("percent", LOST_PERCENT),
    "limit_cpu": ("percent", CPU_PERCENT),
    "limit_memory": ("mb", SPARE_MB),
    "skew_clock": ("ms", SKEWS_MS),
    "set_restart_policy": ("policy", POLICIES),
}


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
    if name in _OF_ANY_WORKER:
        return sorted(model.workers_up)
    return None
