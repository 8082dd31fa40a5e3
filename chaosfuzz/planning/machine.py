"""The Hypothesis state machine that plans schedules; it never touches a system.

It has a rule for each action, named as in a case. Rules append steps; their preconditions and the
strategies of their arguments look at the plan's model alone, so that Hypothesis sees the same
draws whatever a system does later. Which rules a schedule may use at all is Hypothesis's swarm
testing (Groce, Zhang, Eide, Chen, Regehr, ISSTA 2012).
"""

import random
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chaosfuzz.actions import (
    Action,
    PlanModel,
    action_of,
    apply,
    create_tasks,
    find_action,
    possible,
)
from chaosfuzz.actions.plan import WorkStyle
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.planning.pinning import Pin, Pinning, loads, one_of

# Chosen by hand, as are the other figures here.
SHORTEST = 3
MAX_FAULTS_IN_FORCE = 3
# So many steps at most come before the first creation of tasks.
LATEST_OPENING = 2
# The times that tasks of one schedule work. With priorities the first, too short for a backlog, is
# left out.
DURATIONS_MS = ((0, 0, 10, 40), (10, 40, 150, 400), (150, 400, 400, 900), (10, 40, 40, 1600))
# One schedule in so many has no faults, since some failures need none; failures of the order by
# priority often do not.
QUIET, QUIET_IF_RANKED = 8, 2

# mypy cannot tell arguments in a dict from the keywords of `rule` itself.
_rule: Callable[..., Callable[[Callable[..., None]], Callable[..., None]]] = rule
Machine = TypeVar("Machine", bound="PlanningMachine")


def _one_in(many: int) -> st.SearchStrategy[bool]:
    return st.integers(1, many).map(lambda number: number == many)


@st.composite
def _styles(draw: st.DrawFn) -> WorkStyle:
    ranked = draw(_one_in(3))
    return WorkStyle(
        ranked=ranked,
        delayed=draw(st.sampled_from((False, False, False, True, True))),
        failing=draw(st.sampled_from((False, False, False, False, True, True, True))),
        durations_ms=draw(st.sampled_from(DURATIONS_MS[1:] if ranked else DURATIONS_MS)),
    )


class PlanningMachine(RuleBasedStateMachine):
    """Plan one schedule. `with_rules` makes a subclass with the rules of a target's actions."""

    actions: tuple[Action, ...] = ()
    pinning = Pinning()

    def __init__(self) -> None:
        super().__init__()
        self.workers = 2
        self.steps: list[Step] = []
        self.model = PlanModel.of(self.workers)
        self.quiet = False
        self._opening: tuple[int, Step] | None = None
        self._weights: dict[Action, int] | None = None

    @initialize(workers=st.integers(1, 3), style=_styles(), data=st.data())
    def begin(self, workers: int, style: WorkStyle, data: st.DataObject) -> None:
        """Draw the number of workers, the style of the work, and the first creation of tasks."""
        self.workers = workers
        self.model = PlanModel.of(workers)
        self.model.style = style
        self.quiet = data.draw(_one_in(QUIET_IF_RANKED if style.ranked else QUIET))
        if create_tasks in self.actions:
            self._opening = (
                data.draw(st.integers(0, LATEST_OPENING)),
                data.draw(loads(self.model)),
            )
            self._open()

    def add(self, step: Step) -> None:
        """Append a step if it is possible; the first creation of tasks follows when it is due."""
        if not possible(step, self.model):
            return
        apply(step, self.model)
        self.steps.append(step)
        self._weights = None
        self._open()

    def plan(self, step: Step, pin: Pin | None) -> None:
        """Append a step; with a pin, at its moment and after the work that makes it come."""
        if pin is not None:
            before = self.steps[-1] if self.steps else None
            if not (before and pin.is_brought_by(before, len(self.model.workers_up))):
                self.add(pin.load)
            step = step.pinned(pin.moment)
        self.add(action_of(step).moderate(step, self.model))

    def weight(self, action: Action) -> int:
        """Return the weight of an action as the next step, 0 if it is not possible."""
        if self._weights is None:
            self._weights = {each: self._weigh(each) for each in self.actions}
        return self._weights[action]

    def planned(self) -> Schedule:
        """Return the schedule that was planned."""
        return Schedule(workers=self.workers, steps=tuple(self.steps))

    def _open(self) -> None:
        if self._opening is not None and len(self.steps) >= self._opening[0]:
            step, self._opening = self._opening[1], None
            self.add(step)

    def _weigh(self, action: Action) -> int:
        if action.role is Role.FAULT and (
            self.quiet or self.model.faults_in_force() >= MAX_FAULTS_IN_FORCE
        ):
            return 0
        if action.needs_moment and not self.pinning.can_pin(action, self.model):
            return 0
        if not _is_drawable(action, self.model):
            return 0
        return action.weight_after(self.steps[-1] if self.steps else None, self.model)


def with_rules(base: type[Machine], actions: Collection[str], pinning: Pinning) -> type[Machine]:
    """Return a subclass of a machine that has a rule for each action.

    A rule bears the name of its action. An action of weight 3 has three rules. Actions of weight 0
    and those that `pinning` rules out have none.
    """
    drawn = tuple(a for a in map(find_action, actions) if a.weight and pinning.may_draw(a))
    rules = {
        f"rule_{copy}_{action.name}": _rule_of(action, copy)
        for action in drawn
        for copy in range(1, max(action.weight, action.urgent_weight) + 1)
    }
    body = {"actions": drawn, "pinning": pinning, "rule_of_rest": _REST, **rules}
    return type(base.__name__, (base,), body)


def _rule_of(action: Action, copy: int) -> Callable[..., None]:
    def plan(machine: PlanningMachine, at: Pin | None = None, **arguments: int) -> None:
        machine.plan(action(**arguments), at)

    plan.__name__ = action.name
    plan.__doc__ = action.summary

    # Hypothesis describes each function it calls, which is slow for lambdas and partials.
    def pins(machine: PlanningMachine) -> st.SearchStrategy[Pin | None]:
        return machine.pinning.pins(action, machine.model)

    def is_likely(machine: PlanningMachine) -> bool:
        return machine.weight(action) >= copy

    arguments: dict[str, st.SearchStrategy[Any]] = {
        parameter.name: _argument(action, parameter.name) for parameter in action.parameters
    }
    if action.pinnable:
        arguments["at"] = st.runner().flatmap(pins)
    return precondition(is_likely)(_rule(**arguments)(plan))


def _argument(action: Action, name: str) -> st.SearchStrategy[int]:
    def values(machine: PlanningMachine) -> st.SearchStrategy[int]:
        return one_of(tuple(action.choices(machine.model)[name]))

    return st.runner().flatmap(values)


def _rest(machine: PlanningMachine) -> None:
    """Plan nothing: always possible, so that the simplest schedule is the shortest."""


_REST = rule()(_rest)


def _is_drawable(action: Action, model: PlanModel) -> bool:
    """Say whether one of the values of its first argument makes the action possible."""
    choices = action.choices(model)
    if not all(choices.values()):
        return False
    first, *rest = [(name, values) for name, values in choices.items()] or [("", (0,))]
    others = {name: values[0] for name, values in rest}
    steps: Iterable[Step] = (
        action(**{first[0]: value}, **others) if choices else action()
        for value in dict.fromkeys(first[1])
    )
    return any(action.possible(step, model) for step in steps)


class Drawing:
    """Draw schedules of some actions in batches; the seed of a batch decides its schedules."""

    def __init__(
        self,
        actions: Collection[str],
        max_steps: int,
        pinning: Pinning = Pinning(),  # noqa: B008 - frozen
    ) -> None:
        self._max_steps = max_steps
        self._drawn: list[Schedule] = []

        class Collecting(PlanningMachine):
            """Hand over the schedule, also when Hypothesis broke off the draw."""

            def teardown(machine) -> None:  # noqa: N805 - `self` is the drawing
                self._drawn.append(machine.planned().prefix(max_steps))

        self._machine = with_rules(Collecting, actions, pinning)

    def batch(self, batch_seed: int, examples: int) -> list[Schedule]:
        """Draw about `examples` schedules of at most as many steps as the batch's seed says.

        That is SHORTEST to `max_steps`.
        """
        self._drawn.clear()
        length = random.Random(batch_seed).randint(min(SHORTEST, self._max_steps), self._max_steps)
        chosen = settings(
            max_examples=examples,
            stateful_step_count=length,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        )
        # A class of its own for each batch: a seed stays with the class it was given to.
        machine = seed(batch_seed)(type(self._machine.__name__, (self._machine,), {}))
        run_state_machine_as_test(machine, settings=chosen)
        return list(self._drawn)
