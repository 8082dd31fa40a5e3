"""A client's socket and one to the server, joined: what becomes of them and what is decided."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, assert_never

from chaosfuzz.domain.moment import Side as When
from chaosfuzz.wire.event import Event, Status
from chaosfuzz.wire.framing import DesyncError
from chaosfuzz.wire.intervention import Cut, Delay, Hold, Intervention, Strike, Zombie
from chaosfuzz.wire.requests import Request
from chaosfuzz.wire.side import Side, Stop

if TYPE_CHECKING:
    from chaosfuzz.wire.component import Component

_WITHHELD_BYTES = 1 << 20


class Link(ABC):
    """Asks about every request and does what is decided; subclasses know the protocol."""

    def __init__(self, component: "Component", number: int) -> None:
        self._component = component
        self._incarnation = component.incarnation
        self._number = number
        self.client = Side(self)
        self._server = Side(self)
        self.client.join(self._server)
        self._server.join(self.client)
        self._waiting: Event | None = None
        self._due: deque[tuple[Event, Intervention]] = deque()
        self._withheld = bytearray()
        self._after_thaw: list[Callable[[], None]] = []
        self._dialling: asyncio.Task[None] | None = None
        self._client_has_ended = False
        self.is_zombie = False
        self._is_over = False

    # What a protocol decides.

    @property
    @abstractmethod
    def _is_opening(self) -> bool:
        """Whether nothing has gone to the server yet that it could still act on."""

    @property
    @abstractmethod
    def _is_armed(self) -> bool:
        """Whether the replies that come now are to be kept back."""

    @abstractmethod
    def _begin(self) -> None:
        """The client's socket is there."""

    @abstractmethod
    def _dialled(self) -> None:
        """The server's socket is there."""

    @abstractmethod
    def _take_requests(self, data: bytes) -> None:
        """Take bytes of the client."""

    @abstractmethod
    def _pump_requests(self) -> None:
        """Pass on what has been decided, and ask about what comes next."""

    @abstractmethod
    def _release_before(self) -> bytes:
        """Return the bytes before the request that was asked about."""

    @abstractmethod
    def _take_replies(self, data: bytes) -> None:
        """Take bytes of the server."""

    @abstractmethod
    def _pump_replies(self) -> None:
        """Pass on the replies that may go."""

    @abstractmethod
    def _server_ended(self) -> None:
        """The server sends no more."""

    @abstractmethod
    def _abandon(self) -> list[Event]:
        """End and return the events under way: their connection is lost."""

    def freeze(self) -> None:
        """Forward nothing, in either direction."""
        self.client.stop(Stop.FROZEN)
        self._server.stop(Stop.FROZEN)

    def thaw(self) -> None:
        """Forward again, beginning with what was kept back."""
        self.client.go_on(Stop.FROZEN)
        self._server.go_on(Stop.FROZEN)
        asyncio.get_running_loop().call_soon(self._guarded, self._thawed)

    def abort(self, *, reset: bool = False) -> None:
        """Break both sides at once; what was not forwarded never will be."""
        if self._is_over:
            return
        self._is_over = True
        self.client.abort(reset=reset)
        self._server.abort()
        if self._dialling is not None:
            self._dialling.cancel()
        self._finish()

    # What the sides tell.

    def connected(self, side: Side) -> None:
        """A socket is there: the client's at first, then the server's."""
        if side is self.client:
            self._component.joined(self)
            self._guarded(self._begin)
        elif self._is_over:
            side.abort()
        else:
            self._guarded(self._dialled)

    def received(self, side: Side, data: bytes) -> None:
        """Take bytes and forward what may go."""
        if side is self._server:
            self._guarded(self._take_replies, data)
        else:
            self._guarded(self._take_requests, data)

    def ended(self, side: Side) -> None:
        """One direction has ended: end it on the other side too."""
        if side is self.client:
            self._client_has_ended = True
            self._guarded(self._pump_requests)
        else:
            self._guarded(self._server_ended)

    def lost(self, side: Side, *, broken: bool) -> None:
        """A socket is gone: let the other side know in its own way."""
        if self._is_over or (side is self.client and self.is_zombie):
            return
        if side is self._server:
            self._is_over = True
            self._finish()
            if broken:
                self.client.abort(reset=True)
            else:
                self.client.close()
        elif self._is_opening:
            self.abort()
        else:
            # The server still does what it was sent; its replies say what became of it.
            self._client_has_ended = True
            self._guarded(self._pump_requests)

    # What both directions need.

    def _dial(self) -> None:
        """Connect to the server; until then nothing of the client is read."""
        self.client.stop(Stop.CONNECTING)
        self._dialling = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self._component.dial(self._server)
        except OSError:
            # The real server would have refused; here the client is through already.
            self._component.refused(self.client.peer_port)
            self.abort(reset=True)

    def _ask(self, event: Event) -> None:
        self._waiting = event
        intervention = self._component.controller.before(event)
        if intervention is None:
            return
        if intervention.side is When.AFTER:
            event.after = intervention
            return
        self._server.write(self._release_before())
        self._apply(intervention, event, self.client)

    def _done(self, event: Event) -> None:
        """Tell that an event has ended; what acts after it is due next."""
        self._component.controller.done(event)
        after, event.after = event.after, None
        if after is not None:
            self._due.append((event, after))

    def _pass_on(self, data: bytes) -> None:
        """Deliver replies, or keep them back; of very long ones their end."""
        if not data:
            return
        if not self._is_armed:
            self.client.write(data)
            return
        if len(self._withheld) + len(data) > _WITHHELD_BYTES:
            self._deliver_withheld()
        self._withheld += data

    def _deliver_withheld(self) -> None:
        self.client.write(bytes(self._withheld))
        self._withheld.clear()

    # What is decided.

    def _apply(self, intervention: Intervention, event: Event, side: Side) -> None:
        match intervention:
            case Strike():
                self._component.strike(intervention, event)
            case Cut():
                self.abort(reset=True)
            case Zombie():
                self._become_zombie()
            case Delay():
                wake = self._stopped(side, event, None)
                asyncio.get_running_loop().call_later(intervention.delay_ms / 1000, wake)
            case Hold():
                self._hold(intervention, event, side)
            case _:
                assert_never(intervention)
        self._component.controller.acted(event, intervention)

    def _hold(self, hold: Hold, event: Event, side: Side) -> None:
        loop = asyncio.get_running_loop()
        wake = self._stopped(side, event, hold)
        deadline = loop.call_later(hold.deadline_ms / 1000, partial(wake, expired=True))

        def released() -> None:
            deadline.cancel()
            wake()

        hold.release.call_when_set(partial(self._component.call_on_loop, released))

    def _stopped(self, side: Side, event: Event, hold: Hold | None) -> Callable[..., None]:
        """Stop a side; return the function that lets it go on, which has an effect once."""
        side.stop(Stop.HELD)
        has_woken = False

        def wake(*, expired: bool = False) -> None:
            nonlocal has_woken
            if not has_woken:
                has_woken = True
                event.expired = expired
                self._guarded(self._woken, side, event, hold)

        return wake

    def _woken(self, side: Side, event: Event, hold: Hold | None) -> None:
        if self._is_over or self.is_zombie:
            return
        if side.stops & Stop.FROZEN:
            self._after_thaw.append(partial(self._woken, side, event, hold))
            return
        side.go_on(Stop.HELD)
        then = None
        if hold is not None:
            then = hold.decide(event) if hold.decide is not None else hold.then
        if then is not None and side is self.client and then.side is When.AFTER:
            event.after = then
        elif then is not None:
            self._apply(then, event, side)
        self._pump_requests()
        self._pump_replies()

    def _thawed(self) -> None:
        waiting, self._after_thaw = self._after_thaw, []
        for resume in waiting:
            resume()
        self._pump_requests()
        self._pump_replies()

    def _become_zombie(self) -> None:
        self.is_zombie = True
        self._cut_waiting()
        self.client.abort()
        self._server.go_on(Stop.HELD | Stop.BACKPRESSURE)

    # Its end.

    def _finish(self) -> None:
        """End every event that is under way, and forget this connection."""
        self._due.clear()
        for event in self._abandon():
            event.after = None
            self._component.controller.done(event)
        self._cut_waiting()
        self._component.left(self)

    def _cut_waiting(self) -> None:
        """End the event that never goes to the server, so that no reply will end it."""
        event, self._waiting = self._waiting, None
        if event is not None:
            event.status, event.after = Status.CUT, None
            self._component.controller.done(event)

    def _new_event(self, request: Request) -> Event:
        return self._component.new_event(request, self._incarnation, self._number)

    def _guarded(self, function: Callable[..., None], *arguments: object) -> None:
        """Call; an error is the proxy's own and never the target's."""
        try:
            function(*arguments)
        except DesyncError as error:
            self._fail(f"lost its place in the protocol: {error}", error)
        except Exception as error:  # noqa: BLE001 - raised again by Proxy.check
            self._fail(f"failed: {error!r}", error)

    def _fail(self, problem: str, error: Exception) -> None:
        name = f"connection {self._number} of {self._component.name}"
        self._component.report(f"{name} {problem}", error)
        self.abort(reset=True)
