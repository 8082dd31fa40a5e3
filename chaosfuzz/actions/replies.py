"""Faults of the requests and replies between the client and the HTTP server."""

from chaosfuzz.actions.action import RequestFault, milliseconds
from chaosfuzz.actions.context import DONE, ActionContext, sprung_ns
from chaosfuzz.actions.registry import register
from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.component import CLIENT, ComponentRole
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind
from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.wire import Intervention, Trap


class ClientFault(RequestFault):
    """A fault in one of the client's own HTTP requests; the client's next request heals it."""

    abilities = frozenset({Ability.TASKS, Ability.REPLIES})
    strikes = ComponentRole.CLIENT
    needs_up = (ComponentRole.SERVER,)
    healing_turn = 9

    def intervention(self, step: Step) -> Intervention:
        """Break the connection of the request."""
        return Intervention.CUT

    def struck(self, step: Step, context: ActionContext, trap: Trap) -> Performed:
        """Record that the client was cut off: until now or, with a delay, until that is over."""
        context.begin(FaultKind.CUT_OFF, CLIENT, sprung_ns(trap))
        context.end_in(step.get("ms") or 0, FaultKind.CUT_OFF, CLIENT)
        return DONE

    def heal(self, context: ActionContext) -> None:
        """Record the end; the proxy delivers a late reply by itself."""
        context.end(FaultKind.CUT_OFF, CLIENT)


class LoseReply(ClientFault):
    """Lose the server's reply: the request took effect, the client never hears of it."""

    name = "lose_reply"
    side = Side.AFTER


class ResetRequest(ClientFault):
    """Reset the client's connection before its request reaches the server."""

    name = "reset_request"
    side = Side.BEFORE


class DelayReply(ClientFault):
    """Deliver the server's reply late."""

    name = "delay_reply"
    side = Side.AFTER
    parameters = (milliseconds("milliseconds late", low=1, default=100, drawn=(50, 200, 900)),)

    def intervention(self, step: Step) -> Intervention:
        """Hold the reply."""
        return Intervention.HOLD


lose_reply = register(LoseReply())
reset_request = register(ResetRequest())
delay_reply = register(DelayReply())
