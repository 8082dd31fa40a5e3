"""A client's connection to PostgreSQL, joined to one of the proxy to the server."""

from functools import partial
from typing import TYPE_CHECKING

from chaosfuzz.wire.connection import Connection
from chaosfuzz.wire.endpoint import Pause
from chaosfuzz.wire.event import Event, RequestKind
from chaosfuzz.wire.framing import Framer
from chaosfuzz.wire.requests import RequestReader
from chaosfuzz.wire.session import WANTED_REPLIES, WANTED_REPLIES_WITH_ROWS, Session
from chaosfuzz.wire.startup import Opening, StartupReader
from chaosfuzz.wire.statement import plain

if TYPE_CHECKING:
    from chaosfuzz.wire.component import Component

_NO_ENCRYPTION = b"N"
_CONNECT, _CANCEL = plain("CONNECT"), plain("CANCEL")


class PostgresConnection(Connection):
    """Forward bytes unmodified; each request of the protocol is an event.

    The server is dialled when the client's startup packet may go to it. A wish for encryption is
    answered with no, as by a server without it.
    """

    def __init__(self, component: "Component", number: int) -> None:
        super().__init__(component, number)
        self._startup: StartupReader | None = StartupReader()
        self._opening = b""
        self._session = Session()
        self._new_event = partial(component.new_event, self._incarnation)
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
        """Wait for the client's startup packet."""

    # From the client to the server.

    def _take_requests(self, data: bytes) -> None:
        if self._startup is None:
            self._requests.feed(data)
            self._pump_requests()
        else:
            self._startup.feed(data)
            self._open()

    def _open(self) -> None:
        while self._startup is not None and not self.client.must_wait and not self._is_over:
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
                self._ask(self._new_event(kind, statement))
                self._pump_requests()

    def _pump_requests(self) -> None:
        if self._startup is not None:
            if self._client_has_ended:
                self.abort()
            else:
                self._open()
            return
        while not self.client.must_wait and not self._is_over and not self.is_stranded:
            if self._pending is not None:
                self._approve(self._pending)
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
        self._pending = None
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
        self.client.resume(Pause.CONNECTING)
        self._pump_requests()

    # From the server to the client.

    def _take_replies(self, data: bytes) -> None:
        self._replies.feed(data)
        self._pump_replies()

    def _pump_replies(self) -> None:
        session, framer = self._session, self._replies
        while not self._server.must_wait and not self._is_over and not self.is_stranded:
            if self._due:
                event, rule = self._due.popleft()
                self._apply(rule, event, self._server)
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
        if self.is_stranded:
            self._follow_stranded()

    def _settle(self, ended: list[Event]) -> None:
        for event in ended:
            self._end_event(event)
            if event.rows_wanted and not self._session.wants_rows:
                self._replies.wanted = WANTED_REPLIES

    def _server_ended(self) -> None:
        self._settle(self._session.cancelled())
        self._pump_replies()
        if not self._server.must_wait and not self._is_over:
            # A reply withheld for a rule that no longer acts is delivered, too.
            self._deliver_withheld()
            self.client.write(self._replies.release_all())
            # PostgreSQL closes both directions after its last message.
            self._server.close()

    def _follow_stranded(self) -> None:
        """Read and drop replies, so that the server can go on; their events end."""
        while kind := self._replies.take():
            self._settle(self._session.replied(kind, self._replies.body()))
        self._replies.release(self._replies.looked_at)
        self._due.clear()

    def _abandon(self) -> list[Event]:
        return self._session.abandon()
