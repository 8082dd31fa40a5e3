"""What to do next, by weight: only what is possible in the plan's model is drawn."""

from dataclasses import dataclass

from chaosfuzz.actions import Action, PlanModel, create_tasks, find_action, possible
from chaosfuzz.domain.action import PRIORITIES, RETRY_STRATEGIES, TASK_TYPES, USERS, Role
from chaosfuzz.domain.schedule import Step
from chaosfuzz.planning.pinning import Pinning
from chaosfuzz.planning.spread import spread

# In the order in which the swarm's shares are drawn.
FAMILIES = (
    "worker-processes",
    "pauses",
    "database",
    "connections",
    "server",
    "operations",
    "replies",
    "questions",
    "network",
    "server-network",
    "packets",
    "limits",
    "clocks",
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

    def share(self, action: Action) -> int:
        """Return the factor for the weight of an action in this schedule."""
        share = 1
        if self.quiet and action.role is Role.FAULT:
            return 0
        if action.family:
            index = FAMILIES.index(action.family)
            share = SHARES[spread(self.swarm + 7919 * index) % len(SHARES)]
        return share

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
    return create_tasks(
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
        return () if step.kind.needs_moment else (step,)
    return (step,) if load is before else (load, step)


def _is_enough(before: Step, model: PlanModel) -> bool:
    """Say whether a step makes work for every worker, so that each makes requests."""
    return before.created > 0 and before.created >= len(model.workers_up)


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
    for action in map(find_action, actions):
        if action.role not in roles or action is create_tasks:
            continue
        if action.role is Role.FAULT and model.faults_in_force() >= MAX_FAULTS_IN_FORCE:
            continue
        step = _step(action, model, draw)
        if step is not None and possible(step, model):
            weight = focus.share(action) * action.weight_after(before, model)
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


def _step(action: Action, model: PlanModel, draw: Draw) -> Step | None:
    """Return a step with arguments drawn from what is possible now; None if nothing is."""
    arguments = {}
    numbers = (draw.first, draw.second, draw.third)
    for (name, values), number in zip(action.choices(model).items(), numbers, strict=False):
        if not values:
            return None
        arguments[name] = values[number % len(values)]
    return action(**arguments)
