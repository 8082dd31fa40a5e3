"""A client's HTTP connection, joined to one of the proxy to the server."""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from chaosfuzz.wire import http_key
from chaosfuzz.wire.connection import Connection
from chaosfuzz.wire.endpoint import Pause
from chaosfuzz.wire.event import Event, RequestKind, Status
from chaosfuzz.wire.http_framing import HttpFramer, Parser, reply_parser, request_parser

if TYPE_CHECKING:
    from chaosfuzz.wire.component import Component

_FIRST_SERVER_ERROR = 500


@dataclass(kw_only=True, slots=True)
class _Exchange:
    """A request that went to the server, and whether its final response has begun."""

    event: Event
    status: int | None = None


class HttpConnection(Connection):
    """Forward bytes unmodified; each HTTP/1.1 request is an event, which its response ends.

    The controller is asked about a request when its head has arrived, before any of it is
    forwarded. Interim responses (1xx) are delivered at once. Bytes of another protocol, also
    after an upgrade, are forwarded and make no events. The server is dialled when the client
    connects, so that a refused client is reset before it sends anything.
    """

    def __init__(self, component: "Component", number: int) -> None:
        super().__init__(component, number)
        self._requests = HttpFramer(request_parser)
        self._replies = HttpFramer(self._new_reply_parser)
        self._exchanges: deque[_Exchange] = deque()
        self._server_has_ended = False

    @property
    def _is_opening(self) -> bool:
        return not self._server.is_open

    @property
    def _is_armed(self) -> bool:
        # The end of a reply that the framer cannot read is never seen.
        if not self._exchanges or self._replies.has_given_up:
            return False
        return bool(self._exchanges[0].event.armed)

    def _begin(self) -> None:
        if not self._is_over:
            self._dial()

    def _dialled(self) -> None:
        self.client.resume(Pause.CONNECTING)
        self._pump_requests()

    @property
    def _is_replying(self) -> bool:
        """Whether a final response has begun whose end will be seen."""
        has_begun = bool(self._exchanges) and self._exchanges[0].status is not None
        return has_begun and not self._replies.has_given_up

    # From the client to the server.

    def _take_requests(self, data: bytes) -> None:
        self._requests.feed(data)
        self._pump_requests()

    def _pump_requests(self) -> None:
        while not self.client.must_wait and not self._is_over and not self.is_stranded:
            if self._pending is not None:
                self._exchanges.append(_Exchange(event=self._pending))
                self._pending = None
                continue
            taken = self._requests.take()
            if isinstance(taken, h11.Request):
                self._read_request(taken)
            elif taken is None:
                self._server.write(self._requests.release())
                if self._client_has_ended:
                    self._server.write(self._requests.release_all())
                    self._server.end_writing()
                return

    def _read_request(self, head: h11.Request) -> None:
        statement = http_key.describe(head.method.decode(), head.target.decode())
        text = self._requests.first_line()
        self._ask(
            self._component.new_event(self._incarnation, RequestKind.HTTP, statement, text=text)
        )

    def _release_before(self) -> bytes:
        return self._requests.release_before()

    # From the server to the client.

    def _take_replies(self, data: bytes) -> None:
        self._replies.feed(data)
        self._pump_replies()

    def _pump_replies(self) -> None:
        while not self._server.must_wait and not self._is_over:
            if self.is_stranded:
                self._due.clear()
            if self._due:
                event, rule = self._due.popleft()
                self._apply(rule, event, self._server)
                continue
            if self._withheld and not self._is_replying:
                self._deliver_withheld()
            taken = self._replies.take()
            if isinstance(taken, h11.InformationalResponse | h11.Response):
                self._read_reply(taken)
            elif taken is not None:
                self._reply_ended()
            else:
                self._pass_on(self._replies.release())
                if self._server_has_ended:
                    self._deliver_the_rest()
                return

    def _new_reply_parser(self) -> Parser | None:
        # A server may answer bytes that made no event, because they are not HTTP.
        if not self._exchanges:
            return None
        return reply_parser(self._exchanges[0].event.statement.verb)

    def _read_reply(self, head: h11.InformationalResponse | h11.Response) -> None:
        exchange = self._exchanges[0]
        is_tunnel = self._replies.is_tunnel
        if isinstance(head, h11.Response) or is_tunnel:
            exchange.status = head.status_code
        else:
            # The client may wait for an interim response before it sends its body.
            self.client.write(self._replies.release())
        if is_tunnel:
            self._reply_ended()
            self._replies.give_up()
            self._requests.give_up()
            self._pump_requests()

    def _reply_ended(self) -> None:
        self._pass_on(self._replies.release())
        exchange = self._exchanges.popleft()
        event = exchange.event
        event.detail = str(exchange.status)
        failed = exchange.status is not None and exchange.status >= _FIRST_SERVER_ERROR
        event.status = Status.ERROR if failed else Status.OK
        self._end_event(event)

    def _server_ended(self) -> None:
        self._server_has_ended = True
        self._replies.end()
        self._pump_replies()

    def _deliver_the_rest(self) -> None:
        """Deliver what is left, also of an incomplete reply, and close as the server did."""
        self._deliver_withheld()
        self.client.write(self._replies.release_all())
        self._server.close()

    def _abandon(self) -> list[Event]:
        left = [exchange.event for exchange in self._exchanges]
        self._exchanges.clear()
        for event in left:
            event.status = Status.CUT
        return left
