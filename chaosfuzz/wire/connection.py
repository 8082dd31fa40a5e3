"""A client's socket and one to the server, joined; interventions act on them."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from chaosfuzz.domain.wire import Intervention
from chaosfuzz.wire.endpoint import Endpoint, Pause
from chaosfuzz.wire.event import Event, Status
from chaosfuzz.wire.framing import DesyncError
from chaosfuzz.wire.rules import Rule

if TYPE_CHECKING:
    from chaosfuzz.wire.component import Component

# Chosen by hand: replies of a job system are much shorter.
_MAXIMUM_WITHHELD_BYTES = 1 << 20


class Connection(ABC):
    """Ask the controller about every request, and do what its rules say.

    A subclass knows the protocol: where requests and replies begin and end.
    """

    def __init__(self, component: "Component", number: int) -> None:
        self._component = component
        self._incarnation = component.incarnation
        self._number = number
        self.client = Endpoint(self)
        self._server = Endpoint(self)
        self.client.join(self._server)
        self._server.join(self.client)
        # The request whose head has arrived and which is not forwarded yet.
        self._pending: Event | None = None
        # Rules that act next, each after an event that has ended.
        self._due: deque[tuple[Event, Rule]] = deque()
        self._withheld = bytearray()
        self._dialling: asyncio.Task[None] | None = None
        self._client_has_ended = False
        self._is_over = False
        # Whether the client was dropped while the server keeps its session.
        self.is_stranded = False

    # What a protocol decides.

    @property
    @abstractmethod
    def _is_opening(self) -> bool:
        """Whether the server has received nothing yet that it could still act on."""

    @property
    @abstractmethod
    def _is_armed(self) -> bool:
        """Whether the replies that arrive now must be withheld: a rule may act after them."""

    @abstractmethod
    def _begin(self) -> None:
        """Handle the client's connecting."""

    @abstractmethod
    def _dialled(self) -> None:
        """Handle the server's accepting."""

    @abstractmethod
    def _take_requests(self, data: bytes) -> None:
        """Take bytes of the client."""

    @abstractmethod
    def _pump_requests(self) -> None:
        """Forward every request that is decided, and ask about the next one."""

    @abstractmethod
    def _release_before(self) -> bytes:
        """Return the bytes before the pending request."""

    @abstractmethod
    def _take_replies(self, data: bytes) -> None:
        """Take bytes of the server."""

    @abstractmethod
    def _pump_replies(self) -> None:
        """Deliver the replies that need not be withheld, and apply the rules that are due."""

    @abstractmethod
    def _server_ended(self) -> None:
        """Handle the end of the server's stream."""

    @abstractmethod
    def _abandon(self) -> list[Event]:
        """Return the events under way, with the status of a lost connection; forget them."""

    def freeze(self) -> None:
        """Forward nothing, in either direction."""
        self.client.pause(Pause.FROZEN)
        self._server.pause(Pause.FROZEN)

    def unfreeze(self) -> None:
        """Forward again, first what was kept back."""
        self.client.resume(Pause.FROZEN)
        self._server.resume(Pause.FROZEN)
        asyncio.get_running_loop().call_soon(self._guarded, self._pump)

    def abort(self, *, reset: bool = False) -> None:
        """Close both sockets at once; bytes that were not forwarded never will be."""
        if self._is_over:
            return
        self._is_over = True
        self.client.abort(reset=reset)
        self._server.abort()
        if self._dialling is not None:
            self._dialling.cancel()
        self._finish()

    # What the endpoints tell.

    def connected(self, endpoint: Endpoint) -> None:
        """Note that a socket is connected: first the client's, then the server's."""
        if endpoint is self.client:
            self._component.add_connection(self)
            self._guarded(self._begin)
        elif self._is_over:
            endpoint.abort()
        else:
            self._guarded(self._dialled)

    def received(self, endpoint: Endpoint, data: bytes) -> None:
        """Take bytes and forward those that may go."""
        if endpoint is self._server:
            self._guarded(self._take_replies, data)
        else:
            self._guarded(self._take_requests, data)

    def ended(self, endpoint: Endpoint) -> None:
        """End a direction whose sender has ended it, after what is still to be forwarded."""
        if endpoint is self.client:
            self._client_has_ended = True
            self._guarded(self._pump_requests)
        else:
            self._guarded(self._server_ended)

    def lost(self, endpoint: Endpoint, *, broken: bool) -> None:
        """End the connection after one of its sockets has been closed."""
        if self._is_over or (endpoint is self.client and self.is_stranded):
            return
        if endpoint is self._server:
            self._is_over = True
            self._finish()
            if broken:
                self.client.abort(reset=True)
            else:
                self.client.close()
        elif self._is_opening:
            self.abort()
        else:
            # The server still executes what it was sent; its replies end those events.
            self._client_has_ended = True
            self._guarded(self._pump_requests)

    # What both directions need.

    def _dial(self) -> None:
        """Connect to the server; read nothing of the client until then."""
        self.client.pause(Pause.CONNECTING)
        self._dialling = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self._component.dial(self._server)
        except OSError:
            # The server would have refused this client; the proxy has accepted it already.
            self._component.note_refused(self.client.remote_port)
            self.abort(reset=True)

    def _ask(self, event: Event) -> None:
        """Make an event pending, and apply the rule that acts before it."""
        self._pending = event
        rule = self._component.controller.arrived(event)
        if rule is not None:
            self._server.write(self._release_before())
            self._apply(rule, event, self.client)

    def _end_event(self, event: Event) -> None:
        """Tell the controller that an event has ended, and queue the rule that acts after it."""
        rule = self._component.controller.ended(event)
        if rule is not None:
            self._due.append((event, rule))

    def _pass_on(self, data: bytes) -> None:
        """Deliver replies, or withhold them; of more than 1 MB the beginning is delivered."""
        if not data:
            return
        if not self._is_armed:
            self.client.write(data)
            return
        if len(self._withheld) + len(data) > _MAXIMUM_WITHHELD_BYTES:
            self._deliver_withheld()
        self._withheld += data

    def _deliver_withheld(self) -> None:
        self.client.write(bytes(self._withheld))
        self._withheld.clear()

    # Interventions.

    def _apply(self, rule: Rule, event: Event, endpoint: Endpoint) -> None:
        match rule.intervention:
            case Intervention.FREEZE:
                self._component.freeze()
            case Intervention.CUT:
                self.abort(reset=True)
            case Intervention.STRAND:
                self._strand()
            case Intervention.HOLD:
                self._hold(rule, endpoint)
            case _:
                assert_never(rule.intervention)
        rule.on_act(event)

    def _hold(self, rule: Rule, endpoint: Endpoint) -> None:
        endpoint.pause(Pause.HELD)
        has_ended = False

        def end() -> None:
            nonlocal has_ended
            if not has_ended:
                has_ended = True
                deadline.cancel()
                self._guarded(self._end_hold, endpoint)

        deadline = asyncio.get_running_loop().call_later(rule.hold_ms / 1000, end)
        rule.call_on_release(end)

    def _end_hold(self, endpoint: Endpoint) -> None:
        if not self._is_over and not self.is_stranded:
            endpoint.resume(Pause.HELD)
            self._pump()

    def _pump(self) -> None:
        self._pump_requests()
        self._pump_replies()

    def _strand(self) -> None:
        self.is_stranded = True
        self._cut_pending()
        self.client.abort()
        self._server.resume(Pause.HELD | Pause.BACKPRESSURE)

    # The end of the connection.

    def _finish(self) -> None:
        """End every event that is under way, and leave the component."""
        self._due.clear()
        for event in self._abandon():
            event.armed = ()
            self._component.controller.ended(event)
        self._cut_pending()
        self._component.remove_connection(self)

    def _cut_pending(self) -> None:
        """End the pending event: the server never gets it, so no reply will end it."""
        event, self._pending = self._pending, None
        if event is not None:
            event.status = Status.CUT
            self._component.controller.ended(event)

    def _guarded(self, function: Callable[..., None], *arguments: object) -> None:
        """Call; report every error, which is one of the proxy and never one of the target."""
        try:
            function(*arguments)
        except DesyncError as error:
            self._fail(f"lost its place in the protocol: {error}", error)
        except Exception as error:  # noqa: BLE001 - raised again by LaneWire.check
            self._fail(f"failed: {error!r}", error)

    def _fail(self, problem: str, error: Exception) -> None:
        name = f"connection {self._number} of {self._component.name}"
        self._component.report(f"{name} {problem}", error)
        self.abort(reset=True)
