"""What an action is: everything about one kind of step in one class."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from chaosfuzz.actions.context import NOT_APPLICABLE, ActionContext, lacks
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.domain.action import MAX_WORKERS, ActionKind, Parameter
from chaosfuzz.domain.component import Component, ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.wire import Intervention, Trap

WORKER = Parameter(
    name="worker",
    low=1,
    high=MAX_WORKERS,
    default=1,
    meaning="worker slot",
    always_shown=True,
    slot=True,
)
# The values that one parameter may take now, repeated by weight.
Choices = Mapping[str, Sequence[int]]


class Action(ActionKind):
    """One kind of step: when it is possible, what it changes, how it is drawn, done and healed.

    Subclass it in one file, give it a name, a summary, a role and a weight, and register one
    instance (`register`). What a method does not say, the defaults here do: it acts on the worker
    its argument names, is possible while that worker runs, and changes nothing in the plan.

    `weight` says how often planning draws it beside other possible actions, `urgent_weight` how
    often at most, where `weight_after` makes it more likely. `lasts` says that the fault stays
    until another action heals it, `excludes` which faults (names of actions) must not be in force
    on the same component. `healing_turn` orders healing: what is frozen first (0), the workers
    last (9).
    """

    weight: ClassVar[int]
    urgent_weight: ClassVar[int] = 0
    lasts: ClassVar[bool] = False
    excludes: ClassVar[tuple[str, ...]] = ()
    healing_turn: ClassVar[int] = 5

    def __call__(self, **arguments: int) -> Step:
        """Return a checked step of this action; raise UsageError for arguments it does not take."""
        return Step.of(self, **arguments)

    # What planning asks.

    def target_of(self, step: Step) -> Component | None:
        """Return the component that a step acts on; None if it acts on none or on several."""
        if self.strikes is None:
            return None
        slot = step.get("worker")
        return worker(slot) if slot is not None else Component(role=self.strikes)

    def requester(self, step: Step) -> Component | None:
        """Return the component whose requests are the moments of a step unless it names another.

        None if the step acts on no component that makes requests.
        """
        target = self.target_of(step)
        return None if target is None or target.role is ComponentRole.DATABASE else target

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Say whether the step does anything in the state that the model describes."""
        target = self.target_of(step)
        if self.heals and target is not None:
            return any((fault, target) in model.in_force for fault in self.heals)
        excluded = self.excludes or (self.name,)
        if self.lasts and any((fault, target) in model.in_force for fault in excluded):
            return False
        return model.is_up(target)

    def apply(self, step: Step, model: PlanModel) -> None:
        """Change the model as the step, which is possible, changes the system."""
        target = self.target_of(step)
        if target is None:
            return
        if self.heals:
            model.heal(self.heals, target)
        elif self.lasts:
            model.begin(self.name, target)

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Return the worker slots that the action may name now."""
        return model.slots_suffering(self.heals) if self.heals else sorted(model.workers_up)

    def choices(self, model: PlanModel) -> Choices:
        """Return the values to draw each argument from; one without values makes it impossible."""
        return {
            parameter.name: self.slots(model)
            if parameter.slot
            else parameter.drawn or (parameter.default,)
            for parameter in self.parameters
        }

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Return the weight as the next step after `before`, `urgent_weight` at most."""
        return self.weight

    def moderate(self, step: Step, model: PlanModel) -> Step:
        """Return a drawn step with arguments that go together."""
        return step

    # What reduction asks.

    def plain(self, step: Step) -> Step:
        """Return the step without arguments that have no effect beside the others."""
        return step

    def simpler(self, schedule: Schedule, index: int) -> Iterator[Schedule]:
        """Yield schedules with simpler arguments that no single argument of step `index` gives."""
        yield from ()

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield schedules with a plainer action, which says less or does less, for step `index`.

        `model` is the plan's state before the step. One failure has many spellings (a worker
        killed or scaled away); settling on one lets the steps go that only the others need.
        """
        yield from ()

    # What execution asks.

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Do the step on the system; record a fault before it takes effect.

        Raises UsageError if the target lacks the ability.
        """
        raise NotImplementedError

    def heal(self, context: ActionContext) -> None:
        """Undo whatever of this kind is in force; safe to call when nothing is."""

    def intervention(self, step: Step) -> Intervention:
        """Return what the wire does to the connection whose request is the step's moment.

        FREEZE keeps the component still while `perform` does the step; with anything else the
        wire commits the fault itself, and `struck` records it.
        """
        return Intervention.FREEZE

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record a fault that the wire has committed since the trap sprang."""
        return self.perform(step, context)


class RequestFault(Action):
    """A fault that the wire commits in a request, and that strikes at a moment only."""

    needs_moment = True

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Refuse: it strikes at a moment only."""
        raise lacks(f"{step.action} without a moment")


class WorkerFault(Action):
    """A fault of one worker; `strike` commits it on a worker that runs."""

    strikes = ComponentRole.WORKER
    parameters: ClassVar[tuple[Parameter, ...]] = (WORKER,)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Strike the worker if it runs."""
        target = self.target_of(step)
        assert target is not None
        if not context.is_worker_up(target):
            return NOT_APPLICABLE
        return self.strike(step, target, context)

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Commit the fault, recording it before it takes effect."""
        raise NotImplementedError
