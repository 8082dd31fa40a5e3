"""Find where HTTP messages begin and end in a stream that is forwarded unmodified."""

import re
from collections.abc import Callable

import h11

Head = h11.Request | h11.InformationalResponse | h11.Response
Parser = h11.Connection

# uvicorn accepts heads of up to 64 kB, with h11 and with httptools.
_MAXIMUM_HEAD_BYTES = 1 << 17
_FIRST_LINE = re.compile(rb"[^\x00-\x1f\x7f]* HTTP/1\.[01]|HTTP/1\.[01] [^\x00-\x08\x0a-\x1f\x7f]*")


def request_parser() -> Parser:
    """Return a parser for one request."""
    return h11.Connection(h11.SERVER, max_incomplete_event_size=_MAXIMUM_HEAD_BYTES)


def reply_parser(method: str) -> Parser:
    """Return a parser for the responses to one request: interim ones and the final one.

    Whether a response has a body depends on the request's method. The parser accepts every
    change to another protocol; whether the client asked for it is for the client to check.
    """
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAXIMUM_HEAD_BYTES)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", ""), ("Upgrade", "any")]))
    parser.send(h11.EndOfMessage())
    return parser


class HttpFramer:
    """Walk over the messages of one direction and release the bytes walked over.

    h11 reads a copy of the bytes; each message has a parser of its own, which `new_parser` makes
    when the message begins. If `new_parser` returns None, or the bytes are not HTTP/1.0 or
    HTTP/1.1, the framer gives up: it releases everything and reports no more messages.
    """

    def __init__(self, new_parser: Callable[[], Parser | None]) -> None:
        self._new_parser = new_parser
        self._parser: Parser | None = None
        self._data = bytearray()
        self._message_start = 0
        self._position = 0
        self._has_head = False
        self._has_ended = False
        self.has_given_up = False

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._data += data
        if self._parser is not None:
            self._parser.receive_data(data)

    def end(self) -> None:
        """Note that no more bytes will come."""
        self._has_ended = True
        if self._parser is not None:
            self._parser.receive_data(b"")

    def give_up(self) -> None:
        """Report no more messages and release everything."""
        self.has_given_up = True
        self._parser = None

    def take(self) -> Head | h11.EndOfMessage | None:
        """Return the next head or end of a message; None if more bytes are needed."""
        if not self.has_given_up and self._parser is None:
            self._begin_message()
        taken = None
        if self._parser is not None:
            taken = self._next_event(self._parser)
        if self.has_given_up:
            self._position = len(self._data)
        return taken

    @property
    def is_tunnel(self) -> bool:
        """Whether another protocol begins after the response whose head was taken last."""
        return self._parser is not None and self._parser.their_state is h11.SWITCHED_PROTOCOL

    def first_line(self) -> bytes:
        """Return the first line of the message whose head was taken last."""
        end = self._data.index(b"\n", self._message_start)
        return bytes(self._data[self._message_start : end]).removesuffix(b"\r")

    def release_before(self) -> bytes:
        """Return the bytes before the message whose head was taken last."""
        return self._release(self._message_start)

    def release(self) -> bytes:
        """Return all bytes walked over."""
        return self._release(self._position)

    def release_all(self) -> bytes:
        """Return all bytes at hand: the stream has ended."""
        return self._release(len(self._data))

    def _begin_message(self) -> None:
        """Make a parser if bytes of a message are there."""
        # Empty lines between messages belong to no message.
        rest = bytes(self._data[self._position :]).lstrip(b"\r\n")
        self._position = self._message_start = len(self._data) - len(rest)
        if not rest:
            return
        self._parser = self._new_parser()
        if self._parser is None:
            self.give_up()
            return
        self._has_head = False
        self._parser.receive_data(rest)
        if self._has_ended:
            self._parser.receive_data(b"")

    def _next_event(self, parser: Parser) -> Head | h11.EndOfMessage | None:
        try:
            event = parser.next_event()
            while isinstance(event, h11.Data):
                event = parser.next_event()
        except h11.RemoteProtocolError:
            self.give_up()
            return None
        self._position = len(self._data) - len(parser.trailing_data[0])
        if isinstance(event, h11.EndOfMessage):
            self._parser = None
            return event
        if isinstance(event, Head):
            self._has_head = True
            return event
        if not self._has_head and self._is_other_protocol():
            self.give_up()
        return None

    def _is_other_protocol(self) -> bool:
        """Say whether the message begins with a line that h11 would complete to no head.

        h11 waits for an empty line, which another protocol may never send.
        """
        line, is_complete, _rest = bytes(self._data[self._message_start :]).partition(b"\n")
        return bool(is_complete) and not _FIRST_LINE.fullmatch(line.removesuffix(b"\r"))

    def _release(self, until: int) -> bytes:
        released = bytes(memoryview(self._data)[:until])
        del self._data[:until]
        self._position = max(0, self._position - until)
        self._message_start = max(0, self._message_start - until)
        return released
