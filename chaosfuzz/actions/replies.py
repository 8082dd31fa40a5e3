"""What passes between the client and the HTTP server: lost, reset or late."""

import time

from chaosfuzz.actions.action import RequestFault
from chaosfuzz.actions.context import ActionContext, sprung_ns
from chaosfuzz.actions.plan import PlanModel
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.action import Parameter, Role
from chaosfuzz.domain.component import CLIENT, ComponentRole
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.wire import Intervention, Trap


class ClientFault(RequestFault):
    """A fault in one of the client's own HTTP requests; the client's next request heals it."""

    role = Role.FAULT
    abilities = frozenset({Ability.TASKS, Ability.REPLIES})
    strikes = ComponentRole.CLIENT
    healing_turn = 9

    def possible(self, step: Step, model: PlanModel) -> bool:
        """There is a server to answer."""
        return model.server_up

    def intervention(self, step: Step) -> Intervention:
        """Break the one connection."""
        return Intervention.CUT

    def late_ms(self, step: Step) -> int:
        """Return for how long the client hears nothing, in milliseconds."""
        return 0

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record how long the client heard nothing."""
        context.history.begin_fault(FaultKind.CUT_OFF, str(CLIENT), sprung_ns(trap))
        ended_ns = time.monotonic_ns() + self.late_ms(step) * 10**6
        context.history.end_fault(FaultKind.CUT_OFF, str(CLIENT), ended_ns)
        return Performed(applied=True)

    def heal(self, context: ActionContext) -> None:
        """Record the end; a late reply is delivered by itself."""
        context.end(FaultKind.CUT_OFF, CLIENT)


class LoseReply(ClientFault):
    """lose_reply."""

    name = "lose_reply"
    summary = "lose the server's reply: the request took effect, the client never hears of it"
    weight = 1
    side = Side.AFTER


class ResetRequest(ClientFault):
    """reset_request."""

    name = "reset_request"
    summary = "reset the client's connection before its request reaches the server"
    weight = 1
    side = Side.BEFORE


class DelayReply(ClientFault):
    """delay_reply."""

    name = "delay_reply"
    summary = "deliver the server's reply late"
    weight = 1
    side = Side.AFTER
    parameters = (
        Parameter(
            name="ms",
            low=1,
            high=5000,
            default=100,
            meaning="milliseconds late",
            drawn=(50, 200, 900),
            always_shown=True,
            costly=True,
        ),
    )

    def intervention(self, step: Step) -> Intervention:
        """Keep the reply back for a while."""
        return Intervention.HOLD

    def late_ms(self, step: Step) -> int:
        """Return the delay."""
        return step["ms"]


lose_reply = register(LoseReply())
reset_request = register(ResetRequest())
delay_reply = register(DelayReply())
