"""The HTTP server going away and coming back."""

from collections.abc import Iterator

from chaosfuzz.actions.action import Action
from chaosfuzz.actions.context import NOT_APPLICABLE, ActionContext, applied
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.component import SERVER, ComponentRole
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.target import Killable


class ServerEnd(Action):
    """An end of the HTTP server, graceful or not, after which it may start again."""

    role = Role.FAULT
    weight = 1
    abilities = frozenset({Ability.SERVER})
    strikes = ComponentRole.SERVER
    graceful = True
    starts_again = False

    def apply(self, step: Step, model: PlanModel) -> None:
        """End the server."""
        if not self.starts_again:
            model.end_server()

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """End the server, and start it if the action does so."""
        system = context.able(Killable, step)
        if context.history.fault_in_force(FaultKind.SERVER_DOWN):
            return NOT_APPLICABLE
        context.begin(FaultKind.SERVER_DOWN, SERVER)
        system.kill(str(SERVER), graceful=self.graceful)
        if self.starts_again:
            system.start(str(SERVER))
            context.end(FaultKind.SERVER_DOWN, SERVER)
        return Performed(applied=True)


class StopServer(ServerEnd):
    """stop_server."""

    name = "stop_server"
    summary = "end the HTTP server gracefully"
    healing_turn = 8

    def heal(self, context: ActionContext) -> None:
        """Start the server if it is down."""
        if isinstance(context.system, Killable):
            context.system.start(str(SERVER))
            context.end(FaultKind.SERVER_DOWN, SERVER)


class KillServer(ServerEnd):
    """kill_server."""

    name = "kill_server"
    summary = "kill the HTTP server"
    graceful = False

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with a graceful end."""
        yield stopped_instead(schedule, index)


class RestartServer(ServerEnd):
    """restart_server: a deploy of the server."""

    name = "restart_server"
    summary = "end the HTTP server gracefully and start it again"
    starts_again = True

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with an end after which the server stays away."""
        yield stopped_instead(schedule, index)


class StartServer(Action):
    """start_server."""

    name = "start_server"
    summary = "start the HTTP server"
    role = Role.HEAL
    weight = 3
    abilities = frozenset({Ability.SERVER})
    strikes = ComponentRole.SERVER
    heals = (StopServer.name, KillServer.name)

    def possible(self, step: Step, model: PlanModel) -> bool:
        """The server is down."""
        return not model.server_up

    def apply(self, step: Step, model: PlanModel) -> None:
        """Start the server."""
        model.server_up = True

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """Start the server and wait until it answers."""
        started = context.able(Killable, step).start(str(SERVER))
        context.end(FaultKind.SERVER_DOWN, SERVER)
        return applied(done=started)


def stopped_instead(schedule: Schedule, index: int) -> Schedule:
    """Return the schedule in which a graceful end of the server replaces a step."""
    return schedule.edited({index: stop_server().pinned(schedule.steps[index].at)})


stop_server = register(StopServer())
kill_server = register(KillServer())
restart_server = register(RestartServer())
start_server = register(StartServer())
