"""Finding where HTTP messages begin and end in a stream that is forwarded unmodified."""

import re
from enum import Enum, auto

from chaosfuzz.wire.http_message import Body, Extent, Head, NotHttpError, check_beginning

# Servers take less: 64 kB for uvicorn's h11 and httptools alike.
_MAXIMUM_HEAD_BYTES = 1 << 17
_MAXIMUM_LINE_BYTES = 1 << 14
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)


class _Place(Enum):
    HEAD = auto()
    BODY = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    UNTIL_END = auto()
    # Forwarded without being understood: another protocol, or no protocol at all.
    BLIND = auto()


class HttpFramer:
    """Yields the head of each message and its end, and releases bytes as far as it has looked.

    After a head, `begin_body` must say how long the body is.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._place = _Place.HEAD
        self._position = 0
        self._searched = 0
        self._head_start = 0
        self._left = 0
        self._has_ended = False
        self._is_end_due = False

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._buffer += data

    def end(self) -> None:
        """Take note that no more bytes will come."""
        self._has_ended = True

    @property
    def is_blind(self) -> bool:
        """Whether nothing is understood any more."""
        return self._place is _Place.BLIND

    def give_up(self) -> None:
        """Understand nothing from here on, and let everything pass."""
        self._place = _Place.BLIND
        self._is_end_due = False

    def take(self) -> Head | bool:
        """Return the next head, True for the end of a message, False if more bytes are needed."""
        try:
            return self._take()
        except NotHttpError:
            self.give_up()
            return self._take()

    def begin_body(self, body: Body) -> None:
        """Say how far the body goes of the message whose head was taken last."""
        if body is Extent.TUNNEL:
            self.give_up()
        elif body is Extent.CHUNKED:
            self._place = _Place.CHUNK_SIZE
        elif body is Extent.UNTIL_END:
            self._place = _Place.UNTIL_END
        else:
            assert isinstance(body, int)
            self._place, self._left = _Place.BODY, body

    def release_before(self) -> bytes:
        """Return the bytes before the head taken last."""
        return self._release(self._head_start)

    def release(self) -> bytes:
        """Return all bytes that were looked at."""
        return self._release(self._position)

    def release_all(self) -> bytes:
        """Return everything: nothing more comes that would complete it."""
        return self._release(len(self._buffer))

    def _release(self, until: int) -> bytes:
        released = bytes(memoryview(self._buffer)[:until])
        del self._buffer[:until]
        self._position = max(0, self._position - until)
        self._searched = max(0, self._searched - until)
        self._head_start = max(0, self._head_start - until)
        return released

    def _take(self) -> Head | bool:
        while True:
            if self._place is _Place.HEAD:
                return self._head()
            if self._place is _Place.BLIND:
                self._position = len(self._buffer)
                return False
            if self._place is _Place.UNTIL_END:
                self._position = len(self._buffer)
                return self._has_ended and self._message_ended()
            if self._place in (_Place.BODY, _Place.CHUNK):
                if not self._skip_body():
                    return False
                if self._place is _Place.BODY:
                    return self._message_ended()
                self._place = _Place.CHUNK_END
            line = self._line()
            if line is None:
                return False
            if self._read_line(line):
                return self._message_ended()

    def _head(self) -> Head | bool:
        while self._buffer.startswith((b"\n", b"\r\n"), self._position):
            # Empty lines before a message belong to none.
            self._position += 1 if self._buffer[self._position] == ord("\n") else 2
        found = _HEAD_END.search(self._buffer, max(self._position, self._searched - 3))
        if found is None:
            self._searched = len(self._buffer)
            if len(self._buffer) - self._position > _MAXIMUM_HEAD_BYTES:
                message = "a head without end"
                raise NotHttpError(message)
            # Of another protocol no end would ever come, and its bytes are not to wait for it.
            check_beginning(bytes(memoryview(self._buffer)[self._position :]))
            return False
        self._head_start = self._position
        head = Head.parse(bytes(memoryview(self._buffer)[self._position : found.start()]))
        self._position = found.end()
        return head

    def _message_ended(self) -> bool:
        self._place = _Place.HEAD
        self._searched = self._position
        return True

    def _skip_body(self) -> bool:
        skipped = min(self._left, len(self._buffer) - self._position)
        self._position += skipped
        self._left -= skipped
        return self._left == 0

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._position)
        if end < 0:
            if len(self._buffer) - self._position > _MAXIMUM_LINE_BYTES:
                message = "a line without end"
                raise NotHttpError(message)
            return None
        line = bytes(memoryview(self._buffer)[self._position : end])
        self._position = end + 1
        return line.removesuffix(b"\r")

    def _read_line(self, line: bytes) -> bool:
        """Read a line of a chunked body; say whether it was the last."""
        if self._place is _Place.TRAILERS:
            return not line
        if self._place is _Place.CHUNK_END:
            if line:
                message = f"{line[:80]!r} after a chunk"
                raise NotHttpError(message)
            self._place = _Place.CHUNK_SIZE
            return False
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            message = f"{line[:80]!r} is no chunk size"
            raise NotHttpError(message)
        self._left = int(found[1], 16)
        self._place = _Place.CHUNK if self._left else _Place.TRAILERS
        return False
