"""The Hypothesis state machine that plans schedules; it never touches a system."""

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from chaosfuzz.actions import PlanModel, apply, find_action, possible
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.planning.pinning import Pinning
from chaosfuzz.planning.weights import Draw, Focus, load_step, next_steps

# One step in so many creates tasks, and one more.
LOAD_SHARE = 3
# One draw a step: each costs as much as running it on a simulated system.
_INTEGER = st.integers(min_value=0, max_value=2**64 - 1)


def machine_type(
    actions: tuple[str, ...],
    max_steps: int,
    finished: Callable[[Schedule], None],
    pinning: Pinning,
) -> type[RuleBasedStateMachine]:
    """Return a machine class whose rules plan steps and whose teardown hands over the schedule.

    Rules are total and their arguments plain integers: what they mean follows from the plan's
    model alone, so that Hypothesis sees the same draws whatever a system does later.
    """
    drawn = tuple(name for name in actions if pinning.may_draw(find_action(name)))

    class ScheduleMachine(RuleBasedStateMachine):
        """Plans one schedule."""

        def __init__(self) -> None:
            super().__init__()
            self.workers = 2
            self.length = max_steps
            self.steps: list[Step] = []
            self.model = PlanModel.of(self.workers)
            self.focus = Focus()
            self.loads = 0

        @initialize(workers=st.integers(1, 3), length=_INTEGER, swarm=_INTEGER, tempo=_INTEGER)
        def begin(self, workers: int, length: int, swarm: int, tempo: int) -> None:
            """Choose how many workers start, how long the schedule is, what it dwells on."""
            self.focus = Focus(swarm=swarm, tempo=tempo)
            self.workers = workers
            self.length = min(max_steps, 3 + length % max(1, max_steps - 2))
            self.model = PlanModel.of(workers)

        def add(self, step: Step) -> None:
            """Append a step if there is room and it does something."""
            if len(self.steps) >= self.length or not possible(step, self.model):
                return
            apply(step, self.model)
            self.steps.append(step)

        def pick(self, draw: Draw, roles: frozenset[Role]) -> None:
            """Append a weighted choice among what is possible."""
            before = self.steps[-1] if self.steps else None
            for step in next_steps(self.model, draw, drawn, roles, self.focus, before, pinning):
                self.add(step)

        @rule(n=_INTEGER)
        def work(self, n: int) -> None:
            """Create tasks."""
            draw = Draw.of(n)
            if self.loads > self.length // LOAD_SHARE:
                self.pick(draw, frozenset(Role))
                return
            self.loads += 1
            self.add(load_step(draw, self.focus))

        @rule(n=_INTEGER)
        def break_something(self, n: int) -> None:
            """Inject a fault."""
            self.pick(Draw.of(n), frozenset({Role.FAULT}))

        @rule(n=_INTEGER)
        def go_on(self, n: int) -> None:
            """Wait, heal, or operate on a task."""
            self.pick(Draw.of(n), frozenset({Role.HEAL, Role.WAIT, Role.LOAD}))

        @rule(n=_INTEGER)
        def mend(self, n: int) -> None:
            """Heal something, or wait."""
            self.pick(Draw.of(n), frozenset({Role.HEAL, Role.WAIT}))

        @rule(n=_INTEGER)
        def anything(self, n: int) -> None:
            """Do whatever the weights say."""
            self.pick(Draw.of(n), frozenset(Role))

        def teardown(self) -> None:
            """Hand over the finished plan; `finished` ignores it if the draw was cut short."""
            finished(Schedule(workers=self.workers, steps=tuple(self.steps)))

    return ScheduleMachine


def draw_batch(
    actions: tuple[str, ...],
    max_steps: int,
    batch_seed: int,
    examples: int,
    pinning: Pinning = Pinning(),  # noqa: B008 - frozen
) -> list[Schedule]:
    """Draw a batch of schedules; the same seed gives the same batch."""
    drawn: list[Schedule] = []
    machine = machine_type(actions, max_steps, drawn.append, pinning)
    chosen = settings(
        max_examples=examples,
        # Rules that find no room or nothing to do leave no step, hence more rules than steps.
        stateful_step_count=max_steps + max_steps // 2 + 1,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(batch_seed)(machine), settings=chosen)
    return drawn
