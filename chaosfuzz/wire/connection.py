"""A client's connection to PostgreSQL and its own to the server, joined."""

from typing import TYPE_CHECKING

from chaosfuzz.wire.event import Event, RequestKind
from chaosfuzz.wire.framing import Framer
from chaosfuzz.wire.link import Link
from chaosfuzz.wire.requests import Request, RequestReader
from chaosfuzz.wire.session import WANTED_REPLIES, WANTED_REPLIES_WITH_ROWS, Session
from chaosfuzz.wire.side import Stop
from chaosfuzz.wire.startup import Opening, StartupReader
from chaosfuzz.wire.statement import plain

if TYPE_CHECKING:
    from chaosfuzz.wire.component import Component

_NO_ENCRYPTION = b"N"
_CONNECT, _CANCEL = plain("CONNECT"), plain("CANCEL")


class Connection(Link):
    """Forwards bytes unmodified, asks about every request, and does what is decided."""

    def __init__(self, component: "Component", number: int) -> None:
        super().__init__(component, number)
        self._startup: StartupReader | None = StartupReader()
        self._opening = b""
        self._session = Session()
        self._requests = RequestReader(self._session, component.classifier, self._new_event)
        self._replies = Framer(WANTED_REPLIES)

    @property
    def _is_opening(self) -> bool:
        if self._startup is not None:
            return True
        return self._dialling is not None and not self._server.is_open

    @property
    def _is_armed(self) -> bool:
        return self._session.armed > 0 and self._session.is_armed

    def _begin(self) -> None:
        """Wait for the client: it speaks first, and the server is dialled for what it says."""

    # From the client to the server.

    def _take_requests(self, data: bytes) -> None:
        if self._startup is None:
            self._requests.feed(data)
            self._pump_requests()
        else:
            self._startup.feed(data)
            self._open()

    def _open(self) -> None:
        while self._startup is not None and not self.client.is_waiting and not self._is_over:
            packet = self._startup.take()
            if packet is None:
                return
            if packet.opening is Opening.REFUSE:
                self.abort()
            elif packet.opening is Opening.ENCRYPT:
                self.client.write(_NO_ENCRYPTION)
            else:
                is_start = packet.opening is Opening.START
                kind = RequestKind.CONNECT if is_start else RequestKind.CANCEL
                statement = _CONNECT if is_start else _CANCEL
                self._opening = packet.raw
                self._requests.feed(self._startup.rest)
                self._startup = None
                request = Request(kind=kind, statement=statement, key=statement.key)
                self._ask(self._new_event(request))
                self._pump_requests()

    def _pump_requests(self) -> None:
        if self._startup is not None:
            if self._client_has_ended:
                self.abort()
            else:
                self._open()
            return
        while not self.client.is_waiting and not self._is_over and not self.is_zombie:
            if self._waiting is not None:
                self._approve(self._waiting)
                continue
            event = self._requests.take()
            if event is None:
                self._server.write(self._requests.release())
                if self._client_has_ended:
                    self._server.write(self._requests.release_all())
                    self._server.end_writing()
                return
            self._ask(event)

    def _release_before(self) -> bytes:
        return b"" if self._opening else self._requests.release_before()

    def _approve(self, event: Event) -> None:
        self._waiting = None
        ended = self._session.requested(event)
        if event.rows_wanted:
            self._replies.wanted = WANTED_REPLIES_WITH_ROWS
        if self._opening:
            self._dial()
        else:
            self._requests.accept()
        if ended:
            self._settle(ended)

    def _dialled(self) -> None:
        opening, self._opening = self._opening, b""
        self._server.write(opening)
        self.client.go_on(Stop.CONNECTING)
        self._pump_requests()

    # From the server to the client.

    def _take_replies(self, data: bytes) -> None:
        self._replies.feed(data)
        self._pump_replies()

    def _pump_replies(self) -> None:
        session, framer = self._session, self._replies
        while not self._server.is_waiting and not self._is_over and not self.is_zombie:
            if self._due:
                event, intervention = self._due.popleft()
                self._apply(intervention, event, self._server)
                continue
            if self._withheld and not session.is_armed:
                self._deliver_withheld()
            kind = framer.take()
            if not kind:
                self._pass_on(framer.release(framer.looked_at))
                return
            body = framer.body()
            if session.armed:
                self._pass_on(framer.release(framer.end))
            if ended := session.replied(kind, body):
                self._settle(ended)
        if self.is_zombie:
            self._follow_zombie()

    def _settle(self, ended: list[Event]) -> None:
        for event in ended:
            self._done(event)
            if event.rows_wanted and not self._session.wants_rows:
                self._replies.wanted = WANTED_REPLIES

    def _server_ended(self) -> None:
        self._settle(self._session.cancelled())
        self._pump_replies()
        if not self._server.is_waiting and not self._is_over:
            # What was kept back for a moment that does not come any more is delivered, too.
            self._deliver_withheld()
            self.client.write(self._replies.release_all())
            # As the server does: it sends its last word and closes both directions.
            self._server.close()

    def _follow_zombie(self) -> None:
        """Read on, so that the server is not held up, and tell nobody but the controller."""
        while kind := self._replies.take():
            self._settle(self._session.replied(kind, self._replies.body()))
        self._replies.release(self._replies.looked_at)
        self._due.clear()

    def _abandon(self) -> list[Event]:
        return self._session.abandon()
