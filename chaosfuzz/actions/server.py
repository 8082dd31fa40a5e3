"""Ends and starts of the HTTP server."""

from collections.abc import Iterator

from chaosfuzz.actions.action import Action, Healing
from chaosfuzz.actions.context import DONE, NOT_APPLICABLE, ActionContext
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
    abilities = frozenset({Ability.SERVER})
    strikes = ComponentRole.SERVER
    graceful = True
    starts_again = False

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note that the server is down, unless it starts again."""
        if not self.starts_again:
            model.end_server()

    def plainer(self, schedule: Schedule, index: int, model: PlanModel) -> Iterator[Schedule]:
        """Yield the schedule with stop_server in place of another end."""
        if self is not stop_server:
            yield schedule.edited({index: stop_server().pinned(schedule.steps[index].at)})

    def perform(self, step: Step, context: ActionContext) -> Performed:
        """End the server, and start it if the action does so. Do nothing if it is down."""
        system = context.able(Killable, step)
        if context.history.fault_in_force(FaultKind.SERVER_DOWN):
            return NOT_APPLICABLE
        context.begin(FaultKind.SERVER_DOWN, SERVER)
        system.kill(str(SERVER), graceful=self.graceful)
        if self.starts_again:
            system.start(str(SERVER))
            context.end(FaultKind.SERVER_DOWN, SERVER)
        return DONE


class StopServer(ServerEnd):
    """End the HTTP server gracefully."""

    name = "stop_server"


class KillServer(ServerEnd):
    """Kill the HTTP server."""

    name = "kill_server"
    graceful = False


class RestartServer(ServerEnd):
    """End the HTTP server gracefully and start it again.

    As a deploy does.
    """

    name = "restart_server"
    starts_again = True


class StartServer(Healing[Killable]):
    """Start the HTTP server."""

    name = "start_server"
    weight = 3
    abilities = frozenset({Ability.SERVER})
    strikes = ComponentRole.SERVER
    parameters = ()
    heals = (StopServer.name, KillServer.name)
    healing_turn = 8
    kind = FaultKind.SERVER_DOWN
    protocol = Killable

    def possible(self, step: Step, model: PlanModel) -> bool:
        """Require a server that is down."""
        return not model.server_up

    def apply(self, step: Step, model: PlanModel) -> None:
        """Note that the server is up."""
        model.server_up = True

    def undo(self, system: Killable, component: str) -> bool:
        """Start the server and wait until it answers."""
        return system.start(component)


stop_server = register(StopServer())
kill_server = register(KillServer())
restart_server = register(RestartServer())
start_server = register(StartServer())
