"""Connections between a component and the database: cut, held, or heard by one side alone."""

import time
from collections.abc import Sequence

from chaosfuzz.actions.action import WORKER, Action, RequestFault
from chaosfuzz.actions.context import ActionContext, applied, sprung_ns
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import Parameter, Role
from chaosfuzz.domain.component import ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.wire import Disconnectable, Intervention, Trap


class CutAction(Action):
    """A cut of all connections of a component, which may connect again at once."""

    role = Role.FAULT

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Break all connections of the component."""
        target = self.target_of(step)
        assert target is not None
        system = context.able(Disconnectable, step)
        context.begin(FaultKind.CUT_OFF, target)
        done = system.cut(str(target))
        context.end(FaultKind.CUT_OFF, target)
        return applied(done=done)

    def intervention(self, step: Step) -> Intervention:
        """Break the one connection."""
        return Intervention.CUT

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record the cut."""
        context.history.begin_fault(FaultKind.CUT_OFF, trap.component, sprung_ns(trap))
        context.end(FaultKind.CUT_OFF, trap.component)
        return Performed(applied=True)


class CutConnection(CutAction):
    """cut_connection."""

    name = "cut_connection"
    summary = "cut a worker off from the database for an instant; it lives on"
    weight = 1
    abilities = frozenset({Ability.WORKERS, Ability.WIRE})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The worker runs, and so does the database."""
        return super().possible(step, model) and model.database_up


class CutServer(CutAction):
    """cut_server."""

    name = "cut_server"
    summary = "cut the HTTP server off from the database for an instant; it lives on"
    weight = 1
    abilities = frozenset({Ability.SERVER, Ability.WIRE})
    strikes = ComponentRole.SERVER


class HoldConnection(Action):
    """hold_connection: for a time, or until release_connection.

    A hold that ends by itself is over in the history when it would be, even if it is healed before.
    """

    name = "hold_connection"
    summary = "let nothing pass between a worker and the database for a while"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.WORKERS, Ability.WIRE})
    strikes = ComponentRole.WORKER
    parameters = (
        WORKER,
        Parameter(
            name="ms",
            low=0,
            high=5000,
            default=0,
            meaning="0: until released",
            # Shorter than a lease of 600 ms, and longer.
            drawn=(0, 0, 200, 900),
            always_shown=True,
            costly=True,
        ),
    )
    healing_turn = 1

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The worker runs, and nothing of it is held."""
        return step["worker"] in model.workers_up - model.workers_held

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Name a worker of which nothing is held."""
        return sorted(model.workers_up - model.workers_held)

    def apply(self, step: Step, model: PlanModel) -> None:
        """Hold the worker, unless the hold ends by itself."""
        if not step["ms"]:
            model.workers_held.add(step["worker"])

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Hold everything that passes."""
        system, target = context.able(Disconnectable, step), worker(step["worker"])
        context.begin(FaultKind.CUT_OFF, target)
        if not system.hold(str(target), step["ms"]):
            return context.settle(FaultKind.CUT_OFF, target, done=False)
        self._end_by_itself(step, str(target), context)
        return Performed(applied=True)

    def intervention(self, step: Step) -> Intervention:
        """Hold the one request or its reply."""
        return Intervention.HOLD

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record that something is held."""
        context.history.begin_fault(FaultKind.CUT_OFF, trap.component, sprung_ns(trap))
        self._end_by_itself(step, trap.component, context)
        context.held.setdefault(trap.component, []).append(trap)
        return Performed(applied=True)

    def heal(self, context: ActionContext) -> None:
        """Let everything pass again."""
        if isinstance(context.system, Disconnectable):
            for name in {*context.held, *context.system.worker_names()}:
                release(name, context.system, context)

    def _end_by_itself(self, step: Step, name: str, context: ActionContext) -> None:
        """Record when a hold that lasts for so long will be over."""
        if step["ms"]:
            ended_ns = time.monotonic_ns() + step["ms"] * 10**6
            context.history.end_fault(FaultKind.CUT_OFF, name, ended_ns)


class ReleaseConnection(Action):
    """release_connection."""

    name = "release_connection"
    summary = "let pass again what a worker and the database have to say"
    role = Role.HEAL
    weight = 2
    abilities = frozenset({Ability.WORKERS, Ability.WIRE})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (HoldConnection.name,)

    @property
    def pinnable(self) -> bool:
        """Another component's request may be the moment of the release."""
        return True

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Something of the worker is held."""
        return step["worker"] in model.workers_held

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Name a worker of which something is held."""
        return sorted(model.workers_held)

    def apply(self, step: Step, model: PlanModel) -> None:
        """Let the worker go on."""
        model.workers_held.discard(step["worker"])

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Let everything pass again."""
        system = context.able(Disconnectable, step)
        return applied(done=release(str(worker(step["worker"])), system, context))


class StrandSession(RequestFault):
    """strand_session: a half-open connection, healed as the database's keepalive would."""

    name = "strand_session"
    summary = "cut a worker off in a request; the database keeps the session and hears nothing"
    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.WORKERS, Ability.WIRE})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    healing_turn = 2

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The worker runs, and so does the database."""
        return super().possible(step, model) and model.database_up

    def intervention(self, step: Step) -> Intervention:
        """Drop the client, keep the session."""
        return Intervention.STRAND

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record that the session is stranded."""
        context.history.begin_fault(FaultKind.CUT_OFF, trap.component, sprung_ns(trap))
        context.stranded.add(trap.component)
        return Performed(applied=True)

    def heal(self, context: ActionContext) -> None:
        """End the stranded sessions."""
        for name in sorted(context.stranded):
            if isinstance(context.system, Disconnectable):
                context.system.end_stranded(name)
            context.end(FaultKind.CUT_OFF, name)
        context.stranded.clear()


def release(name: str, system: Disconnectable, context: ActionContext) -> bool:
    """Let pass what a component is held by; return False if nothing was held."""
    traps = context.held.pop(name, [])
    for trap in traps:
        trap.release()
    released = system.release(name) or bool(traps)
    if released:
        context.end(FaultKind.CUT_OFF, name)
    return released


cut_connection = register(CutConnection())
hold_connection = register(HoldConnection())
release_connection = register(ReleaseConnection())
strand_session = register(StrandSession())
cut_server = register(CutServer())
