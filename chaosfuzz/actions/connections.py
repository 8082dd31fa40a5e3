"""Faults of the connections between a component and the database."""

from collections.abc import Sequence
from typing import ClassVar

from chaosfuzz.actions.action import WORKER, Action, InjectedFault, RequestFault, milliseconds
from chaosfuzz.actions.context import DONE, NOT_APPLICABLE, ActionContext, applied, sprung_ns
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.component import ComponentRole, worker
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.wire import Disconnectable, Intervention, Trap


class CutConnection(InjectedFault[Disconnectable]):
    """Cut a worker off from the database for an instant; the worker lives on.

    At a moment only the connection of that request is cut, else all of them.
    """

    name = "cut_connection"
    abilities = frozenset({Ability.WORKERS, Ability.WIRE})
    needs_up: ClassVar[tuple[ComponentRole, ...]] = (ComponentRole.DATABASE,)
    kind = FaultKind.CUT_OFF
    protocol = Disconnectable
    strikes_ended = True

    def inject(self, system: Disconnectable, component: str, step: Step) -> bool:
        """Break all connections of the component, which may connect again at once."""
        return system.cut(component)

    def intervention(self, step: Step) -> Intervention:
        """Break the one connection."""
        return Intervention.CUT

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record the cut, which is over already."""
        context.begin(self.kind, trap.component, sprung_ns(trap))
        context.end(self.kind, trap.component)
        return DONE


class CutServer(CutConnection):
    """Cut the HTTP server off from the database for an instant; the server lives on."""

    name = "cut_server"
    abilities = frozenset({Ability.SERVER, Ability.WIRE})
    strikes = ComponentRole.SERVER
    needs_up = ()
    parameters = ()


class HoldConnection(Action):
    """Let nothing pass between a worker and the database for a while.

    Without a time it lasts until release_connection. A hold with a time is over in the history
    when that time is over, even if it is healed before. At a moment, only that request or its
    reply is held.
    """

    name = "hold_connection"
    role = Role.FAULT
    abilities = frozenset({Ability.WORKERS, Ability.WIRE})
    strikes = ComponentRole.WORKER
    lasts = True
    parameters = (
        WORKER,
        # Shorter than a lease of 600 ms, and longer.
        milliseconds("0: until released", default=0, drawn=(0, 0, 200, 900)),
    )

    def slots(self, model: PlanModel) -> Sequence[int]:
        """Return the workers of which nothing is held."""
        return model.slots_without(self.name)

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note the hold, unless it ends by itself."""
        if not step["ms"]:
            super().apply(step, model)

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Hold all connections of the worker."""
        system, target = context.able(Disconnectable, step), worker(step["worker"])
        context.begin(FaultKind.CUT_OFF, target)
        if not system.hold(str(target), step["ms"]):
            context.end(FaultKind.CUT_OFF, target)
            return NOT_APPLICABLE
        if step["ms"]:
            context.end_in(step["ms"], FaultKind.CUT_OFF, target)
        return DONE

    def intervention(self, step: Step) -> Intervention:
        """Hold the one request or its reply."""
        return Intervention.HOLD

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record the hold, and keep its trap for the release."""
        context.begin(FaultKind.CUT_OFF, trap.component, sprung_ns(trap))
        if step["ms"]:
            context.end_in(step["ms"], FaultKind.CUT_OFF, trap.component)
        context.held.setdefault(trap.component, []).append(trap)
        return DONE


class ReleaseConnection(Action):
    """End the hold on a worker's connections to the database."""

    name = "release_connection"
    role = Role.HEAL
    weight = 2
    abilities = frozenset({Ability.WORKERS, Ability.WIRE})
    strikes = ComponentRole.WORKER
    parameters = (WORKER,)
    heals = (HoldConnection.name,)
    healing_turn = 1

    @property
    def pinnable(self) -> bool:
        """Another component's request may be the moment of the release."""
        return True

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Release the worker's connections."""
        system = context.able(Disconnectable, step)
        return applied(done=_release(str(worker(step["worker"])), system, context))

    def heal(self, context: ActionContext) -> None:
        """Release the connections of all components."""
        names = {*context.held, *context.system.worker_names()}
        if isinstance(context.system, Disconnectable):
            for name in names:
                _release(name, context.system, context)


class StrandSession(RequestFault):
    """Cut a worker off in a request; the database keeps the session and hears nothing.

    The connection is half open until the end of the schedule, when the session is ended as the
    database's keepalive would end it.
    """

    name = "strand_session"
    abilities = frozenset({Ability.WORKERS, Ability.WIRE})
    strikes = ComponentRole.WORKER
    needs_up = (ComponentRole.DATABASE,)
    parameters = (WORKER,)
    healing_turn = 2

    def intervention(self, step: Step) -> Intervention:
        """Drop the client and keep the session."""
        return Intervention.STRAND

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record that the session is stranded."""
        context.begin(FaultKind.CUT_OFF, trap.component, sprung_ns(trap))
        context.stranded.add(trap.component)
        return DONE

    def heal(self, context: ActionContext) -> None:
        """End the stranded sessions."""
        for name in sorted(context.stranded):
            if isinstance(context.system, Disconnectable):
                context.system.end_stranded(name)
            context.end(FaultKind.CUT_OFF, name)
        context.stranded.clear()


def _release(name: str, system: Disconnectable, context: ActionContext) -> bool:
    """End all holds on a component and record that; return False if there was none."""
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
