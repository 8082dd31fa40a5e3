"""What to do next, by weight: only what is possible in the plan's model is drawn."""

from dataclasses import dataclass

from chaosfuzz.domain.action import MAX_WORKERS, PRIORITIES, RETRY_STRATEGIES, Role, find_action
from chaosfuzz.domain.plan import PlanModel
from chaosfuzz.domain.schedule import Step, make_step

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
    ("stop_server", "kill_server", "restart_server", "start_server"),
    ("cancel_task", "retry_task"),
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
MAX_FAULTS_IN_FORCE = 3
_MASK = 2**64 - 1


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
        first, second, third, fourth = (_spread(number * 5 + k) for k in range(1, 5))
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
                share = SHARES[_spread(self.swarm + 7919 * index) % len(SHARES)]
        return WEIGHTS[action] * share

    @property
    def quiet(self) -> bool:
        """Say whether there are no faults: what breaks then needs none. Order often does not."""
        ranked, _, _ = self.features
        return _spread(self.swarm) % (QUIET_IF_RANKED if ranked else QUIET) == 0

    @property
    def features(self) -> tuple[bool, bool, bool]:
        """Say whether tasks have priorities (then they pile up), delays, and failures."""
        chosen = _spread(self.tempo + 104729)
        return chosen % 3 == 0, chosen % 5 < 2, chosen % 7 < 3

    @property
    def durations_ms(self) -> tuple[int, ...]:
        """Return how long tasks work in this schedule: long enough to pile up if they are to."""
        ranked, _, _ = self.features
        choices = DURATIONS_MS[1:] if ranked else DURATIONS_MS
        return choices[_spread(self.tempo) % len(choices)]


def load_step(draw: Draw, focus: Focus) -> Step:
    """Return a creation of tasks."""
    ranked, delayed, failing = focus.features
    counts = BACKLOG_COUNTS if ranked else COUNTS
    failures = FAILURES[_spread(draw.third) % len(FAILURES)] if failing else 0
    return make_step(
        "create_tasks",
        count=counts[_spread(draw.first) % len(counts)],
        duration_ms=focus.durations_ms[_spread(draw.second) % len(focus.durations_ms)],
        priority=_spread(draw.third + 1) % len(PRIORITIES) if ranked else 1,
        delay_ms=DELAYS_MS[_spread(draw.fourth + 1) % len(DELAYS_MS)] if delayed else 0,
        failures=failures,
        strategy=_spread(draw.first + 1) % len(RETRY_STRATEGIES) if failures else 2,
        lost_reply=int(_spread(draw.choice) % 6 == 0),
    )


def next_step(
    model: PlanModel,
    draw: Draw,
    actions: tuple[str, ...],
    roles: frozenset[Role],
    focus: Focus,
    before: Step | None,
) -> Step | None:
    """Return a possible step of these roles to follow `before`, or None if nothing fits."""
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
    target = _spread(draw.choice) % total
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


def _spread(value: int) -> int:
    """Spread an integer evenly: Hypothesis likes small ones, weights want all alike.

    The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    """
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)


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
    if name == "terminate_backend":
        return make_step(name, worker=slot, session=draw.second % SESSIONS)
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
