"""What an action is: everything about one kind of step in one class."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Generic

from chaosfuzz.actions.context import NOT_APPLICABLE, Able, ActionContext, applied, lacks
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.domain.action import MAX_WORKERS, ActionKind, Parameter, Role
from chaosfuzz.domain.component import Component, ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
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


def milliseconds(
    meaning: str, *, default: int, drawn: tuple[int, ...], low: int = 0, high: int = 5000
) -> Parameter:
    """Return the parameter `ms` of an action that takes or shifts time."""
    return Parameter(
        name="ms",
        low=low,
        high=high,
        default=default,
        meaning=meaning,
        drawn=drawn,
        always_shown=True,
        costly=True,
    )


class Action(ActionKind):
    """One kind of step: when it is possible, what it changes, how it is drawn, done and healed.

    Write a subclass with a name, a role and a docstring, and `register` one instance. The defaults
    of the methods describe an action on the component that `strikes` names (the worker of the
    argument `worker`, if there is one): possible while that component runs.

    - `weight`: how often planning draws the action beside other possible ones.
    - `urgent_weight`: the most that `weight_after` returns, if that is more than `weight`.
    - `lasts`: the fault stays in force until another action heals it.
    - `excludes`: names of faults that must not be in force on the same component; default: itself.
    - `needs_up`: roles of components that must run beside the one that is struck.
    - `healing_turn`: 0 to 9, when `heal` is called after the last step: first the actions that
      resume frozen processes (0), last those that start workers (9).
    """

    weight: ClassVar[int] = 1
    urgent_weight: ClassVar[int] = 0
    lasts: ClassVar[bool] = False
    excludes: ClassVar[tuple[str, ...]] = ()
    needs_up: ClassVar[tuple[ComponentRole, ...]] = ()
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
        """Return the component whose requests are the moments of a step that names no other.

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
        return model.is_up(target) and all(model.is_up(Component(role=r)) for r in self.needs_up)

    def apply(self, step: Step, model: PlanModel) -> None:
        """Change the model as the step changes the system. The step must be possible."""
        target = self.target_of(step)
        if target is None:
            return
        if self.heals:
            model.heal(self.heals, target)
        elif self.lasts:
            model.begin(self.name, target)

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Return the worker slots that the action may name now."""
        return model.slots_with(self.heals) if self.heals else sorted(model.workers_up)

    def choices(self, model: PlanModel) -> Choices:
        """Return the values to draw each argument from.

        The action is not drawn while one of its arguments has no values.
        """
        return {
            parameter.name: self.slots(model)
            if parameter.slot
            else parameter.drawn or (parameter.default,)
            for parameter in self.parameters
        }

    def weight_after(self, before: Step | None, model: PlanModel) -> int:
        """Return the weight as the next step after `before` (None: as the first step)."""
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

        `model` is the plan's state before the step. One failure has many spellings (a worker is
        killed, or scaled away); the same spelling for all lets more steps be removed.
        """
        yield from ()

    # What execution asks.

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Do the step on the system; record a fault before it takes effect.

        Raises UsageError if the target lacks the ability.
        """
        raise NotImplementedError

    def heal(self, context: ActionContext) -> None:
        """Undo all faults of this kind that are in force. Do nothing if there is none."""

    def intervention(self, step: Step) -> Intervention:
        """Return what the proxy does to the connection whose request is the step's moment.

        FREEZE keeps the component still while `perform` does the step. With anything else the
        proxy commits the fault itself, and `struck` records it.
        """
        return Intervention.FREEZE

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record a fault that the proxy committed when the trap sprang."""
        return self.perform(step, context)


class RequestFault(Action):
    """A fault that the proxy commits in a request, and that strikes at a moment only."""

    role = Role.FAULT
    needs_moment = True

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Raise UsageError: without a moment there is no request to strike in."""
        raise lacks(f"{step.action} without a moment")


class WorkerFault(Action):
    """A fault of one worker; `strike` commits it on a worker that runs."""

    role = Role.FAULT
    strikes = ComponentRole.WORKER
    parameters: ClassVar[tuple[Parameter, ...]] = (WORKER,)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Call `strike` if the worker runs."""
        target = _component(self, step)
        if not context.is_worker_up(target):
            return NOT_APPLICABLE
        return self.strike(step, target, context)

    def strike(self, step: Step, target: Component, context: ActionContext) -> Performed:
        """Commit the fault; record it before it takes effect."""
        raise NotImplementedError


class InjectedFault(Action, Generic[Able]):
    """A fault that one call of the system injects, by default into a worker.

    The history has a fault of `kind` from before the call until after it or, with `lasts`, until
    a Healing ends it. `protocol` is the protocol of systems that can inject it. A worker that has
    ended is left alone, except with `strikes_ended`.
    """

    role = Role.FAULT
    strikes = ComponentRole.WORKER
    parameters: ClassVar[tuple[Parameter, ...]] = (WORKER,)
    kind: ClassVar[FaultKind]
    protocol: type[Able]
    strikes_ended: ClassVar[bool] = False

    def inject(self, system: Able, component: str, step: Step) -> bool:
        """Inject the fault into a component; return False if that had no effect."""
        raise NotImplementedError

    def sufferer(self, step: Step) -> Component:
        """Return the component whose fault the history records; default: the one struck."""
        return _component(self, step)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Inject the fault and record it. A fault without effect ends at once."""
        target = _component(self, step)
        is_worker = target.role is ComponentRole.WORKER
        if is_worker and not self.strikes_ended and not context.is_worker_up(target):
            return NOT_APPLICABLE
        system = context.able(self.protocol, step)
        context.begin(self.kind, self.sufferer(step))
        done = self.inject(system, str(target), step)
        if not (self.lasts and done):
            context.end(self.kind, self.sufferer(step))
        return applied(done=done)


class Healing(Action, Generic[Able]):
    """An action that ends faults of a `kind` on one component, by default on a worker.

    `heals` names the faults. `protocol` is the protocol of systems that can undo them.
    """

    role = Role.HEAL
    strikes = ComponentRole.WORKER
    parameters: ClassVar[tuple[Parameter, ...]] = (WORKER,)
    kind: ClassVar[FaultKind]
    protocol: type[Able]

    def undo(self, system: Able, component: str) -> bool:
        """End the fault on a component; return False if it was not in force."""
        raise NotImplementedError

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """End the fault on the step's component, and record that."""
        target = _component(self, step)
        done = self.undo(context.able(self.protocol, step), str(target))
        context.end(self.kind, target)
        return applied(done=done)

    def heal(self, context: ActionContext) -> None:
        """End the fault on every component of the role, and all faults of the kind on record."""
        names = [str(Component(role=self.strikes))]
        if self.strikes is ComponentRole.WORKER:
            names = list(context.system.worker_names())
        if isinstance(context.system, self.protocol):
            for name in names:
                self.undo(context.system, name)
            context.end_all(self.kind)


def _component(action: Action, step: Step) -> Component:
    target = action.target_of(step)
    assert target is not None, step
    return target
